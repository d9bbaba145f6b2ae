"""The base of an event in the agreement's currency: exact, by the rate that the agreement dates.

A base has the agreement's currency and its minor unit unless the event says otherwise: `scale` gives it decimals beyond
the minor unit, `currency` another currency, of which the rate in force on the event's date (the agreement's zone) is
taken. Nothing is rounded here.
"""

from bisect import bisect_right
from fractions import Fraction

from revenue_share import money
from revenue_share.agreement import Agreement
from revenue_share.referral import RevenueEvent


def rate(version: Agreement, event: RevenueEvent) -> Fraction | None:
    """Units of the agreement's currency for one unit of the base's, on the event's date; None where there is none."""
    named = event.fact("currency")
    if named is None or named == version.currency:
        return Fraction(1)
    rates = version.rates(str(named))
    if rates is None:
        return None
    place = bisect_right(rates.days, event.time.astimezone(version.zone).date())
    return rates.rates[place - 1] if place else None


def base(version: Agreement, event: RevenueEvent) -> Fraction | None:
    """The base in exact minor units of the agreement's currency; None where no rate is in force."""
    if not event.facts:
        return Fraction(event.base_minor)
    by = rate(version, event)
    if by is None:
        return None
    scale, named = event.fact("scale") or 0, event.fact("currency") or version.currency
    power = money.decimals(version.currency) - money.decimals(str(named)) - int(scale)
    return event.base_minor * by * Fraction(10) ** power
