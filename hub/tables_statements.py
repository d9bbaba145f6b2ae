"""The tables of a statement's life beside the books: who made it and who released it, answers to disputes, adjustments.

All of them only grow. That nobody releases what they made is a constraint here too.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Table, event
from sqlalchemy.orm import Mapped, mapped_column

from hub.tables import DIGEST, PARTNER, STATE, Base, one_of
from hub.triggers_settlement import append_only


class MakerRow(Base):
    """The person who closed the period, by name and personal certificate."""

    __tablename__ = "statement_maker"
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"), primary_key=True)
    person: Mapped[str]
    certificate: Mapped[str] = mapped_column(DIGEST)  # SHA-256 fingerprint
    made_at: Mapped[datetime]


class CheckRow(Base):
    """The person who released a draft to the partners, or rejected it; `maker` again, for the constraint."""

    __tablename__ = "statement_check"
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement_maker.statement"), primary_key=True)
    decision: Mapped[str] = mapped_column(STATE)
    maker: Mapped[str]
    person: Mapped[str]
    certificate: Mapped[str] = mapped_column(DIGEST)
    reason: Mapped[str]
    checked_at: Mapped[datetime]
    __table_args__ = (
        one_of("decision", "released", "rejected"),
        CheckConstraint("decision <> 'released' OR person <> maker", name="four_eyes"),
    )


class AnswerRow(Base):
    """What the other party answered to a dispute, line by line; once."""

    __tablename__ = "dispute_answer"
    dispute: Mapped[str] = mapped_column(DIGEST, ForeignKey("dispute.digest"), primary_key=True)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"))
    document: Mapped[str]
    receipt: Mapped[str]
    received_at: Mapped[datetime]


class AdjustmentRow(Base):
    """An amount the payer signed, to be added to or taken from a coming statement."""

    __tablename__ = "adjustment"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)  # order of arrival
    agreement: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), index=True)
    document: Mapped[str]
    receipt: Mapped[str]
    received_at: Mapped[datetime]


class AdjustmentDecisionRow(Base):
    """The referrer's signed word on an adjustment; only an approved one is taken into a statement."""

    __tablename__ = "adjustment_decision"
    adjustment: Mapped[str] = mapped_column(DIGEST, ForeignKey("adjustment.digest"), primary_key=True)
    decision: Mapped[str] = mapped_column(STATE)
    document: Mapped[str]
    receipt: Mapped[str]
    received_at: Mapped[datetime]
    __table_args__ = (one_of("decision", "approve", "refuse"),)


class AdjustedRow(Base):
    """The statements in which an adjustment stands: one living one at most, since a period has one."""

    __tablename__ = "statement_adjustment"
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"), primary_key=True)
    adjustment: Mapped[str] = mapped_column(DIGEST, ForeignKey("adjustment.digest"), primary_key=True)


class PositionRow(Base):
    """What a statement hands to the next one: its closing position (canonical JSON), named in its body by digest."""

    __tablename__ = "statement_position"
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    value: Mapped[str]


KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "statement_maker": (("statement",),),
    "statement_check": (("statement",),),
    "dispute_answer": (("dispute",),),
    "adjustment": (
        ("digest",),
        ("number",),
    ),
    "adjustment_decision": (("adjustment",),),
    "statement_adjustment": (("statement", "adjustment"),),
    "statement_position": (("statement",),),
}


def guard(table: Table, connection: Any, **_: Any) -> None:
    """The listener that guards a table as it is created."""
    for statement in append_only(connection.dialect.name, table.name, KEYS[table.name]):
        connection.exec_driver_sql(statement)


for _name in KEYS:
    event.listen(Base.metadata.tables[_name], "after_create", guard)
