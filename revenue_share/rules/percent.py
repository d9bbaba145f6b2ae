"""A rate of the base: of each event, or as far as a milestone is reached."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from revenue_share.facts import PPM
from revenue_share.fields import Items, Rate, Table
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import PART, Case, Pair, plain, ratio

MILESTONES_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentOfBase:
    """`rate` of the base of each event; a negative base takes back as much."""

    rate: Fraction  # 0 < rate <= 1

    NAME: ClassVar = "percent_of_base"
    FIELDS: ClassVar = Table(needed={"rate": Rate()})
    needs: ClassVar[frozenset[str]] = frozenset()
    takes: ClassVar[frozenset[str]] = frozenset()
    BASED: ClassVar = True
    SIGNED: ClassVar = True

    def key(self, event: RevenueEvent) -> str | None:
        return None

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        return case.base * self.rate, None

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        share, base, rate = plain(case.base * self.rate), plain(case.base), ratio(self.rate)
        return f"{rate} x {base} {units[0]} = {share} {units[0]}", f"{rate} × {base} {units[1]} = {share} {units[1]}"

    def terms(self, event: str, currency: str) -> Pair:
        return f"{ratio(self.rate)} of each {event}", f"每笔 {event} 的 {ratio(self.rate)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """At `at_ppm` of completion, `pays_ppm` of the rule's rate have been earned in all."""

    at_ppm: int
    pays_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentOnMilestone:
    """`rate` of the base as far as the client has completed it, each part once.

    An event says how much of an `item` (a course, a contract) its client has completed. Without milestones that part is
    earned; with them, what the highest one reached pays. What was earned before is taken off.
    """

    rate: Fraction
    milestones: tuple[Milestone, ...]  # ascending in both; none: in proportion

    NAME: ClassVar = "percent_on_milestone"
    FIELDS: ClassVar = Table(
        needed={"rate": Rate()},
        optional={
            "milestones": Items(
                of=Table(needed={"at_ppm": PART, "pays_ppm": PART}), least=1, most=MILESTONES_MAX, what="milestones"
            )
        },
    )
    needs: ClassVar[frozenset[str]] = frozenset({"completion_ppm"})
    takes: ClassVar[frozenset[str]] = frozenset({"item"})
    BASED: ClassVar = True
    SIGNED: ClassVar = False

    def key(self, event: RevenueEvent) -> str | None:
        return f"{event.token}/{event.fact('item') or ''}"

    def earned_ppm(self, completion_ppm: int) -> int:
        """The part of the rate that this completion has earned in all."""
        if not self.milestones:
            return completion_ppm
        return max((step.pays_ppm for step in self.milestones if step.at_ppm <= completion_ppm), default=0)

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        before, earned = case.mark or 0, self.earned_ppm(case.number("completion_ppm"))
        return case.base * self.rate * Fraction(max(0, earned - before), PPM), max(before, earned)

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        share, before, earned = (
            plain(self.price(case)[0]),
            case.mark or 0,
            self.earned_ppm(case.number("completion_ppm")),
        )
        part, rate, base, reached = (
            max(0, earned - before),
            ratio(self.rate),
            plain(case.base),
            case.number("completion_ppm"),
        )
        return (
            f"completion of {reached} ppm earns {earned} ppm in all, {before} ppm were paid before: "
            f"{rate} x {base} {units[0]} x {part}/{PPM} = {share} {units[0]}",
            f"完成度 {reached} ppm，累计应得 {earned} ppm，此前已付 {before} ppm："
            f"{rate} × {base} {units[1]} × {part}/{PPM} = {share} {units[1]}",
        )

    def terms(self, event: str, currency: str) -> Pair:
        rate = ratio(self.rate)
        if not self.milestones:
            return f"{rate} of {event} by the part completed", f"按完成度支付 {event} 的 {rate}"
        steps = ", ".join(f"{step.pays_ppm} ppm at {step.at_ppm} ppm" for step in self.milestones)
        zh = "、".join(f"完成 {step.at_ppm} ppm 时付至 {step.pays_ppm} ppm" for step in self.milestones)
        return f"{rate} of {event} by milestones ({steps} of completion)", f"按里程碑支付 {event} 的 {rate}（{zh}）"
