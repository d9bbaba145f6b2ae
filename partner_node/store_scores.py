"""Repository of single scores: asks of the label holder, answers and day bookings of a feature holder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node.tables import AlignedRow, OutboxRow
from partner_node.tables_scores import (
    ScoreAskRow,
    ScoreBookingRow,
    ScoreGivenRow,
    ScoreSplitBookingRow,
    ScoreSplitRow,
)
from privacy import canonical

OPEN, ANSWERED, REFUSED = "OPEN", "ANSWERED", "REFUSED"
SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What an ask came to. score: log-odds; changed: it is another one than in the run's label matrix."""

    score: float
    chance: float
    decile: int
    changed: bool
    consent_until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a score splits. shares: each feature holder's, in coarse steps; remainder: of their sum, in the score's."""

    shares: Mapping[str, int]
    remainder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One ask. own: this node's own share, in log-odds; split: whether the holders' coarse shares are wanted too."""

    id: str
    run: str
    client: bytes
    token: str
    model: str
    person: str
    asked: str
    until: str
    own: float
    split: bool = False
    state: str = OPEN
    settled: str | None = None
    found: Score | None = None
    found_split: Split | None = None
    failure: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer. heard: the digest of the ask as it came; share: in the plan's steps."""

    ask: str
    heard: bytes
    run: str
    token: str
    share: int
    envelope: bytes
    time: str


# --- at the label holder


def add(session: Session, made: Asked) -> None:
    fields = ("id", "run", "client", "token", "model", "person", "asked", "until", "own", "state")
    session.add(ScoreAskRow(**{name: getattr(made, name) for name in fields}))
    if made.split:
        session.add(ScoreSplitRow(ask=made.id))


def asked(session: Session, ask: str) -> Asked | None:
    row = session.get(ScoreAskRow, ask)
    return _asked(session, row) if row else None


def open_ask(session: Session, run: str, client: bytes, now: str, *, split: bool) -> Asked | None:
    """The ask for this client, with or without the split, that is under way."""
    splits = ScoreAskRow.id.in_(select(ScoreSplitRow.ask))
    query = select(ScoreAskRow).where(ScoreAskRow.client == client, ScoreAskRow.run == run, ScoreAskRow.state == OPEN)
    query = query.where(ScoreAskRow.until > now, splits if split else ~splits)
    row = session.scalars(query.order_by(ScoreAskRow.asked.desc()).limit(1)).first()
    return _asked(session, row) if row else None


def settle(session: Session, ask: str, now: str, outcome: Score | Body, split: Split | None = None) -> None:
    """End an open ask with its score, and the split where one was wanted, or with the head of a failure.

    One that has ended stays as it is.
    """
    row = session.get_one(ScoreAskRow, ask)
    if row.state != OPEN:
        return
    row.settled = now
    if isinstance(outcome, Score):
        row.state = ANSWERED
        for name in Score.__slots__:
            setattr(row, name, getattr(outcome, name))
        if split is not None:
            value: canonical.Value = {"shares": {**split.shares}, "remainder": split.remainder}
            session.get_one(ScoreSplitRow, ask).found = canonical.encode(value)
    else:
        row.state, row.failure = REFUSED, canonical.encode(outcome)


def refused_by_hub(session: Session, request: str) -> Body | None:
    """The failure with which the hub refused a request of this node."""
    query = select(OutboxRow.reply_head).where(OutboxRow.id == request, OutboxRow.state == "REFUSED")
    head = session.scalars(query).first()
    return _object(head) if head else None


def newest(session: Session, run: str | None) -> list[Asked]:
    """The latest asks, of one run where it is named, newest first."""
    query = select(ScoreAskRow).order_by(ScoreAskRow.asked.desc(), ScoreAskRow.id)
    query = query.where(ScoreAskRow.run == run) if run else query
    return [_asked(session, row) for row in session.scalars(query.limit(SHOWN))]


# --- at a feature holder


def row_key(session: Session, alignment: str, token: str) -> bytes | None:
    """The key of the aligned client with this token."""
    query = select(AlignedRow.row_key).where(AlignedRow.job == alignment, AlignedRow.token == token)
    return session.scalars(query).first()


def given(session: Session, ask: str) -> Given | None:
    row = session.get(ScoreGivenRow, ask)
    return Given(**{name: getattr(row, name) for name in Given.__slots__}) if row else None


def answered(session: Session, run: str) -> bool:
    """Whether any ask of a run was answered."""
    return session.scalars(select(ScoreGivenRow.ask).where(ScoreGivenRow.run == run).limit(1)).first() is not None


def give(session: Session, made: Given) -> None:
    session.add(ScoreGivenRow(**{name: getattr(made, name) for name in Given.__slots__}))


def book(session: Session, made: Given, day: str) -> int:
    """Which of the day's bookings of a run this share of this client is; it is booked once."""
    known = session.get(ScoreBookingRow, (made.run, day, made.token, made.share))
    if known is not None:
        return known.number
    number = booked(session, made.run, day) + 1
    session.add(ScoreBookingRow(run=made.run, day=day, token=made.token, share=made.share, number=number))
    return number


def booked(session: Session, run: str, day: str) -> int:
    """How many bookings a day of a run has."""
    query = select(func.max(ScoreBookingRow.number)).where(ScoreBookingRow.run == run, ScoreBookingRow.day == day)
    return session.scalars(query).one() or 0


def split_known(session: Session, made: Given, day: str, share: int) -> bool:
    """Whether this coarse share of this client was booked on this day."""
    return session.get(ScoreSplitBookingRow, (made.run, day, made.token, share)) is not None


def book_split(session: Session, made: Given, day: str, share: int) -> tuple[int, int]:
    """Book a coarse share; (splits booked on the day, and of the whole run), this one with them."""
    row = ScoreSplitBookingRow
    of_run = (session.scalars(select(func.max(row.number)).where(row.run == made.run)).one() or 0) + 1
    session.add(row(run=made.run, day=day, token=made.token, share=share, number=of_run))
    return splits(session, made.run, day), of_run


def splits(session: Session, run: str, day: str) -> int:
    """How many splits are booked on a day of a run."""
    query = select(func.count()).where(ScoreSplitBookingRow.run == run, ScoreSplitBookingRow.day == day)
    return session.scalars(query).one()


def aligned(session: Session, alignment: str) -> int:
    """How many clients an alignment has."""
    return session.scalars(select(func.count()).where(AlignedRow.job == alignment)).one()


def days(session: Session, run: str | None) -> Sequence[tuple[str, str, int]]:
    """(run, day, clients' shares given) of the latest days, newest first."""
    query = select(ScoreBookingRow.run, ScoreBookingRow.day, func.max(ScoreBookingRow.number))
    query = query.where(ScoreBookingRow.run == run) if run else query
    query = query.group_by(ScoreBookingRow.run, ScoreBookingRow.day).order_by(ScoreBookingRow.day.desc())
    return [(job, day, count) for job, day, count in session.execute(query.limit(SHOWN))]


def _asked(session: Session, row: ScoreAskRow) -> Asked:
    found = None
    if row.state == ANSWERED:
        found = Score(**{name: getattr(row, name) for name in Score.__slots__})
    fields = ("id", "run", "client", "token", "model", "person", "asked", "until", "own", "state", "settled")
    failure = _object(row.failure) if row.failure else None
    values = {name: getattr(row, name) for name in fields}
    wanted = session.get(ScoreSplitRow, row.id)
    split = _split(wanted.found) if wanted and wanted.found else None
    return Asked(**values, split=wanted is not None, found=found, found_split=split, failure=failure)


def _split(data: bytes) -> Split:
    value: Any = _object(data)
    return Split(shares=value["shares"], remainder=value["remainder"])


def _object(data: bytes) -> Body:
    value = canonical.decode(data)
    assert isinstance(value, dict), "heads are stored as objects"
    return value
