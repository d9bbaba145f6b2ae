"""Which columns say too little about too few: rows that a column sets apart, alone or beside another.

A moment of a column that sets few rows apart from its most frequent value is a statement on those few clients; so is
the difference of the moments of two columns that are nearly the same. What is set apart in some of the rows is set
apart in all of them: a rule that holds in every part of the rows holds in any union of parts.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = Mapping[str, Integers]  # row numbers of each part, by its name
FIRST_ROWS = 4  # times the rows needed: how many are looked at before all of them


def places(parts: Mapping[str, Mask]) -> Places:
    return {name: np.flatnonzero(mask) for name, mask in parts.items()}


def rare(values: NDArray[Any], where: Places, rare_rows: int) -> str:
    """Why a column may not be used by itself; empty where it may. values: (rows,)."""
    found = _fewest(partial(_of_rows, values), where, rare_rows)
    if found is None:
        return ""
    apart, part = found
    if apart == 0:
        return f"constant on the {part} rows"
    return f"sets only {apart} {part} rows apart, {rare_rows} are needed"


def near_copy(own: Floats, others: Mapping[str, Floats], where: Places, rare_rows: int) -> str:
    """Why a column may not stand beside those that are kept: their difference or sum sets too few rows apart.

    Sums: a 0/1 column and its complement sum to a constant.
    """
    for name, theirs in others.items():
        for sign, word in ((-1, "differs from"), (1, "complements")):
            if found := _fewest(partial(_combined, own, theirs, sign), where, rare_rows):
                return f"{word} {name} in only {found[0]} {found[1]} rows, {rare_rows} are needed"
    return ""


def near_bins(
    own: Integers, plain: Mapping[str, Floats], binned: Mapping[str, Integers], where: Places, rare_rows: int
) -> str:
    """Why bins may not stand beside columns and bins that are kept.

    A column that is a function of the bin but for few rows is nearly a sum of bins; so is a range of other bins that
    few rows part from some of these. own and the values of `binned`: (rows,) numbers of bins.
    """
    for part, rows in where.items():
        for name, values in plain.items():
            first = rows[: FIRST_ROWS * rare_rows]
            if _outside_modes(own[first], values[first]) >= rare_rows:
                continue
            if 0 < (apart := _outside_modes(own[rows], values[rows])) < rare_rows:
                return f"its bins give {name} but for {apart} {part} rows, {rare_rows} are needed"
        for name, bins in binned.items():
            if 0 < (apart := _between_ranges(own[rows], bins[rows], rare_rows)) < rare_rows:
                return f"its bins differ from those of {name} in only {apart} {part} rows, {rare_rows} are needed"
    return ""


def _fewest(values: Callable[[Integers], NDArray[Any]], where: Places, rare_rows: int) -> tuple[int, str] | None:
    """(rows set apart, part) of the first part where they are fewer than `rare_rows`; None where that is nowhere.

    values: of the given rows. Most columns set enough apart in the first rows of a part.
    """
    for part, rows in where.items():
        if _off_mode(values(rows[: FIRST_ROWS * rare_rows])) >= rare_rows:
            continue
        if (apart := _off_mode(values(rows))) < rare_rows:
            return apart, part
    return None


def _of_rows(values: NDArray[Any], rows: Integers) -> NDArray[Any]:
    return values[rows]


def _combined(own: Floats, theirs: Floats, sign: int, rows: Integers) -> Floats:
    return np.asarray(own[rows] + sign * theirs[rows])


def _off_mode(values: NDArray[Any]) -> int:
    """How many rows differ from the most frequent value, exact where that is less than half of them.

    A value that more than half of the rows share is also their median, so selecting beats sorting; otherwise at least
    half of the rows differ from any value, which no rarity limit forbids (the plan keeps it to half of a part at most).
    """
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return int((values != middle).sum())


def _outside_modes(bins: Integers, values: Floats) -> int:
    """Rows whose value is not the most frequent one of their bin: those that no function of the bin gives."""
    order = np.lexsort((values, bins))
    bins, values = bins[order], values[order]
    changes = (bins[1:] != bins[:-1]) | (values[1:] != values[:-1])
    starts = np.append(0, 1 + np.flatnonzero(changes))
    most = np.zeros(int(bins[-1]) + 1, np.int64)
    np.maximum.at(most, bins[starts], np.diff(np.append(starts, len(bins))))
    return len(bins) - int(most.sum())


def _between_ranges(one: Integers, other: Integers, rare_rows: int) -> int:
    """The least rows, above 0, in which neighbouring bins of one column differ from any bins of the other."""
    shape = (int(one.max()) + 1, int(other.max()) + 1)
    table = np.bincount(one * shape[1] + other, minlength=shape[0] * shape[1]).reshape(shape)
    return min(_nearest(table, rare_rows), _nearest(table.T, rare_rows))


def _nearest(table: Integers, rare_rows: int) -> int:
    """The same for ranges of the table's lines: the columns that are mostly in one are the nearest to it."""
    below = np.vstack([np.zeros(table.shape[1], np.int64), table.cumsum(axis=0)])
    first, last = np.triu_indices(len(below), 1)
    inside = below[last] - below[first]
    apart = np.minimum(inside, below[-1] - inside).sum(axis=1)
    return int(apart[apart > 0].min(initial=rare_rows))
