"""The sentence of an accrual line, in English and Chinese, with every number needed to check it by hand."""

from fractions import Fraction

from privacy.ids import Period
from revenue_share import money, periods
from revenue_share.agreement import Agreement, PercentOfBase
from revenue_share.referral import Referral, RevenueEvent, Verdict

_UNITS = {"CNY": ("fen", "分")}

_TEXTS: dict[Verdict, tuple[str, str]] = {
    Verdict.COUNTED: (
        "The {kind} of {time} lies between the referral of {referred} and the window's end of {end} (excluded): "
        "{rate} x {base} {unit} = {share} {unit}, which is {amount} {unit} ({currency} {money}) after rounding over "
        "the whole statement.",
        "{time} 的 {kind} 处于转介时间 {referred} 与窗口截止 {end}（不含）之间："
        "{rate} × {base} {unit} = {share} {unit}，按整张结算单舍入后为 {amount} {unit}（{currency} {money}）。",
    ),
    Verdict.COUNTED_REVERSAL: (
        "The {kind} of {time} is a reversal (negative base) between the referral of {referred} and the window's end of "
        "{end} (excluded): {rate} x {base} {unit} = {share} {unit}, which is {amount} {unit} ({currency} {money}) "
        "after rounding over the whole statement.",
        "{time} 的 {kind} 为冲减（基数为负），处于转介时间 {referred} 与窗口截止 {end}（不含）之间："
        "{rate} × {base} {unit} = {share} {unit}，按整张结算单舍入后为 {amount} {unit}（{currency} {money}）。",
    ),
    Verdict.NO_EVENT: (
        "The client was referred on {referred}; no event of this client was reported for {period}.",
        "该客户于 {referred} 转介；{period} 期间没有上报该客户的收入事件。",
    ),
    Verdict.UNKNOWN_TOKEN: (
        "The {kind} of {time} names a client that was not referred under this agreement.",
        "{time} 的 {kind} 所指客户未在本协议下转介。",
    ),
    Verdict.DUPLICATE_EVENT: (
        "An event with this id already stands on this statement; it counts once.",
        "本结算单中已有相同编号的事件，只计一次。",
    ),
    Verdict.WRONG_KIND: (
        "No rule of this agreement prices events of the kind {kind}.",
        "本协议没有适用于 {kind} 类事件的规则。",
    ),
    Verdict.OUTSIDE_PERIOD: (
        "The {kind} of {time} is outside {period} in the agreement's time zone ({zone}).",
        "{time} 的 {kind} 按协议时区（{zone}）不在 {period} 期间内。",
    ),
    Verdict.OUTSIDE_VALIDITY: (
        "The client was referred on {referred}; the agreement is valid from {valid_from} to {valid_until} only.",
        "该客户于 {referred} 转介，不在协议有效期（{valid_from} 至 {valid_until}）内。",
    ),
    Verdict.BEFORE_REFERRAL: (
        "The {kind} of {time} happened before the referral of {referred}.",
        "{time} 的 {kind} 发生在转介时间 {referred} 之前。",
    ),
    Verdict.AFTER_WINDOW: (
        "The {kind} of {time} is not before the window's end of {end} (referral of {referred}; {months} calendar "
        "month(s), at most {days} days).",
        "{time} 的 {kind} 不早于窗口截止时间 {end}（转介于 {referred}；{months} 个自然月，至多 {days} 天）。",
    ),
}


def explain(
    agreement: Agreement,
    period: Period,
    verdict: Verdict,
    referral: Referral | None,
    event: RevenueEvent | None,
    rule: PercentOfBase | None,
    share: Fraction,
    amount: int,
) -> tuple[str, str]:
    """(English, Chinese). Times are wall clock of the agreement's zone, amounts in minor units and as decimal text."""
    facts: dict[str, str | int] = {"period": period, "zone": agreement.zone.key, "days": agreement.attribution_days}
    facts |= {"valid_from": str(agreement.valid_from), "valid_until": str(agreement.valid_until or "...")}
    if event is not None:
        facts |= {"kind": event.kind, "time": periods.local_text(event.time, agreement.zone)}
    if referral is not None:
        facts["referred"] = periods.local_text(referral.time, agreement.zone)
    if referral is not None and rule is not None:
        end = agreement.window_end(rule, referral.time)
        facts |= {"end": periods.local_text(end, agreement.zone), "months": rule.months_from_referral}
    if event is not None and rule is not None and verdict.counts:
        decimal = money.Money(currency=agreement.currency, minor=amount).to_text()
        facts |= {"rate": rule.rate.to_text(), "base": event.base_minor, "share": _plain(share), "amount": amount}
        facts |= {"currency": agreement.currency, "money": decimal}
    units = _UNITS.get(agreement.currency, ("minor units", "最小货币单位"))
    en, zh = _TEXTS[verdict]
    return en.format(unit=units[0], **facts), zh.format(unit=units[1], **facts)


def _plain(share: Fraction) -> str:
    return str(share.numerator) if share.denominator == 1 else f"{share.numerator}/{share.denominator}"
