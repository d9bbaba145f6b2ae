"""The journal's entries: each balances per asset, and what was posted for a statement is what it says is payable."""

from collections import defaultdict

from privacy import canonical
from sandbox.examine.case import Case, Object, records
from sandbox.examine.statements import Recomputed

NAME = "ledger/entries.jsonl"
SIDES = {"DEBIT": 1, "CREDIT": -1}
PAYABLE = "liability:payable:"
SETTLED = ("FINAL", "PAID", "ACKED")  # what is posted by then is the whole amount of the statement


def check(case: Case, settled: tuple[Recomputed, ...]) -> None:
    """Every entry of the period, and the statements' amounts in the books."""
    owed: dict[tuple[str, str], int] = defaultdict(int)
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
        if entry.get("state") == "POSTED":
            for account, minor in _postings(entry):
                owed[str(entry.get("subject")), account] -= minor
    for one in settled:
        posted = owed[one.id, PAYABLE + one.agreement.referrer.partner]
        if one.state in SETTLED and posted != one.total_minor:
            case.sheet.add("JOURNAL_DIFFERS", NAME, statement=one.id[:16], posted=posted, total=one.total_minor)
        elif one.state in SETTLED:
            case.sheet.holds("statements in the journal")


def _balance(entry: Object) -> dict[str, int] | None:
    """What is left of each asset; zero where the entry balances. None for another form."""
    postings = entry.get("postings")
    if not isinstance(postings, list) or not postings:
        return None
    balance: dict[str, int] = defaultdict(int)
    for posting in postings:
        minor = _signed(posting)
        if minor is None or not isinstance(posting, dict):
            return None
        balance[str(posting.get("asset"))] += minor
    return balance


def _postings(entry: Object) -> list[tuple[str, int]]:
    """(account, signed amount) of an entry whose form was checked; debits are positive."""
    postings = entry["postings"]
    assert isinstance(postings, list), "its form was checked"
    return [(str(p.get("account")), _signed(p) or 0) for p in postings if isinstance(p, dict)]


def _signed(posting: canonical.Value) -> int | None:
    if not isinstance(posting, dict):
        return None
    side, minor = posting.get("side"), posting.get("amount_minor")
    if side not in SIDES or type(minor) is not int or minor <= 0:
        return None
    return SIDES[str(side)] * minor
