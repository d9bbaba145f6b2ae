"""Shared clients of a match of mode `rows`: keyed hashes that find their rows again (Gate.row_keys), one blob a job."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from partner_node.tables import SharedRow

KEY_BYTES = 32


def keep(session: Session, job: str, row_keys: Sequence[bytes]) -> None:
    """Keep a finished job's shared clients; nothing where there are none."""
    if row_keys:
        assert all(len(key) == KEY_BYTES for key in row_keys), "HMAC-SHA256"
        session.merge(SharedRow(job=job, row_keys=b"".join(row_keys)))


def of_job(session: Session, job: str) -> list[bytes]:
    """The shared clients of a job, in the order in which they were kept; empty where there are none."""
    row = session.get(SharedRow, job)
    data = b"" if row is None else row.row_keys
    return [data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES)]
