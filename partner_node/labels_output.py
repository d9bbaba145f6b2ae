"""Where a delivery goes: which file may be written, its lines, and the withdrawal of what no longer stands."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from ecowire import outputs
from ecowire.documents import Signed
from federation.labels import Client, Outcome, Reason, Rules
from partner_node import files, labels_files, labels_table, store_labels, times
from partner_node.grants import Gate
from partner_node.labels_files import SQLITE, Line
from partner_node.labels_run import Run
from partner_node.labels_table import Closed
from partner_node.node import Node
from privacy import canonical

REFERENCE_LABEL = "ecohub/consent-reference/v1"
REFERENCE_DIGITS = 32
SQLITE_NAME = "client-labels.sqlite"  # one table for all runs
DELIVERY_DIGITS = 16


def target(node: Node, run: Run, kind: str, to: str | None) -> Path:
    """The file to write: `to`, or one in the results folder. A file is replaced only where a delivery wrote it.

    Raises OutputExists, OutputNotWritable, LabelTableUnfit.
    """
    results, home = node.settings.results.resolve(), node.settings.folder.resolve()
    name = SQLITE_NAME if kind == SQLITE else f"client-labels-{run.job[:16]}.{kind}"
    path = results / name if to is None else Path(to).parent.resolve() / Path(to).name
    if path.parent != results and path.is_relative_to(home):
        raise outputs.OutputNotWritable(path=str(path), why="the node keeps its own files there")
    own = {(file.path, file.format) for file in node.database.read(store_labels.files)}
    if kind == SQLITE:
        labels_table.check(path)
    elif (str(path), kind) not in own:
        outputs.check_new(path)
    return path


def write(
    path: Path,
    kind: str,
    lines: list[Line],
    *,
    mark: bool,
    rules: Rules,
    outcome: Outcome,
    clients: Mapping[str, Client],
    closed: Closed,
    left: Callable[[str], bool],
    now: str,
) -> int:
    """Write the file; how many labels of an SQLite table that withdrew. Raises OutputNotWritable, LabelTableUnfit."""
    try:
        if kind != SQLITE:
            files.replace(path, labels_files.encode(kind, lines, mark=mark))
            return 0
        by_key = {client.key: client_id for client_id, client in clients.items()}
        refused = {(by_key[row.key], row.label): row.reason for row in outcome.refused}
        return labels_table.deliver(path, lines, rules=rules.name, refused=refused, closed=closed, left=left, now=now)
    except OSError as error:
        raise outputs.OutputNotWritable(path=str(path), why=error.strerror or type(error).__name__) from None


def lines_of(document: Signed, run: Run, rules: Rules, outcome: Outcome, clients: Mapping[str, Client]) -> list[Line]:
    """The rows of a delivery, in the order of the outcome."""
    by_key = {client.key: (client_id, client) for client_id, client in clients.items()}
    delivery, found = document.digest[:DELIVERY_DIGITS], []
    for row in outcome.given:
        client_id, client = by_key[row.key]
        assert client.consent_until is not None, "no label without consent"
        found.append(
            Line(
                client_id=client_id,
                label=row.label.name,
                label_en=row.label.en,
                label_zh=row.label.zh,
                class_=row.class_,
                decile=row.decile,
                reason_en=row.en,
                reason_zh=row.zh,
                valid_until=times.to_text(row.valid_until),
                purpose=run.purpose,
                consent_until=times.to_text(client.consent_until),
                consent_reference=reference(bytes.fromhex(row.key), run.purpose),
                model=run.model,
                rules=rules.name,
                rules_version=rules.version,
                delivery=delivery,
            )
        )
    return found


def closed_now(gate: Gate, opted_out: frozenset[bytes], now: datetime) -> Closed:
    """Why no label may stand for a client now, whom a consent reference names; None where one may."""

    @cache
    def references(purpose: str) -> tuple[frozenset[str], frozenset[str]]:
        consents = gate.consents(purpose, now)
        return (
            frozenset(reference(key, purpose) for key in opted_out),
            frozenset(reference(key, purpose) for key in consents),
        )

    def closed(purpose: str, found: str) -> Reason | None:
        out, consented = references(purpose)
        if found in out:
            return Reason.OPTED_OUT
        return None if found in consented else Reason.CONSENT_ENDED

    return closed


def reference(key: bytes, purpose: str) -> str:
    """Names the consent of a client to a purpose: 32 hex digits that tell nothing without the node's key."""
    return canonical.digest_bytes(REFERENCE_LABEL, key + purpose.encode()).hex()[:REFERENCE_DIGITS]
