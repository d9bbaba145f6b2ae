"""Drawing up a statement of version 2: the one step from an opening position to a closing one that everybody repeats.

    hub, both nodes and the examiner:   draw_up(terms, referrals, events, period, opening) -> Drawn

What was brought forward comes from the opening position and goes, as far as it is not paid out, into the closing one,
so that positions alone carry every balance from month to month.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from privacy.ids import Digest, Period
from revenue_share import periods
from revenue_share.allocation import AccrualLine, allocate
from revenue_share.position import Position
from revenue_share.referral import Referral, RevenueEvent
from revenue_share.statement import Step
from revenue_share.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A period's lines in order, the position it hands on, and what its statement says of the step."""

    lines: Sequence[AccrualLine]
    closing: Position
    step: Step


def draw_up(
    terms: Terms, referrals: Iterable[Referral], events: Iterable[RevenueEvent], period: Period, opening: Position
) -> Drawn:
    """The lines and the step of one period. Pure; the same bytes wherever it runs."""
    allocation = allocate(terms, referrals, events, period, opening)
    total = sum(line.amount_minor for line in allocation.lines)
    currency = terms.root.currency
    balance = total + brought_forward(terms, opening)
    gross = max(0, balance)
    carried = {name: minor for name, minor in allocation.closing.carried.items() if name != currency}
    if balance != gross:
        carried[currency] = balance - gross
    closing = replace(allocation.closing, carried=dict(sorted(carried.items())))
    step = Step(
        terms=in_force(terms, period),
        opening=opening.digest,
        closing=closing.digest,
        gross_minor=gross,
        vat_minor=0,
        withheld_minor=0,
        paid_minor=gross,
        carried_forward_minor=balance - gross,
    )
    return Drawn(lines=allocation.lines, closing=closing, step=step)


def brought_forward(terms: Terms, opening: Position) -> int:
    """The balance that a period opens with, in minor units of the agreement's currency."""
    return opening.carried.get(terms.root.currency, 0)


def in_force(terms: Terms, period: Period) -> tuple[Digest, ...]:
    """The versions that may price something of a period or before: those that begin before its end, the root first."""
    end = periods.period_bounds(period, terms.zone)[1]
    return tuple(version.digest for version, start in zip(terms.versions, terms.starts, strict=True) if start < end)


def after_version_1(currency: str, carried_forward_minor: int) -> Position:
    """The position after a statement of version 1, which named none: nothing but its balance."""
    return Position(carried={currency: carried_forward_minor} if carried_forward_minor else {})
