"""The node's tables of single scores: what the label holder asked, and what a feature holder gave and counted.

Rows of what was given are only ever added: they are the record of who asked for whom.
"""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_node.tables import Base


class ScoreAskRow(Base):
    """One ask of this node's people, and the score or the refusal that ended it. `client`: as consent is kept."""

    __tablename__ = "score_ask"
    __table_args__ = (CheckConstraint("state IN ('OPEN','ANSWERED','REFUSED')", name="state"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(index=True)
    client: Mapped[bytes] = mapped_column(index=True)
    token: Mapped[str]
    model: Mapped[str]
    person: Mapped[str]
    asked: Mapped[str]
    until: Mapped[str]
    own: Mapped[float]
    state: Mapped[str]
    settled: Mapped[str | None]
    score: Mapped[float | None]
    chance: Mapped[float | None]
    decile: Mapped[int | None]
    changed: Mapped[bool | None]
    consent_until: Mapped[str | None]
    failure: Mapped[bytes | None]


class ScoreGivenRow(Base):
    """What was answered to one ask: the same ask gets the same envelope again, and never another share."""

    __tablename__ = "score_given"
    ask: Mapped[str] = mapped_column(primary_key=True)
    heard: Mapped[bytes]
    run: Mapped[str]
    token: Mapped[str]
    share: Mapped[int]
    envelope: Mapped[bytes]
    time: Mapped[str]


class ScoreSplitRow(Base):
    """An ask that wants the split too; `found` once it is answered (canonical JSON of store_scores.Split)."""

    __tablename__ = "score_split"
    ask: Mapped[str] = mapped_column(primary_key=True)
    found: Mapped[bytes | None]


class ScoreSplitBookingRow(Base):
    """A client's coarse share that a run's label holder learns on one day (UTC); `number` counts all of the run."""

    __tablename__ = "score_split_booking"
    __table_args__ = (UniqueConstraint("run", "number"),)
    run: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(primary_key=True)
    share: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class ScoreBookingRow(Base):
    """A client's share that a run's label holder learns on one day (UTC); `number` counts these from 1."""

    __tablename__ = "score_booking"
    __table_args__ = (UniqueConstraint("run", "day", "number"),)
    run: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(primary_key=True)
    share: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
