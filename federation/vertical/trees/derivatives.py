"""First and second derivatives of the log-loss as small integers, two to a vector entry.

The first derivative p − y is rounded to `first_max` units of ±1 (Shi et al., Quantized training of gradient boosting
decision trees, NeurIPS 2022: few bits suffice for finding splits, if leaves are given their values by exact ones). The
second, p(1 − p), is cut at its mean over the sampled rows and rounded to 1 … SECOND_MAX units of that mean: a sum of k
units then needs at least k / SECOND_MAX rows, and whoever sees only sums knows that no fewer rows stand behind them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors import PlanInvalid
from federation.features import Floats, Integers
from federation.metrics import sigmoid
from privacy.linear.parameters import R_MAX

SECOND_MAX = 63
FIRST_MAX, FIRST_MIN = 255, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How both derivatives of a row share one integer: first · 2^shift + second, sums of all rows included."""

    shift: int
    first_max: int

    @classmethod
    def of(cls, rows: int) -> "Packing":
        """For sums over at most `rows` rows. Raises PlanInvalid where there are too many rows for one entry."""
        shift = (rows * SECOND_MAX).bit_length()
        first_max = min(FIRST_MAX, (R_MAX - SECOND_MAX) >> shift)
        if first_max < FIRST_MIN:
            raise PlanInvalid(field="trees", why=f"{rows} train rows are too many for sums of packed derivatives")
        return cls(shift=shift, first_max=first_max)

    @property
    def largest(self) -> int:
        """The largest absolute entry."""
        return (self.first_max << self.shift) + SECOND_MAX

    def pack(self, first: Integers, second: Integers) -> Integers:
        return np.asarray((first << self.shift) + second)

    def unpack(self, sums: Integers) -> tuple[Integers, Integers]:
        """(first, second) of sums of entries; exact for any sums of at most the agreed number of rows."""
        return sums >> self.shift, sums & ((1 << self.shift) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivatives:
    """Of one tree. `first`, `second`: what leaves are valued by; `packed`: what splits are found by."""

    first: Floats  # (rows,)
    second: Floats  # (rows,)
    packed: Integers  # (rows,); 0 for a row that is not sampled
    unit: float  # of the second derivative


def derive(margin: Floats, label: NDArray[np.bool_], sampled: NDArray[np.bool_], packing: Packing) -> Derivatives:
    """margin: (rows,) log-odds so far; sampled: the rows that this tree is grown on, at least one."""
    chance = sigmoid(margin)
    first, second = chance - label, chance * (1.0 - chance)
    unit = max(float(second[sampled].mean()), 1e-6) / SECOND_MAX
    small = np.rint(first * packing.first_max).astype(np.int64)
    weight = np.clip(np.rint(second / unit), 1, SECOND_MAX).astype(np.int64)
    return Derivatives(first=first, second=second, packed=np.where(sampled, packing.pack(small, weight), 0), unit=unit)
