"""The tables of settlement. What the books promise is also a constraint or a trigger here.

Lines, reports and signatures can't be changed, removed or replaced; a statement keeps its content and follows its table
of states. The journal's tables are in `hub.tables_ledger`.
"""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.tables import DIGEST, PARTNER, STATE, Base, one_of
from hub.triggers_settlement import GUARDED, guard

PERIOD = String(7)
STATES = ("DRAFT", "PROPOSED", "DISPUTED", "FINAL", "PAID", "ACKED", "VOID")
ENDED = "state = 'VOID'"
OF_ONE = (
    "(kind = 'anchor') = (statement IS NULL) AND (kind = 'anchor') = (log IS NOT NULL) "
    "AND (log IS NULL) = (size IS NULL)"
)


class ReportRow(Base):
    """A signed report of referrals or events, with the hub's receipt for it."""

    __tablename__ = "report"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)  # order of arrival
    kind: Mapped[str] = mapped_column(STATE)
    agreement: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), index=True)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"))
    period: Mapped[str] = mapped_column(PERIOD)  # empty for referrals
    document: Mapped[str]
    receipt: Mapped[str]
    received_at: Mapped[datetime]
    __table_args__ = (one_of("kind", "referrals", "events"),)


class ReferredRow(Base):
    """A token is referred once under an agreement."""

    __tablename__ = "referred"
    agreement: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    token: Mapped[str] = mapped_column(String(32), primary_key=True)
    report: Mapped[str] = mapped_column(DIGEST, ForeignKey("report.digest"))


class ReportedEventRow(Base):
    """An event is reported once under an agreement."""

    __tablename__ = "reported_event"
    agreement: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    event: Mapped[str] = mapped_column(String(64), primary_key=True)
    report: Mapped[str] = mapped_column(DIGEST, ForeignKey("report.digest"))


class StatementRow(Base):
    __tablename__ = "statement"
    id: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)  # order of drafting
    agreement: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"))
    period: Mapped[str] = mapped_column(PERIOD, index=True)
    state: Mapped[str] = mapped_column(STATE)
    body: Mapped[str]  # canonical JSON
    total_salt: Mapped[str] = mapped_column(DIGEST)
    anchor: Mapped[str] = mapped_column(DIGEST, unique=True)  # EIP-712 digest: its name on the chain
    closes_at: Mapped[datetime | None]  # end of the dispute window, from the chain
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    __table_args__ = (
        one_of("state", *STATES),
        # one living statement for an agreement and period
        Index(
            "uq_statement_living",
            "agreement",
            "period",
            unique=True,
            sqlite_where=text(f"NOT ({ENDED})"),
            postgresql_where=text(f"NOT ({ENDED})"),
        ),
    )


class LineRow(Base):
    __tablename__ = "statement_line"
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"), primary_key=True)
    index: Mapped[int] = mapped_column("line_index", primary_key=True, autoincrement=False)
    line: Mapped[str]  # canonical JSON
    salt: Mapped[str] = mapped_column(DIGEST)


class ConfirmationRow(Base):
    """A party's EIP-712 signature, inside the document its node signed; at most one a party."""

    __tablename__ = "confirmation"
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"), primary_key=True)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"), primary_key=True)
    signature: Mapped[str] = mapped_column(String(132))  # 0x and 65 bytes
    document: Mapped[str]
    receipt: Mapped[str]
    received_at: Mapped[datetime]


class DisputeRow(Base):
    __tablename__ = "dispute"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"), index=True)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"))
    document: Mapped[str]
    receipt: Mapped[str]
    received_at: Mapped[datetime]


class IntentRow(Base):
    """A chain transaction: stored signed before it is sent; its outcome stored with its consequences.

    It is a step of a statement, or hands in a checkpoint, which `log` and `size` name.
    """

    __tablename__ = "chain_intent"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(STATE)
    statement: Mapped[str | None] = mapped_column(DIGEST, ForeignKey("statement.id"))
    log: Mapped[str | None] = mapped_column(STATE)
    size: Mapped[int | None]
    sender: Mapped[str] = mapped_column(String(42))
    nonce: Mapped[int] = mapped_column(BigInteger)
    raw: Mapped[bytes]
    transaction: Mapped[str] = mapped_column(String(66), unique=True)
    state: Mapped[str] = mapped_column(STATE)
    error: Mapped[str] = mapped_column(default="")
    block: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("kind", "propose", "finalise", "dispute", "pay", "acknowledge", "anchor"),
        one_of("state", "OPEN", "DONE", "FAILED"),
        CheckConstraint(OF_ONE, name="subject"),
        ForeignKeyConstraint(["log", "size"], ["checkpoint.log", "checkpoint.size"]),
        # a step of a statement is under way or done once; a failed one may be tried again under the same nonce
        Index(
            "uq_chain_intent_step",
            "statement",
            "kind",
            unique=True,
            sqlite_where=text("state <> 'FAILED'"),
            postgresql_where=text("state <> 'FAILED'"),
        ),
        Index(
            "uq_chain_intent_nonce",
            "sender",
            "nonce",
            unique=True,
            sqlite_where=text("state <> 'FAILED'"),
            postgresql_where=text("state <> 'FAILED'"),
        ),
    )


for _name in GUARDED:
    event.listen(Base.metadata.tables[_name], "after_create", guard)
