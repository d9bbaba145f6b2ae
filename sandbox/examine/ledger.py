"""The journal: each entry balances per asset and is exactly what its statement gives, and there is no other entry."""

from collections import defaultdict

from privacy import canonical
from revenue_share import accounts, ledger
from revenue_share.ledger import EntryState, JournalEntry
from sandbox.examine import forms
from sandbox.examine.case import Case, Object, records
from sandbox.examine.findings import Facts
from sandbox.examine.statements import Recomputed, difference

NAME = "ledger/entries.jsonl"
SIDES = {"DEBIT": 1, "CREDIT": -1}
# what is posted by then is the whole amount of the statement
DECIDED = {"FINAL": EntryState.POSTED, "PAID": EntryState.POSTED, "ACKED": EntryState.POSTED, "VOID": EntryState.VOIDED}


def check(case: Case, settled: tuple[Recomputed, ...]) -> None:
    """Every entry against its statement, and every statement's entry is there."""
    statements = {one.id: one for one in settled}
    unread = {name.split("/")[1] for name in case.bundle.names("statements/", "/body.json")} - set(statements)
    seen: set[str] = set()
    for where, _, entry in records(case, NAME):
        if entry is None or not _check_balance(case, where, entry):
            continue
        subject = str(entry.get("subject"))
        if subject in statements:
            if forms.once(case, seen, where, subject):
                _check_entry(case, where, entry, statements[subject])
        elif subject not in unread:
            case.sheet.add("JOURNAL_ENTRY_UNKNOWN", where, entry=str(entry.get("id"))[:80])
    for one in settled:
        if _expected(one) is not None and canonical.encode(one.id).decode() not in seen:
            case.sheet.add("JOURNAL_DIFFERS", NAME, statement=one.id[:16], posted=0, total=one.total_minor)


def _check_entry(case: Case, where: str, entry: Object, one: Recomputed) -> None:
    made = _expected(one)
    if made is None:
        case.sheet.add("JOURNAL_ENTRY_UNKNOWN", where, entry=str(entry.get("id"))[:80])
        return
    expected = (made.become(DECIDED[one.state]) if one.state in DECIDED else made).to_value()
    account = accounts.payable(one.agreement.referrer.partner)
    posted, due = (-sum(minor for name, minor in _postings(item) if name == account) for item in (entry, expected))
    if posted != due:
        case.sheet.add("JOURNAL_DIFFERS", NAME, statement=one.id[:16], posted=posted, total=due)
    elif canonical.encode(entry) != canonical.encode(expected):
        field, stored, recomputed = difference(entry, expected)
        facts: Facts = {"field": field, "stored": stored, "recomputed": recomputed}
        case.sheet.add("JOURNAL_ENTRY_DIFFERS", where, entry=str(entry.get("id"))[:80], **facts)
    else:
        case.sheet.holds("statements in the journal")


def _expected(one: Recomputed) -> JournalEntry | None:
    """The pending entry that the recomputed statement gives."""
    gross = one.total_minor + one.place.brought_forward_minor - one.carried_minor
    return ledger.accrual(
        one.id,
        one.period,
        one.agreement.referrer.partner,
        one.agreement.currency,
        one.total_minor,
        gross_minor=gross,
        vat_minor=one.step.vat_minor if one.step else 0,
        withheld_minor=one.step.withheld_minor if one.step else 0,
        paid_minor=one.step.paid_minor if one.step else gross,
    )


def _check_balance(case: Case, where: str, entry: Object) -> bool:
    """Whether an entry has the form of one; a finding where it has not, or where it does not balance."""
    balance = _balance(entry)
    if balance is None:
        case.sheet.add("RECORD_UNREADABLE", where, why="postings with account, asset, side and amount are expected")
        return False
    off = next((minor for minor in balance.values() if minor), 0)
    if off:
        case.sheet.add("JOURNAL_UNBALANCED", where, entry=str(entry.get("id"))[:80], minor=off)
    else:
        case.sheet.holds("journal entries")
    return True


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
