"""Noise for a number of shared clients that is entered as dummies, so it can't be negative: shifted and truncated.

Truncated double geometric noise: Case, Honaker and Movahedi, "The Privacy-preserving Padding Problem" (arXiv
2110.08177, 2021, section 3.2 and equation 11). The noise z lies between -reach and reach, each with probability
proportional to e^(-epsilon |z|); reach + z dummies are counted, reach is public and taken off again.

For two counts that differ by one, P[shown in S] <= e^epsilon P'[shown in S] + delta for every S, with
delta = P[z = -reach]: of all that may be shown only the outermost figure has probability 0 under the other count, and
every other one at most e^epsilon times as much. `reach` is the least one whose delta is at most 10^delta_log10. A
smaller delta costs dummies, not precision.

The weights are integers, each at most e^epsilon times the next one outwards since every step is rounded down. So both
statements hold exactly for what is drawn, the distribution is the same on every machine, and no floating point is
involved (Mironov, CCS 2012). A draw looks up one uniform integer in a table: how long it takes says next to nothing of
what it gives.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import TypeAlias

from privacy.errors import Failure, Kind

Entropy: TypeAlias = Callable[[int], bytes]

EPSILON_MILLI_MIN, EPSILON_MILLI_MAX = 10, 10_000
DELTA_LOG10_MIN, DELTA_LOG10_MAX = -20, -4
MILLI = 1000
LIKELY_PERCENT = 95  # of the interval that is shown
_OUTERMOST = 1 << 64  # its weight; rounding down the next ones is a part of 2^-64 at the most
_STEP_BITS = 128
_DIGITS = 60  # of e^epsilon, correctly rounded by `decimal`: 2^128 e^10 has 43 before the point


class CountNoiseInvalid(Failure):
    code = "COUNT_NOISE_INVALID"
    kind = Kind.INVALID
    en = (
        "noise has epsilon_milli, a whole number from {epsilon_min} to {epsilon_max} (thousandths), and delta_log10, "
        "from {delta_min} to {delta_max}"
    )
    zh = (
        "噪声参数 epsilon_milli 为 {epsilon_min} 至 {epsilon_max} 的整数（千分之一），delta_log10 为 {delta_min} 至 "
        "{delta_max} 的整数"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CountNoise:
    """The noise of one count: epsilon = epsilon_milli / 1000, delta at most 10^delta_log10. Raises CountNoiseInvalid.

    It protects a set of which one client is replaced by another: that changes a number of shared clients by at most 1.
    """

    epsilon_milli: int
    delta_log10: int

    def __post_init__(self) -> None:
        ranges = (
            (self.epsilon_milli, EPSILON_MILLI_MIN, EPSILON_MILLI_MAX),
            (self.delta_log10, DELTA_LOG10_MIN, DELTA_LOG10_MAX),
        )
        if any(type(value) is not int or not least <= value <= most for value, least, most in ranges):
            raise CountNoiseInvalid(
                epsilon_min=EPSILON_MILLI_MIN,
                epsilon_max=EPSILON_MILLI_MAX,
                delta_min=DELTA_LOG10_MIN,
                delta_max=DELTA_LOG10_MAX,
            )

    @property
    def reach(self) -> int:
        """The noise is never further from 0; also the shift: so many dummies are counted where it is 0."""
        return len(self.weights) // 2

    @property
    def dummies(self) -> int:
        """How many dummies there are in all."""
        return 2 * self.reach

    @property
    def weights(self) -> tuple[int, ...]:
        """Of each number of counted dummies, 0 to `dummies`: its probability times the sum of all weights."""
        return _weights(self.epsilon_milli, self.delta_log10)

    @property
    def delta(self) -> Fraction:
        """The exact delta, at most 10^delta_log10."""
        return Fraction(self.weights[0], sum(self.weights))

    @property
    def deviation(self) -> float:
        """The standard deviation of the noise."""
        squares = sum(weight * (dummies - self.reach) ** 2 for dummies, weight in enumerate(self.weights))
        return math.sqrt(Fraction(squares, sum(self.weights)))

    @property
    def likely(self) -> int:
        """The least w such that the noise lies from -w to w in at least 95 of 100 cases."""
        weights, reach = self.weights, self.reach
        needed = Fraction(LIKELY_PERCENT * sum(weights), 100)
        return next(w for w in range(reach + 1) if sum(weights[reach - w : reach + w + 1]) >= needed)

    def draw(self, entropy: Entropy) -> int:
        """How many dummies are counted, 0 to `dummies`: the noise is this less `reach`."""
        limits = _limits(self.epsilon_milli, self.delta_log10)
        return bisect_right(limits, _below(limits[-1], entropy))

    def statement(self) -> dict[str, int]:
        """What is said beside a figure: the terms, and how far it may be off (always; in 95 of 100 cases)."""
        return {
            "epsilon_milli": self.epsilon_milli,
            "delta_log10": self.delta_log10,
            "off_by_at_most": self.reach,
            "off_by_at_most_95_percent": self.likely,
        }


@lru_cache(maxsize=64)
def _weights(epsilon_milli: int, delta_log10: int) -> tuple[int, ...]:
    """From the outermost weight inwards, until it is at most 10^delta_log10 of all together."""
    power = Context(prec=_DIGITS).exp(Decimal(epsilon_milli) / MILLI)
    step = int(Fraction(power) * (1 << _STEP_BITS)) - 1  # below 2^128 e^epsilon, whatever the last digit's rounding
    side, outer, peak = [_OUTERMOST], 0, _OUTERMOST
    while _OUTERMOST * 10**-delta_log10 > 2 * (outer + peak) - peak:
        outer, peak = outer + peak, (peak * step) >> _STEP_BITS
        side.append(peak)
    return (*side, *reversed(side[:-1]))


@lru_cache(maxsize=64)
def _limits(epsilon_milli: int, delta_log10: int) -> tuple[int, ...]:
    return tuple(accumulate(_weights(epsilon_milli, delta_log10)))


def _below(bound: int, entropy: Entropy) -> int:
    """A uniform integer below `bound`: as many random bits as it has, drawn again when they reach it."""
    bits = bound.bit_length()
    size = -(-bits // 8)
    while True:
        found = int.from_bytes(entropy(size), "big") >> (8 * size - bits)
        if found < bound:
            return found
