"""What running jobs keep between two requests: state, envelope counters, alignments, disclosed score vectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from partner_node.database import forget, raw
from partner_node.errors import JobOver
from partner_node.tables import AlignedRow, RoundKeyRow, ScoreVectorRow, SessionRow
from privacy import canonical
from privacy.ids import ClientToken, Digest

OVER = "over"
# Every request of a run asks for its state and its envelopes' numbers, and leaves others: these go to the driver.
STATE = "SELECT job, kind, step, state FROM session WHERE job = ?"
STEP = "SELECT kind, step FROM session WHERE job = ?"
ALIGNMENT = "SELECT token, row_key FROM aligned WHERE job = ? ORDER BY position"
SAVE = (
    "INSERT INTO session (job, kind, step, state, updated) VALUES (?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE"
    " SET kind = excluded.kind, step = excluded.step, state = excluded.state, updated = excluded.updated"
    " WHERE kind <> 'over'"  # OVER
)

SEQUENCES = "SELECT peer, outward, next FROM sequence WHERE job = ?"
SET_SEQUENCE = (
    "INSERT INTO sequence (job, peer, outward, next) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (job, peer, outward) DO UPDATE SET next = excluded.next"
)


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
    """Score vectors that one run disclosed to a label holder over some columns of an asset."""

    run: Digest
    asset: str
    columns: frozenset[str]
    label_holder: str
    count: int


def load(session: Session, job: str) -> JobSession | None:
    """A job's state, or None where it has not begun here. Raises JobOver."""
    row = raw(session).execute(STATE, (job,)).fetchone()
    if row is None:
        return None
    found, kind, step, state = row
    if kind == OVER:
        raise JobOver(job=job[:16])
    return JobSession(job=Digest(found), kind=kind, step=step, state=state)


def step(session: Session, job: str) -> int | None:
    """How many requests of a job were answered, or None where it has not begun here. Raises JobOver."""
    row = raw(session).execute(STEP, (job,)).fetchone()
    if row is None:
        return None
    if row[0] == OVER:
        raise JobOver(job=job[:16])
    return int(row[1])


def save(session: Session, value: JobSession, now: str) -> None:
    """Keep a job's state. Raises JobOver where the job was ended while its request was computed."""
    if raw(session).execute(SAVE, (value.job, value.kind, value.step, value.state, now)).rowcount == 0:
        raise JobOver(job=value.job[:16])


def check_open(session: Session, job: str) -> None:
    """Raises JobOver where a job was ended while its last request was computed: nothing of it may be kept or leave."""
    step(session, job)


def running(session: Session) -> list[JobSession]:
    rows = session.scalars(select(SessionRow).where(SessionRow.kind != OVER).order_by(SessionRow.job))
    return [JobSession(job=Digest(row.job), kind=row.kind, step=row.step, state=row.state) for row in rows]


def begun(session: Session) -> list[Digest]:
    """Every job that ever began here, running or over."""
    return [Digest(job) for job in session.scalars(select(SessionRow.job).order_by(SessionRow.job))]


def idle(session: Session, before: str) -> list[Digest]:
    """Running jobs of which nothing was heard since then."""
    query = select(SessionRow.job).where(SessionRow.kind != OVER, SessionRow.updated < before)
    return [Digest(job) for job in session.scalars(query)]


def end(session: Session, job: str, now: str) -> None:
    """Delete a job's state with its secrets. It can't begin again here: fresh keys under one job would tell more.

    The whole table is emptied and what stays is written anew: SQLite then overwrites whole pages. Of a single row that
    it deletes it would leave the copies that it made when it moved the row within a page.
    """
    columns = SessionRow.__table__.columns
    others = [dict(row) for row in session.execute(select(*columns).where(SessionRow.job != job)).mappings()]
    over = {"job": job, "kind": OVER, "step": 0, "state": b"", "updated": now}
    session.execute(delete(SessionRow))
    session.execute(insert(SessionRow), [*others, over])
    session.execute(delete(RoundKeyRow).where(RoundKeyRow.job == job))
    forget(session)


def end_if_running(session: Session, job: str, now: str) -> None:
    """End a job that has begun here and is not over; one that has not begun stays as it is."""
    row = session.get(SessionRow, job)
    if row is not None and row.kind != OVER:
        end(session, job, now)


def sequences(session: Session, job: str) -> dict[tuple[str, bool], int]:
    """The number of the next envelope to (outward, True) or from each peer of a job; none yet: 0."""
    found = raw(session).execute(SEQUENCES, (job,))
    return {(peer, bool(outward)): following for peer, outward, following in found}


def set_sequences(session: Session, job: str, following: Mapping[tuple[str, bool], int]) -> None:
    rows = [(job, peer, outward, number) for (peer, outward), number in following.items()]
    raw(session).executemany(SET_SEQUENCE, rows)


def keep_alignment(session: Session, job: str, rows: Sequence[Aligned]) -> None:
    session.execute(delete(AlignedRow).where(AlignedRow.job == job))
    values = [{"job": job, "position": i, "token": row.token, "row_key": row.row_key} for i, row in enumerate(rows)]
    if values:
        session.execute(insert(AlignedRow), values)


def alignment(session: Session, job: str) -> list[Aligned]:
    """The common clients of a match job in the common order; empty where there is none."""
    found = raw(session).execute(ALIGNMENT, (job,))
    return [Aligned(token=ClientToken(token), row_key=key) for token, key in found]


def spent(session: Session, asset: str, columns: Iterable[str], label_holder: str, *, other_than: str) -> int:
    """Score vectors disclosed to this label holder by other runs over any of these columns.

    Every overlap counts: a label holder that varies the columns a little gets no fresh budget.
    """
    wanted = set(columns)
    lines = [line for line in ledger(session) if line.asset == asset and line.label_holder == label_holder]
    return sum(line.count for line in lines if line.run != other_than and line.columns & wanted)


def spend(session: Session, value: Spent, now: str) -> None:
    """Book a run's score vectors before any is shown; a run is booked once."""
    if session.get(ScoreVectorRow, value.run) is None:
        row = ScoreVectorRow(
            run=value.run,
            asset=value.asset,
            columns=canonical.encode([*sorted(value.columns)]),
            label_holder=value.label_holder,
            count=value.count,
            time=now,
        )
        session.add(row)


def spend_more(session: Session, value: Spent, now: str) -> None:
    """Book more vectors of a run that is over; one that had shown none, and stands in no booking, begins one."""
    row = session.get(ScoreVectorRow, value.run)
    if row is None:
        spend(session, value, now)
    else:
        row.count += value.count


def settle(session: Session, run: str, count: int) -> None:
    """Put what a run that is over has shown in the place of its booking, which was of the most that it could show."""
    row = session.get(ScoreVectorRow, run)
    if row is not None and count:
        row.count = min(row.count, count)
    elif row is not None:
        session.delete(row)


def ledger(session: Session) -> list[Spent]:
    """Every booking, oldest first."""
    rows = session.scalars(select(ScoreVectorRow).order_by(ScoreVectorRow.time, ScoreVectorRow.run))
    return [
        Spent(
            run=Digest(row.run),
            asset=row.asset,
            columns=frozenset(_names(row.columns)),
            label_holder=row.label_holder,
            count=row.count,
        )
        for row in rows
    ]


def _names(data: bytes) -> list[str]:
    value = canonical.decode(data)
    assert isinstance(value, list), "columns are stored as a list"
    return [str(name) for name in value]
