"""Exact money: integers in minor units, exact ratios, and the one way in which fractions become integers.

There is no float anywhere. Rounding happens once, over a whole group of shares (`round_shares`): the group's total is
its exact sum rounded half to even, and the units between the truncated shares and that total go to the largest
remainders. So parts always sum to the whole, each differs from its exact share by less than one unit, a share of zero
stays zero, and negating all shares negates all parts (a reversal mirrors its original to the unit).
"""

import hashlib
import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from revenue_share.errors import (
    AmountMalformed,
    AmountTooLarge,
    CurrencyMismatch,
    CurrencyUnknown,
    RatioMalformed,
    WeightsInvalid,
)

AMOUNT_FEN_MAX = 10**15  # minor units, either sign; below 2^53, so canonical JSON carries it
DECIMALS = {"CNY": 2, "HKD": 2, "USD": 2, "EUR": 2, "GBP": 2, "JPY": 0}  # ISO 4217 minor units

_RATIO = re.compile(r"(0|[1-9][0-9]{0,8})/([1-9][0-9]{0,8})")


def decimals(currency: str) -> int:
    """Decimal places of a currency's minor unit. Raises CurrencyUnknown."""
    if currency not in DECIMALS:
        raise CurrencyUnknown(currency=str(currency)[:10], known=", ".join(sorted(DECIMALS)))
    return DECIMALS[currency]


def decimal_text(minor: int, digits: int) -> str:
    """Minor units as decimal text with so many decimals: -123457 with 2 is "-1234.57"."""
    sign, units = "-" if minor < 0 else "", abs(minor)
    if digits == 0:
        return f"{sign}{units}"
    return f"{sign}{units // 10**digits}.{units % 10**digits:0{digits}d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount of one currency in minor units (fen for CNY), between ±AMOUNT_FEN_MAX."""

    currency: str
    minor: int

    def __post_init__(self) -> None:
        decimals(self.currency)
        if type(self.minor) is not int:
            raise AmountMalformed(text=str(self.minor)[:40], currency=self.currency, digits=decimals(self.currency))
        if abs(self.minor) > AMOUNT_FEN_MAX:
            raise AmountTooLarge(minor=self.minor, limit=AMOUNT_FEN_MAX)

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise CurrencyMismatch(one=self.currency, other=other.currency)
        return Money(currency=self.currency, minor=self.minor + other.minor)

    def __neg__(self) -> "Money":
        return Money(currency=self.currency, minor=-self.minor)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def to_text(self) -> str:
        """Decimal text without grouping: "-1234.57"; with no decimals for a currency that has none."""
        return decimal_text(self.minor, decimals(self.currency))

    @classmethod
    def from_text(cls, text: str, currency: str) -> "Money":
        """The amount of decimal text such as "1234.57", exactly.

        Raises AmountMalformed for signs other than one leading minus, grouping, exponents, more decimals than the
        currency has, or digits outside ASCII; AmountTooLarge beyond the limit.
        """
        digits = decimals(currency)
        pattern = r"(-?)([0-9]{1,16})" + (rf"(?:\.([0-9]{{1,{digits}}}))?" if digits else "()")
        match = re.fullmatch(pattern, text) if isinstance(text, str) else None
        if match is None:
            raise AmountMalformed(text=str(text)[:40], currency=currency, digits=digits)
        minor = int(match[2] + (match[3] or "").ljust(digits, "0"))
        return cls(currency=currency, minor=-minor if match[1] else minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """An exact fraction in lowest terms, its denominator positive."""

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if self.denominator <= 0 or gcd(self.numerator, self.denominator) != 1:
            raise RatioMalformed(text=f"{self.numerator}/{self.denominator}")

    @property
    def fraction(self) -> Fraction:
        return Fraction(self.numerator, self.denominator)

    def to_text(self) -> str:
        """ "1/20"; an integer too has its denominator: "3/1"."""
        return f"{self.numerator}/{self.denominator}"

    @classmethod
    def of(cls, fraction: Fraction) -> "Ratio":
        return cls(numerator=fraction.numerator, denominator=fraction.denominator)

    @classmethod
    def from_text(cls, text: str) -> "Ratio":
        """The ratio of text such as "1/20": whole numbers of at most nine digits, in lowest terms, not negative."""
        match = _RATIO.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise RatioMalformed(text=str(text)[:40])
        return cls(numerator=int(match[1]), denominator=int(match[2]))


def round_shares(shares: Mapping[str, Fraction], tie_key: bytes) -> dict[str, int]:
    """Whole units for exact shares: largest remainder, the total being the exact sum rounded half to even.

    Shares may be of both signs. Ties are broken by SHA-256(tie_key ‖ 0x00 ‖ name), so that no name is favoured by its
    place in the alphabet or in the input; the result does not depend on the order of the mapping.
    """
    names, listed = list(shares), list(shares.values())
    parts = apportion(listed, round(exact_sum(listed)), names.__getitem__, tie_key)
    return dict(zip(names, parts, strict=True))


def apportion(shares: Sequence[Fraction], total: int, name: Callable[[int], str], tie_key: bytes) -> list[int]:
    """Whole units for exact shares that sum to `total`, a whole number less than one unit from their exact sum.

    Each part is its share rounded down or up: a group of parts is bounded by what bounds its share. name: of the share
    at a place; it is asked for only where remainders are tied, and ties are broken as in `round_shares`.
    """
    parts = [int(share) for share in shares]  # int() truncates towards zero
    missing = total - sum(parts)
    if missing == 0:
        return parts
    sign = -1 if missing < 0 else 1
    # of two remainders that differ, so do their multiples of 2^shift: they are 1/(denominator x denominator) apart
    shift = 2 * max(share.denominator for share in shares).bit_length() + 2
    rest = [
        sign * (((share.numerator - part * share.denominator) << shift) // share.denominator)
        for share, part in zip(shares, parts, strict=True)
    ]
    # |missing| <= ceil of the sum of the remainders of that sign, so every unit meets a remainder of its own sign
    least = heapq.nlargest(abs(missing), rest)[-1]
    assert least > 0, "largest remainder: more units than remainders"
    sure = [place for place, over in enumerate(rest) if over > least]
    tied = [place for place, over in enumerate(rest) if over == least]
    if len(sure) + len(tied) > abs(missing):
        tied.sort(key=lambda place: _tie(tie_key, name(place)))
    for place in (*sure, *tied[: abs(missing) - len(sure)]):
        parts[place] += sign
    return parts


def exact_sum(shares: Iterable[Fraction]) -> Fraction:
    """The sum, quick for many shares of few denominators."""
    by_denominator: dict[int, int] = {}
    for share in shares:
        by_denominator[share.denominator] = by_denominator.get(share.denominator, 0) + share.numerator
    return sum((Fraction(top, bottom) for bottom, top in by_denominator.items()), Fraction(0))


def split(total: Money, weights: Mapping[str, int], tie_key: bytes) -> dict[str, Money]:
    """Divide an amount by weights; the parts sum to it exactly, weight zero gets zero, split(-t) mirrors split(t).

    Raises WeightsInvalid for negative weights, no weights, or weights that are all zero.
    """
    if any(type(weight) is not int or weight < 0 for weight in weights.values()):
        raise WeightsInvalid(why="a weight is negative or not a whole number")
    whole = sum(weights.values())
    if whole == 0:
        raise WeightsInvalid(why="they sum to zero")
    shares = {name: Fraction(total.minor * weight, whole) for name, weight in weights.items()}
    parts = round_shares(shares, tie_key)
    return {name: Money(currency=total.currency, minor=parts[name]) for name in weights}


def _tie(tie_key: bytes, name: str) -> bytes:
    return hashlib.sha256(tie_key + b"\x00" + name.encode()).digest()
