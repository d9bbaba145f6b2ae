"""The node's tables of settlement: reports it signed or received, statements it checked."""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from partner_node.tables import Base


class ReportRow(Base):
    """A signed report: this node's own, or at the payer's node the referrer's."""

    __tablename__ = "settlement_report"
    __table_args__ = (CheckConstraint("kind IN ('referrals','events')", name="kind"),)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    agreement: Mapped[str] = mapped_column(index=True)
    period: Mapped[str]  # empty for referrals
    document: Mapped[bytes]
    time: Mapped[str]


class StatementRow(Base):
    """A statement as disclosed, what this node's own computation says of it, and what its person decided."""

    __tablename__ = "statement"
    __table_args__ = (
        CheckConstraint("verdict IN ('matches','differs')", name="verdict"),
        CheckConstraint("decision IN ('','confirmed','disputed')", name="decision"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    agreement: Mapped[str] = mapped_column(index=True)
    period: Mapped[str]
    sequence: Mapped[int]
    anchor: Mapped[str]  # EIP-712 digest; empty where the body has none
    body: Mapped[bytes]
    lines: Mapped[bytes]  # canonical JSON list, as disclosed
    verdict: Mapped[str]
    differences: Mapped[bytes]  # canonical JSON list
    decision: Mapped[str] = mapped_column(default="")
    person: Mapped[str] = mapped_column(default="")
    decided: Mapped[str] = mapped_column(default="")
    document: Mapped[bytes | None]  # the signed confirmation or dispute
    state: Mapped[str]  # as the hub last told
    transactions: Mapped[bytes]  # canonical JSON list of chain transactions
    received: Mapped[str]


class DisputeRow(Base):
    """A dispute of a statement, by this node or shown to it, with the other party's answer."""

    __tablename__ = "settlement_dispute"
    digest: Mapped[str] = mapped_column(primary_key=True)
    statement: Mapped[str] = mapped_column(ForeignKey("statement.id"), index=True)
    document: Mapped[bytes]
    answer: Mapped[bytes | None]
    time: Mapped[str]


class AdjustmentRow(Base):
    """An adjustment that this node signed or was shown, with the referrer's decision."""

    __tablename__ = "settlement_adjustment"
    digest: Mapped[str] = mapped_column(primary_key=True)
    agreement: Mapped[str] = mapped_column(index=True)
    document: Mapped[bytes]
    decision: Mapped[bytes | None]
    time: Mapped[str]


class PositionRow(Base):
    """The position that a statement hands on, as this node computed it itself from a statement that it matched."""

    __tablename__ = "statement_position"
    statement: Mapped[str] = mapped_column(ForeignKey("statement.id"), primary_key=True)
    value: Mapped[bytes]  # canonical JSON
