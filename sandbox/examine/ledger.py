"""The journal's entries: each balances per asset, and what was posted for a statement is what it says is payable."""

from collections import defaultdict

from privacy import canonical
from sandbox.examine.case import Case, Object, records

NAME = "ledger/entries.jsonl"
SIDES = {"DEBIT": 1, "CREDIT": -1}


def check(case: Case) -> None:
    """Every entry of the period."""
    for where, _, entry in records(case, NAME):
        if entry is None:
            continue
        balance = _balance(entry)
        if balance is None:
            case.sheet.add("RECORD_UNREADABLE", where, why="postings with account, asset, side and amount are expected")
            continue
        off = next((minor for minor in balance.values() if minor), 0)
        if off:
            case.sheet.add("JOURNAL_UNBALANCED", where, entry=str(entry.get("id"))[:80], minor=off)
        else:
            case.sheet.holds("journal entries")


def _balance(entry: Object) -> dict[str, int] | None:
    postings = entry.get("postings")
    if not isinstance(postings, list) or not postings:
        return None
    balance: dict[str, int] = defaultdict(int)
    for posting in postings:
        signed = _signed(posting)
        if signed is None:
            return None
        asset, minor = signed
        balance[asset] += minor
    return balance


def _signed(posting: canonical.Value) -> tuple[str, int] | None:
    if not isinstance(posting, dict):
        return None
    asset, side, minor = posting.get("asset"), posting.get("side"), posting.get("amount_minor")
    if not isinstance(asset, str) or side not in SIDES or type(minor) is not int or minor <= 0:
        return None
    return asset, SIDES[str(side)] * minor
