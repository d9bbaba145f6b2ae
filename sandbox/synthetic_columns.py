"""What each synthetic column is made of: its kind, its level, and how it hangs on a household's latent factors.

Every figure here was chosen by hand so that an alliance behaves plausibly; none was measured on, or copied from, data
of people. Factors (standard normal, correlated by `sandbox.synthetic`): age, edu(cation), inc(ome), wea(lth), risk
(appetite and knowledge), digital (online habits), family (household size), care (thrift).
"""

from collections.abc import Mapping
from dataclasses import dataclass

FACTORS = ("age", "edu", "inc", "wea", "risk", "digital", "family", "care")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column is drawn.

    kind "flag": 1 with probability p. "level": integers from `first`, by shares. "count": Poisson of mean p, at most
    `most`. "money": 0 with probability 1 - p, else log-normal with a median and a log-deviation, rounded to three
    leading digits; `cents` gives two decimals, as derived amounts have; `signed` makes 8 % of the amounts negative.
    """

    kind: str
    p: float = 0.0
    median: float = 0.0
    spread: float = 1.0
    first: int = 0
    shares: tuple[float, ...] = ()
    most: int = 0
    cents: bool = False
    signed: bool = False
    loadings: Mapping[str, float]


def _flag(p: float, **loadings: float) -> Column:
    return Column(kind="flag", p=p, loadings=loadings)


def _level(first: int, shares: tuple[float, ...], **loadings: float) -> Column:
    return Column(kind="level", first=first, shares=shares, loadings=loadings)


def _count(mean: float, most: int, **loadings: float) -> Column:
    return Column(kind="count", p=mean, most=most, loadings=loadings)


def _money(p: float, median: float, spread: float, **loadings: float) -> Column:
    return Column(kind="money", p=p, median=median, spread=spread, loadings=loadings)


def _cents(p: float, median: float, spread: float, *, signed: bool = False, **loadings: float) -> Column:
    return Column(kind="money", p=p, median=median, spread=spread, cents=True, signed=signed, loadings=loadings)


BROKER = {
    "EDCL": _level(1, (0.10, 0.22, 0.25, 0.43), edu=0.95),
    "MARRIED": _level(1, (0.60, 0.40), family=-0.7, wea=-0.2),
    "OCCAT1": _level(1, (0.50, 0.20, 0.25, 0.05), age=0.5, inc=-0.4),
    "YESFINRISK": _flag(0.07, risk=0.5),
    "NOFINRISK": _flag(0.32, risk=-0.65, wea=-0.25),
    "KNOWL": _level(0, (0.02, 0.02, 0.03, 0.04, 0.05, 0.14, 0.12, 0.18, 0.22, 0.08, 0.10), risk=0.55, edu=0.25),
    "FINLIT": _level(0, (0.05, 0.15, 0.30, 0.50), edu=0.45, risk=0.35),
    "IFINPRO": _flag(0.33, wea=0.45, age=0.2),
    "IFINPLAN": _flag(0.42, wea=0.40, risk=0.15),
    "IINTERNET": _flag(0.48, digital=0.7, risk=0.2),
    "IMAGZNEWS": _flag(0.12, age=0.35, risk=0.3),
    "ISELF": _flag(0.11, risk=0.25),
    "ISHOPGRDL": _flag(0.30, care=0.5, risk=0.15),
}
BANK = {
    "CHECKING": _money(0.90, 6_000, 1.7, wea=0.6, inc=0.45),
    "SAVING": _money(0.50, 9_000, 1.8, wea=0.5, care=0.4),
    "MMDA": _money(0.18, 30_000, 1.7, wea=0.6, risk=0.2),
    "CDS": _money(0.09, 40_000, 1.4, wea=0.35, age=0.45),
    "CCBAL": _money(0.38, 2_500, 1.4, wea=-0.35, care=-0.5),
    "NOCCBAL": _flag(0.62, wea=0.35, care=0.5),
    "NH_MORT": _money(0.40, 180_000, 0.9, inc=0.55, family=0.3, age=-0.35),
    "HELOC": _money(0.04, 40_000, 1.1, wea=0.25, family=0.2),
    "OTHLOC": _money(0.03, 25_000, 1.8, wea=0.3),
    "MORTPAY": _cents(0.42, 1_500, 0.7, inc=0.55, family=0.3, age=-0.3),
    "REVPAY": _cents(0.41, 150, 1.2, wea=-0.25, care=-0.4),
    "CONSPAY": _cents(0.42, 600, 0.7, age=-0.45, inc=0.15),
    "VEH_INST": _money(0.31, 17_000, 0.8, age=-0.35, inc=0.25),
    "EDN_INST": _money(0.19, 22_000, 1.1, age=-0.6, edu=0.3),
    "OTH_INST": _money(0.15, 5_000, 1.5, age=-0.25, care=-0.3),
    "WAGEINC": _cents(0.70, 75_000, 0.95, inc=0.75, age=-0.35, edu=0.25),
    "BUSSEFARMINC": _cents(0.35, 25_000, 2.0, signed=True, wea=0.55, inc=0.3),
    "SSRETINC": _cents(0.38, 28_000, 0.7, age=0.85),
    "TRANSFOTHINC": _cents(0.25, 4_000, 1.4, signed=True, inc=-0.3),
    "LATE": _flag(0.12, wea=-0.5, care=-0.35),
    "LATE60": _flag(0.05, wea=-0.5, care=-0.3),
    "TURNDOWN": _flag(0.09, wea=-0.35, age=-0.35),
    "FEARDENIAL": _flag(0.12, wea=-0.5, age=-0.2),
    "BNKRUPLAST5": _flag(0.012, wea=-0.3),
    "SAVED": _flag(0.60, care=0.5, inc=0.4),
    "CKLONGTIME": _flag(0.04, age=0.2),
    "EHCHKG": _level(0, (0.94, 0.03, 0.01, 0.01, 0.005, 0.005), wea=-0.6),
    "HPAYDAY": _flag(0.02, wea=-0.45),
}
PLATFORM = {
    "FOODHOME": _money(0.99, 7_500, 0.55, inc=0.35, family=0.55),
    "FOODAWAY": _money(0.88, 3_000, 0.9, inc=0.5, wea=0.3, age=-0.3),
    "FOODDELV": _money(0.18, 1_800, 0.9, digital=0.5, age=-0.4),
    "RENT": _cents(0.31, 1_100, 0.5, wea=-0.55, age=-0.3),
    "NVEHIC": _count(1.9, 10, family=0.4, wea=0.3),
    "VEHIC": _money(0.87, 24_000, 0.9, wea=0.5, inc=0.4),
    "NEWCAR1": _count(0.35, 5, wea=0.45, inc=0.3),
    "NEWCAR2": _count(0.22, 5, family=0.2, age=-0.3),
    "NLEASE": _count(0.09, 3, inc=0.3),
    "SPENDMOR": _level(1, (0.10, 0.20, 0.12, 0.26, 0.32), wea=-0.2, care=0.3),
    "SPENDLESS": _level(1, (0.30, 0.30, 0.08, 0.20, 0.12), wea=-0.2, care=-0.3),
    "EXPENSHILO": _level(1, (0.25, 0.50, 0.25), wea=-0.1),
    "BSHOPGRDL": _flag(0.33, care=0.5, edu=0.4),
    "BSHOPNONE": _flag(0.19, care=-0.4, edu=-0.25),
    "BINTERNET": _flag(0.55, digital=0.75),
    "BFRIENDWORK": _flag(0.44, family=0.2),
    "INTERNET": _flag(0.90, digital=0.6, age=-0.35, inc=0.2),
    "PREPAID": _money(0.15, 150, 1.4, digital=0.2, wea=-0.3),
    "WSAVED": _level(1, (0.15, 0.25, 0.60), care=0.45, wea=0.4),
    "KIDS": _count(0.75, 10, family=0.75, age=-0.4),
    "HOUSES": _money(0.68, 330_000, 0.9, wea=0.7, inc=0.3, age=0.15),
    "HCUTFOOD": _flag(0.02, wea=-0.5),
    "HCUTENT": _flag(0.014, wea=-0.2),
    "EMERGSAV": _flag(0.50, care=0.4, wea=0.6),
    "EMERGBORR": _flag(0.09, wea=-0.3),
    "EMERGCUT": _flag(0.025, wea=-0.4),
}
INSURER = {
    "CASHLI": _money(0.21, 18_000, 1.6, wea=0.45, age=0.3),
    "HCASHLI": _flag(0.21, wea=0.4, age=0.3),
    "ANNUIT": _money(0.04, 90_000, 1.1, wea=0.3, age=0.4),
    "TRUSTS": _money(0.05, 300_000, 1.9, wea=0.55),
    "PAYINS": _cents(0.01, 60, 1.0, age=0.1),
    "IRAKH": _money(0.38, 110_000, 1.5, wea=0.6, risk=0.25, age=0.2),
    "THRIFT": _money(0.35, 80_000, 1.4, inc=0.55, wea=0.35, age=-0.1),
    "CURRPEN": _money(0.02, 80_000, 1.4, age=0.3),
    "FUTPEN": _money(0.07, 110_000, 1.3, inc=0.25),
    "DBPLANCJ": _flag(0.24, inc=0.2),
    "DCPLANCJ": _flag(0.37, inc=0.6, age=-0.35),
    "DBPLANT": _flag(0.29, age=0.35),
    "ANYPEN": _flag(0.56, inc=0.6, wea=0.2),
    "LIFECL": _level(1, (0.18, 0.10, 0.22, 0.12, 0.13, 0.25), age=0.85),
    "FAMSTRUCT": _level(1, (0.08, 0.14, 0.20, 0.18, 0.40), family=0.7),
    "SAVRES2": _flag(0.036, care=0.2),
    "SAVRES3": _flag(0.07, family=0.3, inc=0.2),
    "SAVRES7": _flag(0.40, age=0.3, inc=0.3, risk=0.15),
    "SAVRES9": _flag(0.018, age=-0.2),
}
