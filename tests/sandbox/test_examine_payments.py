"""The examiner on payments: what was paid once, what came back, and every way in which the record could lie."""

from collections.abc import Callable
from typing import Any

import pytest

from ecowire import codec_payout, evidence
from privacy.ids import Period
from revenue_share import accounts, ledger, movements
from revenue_share.ledger import EntryState
from sandbox.examine.bank import NAME as BANK
from sandbox.examine.payments import NAME
from sandbox.examine.run import Report, examine
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books

JOURNAL = "ledger/entries.jsonl"
NOVEMBER = Period("2026-11")
EXPLAINED: dict[str, Any] = {"match": "cc" * 32, "kind": "EXPLAINED", "account": accounts.BANK_CHARGES}
MATCH, SECOND = "aa" * 32, "cc" * 32


def due(books: Books) -> int:
    return int(str(books.body["payable_minor"]))


def payment(books: Books, attempt: int = 1, state: str = "SETTLED", match: str = MATCH) -> dict[str, Any]:
    name = books.statement[:32] + (f"-{attempt}" if attempt > 1 else "")
    entry = f"{attempt:064x}"
    payout = codec_payout.Payout(
        salt="5a" * 32,
        end_to_end_id=name,
        currency="CNY",
        amount_minor=due(books),
        booked=((entry, f"BANK-{attempt}", "2026-11-12"),),
    )
    return {
        "statement": books.statement,
        "attempt": attempt,
        "state": state,
        "match": match,
        "payout": payout.to_value(),
        "commitment": payout.commitment,
        "entries": [{"entry": entry, "currency": "CNY", "amount_minor": due(books), "debit": True}],
        "returned_by": "dd" * 32 if state == "RETURNED" else None,
        "charge_minor": 0,
    }


def journal(books: Books, record: dict[str, Any]) -> list[Any]:
    """The entries of a payment, and of its return where it came back."""
    name, partner = record["payout"]["end_to_end_id"], small.REFERRER.id
    made = ledger.transfer(
        f"payment-{name}",
        record["match"],
        f"paid to {partner}",
        Period("2026-11"),
        accounts.payable(partner),
        accounts.bank("transfer"),
        "CNY",
        record["payout"]["amount_minor"],
    ).become(EntryState.POSTED)
    if record["state"] != "RETURNED":
        return [made.to_value()]
    back = made.reversing(f"return-{name}", "returned by the bank AC04", Period("2026-12"))
    found = [made.to_value(), back.become(EntryState.POSTED).to_value()]
    if kept := record["charge_minor"]:
        taken = ledger.transfer(
            f"charge-{name}",
            record["returned_by"],
            "kept by the bank of a return",
            Period("2026-12"),
            accounts.BANK_CHARGES,
            accounts.bank("transfer"),
            "CNY",
            kept,
        )
        found.append(taken.become(EntryState.POSTED).to_value())
    return found


def at_bank(record: dict[str, Any]) -> list[Any]:
    """The bank's entries of a payment as the bundle has them: the payment's own, and the credit of its return."""
    found = [{**one, "suspended": False, "match": record["match"], "kind": "PAID"} for one in record["entries"]]
    if record["state"] == "RETURNED":
        (one,) = record["entries"]
        back = {**one, "entry": "e" + one["entry"][1:], "debit": False, "suspended": False}
        back["amount_minor"] -= record["charge_minor"]
        found.append({**back, "match": record["returned_by"], "kind": "RETURNED"})
    return [{**one, "account": None} for one in found]


def booking(minor: int = 250, **changes: Any) -> dict[str, Any]:
    """An entry of the bank that is open in suspense."""
    told = {"entry": "b0" * 32, "currency": "CNY", "amount_minor": minor, "debit": True}
    return {**told, "suspended": True, "match": None, "kind": None, "account": None, **changes}


def booked(record: dict[str, Any]) -> list[Any]:
    """The journal entries of a booking in suspense, and of what became of it."""
    name, minor, account = record["entry"], record["amount_minor"], accounts.bank("transfer")
    held = ledger.transfer(
        f"suspense-{name}", name, "not matched yet", NOVEMBER, accounts.SUSPENSE, account, "CNY", minor
    ).become(EntryState.POSTED)
    if record["match"] is None:
        return [held.to_value()]
    back = held.reversing(f"cleared-{name}", "matched by aaaa", NOVEMBER).become(EntryState.POSTED)
    made = ledger.transfer(
        f"explained-{name}", record["match"], "bank charges", NOVEMBER, accounts.BANK_CHARGES, account, "CNY", minor
    ).become(EntryState.POSTED)
    return [held.to_value(), back.to_value(), made.to_value()]


def examined(
    books: Books,
    records: list[Any],
    entries: list[Any],
    bank: list[Any] | None = None,
    imported: int | None = None,
    **log: str,
) -> Report:
    """imported: how many of the bank's entries the audit log says; as many as there are where not given."""
    told = [one for record in records for one in at_bank(record)] if bank is None else bank
    taken = len({one["entry"] for one in told}) if imported is None else imported
    small.log(books, "bank.file", {"account": "…3000", "entries": taken, "taken": taken, **log})
    given = {
        **books.entries(),
        NAME: evidence.jsonl(records),
        BANK: evidence.jsonl(told),
        JOURNAL: evidence.jsonl([*books.journal, *entries]),
    }
    return examine(evidence.write(given, alliance=small.ALLIANCE, period=small.PERIOD), small.trust(books))


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity == "error"}


def test_a_payment_that_came_back_and_was_made_again_holds() -> None:
    books = small.settled_month()
    first, second = payment(books, 1, "RETURNED"), payment(books, 2, match=SECOND)
    report = examined(books, [first, second], [*journal(books, first), *journal(books, second)])
    assert codes(report) == set()
    assert report.held["payments"] == 2


def test_a_payment_that_came_back_less_a_charge_holds() -> None:
    books = small.settled_month()
    record = {**payment(books, 1, "RETURNED"), "charge_minor": 5}
    assert codes(examined(books, [record], journal(books, record))) == set()


Lie = Callable[[dict[str, Any], list[Any]], None]


def another_amount(record: dict[str, Any], entries: list[Any]) -> None:
    record["payout"]["amount_minor"] += 1


def another_commitment(record: dict[str, Any], entries: list[Any]) -> None:
    record["commitment"] = "00" * 32


def another_statement(record: dict[str, Any], entries: list[Any]) -> None:
    record["statement"] = "00" * 32


def another_sum_at_the_bank(record: dict[str, Any], entries: list[Any]) -> None:
    record["entries"][0]["amount_minor"] -= 1


def a_credit_as_payment(record: dict[str, Any], entries: list[Any]) -> None:
    record["entries"][0]["debit"] = False


def another_entry(record: dict[str, Any], entries: list[Any]) -> None:
    record["entries"][0]["entry"] = "ff" * 32


def another_currency(record: dict[str, Any], entries: list[Any]) -> None:
    record["entries"][0]["currency"] = "HKD"


def another_state(record: dict[str, Any], entries: list[Any]) -> None:
    record["state"] = "ORDERED"


def not_in_the_journal(record: dict[str, Any], entries: list[Any]) -> None:
    entries.clear()


def journal_of_another_amount(record: dict[str, Any], entries: list[Any]) -> None:
    for posting in entries[0]["postings"]:
        posting["amount_minor"] += 1


def journal_of_another_account(record: dict[str, Any], entries: list[Any]) -> None:
    entries[0]["postings"][0]["account"] = "expense:partner_share"


def journal_of_another_currency(record: dict[str, Any], entries: list[Any]) -> None:
    for posting in entries[0]["postings"]:
        posting["asset"] = "HKD"


def return_without_a_reversal(record: dict[str, Any], entries: list[Any]) -> None:
    record["state"] = "RETURNED"


def a_charge_of_what_did_not_come_back(record: dict[str, Any], entries: list[Any]) -> None:
    record["charge_minor"] = 5


def a_return_by_nothing(record: dict[str, Any], entries: list[Any]) -> None:
    record["returned_by"] = "dd" * 32


@pytest.mark.parametrize(
    "lie",
    [
        a_charge_of_what_did_not_come_back,
        a_return_by_nothing,
        another_amount,
        another_commitment,
        another_statement,
        another_sum_at_the_bank,
        a_credit_as_payment,
        another_entry,
        another_currency,
        another_state,
        not_in_the_journal,
        journal_of_another_amount,
        journal_of_another_account,
        journal_of_another_currency,
        return_without_a_reversal,
    ],
)
def test_a_payment_that_does_not_hold_is_found(lie: Lie) -> None:
    books = small.settled_month()
    record = payment(books)
    entries = journal(books, record)
    lie(record, entries)
    assert "PAYMENT_DIFFERS" in codes(examined(books, [record], entries))


def test_a_statement_paid_twice_is_found() -> None:
    books = small.settled_month()
    several = [payment(books), payment(books, 2, match=SECOND)]
    report = examined(books, several, [entry for one in several for entry in journal(books, one)])
    assert codes(report) == {"PAYMENT_DIFFERS"}


def test_one_bank_entry_does_not_pay_two_matches() -> None:
    books = small.settled_month()
    first, second = payment(books, 1, "RETURNED"), payment(books, 2, match=SECOND)
    second["entries"][0]["entry"] = first["entries"][0]["entry"]
    second["payout"]["booked"][0]["entry"] = first["entries"][0]["entry"]
    second["commitment"] = codec_payout.from_value(second["payout"]).commitment
    report = examined(books, [first, second], [*journal(books, first), *journal(books, second)])
    assert {"PAYMENT_DIFFERS", "RECORD_REPEATED"} <= codes(report)


@pytest.mark.parametrize("change", [{"note": "x"}, {"payout": {}}, {"payout": None}])
def test_a_record_of_another_form_is_unreadable(change: dict[str, Any]) -> None:
    books = small.settled_month()
    record = {**payment(books), **change}
    assert "RECORD_UNREADABLE" in codes(examined(books, [record], []))


def test_a_payment_in_the_journal_alone_belongs_to_nothing() -> None:
    books = small.settled_month()
    assert "JOURNAL_ENTRY_UNKNOWN" in codes(examined(books, [], journal(books, payment(books))))


def test_the_same_payment_twice_in_the_record_is_told() -> None:
    books = small.settled_month()
    record = payment(books)
    assert "RECORD_REPEATED" in codes(examined(books, [record, record], journal(books, record)))


# --- suspense


@pytest.mark.parametrize("changes", [{}, EXPLAINED], ids=["open", "explained"])
def test_what_the_bank_booked_besides_payments_is_in_the_books(changes: dict[str, Any]) -> None:
    books = small.settled_month()
    record, fee = payment(books), booking(**changes)
    report = examined(books, [record], [*journal(books, record), *booked(fee)], [*at_bank(record), fee])
    assert codes(report) == set()
    assert report.held["bank entries"] == 2


@pytest.mark.parametrize("match", ["dd" * 32, "ab" * 32], ids=["of-the-return", "of-nothing"])
def test_money_that_left_is_no_part_of_a_return(match: str) -> None:
    """Whoever took 5 calls it the bank's charge on a payment that came back whole: the account's sum is right."""
    books = small.settled_month()
    record = {**payment(books, 1, "RETURNED"), "charge_minor": 5}
    bank = at_bank({**record, "charge_minor": 0})
    taken = {**bank[1], "entry": "ee" * 32, "amount_minor": 5, "debit": True, "match": match}
    report = examined(books, [record], journal(books, record), [*bank, taken])
    assert codes(report) == {"BANK_ENTRY_DIFFERS"}


@pytest.mark.parametrize("imported", [1, 3])
def test_a_booking_left_out_of_bundle_and_books_is_missed_by_the_log(imported: int) -> None:
    """Both say the same of two bookings; the log says that another number came in."""
    books = small.settled_month()
    record, fee = payment(books), booking()
    entries, bank = [*journal(books, record), *booked(fee)], [*at_bank(record), fee]
    assert codes(examined(books, [record], entries, bank, imported)) == {"BANK_ENTRIES_MISSING"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"amount_minor": 50}, {"BANK_ENTRIES_DIFFER"}),
        ({"debit": False}, {"BANK_ENTRIES_DIFFER"}),
        ({"entry": "b1" * 32}, {"BANK_ENTRIES_DIFFER"}),
    ],
)
def test_a_booking_told_otherwise_in_bundle_and_books_is_found_by_the_log(change: Any, found: set[str]) -> None:
    books = small.settled_month()
    record, fee = payment(books), booking()
    came = [(one["entry"], "CNY", -one["amount_minor"]) for one in (*at_bank(record), fee)]
    told = {**fee, **change}
    kept = booked(told) if told["debit"] else booked({**told, "amount_minor": -told["amount_minor"]})
    report = examined(
        books, [record], [*journal(books, record), *kept], [*at_bank(record), told], brought=movements.imported(came)
    )
    assert codes(report) == found


def test_a_booking_in_the_log_alone_is_missed() -> None:
    books = small.settled_month()
    small.log(books, "bank.file", {"account": "…3000", "entries": 1, "taken": 1})
    report = examine(evidence.write(books.entries(), alliance=small.ALLIANCE, period=small.PERIOD), small.trust(books))
    assert codes(report) == {"BANK_ENTRIES_MISSING"}


BankLie = Callable[[list[Any], list[Any]], None]


def an_entry_left_out_of_suspense(bank: list[Any], entries: list[Any]) -> None:
    del entries[-1]


def an_entry_that_is_not_told(bank: list[Any], entries: list[Any]) -> None:
    del bank[-1]


def suspense_of_another_amount(bank: list[Any], entries: list[Any]) -> None:
    bank[-1]["amount_minor"] -= 1


def suspense_of_the_other_side(bank: list[Any], entries: list[Any]) -> None:
    bank[-1]["debit"] = False


def an_open_entry_said_to_be_explained(bank: list[Any], entries: list[Any]) -> None:
    bank[-1] |= EXPLAINED


def a_payment_that_no_entry_made(bank: list[Any], entries: list[Any]) -> None:
    del bank[0]


def a_payment_said_to_be_explained(bank: list[Any], entries: list[Any]) -> None:
    bank[0] |= EXPLAINED


def an_entry_in_suspense_twice(bank: list[Any], entries: list[Any]) -> None:
    bank.append({**bank[-1], "entry": "b1" * 32})


def an_account_that_is_no_place(bank: list[Any], entries: list[Any]) -> None:
    bank[-1] |= EXPLAINED | {"account": "expense:partner_share"}


def an_account_that_is_no_text(bank: list[Any], entries: list[Any]) -> None:
    bank[-1] |= EXPLAINED | {"account": [accounts.BANK_CHARGES]}


@pytest.mark.parametrize(
    "lie",
    [
        an_entry_left_out_of_suspense,
        an_entry_that_is_not_told,
        suspense_of_another_amount,
        suspense_of_the_other_side,
        an_open_entry_said_to_be_explained,
        a_payment_that_no_entry_made,
        a_payment_said_to_be_explained,
        an_entry_in_suspense_twice,
        an_account_that_is_no_place,
        an_account_that_is_no_text,
    ],
)
def test_books_that_are_not_what_the_bank_said_are_found(lie: BankLie) -> None:
    books = small.settled_month()
    record, fee = payment(books), booking()
    bank, entries = [*at_bank(record), fee], [*journal(books, record), *booked(fee)]
    lie(bank, entries)
    found = codes(examined(books, [record], entries, bank))
    assert found & {"BANK_BOOKS_DIFFER", "BANK_ENTRY_DIFFERS", "RECORD_UNREADABLE"}
