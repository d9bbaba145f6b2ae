"""Drawing up a statement: the one step from an opening position to a closing one that everybody repeats.

    hub, both nodes and the examiner:   draw_up(terms, referrals, events, period, opening) -> Drawn

What was brought forward comes from the opening position and goes, as far as it is not paid out, into the closing one,
so that positions alone carry every balance from month to month.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from privacy import canonical
from privacy.ids import Digest, Period
from revenue_share import periods
from revenue_share.allocation import AccrualLine, allocate
from revenue_share.dispute import Adjustment
from revenue_share.ending import end
from revenue_share.money import Money, Ratio
from revenue_share.payout import Payout, payout
from revenue_share.position import Position, balance
from revenue_share.referral import NO_CLIENT, Referral, RevenueEvent, Verdict
from revenue_share.statement import Step
from revenue_share.terms import Terms
from revenue_share.versions import LATEST


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
    version: int = LATEST,
) -> Drawn:
    """The lines and the step of one period. Pure; the same bytes wherever it runs.

    Adjustments that both parties approved are lines of their own after the others, by their documents' digests; a last
    balance below the minimum has the last line. version: of the statement, as its body says it.
    """
    allocation = allocate(terms, referrals, events, period, opening, version)
    lines, closing, paid, of = allocation.lines, allocation.closing, allocation.payout, terms.closing(period)
    adjusted, added = sorted(adjustments, key=lambda item: item.digest), []
    if adjusted:
        total = paid.total_minor + sum(item.amount_minor for item in adjusted)
        paid = payout(of, total, paid.brought_forward_minor, over=paid.over)
        carried = {asset: minor for asset, minor in closing.carried.items() if asset != paid.currency}
        closing = replace(closing, carried=carried | balance(paid.currency, paid.carried_forward_minor))
        added = [_line(len(lines) + i, item, of.version) for i, item in enumerate(adjusted)]
    if paid.below_minimum:
        added.append(_last_balance(len(lines) + len(added), terms, period, paid))
    step = Step(
        terms=in_force(terms, period),
        opening=opening.digest,
        closing=closing.digest,
        gross_minor=paid.gross_minor,
        vat_minor=paid.vat_minor,
        withheld_minor=paid.withheld_minor,
        paid_minor=paid.paid_minor,
        carried_forward_minor=paid.carried_forward_minor,
        points=allocation.points,
    )
    digests = tuple(item.digest for item in adjusted)
    return Drawn(lines=[*lines, *added] if added else lines, closing=closing, step=step, adjusted=digests)


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


def _last_balance(index: int, terms: Terms, period: Period, paid: Payout) -> AccrualLine:
    """The line that says why a balance below the minimum is paid; it adds nothing to the total."""
    version, after = terms.closing(period), end(terms, period)
    assert after is not None, "an agreement that is over has an end"
    time = periods.local_text(after, terms.zone)
    en, zh = paid.sentences[0]
    value: dict[str, canonical.Value] = {
        "agreement": version.digest,
        "period": period,
        "total_minor": paid.total_minor,
        "brought_forward_minor": paid.brought_forward_minor,
        "end": periods.time_text(after),
    }
    return AccrualLine(
        index=index,
        token=NO_CLIENT,
        event="",
        kind="last-balance",
        time="",
        referred="",
        rule="",
        rule_version=version.version,
        base_minor=paid.gross_minor,
        rate="0/1",
        share=Ratio.of(Fraction(0)),
        amount_minor=0,
        inputs=canonical.digest("ecohub/accrual-inputs/v1", value).hex(),
        verdict=Verdict.LAST_BALANCE,
        reason_en=f"Events counted or were taken back before {time} only. {en}",
        reason_zh=f"仅 {time} 之前的事件可计入或追回。{zh}",
    )


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
