"""Drawing up a statement of version 2: the one step from an opening position to a closing one that everybody repeats.

    hub, both nodes and the examiner:   draw_up(terms, referrals, events, period, opening) -> Drawn

What was brought forward comes from the opening position and goes, as far as it is not paid out, into the closing one,
so that positions alone carry every balance from month to month.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from privacy.ids import Digest, Period
from revenue_share import periods
from revenue_share.allocation import AccrualLine, allocate
from revenue_share.dispute import Adjustment
from revenue_share.money import Money, Ratio
from revenue_share.payout import Payout, payout
from revenue_share.position import Position, balance
from revenue_share.referral import Referral, RevenueEvent, Verdict
from revenue_share.statement import Step
from revenue_share.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A period's lines in order, the position it hands on, and what its statement says of the step."""

    lines: Sequence[AccrualLine]
    closing: Position
    step: Step
    adjusted: tuple[Digest, ...] = ()  # the adjustments among the lines, in their order


def draw_up(
    terms: Terms,
    referrals: Iterable[Referral],
    events: Iterable[RevenueEvent],
    period: Period,
    opening: Position,
    adjustments: Iterable[Adjustment] = (),
) -> Drawn:
    """The lines and the step of one period. Pure; the same bytes wherever it runs.

    Adjustments that both parties approved are lines of their own after the others, by their documents' digests.
    """
    allocation = allocate(terms, referrals, events, period, opening)
    adjusted = sorted(adjustments, key=lambda item: item.digest)
    if not adjusted:
        return _settled(terms, period, opening, allocation.lines, allocation.closing, allocation.payout)
    first, version = len(allocation.lines), terms.closing(period)
    added = [_line(first + i, item, version.version) for i, item in enumerate(adjusted)]
    total = allocation.payout.total_minor + sum(item.amount_minor for item in adjusted)
    paid = payout(version, total, allocation.payout.brought_forward_minor)
    closing = replace(allocation.closing, carried=balance(paid.currency, paid.carried_forward_minor))
    drawn = _settled(terms, period, opening, [*allocation.lines, *added], closing, paid)
    return replace(drawn, adjusted=tuple(item.digest for item in adjusted))


def _line(index: int, item: Adjustment, version: int) -> AccrualLine:
    amount = Money(currency=item.currency, minor=item.amount_minor).to_text()
    en = f"Agreed by both parties for line {item.line} of statement {item.statement[:16]}: {item.currency} {amount}"
    zh = f"双方就结算单 {item.statement[:16]} 第 {item.line} 行达成的调整：{item.currency} {amount}"
    return AccrualLine(
        index=index,
        token=item.token,
        event=item.digest,
        kind="adjustment",
        time="",
        referred="",
        rule="",
        rule_version=version,
        base_minor=item.amount_minor,
        rate="0/1",
        share=Ratio.of(Fraction(item.amount_minor)),
        amount_minor=item.amount_minor,
        inputs=item.digest,
        verdict=Verdict.ADJUSTMENT,
        reason_en=f"{en} ({item.reason}).",
        reason_zh=f"{zh}（{item.reason}）。",
    )


def _settled(
    terms: Terms, period: Period, opening: Position, lines: Sequence[AccrualLine], closing: Position, paid: Payout
) -> Drawn:
    """What becomes of the balance: what is paid out, and what goes into the closing position."""
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
    return Drawn(lines=lines, closing=closing, step=step)


def brought_forward(terms: Terms, opening: Position) -> int:
    """The balance that a period opens with, in minor units of the agreement's currency."""
    return opening.carried.get(terms.root.currency, 0)


def in_force(terms: Terms, period: Period) -> tuple[Digest, ...]:
    """The versions that may price something of a period or before: those that begin before its end, the root first."""
    end = periods.period_bounds(period, terms.zone)[1]
    return tuple(version.digest for version, start in zip(terms.versions, terms.starts, strict=True) if start < end)


def after_version_1(currency: str, carried_forward_minor: int) -> Position:
    """The position after a statement of version 1, which named none: nothing but its balance."""
    return Position(carried=balance(currency, carried_forward_minor))
