"""A rate of the base that a measured score multiplies: paid by the effect of a service."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from revenue_share.errors import AgreementInvalid
from revenue_share.facts import PPM
from revenue_share.fields import Items, Rate, Table, Whole
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import Case, Pair, plain, ratio

STEPS_MAX = 32
TIMES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A score of at least `from_ppm` multiplies by `times`."""

    from_ppm: int
    times: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMultiplier:
    """`rate` of the base, times what the highest step reached by `score_ppm` says; below the first step nothing."""

    rate: Fraction
    steps: tuple[Step, ...]  # ascending

    NAME: ClassVar = "score_multiplier"
    FIELDS: ClassVar = Table(
        needed={
            "rate": Rate(),
            "steps": Items(
                of=Table(
                    needed={"from_ppm": Whole(least=0, most=TIMES_MAX * PPM), "times": Rate(most=TIMES_MAX, zero=True)}
                ),
                least=1,
                most=STEPS_MAX,
                what="steps",
            ),
        }
    )
    needs: ClassVar[frozenset[str]] = frozenset({"score_ppm"})
    takes: ClassVar[frozenset[str]] = frozenset()
    BASED: ClassVar = True
    SIGNED: ClassVar = True

    def key(self, event: RevenueEvent) -> str | None:
        return None

    def times(self, score_ppm: int) -> Fraction:
        """By what a score multiplies."""
        return next((step.times for step in reversed(self.steps) if step.from_ppm <= score_ppm), Fraction(0))

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        return case.base * self.rate * self.times(case.number("score_ppm")), None

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        score, rate, base = case.number("score_ppm"), ratio(self.rate), plain(case.base)
        times, share = ratio(self.times(score)), plain(self.price(case)[0])
        return (
            f"a score of {score} ppm multiplies by {times}: {rate} x {base} {units[0]} x {times} = {share} {units[0]}",
            f"效果评分 {score} ppm 对应系数 {times}：{rate} × {base} {units[1]} × {times} = {share} {units[1]}",
        )

    def terms(self, event: str, currency: str) -> Pair:
        steps = ", ".join(f"{ratio(step.times)} from {step.from_ppm} ppm" for step in self.steps)
        zh = "、".join(f"{step.from_ppm} ppm 起 {ratio(step.times)}" for step in self.steps)
        rate = ratio(self.rate)
        return (
            f"{rate} of each {event}, multiplied by its score ({steps})",
            f"每笔 {event} 的 {rate}，再乘以效果系数（{zh}）",
        )


def check(read: dict[str, Any], field: str) -> None:
    """Steps ascend. Raises AgreementInvalid."""
    if any(one["from_ppm"] >= other["from_ppm"] for one, other in pairwise(read["steps"])):
        raise AgreementInvalid(field=f"{field}.steps", why="each step from more than the one before is expected")
