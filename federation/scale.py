"""How a column's values become model values: whole numbers of 1 / UNITS, so that encrypted products are exact.

A column of wide values, such as amounts, is taken as the logarithm of 1 + |x| / unit, with the sign of x: a straight
line below the unit, a logarithm far above it. Coding 1 has the unit 1. Of amounts in thousands nearly the whole spread
is then the step from nothing to anything, and what a client has hardly moves the score. Coding 2 has the power of two
below the median amount of those train clients who have any.
"""

from dataclasses import dataclass
from math import frexp, ldexp

import numpy as np

from federation.rarity import Floats

FRACTION_BITS = 8
UNITS = 1 << FRACTION_BITS  # model values are multiples of 1 / UNITS
VALUE_MAX = 2047
WIDE_ABOVE = 100.0  # a column with larger absolute values on the train rows is wide
BY_ONE, BY_MEDIAN = 1, 2  # the codings: what the unit of a wide column is
CODINGS = (BY_ONE, BY_MEDIAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Signed log1p in a unit where the column is wide, then standardised, quantised and clipped."""

    unit: float | None  # None: the values as they are
    mean: float  # of the train rows, after the logarithm
    deviation: float

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 1

    def units(self, values: Floats) -> Floats:
        """(rows,) model values in 1 / UNITS."""
        rounded = np.rint((_taken(values, self.unit) - self.mean) / self.deviation * UNITS)
        return np.clip(rounded, -VALUE_MAX, VALUE_MAX)

    def value(self, units: float) -> float:
        """The middle of the values whose model value this is."""
        taken = units / UNITS * self.deviation + self.mean
        return taken if self.unit is None else float(np.sign(taken) * np.expm1(abs(taken)) * self.unit)

    def spread(self, value: float) -> float:
        """A standard deviation in the column's own units about this value."""
        return self.deviation * (1.0 if self.unit is None else self.unit + abs(value))


def of_train(values: Floats, coding: int) -> Scale:
    """The scale of a column that is not constant, by its values on the train rows. coding: one of CODINGS."""
    assert coding in CODINGS, "the plan's coding was checked"
    wide = bool(np.abs(values).max() > WIDE_ABOVE)
    unit = (_median_unit(values) if coding == BY_MEDIAN else 1.0) if wide else None
    taken = _taken(values, unit)
    return Scale(unit=unit, mean=float(taken.mean()), deviation=float(taken.std()))


def _median_unit(values: Floats) -> float:
    """The largest power of two that the median of all |x| > 0 reaches, at least 1.

    A power of two, so that other rows of the same clients nearly always give the same unit: a column under two units is
    two columns to whoever solves moments for its values.
    """
    sizes = np.sort(np.abs(values[values != 0]))
    return max(1.0, ldexp(1.0, frexp(float(sizes[(len(sizes) - 1) // 2]))[1] - 1))


def _taken(values: Floats, unit: float | None) -> Floats:
    return values if unit is None else np.sign(values) * np.log1p(np.abs(values) / unit)
