"""What the bank booked, in our books: in suspense while nobody can say what it is, then where its match says.

Every entry of the bank is on asset:bank:<rail> with its sign, whatever becomes of it. One that no match settles stands
against suspense:recon; its match takes it out again by a reversing entry and books it where it belongs. So suspense is
at any time what is open, and the account at the bank is what the bank says. Each step is made once: the journal's
entries are named by the bank's, and the database clears no entry that is not settled, nor settles one uncleared.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.records import Head
from hub.store import Transaction
from hub.store_bank import APPROVED, EXPLAINED, BankStore, Entry, MatchRecord
from hub.store_ledger import LedgerStore, View
from privacy.ids import Period
from revenue_share import accounts, suspense

ZONE = ZoneInfo("Asia/Shanghai")  # of our bank days
# where an entry of no payment goes: what a person names, and the account
PLACES = {"charges": accounts.BANK_CHARGES, "interest": accounts.INTEREST, "outside": accounts.OUTSIDE}


def suspend(tx: Transaction, now: datetime) -> None:
    """Every entry that is in no match goes between the bank and suspense, once. One for each bank entry.

    But for entries of zero, which older imports kept: they move nothing, and no journal entry says nothing.
    """
    _explain_older(tx, now)
    bank = BankStore(tx.session)
    found = [entry for entry in bank.entries(unsettled=True) if entry.suspended_by is None and signed(entry)]
    months = {day: month_of(tx, day, now) for day in set(map(booked, found))}
    made = [
        suspense.suspended(entry.id, str(entry.value["currency"]), signed(entry), months[booked(entry)])
        for entry in found
    ]
    LedgerStore(tx.session).post_all(made, now)
    bank.suspend_entries({entry.id: one.id for entry, one in zip(found, made, strict=True)})


def settle(tx: Transaction, match: MatchRecord, entries: Iterable[Entry], month: Period, now: datetime) -> None:
    """The entries are their match's: what of them stands in suspense is reversed in this month."""
    books, cleared, names = LedgerStore(tx.session), dict[str, str](), []
    for entry in entries:
        names.append(entry.id)
        if entry.suspended_by is not None:
            (held,) = (one for one in books.entries(entry.id) if one.id == entry.suspended_by)
            back = suspense.cleared(held, entry.id, f"matched by {match.id[:16]}", month)
            cleared[entry.id] = books.post(back, now).id
    BankStore(tx.session).settle_entries(names, match.id, cleared)


def explain(tx: Transaction, match: MatchRecord, entries: Iterable[Entry], now: datetime) -> None:
    """Entries of no payment go from the bank to the account that two people named, each in its own month."""
    for entry in entries:
        settle(tx, match, [entry], month_of(tx, booked(entry), now), now)
        if signed(entry):
            _book(tx, match, entry, now)


def open_minor(tx: Transaction) -> Head:
    """What stands in suspense, by currency: signed minor units, less than zero where more left the account."""
    found = LedgerStore(tx.session).balances(View(account=accounts.SUSPENSE))
    return {one.asset: -one.net_minor for one in found if one.net_minor}


def signed(entry: Entry) -> int:
    """What an entry adds to our balance, in minor units."""
    minor = entry.value["amount_minor"]
    assert isinstance(minor, int), "an entry has its amount"
    return -minor if entry.value["debit"] else minor


def booked(entry: Entry) -> date:
    """The bank's day of an entry."""
    return date.fromisoformat(str(entry.value["booked"]))


def today(now: datetime) -> date:
    """The day in the zone of our bank days."""
    return now.astimezone(ZONE).date()


def month_of(tx: Transaction, day: date, now: datetime) -> Period:
    """The month of the bank's day; where its books are locked, the current one, or the first that is open.

    Months are locked by the clocks of the agreements, which may be ahead of our bank's.
    """
    month, locked = Period(f"{day:%Y-%m}"), LedgerStore(tx.session).locked()
    if locked is None or month > locked:
        return month
    following = date.fromisoformat(f"{locked}-01") + timedelta(days=31)
    return Period(max(f"{today(now):%Y-%m}", f"{following:%Y-%m}"))


def account_of(match: MatchRecord) -> str:
    """Where an explained entry went; before people were asked, all of it stayed outside these books."""
    return match.account or accounts.OUTSIDE


def _book(tx: Transaction, match: MatchRecord, entry: Entry, now: datetime) -> None:
    month, currency = month_of(tx, booked(entry), now), str(entry.value["currency"])
    made = suspense.explained(entry.id, match.id, account_of(match), currency, signed(entry), month)
    LedgerStore(tx.session).post(made, now)


def _explain_older(tx: Transaction, now: datetime) -> None:
    """Entries that were explained before their money had a place in the books get it now."""
    books, bank = LedgerStore(tx.session), BankStore(tx.session)
    for match in bank.matches(states=(APPROVED,)):
        if match.kind == EXPLAINED and not match.account and not books.entries(match.id):
            for entry in filter(signed, bank.entries(match=match.id)):
                _book(tx, match, entry, now)
