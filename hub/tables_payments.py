"""The tables of payment and reconciliation. What two people must decide, two people did: a constraint says so.

An order names a statement's payment by its EndToEndId; a statement has one living order, so it is not paid twice, and
the next one only once the last was returned by the bank or released by two people. A bank entry is taken once by its
content, and settles in one match; it stands in suspense, by one journal entry, until the match clears that by another.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, event, text
from sqlalchemy.orm import Mapped, mapped_column

from hub.tables import DIGEST, PARTNER, STATE, Base, one_of
from hub.triggers_payments import GUARDS, guard

CURRENCY = String(3)
ACCOUNT = String(35)
DAY = String(10)
LIVING = "state IN ('ORDERED', 'SETTLED')"
JOURNAL = String(100)
CLEARED = "(cleared_by IS NOT NULL) = (suspended_by IS NOT NULL AND settled_by IS NOT NULL)"
TWO_PEOPLE = "decided_by IS NULL OR decided_by <> proposed_by"


class PaymentDetailsRow(Base):
    """Where a partner is paid, or pays from: entered by one person of finance, approved by another."""

    __tablename__ = "payment_details"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"))
    currency: Mapped[str] = mapped_column(CURRENCY)
    body: Mapped[str]  # canonical JSON
    state: Mapped[str] = mapped_column(STATE)
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("state", "PROPOSED", "ACTIVE", "REPLACED", "REFUSED"),
        CheckConstraint(TWO_PEOPLE, name="four_eyes"),
        CheckConstraint("(state = 'PROPOSED') = (decided_by IS NULL)", name="decided"),
        Index(
            "uq_payment_details_active",
            "partner",
            "currency",
            unique=True,
            sqlite_where=text("state = 'ACTIVE'"),
            postgresql_where=text("state = 'ACTIVE'"),
        ),
    )


class BankFileRow(Base):
    """A bank's file as it came, with what its statements say of themselves."""

    __tablename__ = "bank_file"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)  # SHA-256 of the file
    number: Mapped[int] = mapped_column(unique=True)
    format: Mapped[str] = mapped_column(STATE)
    account: Mapped[str] = mapped_column(ACCOUNT)
    summary: Mapped[str]  # canonical JSON
    data: Mapped[bytes] = mapped_column(deferred=True)  # of up to 2 MiB: a list of files does not read them
    imported_by: Mapped[str]
    imported_at: Mapped[datetime]
    __table_args__ = (one_of("format", "camt.053", "csv"),)


class BankMatchRow(Base):
    """A decision on orders and entries: by a rule, or proposed by one person and approved by another."""

    __tablename__ = "bank_match"
    id: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(STATE)
    rule: Mapped[str] = mapped_column(STATE)
    state: Mapped[str] = mapped_column(STATE)
    body: Mapped[str]  # canonical JSON: orders, entries, reason
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("kind", "PAID", "RETURNED", "RELEASED", "EXPLAINED"),
        one_of("rule", "REFERENCE", "PARTS", "AMOUNT", "SUM", "MANUAL"),
        one_of("state", "PROPOSED", "APPROVED", "REFUSED"),
        CheckConstraint(TWO_PEOPLE, name="four_eyes"),
        CheckConstraint("rule <> 'MANUAL' OR (state = 'PROPOSED') = (decided_by IS NULL)", name="decided"),
        CheckConstraint("rule = 'MANUAL' OR kind IN ('PAID', 'RETURNED')", name="by_rule"),
    )


class BankEntryRow(Base):
    """One booking, named by its content: the same booking in another file is the same row."""

    __tablename__ = "bank_entry"
    id: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    file: Mapped[str] = mapped_column(DIGEST, ForeignKey("bank_file.digest"), index=True)
    row: Mapped[int]
    account: Mapped[str] = mapped_column(ACCOUNT)
    body: Mapped[str]  # canonical JSON
    settled_by: Mapped[str | None] = mapped_column(DIGEST, ForeignKey("bank_match.id"), index=True)
    suspended_by: Mapped[str | None] = mapped_column(JOURNAL, ForeignKey("journal_entry.id"), unique=True)
    cleared_by: Mapped[str | None] = mapped_column(JOURNAL, ForeignKey("journal_entry.id"), unique=True)
    __table_args__ = (CheckConstraint(CLEARED, name="cleared"),)


class PaymentFileRow(Base):
    __tablename__ = "payment_file"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)  # SHA-256 of the file
    period: Mapped[str] = mapped_column(String(7))
    number: Mapped[int]  # of this period, from 1
    data: Mapped[bytes]
    created_at: Mapped[datetime]
    format: Mapped[str] = mapped_column(STATE)
    __table_args__ = (UniqueConstraint("period", "number"), one_of("format", "csv", "pain.001"))


class PaymentOrderRow(Base):
    """One attempt to pay a statement. `account`: ours, `counterparty`: the creditor's; empty where not named."""

    __tablename__ = "payment_order"
    end_to_end_id: Mapped[str] = mapped_column(ACCOUNT, primary_key=True)
    statement: Mapped[str] = mapped_column(DIGEST, ForeignKey("statement.id"))
    attempt: Mapped[int]  # of this statement, from 1
    file: Mapped[str] = mapped_column(DIGEST, ForeignKey("payment_file.digest"))
    creditor: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"))
    currency: Mapped[str] = mapped_column(CURRENCY)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    due: Mapped[str] = mapped_column(DAY)
    account: Mapped[str] = mapped_column(ACCOUNT)
    counterparty: Mapped[str] = mapped_column(ACCOUNT)
    name: Mapped[str]
    details: Mapped[str | None] = mapped_column(DIGEST, ForeignKey("payment_details.digest"))  # the creditor's
    state: Mapped[str] = mapped_column(STATE)
    settled_by: Mapped[str | None] = mapped_column(DIGEST, ForeignKey("bank_match.id"))
    ended_by: Mapped[str | None] = mapped_column(DIGEST, ForeignKey("bank_match.id"))
    payout: Mapped[str | None] = mapped_column(DIGEST, unique=True)  # commitment to the bank's reference
    payout_salt: Mapped[str | None] = mapped_column(DIGEST)
    __table_args__ = (
        one_of("state", "ORDERED", "SETTLED", "RETURNED", "RELEASED"),
        UniqueConstraint("statement", "attempt"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("(payout IS NULL) = (payout_salt IS NULL)", name="payout"),
        CheckConstraint("(state IN ('RETURNED', 'RELEASED')) = (ended_by IS NOT NULL)", name="ended"),
        Index(
            "uq_payment_order_living",
            "statement",
            unique=True,
            sqlite_where=text(LIVING),
            postgresql_where=text(LIVING),
        ),
    )


for _name in GUARDS:
    event.listen(Base.metadata.tables[_name], "after_create", guard)
