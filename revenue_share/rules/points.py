"""Points (生态积分): an asset of their own that clients earn, redeem and let expire; never mixed with money."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from revenue_share.fields import Table, Whole
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import IDENTIFIER, MONTHS_MAX, Case, Pair

POINTS = "POINTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """`points` to the client for each event; for introducing a `friend` once.

    They expire `expires_months` calendar months after they were earned. An event of the kind `redeem_event` redeems as
    many as it says, the oldest first; more than there are it can't redeem.
    """

    points: int
    redeem_event: str
    expires_months: int

    NAME: ClassVar = "points"
    ASSET: ClassVar = POINTS
    FIELDS: ClassVar = Table(
        needed={
            "points": Whole(least=1, most=10**9),
            "redeem_event": IDENTIFIER,
            "expires_months": Whole(least=1, most=MONTHS_MAX),
        }
    )
    needs: ClassVar[frozenset[str]] = frozenset()
    takes: ClassVar[frozenset[str]] = frozenset({"count", "friend"})
    BASED: ClassVar = False
    SIGNED: ClassVar = False

    def key(self, event: RevenueEvent) -> str | None:
        friend = event.fact("friend")
        return None if friend is None else f"{event.token}/{friend}"

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        if case.mark:
            return Fraction(0), 1
        return Fraction(self.points * case.count), 1 if self.key(case.event) else None

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        if case.mark:
            return "points for this friend were earned before: 0 points", "该好友的推荐积分此前已计：0 积分"
        count, share = case.count, self.points * case.count
        return f"{count} x {self.points} points = {share} points", f"{count} × {self.points} 积分 = {share} 积分"

    def terms(self, event: str, currency: str) -> Pair:
        months, redeem = self.expires_months, self.redeem_event
        return (
            f"{self.points} points to the client for each {event}, valid for {months} months, redeemed by {redeem}",
            f"每次 {event} 向客户发放 {self.points} 积分，{months} 个月有效，以 {redeem} 兑换",
        )
