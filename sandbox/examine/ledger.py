"""The journal: each entry is balanced and exactly what its statement, its payment or the bank's entry gives.

There is no other entry, and the account at the bank holds what the bank's entries sum to.
"""

from collections import defaultdict
from collections.abc import Mapping

from privacy import canonical
from revenue_share import accounts, ledger
from revenue_share.ledger import EntryState, JournalEntry
from sandbox.examine import bank, forms, payments
from sandbox.examine.case import Case, Object, records
from sandbox.examine.findings import Facts
from sandbox.examine.payments import Paid
from sandbox.examine.statements import Recomputed, difference

NAME = "ledger/entries.jsonl"
SIDES = {"DEBIT": 1, "CREDIT": -1}
# what is posted by then is the whole amount of the statement
DECIDED = {"FINAL": EntryState.POSTED, "PAID": EntryState.POSTED, "ACKED": EntryState.POSTED, "VOID": EntryState.VOIDED}


def check(case: Case, settled: tuple[Recomputed, ...]) -> Paid:
    """Every entry against its statement or payment, and every one's entry is there; gives the payments."""
    paid = payments.check(case, settled, {one.id: _due(one) for one in settled})
    told = bank.check(case, paid)
    missing = dict(paid.journal)
    statements = {one.id: one for one in settled}
    unread = {name.split("/")[1] for name in case.bundle.names("statements/", "/body.json")} - set(statements)
    seen: set[str] = set()
    owed: dict[str, int] = defaultdict(int)
    stood: dict[tuple[str, str], int] = defaultdict(int)
    for where, _, entry in records(case, NAME):
        if entry is None or not _check_balance(case, where, entry):
            continue
        for account, asset, minor in _moves(entry) if entry.get("state") == EntryState.POSTED.value else ():
            stood[account, asset] += minor
        subject, name = str(entry.get("subject")), str(entry.get("id"))
        if name in paid.journal:
            _check_payment(case, where, entry, missing.pop(name, None))
        elif subject in statements:
            if forms.once(case, seen, where, subject):
                _check_entry(case, where, entry, statements[subject])
                owed[subject] += _points_owed(entry)
        elif subject not in unread:
            case.sheet.add("JOURNAL_ENTRY_UNKNOWN", where, entry=str(entry.get("id"))[:80])
    for one in settled:
        if _expected(one) is not None and canonical.encode(one.id).decode() not in seen:
            case.sheet.add("JOURNAL_DIFFERS", NAME, statement=one.id[:16], posted=0, total=one.total_minor)
    _check_points(case, settled, owed)
    bank.compare(case, stood, told)
    bank.check_imports(case)
    for name in missing:
        case.sheet.add("PAYMENT_DIFFERS", NAME, order=name[:80], what="it is not in the journal")
    return paid


def _check_payment(case: Case, where: str, entry: Object, made: JournalEntry | None) -> None:
    """A payment's entry, or its return's: the period is that of the bank's day, the memo of a return has its reason."""
    free = {"period", "memo", "postings"} if made is not None and made.reverses else {"period", "postings"}
    kept, expected = (
        {name: value for name, value in one.items() if name not in free} | {"moves": _moves(one)}
        for one in (entry, made.to_value() if made else {"postings": []})
    )
    if kept != expected:
        case.sheet.add("PAYMENT_DIFFERS", where, order=str(entry.get("id"))[:80], what="its journal entry")


def _check_points(case: Case, settled: tuple[Recomputed, ...], owed: Mapping[str, int]) -> None:
    """The points that the journal owes clients after an agreement's last posted statement are those that are open."""
    held: dict[str, int] = defaultdict(int)
    last: dict[str, Recomputed] = {}
    for one in settled:  # an agreement's in their order
        if DECIDED.get(one.state) is EntryState.POSTED:
            held[one.agreement.digest] += owed.get(one.id, 0)
            last[one.agreement.digest] = one
    for agreement, one in last.items():
        points = one.step.points if one.step else None
        open_ = points.carried_forward if points is not None else 0
        if held[agreement] != open_:
            facts: Facts = {"statement": one.id[:16], "held": held[agreement], "open": open_}
            case.sheet.add("JOURNAL_POINTS_DIFFER", NAME, **facts)
        elif points is not None:
            case.sheet.holds("points in the journal")


def _points_owed(entry: Object) -> int:
    """What a posted entry adds to the points owed to clients; 0 of one that is not posted."""
    if entry.get("state") != EntryState.POSTED.value:
        return 0
    return -sum(minor for name, minor in _postings(entry) if name == accounts.POINTS_LIABILITY)


def _due(one: Recomputed) -> int:
    """What a statement makes payable to the referrer, minor units."""
    made = _expected(one)
    account = accounts.payable(one.agreement.referrer.partner)
    return -sum(posting.signed_minor for posting in made.postings if posting.account == account) if made else 0


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
        points=one.step.points if one.step else None,
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


def _moves(entry: Object) -> list[tuple[str, str, int]]:
    """(account, asset, signed amount) of an entry whose form was checked, in the order of the alphabet."""
    postings = entry["postings"]
    assert isinstance(postings, list), "its form was checked"
    found = [p for p in postings if isinstance(p, dict)]
    return sorted((str(p.get("account")), str(p.get("asset")), _signed(p) or 0) for p in found)


def _signed(posting: canonical.Value) -> int | None:
    if not isinstance(posting, dict):
        return None
    side, minor = posting.get("side"), posting.get("amount_minor")
    if side not in SIDES or type(minor) is not int or minor <= 0:
        return None
    return SIDES[str(side)] * minor
