"""The bank's entries in the books: each in suspense until its match, then where the match says; and what they sum to.

The account at the bank holds what the bank's entries sum to, and suspense what of them is open, by currency. An entry
that is neither in suspense nor in a match came in after the books were last reconciled: it stands on no account yet.
What came in is in the audit log, which the nodes co-sign: an entry left out of bundle and books, or told otherwise, is
missed.
"""

from collections import defaultdict
from collections.abc import Mapping

from privacy.ids import Period
from revenue_share import accounts, movements, suspense
from revenue_share.ledger import EntryState, JournalEntry
from revenue_share.suspense import RAIL
from sandbox.examine import forms
from sandbox.examine.case import Case, Object, records
from sandbox.examine.payments import Paid

NAME = "payments/bank.jsonl"
IMPORTED = "bank.file"  # leaves of the bank's files; `taken`: how many entries each `brought`
FIELDS = {"entry", "currency", "amount_minor", "debit", "suspended", "match", "kind", "account"}
KINDS = ("PAID", "RETURNED", "EXPLAINED")
_ANY = Period("2000-01")  # the month of a booking is the bank's: it is compared with nothing
Balances = dict[tuple[str, str], int]  # (account, asset) to debits less credits, minor units


def check(case: Case, paid: Paid) -> Balances:
    """What the entries give on the account at the bank and in suspense; their journal entries join those of `paid`."""
    balances: Balances = defaultdict(int)
    seen: set[str] = set()
    payments, back = dict(paid.entries), defaultdict[str, int](int)
    for where, _, record in records(case, NAME):
        if record is None or not forms.exact(case, where, record, FIELDS):
            continue
        if not _reads(record):
            case.sheet.add("RECORD_UNREADABLE", where, why="an entry of the bank with its place is expected")
            continue
        entry, minor = str(record["entry"]), _signed(record)
        if not forms.once(case, seen, where, entry):
            continue
        given = payments.pop(entry, None)
        if given != ((str(record["match"]), minor) if record["kind"] == "PAID" else None):
            case.sheet.add("BANK_ENTRY_DIFFERS", where, entry=entry[:16], what="the payment that it made")
        if record["kind"] == "RETURNED":
            back[str(record["match"])] += minor
            if minor < 0:
                case.sheet.add("BANK_ENTRY_DIFFERS", where, entry=entry[:16], what="that money came back")
        paid.journal |= {one.id: one for one in _journal(record, minor)}
        asset = str(record["currency"])
        if record["suspended"] or record["match"] is not None:
            balances[accounts.bank(RAIL), asset] += minor
        if record["suspended"] and record["match"] is None:
            balances[accounts.SUSPENSE, asset] -= minor
        case.sheet.holds("bank entries")
    for entry in payments:
        case.sheet.add("BANK_ENTRY_DIFFERS", NAME, entry=entry[:16], what="its place among the bank's entries")
    for match in sorted(set(back) | set(paid.returned)):
        if back.get(match) != paid.returned.get(match):
            case.sheet.add("BANK_ENTRY_DIFFERS", NAME, entry=match[:16], what="the payment that came back by its match")
    return balances


def check_imports(case: Case) -> None:
    """The bundle has the bank's entries that the audit log says were imported, file after file in the log's order.

    Leaves of before say how many, later ones which.
    """
    told = [
        (where, record)
        for where, _, record in records(case, NAME)
        if record and set(record) == FIELDS and _reads(record)
    ]
    leaves = [leaf for leaf in case.leaves if leaf.value is not None and leaf.text("kind") == IMPORTED]
    place = 0
    for leaf in leaves:
        facts = leaf.value.get("facts") if leaf.value is not None else None
        taken, brought = (facts.get("taken"), facts.get("brought")) if isinstance(facts, dict) else (0, None)
        number = taken if type(taken) is int and taken > 0 else 0
        own, place = told[place : place + number], place + number
        found = movements.imported((str(one["entry"]), str(one["currency"]), _signed(one)) for _, one in own)
        if brought not in (None, found) and len(own) == number:
            case.sheet.add("BANK_ENTRIES_DIFFER", own[0][0] if own else NAME, count=number)
    if place != len(told):
        case.sheet.add("BANK_ENTRIES_MISSING", NAME, logged=place, found=len(told))


def compare(case: Case, stood: Mapping[tuple[str, str], int], told: Balances) -> None:
    """The journal's posted balances of the two accounts are those that the entries give."""
    for account, asset in sorted(set(stood) | set(told)):
        if account not in (accounts.bank(RAIL), accounts.SUSPENSE):
            continue
        held, given = stood.get((account, asset), 0), told.get((account, asset), 0)
        if held != given:
            case.sheet.add("BANK_BOOKS_DIFFER", NAME, account=account, asset=asset, held=held, given=given)


def _reads(record: Object) -> bool:
    minor, match = record["amount_minor"], record["match"]
    place = isinstance(match, str) and record["kind"] in KINDS if match is not None else record["kind"] is None
    account = record["account"]
    explained = isinstance(account, str) and account in suspense.MEMOS
    named = explained if record["kind"] == "EXPLAINED" else account is None
    flags = isinstance(record["debit"], bool) and isinstance(record["suspended"], bool)
    asset = isinstance(record["currency"], str) and accounts.holds(accounts.SUSPENSE, record["currency"])
    amount = type(minor) is int and minor >= (1 if record["suspended"] else 0)  # imports of before kept zeros
    return amount and isinstance(record["entry"], str) and place and named and flags and asset


def _signed(record: Object) -> int:
    minor = record["amount_minor"]
    assert isinstance(minor, int), "its form was checked"
    return -minor if record["debit"] else minor


def _journal(record: Object, minor: int) -> list[JournalEntry]:
    """The journal entries of suspense, of its clearing, and of what was explained."""
    entry, asset = str(record["entry"]), str(record["currency"])
    found = []
    if record["suspended"]:
        found.append(suspense.suspended(entry, asset, minor, _ANY).become(EntryState.POSTED))
        if record["match"] is not None:
            found.append(suspense.cleared(found[0], entry, "", _ANY).become(EntryState.POSTED))
    if record["kind"] == "EXPLAINED" and minor:
        match, account = str(record["match"]), str(record["account"])
        found.append(suspense.explained(entry, match, account, asset, minor, _ANY).become(EntryState.POSTED))
    return found
