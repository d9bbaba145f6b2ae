"""What the books rely on is also refused by the database itself, below all of our code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.exc import IntegrityError

from hub.store_ledger import LedgerStore
from hub.tables import Base
from hub.triggers_settlement import APPEND_ONLY, GUARDED, KEYS
from revenue_share import accounts, ledger
from revenue_share.errors import EntryTransition
from revenue_share.ledger import EntryState, JournalEntry, Posting, Side
from tests.hub.settling import OCTOBER, PAYER, REFERRER, Settling, settling


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Settling]:
    with settling(tmp_path) as made:
        made.report_october()
        yield made


def sql(month: Settling, statement: str, **values: Any) -> None:
    month.hub.store.run("test", lambda tx: tx.session.execute(text(statement), values))


@pytest.fixture
def filled(month: Settling) -> Settling:
    """Every table of settlement has a row."""
    first = month.confirmed()
    month.dispute(first, REFERRER)
    record = month.confirmed()
    month.settle(record)
    month.pass_window()
    month.settle(record)
    month.command("pay", period=OCTOBER)
    return month


def test_what_only_grows_is_neither_changed_nor_removed(filled: Settling) -> None:
    for table in APPEND_ONLY:
        count = filled.hub.store.read(
            "test", lambda tx, t=table: tx.session.execute(text(f"SELECT count(*) FROM {t}")).scalar()
        )
        assert count > 0, table
        column = filled.hub.store.read(
            "test", lambda tx, t=table: tx.session.execute(text(f"SELECT * FROM {t} LIMIT 1")).keys()
        )
        first = next(iter(column))
        for statement in (f"DELETE FROM {table}", f'UPDATE {table} SET "{first}" = "{first}"'):
            with pytest.raises(IntegrityError, match="append-only"):
                sql(filled, statement)


def test_the_triggers_know_every_key_of_a_guarded_table() -> None:
    for name in GUARDED:
        constraints = Base.metadata.tables[name].constraints
        keys = [key for key in constraints if isinstance(key, PrimaryKeyConstraint | UniqueConstraint)]
        assert {tuple(column.name for column in key.columns) for key in keys} == set(KEYS[name]), name


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_entry SET state = 'VOIDED' WHERE state = 'POSTED'",
        "UPDATE journal_entry SET state = 'PENDING' WHERE state = 'POSTED'",
        "UPDATE journal_entry SET subject = 'x'",
        "DELETE FROM journal_entry",
    ],
)
def test_a_posted_entry_stays(filled: Settling, statement: str) -> None:
    with pytest.raises(IntegrityError):
        sql(filled, statement)


@pytest.mark.parametrize(
    ("debit", "credit", "minor"),
    [
        ("expense:partner_share", "expense:partner_share", 1),
        ("expense:partner_share", "tax:vat_in", 0),
        ("expense:partner_share", "tax:vat_in", -1),
        ("expense:partner_share", "tax:vat_in", 10**15 + 1),
    ],
)
def test_a_transfer_that_moves_nothing_or_too_much(month: Settling, debit: str, credit: str, minor: int) -> None:
    month.close()
    (entry,) = month.entries()
    with pytest.raises(IntegrityError):
        sql(
            month,
            "INSERT INTO journal_transfer (entry, transfer_index, debit, credit, asset, amount_minor) "
            "VALUES (:entry, 9, :debit, :credit, 'CNY', :minor)",
            entry=entry.id,
            debit=debit,
            credit=credit,
            minor=minor,
        )


def test_a_second_living_statement_of_a_period(month: Settling) -> None:
    record = month.close()
    copy = (
        "INSERT INTO statement SELECT 'ff' || substr(id, 3), number + 1, agreement, period, state, body, total_salt, "
        "'ff' || substr(anchor, 3), closes_at, created_at, changed_at FROM statement WHERE id = :id"
    )
    with pytest.raises(IntegrityError):
        sql(month, copy, id=record.id)


def test_an_entry_of_many_postings_is_read_back_with_its_balances(month: Settling) -> None:
    record = month.close()
    entry = JournalEntry(
        id="split-1",
        subject=record.id,
        memo="a split",
        period=OCTOBER,
        postings=(
            Posting(account="expense:partner_share", asset="CNY", side=Side.DEBIT, amount_minor=100),
            Posting(account=accounts.payable(REFERRER), asset="CNY", side=Side.CREDIT, amount_minor=60),
            Posting(account=accounts.payable(PAYER), asset="CNY", side=Side.CREDIT, amount_minor=40),
        ),
    )
    month.hub.store.run("test", lambda tx: LedgerStore(tx.session).add_entry(entry, month.hub.now()))
    (found,) = [e for e in month.entries() if e.id == "split-1"]
    pending = frozenset({EntryState.PENDING})
    assert ledger.trial_balance([found], pending) == ledger.trial_balance([entry], pending)


def test_deciding_twice_changes_nothing(month: Settling) -> None:
    record = month.close()

    def decide(state: EntryState) -> int:
        found: int = month.hub.store.run(
            "test", lambda tx: len(LedgerStore(tx.session).decide(record.id, state, month.hub.now()))
        )
        return found

    assert [decide(EntryState.POSTED), decide(EntryState.POSTED), decide(EntryState.VOIDED)] == [1, 0, 0]
    with pytest.raises(EntryTransition):
        month.entries()[0].become(EntryState.VOIDED)
