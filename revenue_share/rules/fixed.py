"""A fixed amount for each event, and for each of the things one event stands for."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from revenue_share.fields import Table
from revenue_share.money import Money
from revenue_share.referral import RevenueEvent
from revenue_share.rules.base import AMOUNT, Case, Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPerEvent:
    """`amount_minor` for each event, times its `count` where it has one. The base does not matter."""

    amount_minor: int

    NAME: ClassVar = "fixed_per_event"
    FIELDS: ClassVar = Table(needed={"amount_minor": AMOUNT})
    needs: ClassVar[frozenset[str]] = frozenset()
    takes: ClassVar[frozenset[str]] = frozenset({"count"})
    BASED: ClassVar = False
    SIGNED: ClassVar = False

    def key(self, event: RevenueEvent) -> str | None:
        return None

    def price(self, case: Case) -> tuple[Fraction, int | None]:
        return Fraction(self.amount_minor * case.count), None

    def arithmetic(self, case: Case, units: Pair) -> Pair:
        count, amount, share = case.count, self.amount_minor, self.amount_minor * case.count
        en, zh = units
        return f"{count} x {amount} {en} = {share} {en}", f"{count} × {amount} {zh} = {share} {zh}"

    def terms(self, event: str, currency: str) -> Pair:
        amount = Money(currency=currency, minor=self.amount_minor).to_text()
        return f"{currency} {amount} for each {event}", f"每次 {event} 支付 {currency} {amount}"
