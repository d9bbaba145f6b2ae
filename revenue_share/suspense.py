"""The journal's entries for what the bank booked and no payment is: in suspense, and where it was explained to belong.

Hub and examiner make them by these functions; each is named by the bank's entry, so there is one of each.
"""

from privacy.ids import Period
from revenue_share import accounts, ledger
from revenue_share.ledger import JournalEntry

RAIL = "transfer"
MEMOS = {
    accounts.BANK_CHARGES: "bank charges",
    accounts.INTEREST: "interest",
    accounts.OUTSIDE: "outside these books",
}
"""Where explained money goes, and what the journal says of it."""


def suspended(entry: str, currency: str, minor: int, month: Period) -> JournalEntry:
    """A bank entry that nobody can tell yet. minor: what it adds to our balance, in minor units."""
    name, memo = f"suspense-{entry}", "not matched yet"
    return ledger.transfer(name, entry, memo, month, accounts.bank(RAIL), accounts.SUSPENSE, currency, minor)


def explained(entry: str, match: str, account: str, currency: str, minor: int, month: Period) -> JournalEntry:
    """A bank entry of no payment on the account that its match names, one of MEMOS."""
    name, memo = f"explained-{entry}", MEMOS[account]
    return ledger.transfer(name, match, memo, month, accounts.bank(RAIL), account, currency, minor)


def cleared(held: JournalEntry, entry: str, memo: str, month: Period) -> JournalEntry:
    """What takes a bank entry out of suspense, once it is settled."""
    return held.reversing(f"cleared-{entry}", memo, month)
