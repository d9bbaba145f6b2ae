"""The month as items: every event judged, priced, limited, rounded, and taken back where a later event says so.

The order of work, which is the order in which it can be checked by hand:

1. judge   each event by the version in force at its instant (`qualification`); an id counts once
2. price   what counts, by its rule's kind, then credit among referrers, then the rule's limits in the order of time
3. round   all of it at once (`items.round_amounts`)
4. take    back, in the order of time, from the amounts that were paid: a whole one mirrors its original to the unit, a
           part is rounded half to even, and the last part takes what is left; points at their place in 2, so that
           nobody redeems what was taken back before
5. close   what the next period needs (`position`)

Points are whole and are kept apart from money in every step.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from operator import attrgetter

from privacy.ids import ClientToken, Period
from revenue_share import attribution, currencies, ending, payout, periods
from revenue_share.agreement import Agreement
from revenue_share.errors import AmountTooLarge, PositionInvalid
from revenue_share.items import ONE, ZERO, Item, State, round_amounts
from revenue_share.limits import Sums
from revenue_share.money import AMOUNT_FEN_MAX
from revenue_share.payout import Payout
from revenue_share.points_book import Moves, PointsBook, held
from revenue_share.position import Position, balance
from revenue_share.qualification import Windows, booking_start, qualify
from revenue_share.referral import Referral, RevenueEvent, Verdict
from revenue_share.rules import Rule
from revenue_share.rules.base import Case
from revenue_share.rules.points import POINTS, Points
from revenue_share.takeback import TakeBack
from revenue_share.terms import Terms
from revenue_share.versions import THIRD

_EVER = datetime(2000, 1, 1, tzinfo=UTC)


class Pricing:
    """One period of one agreement. Used once: `run`, then what it has found."""

    def __init__(self, terms: Terms, period: Period, opening: Position, version: int) -> None:
        self.terms, self.opening, self.version = terms, opening, version
        self.closes_by = terms.closing(period)  # its taxes, minimum and late days are the period's
        self._over = version >= THIRD and ending.over(terms, period)
        start, end = periods.period_bounds(period, terms.zone)
        self.bounds = booking_start(self.closes_by, start), end
        self.items: list[Item] = []
        self._has_points = any(isinstance(rule.kind, Points) for one in terms.versions for rule in one.rules)
        self._tie_key = bytes.fromhex(terms.digest) + period.encode()
        self._kinds = {version.digest: _by_event(version) for version in terms.versions}
        self._marks = dict(opening.marks)
        self._sums = Sums(opening.used)
        self._points = PointsBook(opening.points)
        self._expired: list[Item] = []
        self._back = TakeBack(terms, opening.open, self._points)
        self._reversing: dict[ClientToken, list[Item]] = {}  # in the order of time

    def run(self, first: dict[ClientToken, Referral], events: Iterable[RevenueEvent]) -> None:
        """Price the events of the period; first: the referral that counts of each client."""
        self._judge(first, events)
        counted = [item for item in self.items if item.verdict.counts]
        reversing = [item for item in self.items if item.event is not None and _reverses(item.event)]
        for item in reversing:
            self._reversing.setdefault(item.token, []).append(item)
        for item in self._in_order(counted):
            self._price(item)
        self._sums.raise_to_floors()
        self._expire_all(first)
        paid = [item for item in counted if item.verdict.counts and item.rule is not None]
        round_amounts((item for item in paid if item.rule is not None and item.rule.asset is None), self._tie_key)
        self._back.add(item for item in paid if item.asset != POINTS)
        self._back.run(reversing)
        self._paid = paid
        self._answer(first)

    # --- 1. judge

    def _judge(self, first: dict[ClientToken, Referral], events: Iterable[RevenueEvent]) -> None:
        known = self.opening.open.keys() | self.opening.seen.keys()
        seen: set[str] = set()
        windows = Windows()
        for event in _ordered(events):
            version = self.terms.at(event.time)
            rule = self._kinds[version.digest].get(event.kind)
            referral = first.get(event.token) if rule is None or rule.referred else None
            if event.id in seen or event.id in known:
                verdict = Verdict.DUPLICATE_EVENT
            elif event.facts and _reverses(event):
                verdict = self._judge_reversing(event, referral, rule)
            else:
                verdict = qualify(version, rule, referral, event, self.bounds, windows)
            seen.add(event.id)
            self.items.append(
                Item(token=event.token, event=event, referral=referral, verdict=verdict, version=version, rule=rule)
            )

    def _judge_reversing(self, event: RevenueEvent, referral: Referral | None, rule: Rule | None) -> Verdict:
        """Only where it stands; whether its original can be taken back is seen when that one is priced."""
        if referral is None and (rule is None or rule.referred):
            return Verdict.UNKNOWN_TOKEN
        if rule is None:
            return Verdict.WRONG_KIND
        if not self.bounds[0] <= event.time < self.bounds[1]:
            return Verdict.OUTSIDE_PERIOD
        return Verdict.FACTS_WRONG if rule.facts_fault(event) else Verdict.ORIGINAL_UNKNOWN

    # --- 2. price

    def _in_order(self, counted: list[Item]) -> list[Item]:
        """By time where a limit holds over several clients: the earlier event has the room. Else by client and time."""
        if any(limit.scope != "event" for version in self.terms.versions for r in version.rules for limit in r.limits):
            return sorted(
                counted, key=lambda item: (item.time or _EVER, item.token, item.event.id if item.event else "")
            )
        return counted

    def _price(self, item: Item) -> None:
        rule, event = item.rule, item.event
        assert rule is not None and event is not None, "only events with a rule are priced"
        if isinstance(rule.kind, Points):
            self._price_points(item, rule, rule.kind, event)
            return
        key = rule.kind.key(event)
        if key is None and not event.facts and not rule.limits:
            item.share = rule.kind.price(Case(event=event, base=Fraction(event.base_minor)))[0]
            return
        base = currencies.base(item.version, event)
        assert base is not None, "judged: RATE_MISSING"
        state = item.state = State(base=base)
        name = f"{rule.id}/{key}"
        state.mark = self._marks.get(name) if key is not None else None
        share, mark = rule.kind.price(Case(event=event, base=base, mark=state.mark))
        if abs(share) > AMOUNT_FEN_MAX:
            item.verdict = Verdict.SHARE_TOO_LARGE
            return
        if key is not None and mark is not None:
            self._marks[name] = mark
        state.earned = share
        if item.referral is not None and rule.referred:
            state.credit = attribution.credit(item.version, item.referral.time, event)
            share = share if state.credit == ONE else share * state.credit
        item.share = self._sums.take(item, rule, share, state) if rule.limits else share

    def _price_points(self, item: Item, rule: Rule, kind: Points, event: RevenueEvent) -> None:
        name = f"{rule.id}/{event.token}"
        self._take_points_back(name, event.time, item, rule)
        self._expire(name, event.time, item)
        if event.kind == kind.redeem_event:
            points = event.fact("points")
            assert isinstance(points, int), "judged: FACTS_WRONG"
            if not self._points.redeem(name, points):
                item.verdict = Verdict.POINTS_SHORT
                return
            item.verdict, item.amount = Verdict.REDEEMED, -points
        else:
            key = kind.key(event)
            state = item.state = State(base=Fraction(event.base_minor))
            state.mark = self._marks.get(f"{rule.id}/{key}") if key is not None else None
            share, mark = kind.price(Case(event=event, base=state.base or ZERO, mark=state.mark))
            if share > AMOUNT_FEN_MAX:
                item.verdict = Verdict.SHARE_TOO_LARGE
                return
            if key is not None and mark is not None:
                self._marks[f"{rule.id}/{key}"] = mark
            item.amount = int(share)
            expires = periods.add_months(event.time, kind.expires_months, item.version.zone)
            self._points.earn(name, event.id, item.amount, expires)
            self._back.add([item])
        item.share = Fraction(item.amount)

    def _take_points_back(self, name: str, until: datetime, like: Item, rule: Rule) -> None:
        """What the client's events up to an instant take back of the points of a rule, each after what expired."""
        for item in self._reversing.get(like.token, ()):
            if item.time is not None and item.time <= until and self._back.of_points(item, rule.id):
                self._expire(name, item.time, like)
                self._back.run([item])

    def _expire(self, name: str, until: datetime, like: Item) -> None:
        for lot in self._points.expire(name, until):
            expired = replace(
                like, event=None, verdict=Verdict.POINTS_EXPIRED, state=None, expired=lot.expires, amount=-lot.left
            )
            expired.share = Fraction(-lot.left)
            self._expired.append(expired)

    def _expire_all(self, first: dict[ClientToken, Referral]) -> None:
        """Points whose day lies in the period expire, also of clients without an event."""
        last = self.bounds[1] - timedelta(seconds=1)  # instants are whole seconds
        for name in self._points.names():
            rule_id, _, token = name.rpartition("/")
            client = ClientToken(token)
            rule = next((r for v in reversed(self.terms.versions) if (r := v.rule(rule_id)) is not None), None)
            if rule is None or not isinstance(rule.kind, Points):
                raise PositionInvalid(why=f"points of the rule {rule_id[:64]} of other terms")
            version = self.terms.at(last)
            like = Item(
                token=client,
                event=None,
                referral=first.get(client),
                verdict=Verdict.NO_EVENT,
                version=version,
                rule=rule,
            )
            self._take_points_back(name, last, like, rule)
            self._expire(name, last, like)

    # --- 5. close

    def _answer(self, first: dict[ClientToken, Referral]) -> None:
        """A line for each client without any, and one order for all: client, time, event id."""
        self.items += self._expired
        named = {item.token for item in self.items}
        for token in first.keys() - named:
            version = self.terms.root
            item = Item(token=token, event=None, referral=first[token], verdict=Verdict.NO_EVENT, version=version)
            self.items.append(item)
        self.items.sort(key=lambda item: item.time or _EVER)  # stable: ids are in order
        self.items.sort(key=attrgetter("token"))

    @cached_property
    def payout(self) -> Payout:
        """What the money of the period comes to, with the balance of the position it opened with."""
        currency = self.terms.root.currency
        total = sum(item.amount for item in (*self._paid, *self._back.taken) if item.asset == currency)
        return payout.payout(self.closes_by, total, self.opening.carried.get(currency, 0), over=self._over)

    @cached_property
    def points(self) -> Moves | None:
        """What the period does to everybody's points; None before version 3. Raises AmountTooLarge, PositionInvalid."""
        if self.version < THIRD:
            return None
        before, booked = held(self.opening.points), self.opening.carried.get(POINTS, 0)
        if booked not in (0, before):
            raise PositionInvalid(why="points in the journal and points of clients")
        sums = dict.fromkeys((Verdict.COUNTED, Verdict.REDEEMED, Verdict.TAKEN_BACK, Verdict.POINTS_EXPIRED), 0)
        for item in (*self._paid, *self._back.taken, *self._expired) if self._has_points else ():
            if item.asset == POINTS:
                sums[item.verdict] += abs(item.amount)
        earned, redeemed, taken_back, expired = sums.values()
        made = Moves(
            brought_forward=booked,
            opened=before - booked,
            earned=earned,
            redeemed=redeemed,
            taken_back=taken_back,
            expired=expired,
            carried_forward=held(self._points.closing()),
        )
        assert made.hold, "the points that are open are those that came and did not go"
        if before + earned > AMOUNT_FEN_MAX:
            raise AmountTooLarge(minor=before + earned, limit=AMOUNT_FEN_MAX)
        return made

    def closing(self) -> Position:
        """What the next period opens with."""
        made, end = self.payout, self.bounds[1]
        keep = booking_start(self.closes_by, end)
        seen = {name: time for name, time in self.opening.seen.items() if time >= keep}
        if self.closes_by.late_days:
            seen |= {i.event.id: i.event.time for i in self.items if i.event is not None and keep <= i.event.time < end}
        used = self._sums.closing([*self._paid, *self._back.taken])
        points = balance(POINTS, self.points.carried_forward) if self.points is not None else {}
        return Position(
            marks=self._marks,
            open=self._back.closing(keep),
            used=used,
            points=self._points.closing(),
            carried=balance(made.currency, made.carried_forward_minor) | points,
            seen=seen,
        )


def _ordered(events: Iterable[RevenueEvent]) -> list[RevenueEvent]:
    """By client, time and id, and then by all else: one order for the same events, however they come.

    Sorted field by field, the last first: one sort by all of them would hold a tuple for each of a million events.
    """
    listed = list(events)
    for name in ("facts", "base_minor", "kind", "id", "time", "token"):
        listed.sort(key=attrgetter(name))
    return listed


def _by_event(version: Agreement) -> dict[str, Rule]:
    kinds = {rule.event: rule for rule in version.rules}
    return kinds | {rule.kind.redeem_event: rule for rule in version.rules if isinstance(rule.kind, Points)}


def _reverses(event: RevenueEvent) -> bool:
    return event.fact("reverses") is not None
