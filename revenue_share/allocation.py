"""From agreement, referrals and events to accrual lines: the one function that hub, referrer, payer and regulator run.

Every event has exactly one line, every referral token at least one (NO_EVENT where no event names it). Lines are in the
order of (token, time, event id) and do not depend on the order of the inputs. Each line carries its rule, the digest of
what went in, the exact share as a fraction of minor units, the amount after the statement's one rounding
(`money.round_shares` over all counted lines: the total is the exact sum rounded half to even), and a sentence in both
languages whose arithmetic can be checked by hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy import canonical
from privacy.ids import ClientToken, Period
from revenue_share import money, periods, sentences
from revenue_share.agreement import Agreement
from revenue_share.position import Position
from revenue_share.referral import Referral, RevenueEvent, Verdict, first_referrals, qualify
from revenue_share.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class AccrualLine:
    """One line of a statement. Amounts in minor units; `share` is the exact amount before rounding, in minor units."""

    index: int
    token: ClientToken
    event: str  # event id; empty for NO_EVENT
    kind: str
    time: str  # of the event, UTC; empty for NO_EVENT
    referred: str  # of the referral that counts, UTC; empty for UNKNOWN_TOKEN
    rule: str  # rule id; empty where no rule prices the event
    rule_version: int  # the agreement's version
    base_minor: int
    rate: str  # "1/20"; "0/1" where the line does not count
    share: money.Ratio
    amount_minor: int
    inputs: str  # 64 hex digits
    verdict: Verdict
    reason_en: str
    reason_zh: str

    def to_value(self) -> dict[str, canonical.Value]:
        """The canonical value that is salted, hashed and disclosed."""
        return {
            "index": self.index,
            "token": self.token,
            "event": self.event,
            "kind": self.kind,
            "time": self.time,
            "referred": self.referred,
            "rule": self.rule,
            "rule_version": self.rule_version,
            "base_minor": self.base_minor,
            "rate": self.rate,
            "share": self.share.to_text(),
            "amount_minor": self.amount_minor,
            "inputs": self.inputs,
            "verdict": self.verdict.value,
            "reason_en": self.reason_en,
            "reason_zh": self.reason_zh,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One event, or one referral without events, with its verdict and exact share; before rounding."""

    token: ClientToken
    event: RevenueEvent | None
    referral: Referral | None
    verdict: Verdict
    share: Fraction

    @property
    def name(self) -> str:
        return f"{self.token}/{self.event.id}" if self.event else self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What one period comes to: its lines in order, and the position that the next period opens with."""

    lines: Sequence[AccrualLine]
    closing: Position


def allocate(
    terms: Terms, referrals: Iterable[Referral], events: Iterable[RevenueEvent], period: Period, opening: Position
) -> Allocation:
    """The accrual lines of one agreement and period, and the closing position. Pure; the same bytes wherever it runs.

    `opening` is the closing position of the period that was settled before, `Position.empty()` for the first one. A
    period that is drawn up again after a dispute takes the same opening position as before.
    """
    agreement = terms.root
    judged = _judge(agreement, first_referrals(referrals), events, period)
    tie_key = bytes.fromhex(agreement.digest) + period.encode()
    amounts = money.round_shares({item.name: item.share for item in judged if item.verdict.counts}, tie_key)
    lines = tuple(
        _line(agreement, period, index, item, amounts.get(item.name, 0) if item.verdict.counts else 0)
        for index, item in enumerate(judged)
    )
    return Allocation(lines=lines, closing=opening)


def _judge(
    agreement: Agreement, first: dict[ClientToken, Referral], events: Iterable[RevenueEvent], period: Period
) -> list[_Judged]:
    bounds = periods.period_bounds(period, agreement.zone)
    judged: list[_Judged] = []
    seen: set[str] = set()
    named: set[ClientToken] = set()
    for event in sorted(events, key=lambda e: (e.token, e.time, e.id, e.kind, e.base_minor)):
        referral = first.get(event.token)
        if event.id in seen:
            verdict = Verdict.DUPLICATE_EVENT
        else:
            verdict = qualify(agreement, referral, event, bounds)
        seen.add(event.id)
        named.add(event.token)
        rule = agreement.rule_for(event.kind)
        share = event.base_minor * rule.rate.fraction if verdict.counts and rule else Fraction(0)
        judged.append(_Judged(token=event.token, event=event, referral=referral, verdict=verdict, share=share))
    for token in first.keys() - named:
        none = _Judged(token=token, event=None, referral=first[token], verdict=Verdict.NO_EVENT, share=Fraction(0))
        judged.append(none)
    # stable: events of one token keep their order, and a token without events has a single line
    return sorted(judged, key=lambda item: item.token)


def _line(agreement: Agreement, period: Period, index: int, item: _Judged, amount: int) -> AccrualLine:
    event, referral = item.event, item.referral
    rule = agreement.rule_for(event.kind) if event else None
    en, zh = sentences.explain(agreement, period, item.verdict, referral, event, rule, item.share, amount)
    return AccrualLine(
        index=index,
        token=item.token,
        event=event.id if event else "",
        kind=event.kind if event else "",
        time=periods.time_text(event.time) if event else "",
        referred=periods.time_text(referral.time) if referral else "",
        rule=rule.id if rule else "",
        rule_version=agreement.version,
        base_minor=event.base_minor if event else 0,
        rate=rule.rate.to_text() if rule and item.verdict.counts else "0/1",
        share=money.Ratio.of(item.share),
        amount_minor=amount,
        inputs=_inputs(agreement, period, referral, event),
        verdict=item.verdict,
        reason_en=en,
        reason_zh=zh,
    )


def _inputs(agreement: Agreement, period: Period, referral: Referral | None, event: RevenueEvent | None) -> str:
    """Digest of everything this line was made from: agreement, period, the referral that counts, the event."""
    value: canonical.Value = {
        "agreement": agreement.digest,
        "period": period,
        "referral": referral.to_value() if referral else None,
        "event": event.to_value() if event else None,
    }
    return canonical.digest("ecohub/accrual-inputs/v1", value).hex()
