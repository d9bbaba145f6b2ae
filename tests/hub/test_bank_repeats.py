"""Bookings that two statements hold alike: the balances say whether they are the same; the rest is refused."""

from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub import bank_repeats
from hub.bank_values import BankEntry, BankStatement
from hub.payment_errors import BankEntriesAlike
from hub.services import HeadInvalid
from hub.store_bank import BankStore
from tests.hub.paying import IBAN, Booked, Paying, paying
from tests.support.bank_files import camt, units

FEE = Booked(minor=500, bank_reference="FEE", account="", name="Bank")
RENT = Booked(minor=2000, bank_reference="RENT", account="", name="Landlord")
BACK = Booked(minor=500, bank_reference="FEE", account="", name="Bank", side="CRDT")
SWEPT = Booked(minor=2500, bank_reference="SWEEP", account="", name="Pool", side="CRDT")
PROFILE: dict[str, Any] = {
    "name": "portal",
    "currency": "CNY",
    "columns": {"booked": "date", "amount": "amount", "bank_reference": "ref"},
}
BALANCED = {**PROFILE, "columns": {**PROFILE["columns"], "balance": "balance"}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paying]:
    with paying(tmp_path_factory.mktemp("repeats")) as made:
        yield made


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Paying]:
    with paying(tmp_path) as made:
        yield made


def sheet(*rows: tuple[str, int], opening: int = 10_000) -> bytes:
    """A CSV of (bank's reference, signed minor units) with a balance column."""
    lines, balance = ["date,amount,ref,balance"], opening
    for reference, minor in rows:
        balance += minor
        sign = "-" if minor < 0 else ""
        lines.append(f"2026-11-12,{sign}{units(minor)},{reference},{units(balance)}")
    return "\n".join(lines).encode()


def bare(data: bytes) -> bytes:
    """The CSV without its balance column."""
    return b"\n".join(line.rpartition(b",")[0] for line in data.split(b"\n"))


def kept(books: Paying) -> int:
    return len(books.read(lambda tx: BankStore(tx.session).entries()))


# --- camt.053


def test_an_identical_booking_of_the_next_statement_is_a_new_one(books: Paying) -> None:
    first = books.bank(FEE, opening=10_000)
    second = books.bank(FEE, opening=9_500)
    third = books.bank(FEE, RENT, opening=9_000)
    assert [(one["taken"], one["repeated"]) for one in (first, second, third)] == [(1, 0), (1, 0), (2, 0)]
    books.do("reconcile")
    assert books.at_bank() == 6_500 - 10_000  # the bank's closing less its opening balance


def test_also_where_the_later_statement_came_in_first(books: Paying) -> None:
    books.bank(FEE, opening=9_500)
    assert books.bank(FEE, opening=10_000)["taken"] == 1


def test_also_where_statements_lie_between(books: Paying) -> None:
    books.bank(FEE, opening=10_000)
    books.bank(RENT, opening=9_500)
    assert books.bank(FEE, opening=7_500)["taken"] == 1


def test_also_where_one_file_has_both_statements(books: Paying) -> None:
    one, two = camt([FEE], opening=10_000).decode(), camt([FEE], opening=9_500, name="STMT-2").decode()
    second = two[two.index("<Stmt>") : two.index("</Stmt>") + 7]
    found = books.file(one.replace("</Stmt>", "</Stmt>" + second).encode())
    assert (found["taken"], found["repeated"]) == (2, 0)


@pytest.mark.parametrize(
    ("entries", "opening", "taken"),
    [
        pytest.param([FEE, RENT], 10_000, 0, id="the-same-days"),
        pytest.param([RENT, FEE], 9_500, 1, id="from-the-middle-and-a-new-one-alike"),
        pytest.param([FEE, RENT, FEE], 10_000, 1, id="more-days-and-a-new-one-alike"),
        pytest.param([FEE, FEE, RENT], 10_500, 1, id="from-before-with-one-alike"),
        pytest.param([RENT], 9_500, 0, id="the-last-day-alone"),
        pytest.param([FEE], 10_000, 0, id="the-first-day-alone"),
    ],
)
def test_what_overlaps_is_counted_once(books: Paying, entries: list[Booked], opening: int, taken: int) -> None:
    books.bank(FEE, RENT, opening=10_000)
    found = books.bank(*entries, opening=opening, name="STMT-2")
    assert (found["taken"], found["repeated"]) == (taken, len(entries) - taken)
    assert kept(books) == 2 + taken


@pytest.mark.parametrize(
    ("first", "second", "opening"),
    [
        pytest.param([FEE, BACK], [FEE, BACK], 10_000, id="a-sum-of-nothing"),
        pytest.param([FEE], [BACK, FEE], 9_500, id="it-begins-where-the-other-closed-and-goes-back"),
        pytest.param([FEE], [FEE], 7_000, id="a-statement-between-is-missing"),
        pytest.param([FEE, RENT], [RENT, FEE], 10_000, id="another-order"),
        pytest.param([FEE, RENT, SWEPT], [RENT, FEE, SWEPT, FEE], 10_000, id="another-order-on-a-swept-account"),
    ],
)
def test_what_the_balances_do_not_say_is_refused(
    books: Paying, first: list[Booked], second: list[Booked], opening: int
) -> None:
    earlier = books.bank(*first, opening=10_000)
    with pytest.raises(BankEntriesAlike) as refused:
        books.bank(*second, opening=opening, name="STMT-2")
    told = refused.value.message()
    assert str(earlier["file"])[:16] in told and "STMT-1" in told and "STMT-2" in told and "--alike new" in told
    assert kept(books) == len(first)
    dry = books.do("bank", file="")["files"]
    assert len(dry) == 1  # type: ignore[arg-type]


def test_a_sum_of_nothing_between_is_not_guessed_either(books: Paying) -> None:
    """The third may be the first again, or a new booking after the second took the first back."""
    books.bank(FEE, opening=10_000)
    books.bank(BACK, opening=9_500)
    with pytest.raises(BankEntriesAlike):
        books.bank(FEE, opening=10_000, name="STMT-3")


@pytest.mark.parametrize(("word", "taken"), [("same", 0), ("new", 2)])
def test_a_person_says_what_the_balances_do_not(books: Paying, word: str, taken: int) -> None:
    books.bank(FEE, BACK, opening=10_000)
    data = camt([FEE, BACK], opening=10_000, name="STMT-2")
    assert books.file(data, alike=word)["taken"] == taken
    assert kept(books) == 2 + taken


@pytest.mark.parametrize(("word", "opening", "taken"), [("same", 9_500, 1), ("new", 10_000, 0)])
def test_nobody_says_otherwise_than_the_balances(books: Paying, word: str, opening: int, taken: int) -> None:
    """A second debit like the first is not hidden by a word, nor one debit made two."""
    books.bank(FEE, opening=10_000)
    assert books.file(camt([FEE], opening=opening, name="STMT-2"), alike=word)["taken"] == taken


@pytest.mark.parametrize("word", ["", "both", 1, ["same"]])
def test_a_person_says_one_of_two_words(shared: Paying, word: Any) -> None:
    with pytest.raises(HeadInvalid):
        shared.file(camt([FEE], opening=77), alike=word)


# --- CSV


def test_a_csv_with_balances_tells_the_next_from_the_same(books: Paying) -> None:
    def take(data: bytes) -> tuple[object, object]:
        found = books.file(data, form="csv", profile=BALANCED)
        return found["taken"], found["repeated"]

    assert take(sheet(("FEE", -500), opening=10_000)) == (1, 0)
    assert take(sheet(("FEE", -500), opening=9_500)) == (1, 0)
    assert take(sheet(("FEE", -500), ("FEE", -500), ("FEE", -500), opening=10_000)) == (1, 2)


def test_a_csv_without_balances_can_not_tell(books: Paying) -> None:
    def take(data: bytes, **said: str) -> object:
        return books.file(data, form="csv", profile=PROFILE, **said)["taken"]

    assert take(bare(sheet(("FEE", -500), ("A", -100)))) == 2
    assert take(bare(sheet(("B", -200)))) == 1  # nothing alike, nothing to tell
    again = bare(sheet(("FEE", -500), ("C", -300)))
    with pytest.raises(BankEntriesAlike, match="no balances") as refused:
        take(again)
    assert "portal" in refused.value.message()
    assert take(again, alike="same") == 1
    assert take(bare(sheet(("FEE", -500), ("D", -300))), alike="new") == 2


def test_a_csv_of_before_profiles_were_kept_can_not_tell(books: Paying) -> None:
    books.file(sheet(("FEE", -500)), form="csv", profile=BALANCED)
    known = BankStore.bank_file

    def older(self: BankStore, digest: str) -> Any:
        found = known(self, digest)
        return found and type(found)(**{name: getattr(found, name) for name in found.__slots__} | {"profile": None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BankStore, "bank_file", older)
        with pytest.raises(BankEntriesAlike, match="no balances"):
            books.file(sheet(("FEE", -500), opening=9_500), form="csv", profile=BALANCED)


# --- any course


def statement(entries: list[int], opening: int) -> BankStatement:
    """Bookings that differ by their amount alone."""
    made = [
        BankEntry(
            row=row, currency="CNY", amount_minor=abs(minor), debit=minor < 0, booked=date(2026, 11, 12), name="Bank"
        )
        for row, minor in enumerate(entries, 1)
    ]
    return BankStatement(
        id="S",
        account=IBAN,
        currency="CNY",
        opening_minor=opening,
        closing_minor=opening + sum(entries),
        entries=tuple(made),
    )


COURSE = st.lists(st.sampled_from([-2, -1, 1, 3]), min_size=2, max_size=9)


@given(COURSE, st.data())
def test_two_stretches_of_one_course_are_told_rightly_or_refused(course: list[int], data: st.DataObject) -> None:
    """Whatever the bookings are and wherever it is cut: none is hidden, none is counted twice."""
    cut = sorted(data.draw(st.lists(st.integers(0, len(course)), min_size=2, max_size=2)))
    ends = data.draw(st.integers(cut[1], len(course)))
    parts = [(0, cut[1]), (cut[0], ends)]
    if data.draw(st.booleans()):
        parts.reverse()
    (one, other) = (statement(course[a:b], 100 + sum(course[:a])) for a, b in parts)
    old, new = bank_repeats.course("f" * 64, one), bank_repeats.course("e" * 64, other)
    (a, b), (c, d) = parts
    same = range(max(a, c) - c, max(min(b, d) - c, max(a, c) - c))
    try:
        found = bank_repeats.repeated(new, [old] if set(old.contents) & set(new.contents) else [], [])
    except BankEntriesAlike:
        return
    assert found == frozenset(same)


@given(COURSE.map(lambda several: [-abs(minor) for minor in several]), st.data())
def test_a_balance_that_only_falls_leaves_nothing_open(course: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(course) - 1))
    back = data.draw(st.integers(0, cut))
    old = bank_repeats.course("f" * 64, statement(course[:cut], 100))
    new = bank_repeats.course("e" * 64, statement(course[cut - back :], 100 + sum(course[: cut - back])))
    assert bank_repeats.repeated(new, [old], []) == frozenset(range(back))


ACCOUNTS = count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(course=st.lists(st.sampled_from([200, 500]), min_size=2, max_size=8), data=st.data())
def test_files_of_any_cut_give_each_booking_once(shared: Paying, course: list[int], data: st.DataObject) -> None:
    """Imported in their order, each file opening within or at the end of what came before."""
    account, taken, end = f"62220202{next(ACCOUNTS):08}", 0, 0
    while end < len(course):
        start = data.draw(st.integers(max(0, end - 2), end))
        end = data.draw(st.integers(end + 1, len(course)))
        entries = [Booked(minor=minor, bank_reference="REF", account="", name="Bank") for minor in course[start:end]]
        file = camt(entries, opening=100_000 - sum(course[:start]), account=account, name=f"{start}-{end}")
        try:
            taken += int(str(shared.file(file, account=account)["taken"]))
        except BankEntriesAlike:
            return
        assert taken == end
