"""One node's share of the noise, and the fixed point that leaves room for it.

One row moves weight * update by at most `row_clip` in Euclidean norm (row-wise clipped gradients: Abadi et al., CCS
2016), replacing it by at most twice that; rounding to lanes adds at most sqrt(d). The sum of a cohort must hide that
difference by `noise_multiplier` times itself, with the noise of its honest nodes alone: each adds a variance of
(multiplier * sensitivity)^2 / honest. Nodes beyond the least honest ones add noise that is not counted on.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from privacy.aggregation import PARTNERS_MAX, Roster
from privacy.errors import Failure, Kind
from privacy.noise.accountant import DIVERGENCE_MAX, MILLI
from privacy.noise.gaussian import VARIANCE_MAX
from privacy.quantize import Codec

VARIANCE_MIN = 16  # the sum of shares is then one discrete Gaussian but for 2^-212 (`divergence`)
TAIL = 16  # standard deviations kept free: a sample beyond has chance 2 exp(-16^2 / 2) < 2^-183 (it is sub-Gaussian)
SLACK_LANES = 2  # the float64 steps before rounding move all lanes together by less than one each time
ROOM = 1.0 + 2.0**-30  # on a bound found in floats, which integers then verify


class NoiseDoesNotFit(Failure):
    code = "NOISE_DOES_NOT_FIT"
    kind = Kind.INVALID
    en = (
        "the noise asked for does not fit the lanes of this plan ({why}); "
        "lower noise_multiplier_milli, the number of parameters or row_clip_milli"
    )
    zh = "所需噪声超出该计划的定点通道范围（{why}）；请降低 noise_multiplier_milli、参数个数或 row_clip_milli"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisePlan:
    """The fixed point of a plan's vectors and one node's noise; the same at all nodes, since sums are decoded with it.

    codec: has room for the noise beyond the values; sensitivity: in lanes; variance: of one node's share, in lanes^2.
    """

    codec: Codec
    sensitivity: int
    variance: int

    def noise_norm(self, count: int, cohort: int) -> float:
        """What the noise of a cohort adds to the Euclidean norm of a decoded sum at most, but for chance e^-128."""
        return (math.sqrt(count) + TAIL) * math.sqrt(cohort * self.variance) / self.codec.scale


def honest_minimum(roster: Roster) -> int:
    """The least number of nodes in a cohort that neither look nor leave their noise out.

    Of two partners each takes its own part off the sum and sees the other's, so only the other's own noise counts.
    """
    return roster.minimum - max(roster.colluders, 1)


def lane_sensitivity(row_clip: Fraction, scale: Fraction, count: int) -> int:
    """How far, at most, a replaced row moves the encoded vector, in lanes (Euclidean norm), rounding included.

    2 row_clip scale for the values, sqrt(count) for two roundings of at most 1/2 a coordinate, and the float slack.
    """
    return math.ceil(2 * row_clip * scale) + math.isqrt(count - 1) + 1 + SLACK_LANES


def share_variance(sensitivity: int, noise_multiplier_milli: int, honest: int) -> int:
    """The variance (lanes^2, rounded up) each node adds, so that `honest` of them give the multiplier."""
    return max(VARIANCE_MIN, -(-((noise_multiplier_milli * sensitivity) ** 2) // (MILLI**2 * honest)))


def divergence(variance: int, nodes: int, count: int) -> float:
    """tau sqrt(d) of Kairouz, Liu and Steinke (2021), theorem 1: the sum of shares against one discrete Gaussian."""
    terms = (math.exp(-2 * math.pi**2 * variance * k / (k + 1)) for k in range(1, nodes))
    return 10 * math.fsum(terms) * math.sqrt(count)


def design(
    *, row_clip: float, limit: float, count: int, value_bits: int, noise_multiplier_milli: int, honest: int
) -> NoisePlan:
    """The finest fixed point whose lanes hold values up to `limit` and the noise, and that noise.

    row_clip: Euclidean norm by which one row can move weight * update; limit: largest coordinate of an update. All
    nodes and the opener compute the same (float64 square root and the four operations, then integers). Raises
    NoiseDoesNotFit.
    """
    assert 0 < row_clip < math.inf and 0 < limit < math.inf and count >= 1, "the clips are positive numbers"
    assert noise_multiplier_milli >= 1 and honest >= 1, "there is noise, and someone adds it"
    levels = (1 << (value_bits - 1)) - 1
    strength = noise_multiplier_milli / MILLI / math.sqrt(honest)  # a share's deviation over the sensitivity
    rounding = math.sqrt(count) + 2 + SLACK_LANES
    # largest scale of the sampler: strength (2 row_clip scale + rounding) <= deviation
    widest = (math.sqrt(VARIANCE_MAX) / strength / ROOM - rounding) / (2 * row_clip)
    # room: limit scale + TAIL strength (2 row_clip scale + rounding) <= levels
    free = levels / ROOM - TAIL * max(strength * rounding, math.sqrt(VARIANCE_MIN)) - TAIL - 2
    finest = min(widest, free / (limit + TAIL * strength * 2 * row_clip))
    if finest <= 0:
        raise NoiseDoesNotFit(why=f"{count} parameters, {value_bits} bits")
    codec = Codec(levels / finest, value_bits)
    sensitivity = lane_sensitivity(Fraction(row_clip), Fraction(codec.scale), count)
    variance = share_variance(sensitivity, noise_multiplier_milli, honest)
    if limit > codec.bound or not (2 * row_clip * codec.scale >= 1):
        raise NoiseDoesNotFit(why="one row's part would be less than one lane")
    assert variance <= VARIANCE_MAX, "the sampler takes this variance"
    reach = math.ceil(Fraction(limit) * Fraction(codec.scale)) + 1 + TAIL * (math.isqrt(variance) + 1)
    assert reach <= levels, "values and noise fit their lane"
    assert divergence(variance, PARTNERS_MAX, count) <= DIVERGENCE_MAX, "the sum of shares is as good as one Gaussian"
    return NoisePlan(codec=codec, sensitivity=sensitivity, variance=variance)
