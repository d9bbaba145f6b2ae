"""What pricing makes of each event before it becomes a line: verdict, exact share, and the state it was made from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from privacy import canonical
from privacy.ids import ClientToken
from revenue_share import money
from revenue_share.agreement import Agreement
from revenue_share.position import Open
from revenue_share.referral import Referral, RevenueEvent, Verdict
from revenue_share.rules import Rule
from revenue_share.rules.base import ratio

ZERO = Fraction(0)
ONE = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A limit that changed a share: `taken` is what the scope's sum was before, `after` the share it left."""

    scope: str
    bound: int
    floor: bool
    taken: Fraction
    after: Fraction

    def to_value(self) -> list[canonical.Value]:
        return [self.scope, self.bound, self.floor, ratio(self.taken), ratio(self.after)]


@dataclass(slots=True, kw_only=True)
class State:
    """What a share depends on besides agreement, referral and event; absent where it depends on nothing more."""

    base: Fraction | None = None  # where it is not the event's own number
    mark: int | None = None
    credit: Fraction = ONE
    cuts: list[Cut] = field(default_factory=list)
    original: Open | None = None  # the event that is taken back, as it stood before
    earned: Fraction = ZERO  # by the rule alone, before credit and limits

    def to_value(self) -> dict[str, canonical.Value]:
        """The part of an accrual line's inputs digest that is neither agreement, referral nor event."""
        return {
            "mark": self.mark,
            "credit": ratio(self.credit),
            "cuts": [cut.to_value() for cut in self.cuts],
            "original": self.original.to_value() if self.original else None,
        }


@dataclass(slots=True, kw_only=True)
class Item:
    """One event, or a client without any, or points that expired; `share` and `amount` in units of its asset."""

    token: ClientToken
    event: RevenueEvent | None
    referral: Referral | None
    verdict: Verdict
    version: Agreement
    rule: Rule | None = None
    share: Fraction = ZERO
    amount: int = 0
    state: State | None = None
    expired: datetime | None = None  # of points that nobody redeemed

    @property
    def name(self) -> str:
        return f"{self.token}/{self.event.id}" if self.event else self.token

    @property
    def asset(self) -> str:
        """What it is paid in."""
        own = self.rule.asset if self.rule and self.verdict.counts else None
        return own or self.version.currency

    @property
    def time(self) -> datetime | None:
        return self.event.time if self.event else self.expired


def round_amounts(items: Iterable[Item], tie_key: bytes) -> None:
    """Set the amounts of counted items of money: the one rounding of a statement, by largest remainder, from the top.

    The statement's total is the exact sum rounded half to even. A rule with a limit over several events is one part of
    it, its clients are parts of that, their lines parts of these: each part is its exact sum rounded down or up, and so
    stays within the whole number that bounds it. Lines of other rules are parts of the total themselves.
    """
    single: list[Item] = []
    summed: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        assert item.rule is not None, "what counts has a rule"
        if item.rule.summed:
            summed.setdefault(item.rule.id, {}).setdefault(item.token, []).append(item)
        else:
            single.append(item)
    of_client = {
        rule: [money.exact_sum(item.share for item in own) for own in clients.values()]
        for rule, clients in summed.items()
    }
    rules, first = list(summed), len(single)
    shares = [*(item.share for item in single), *(money.exact_sum(of_client[rule]) for rule in rules)]
    amounts = money.apportion(
        shares,
        round(money.exact_sum(shares)),
        lambda place: single[place].name if place < first else f"rule/{rules[place - first]}",
        tie_key,
    )
    for item, amount in zip(single, amounts, strict=False):
        item.amount = amount
    for rule, whole in zip(rules, amounts[first:], strict=True):
        clients = summed[rule]
        totals = money.apportion(of_client[rule], whole, list(clients).__getitem__, tie_key)
        for own, total in zip(clients.values(), totals, strict=True):
            _share_out(own, total, tie_key)


def _share_out(items: Sequence[Item], total: int, tie_key: bytes) -> None:
    parts = money.apportion([item.share for item in items], total, lambda place: items[place].name, tie_key)
    for item, part in zip(items, parts, strict=True):
        item.amount = part
