"""From the final statement to the bank's word: orders, matches, exceptions, returns, by hand; books that follow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecowire import codec_payout, evidence
from hub import settlement_evidence
from hub.payment_errors import BankAccountDiffers, FourEyes, MatchInvalid, MatchUnknown, ReviewOver
from hub.settlement_errors import NothingToPay
from hub.store_bank import BankStore
from hub.store_ledger import LedgerStore
from privacy import canonical
from revenue_share.ledger import EntryState
from sandbox.examine import payments
from tests.hub.paying import CREDITOR, IBAN, OCTOBER, PAYABLE, Booked, Paying, booked, paying
from tests.hub.settling import CAI, FEI, REFERRER
from tests.support.bank_files import camt


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Paying]:
    with paying(tmp_path) as made:
        yield made


def entry_ids(books: Paying) -> list[str]:
    return [entry.id for entry in books.read(lambda tx: BankStore(tx.session).entries())]


def by_hand(books: Paying, kind: str, orders: list[str], entries: list[str], reason: str = "seen by phone") -> str:
    place = {"to": "charges"} if kind == "EXPLAINED" else {}
    made = books.do("match.propose", kind=kind, orders=orders, entries=entries, reason=reason, **place)
    assert made["state"] == "PROPOSED"
    return str(made["match"])


# --- paid


def test_a_booked_payment_settles_its_order_and_the_books(books: Paying) -> None:
    order = books.ordered()
    assert (books.owed(), books.at_bank()) == (PAYABLE, 0)
    books.bank(booked(order))
    found: Any = books.do("reconcile")
    assert [(m["rule"], m["state"], m["orders"]) for m in found["matched"]] == [
        ("REFERENCE", "APPROVED", [order.end_to_end_id])
    ]
    assert (found["exceptions"], found["waiting"]) == ([], [])
    assert found["totals"] == {"CNY": {"entries": -PAYABLE, "matched": -PAYABLE, "returned": 0, "exceptions": 0}}
    assert (books.owed(), books.at_bank()) == (0, -PAYABLE)
    settled = books.order(books.month.record(order.statement))
    assert settled.state == "SETTLED" and settled.payout and settled.payout_salt
    again: Any = books.do("reconcile")
    assert (again["matched"], again["totals"]) == ([], {})
    assert (books.owed(), books.at_bank()) == (0, -PAYABLE)


def test_the_entry_of_a_payment_is_dated_by_the_banks_day(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order))
    books.do("reconcile")
    made = [one for one in books.month.entries() if one.id.startswith("payment-")]
    assert [(one.id, one.period, one.state) for one in made] == [
        (f"payment-{order.end_to_end_id}", f"{order.due:%Y-%m}", EntryState.POSTED)
    ]


def test_a_file_and_an_entry_are_counted_once(books: Paying) -> None:
    order = books.ordered()
    first = books.bank(booked(order))
    assert (first["new"], first["taken"]) == (True, 1)
    again = books.bank(booked(order))
    assert (again["new"], again["taken"], again["file"]) == (False, 0, first["file"])
    fee = Booked(minor=100, bank_reference="FEE", account="", name="Bank")
    wider = books.bank(booked(order), fee, fee, name="STMT-2")  # the week, in which the day's file is
    assert (wider["taken"], wider["repeated"]) == (2, 1)
    books.do("reconcile")
    assert (books.owed(), books.at_bank(), books.in_suspense()) == (0, -PAYABLE - 200, -200)
    assert books.kinds() == ["EXTRA", "EXTRA"]


def test_a_file_of_another_account_is_refused(books: Paying) -> None:
    with pytest.raises(BankAccountDiffers):
        books.bank(Booked(minor=1), account=CREDITOR)
    books.bank(Booked(minor=1))
    with pytest.raises(BankAccountDiffers):
        books.file(camt([Booked(minor=1)]), account="6222020200112233")


def test_a_paid_statement_is_not_ordered_again(books: Paying) -> None:
    order = books.ordered()
    again = books.do("pay", period=OCTOBER)
    assert (again["new"], again["payments"]) == (False, 1)
    books.bank(booked(order))
    books.do("reconcile")
    assert books.do("pay", period=OCTOBER)["new"] is False


# --- exceptions


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        pytest.param({"minor": PAYABLE - 1}, "AMOUNT_DIFFERS", id="partial"),
        pytest.param({"minor": PAYABLE + 1}, "AMOUNT_DIFFERS", id="over"),
        pytest.param({"account": IBAN}, "ACCOUNT_DIFFERS", id="another-creditor"),
        pytest.param({"reference": "NOTPROVIDED", "account": "", "name": ""}, "EXTRA", id="nobodys"),
    ],
)
def test_what_differs_pays_nothing_and_stands_in_suspense(books: Paying, changes: dict[str, Any], kind: str) -> None:
    order = books.ordered()
    books.bank(booked(order, **changes))
    found: Any = books.do("reconcile")
    assert (found["matched"], [item["class"] for item in found["exceptions"]]) == ([], [kind])
    left = -changes.get("minor", PAYABLE)
    assert found["suspense"] == {"CNY": left}
    assert (books.owed(), books.at_bank(), books.in_suspense()) == (PAYABLE, left, left)


def test_another_currency_is_its_own_class(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, currency="HKD"), currency="HKD")
    books.do("reconcile")
    assert books.kinds() == ["CURRENCY_DIFFERS"]


def test_a_payment_the_bank_made_twice_is_told(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order), booked(order, bank_reference="BANKREF-2"))
    books.do("reconcile")
    assert books.kinds() == ["DUPLICATED"]
    assert (books.owed(), books.at_bank(), books.in_suspense()) == (0, -2 * PAYABLE, -PAYABLE)


def test_a_missing_payment_ages(books: Paying) -> None:
    order = books.ordered()
    waiting: Any = books.do("exceptions")
    assert [item["order"] for item in waiting["waiting"]] == [order.end_to_end_id]
    books.days_pass(9)
    (item,) = (found := books.do("exceptions"))["exceptions"]  # type: ignore[misc]
    assert (item["class"], item["age_days"], item["entry"]) == ("MISSING", 9, None)
    assert found["waiting"] == []


# --- returned


def returned(books: Paying) -> Any:
    order = books.ordered()
    back = booked(order, side="CRDT", return_reason="AC04", bank_reference="BANKREF-9")
    books.bank(booked(order))
    books.do("reconcile")
    books.bank(back, opening=2_000_000)
    books.do("reconcile")
    return order


def test_a_returned_payment_is_owed_again_and_ordered_under_a_new_name(books: Paying) -> None:
    order = returned(books)
    assert (books.owed(), books.at_bank()) == (PAYABLE, 0)
    entries = {one.id: one for one in books.month.entries()}
    assert entries[f"return-{order.end_to_end_id}"].reverses == f"payment-{order.end_to_end_id}"
    paid = books.do("pay", period=OCTOBER, format="pain.001")
    assert (paid["new"], paid["number"]) == (True, 2)
    second = books.order(books.month.record(order.statement))
    assert (second.attempt, second.end_to_end_id) == (2, order.end_to_end_id + "-2")
    books.bank(booked(second, bank_reference="BANKREF-10"), opening=3_000_000)
    books.do("reconcile")
    assert (books.owed(), books.at_bank()) == (0, -PAYABLE)
    assert books.do("pay", period=OCTOBER)["new"] is False


def test_a_payment_and_its_return_may_come_in_one_file(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order), booked(order, side="CRDT", reversal=True, bank_reference="BANKREF-9"))
    found: Any = books.do("reconcile")
    assert [one["kind"] for one in found["matched"]] == ["PAID", "RETURNED"]
    assert found["totals"]["CNY"] == {"entries": 0, "matched": -PAYABLE, "returned": PAYABLE, "exceptions": 0}
    assert (books.owed(), books.at_bank()) == (PAYABLE, 0)
    assert books.do("pay", period=OCTOBER)["new"] is True


def test_money_for_an_order_that_was_returned_pays_nothing(books: Paying) -> None:
    order = returned(books)
    books.bank(booked(order, bank_reference="BANKREF-11"), opening=3_000_000)
    books.do("reconcile")
    assert books.kinds() == ["DUPLICATED"]
    assert (books.owed(), books.at_bank(), books.in_suspense()) == (PAYABLE, -PAYABLE, -PAYABLE)


def test_a_return_that_the_bank_does_not_mark_waits_for_two_people(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order))
    books.do("reconcile")
    books.bank(booked(order, side="CRDT", bank_reference="BANKREF-9"), opening=2_000_000)
    books.do("reconcile")
    assert books.kinds() == ["RETURNED"]
    match = by_hand(books, "RETURNED", [order.end_to_end_id], [entry_ids(books)[-1]])
    assert books.kinds() == []  # it lies before them
    books.run(CAI, "match.decide", match=match, decision="approve")
    assert (books.owed(), books.at_bank()) == (PAYABLE, 0)
    assert books.kinds() == []


# --- by hand


def test_an_overpaid_order_is_settled_with_what_came_back(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, minor=PAYABLE + 500), booked(order, minor=500, side="CRDT", bank_reference="BANKREF-2"))
    books.do("reconcile")
    assert sorted(books.kinds()) == ["AMOUNT_DIFFERS", "RETURNED"]
    match = by_hand(books, "PAID", [order.end_to_end_id], entry_ids(books))
    books.run(CAI, "match.decide", match=match, decision="approve")
    assert (books.owed(), books.at_bank(), books.kinds()) == (0, -PAYABLE, [])


def test_the_proposer_does_not_approve(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account=IBAN))
    match = by_hand(books, "PAID", [order.end_to_end_id], entry_ids(books))
    for decision in ("approve", "refuse"):
        with pytest.raises(FourEyes):
            books.do("match.decide", match=match, decision=decision)
    books.run(CAI, "match.decide", match=match[:12], decision="refuse")
    assert books.kinds() == ["ACCOUNT_DIFFERS"]  # open again
    with pytest.raises(ReviewOver):
        books.run(CAI, "match.decide", match=match, decision="approve")
    assert books.owed() == PAYABLE


def test_one_certificate_under_two_names_approves_no_match_of_its_own(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account=IBAN))
    match = by_hand(books, "PAID", [order.end_to_end_id], entry_ids(books))
    for decision in ("approve", "refuse"):
        with pytest.raises(FourEyes, match="fei proposed"):
            books.run(replace(CAI, fingerprint=FEI.fingerprint), "match.decide", match=match, decision=decision)
    assert books.run(CAI, "match.decide", match=match, decision="approve").head["state"] == "APPROVED"


@pytest.mark.parametrize(
    ("kind", "orders", "entries"),
    [
        pytest.param("PAID", True, False, id="no-entry"),
        pytest.param("PAID", False, True, id="no-order"),
        pytest.param("PAID", True, True, id="unequal"),
        pytest.param("RETURNED", True, True, id="not-settled"),
        pytest.param("RELEASED", True, True, id="released-with-entry"),
        pytest.param("EXPLAINED", True, True, id="explained-with-order"),
        pytest.param("PAID", False, False, id="nothing"),
        pytest.param("GIFT", True, True, id="unknown-kind"),
    ],
)
def test_two_people_can_not_make_unequal_things_equal(books: Paying, kind: str, orders: bool, entries: bool) -> None:
    order = books.ordered()
    books.bank(booked(order, minor=PAYABLE - 1))
    with pytest.raises(MatchInvalid):
        by_hand(books, kind, [order.end_to_end_id] if orders else [], entry_ids(books) if entries else [])


def test_an_order_and_an_entry_are_named_by_their_beginning_once(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account=IBAN))
    (entry,) = entry_ids(books)
    for orders, entries in (([order.end_to_end_id, order.end_to_end_id[:12]], [entry]), ([], [entry, entry[:10]])):
        with pytest.raises(MatchInvalid):
            by_hand(books, "PAID" if orders else "EXPLAINED", orders, entries)
    with pytest.raises(MatchInvalid):
        by_hand(books, "PAID", [order.end_to_end_id[:7]], [entry])
    assert by_hand(books, "PAID", [order.end_to_end_id[:8]], [entry[:8]])


def test_one_entry_does_not_pay_twice_by_hand(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account=IBAN))
    by_hand(books, "PAID", [order.end_to_end_id], entry_ids(books))
    with pytest.raises(MatchInvalid):
        by_hand(books, "EXPLAINED", [], entry_ids(books))


def test_what_was_settled_since_is_not_settled_by_hand(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order, account=IBAN))
    match = by_hand(books, "EXPLAINED", [], entry_ids(books))
    books.run(CAI, "match.decide", match=match, decision="approve")
    with pytest.raises(MatchInvalid):
        by_hand(books, "PAID", [order.end_to_end_id], entry_ids(books))
    with pytest.raises(MatchUnknown):
        books.run(CAI, "match.decide", match="00000000", decision="approve")
    assert books.owed() == PAYABLE


def test_an_order_the_bank_refused_is_released_by_two_and_ordered_again(books: Paying) -> None:
    order = books.ordered()
    match = by_hand(books, "RELEASED", [order.end_to_end_id], [], "bank: account closed")
    assert books.do("pay", period=OCTOBER)["new"] is False  # not before the second person
    books.run(CAI, "match.decide", match=match, decision="approve")
    assert books.do("pay", period=OCTOBER, format="pain.001")["new"] is True
    second = books.order(books.month.record(order.statement))
    assert second.attempt == 2
    books.bank(booked(order))  # the bank paid the first one after all: that is not the second one's payment
    books.do("reconcile")
    assert (books.owed(), books.kinds()) == (PAYABLE, ["DUPLICATED"])


# --- rehearsals


def test_a_rehearsal_says_the_same_and_changes_nothing(books: Paying) -> None:
    record = books.final()
    books.approve_details()
    told = books.do("pay.dry", period=OCTOBER, format="pain.001")
    assert (told["new"], told["payments"]) == (True, 1)
    with pytest.raises(NothingToPay):
        books.do("pay.dry", period="2026-11")
    books.do("pay", period=OCTOBER, format="pain.001")
    order = books.order(record)
    books.bank(booked(order))
    assert len(books.do("reconcile.dry")["matched"]) == 1  # type: ignore[arg-type]
    assert books.owed() == PAYABLE
    assert len(books.do("reconcile")["matched"]) == 1  # type: ignore[arg-type]


# --- totals


def test_what_the_books_say_is_what_the_bank_says(books: Paying) -> None:
    """The bank account of the journal = all entries; what no match settled is in suspense and in the exceptions."""
    order = books.ordered()
    entries = [booked(order), Booked(minor=77, bank_reference="F1", account=""), replace(booked(order), minor=5)]
    books.bank(*entries, Booked(minor=42, side="CRDT", bank_reference="F2", account=""))
    before: Any = books.do("reconcile.dry")["totals"]
    books.do("reconcile")
    total = before["CNY"]
    assert total["entries"] == total["matched"] + total["returned"] + total["exceptions"] == -PAYABLE - 77 - 5 + 42
    assert (books.at_bank(), books.in_suspense()) == (total["entries"], total["exceptions"])
    balances = books.read(lambda tx: LedgerStore(tx.session).balances())
    assert sum(one.debit_minor - one.credit_minor for one in balances) == 0


# --- evidence


def test_what_the_bundle_says_of_payments_is_what_the_examiner_expects(books: Paying) -> None:
    order = returned(books)
    books.do("pay", period=OCTOBER)
    second = books.order(books.month.record(order.statement))
    books.bank(booked(second, bank_reference="BANKREF-10"), opening=3_000_000)
    books.do("reconcile")
    found = books.read(settlement_evidence.entries)
    records: list[Any] = [canonical.decode(line) for line in evidence.lines(found[payments.NAME])]
    assert [(one["attempt"], one["state"]) for one in records] == [(1, "RETURNED"), (2, "SETTLED")]
    paid = payments.Paid()
    for record in records:
        payout = codec_payout.from_value(record["payout"])
        assert payout.commitment == record["commitment"]
        payments._journal(paid, record, payout, REFERRER)
    kept: dict[str, Any] = {one.id: one.to_value() for one in books.month.entries()}
    for name, made in paid.journal.items():
        expected: Any = made.to_value() | {field: kept[name][field] for field in ("period", "memo")}
        for one in (kept[name], expected):
            one["postings"] = sorted(one["postings"], key=lambda posting: posting["account"])
        assert kept[name] == expected
    assert len(paid.journal) == 3 and CREDITOR.encode() not in found[payments.NAME]


def test_an_order_that_the_bank_booked_is_not_released(books: Paying) -> None:
    """Else it is ordered again and paid twice: the debit that names it is settled or explained first."""
    order = books.ordered()
    match = by_hand(books, "RELEASED", [order.end_to_end_id], [], "the bank is silent")
    books.bank(booked(order))
    books.do("reconcile")
    assert books.kinds() == ["AMBIGUOUS"]  # two people have the order before them
    with pytest.raises(MatchInvalid, match="names"):
        books.run(CAI, "match.decide", match=match, decision="approve")
    books.run(CAI, "match.decide", match=match, decision="refuse")
    books.do("reconcile")
    assert (books.owed(), books.kinds()) == (0, [])
