"""How a column's values become model values: whole numbers of 1 / UNITS, so that encrypted products are exact."""

from dataclasses import dataclass

import numpy as np

from federation.rarity import Floats

FRACTION_BITS = 8
UNITS = 1 << FRACTION_BITS  # model values are multiples of 1 / UNITS
VALUE_MAX = 2047
WIDE_ABOVE = 100.0  # a column with larger absolute values on the train rows is taken as signed log1p


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Signed log1p where wide, then standardised, quantised and clipped."""

    wide: bool
    mean: float  # of the train rows, after the log
    deviation: float

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 1

    def units(self, values: Floats) -> Floats:
        """(rows,) model values in 1 / UNITS."""
        rounded = np.rint((_taken(values, self.wide) - self.mean) / self.deviation * UNITS)
        return np.clip(rounded, -VALUE_MAX, VALUE_MAX)

    def value(self, units: float) -> float:
        """The middle of the values whose model value this is."""
        taken = units / UNITS * self.deviation + self.mean
        return float(np.sign(taken) * np.expm1(abs(taken))) if self.wide else taken


def of_train(values: Floats) -> Scale:
    """The scale of a column that is not constant, by its values on the train rows."""
    wide = bool(np.abs(values).max() > WIDE_ABOVE)
    taken = _taken(values, wide)
    return Scale(wide=wide, mean=float(taken.mean()), deviation=float(taken.std()))


def _taken(values: Floats, wide: bool) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values)) if wide else values
