"""The examiner on payments: what was paid once, what came back, and every way in which the record could lie."""

from collections.abc import Callable
from typing import Any

import pytest

from ecowire import codec_payout, evidence
from privacy.ids import Period
from revenue_share import accounts, ledger
from revenue_share.ledger import EntryState
from sandbox.examine.payments import NAME
from sandbox.examine.run import Report, examine
from tests.sandbox import small_alliance as small
from tests.sandbox.small_alliance import Books

JOURNAL = "ledger/entries.jsonl"
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
    return [made.to_value(), back.become(EntryState.POSTED).to_value()]


def examined(books: Books, records: list[Any], entries: list[Any]) -> Report:
    given = {**books.entries(), NAME: evidence.jsonl(records), JOURNAL: evidence.jsonl([*books.journal, *entries])}
    return examine(evidence.write(given, alliance=small.ALLIANCE, period=small.PERIOD), small.trust(books))


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity == "error"}


def test_a_payment_that_came_back_and_was_made_again_holds() -> None:
    books = small.settled_month()
    first, second = payment(books, 1, "RETURNED"), payment(books, 2, match=SECOND)
    report = examined(books, [first, second], [*journal(books, first), *journal(books, second)])
    assert codes(report) == set()
    assert report.held["payments"] == 2


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


@pytest.mark.parametrize(
    "lie",
    [
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
    assert codes(report) == {"PAYMENT_DIFFERS"}


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
