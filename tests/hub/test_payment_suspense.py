"""Suspense: what is open at the bank stands in the books, until its match takes it out; after any order of events."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from ecowire import codec_payout, evidence
from hub import bank_import, payment_evidence, payment_manual, payment_suspense, settlement_evidence
from hub.payment_errors import MatchInvalid
from hub.payment_suspense import PLACES, signed
from hub.store_bank import BankStore
from hub.store_ledger import LedgerStore
from privacy import canonical
from privacy.ids import Period
from revenue_share import accounts
from revenue_share.ledger import EntryState, JournalEntry
from sandbox.examine import bank, payments
from sandbox.examine.case import Case, Leaf
from sandbox.examine.findings import Sheet
from tests.hub.ledgers import POSTGRES, empty
from tests.hub.paying import OCTOBER, PAYABLE, Booked, Paying, booked, paying
from tests.hub.settling import CAI, REFERRER

BOTH = ["", pytest.param(POSTGRES, marks=pytest.mark.skipif(not POSTGRES, reason="ECOHUB_TEST_POSTGRES names none"))]
FEE = Booked(minor=250, bank_reference="FEE", account="", name="Bank")


@pytest.fixture(params=BOTH, ids=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Paying]:
    if request.param:
        empty(request.param)
    with paying(tmp_path, **({"database": request.param} if request.param else {})) as made:
        yield made


def everything(books: Paying) -> Any:
    """What the journal, the bank's entries and the matches are now."""
    return books.read(
        lambda tx: (LedgerStore(tx.session).entries(), BankStore(tx.session).entries(), BankStore(tx.session).matches())
    )


def explain(books: Paying, place: str, *entries: str) -> str:
    made = books.do("match.propose", kind="EXPLAINED", entries=[*entries], to=place, reason="seen")
    return str(made["match"])


def open_entries(books: Paying) -> list[str]:
    return [one.id for one in books.read(lambda tx: BankStore(tx.session).entries(unsettled=True))]


# --- one entry


def test_what_nobody_ordered_stands_in_suspense_until_it_is_explained(books: Paying) -> None:
    books.bank(FEE)
    assert (books.at_bank(), books.in_suspense()) == (0, 0)  # before `reconcile` nobody looked at it
    for _ in range(2):
        assert books.do("reconcile")["suspense"] == {"CNY": -250}
        assert (books.at_bank(), books.in_suspense()) == (-250, -250)
    (entry,) = open_entries(books)
    match = explain(books, "charges", entry)
    assert books.in_suspense() == -250  # not before the second person
    books.run(CAI, "match.decide", match=match, decision="approve")
    assert (books.at_bank(), books.in_suspense(), books.balance(accounts.BANK_CHARGES)) == (-250, 0, 250)
    kept = {one.id: one for one in books.month.entries() if one.id.endswith(entry)}
    assert [*kept] == [f"suspense-{entry}", f"cleared-{entry}", f"explained-{entry}"]
    assert kept[f"cleared-{entry}"].reverses == f"suspense-{entry}"
    assert {(one.period, one.state) for one in kept.values()} == {("2026-11", EntryState.POSTED)}
    assert books.do("reconcile")["suspense"] == {}
    assert len(books.month.entries()) == 3


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("side", ["DBIT", "CRDT"])
def test_what_is_explained_goes_where_two_people_say(tmp_path: Path, place: str, side: str) -> None:
    with paying(tmp_path) as books:
        books.bank(Booked(minor=900, side=side, account=""))
        (entry,) = open_entries(books)
        books.run(CAI, "match.decide", match=explain(books, place, entry), decision="approve")  # never in suspense
        minor = 900 if side == "CRDT" else -900
        assert (books.at_bank(), books.balance(PLACES[place]), books.in_suspense()) == (minor, -minor, 0)
        assert len(books.month.entries()) == 1


@pytest.mark.parametrize("place", [None, "elsewhere", "liability:payable:platform-a", ["charges"]])
def test_explained_money_has_a_place_of_the_list(tmp_path: Path, place: Any) -> None:
    with paying(tmp_path) as books:
        books.bank(FEE)
        with pytest.raises(MatchInvalid, match="charges, interest, outside"):
            books.do("match.propose", kind="EXPLAINED", entries=open_entries(books), to=place, reason="fee")


def test_a_payment_has_no_place_but_its_own(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account="", name=""), FEE)
    entries = open_entries(books)[:1]
    with pytest.raises(MatchInvalid, match="EXPLAINED, and no other"):
        books.do(
            "match.propose", kind="PAID", orders=[order.end_to_end_id], entries=entries, to="charges", reason="paid"
        )


def test_a_rule_takes_out_of_suspense_what_it_can_tell_later(books: Paying) -> None:
    """A partial debit waits in suspense; with its other part the two are the order's payment."""
    order = books.ordered()
    books.bank(booked(order, minor=6000))
    books.do("reconcile")
    assert (books.owed(), books.in_suspense()) == (PAYABLE, -6000)
    books.bank(booked(order, minor=673, bank_reference="BANKREF-2"), opening=3_000_000)
    found: Any = books.do("reconcile")
    assert [one["rule"] for one in found["matched"]] == ["PARTS"]
    assert (books.owed(), books.at_bank(), books.in_suspense()) == (0, -PAYABLE, 0)


def test_each_month_has_at_the_bank_what_the_bank_booked_in_it(books: Paying) -> None:
    """A month that was locked keeps its suspense; what is said of it later is dated into the open month."""
    books.bank(FEE)
    books.do("reconcile")
    books.days_pass(30)
    books.month.command("lock", period="2026-11")
    (entry,) = open_entries(books)
    books.run(CAI, "match.decide", match=explain(books, "outside", entry), decision="approve")
    periods = {one.id.split("-")[0]: one.period for one in books.month.entries()}
    assert periods == {"suspense": "2026-11", "cleared": "2026-12", "explained": "2026-12"}
    assert (books.at_bank(), books.in_suspense(), books.balance(accounts.OUTSIDE)) == (-250, 0, 250)


def test_a_month_that_is_locked_by_a_clock_ahead_of_the_banks_stops_nothing(books: Paying) -> None:
    """It is over in Auckland; in Shanghai it is still the month of the bank's day."""
    now = books.month.hub.clock.now
    books.bank(FEE)
    books.month.hub.store.run("test", lambda tx: LedgerStore(tx.session).lock(Period("2026-11"), "fei", now))
    books.do("reconcile")
    assert [one.period for one in books.month.entries()] == ["2026-12"]


def test_what_was_explained_before_it_had_a_place_gets_one_once(books: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    books.bank(FEE)
    (entry,) = open_entries(books)

    def settle_alone(tx: Any, match: Any, entries: Any, now: Any) -> None:
        BankStore(tx.session).settle_entries(match.entries, match.id, {})

    with monkeypatch.context() as before:
        before.setattr(payment_manual, "_account", lambda kind, place: "")
        before.setattr(payment_suspense, "explain", settle_alone)
        books.run(CAI, "match.decide", match=explain(books, "charges", entry), decision="approve")
    assert (books.at_bank(), books.booked_by_bank()) == (0, -250)
    for _ in range(2):
        books.do("reconcile")
        assert (books.at_bank(), books.balance(accounts.OUTSIDE), books.in_suspense()) == (-250, 250, 0)
    assert not recomputed(books)[0].findings


@pytest.mark.parametrize("explained", [False, True])
def test_a_zero_that_an_older_import_kept_stops_nothing(tmp_path: Path, explained: bool) -> None:
    """A note of the bank's: the others are booked, it never is, and whoever explains it does."""
    with paying(tmp_path) as books:
        with pytest.MonkeyPatch.context() as before:
            before.setattr(bank_import._Intake, "fresh", with_a_zero(bank_import._Intake.fresh))
            books.bank(FEE)
        zero = next(one.id for one in books.read(lambda tx: BankStore(tx.session).entries()) if not signed(one))
        if explained:
            books.run(CAI, "match.decide", match=explain(books, "charges", zero), decision="approve")
        assert books.do("reconcile")["suspense"] == {"CNY": -250}
        if not explained:
            books.run(CAI, "match.decide", match=explain(books, "charges", zero), decision="approve")
        assert (books.at_bank(), books.in_suspense(), books.balance(accounts.BANK_CHARGES)) == (-250, -250, 0)
        assert not recomputed(books)[0].findings


def with_a_zero(fresh: Any) -> Any:
    """One more entry of the statement, of nothing."""

    def taken(self: Any, statement: Any) -> Any:
        (one,) = fresh(self, statement)
        return [one, replace(one, id="0" * 64, row=2, value={**one.value, "amount_minor": 0})]

    return taken


# --- the database itself


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bank_entry SET settled_by = (SELECT id FROM bank_match LIMIT 1) WHERE settled_by IS NULL",
        "UPDATE bank_entry SET cleared_by = suspended_by WHERE settled_by IS NULL",
        "UPDATE bank_entry SET suspended_by = NULL WHERE settled_by IS NULL",
        "UPDATE bank_entry SET suspended_by = 'suspense-of-nothing' WHERE suspended_by IS NULL",
        "UPDATE bank_entry SET suspended_by = (SELECT suspended_by FROM bank_entry WHERE settled_by IS NULL)",
        "INSERT INTO account (name, asset) VALUES ('expense:party', 'CNY')",
    ],
)
def test_the_database_settles_nothing_that_stands_in_suspense(books: Paying, statement: str) -> None:
    order = books.ordered()
    books.bank(booked(order), FEE)
    books.do("reconcile")
    before = everything(books)
    with pytest.raises(DBAPIError):
        books.month.hub.store.run("test", lambda tx: tx.session.execute(text(statement)))
    assert everything(books) == before


# --- whatever comes


class Dead(Exception):
    """The program ended here."""


@contextmanager
def dying(books: Paying, after: int) -> Iterator[None]:
    """The program ends before its statement of this number."""
    left = [after]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Dead

    engine = books.month.hub.store.engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


class Months:
    """Random files, matches and deaths. After each step the two accounts are what the bank's entries say."""

    def __init__(self, books: Paying, seed: int) -> None:
        self.books, self.random, self.number = books, random.Random(seed), 0
        self.order = books.ordered()

    def step(self) -> None:
        steps = {self.file: 3, self.reconcile: 3, self.explain: 4, self.parts: 1, self.pay: 1, self.days: 1}
        self.random.choices([*steps], weights=[*steps.values()])[0]()
        self.check()

    def file(self) -> None:
        order = self.books.order(self.books.month.record(self.order.statement))
        several = [self.entry(order) for _ in range(self.random.randint(1, 4))]
        self.number += 1
        self.books.bank(*several, opening=10_000_000 * self.number)

    def entry(self, order: Any) -> Booked:
        self.number += 1
        day = self.random.choice(["2026-10-31", "2026-11-03", "2026-11-12", "2026-12-01"])
        told = {"bank_reference": f"B{self.number}", "booked": day}
        kind = self.random.choice(["paid", "part", "rest", "back", "fee", "fee", "other"])
        if kind == "back":
            kept = self.random.choice([0, 0, 500])
            back = {"side": "CRDT", "return_reason": "AC04", "minor": PAYABLE - kept, "charge": kept}
            return booked(order, **told | back)
        if kind in ("paid", "part", "rest"):
            return booked(order, **told | {"minor": {"paid": PAYABLE, "part": 6000, "rest": 673}[kind]})
        minor = self.random.randint(1, 9999)
        return Booked(minor=minor, account="", name="", side=self.random.choice(["DBIT", "CRDT"]), **told)

    def reconcile(self) -> None:
        self.dies(lambda: self.books.do("reconcile"))
        assert self.books.at_bank() == self.books.booked_by_bank()
        assert self.books.in_suspense() == self.books.booked_by_bank(unsettled=True)

    def explain(self) -> None:
        held = {name for one in everything(self.books)[2] if one.state == "PROPOSED" for name in one.entries}
        free = [name for name in open_entries(self.books) if name not in held]
        if free:
            chosen = self.random.sample(free, min(len(free), self.random.randint(1, 2)))
            match = explain(self.books, self.random.choice(sorted(PLACES)), *chosen)
            decision = self.random.choice(["approve", "approve", "approve", "refuse", ""])
            if decision:
                self.dies(lambda: self.books.run(CAI, "match.decide", match=match, decision=decision))

    def parts(self) -> None:
        """The order in two debits, which a rule puts together once both are there."""
        order, self.number = self.books.order(self.books.month.record(self.order.statement)), self.number + 2
        for place, minor in enumerate((6000, PAYABLE - 6000)):
            part = booked(order, minor=minor, bank_reference=f"P{self.number + place}")
            self.books.bank(part, opening=10_000_000 * self.number + place)
            self.reconcile()

    def pay(self) -> None:
        self.books.do("pay", period=OCTOBER, format="pain.001")

    def days(self) -> None:
        self.books.days_pass(self.random.randint(5, 20))
        locked = self.books.read(lambda tx: LedgerStore(tx.session).locked())
        if f"{self.books.month.hub.clock.now:%Y-%m}" >= "2026-12" and locked is None:
            self.books.month.command("lock", period="2026-11")

    def dies(self, run: Callable[[], Any]) -> None:
        """Do it, dead once or more on the way: what was begun is not there, what is done is done once."""
        for after in sorted(self.random.sample(range(60), 2)):
            before = everything(self.books)
            try:
                with dying(self.books, after):
                    run()
                return
            except Dead:
                assert everything(self.books) == before
        run()

    def check(self) -> None:
        _, entries, _ = everything(self.books)
        standing = [one for one in entries if one.settled_by or one.suspended_by]
        assert self.books.at_bank() == sum(map(signed, standing))
        assert self.books.in_suspense() == sum(signed(one) for one in standing if not one.settled_by)
        found = self.books.read(lambda tx: LedgerStore(tx.session).balances())
        assert sum(one.net_minor for one in found) == 0


def recomputed(books: Paying) -> tuple[Sheet, dict[str, JournalEntry], int]:
    """The examiner's findings on these books' bundle, the journal entries it expects, how many bank entries held."""
    found = books.read(settlement_evidence.entries)
    bundle = evidence.Bundle(alliance="", period=OCTOBER, entries=found, damages=(), exact=True)
    trust: Any = None  # of no part in these checks
    kept = books.read(lambda tx: tx.evidence.leaves(kind=bank.IMPORTED))
    leaves: Any = [Leaf(where="", data=one.data, value=canonical.decode(one.data)) for one in kept]
    case, paid = Case(bundle=bundle, trust=trust, sheet=Sheet(), leaves=leaves), payments.Paid()
    for line in evidence.lines(found.get(payments.NAME, b"")):
        record: Any = canonical.decode(line)
        signs = {True: -1, False: 1}
        told = {one["entry"]: (record["match"], signs[one["debit"]] * one["amount_minor"]) for one in record["entries"]}
        paid.entries |= told
        payments._journal(paid, record, codec_payout.from_value(record["payout"]), REFERRER)
    told_balances = bank.check(case, paid)
    stood = {
        (one.account, one.asset): one.net_minor for one in books.read(lambda tx: LedgerStore(tx.session).balances())
    }
    bank.compare(case, stood, told_balances)
    bank.check_imports(case)
    return case.sheet, paid.journal, case.sheet.held["bank entries"]


def moves(entry: JournalEntry) -> list[tuple[str, str, int]]:
    return sorted((one.account, one.asset, one.signed_minor) for one in entry.postings)


@pytest.mark.parametrize("seed", range(12))
def test_suspense_is_what_is_open_and_the_bank_is_what_it_says(books: Paying, seed: int) -> None:
    months = Months(books, seed)
    for _ in range(30):
        months.step()
    months.reconcile()
    months.check()
    assert months.books.booked_by_bank() != 0
    sheet, expected, held = recomputed(books)
    assert not sheet.findings and held == len(everything(books)[1])
    kept = {one.id: one for one in books.month.entries() if not one.id.startswith("accrual-")}
    assert kept.keys() == expected.keys()
    for name, made in expected.items():
        assert (moves(kept[name]), kept[name].subject, kept[name].reverses) == (
            moves(made),
            made.subject,
            made.reverses,
        )


# --- evidence


def test_the_bundle_names_each_entry_and_no_account(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order), FEE)
    books.do("reconcile")
    found = books.read(settlement_evidence.entries)[payment_evidence.BANK]
    assert len(list(evidence.lines(found))) == 2
    assert b'"suspended":true' in found and b'"kind":"PAID"' in found
    assert order.counterparty.encode() not in found and b"Bank" not in found
