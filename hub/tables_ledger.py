"""The tables of the journal. What the books promise is a constraint or a trigger here, below all of our code.

A journal entry is a set of transfers: a debited account, a credited account, one asset, one positive amount. So no row
and no set of rows can be out of balance in any asset, at any instant, on any database: a sum over postings would need a
deferred check, which SQLite does not have. An account is bound to its asset by a foreign key of both: points can't be
booked on an account of money, nor money on one of points.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, event
from sqlalchemy.orm import Mapped, mapped_column

from hub.tables import DIGEST, STATE, Base, one_of
from hub.triggers_ledger import KEYS, guard
from revenue_share.accounts import CHART, AccountClass

PERIOD = String(7)
ACCOUNT = String(80)
ASSET = String(10)


def _in_class(one: AccountClass) -> str:
    """SQL: whether a name is in a class of the chart."""
    if not one.each:
        return f"name = '{one.name}'"
    return f"(substr(name, 1, {len(one.name) + 1}) = '{one.name}:' AND length(name) > {len(one.name) + 1})"


IN_CHART = " OR ".join(map(_in_class, CHART))
OWN_ASSET = "(substr(name, 1, 7) = 'points:') = (asset = 'POINTS')"


class AccountRow(Base):
    """An account with an asset it may hold; made when the first entry names it."""

    __tablename__ = "account"
    name: Mapped[str] = mapped_column(ACCOUNT, primary_key=True)
    asset: Mapped[str] = mapped_column(ASSET, primary_key=True)
    __table_args__ = (CheckConstraint(IN_CHART, name="chart"), CheckConstraint(OWN_ASSET, name="asset"))


class EntryRow(Base):
    """`created_at`: recorded; `decided_at`: posted or voided."""

    __tablename__ = "journal_entry"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    subject: Mapped[str] = mapped_column(DIGEST, index=True)
    memo: Mapped[str]
    period: Mapped[str] = mapped_column(PERIOD)
    state: Mapped[str] = mapped_column(STATE)
    reverses: Mapped[str | None] = mapped_column(ForeignKey("journal_entry.id"), unique=True)  # reversed at most once
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("state", "PENDING", "POSTED", "VOIDED"),
        CheckConstraint("(state = 'PENDING') = (decided_at IS NULL)", name="decided"),
        Index("ix_journal_entry_period", "period", "state"),
    )


class TransferRow(Base):
    __tablename__ = "journal_transfer"
    entry: Mapped[str] = mapped_column(ForeignKey("journal_entry.id"), primary_key=True)
    index: Mapped[int] = mapped_column("transfer_index", primary_key=True, autoincrement=False)
    debit: Mapped[str] = mapped_column(ACCOUNT)
    credit: Mapped[str] = mapped_column(ACCOUNT)
    asset: Mapped[str] = mapped_column(ASSET)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (
        CheckConstraint("amount_minor > 0 AND amount_minor <= 1000000000000000", name="amount"),
        CheckConstraint("debit <> credit", name="accounts"),
        ForeignKeyConstraint(["debit", "asset"], ["account.name", "account.asset"], name="fk_transfer_debit"),
        ForeignKeyConstraint(["credit", "asset"], ["account.name", "account.asset"], name="fk_transfer_credit"),
    )


class PeriodLockRow(Base):
    """A locked period, and with it every one before: no entry is dated into it any more."""

    __tablename__ = "period_lock"
    period: Mapped[str] = mapped_column(PERIOD, primary_key=True)
    person: Mapped[str]
    locked_at: Mapped[datetime]


for _name in KEYS:
    event.listen(Base.metadata.tables[_name], "after_create", guard)
