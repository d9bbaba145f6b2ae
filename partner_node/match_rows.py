"""Rows that a match left: keyed hashes that find them again (Gate.row_keys), with tokens or labels or without, a blob
of each a job.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from partner_node.tables import LabelsRow, SharedRow
from privacy.psi.oprf import PackedIdentifiers

KEY_BYTES, TOKEN_BYTES = 32, 16
FOREIGN = bytes(KEY_BYTES)  # in the place of a client that may be the other side's alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """row_keys: of own clients; FOREIGN where a token is not of one. tokens: 32 hex digits each, or none at all.

    labels: what another party said of each client, of one length, or none at all.
    """

    row_keys: Sequence[bytes] = ()
    tokens: tuple[str, ...] = ()
    labels: tuple[bytes, ...] = ()


NO_ROWS = Kept()


def keep(session: Session, job: str, rows: Kept) -> None:
    """Keep a finished job's rows; nothing where there are none."""
    row_keys = rows.row_keys.data if isinstance(rows.row_keys, PackedIdentifiers) else b"".join(rows.row_keys)
    assert len(row_keys) == KEY_BYTES * len(rows.row_keys), "HMAC-SHA256"
    assert len(rows.tokens) in (0, len(rows.row_keys)), "one token a row, or none"
    assert len(rows.labels) in (0, len(rows.row_keys)), "one label a row, or none"
    if rows.row_keys:
        tokens = bytes.fromhex("".join(rows.tokens))
        session.merge(SharedRow(job=job, row_keys=row_keys, tokens=tokens))
    if rows.labels:
        session.merge(LabelsRow(job=job, length=len(rows.labels[0]), labels=b"".join(rows.labels)))


def of_job(session: Session, job: str) -> Kept:
    """The rows of a job, in the order in which they were kept; empty where there are none."""
    row = session.get(SharedRow, job)
    if row is None:
        return Kept()
    tokens = [token.hex() for token in _split(row.tokens, TOKEN_BYTES)]
    said = session.get(LabelsRow, job)
    labels = () if said is None else tuple(_split(said.labels, said.length))
    return Kept(row_keys=tuple(_split(row.row_keys, KEY_BYTES)), tokens=tuple(tokens), labels=labels)


def _split(data: bytes, width: int) -> Sequence[bytes]:
    return [data[start : start + width] for start in range(0, len(data), width)]
