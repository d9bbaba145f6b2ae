"""From terms, referrals and events to accrual lines: the one function that hub, referrer, payer and regulator run.

    made = allocate(terms, referrals, events, period, opening)
    made.lines      the accrual lines of the period, in the order of (token, time, event id)
    made.closing    the position that the next period opens with
    made.payout     what the total comes to: balance, minimum, taxes, paid, carried forward

Every event has exactly one line, every referral token at least one (NO_EVENT where no event names it), and points that
expire one each. Lines do not depend on the order of the inputs. Each line carries its rule and the version of the terms
that priced it, the digest of what went in, the exact share as a fraction of minor units, the amount after the
statement's one rounding (`items.round_amounts`: the total is the exact sum rounded half to even), and a sentence in
both languages whose arithmetic can be checked by hand.

Lines are made when they are read, each time anew, and are not kept: iterate once over many of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from privacy import canonical
from privacy.ids import ClientToken, Period
from revenue_share import money, periods, sentences
from revenue_share.items import Item
from revenue_share.payout import Payout
from revenue_share.points_book import Moves
from revenue_share.position import Position
from revenue_share.pricing import Pricing
from revenue_share.referral import Referral, RevenueEvent, Verdict, first_referrals
from revenue_share.rules.base import ratio
from revenue_share.terms import Terms
from revenue_share.versions import LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualLine:
    """One line of a statement. Amounts in minor units; `share` is the exact amount before rounding, in minor units."""

    index: int
    token: ClientToken
    event: str  # event id; empty for NO_EVENT
    kind: str
    time: str  # of the event, UTC; empty for NO_EVENT
    referred: str  # of the referral that counts, UTC; empty where there is none
    rule: str  # rule id; empty where no rule prices the event
    rule_version: int  # the number of the version that priced it
    base_minor: int  # as the event says it
    rate: str  # "1/20"; "0/1" where the line does not count or its kind has no rate
    share: money.Ratio
    amount_minor: int
    inputs: str  # 64 hex digits
    verdict: Verdict
    reason_en: str
    reason_zh: str
    asset: str = ""  # of share and amount where that is not the agreement's currency: POINTS

    def to_value(self) -> dict[str, canonical.Value]:
        """The canonical value that is salted, hashed and disclosed; `asset` is in it where it is not empty."""
        value: dict[str, canonical.Value] = {
            "index": self.index,
            "token": self.token,
            "event": self.event,
            "kind": self.kind,
            "time": self.time,
            "referred": self.referred,
            "rule": self.rule,
            "rule_version": self.rule_version,
            "base_minor": self.base_minor,
            "rate": self.rate,
            "share": self.share.to_text(),
            "amount_minor": self.amount_minor,
            "inputs": self.inputs,
            "verdict": self.verdict.value,
            "reason_en": self.reason_en,
            "reason_zh": self.reason_zh,
        }
        return value | {"asset": self.asset} if self.asset else value


class Lines(Sequence[AccrualLine]):
    """The lines of a period, made from its items when they are read."""

    def __init__(self, terms: Terms, period: Period, items: Sequence[Item]) -> None:
        self._terms, self._period, self._items = terms, period, items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[AccrualLine]:
        writer = sentences.Writer(self._terms, self._period)
        for index, item in enumerate(self._items):
            yield _line(writer, self._period, index, item)

    @overload
    def __getitem__(self, place: int) -> AccrualLine: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[AccrualLine]: ...
    def __getitem__(self, place: int | slice) -> AccrualLine | Sequence[AccrualLine]:
        writer = sentences.Writer(self._terms, self._period)
        if isinstance(place, slice):
            chosen = range(*place.indices(len(self._items)))
            return tuple(_line(writer, self._period, index, self._items[index]) for index in chosen)
        index = range(len(self._items))[place]
        return _line(writer, self._period, index, self._items[index])

    def total(self, currency: str) -> int:
        """The sum of the amounts of one asset, without making lines."""
        return sum(item.amount for item in self._items if item.asset == currency)


class Allocation:
    """What one period comes to. `closing` and `payout` raise AmountTooLarge where the total leaves the limit."""

    def __init__(self, terms: Terms, period: Period, pricing: Pricing) -> None:
        self._pricing = pricing
        self.lines = Lines(terms, period, pricing.items)

    @cached_property
    def closing(self) -> Position:
        """The position that the next period opens with."""
        return self._pricing.closing()

    @property
    def payout(self) -> Payout:
        """What the period's money comes to, with the balance that the opening position carries."""
        return self._pricing.payout

    @property
    def points(self) -> Moves | None:
        """What the period does to the points of all clients; None before version 3, which books none."""
        return self._pricing.points


def allocate(
    terms: Terms,
    referrals: Iterable[Referral],
    events: Iterable[RevenueEvent],
    period: Period,
    opening: Position,
    version: int = LATEST,
) -> Allocation:
    """The accrual lines of one agreement and period, and the closing position. Pure; the same bytes wherever it runs.

    `opening` is the closing position of the period that was settled before, `Position.empty()` for the first one. A
    period that is drawn up again after a dispute takes the same opening position as before; `version` is that of the
    statement the lines are for (`versions`). Raises PositionInvalid for a position of other terms.
    """
    pricing = Pricing(terms, period, opening, version)
    pricing.run(first_referrals(referrals), events)
    return Allocation(terms, period, pricing)


def replay(
    terms: Terms, periods_: Iterable[tuple[Period, Iterable[Referral], Iterable[RevenueEvent]]]
) -> Iterator[tuple[Period, Allocation]]:
    """Each period in turn from the empty position, for whoever checks a whole agreement. Periods ascend."""
    position = Position.empty()
    for period, referrals, events in periods_:
        made = allocate(terms, referrals, events, period, position)
        position = made.closing
        yield period, made


def _line(writer: sentences.Writer, period: Period, index: int, item: Item) -> AccrualLine:
    event, referral, rule, counts = item.event, item.referral, item.rule, item.verdict.counts
    en, zh = writer.explain(item)
    rate = getattr(rule.kind, "rate", None) if rule is not None and counts else None
    return AccrualLine(
        index=index,
        token=item.token,
        event=event.id if event else "",
        kind=event.kind if event else "",
        time=periods.time_text(item.time) if item.time else "",
        referred=periods.time_text(referral.time) if referral else "",
        rule=rule.id if rule else "",
        rule_version=item.version.version,
        base_minor=event.base_minor if event else 0,
        rate=ratio(rate) if rate is not None else "0/1",
        share=money.Ratio.of(item.share),
        amount_minor=item.amount,
        inputs=_inputs(item, period),
        verdict=item.verdict,
        reason_en=en,
        reason_zh=zh,
        asset="" if item.asset == item.version.currency else item.asset,
    )


def _inputs(item: Item, period: Period) -> str:
    """Digest of everything this line was made from: version, period, the referral that counts, the event, the state."""
    value: dict[str, canonical.Value] = {
        "agreement": item.version.digest,
        "period": period,
        "referral": item.referral.to_value() if item.referral else None,
        "event": item.event.to_value() if item.event else None,
    }
    if item.state is not None:
        value["state"] = item.state.to_value()
    return canonical.digest("ecohub/accrual-inputs/v1", value).hex()
