"""A share of what a client's assets grow to beyond all they were before: the high-water mark."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from revenue_share.fields import Choice, Rate, Table
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import Case, Pair, plain, ratio

FIRST, ZERO = "first", "zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareOfIncrement:
    """`rate` of the part of `level_minor` above the highest level there was; a fall and a new rise pay nothing twice.

    `start` says where the mark begins: at the `first` level reported, which then pays nothing, or at `zero`.
    """

    rate: Fraction
    start: str

    NAME: ClassVar = "share_of_increment"
    FIELDS: ClassVar = Table(needed={"rate": Rate(), "start": Choice(words=(FIRST, ZERO))})
    needs: ClassVar[frozenset[str]] = frozenset({"level_minor"})
    takes: ClassVar[frozenset[str]] = frozenset()
    BASED: ClassVar = False
    SIGNED: ClassVar = False

    def key(self, event: RevenueEvent) -> str | None:
        return event.token

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        level = case.number("level_minor")
        mark = self._mark(case)
        return self.rate * max(0, level - mark), max(level, mark)

    def _mark(self, case: Case) -> int:
        if case.mark is not None:
            return case.mark
        return case.number("level_minor") if self.start == FIRST else 0

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        level, mark, rate = case.number("level_minor"), self._mark(case), ratio(self.rate)
        en, zh = units
        if case.mark is None and self.start == FIRST:
            return (
                f"the first level reported, {level} {en}, sets the mark: 0 {en}",
                f"首次上报的资产规模 {level} {zh} 作为起始水位：0 {zh}",
            )
        rise, share = max(0, level - mark), plain(self.price(case)[0])
        return (
            f"the level of {level} {en} is {rise} {en} above the highest before, {mark} {en}: "
            f"{rate} x {rise} {en} = {share} {en}",
            f"资产规模 {level} {zh}，较历史最高 {mark} {zh} 新增 {rise} {zh}：{rate} × {rise} {zh} = {share} {zh}",
        )

    def terms(self, event: str, currency: str) -> Pair:
        rate = ratio(self.rate)
        en = "the first level reported" if self.start == FIRST else "zero"
        zh = "首次上报规模" if self.start == FIRST else "零"
        return (
            f"{rate} of each rise of the assets that {event} reports above their highest level, beginning at {en}",
            f"{event} 上报的资产规模超过历史最高（自{zh}起）部分的 {rate}",
        )
