"""Clawback: events that name an earlier counted one take back what was paid for it.

The rule that priced the original says whether, how long and for which reasons it can be taken back, wherever and
whenever the reversing event is reported; the bases of both are in the original's currency and scale. A client's use of
a cap is free again from the next period on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from revenue_share import periods
from revenue_share.agreement import Agreement
from revenue_share.errors import PositionInvalid
from revenue_share.items import Item, State
from revenue_share.points_book import PointsBook
from revenue_share.position import Open
from revenue_share.referral import RevenueEvent, Verdict
from revenue_share.rules import Clawback, Rule
from revenue_share.rules.points import POINTS
from revenue_share.terms import Terms


class TakeBack:
    """What can be taken back: counted events of earlier periods and of this one, by event id."""

    def __init__(self, terms: Terms, opening: Mapping[str, Open], points: PointsBook) -> None:
        self._terms, self._points = terms, points
        self._open = dict(opening)
        self.taken: list[Item] = []

    def add(self, paid: Iterable[Item]) -> None:
        """What was paid for, where its rule lets it be taken back."""
        for item in paid:
            if item.rule is not None and item.rule.clawback is not None and item.verdict is not Verdict.REDEEMED:
                self._put(item, item.rule, item.rule.clawback)

    def _put(self, item: Item, rule: Rule, clawback: Clawback) -> None:
        event = item.event
        assert event is not None, "an event was paid for"
        self._open[event.id] = Open(
            token=item.token,
            rule=rule.id,
            terms=item.version.digest,
            time=event.time,
            until=periods.add_days(event.time, clawback.window_days, item.version.zone),
            base_minor=event.base_minor,
            amount_minor=item.amount,
            asset=item.asset,
        )

    def run(self, reversing: Iterable[Item]) -> None:
        """Take back what the items name, in the order of time; sets verdict, rule, version, share and amount."""
        waiting = [item for item in reversing if item.verdict is Verdict.ORIGINAL_UNKNOWN]
        for item in sorted(waiting, key=lambda item: (item.time, item.token, item.name)):
            event = item.event
            assert event is not None, "an event reverses"
            name = str(event.fact("reverses"))
            entry = self._open.get(name)
            if entry is not None and entry.token == item.token:
                self._take(item, event, name, entry)

    def _take(self, item: Item, event: RevenueEvent, name: str, entry: Open) -> None:
        version, rule, clawback = _priced_by(self._terms, entry)
        item.version, item.rule = version, rule
        item.state = State(original=entry)
        item.verdict = _verdict(clawback, event, entry)
        if item.verdict is not Verdict.TAKEN_BACK:
            return
        part = _part(clawback, event, entry)
        amount = round(entry.amount_minor * part)
        if entry.asset == POINTS:
            amount = self._points.take_back(f"{rule.id}/{item.token}", name)
        item.amount, item.share = -amount, Fraction(-amount)
        left = entry.base_minor - round(entry.base_minor * part)
        rest = 0 if entry.asset == POINTS else entry.amount_minor - amount
        self._open[name] = replace(entry, base_minor=left, amount_minor=rest)
        self.taken.append(item)

    def of_points(self, item: Item, rule: str) -> bool:
        """Whether an item that waits names points earned under this rule."""
        entry = self._open.get(str(item.event.fact("reverses"))) if item.event else None
        waits = item.verdict is Verdict.ORIGINAL_UNKNOWN
        return waits and entry is not None and (entry.asset, entry.rule) == (POINTS, rule)

    def closing(self, keep: datetime) -> dict[str, Open]:
        """What can still be taken back by an event that is booked from the instant `keep` on."""
        return {name: entry for name, entry in self._open.items() if entry.until > keep}


def _priced_by(terms: Terms, entry: Open) -> tuple[Agreement, Rule, Clawback]:
    """The version and the rule that priced an original. Raises PositionInvalid where these terms have none such."""
    version = terms.version(entry.terms)
    rule = version.rule(entry.rule) if version else None
    if version is None or rule is None or rule.clawback is None:
        raise PositionInvalid(why=f"rule {entry.rule[:64]} of other terms")
    return version, rule, rule.clawback


def _verdict(clawback: Clawback, event: RevenueEvent, entry: Open) -> Verdict:
    if event.time < entry.time:
        return Verdict.ORIGINAL_UNKNOWN
    if event.time >= entry.until:
        return Verdict.TAKEN_BACK_LATE
    if clawback.reasons and event.fact("reason") not in clawback.reasons:
        return Verdict.REASON_NOT_AGREED
    if event.base_minor * entry.base_minor > 0:
        return Verdict.BASE_SIGN
    if clawback.pro_rata and event.base_minor == 0 and entry.base_minor != 0:
        return Verdict.BASE_SIGN
    return Verdict.TAKEN_BACK if entry.amount_minor or entry.base_minor else Verdict.ORIGINAL_SPENT


def _part(clawback: Clawback, event: RevenueEvent, entry: Open) -> Fraction:
    """The part of what is left of the original that is taken back."""
    if not clawback.pro_rata or entry.base_minor == 0:
        return Fraction(1)
    return min(Fraction(1), Fraction(abs(event.base_minor), abs(entry.base_minor)))
