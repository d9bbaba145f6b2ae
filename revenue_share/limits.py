"""Caps and floors over events, clients, a period and the life of an agreement, and what of them is used up."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from revenue_share.items import Cut, Item, State
from revenue_share.rules import Limit, Rule

LASTING = ("client", "lifetime")  # scopes whose sums go on in the next period


class Sums:
    """Running sums of a rule's shares by scope: what earlier periods paid, then this period's exact shares."""

    def __init__(self, used: Mapping[str, int]) -> None:
        self._used = dict(used)
        self._sums: dict[str, Fraction] = {}
        self._last: dict[str, tuple[Limit, Item]] = {}  # the last counted item of each scope that has a floor

    def of(self, name: str) -> Fraction:
        """The sum of a scope so far."""
        found = self._sums.get(name)
        return Fraction(self._used.get(name, 0)) if found is None else found

    def take(self, item: Item, rule: Rule, share: Fraction, state: State) -> Fraction:
        """The share that the rule's limits leave, which is added to their sums."""
        for limit in rule.limits:
            left, taken = self._bounded(limit, item, rule, share)
            if left != share:
                bound = limit.floor if abs(left) > abs(share) else limit.cap
                assert bound is not None, "only a bound changes a share"
                state.cuts.append(
                    Cut(scope=limit.scope, bound=bound, floor=abs(left) > abs(share), taken=taken, after=left)
                )
                share = left
        self._add(item, rule, share)
        return share

    def _bounded(self, limit: Limit, item: Item, rule: Rule, share: Fraction) -> tuple[Fraction, Fraction]:
        """(what the limit leaves of a share, the scope's sum before)."""
        if limit.scope == "event":
            size = abs(share)
            if limit.floor is not None and share:
                size = max(size, Fraction(limit.floor))
            if limit.cap is not None:
                size = min(size, Fraction(limit.cap))
            return (size if share >= 0 else -size), Fraction(0)
        before = self.of(scope_name(rule, limit.scope, item.token))
        if limit.cap is None or not share:
            return share, before
        if share > 0:
            return min(before + share, max(Fraction(limit.cap), before)) - before, before
        return max(before + share, min(Fraction(-limit.cap), before)) - before, before

    def _add(self, item: Item, rule: Rule, share: Fraction) -> None:
        for limit in rule.limits:
            if limit.scope != "event":
                name = scope_name(rule, limit.scope, item.token)
                self._sums[name] = self.of(name) + share
                if limit.floor is not None:
                    self._last[name] = (limit, item)

    def raise_to_floors(self) -> None:
        """Raise the last counted item of each scope that is below its floor, as far as the rule's caps leave room."""
        for name, (limit, item) in sorted(self._last.items(), key=lambda entry: _raised_first(entry[1][0], entry[0])):
            rule, state = item.rule, item.state
            assert rule is not None and state is not None and limit.floor is not None, "it was taken with limits"
            short = limit.floor - self.of(name)
            for other in rule.limits:
                if other.cap is not None:
                    taken = item.share if other.scope == "event" else self.of(scope_name(rule, other.scope, item.token))
                    short = min(short, other.cap - taken)
            if short > 0:
                taken, item.share = self.of(name), item.share + short
                self._add(item, rule, short)
                state.cuts.append(Cut(scope=limit.scope, bound=limit.floor, floor=True, taken=taken, after=item.share))

    def closing(self, counted: Iterable[Item]) -> dict[str, int]:
        """What lines have taken of the lasting scopes, in whole units, after this period's rounding."""
        used = dict(self._used)
        for item in counted:
            rule = item.rule
            for limit in rule.limits if rule else ():
                if rule is not None and limit.scope in LASTING:
                    name = scope_name(rule, limit.scope, item.token)
                    used[name] = used.get(name, 0) + item.amount
        return {name: sum_ for name, sum_ in used.items() if sum_}


def scope_name(rule: Rule, scope: str, token: str) -> str:
    """The name of a scope's sum in a position."""
    return f"{rule.id}/client/{token}" if scope == "client" else f"{rule.id}/{scope}"


def _raised_first(limit: Limit, name: str) -> tuple[int, str]:
    return ("client", "period", "lifetime").index(limit.scope), name
