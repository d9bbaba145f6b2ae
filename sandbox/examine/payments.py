"""Payments: what each commitment stands for, the statement it pays, the bank entries that sum to it, its journal."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from ecowire import codec_payout
from ecowire.codec_payout import Payout
from privacy.errors import Failure
from privacy.ids import PartnerId, Period
from revenue_share import accounts, ledger
from revenue_share.ledger import EntryState, JournalEntry
from revenue_share.suspense import RAIL
from sandbox.examine import forms
from sandbox.examine.case import Case, Object, records
from sandbox.examine.statements import Recomputed

NAME = "payments/payments.jsonl"
FIELDS = {
    *("statement", "attempt", "state", "match", "payout", "commitment", "entries"),
    *("returned_by", "charge_minor"),
}
ENTRY_FIELDS = {"entry", "currency", "amount_minor", "debit"}
_PREFIX = 32  # digits of the statement that its orders begin with
_ANY = Period("2000-01")  # the month of a booking is the bank's: it is compared with nothing


@dataclass
class Paid:
    """`journal`: the entries that payments give, by id, of any period; `commitments` by statement.

    `entries`: of each bank entry that paid, its match and what it adds to the balance, minor units; `returned`: of each
    match that took a payment back, what came in for it.
    """

    journal: dict[str, JournalEntry] = field(default_factory=dict)
    commitments: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    entries: dict[str, tuple[str, int]] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)


def check(case: Case, settled: tuple[Recomputed, ...], due: dict[str, int]) -> Paid:
    """Every payment of the bundle. due: what each statement makes payable, minor units by statement."""
    statements = {one.id: one for one in settled}
    found, seen, living, taken = Paid(), set[str](), set[str](), dict[str, str]()
    owed: dict[str, int] = defaultdict(int)
    moved: dict[str, dict[str, int]] = defaultdict(dict)
    for where, _, record in records(case, NAME):
        if record is None or not forms.exact(case, where, record, FIELDS):
            continue
        payout = _payout(case, where, record)
        if payout is None or not forms.once(case, seen, where, payout.end_to_end_id):
            continue
        statement, match = str(record["statement"]), str(record["match"])
        if (wrong := _wrong(record, payout, statements, due)) or not _entries(record, payout, moved[match]):
            case.sheet.add("PAYMENT_DIFFERS", where, order=payout.end_to_end_id, what=wrong or "its bank entries")
            continue
        for entry in moved[match]:
            if taken.setdefault(entry, match) != match:
                case.sheet.add("PAYMENT_DIFFERS", where, order=payout.end_to_end_id, what="an entry that paid another")
        if record["state"] == "SETTLED" and statement in living:
            case.sheet.add("PAYMENT_DIFFERS", where, order=payout.end_to_end_id, what="the statement was paid twice")
        living |= {statement} if record["state"] == "SETTLED" else set()
        owed[match] += payout.amount_minor
        found.commitments[statement].add(payout.commitment)
        _journal(found, record, payout, statements[statement].agreement.referrer.partner)
        case.sheet.holds("payments")
    for match, entries in moved.items():
        found.entries |= {entry: (match, -minor) for entry, minor in entries.items()}
    for match, minor in owed.items():
        if sum(moved[match].values()) != minor:
            case.sheet.add("PAYMENT_DIFFERS", NAME, order=match[:16], what="its bank entries have another sum")
    return found


def _payout(case: Case, where: str, record: Object) -> Payout | None:
    try:
        return codec_payout.from_value(record["payout"])
    except Failure as failure:
        case.sheet.add("RECORD_UNREADABLE", where, why=failure.message())
        return None


def _wrong(record: Object, payout: Payout, statements: dict[str, Recomputed], due: dict[str, int]) -> str:
    """What of a payment is not as its statement says; empty where nothing is."""
    statement = str(record["statement"])
    if statement not in statements:
        return "its statement"
    wrong = {
        "its commitment": payout.commitment != record["commitment"],
        "its amount": payout.amount_minor != due[statement],
        "its currency": payout.currency != statements[statement].agreement.currency,
        "its name": payout.end_to_end_id[:_PREFIX] != statement[:_PREFIX],
        "its state": record["state"] not in ("SETTLED", "RETURNED"),
        "the match that took it back": isinstance(record["returned_by"], str) != (record["state"] == "RETURNED"),
        "the charge of its return": not _charge_holds(record, payout),
    }
    return next((what for what, holds in wrong.items() if holds), "")


def _charge_holds(record: Object, payout: Payout) -> bool:
    """Whether the bank kept less than the payment, and nothing of one that did not come back."""
    kept = record["charge_minor"]
    return type(kept) is int and 0 <= kept < (payout.amount_minor if record["state"] == "RETURNED" else 1)


def _entries(record: Object, payout: Payout, moved: dict[str, int]) -> bool:
    """Whether the entries are those of the payout; their debits less credits go into `moved`."""
    given: Any = record["entries"]
    if not isinstance(given, list) or not all(isinstance(one, dict) and set(one) == ENTRY_FIELDS for one in given):
        return False
    if any(one["currency"] != payout.currency or type(one["amount_minor"]) is not int for one in given):
        return False
    if sorted(str(one["entry"]) for one in given) != sorted(entry for entry, _, _ in payout.booked):
        return False
    told = {str(one["entry"]): one["amount_minor"] if one["debit"] is True else -one["amount_minor"] for one in given}
    if any(moved.get(entry, minor) != minor for entry, minor in told.items()):
        return False
    moved |= told
    return len(told) == len(given)


def _journal(found: Paid, record: Object, payout: Payout, partner: PartnerId) -> None:
    """The entries that the books must hold of a payment, and of its return."""
    debit, credit = accounts.payable(partner), accounts.bank(RAIL)
    name = f"payment-{payout.end_to_end_id}"
    memo = f"paid to {partner}"
    made = ledger.transfer(
        name, str(record["match"]), memo, _ANY, debit, credit, payout.currency, payout.amount_minor
    ).become(EntryState.POSTED)
    found.journal[name] = made
    if record["state"] == "RETURNED":
        back = made.reversing(f"return-{payout.end_to_end_id}", "", _ANY).become(EntryState.POSTED)
        found.journal[back.id] = back
        match, kept = str(record["returned_by"]), record["charge_minor"]
        assert isinstance(kept, int), "its form was checked"
        found.returned[match] = found.returned.get(match, 0) + payout.amount_minor - kept
    if kept := record["charge_minor"]:
        assert isinstance(kept, int), "its form was checked"
        name, memo = f"charge-{payout.end_to_end_id}", "kept by the bank of a return"
        taken = ledger.transfer(
            name, str(record["returned_by"]), memo, _ANY, accounts.BANK_CHARGES, credit, payout.currency, kept
        )
        found.journal[name] = taken.become(EntryState.POSTED)
