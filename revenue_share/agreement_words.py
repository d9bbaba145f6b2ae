"""What an agreement version says, in sentences for the people who approve it. Both languages, from its fields alone."""

from revenue_share import rules
from revenue_share.agreement import Agreement
from revenue_share.rules.base import Pair, Rule, ratio


def of_rule(agreement: Agreement, rule: Rule) -> Pair:
    """What one rule pays, and within which window of the referral."""
    if not rule.referred:
        return rules.describe(rule, agreement.currency, (" without any referral", "无需转介，"))
    months, days = rule.months_from_referral, agreement.attribution_days
    within = f" within {months} month(s) of the referral, at most {days} days"
    return rules.describe(rule, agreement.currency, (within, f"转介后 {months} 个月内（至多 {days} 天）"))


def besides(agreement: Agreement) -> list[Pair]:
    """What holds besides the rules; nothing for an agreement without the optional fields."""
    said: list[Pair] = []
    if agreement.amends is not None:
        day, before = agreement.effective_from, agreement.amends[:16]
        said.append(
            (
                f"it amends {before}: events from {day} on are priced by it, earlier ones as before",
                f"本版修订 {before}：自 {day} 起的事件按本版计价，此前的事件仍按原版",
            )
        )
    if agreement.minimum_payout_minor:
        least = agreement.minimum_payout_minor
        said.append(
            (
                f"a balance below {least} minor units is carried forward, not paid, until the agreement is over",
                f"协议结束前，余额低于 {least}（最小货币单位）时结转下期，不付款",
            )
        )
    said += _taxes(agreement)
    for rates in agreement.fx:
        told = ", ".join(f"{ratio(rate)} from {day}" for day, rate in zip(rates.days, rates.rates, strict=True))
        one, own = rates.currency, agreement.currency
        said.append((f"1 {one} is in {own}: {told}", f"1 {one} 折合 {own}：{told}"))
    if agreement.run_off_months is not None:
        months = agreement.run_off_months
        said.append(
            (
                f"after its last day events of earlier referrals count for {months} more month(s)",
                f"终止后，此前转介客户的事件在 {months} 个月内继续计入",
            )
        )
    if agreement.late_days:
        days = agreement.late_days
        said.append(
            (
                f"events of the {days} day(s) before a month may be reported late and are booked in it",
                f"月初之前 {days} 天内的事件可迟报，计入当月",
            )
        )
    return said + _attribution(agreement)


def _taxes(agreement: Agreement) -> list[Pair]:
    tax, said = agreement.tax, []
    if tax.vat:
        word = ("contained in the amount", "价内") if tax.vat_included else ("paid besides", "另付")
        said.append((f"VAT of {ratio(tax.vat)} is {word[0]}", f"增值税率 {ratio(tax.vat)}，{word[1]}"))
    if tax.withholding:
        rate = ratio(tax.withholding)
        said.append((f"{rate} of the amount without VAT is withheld", f"按不含增值税金额的 {rate} 代扣税"))
    return said


def _attribution(agreement: Agreement) -> list[Pair]:
    if (agreement.credit, agreement.priority) == ("first", 0):
        return []
    words = {"first": ("the first referral has", "首次转介"), "last": ("the last one has", "末次转介")}
    en, zh = words.get(agreement.credit, ("all share", "共同分享"))
    return [
        (
            f"of a client whom several partners referred {en} the credit; this one's priority is {agreement.priority}",
            f"多方转介同一客户时归属方式为{zh}；本方优先级 {agreement.priority}",
        )
    ]
