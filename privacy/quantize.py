"""Fixed point: real values as the plain integers that aggregation engines add, and their sums back again.

A value is clipped to [-bound, bound], multiplied by a weight of [0, 1], scaled so that the bound is 2^(bits - 1) - 1
lanes, rounded half to even and shifted by 2^(bits - 1) (offset binary), so a lane is a positive integer below 2^bits.
The weight goes in before rounding: the sum over a cohort is then a plain sum, and an engine's lanes hold the sum of
its whole roster (its `value_bits` leave ceil(log2 n) guard bits). The only error is the rounding, at most half a lane
a summand: `Codec.error_bound`.
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.aggregation import Lanes
from privacy.errors import Failure, Kind

Floats: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]

VALUE_BITS = range(2, 41)  # with more, float64 products of a value and the scale would round visibly
BLOCK = 1 << 15  # values worked on at a time: they stay in the cache
SLACK = 2.0**-50  # relative error of the float64 steps around the rounding, all of them together
SHRINK = 1.0 - SLACK  # a clipped vector stays within its limit after rounding


class ValueNotFinite(Failure):
    code = "VALUE_NOT_FINITE"
    kind = Kind.INVALID
    en = "a value to be protected is not a finite number; look at the training's rate and at the columns' ranges"
    zh = "待保护的数值不是有限数；请检查训练步长与各列的取值范围"


class WeightOutOfRange(Failure):
    code = "WEIGHT_OUT_OF_RANGE"
    kind = Kind.INVALID
    en = "a weight lies from 0 to 1; raise the plan's examples_max to at least the largest number of rows of a partner"
    zh = "权重须在 0 到 1 之间；请把计划中的 examples_max 提高到不小于任一机构的最大行数"


class TotalOutOfRange(Failure):
    """No cohort of this size can have this sum of encoded values."""

    code = "TOTAL_OUT_OF_RANGE"
    kind = Kind.INTEGRITY
    en = "an opened sum lies outside what {cohort} partners can have sent; nothing of it is used"
    zh = "解密出的聚合值超出 {cohort} 家机构可能的范围；该结果不予使用"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """lanes: int64 (count,), each in [1, 2^bits); clipped: how many values lay beyond the bound."""

    lanes: Lanes
    clipped: int


@dataclass(frozen=True, slots=True)
class Codec:
    """The fixed point of one vector. bound: largest absolute value kept; value_bits: width of a lane (an engine's)."""

    bound: float
    value_bits: int

    def __post_init__(self) -> None:
        assert self.value_bits in VALUE_BITS, "the lane width is in range"
        assert math.isfinite(self.bound) and self.bound > 0, "the bound is a positive number"
        assert 0 < self.scale < math.inf, "the scale is a float64"

    @property
    def levels(self) -> int:
        """The lanes of the bound itself."""
        return (1 << (self.value_bits - 1)) - 1

    @property
    def offset(self) -> int:
        """The lane of zero."""
        return 1 << (self.value_bits - 1)

    @property
    def scale(self) -> float:
        """Lanes per unit."""
        return self.levels / self.bound

    def encode(self, values: Floats, weight: float = 1.0) -> Encoded:
        """Lanes of weight * values, float (count,), in float64 whatever the input's width.

        Raises ValueNotFinite, WeightOutOfRange.
        """
        assert values.ndim == 1 and values.dtype.kind == "f", "a vector of floats"
        if not 0.0 <= weight <= 1.0:
            raise WeightOutOfRange
        factor = weight * self.levels / self.bound
        lanes = np.empty(len(values), np.int64)
        work = np.empty(min(BLOCK, len(values)))
        clipped = 0
        for start in range(0, len(values), BLOCK):
            block = work[: len(values) - start]
            np.copyto(block, values[start : start + BLOCK], casting="unsafe")
            peak = max(float(block.max()), -float(block.min()))  # a NaN anywhere makes both NaN
            if not math.isfinite(peak):
                raise ValueNotFinite
            if peak > self.bound:
                clipped += int(np.count_nonzero(np.abs(block) > self.bound))
                np.clip(block, -self.bound, self.bound, out=block)
            block *= factor
            np.rint(block, out=block)
            block += self.offset
            np.copyto(lanes[start : start + BLOCK], block, casting="unsafe")
        return Encoded(lanes=lanes, clipped=clipped)

    def decode(self, total: Lanes, cohort: int) -> Doubles:
        """float64 (count,): the values that a sum of `cohort` encoded vectors stands for. Raises TotalOutOfRange.

        The integer sum is exact in float64; the one division rounds to 2^-52 of the value.
        """
        assert total.ndim == 1 and total.dtype == np.int64 and cohort >= 1, "the int64 sum of a cohort"
        centred = total - cohort * self.offset
        if len(centred) and max(int(centred.max()), -int(centred.min())) > cohort * self.levels:
            raise TotalOutOfRange(cohort=cohort)
        return centred / self.scale

    def error_bound(self, cohort: int) -> float:
        """Largest distance of a decoded sum from the sum of the (clipped) weighted values, a coordinate."""
        return cohort * (0.5 + self.levels * SLACK) / self.scale


def clip_norm(values: Floats, limit: float) -> tuple[Doubles, float]:
    """The vector shortened to Euclidean norm `limit` where it is longer, in float64, and the norm it had.

    Sums in blocks of fixed size, added exactly: one vector has one result. The scale is a power of two, so that
    squares neither overflow nor vanish. Raises ValueNotFinite (also for a norm beyond float64).
    """
    assert values.ndim == 1 and values.dtype.kind == "f", "a vector of floats"
    assert math.isfinite(limit) and limit > 0, "the limit is a positive number"
    wide = values.astype(np.float64)
    peak = max(float(wide.max()), -float(wide.min())) if len(wide) else 0.0
    if not math.isfinite(peak):
        raise ValueNotFinite
    exponent = max(math.frexp(peak)[1], -1000)
    blocks = (np.ldexp(wide[start : start + BLOCK], -exponent) for start in range(0, len(wide), BLOCK))
    root = math.sqrt(math.fsum(float(np.sum(block * block)) for block in blocks))
    if root > 1 and math.frexp(root)[1] + exponent > 1023:
        raise ValueNotFinite
    norm = math.ldexp(root, exponent)
    if norm > limit:
        wide *= limit / norm * SHRINK
    return wide, norm
