"""From a statement's total to what the bank pays: balance, minimum, VAT, withholding, each an amount of its own.

    balance   total + what was brought forward
    gross     the balance where it is positive and not below the agreement's minimum; else nothing, and it is carried.
              Once the agreement is over (`ending`) no minimum applies: nothing would ever be added to the balance
    vat       included: the part gross x r / (1 + r) of it; else gross x r, paid besides
    withheld  of the amount without VAT
    paid      amount without VAT + vat - withheld

Each tax is exact first and then rounded by itself, half to even. Nothing of a balance is lost: gross + carried forward
is the balance.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from privacy import canonical
from revenue_share.agreement import Agreement
from revenue_share.money import Money, Ratio
from revenue_share.rules.base import Pair, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """What becomes of a balance; amounts in minor units of the currency, exact taxes as ratios of minor units."""

    currency: str
    total_minor: int
    brought_forward_minor: int
    minimum_minor: int  # as agreed
    over: bool  # whether the agreement is over: then the minimum does not apply
    gross_minor: int
    vat: Ratio
    vat_minor: int
    withholding: Ratio
    withheld_minor: int
    paid_minor: int
    carried_forward_minor: int
    sentences: tuple[Pair, ...]

    @property
    def below_minimum(self) -> bool:
        """Whether less than the agreed minimum is paid out, because the agreement is over."""
        return 0 < self.gross_minor < self.minimum_minor

    def to_value(self) -> dict[str, canonical.Value]:
        """The canonical value for statements and views."""
        return {
            "currency": self.currency,
            "total_minor": self.total_minor,
            "brought_forward_minor": self.brought_forward_minor,
            "minimum_minor": self.minimum_minor,
            "over": self.over,
            "gross_minor": self.gross_minor,
            "vat": self.vat.to_text(),
            "vat_minor": self.vat_minor,
            "withholding": self.withholding.to_text(),
            "withheld_minor": self.withheld_minor,
            "paid_minor": self.paid_minor,
            "carried_forward_minor": self.carried_forward_minor,
            "sentences_en": [en for en, _ in self.sentences],
            "sentences_zh": [zh for _, zh in self.sentences],
        }


def payout(version: Agreement, total_minor: int, brought_forward_minor: int, *, over: bool = False) -> Payout:
    """The payout of a total under the version in force at the period's end. Raises AmountTooLarge over the limit.

    over: whether the agreement is over, so that nothing can be added to the balance any more.
    """
    balance = Money(currency=version.currency, minor=total_minor + brought_forward_minor).minor
    least = 0 if over else version.minimum_payout_minor
    gross = balance if balance > 0 and balance >= least else 0
    tax = version.tax
    vat = gross * tax.vat / (1 + tax.vat) if tax.vat_included else gross * tax.vat
    net = gross - round(vat) if tax.vat_included else gross
    withholding = net * tax.withholding
    paid = Money(currency=version.currency, minor=net + round(vat) - round(withholding)).minor
    made = Payout(
        currency=version.currency,
        total_minor=total_minor,
        brought_forward_minor=brought_forward_minor,
        minimum_minor=version.minimum_payout_minor,
        over=over,
        gross_minor=gross,
        vat=Ratio.of(Fraction(vat)),
        vat_minor=round(vat),
        withholding=Ratio.of(Fraction(withholding)),
        withheld_minor=round(withholding),
        paid_minor=paid,
        carried_forward_minor=balance - gross,
        sentences=(),
    )
    return _with_sentences(made, version, net)


def _with_sentences(made: Payout, version: Agreement, net: int) -> Payout:
    said = [_balance(made)]
    tax = version.tax
    if tax.vat and made.gross_minor:
        rate, vat = ratio(tax.vat), made.vat.to_text()
        how = f"{made.gross_minor} x {rate}" + (f" / (1 + {rate})" if tax.vat_included else "")
        en = (
            f"VAT {'contained in it' if tax.vat_included else 'paid besides'}: {how} = {vat}, rounded {made.vat_minor}."
        )
        kind, times = "价内" if tax.vat_included else "另付", how.replace("x", "×")
        zh = f"增值税（{kind}）：{times} = {vat}，舍入为 {made.vat_minor}。"
        said.append((en, zh))
    if tax.withholding and made.gross_minor:
        rate, exact = ratio(tax.withholding), made.withholding.to_text()
        en = f"Withheld of the amount without VAT: {net} x {rate} = {exact}, rounded {made.withheld_minor}."
        zh = f"代扣税（不含增值税金额）：{net} × {rate} = {exact}，舍入为 {made.withheld_minor}。"
        said.append((en, zh))
    if made.gross_minor:
        paid = Money(currency=made.currency, minor=made.paid_minor).to_text()
        parts = f"{net} + {made.vat_minor} - {made.withheld_minor} = {made.paid_minor}"
        said.append((f"Paid: {parts} ({made.currency} {paid}).", f"实付：{parts}（{made.currency} {paid}）。"))
    return replace(made, sentences=tuple(said))


def _balance(made: Payout) -> Pair:
    balance = made.total_minor + made.brought_forward_minor
    sum_ = f"{made.total_minor} + {made.brought_forward_minor} = {balance}"
    if made.below_minimum:
        return (
            f"Total and balance brought forward: {sum_}, below the minimum of {made.minimum_minor}; the agreement is "
            "over, nothing can be added to it: it is paid out.",
            f"本期合计与上期结转：{sum_}，低于最低付款额 {made.minimum_minor}；协议已结束，余额不会再增加，全部支付。",
        )
    if made.gross_minor:
        return f"Total and balance brought forward: {sum_}.", f"本期合计与上期结转：{sum_}。"
    if balance > 0:
        return (
            f"Total and balance brought forward: {sum_}, below the minimum of {made.minimum_minor}: carried forward.",
            f"本期合计与上期结转：{sum_}，低于最低付款额 {made.minimum_minor}，结转下期。",
        )
    return (
        f"Total and balance brought forward: {sum_}: nothing is paid, {balance} is carried forward.",
        f"本期合计与上期结转：{sum_}：本期不付款，{balance} 结转下期。",
    )
