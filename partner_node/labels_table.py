"""The table `client_label` of an SQLite file, which a CRM reads: labels that stand, and those that were withdrawn.

One row for each client and label. A delivery changes it in one transaction: it writes its own labels, and withdraws
what no longer stands. A withdrawn row keeps client, label and reason, so that the CRM sees it; what was said of the
client is erased.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

from federation.labels import Reason
from partner_node.labels_errors import LabelTableUnfit
from partner_node.labels_files import COLUMNS, INTEGERS, Line

GIVEN, WITHDRAWN, NOT_GIVEN = "given", "withdrawn", "NOT_GIVEN"
STATE = ("state", "withdrawn_reason", "withdrawn_at")
BUSY_SECONDS = 10.0
CREATE = f"""CREATE TABLE IF NOT EXISTS client_label (
{"".join(f'"{name}" {"INTEGER" if name in INTEGERS else "TEXT NOT NULL"}, ' for name in COLUMNS)}
state TEXT NOT NULL CHECK (state IN ('{GIVEN}', '{WITHDRAWN}')), withdrawn_reason TEXT, withdrawn_at TEXT,
PRIMARY KEY (client_id, label))"""
UPSERT = f"""INSERT INTO client_label ({", ".join(f'"{name}"' for name in (*COLUMNS, *STATE))})
VALUES ({", ".join("?" for _ in COLUMNS)}, '{GIVEN}', NULL, NULL) ON CONFLICT (client_id, label) DO UPDATE SET
{", ".join(f'"{name}" = excluded."{name}"' for name in (*COLUMNS, *STATE))}"""  # noqa: S608 - own names alone
STANDING = f"SELECT client_id, label, rules, purpose, consent_reference FROM client_label WHERE state = '{GIVEN}'"  # noqa: S608
WITHDRAW = f"""UPDATE client_label SET state = '{WITHDRAWN}', withdrawn_reason = ?, withdrawn_at = ?,
"class" = NULL, decile = NULL, reason_en = '', reason_zh = '' WHERE client_id = ? AND label = ?"""  # noqa: S608

Closed: TypeAlias = Callable[[str, str], Reason | None]  # (purpose, consent reference) -> why no label may stand


def check(path: Path) -> None:
    """Raises LabelTableUnfit where a file stands there that can't take the table."""
    if path.exists():
        with _opened(path) as connection:
            _check_columns(path, connection)


def deliver(
    path: Path,
    lines: Sequence[Line],
    *,
    rules: str,
    refused: Mapping[tuple[str, str | None], Reason],
    closed: Closed,
    left: Callable[[str], bool],
    now: str,
) -> int:
    """Write the labels of these rules, withdraw what no longer stands; how many that were.

    refused: why a client's label (None: any label) was refused in this delivery. left: whether a client, by its id, is
    another release's to serve. A label of other rules or of such a client stays, unless its client is `closed`.
    Raises LabelTableUnfit; then the table is as it was.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with _opened(path) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(CREATE)
        _check_columns(path, connection)
        connection.executemany(UPSERT, (line.cells() for line in lines))
        fresh = {(line.client_id, line.label) for line in lines}
        gone = []
        for client, label, of, purpose, reference in connection.execute(STANDING).fetchall():
            if (client, label) in fresh:
                continue
            reason = closed(purpose, reference)
            if of == rules and not left(client):
                found = refused.get((client, None)) or refused.get((client, label)) or reason
                gone.append((found.value if found else NOT_GIVEN, now, client, label))
            elif reason is not None:
                gone.append((reason.value, now, client, label))
        connection.executemany(WITHDRAW, gone)
        connection.execute("COMMIT")
        return len(gone)


def _check_columns(path: Path, connection: sqlite3.Connection) -> None:
    found = [row[1] for row in connection.execute("PRAGMA table_info(client_label)")]
    if found and found != [*COLUMNS, *STATE]:
        raise LabelTableUnfit(path=str(path), why="a table of this name has other columns")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The table's database; what SQLite refuses is raised as LabelTableUnfit."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        try:
            yield connection
        except sqlite3.Error as error:
            raise LabelTableUnfit(path=str(path), why=str(error)) from None
