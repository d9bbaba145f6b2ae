"""A rate that changes by steps of an amount: each slice at its own rate (marginal), or all at the step's (slab)."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from revenue_share.errors import AgreementInvalid
from revenue_share.fields import Choice, Items, Rate, Table, Whole
from revenue_share.money import AMOUNT_FEN_MAX
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import Case, Pair, plain, ratio

TIERS_MAX = 64
MARGINAL, SLAB = "marginal", "slab"
BASE, LEVEL = "base", "level"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """From `from_minor` on, that amount included, `rate` holds."""

    from_minor: int
    rate: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class TieredRate:
    """A stepped rate of the base.

    mode     marginal: each slice of the measure has its own rate, as in an income tax; slab: the rate of the step that
             the measure reaches holds for all of it. An amount of exactly `from_minor` has reached the step.
    measure  base: the steps are of the base itself; level: they are of the client's assets (`level_minor`), and the
             rate they give (of several slices their mean by size) is of the base.
    """

    tiers: tuple[Tier, ...]  # ascending, the first from 0
    mode: str
    measure: str

    NAME: ClassVar = "tiered_rate"
    FIELDS: ClassVar = Table(
        needed={
            "tiers": Items(
                of=Table(needed={"from_minor": Whole(least=0, most=AMOUNT_FEN_MAX), "rate": Rate(zero=True)}),
                least=1,
                most=TIERS_MAX,
                what="tiers",
            ),
            "mode": Choice(words=(MARGINAL, SLAB)),
            "measure": Choice(words=(BASE, LEVEL)),
        }
    )
    takes: ClassVar[frozenset[str]] = frozenset()
    BASED: ClassVar = True
    SIGNED: ClassVar = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"level_minor"} if self.measure == LEVEL else ())

    def key(self, event: RevenueEvent) -> str | None:
        return None

    def slices(self, measure: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
        """(amount, rate) of each slice of a measure that is not negative; they sum to it."""
        if self.mode == SLAB:
            return ((measure, max((t for t in self.tiers if t.from_minor <= measure), key=_start).rate),)
        ends = [*(tier.from_minor for tier in self.tiers[1:]), None]
        found = []
        for tier, end in zip(self.tiers, ends, strict=True):
            top = measure if end is None else min(measure, Fraction(end))
            if top > tier.from_minor:
                found.append((top - tier.from_minor, tier.rate))
        return tuple(found)

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        sign = -1 if case.base < 0 else 1
        if self.measure == BASE:
            return sign * _sum(self.slices(abs(case.base))), None
        return case.base * self._mean(case), None

    def _mean(self, case: Case) -> Fraction:
        """The rate that the client's level gives."""
        level = Fraction(case.number("level_minor"))
        parts = self.slices(level)
        return (
            _sum(parts) / level if level and self.mode == MARGINAL else (parts[0][1] if parts else self.tiers[0].rate)
        )

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        share = plain(self.price(case)[0])
        measure = abs(case.base) if self.measure == BASE else Fraction(case.number("level_minor"))
        parts = self.slices(measure) or ((measure, self.tiers[0].rate),)
        en = " + ".join(f"{ratio(rate)} x {plain(amount)}" for amount, rate in parts)
        zh = " + ".join(f"{ratio(rate)} × {plain(amount)}" for amount, rate in parts)
        if self.measure == BASE:
            sign = "-" if case.base < 0 else ""
            open_, close = ("(", ")") if sign else ("", "")
            return f"{sign}{open_}{en}{close} = {share} {units[0]}", f"{sign}{open_}{zh}{close} = {share} {units[1]}"
        base, rate = plain(case.base), ratio(self._mean(case))
        how = f"({en}) / {plain(measure)}" if self.mode == MARGINAL and measure else ratio(parts[0][1])
        hao = f"({zh}) / {plain(measure)}" if self.mode == MARGINAL and measure else ratio(parts[0][1])
        level = plain(measure)
        return (
            f"a level of {level} {units[0]} gives the rate {how} = {rate}: "
            f"{rate} x {base} {units[0]} = {share} {units[0]}",
            f"资产规模 {level} {units[1]} 对应费率 {hao} = {rate}：{rate} × {base} {units[1]} = {share} {units[1]}",
        )

    def terms(self, event: str, currency: str) -> Pair:
        steps = ", ".join(f"{ratio(tier.rate)} from {tier.from_minor}" for tier in self.tiers)
        zh = "、".join(f"{tier.from_minor} 起 {ratio(tier.rate)}" for tier in self.tiers)
        of, what = ("its amount", "金额") if self.measure == BASE else ("the client's assets", "客户资产规模")
        mode = (
            ("each slice at its rate", "分段累进") if self.mode == MARGINAL else ("all at the rate reached", "全额累进")
        )
        return (
            f"of each {event} a rate by steps of {of} in minor units ({steps}), {mode[0]}",
            f"{event} 按{what}分档计费（最小货币单位：{zh}），{mode[1]}",
        )


def check(read: dict[str, Any], field: str) -> None:
    """Tiers begin at 0 and ascend. Raises AgreementInvalid."""
    starts = [tier["from_minor"] for tier in read["tiers"]]
    if starts[0] != 0 or any(one >= other for one, other in pairwise(starts)):
        raise AgreementInvalid(field=f"{field}.tiers", why="the first from 0, each further one from more is expected")


def _start(tier: Tier) -> int:
    return tier.from_minor


def _sum(parts: tuple[tuple[Fraction, Fraction], ...]) -> Fraction:
    return sum((amount * rate for amount, rate in parts), Fraction(0))
