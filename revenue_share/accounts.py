"""The chart of accounts: which accounts the journal knows, and which assets each of them may hold.

Money and points never meet: a points account holds POINTS and nothing else, every other account holds currencies and
never POINTS. A class that is kept for each partner, or for each rail on which the bank pays, ends in its name.
"""

import re
from dataclasses import dataclass

from privacy.ids import PartnerId
from revenue_share.money import DECIMALS

POINTS = "POINTS"  # 生态积分: whole points, an asset of their own
RAILS: dict[str, frozenset[str]] = {"transfer": frozenset(DECIMALS), "ecny": frozenset({"CNY"})}  # 数字人民币 is CNY


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountClass:
    """One class of the chart. `each`: "" for one account, else what its accounts are kept for (partner, rail)."""

    name: str
    each: str
    en: str
    zh: str

    @property
    def pattern(self) -> str:
        endings = {"": "", "partner": ":[a-z][a-z0-9-]{1,31}", "rail": f":({'|'.join(RAILS)})"}
        return self.name + endings[self.each]


def _account(name: str, en: str, zh: str, each: str = "") -> AccountClass:
    return AccountClass(name=name, each=each, en=en, zh=zh)


CHART = (
    _account("revenue:gross", "income that shares are computed from", "总收入"),
    _account("revenue:interest", "interest on money at the bank", "利息收入"),
    _account("expense:partner_share", "what partners' shares cost", "合作伙伴分润费用"),
    _account("expense:bank_charges", "what the bank charges", "银行手续费"),
    _account("liability:accrued", "earned by a partner, not yet due: carried forward", "应计未付", "partner"),
    _account("liability:payable", "due to a partner by final statements", "应付", "partner"),
    _account("liability:clawback_reserve", "held back for clawbacks", "追回准备金"),
    _account("asset:bank", "money at the bank, by payment rail", "银行存款", "rail"),
    _account("asset:other", "our money that went to, or came from, outside these books", "账外往来"),
    _account("tax:vat_in", "input VAT on partners' invoices", "进项增值税"),
    _account("tax:withholding", "tax withheld from partners", "代扣代缴税款"),
    _account("suspense:recon", "bank movements not yet matched", "待核对款项"),
    _account("points:issued", "points granted", "已发放积分"),
    _account("points:liability", "points that clients hold", "积分负债"),
    _account("points:redeemed", "points redeemed", "已兑换积分"),
    _account("points:expired", "points expired", "已过期积分"),
)
_PATTERN = re.compile("|".join(f"(?:{one.pattern})" for one in CHART))

PARTNER_SHARE = "expense:partner_share"
BANK_CHARGES = "expense:bank_charges"
INTEREST = "revenue:interest"
OUTSIDE = "asset:other"
SUSPENSE = "suspense:recon"
VAT_IN = "tax:vat_in"
WITHHOLDING = "tax:withholding"
POINTS_ISSUED = "points:issued"
POINTS_LIABILITY = "points:liability"
POINTS_REDEEMED = "points:redeemed"
POINTS_EXPIRED = "points:expired"


def accrued(partner: PartnerId) -> str:
    """The account of what a partner earned that no final statement makes due: balances carried forward."""
    return f"liability:accrued:{partner}"


def payable(partner: PartnerId) -> str:
    """The account of what the payer owes a partner by final statements."""
    return f"liability:payable:{partner}"


def bank(rail: str) -> str:
    """The account of money at the bank on one rail, a key of RAILS."""
    return f"asset:bank:{rail}"


def known(account: str) -> bool:
    """Whether the chart has this account."""
    return _PATTERN.fullmatch(account) is not None


def holds(account: str, asset: str) -> bool:
    """Whether the chart has this account and lets it hold this asset."""
    if not known(account):
        return False
    if account.startswith("points:") or asset == POINTS:
        return account.startswith("points:") and asset == POINTS
    return asset in RAILS.get(account.removeprefix("asset:bank:"), DECIMALS)
