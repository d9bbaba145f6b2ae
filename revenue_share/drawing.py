"""Drawing up a statement of version 2: the one step from an opening position to a closing one that everybody repeats.

    hub, both nodes and the examiner:   draw_up(terms, referrals, events, period, opening) -> Drawn

What was brought forward comes from the opening position and goes, as far as it is not paid out, into the closing one,
so that positions alone carry every balance from month to month.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from privacy.ids import Digest, Period
from revenue_share import periods
from revenue_share.allocation import AccrualLine, Allocation, allocate
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
    return settled(terms, period, opening, allocate(terms, referrals, events, period, opening))


def settled(terms: Terms, period: Period, opening: Position, allocation: Allocation) -> Drawn:
    """What becomes of the balance of allocated lines: what is paid out, and what goes into the closing position."""
    paid, closing = allocation.payout, allocation.closing
    step = Step(
        terms=in_force(terms, period),
        opening=opening.digest,
        closing=closing.digest,
        gross_minor=paid.gross_minor,
        vat_minor=paid.vat_minor,
        withheld_minor=paid.withheld_minor,
        paid_minor=paid.paid_minor,
        carried_forward_minor=paid.carried_forward_minor,
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
