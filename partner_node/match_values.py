"""Mode sum: the values of this side's column, one for each id entered, as whole numbers.

What can't be added up is refused: a value that is missing or is no whole number would make the sum wrong,
and nobody could see it there.
"""

from typing import Any

import numpy as np

from partner_node.match_errors import ValuesNotWhole
from privacy.psi.job import Values


def whole(column: np.ndarray[Any, np.dtype[Any]], values: Values) -> tuple[int, ...]:
    """A column's float64 as what a job adds up, in the same order. Raises ValuesNotWhole."""
    fits = np.isfinite(column) & (np.floor(column) == column) & (column >= 0) & (column < 2**values.bits)
    if not fits.all():
        raise ValuesNotWhole(column=values.column, bits=values.bits)
    return tuple(column.astype(np.int64).tolist())
