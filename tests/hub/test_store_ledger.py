"""The journal in SQL against a plain list of entries, and against hands that change it below the code."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.ledger_errors import PeriodLocked, PeriodPending
from hub.store import Store, Transaction
from hub.store_ledger import LedgerStore, View
from privacy.ids import PartnerId, Period
from revenue_share import accounts, ledger
from revenue_share.errors import EntryTransition
from revenue_share.ledger import Dated, EntryState, JournalEntry
from revenue_share.points_book import Moves
from tests.hub.ledgers import DIALECTS, database

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
PERIODS = tuple(Period(f"2026-{month:02d}") for month in (9, 10, 11, 12))
PARTNERS = tuple(PartnerId(name) for name in ("platform-a", "bank", "insurer"))
FIRST, SECOND = PERIODS[:2]


@pytest.fixture(scope="module", params=DIALECTS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with database(request.param, tmp_path_factory.mktemp("books")) as made:
        yield made


def at(hours: int) -> datetime:
    return BEGIN + timedelta(hours=hours)


def entry(name: str, minor: int = 500, period: Period = SECOND, partner: PartnerId = PARTNERS[0]) -> JournalEntry:
    made = ledger.accrual(name, period, partner, "CNY", minor)
    assert made is not None
    return replace(made, id=name)


# --- random months

AMOUNTS = st.integers(-(10**9), 10**9)
ACCRUALS = st.builds(
    lambda partner, period, asset, total, due, vat, tax: (partner, period, asset, total, due, vat, tax),
    st.sampled_from(PARTNERS),
    st.sampled_from(PERIODS),
    st.sampled_from(["CNY", "HKD"]),
    AMOUNTS,
    AMOUNTS,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accrual"), ACCRUALS),
        st.tuples(st.just("points"), st.tuples(st.sampled_from(PERIODS), st.integers(1, 10**6))),
        st.tuples(st.just("pay"), st.tuples(st.sampled_from(PARTNERS), st.sampled_from(PERIODS), AMOUNTS)),
        st.tuples(st.just("post"), st.integers(0, 40)),
        st.tuples(st.just("void"), st.integers(0, 40)),
        st.tuples(st.just("reverse"), st.tuples(st.integers(0, 40), st.sampled_from(PERIODS))),
        st.tuples(st.just("lock"), st.sampled_from(PERIODS)),
    ),
    min_size=3,
    max_size=40,
)


class Plain:
    """The books as a list, with the rules written once more."""

    def __init__(self) -> None:
        self.journal: list[Dated] = []
        self.locked = ""

    def book(self, made: JournalEntry | None, now: datetime) -> bool:
        if made is None or made.period <= self.locked:
            return False
        self.journal.append(Dated(entry=made, recorded_at=now))
        return True

    def decide(self, index: int, state: EntryState, now: datetime) -> JournalEntry | None:
        found = self.journal[index] if index < len(self.journal) else None
        if found is None or found.entry.state is not EntryState.PENDING:
            return None
        self.journal[index] = replace(found, entry=replace(found.entry, state=state), decided_at=now)
        return found.entry

    def reversal(self, index: int, period: Period) -> JournalEntry | None:
        found = self.journal[index].entry if index < len(self.journal) else None
        taken = {dated.entry.reverses for dated in self.journal}
        if found is None or found.state is not EntryState.POSTED or found.id in taken:
            return None
        return found.reversing(f"reversal-{found.id}", "taken back", period)

    def lock(self, period: Period) -> bool:
        pending = [d for d in self.journal if d.entry.state is EntryState.PENDING and d.entry.period <= period]
        if pending or period <= self.locked:
            return False
        self.locked = period
        return True


def made_of(number: int, kind: str, what: object) -> JournalEntry | None:
    """The entry that a step books; None where it moves nothing."""
    if kind == "points":
        period, count = what  # type: ignore[misc]
        granted = dict.fromkeys(Moves.__slots__, 0) | {"earned": count, "redeemed": count // 3}
        points = Moves(**granted | {"carried_forward": count - count // 3})
        return ledger.accrual(f"{number:064x}", period, PARTNERS[0], "CNY", 0, points=points)
    if kind == "pay":
        partner, period, minor = what  # type: ignore[misc]
        names = (accounts.payable(partner), accounts.bank("transfer"))
        return ledger.transfer(f"pay-{number}", "0" * 64, "payment", period, *names, "CNY", minor) if minor else None
    partner, period, asset, total, due, vat, tax = what  # type: ignore[misc]
    taxes = {"gross_minor": due, "vat_minor": vat, "withheld_minor": tax, "paid_minor": due + vat - tax}
    return ledger.accrual(f"{number:064x}", period, partner, asset, total, **taxes)


def play(books: LedgerStore, steps: list[tuple[str, object]]) -> Plain:
    """Take the steps in the database and in the list; both must take or refuse each."""
    plain = Plain()
    for number, (kind, what) in enumerate(steps):
        now = at(number)
        if kind in ("post", "void"):
            state = EntryState.POSTED if kind == "post" else EntryState.VOIDED
            found = plain.decide(int(what), state, now)  # type: ignore[call-overload]
            if found is not None:
                books.decide_entry(found, state, now)
        elif kind == "lock":
            if plain.lock(what):  # type: ignore[arg-type]
                books.lock(what, "somebody", now)  # type: ignore[arg-type]
            else:
                with pytest.raises((PeriodLocked, PeriodPending)):
                    books.lock(what, "somebody", now)  # type: ignore[arg-type]
        else:
            made = plain.reversal(*what) if kind == "reverse" else made_of(number, kind, what)  # type: ignore[misc]
            if plain.book(made, now):
                books.add_entry(made, now)  # type: ignore[arg-type]
            elif made is not None:
                with pytest.raises(PeriodLocked):
                    books.add_entry(made, now)
    return plain


random_months = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@random_months
@given(steps=STEPS, hour=st.integers(-1, 41), period=st.sampled_from([None, *PERIODS]))
def test_balances_as_of_any_instant_and_period_are_what_the_entries_give(
    store: Store, steps: list[tuple[str, object]], hour: int, period: Period | None
) -> None:
    def body(tx: Transaction) -> None:
        books = LedgerStore(tx.session)
        plain = play(books, steps)
        assert books.journal() == tuple(plain.journal)
        for instant in (None, at(hour)):
            entries = ledger.as_of(plain.journal, instant, period)
            view = View(instant=instant, last=period)
            for state in (EntryState.POSTED, EntryState.PENDING):
                balances = books.balances(view, state)
                assert balances == ledger.trial_balance(entries, frozenset({state}))
                assert sum(item.net_minor for item in balances if item.asset == "CNY") == 0
            one = accounts.payable(PARTNERS[0])
            whole = [item for item in books.balances(view) if item.account == one]
            assert list(books.balances(replace(view, account=one))) == whole

    store.dry_run("test", body)


@random_months
@given(steps=STEPS)
def test_reversing_everything_restores_every_balance(store: Store, steps: list[tuple[str, object]]) -> None:
    def body(tx: Transaction) -> None:
        books = LedgerStore(tx.session)
        plain = play(books, [step for step in steps if step[0] not in ("lock", "reverse")])
        for index, dated in enumerate(plain.journal):
            back = plain.reversal(index, PERIODS[-1])
            if back is not None:
                assert books.post(back, at(100)).reverses == dated.entry.id
        assert all(item.net_minor == 0 for item in books.balances())

    store.dry_run("test", body)


@random_months
@given(steps=STEPS)
def test_the_same_steps_give_the_same_books(store: Store, steps: list[tuple[str, object]]) -> None:
    def body(tx: Transaction) -> tuple[object, ...]:
        books = LedgerStore(tx.session)
        play(books, steps)
        return (*books.journal(), *books.balances(), books.locked())

    assert store.dry_run("test", body) == store.dry_run("test", body)


@random_months
@given(steps=STEPS, most=st.integers(1, 5))
def test_the_newest_entries_of_a_view_are_the_last_ones(
    store: Store, steps: list[tuple[str, object]], most: int
) -> None:
    def body(tx: Transaction) -> None:
        books = LedgerStore(tx.session)
        play(books, steps)
        view = View(first=SECOND, last=PERIODS[2])
        assert books.journal(view, newest=most) == books.journal(view)[-most:]
        assert books.count(view) == len(books.journal(view))

    store.dry_run("test", body)


# --- hands below the code


def kept(tx: Transaction) -> LedgerStore:
    """A locked September with a posted entry; in October one posted, one voided, one pending."""
    books = LedgerStore(tx.session)
    for name, period in (("september", FIRST), ("posted", SECOND), ("voided", SECOND), ("pending", SECOND)):
        books.add_entry(entry(name, period=period), at(0))
    for name, state in (("september", EntryState.POSTED), ("posted", EntryState.POSTED), ("voided", EntryState.VOIDED)):
        books.decide(name, state, at(1))
    books.lock(FIRST, "somebody", at(2))
    return books


NEW = "INSERT INTO journal_entry (id, number, subject, memo, period, state, reverses, created_at, decided_at) "
TRANSFER = "INSERT INTO journal_transfer (entry, transfer_index, debit, credit, asset, amount_minor) "
ATTACKS = {
    "posted-entry-changed": "UPDATE journal_entry SET memo = 'other' WHERE id = 'posted'",
    "posted-entry-unposted": "UPDATE journal_entry SET state = 'PENDING', decided_at = NULL WHERE id = 'posted'",
    "posted-entry-voided": "UPDATE journal_entry SET state = 'VOIDED' WHERE id = 'posted'",
    "voided-entry-posted": "UPDATE journal_entry SET state = 'POSTED' WHERE id = 'voided'",
    "posting-time-moved": "UPDATE journal_entry SET decided_at = created_at WHERE id = 'posted'",
    "pending-entry-moved-to-another-period": "UPDATE journal_entry SET period = '2026-11' WHERE id = 'pending'",
    "pending-entry-without-decision-posted": "UPDATE journal_entry SET state = 'POSTED' WHERE id = 'pending'",
    "entry-deleted": "DELETE FROM journal_entry WHERE id = 'posted'",
    "entry-born-posted": NEW + "VALUES ('new', 9, 's', 'm', '2026-11', 'POSTED', NULL, '2026-11-01', '2026-11-01')",
    "entry-into-a-locked-period": NEW + "VALUES ('new', 9, 's', 'm', '2026-09', 'PENDING', NULL, '2026-11-01', NULL)",
    "entry-into-a-period-before-the-lock": NEW
    + "VALUES ('new', 9, 's', 'm', '2026-01', 'PENDING', NULL, '2026-11-01', NULL)",
    "transfer-changed": "UPDATE journal_transfer SET amount_minor = 1",
    "transfer-deleted": "DELETE FROM journal_transfer WHERE entry = 'pending'",
    "transfer-added-to-a-posted-entry": TRANSFER
    + "VALUES ('posted', 1, 'expense:partner_share', 'liability:payable:platform-a', 'CNY', 1)",
    "transfer-of-nothing": TRANSFER
    + "VALUES ('pending', 1, 'expense:partner_share', 'liability:payable:platform-a', 'CNY', 0)",
    "transfer-of-less-than-nothing": TRANSFER
    + "VALUES ('pending', 1, 'expense:partner_share', 'liability:payable:platform-a', 'CNY', -1)",
    "transfer-to-itself": TRANSFER
    + "VALUES ('pending', 1, 'expense:partner_share', 'expense:partner_share', 'CNY', 1)",
    "transfer-to-no-account": TRANSFER + "VALUES ('pending', 1, 'expense:partner_share', 'tax:vat_in', 'CNY', 1)",
    "transfer-of-an-asset-the-account-does-not-hold": TRANSFER
    + "VALUES ('pending', 1, 'expense:partner_share', 'liability:payable:platform-a', 'POINTS', 1)",
    "account-outside-the-chart": "INSERT INTO account (name, asset) VALUES ('expense:lunch', 'CNY')",
    "account-of-nobody": "INSERT INTO account (name, asset) VALUES ('liability:payable:', 'CNY')",
    "points-on-an-account-of-money": "INSERT INTO account (name, asset) VALUES ('liability:payable:bank', 'POINTS')",
    "money-on-an-account-of-points": "INSERT INTO account (name, asset) VALUES ('points:liability', 'CNY')",
    "account-renamed": "UPDATE account SET name = 'tax:vat_in' WHERE name = 'expense:partner_share'",
    "lock-removed": "DELETE FROM period_lock",
    "lock-moved": "UPDATE period_lock SET period = '2026-08'",
    "lock-before-the-newest": "INSERT INTO period_lock (period, person, locked_at) "
    "VALUES ('2026-08', 'x', '2026-11-01')",
    "lock-over-pending-entries": "INSERT INTO period_lock (period, person, locked_at) "
    "VALUES ('2026-10', 'x', '2026-11-01')",
}  # fmt: skip
REPLACED = {
    "entry-replaced": "INSERT OR REPLACE INTO journal_entry SELECT id, number, subject, 'other', period, 'PENDING', "
    "reverses, created_at, NULL FROM journal_entry WHERE id = 'posted'",
    "number-replaced": "INSERT OR REPLACE INTO journal_entry SELECT 'other', number, subject, memo, period, 'PENDING', "
    "reverses, created_at, NULL FROM journal_entry WHERE id = 'posted'",
    "transfer-replaced": "INSERT OR REPLACE INTO journal_transfer SELECT entry, transfer_index, debit, credit, asset, "
    "9 FROM journal_transfer WHERE entry = 'pending'",
    "account-replaced": "INSERT OR REPLACE INTO account SELECT name, asset FROM account",
    "lock-replaced": "INSERT OR REPLACE INTO period_lock SELECT period, 'other', locked_at FROM period_lock",
}
MERGED = {
    "entry-merged": "INSERT INTO journal_entry SELECT * FROM journal_entry WHERE id = 'posted' "
    "ON CONFLICT (id) DO UPDATE SET memo = 'other'",
    "transfer-merged": "INSERT INTO journal_transfer SELECT * FROM journal_transfer WHERE entry = 'pending' "
    "ON CONFLICT (entry, transfer_index) DO UPDATE SET amount_minor = 9",
    "entries-emptied": "TRUNCATE journal_entry CASCADE",
    "transfers-emptied": "TRUNCATE journal_transfer",
    "locks-emptied": "TRUNCATE period_lock",
}


REFUSALS = (
    "append-only|posted or voided once|begins pending|period is locked|locked in their order"
    "|pending entries is not locked|keeps its rows|(?i:(check|foreign key) constraint)"
)


def attack(store: Store, sql: str) -> None:
    def body(tx: Transaction) -> None:
        kept(tx)
        tx.session.execute(text(sql))

    with pytest.raises(DBAPIError, match=REFUSALS):
        store.dry_run("test", body)


def test_the_books_that_are_attacked_are_kept_by_the_code(store: Store) -> None:
    assert store.dry_run("test", lambda tx: len(kept(tx).entries())) == 4


@pytest.mark.parametrize("name", ATTACKS)
def test_the_database_refuses(store: Store, name: str) -> None:
    attack(store, ATTACKS[name])


@pytest.mark.parametrize("name", [*REPLACED, *MERGED])
def test_the_database_refuses_rows_put_in_the_place_of_others(store: Store, name: str) -> None:
    dialect = "sqlite" if name in REPLACED else "postgresql"
    if store.engine.dialect.name != dialect:
        pytest.skip(f"this statement is of {dialect}")
    attack(store, (REPLACED | MERGED)[name])


@pytest.mark.parametrize("changes", ["less", "other-account", "not-posted"])
def test_a_reversal_takes_back_exactly_what_was_posted(store: Store, changes: str) -> None:
    def body(tx: Transaction) -> None:
        books = kept(tx)
        posted = next(one for one in books.entries() if one.id == "posted")
        back = posted.reversing("back", "taken back", SECOND)
        if changes == "less":
            back = replace(back, postings=tuple(replace(p, amount_minor=p.amount_minor - 1) for p in back.postings))
        if changes == "other-account":
            back = replace(back, postings=(back.postings[0], replace(back.postings[1], account="tax:vat_in")))
        if changes == "not-posted":
            back = replace(back, reverses="pending")
        books.post(back, at(5))

    with pytest.raises(DBAPIError, match="takes back exactly"):
        store.dry_run("test", body)


def test_an_entry_is_decided_once_by_the_code_too(store: Store) -> None:
    def body(tx: Transaction) -> None:
        books = kept(tx)
        posted = next(one for one in books.entries() if one.id == "posted")
        with pytest.raises(EntryTransition):
            books.decide_entry(posted, EntryState.VOIDED, at(5))
        assert books.decide("posted", EntryState.VOIDED, at(5)) == ()

    store.dry_run("test", body)


def test_a_pending_entry_is_not_posted_once_its_period_is_locked(store: Store, tmp_path: Path) -> None:
    def body(tx: Transaction) -> None:
        books = kept(tx)
        with pytest.raises(PeriodPending):
            books.lock(SECOND, "somebody", at(3))
        books.decide("pending", EntryState.VOIDED, at(4))
        books.lock(SECOND, "somebody", at(5))
        assert books.locked() == SECOND
        with pytest.raises(PeriodLocked):
            books.add_entry(entry("late"), at(6))
        assert books.post(entry("later", period=PERIODS[2]), at(6)).state is EntryState.POSTED

    store.dry_run("test", body)
