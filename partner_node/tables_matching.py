"""The node's tables of matching's guards: what was entered towards whom, alarms, refusals. Nothing is ever deleted."""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_node.tables import Base


class MatchEntryRow(Base):
    """One match towards one partner, booked with the first message that leaves for it.

    `added`: digests (8 bytes each) of own ids that were never entered towards this partner from this asset before.
    All `added` in order number these ids; `members` says by one bit for each of them which this match entered.
    """

    __tablename__ = "match_entry"
    __table_args__ = (UniqueConstraint("job", "partner"),)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job: Mapped[str]
    partner: Mapped[str] = mapped_column(index=True)
    asset: Mapped[str]
    among: Mapped[str]  # ids of the parties whose common clients its result is about, ascending: two, or all of the job
    named: Mapped[bool] = mapped_column(default=False)  # its result said who they are, not only how many
    month: Mapped[str]  # of the booking, UTC, such as 2026-10
    own: Mapped[int]  # distinct own ids entered
    peer: Mapped[int]  # distinct ids that the partner committed to
    slots: Mapped[int]  # ids that the job's sizes let the partner test here: what is counted, not what it says
    time: Mapped[str]
    added: Mapped[bytes]
    members: Mapped[bytes]


class MatchAlarmRow(Base):
    """A share of common clients outside the limits. It stands until a person clears it."""

    __tablename__ = "match_alarm"
    __table_args__ = (UniqueConstraint("job", "partner"),)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job: Mapped[str]
    partner: Mapped[str]
    kind: Mapped[str]  # "high" | "low"
    percent: Mapped[int | None]  # None where the count was below the job's minimum
    time: Mapped[str]
    cleared: Mapped[str | None]
    person: Mapped[str | None]
    reason: Mapped[str | None]


class MatchRefusalRow(Base):
    """A match that this node ended or did not begin, and why: one row a job and code, however often it was tried."""

    __tablename__ = "match_refusal"
    job: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    partners: Mapped[str]
    en: Mapped[str]
    zh: Mapped[str]
    first: Mapped[str]
    last: Mapped[str]
    times: Mapped[int]


class EpochRow(Base):
    """A key epoch of mode cached at this side. The row stays when its secret has gone: it is the epoch's record.

    `room` fills the part of a row that lies in pages where SQLite leaves copies, as in `tables.RoundKeyRow`: `secret`
    must stay the last column.
    """

    __tablename__ = "match_epoch"
    __table_args__ = (CheckConstraint("side IN ('sender','receiver')", name="side"),)
    line: Mapped[str] = mapped_column(primary_key=True)  # digest of parties, assets, kind of id and purpose
    number: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str]
    peer: Mapped[str]
    asset: Mapped[str]  # this side's
    purpose: Mapped[str]
    terms: Mapped[bytes]  # canonical JSON of `cached.Terms`
    spent: Mapped[int]  # evaluations that jobs were promised, or made for
    size: Mapped[int]  # a sender's: clients in its lists; a receiver's: masks it holds
    job: Mapped[str]  # that began last
    since: Mapped[str]
    ended: Mapped[str | None]
    why: Mapped[str | None]  # match_epoch_store.WHYS
    person: Mapped[str | None]
    room: Mapped[bytes]
    # SenderEpoch.dump or ReceiverEpoch.head; empty once ended. Megabytes: read by who asks for it, not with every look
    secret: Mapped[bytes] = mapped_column(deferred=True)


class EpochMasksRow(Base):
    """One message of a receiver's masks. They go with the epoch; `room` as above."""

    __tablename__ = "match_epoch_masks"
    line: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    room: Mapped[bytes]
    masks: Mapped[bytes]
