"""A pool that is divided by measured contribution: the partner's part of it, once for each receipt."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from revenue_share.facts import PPM
from revenue_share.fields import Rate, Table
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import Case, Pair, plain, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolByWeights:
    """`share` of the event's base is the pool; the partner has `weight_ppm` millionths of it, by its receipt.

    The receipt is the signed record of a joint training run's contributions; its digest stands on the event, so both
    parties can compare the weight with the receipt that they hold. A receipt is paid for once.
    """

    share: Fraction

    NAME: ClassVar = "pool_by_weights"
    FIELDS: ClassVar = Table(needed={"share": Rate()})
    needs: ClassVar[frozenset[str]] = frozenset({"weight_ppm", "receipt"})
    takes: ClassVar[frozenset[str]] = frozenset()
    BASED: ClassVar = True
    SIGNED: ClassVar = False

    def key(self, event: RevenueEvent) -> str | None:
        return str(event.fact("receipt"))

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        if case.mark:
            return Fraction(0), 1
        return case.base * self.share * Fraction(case.number("weight_ppm"), PPM), 1

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        receipt, weight = str(case.event.fact("receipt"))[:16], case.number("weight_ppm")
        en, zh = units
        if case.mark:
            return (f"the receipt {receipt} was paid before: 0 {en}", f"贡献凭证 {receipt} 此前已付：0 {zh}")
        rate, base, share = ratio(self.share), plain(case.base), plain(self.price(case)[0])
        return (
            f"the receipt {receipt} gives {weight} ppm of the pool: "
            f"{rate} x {base} {en} x {weight}/{PPM} = {share} {en}",
            f"贡献凭证 {receipt} 对应资金池的 {weight} ppm：{rate} × {base} {zh} × {weight}/{PPM} = {share} {zh}",
        )

    def terms(self, event: str, currency: str) -> Pair:
        rate = ratio(self.share)
        return (
            f"of {rate} of each {event} the part that the receipt of the run's contributions gives the partner",
            f"每笔 {event} 的 {rate} 作为资金池，按联合训练贡献凭证中的权重支付",
        )
