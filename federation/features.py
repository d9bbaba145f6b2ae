"""A party's own columns as a small integer matrix, and which of them may be used at all.

Everything is decided on the party's own train rows: whether a column is wide (then signed log1p), its mean and standard
deviation, and whether it is too rare. Values are standardised, rounded to 8 fraction bits and clipped to ±2047, so that
the encrypted products are exact integers.

Rare columns: a column (or the difference or sum of two) that sets fewer than `rare_rows` rows apart from its most
frequent value would turn a moment into a statement about those few clients, so it is dropped with a reason. That holds
in every part of the rows of which moments are exchanged. It then holds in any union of parts: the rows that a union
sets apart are at least those of its parts together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import (
    ColumnHasGaps,
    ColumnMissing,
    ColumnNotNumeric,
    LabelNotBinary,
    LabelTooRare,
    NoUsableColumns,
    RowsDiffer,
    SurveyWeightsInvalid,
)

FRACTION_BITS = 8
VALUE_MAX = 2047
WIDE_ABOVE = 100.0  # a column with larger absolute values on the train rows is taken as signed log1p

Columns = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Places = Mapping[str, Integers]  # row numbers of each part, by its name
FIRST_ROWS = 4  # times rare_rows: how many rows are looked at before all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A party's rows of the aligned clients, in the common order; from `label` on, the label holder alone has them."""

    tokens: tuple[str, ...]
    columns: Columns
    label: NDArray[Any] | None = None
    survey_weights: NDArray[Any] | None = None
    groups: Columns = field(default_factory=dict)  # attributes that fairness is measured by; never features


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The usable columns of one party."""

    values: Integers  # (rows, columns): standardised values times 256, clipped to ±2047
    names: tuple[str, ...]
    dropped: dict[str, str]  # column: the reason
    wide: tuple[str, ...]  # columns taken as signed log1p
    means: Floats  # (columns,): of the train rows, after the log
    deviations: Floats  # (columns,)
    clipped: int  # values that were cut at ±2047, all rows

    @property
    def scaled(self) -> Floats:
        """(rows, columns): the standardised values the model sees."""
        return self.values / float(1 << FRACTION_BITS)


def prepare(
    columns: Columns, names: Sequence[str], train: Mask, rare_rows: int, parts: Mapping[str, Mask] | None = None
) -> Prepared:
    """The matrix of `names` in that order, less the columns that may not be used.

    train: (rows,) mask; parts: masks of the parts whose moments are exchanged, by name, else the train rows alone.
    Raises ColumnMissing, ColumnNotNumeric, ColumnHasGaps, RowsDiffer, NoUsableColumns.
    """
    raw = {name: _numbers(columns, name, len(train)) for name in names}
    places = _places(parts or {"train": train})
    dropped: dict[str, str] = {}
    kept: list[str] = []
    for name in names:
        reason = _rare(raw[name], places, rare_rows) or _near_copy(name, kept, raw, places, rare_rows)
        if reason:
            dropped[name] = reason
        else:
            kept.append(name)
    coded = [(name, *_standardised(raw[name], train)) for name in kept]
    usable = []
    for name, wide, mean, deviation, rounded in coded:
        # rounding may merge values, and merged values may leave too few rows apart
        if reason := _rare(np.clip(rounded, -VALUE_MAX, VALUE_MAX), places, rare_rows):
            dropped[name] = reason
        else:
            usable.append((name, wide, mean, deviation, rounded))
    if not usable:
        raise NoUsableColumns(count=len(names), rare_rows=rare_rows)
    matrix = np.column_stack([part[4] for part in usable])
    return Prepared(
        values=np.clip(matrix, -VALUE_MAX, VALUE_MAX).astype(np.int64),
        names=tuple(part[0] for part in usable),
        dropped=dropped,
        wide=tuple(part[0] for part in usable if part[1]),
        means=np.array([part[2] for part in usable]),
        deviations=np.array([part[3] for part in usable]),
        clipped=int((np.abs(matrix) > VALUE_MAX).sum()),
    )


def prepare_label(
    values: NDArray[Any],
    column: str,
    train: Mask,
    rare_rows: int,
    rare_test_rows: int,
    parts: Mapping[str, Mask] | None = None,
) -> NDArray[np.bool_]:
    """The 0/1 label as booleans.

    Both classes need `rare_rows` rows in every part, or a holder's exact moment would single out the rarer clients, and
    `rare_test_rows` test rows, or the published measures would. Raises LabelNotBinary, LabelTooRare and the failures of
    `prepare` for its column.
    """
    numbers = _numbers({column: values}, column, len(train))
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise LabelNotBinary(column=column)
    label: NDArray[np.bool_] = numbers == 1.0
    needed = [(part, mask, rare_rows) for part, mask in (parts or {"train": train}).items()]
    for what, mask, minimum in (*needed, ("test", ~train, rare_test_rows)):
        rarer = min(int(label[mask].sum()), int((~label[mask]).sum()))
        if rarer < minimum:
            raise LabelTooRare(count=rarer, what=what, minimum=minimum)
    return label


def prepare_survey_weights(values: NDArray[Any], column: str, test: NDArray[np.bool_]) -> Floats:
    """(test rows,): how many clients of the population each test row stands for, scaled to a mean of 1.

    Raises SurveyWeightsInvalid where one is negative or all test rows weigh nothing, and the failures of `prepare` for
    its column: gaps, text, another number of rows.
    """
    numbers = _numbers({column: values}, column, len(test))
    if (negative := int((numbers < 0).sum())) > 0:
        raise SurveyWeightsInvalid(column=column, why=f"{negative} are negative")
    most = float(numbers[test].max(initial=0.0))
    if most == 0.0:
        raise SurveyWeightsInvalid(column=column, why="all test rows have weight 0")
    scaled = numbers[test] / most  # first: a sum of very large weights would overflow
    return np.asarray(scaled / scaled.mean())


def binary_levels(values: Integers) -> dict[int, tuple[int, int, int]]:
    """Which quantised columns take two values: index → (low, high, rows with high).

    values: (rows, columns), train rows only.
    """
    levels = {}
    for index, column in enumerate(values.T):
        low, high = int(column.min()), int(column.max())
        count = int((column == high).sum())
        if low < high and count + int((column == low).sum()) == len(column):
            levels[index] = (low, high, count)
    return levels


def _numbers(columns: Columns, name: str, rows: int) -> Floats:
    if name not in columns:
        raise ColumnMissing(column=name)
    values = np.asarray(columns[name])
    if values.dtype.kind not in "biuf":
        raise ColumnNotNumeric(column=name, dtype=values.dtype.name)
    if values.shape != (rows,):
        raise RowsDiffer(what=f"column {name}", found=len(values) if values.ndim else 0, expected=rows)
    numbers = values.astype(np.float64)
    if gaps := int((~np.isfinite(numbers)).sum()):
        raise ColumnHasGaps(column=name, count=gaps)
    return numbers


def _off_mode(values: NDArray[Any]) -> int:
    """How many rows differ from the most frequent value, exact where that is less than half of them.

    A value that more than half of the rows share is also their median, so selecting beats sorting; otherwise at least
    half of the rows differ from any value, which no rarity limit forbids (the plan keeps it below half of the rows).
    """
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return int((values != middle).sum())


def _places(parts: Mapping[str, Mask]) -> Places:
    return {name: np.flatnonzero(mask) for name, mask in parts.items()}


def _apart(values: Callable[[Integers], NDArray[Any]], places: Places, rare_rows: int) -> tuple[int, str] | None:
    """(rows set apart, part) of the first part where they are fewer than `rare_rows`; None where that is nowhere.

    values: of the given rows. What a few rows of a part set apart is set apart in all of it: most columns pass by them.
    """
    for part, rows in places.items():
        if _off_mode(values(rows[: FIRST_ROWS * rare_rows])) >= rare_rows:
            continue
        if (apart := _off_mode(values(rows))) < rare_rows:
            return apart, part
    return None


def _rare(values: NDArray[Any], places: Places, rare_rows: int) -> str:
    found = _apart(values.take, places, rare_rows)
    if found is None:
        return ""
    apart, part = found
    if apart == 0:
        return f"constant on the {part} rows"
    return f"sets only {apart} {part} rows apart, {rare_rows} are needed"


def _near_copy(name: str, kept: Sequence[str], raw: Columns, places: Places, rare_rows: int) -> str:
    """Why a column may not stand beside one that is kept: two nearly equal moments differ by a few clients' labels.

    Differences and sums: a 0/1 column and its complement sum to a constant.
    """
    own = raw[name]
    for other in kept:
        for sign, word in ((-1, "differs from"), (1, "complements")):
            if found := _apart(partial(_combined, own, raw[other], sign), places, rare_rows):
                return f"{word} {other} in only {found[0]} {found[1]} rows, {rare_rows} are needed"
    return ""


def _combined(own: Floats, theirs: Floats, sign: int, rows: Integers) -> Floats:
    return np.asarray(own[rows] + sign * theirs[rows])


def _standardised(values: Floats, train: NDArray[np.bool_]) -> tuple[bool, float, float, Floats]:
    """(wide, mean, deviation, rounded values times 256, not yet clipped)."""
    wide = bool(np.abs(values[train]).max() > WIDE_ABOVE)
    if wide:
        values = np.sign(values) * np.log1p(np.abs(values))
    mean, deviation = float(values[train].mean()), float(values[train].std())
    rounded = np.rint((values - mean) / deviation * (1 << FRACTION_BITS))
    return wide, mean, deviation, rounded
