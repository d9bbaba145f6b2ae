"""What reconciliation is given and what it gives: orders, movements of the bank, matches, returns, exceptions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum

from privacy import canonical
from privacy.ids import Digest
from revenue_share.ledger import Side


def imported(entries: Iterable[tuple[str, str, int]]) -> Digest:
    """The digest of what a bank's file brought: (id, currency, signed minor units) of each entry in its order.

    The log keeps it, so that nobody tells of an entry otherwise later than it came in.
    """
    return Digest(canonical.digest("ecohub/bank-entries/v1", [[*entry] for entry in entries]).hex())


class Rule(Enum):
    REFERENCE = "REFERENCE"
    PARTS = "PARTS"
    AMOUNT = "AMOUNT"
    SUM = "SUM"


class ExceptionClass(Enum):
    MISSING = "MISSING"  # ordered, and not booked within the window
    EXTRA = "EXTRA"  # booked, and nothing was ordered
    DUPLICATED = "DUPLICATED"  # names an order that was paid, or returned, before
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    CURRENCY_DIFFERS = "CURRENCY_DIFFERS"
    ACCOUNT_DIFFERS = "ACCOUNT_DIFFERS"  # paid from another account of ours, or to another than the creditor's
    RETURNED = "RETURNED"  # money came back in a way that does not say which payment it takes back
    AMBIGUOUS = "AMBIGUOUS"  # could be several things


class OrderState(Enum):
    OPEN = "OPEN"
    HELD = "HELD"  # open, and two people have it before them: a debit that names it waits for them
    SETTLED = "SETTLED"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One ordered payment. `id` is its EndToEndId; accounts are empty where the payment file named none."""

    id: str
    currency: str
    amount_minor: int
    due: date
    account: str = ""  # ours
    counterparty: str = ""  # the creditor's account
    name: str = ""  # the creditor's name
    state: OrderState = OrderState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One booked entry of a bank statement. The amount is positive; DEBIT means money left our account.

    `charge_minor`: what the bank says that it kept of a credit.
    """

    id: str
    account: str
    currency: str
    amount_minor: int
    side: Side
    booked: date
    references: frozenset[str] = frozenset()
    counterparty: str = ""
    name: str = ""
    count: int = 1  # payments that the bank says are in it
    returned: bool = False  # the bank says that it takes an earlier payment back
    charge_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Orders and the movements that paid them, with equal sums. One of the two is a single one."""

    rule: Rule
    orders: tuple[str, ...]
    movements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A payment that the bank gave back, less what it kept as its charge: the order is owed again, all of it."""

    order: str
    movement: str
    charge_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionItem:
    """What no rule may decide. `movement` is empty for a missing payment; `orders` are those it may concern."""

    kind: ExceptionClass
    movement: str
    orders: tuple[str, ...]
    since: date
    age_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The outcome, each part in a fixed order. `waiting`: orders that the bank may still book in time."""

    matches: tuple[Match, ...]
    returns: tuple[Return, ...]
    exceptions: tuple[ExceptionItem, ...]
    waiting: tuple[str, ...]
