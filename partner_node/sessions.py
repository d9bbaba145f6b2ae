"""What running jobs keep between two requests: state, envelope counters, alignments, disclosed score vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from partner_node.tables import AlignedRow, ScoreVectorRow, SequenceRow, SessionRow
from privacy.ids import ClientToken, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSession:
    """A running job's state as packed bytes, and how many requests of it were answered."""

    job: Digest
    kind: str
    step: int
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """One common client: its job-scoped token and the keyed hash (Gate.row_keys) that finds its row again."""

    token: ClientToken
    row_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Score vectors disclosed to one label holder over one set of columns of one asset."""

    asset: str
    columns: str
    label_holder: str
    count: int


def load(session: Session, job: str) -> JobSession | None:
    row = session.get(SessionRow, job)
    if row is None:
        return None
    return JobSession(job=Digest(row.job), kind=row.kind, step=row.step, state=row.state)


def save(session: Session, value: JobSession, now: str) -> None:
    session.merge(SessionRow(job=value.job, kind=value.kind, step=value.step, state=value.state, updated=now))


def running(session: Session) -> list[JobSession]:
    rows = session.scalars(select(SessionRow).order_by(SessionRow.job))
    return [JobSession(job=Digest(row.job), kind=row.kind, step=row.step, state=row.state) for row in rows]


def close(session: Session, job: str) -> None:
    """Delete a job's state with its secrets. The envelope counters stay: an ended job takes no further envelope."""
    session.execute(delete(SessionRow).where(SessionRow.job == job))


def next_sequence(session: Session, job: str, peer: str, *, outward: bool) -> int:
    """The number that the next envelope to (outward) or from this peer has."""
    row = session.get(SequenceRow, (job, peer, outward))
    return row.next if row else 0


def set_sequence(session: Session, job: str, peer: str, *, outward: bool, value: int) -> None:
    session.merge(SequenceRow(job=job, peer=peer, outward=outward, next=value))


def keep_alignment(session: Session, job: str, rows: Sequence[Aligned]) -> None:
    session.execute(delete(AlignedRow).where(AlignedRow.job == job))
    values = [{"job": job, "position": i, "token": row.token, "row_key": row.row_key} for i, row in enumerate(rows)]
    if values:
        session.execute(insert(AlignedRow), values)


def alignment(session: Session, job: str) -> list[Aligned]:
    """The common clients of a match job in the common order; empty where there is none."""
    query = select(AlignedRow.token, AlignedRow.row_key).where(AlignedRow.job == job).order_by(AlignedRow.position)
    return [Aligned(token=ClientToken(token), row_key=key) for token, key in session.execute(query)]


def spent(session: Session, asset: str, columns: str, label_holder: str, *, other_than: str = "") -> int:
    """Score vectors disclosed so far to this label holder over these columns, by other runs than the named one."""
    query = select(func.coalesce(func.sum(ScoreVectorRow.count), 0)).where(
        ScoreVectorRow.asset == asset,
        ScoreVectorRow.columns == columns,
        ScoreVectorRow.label_holder == label_holder,
        ScoreVectorRow.run != other_than,
    )
    return int(session.scalar(query) or 0)


def spend(session: Session, run: str, value: Spent, now: str) -> None:
    """Book a run's score vectors; a run is booked once, a second booking replaces the first."""
    session.merge(
        ScoreVectorRow(
            run=run,
            asset=value.asset,
            columns=value.columns,
            label_holder=value.label_holder,
            count=value.count,
            time=now,
        )
    )


def budget_lines(session: Session) -> list[Spent]:
    """Totals for each (asset, columns, label holder)."""
    keys = (ScoreVectorRow.asset, ScoreVectorRow.columns, ScoreVectorRow.label_holder)
    rows = session.execute(select(*keys, func.sum(ScoreVectorRow.count)).group_by(*keys).order_by(*keys))
    return [Spent(asset=a, columns=c, label_holder=h, count=int(n)) for a, c, h, n in rows]
