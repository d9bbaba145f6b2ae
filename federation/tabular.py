"""A partner's own rows as the matrix a horizontal model sees, and what all partners together know about its columns.

Every partner turns its columns into the same inputs by the plan: numbers as they are or as signed log, a category as
one 0/1 input a level, which is not scaled. Means and variances of numbers come from sums over all partners' train rows.
The sums are exact: a number is read in steps of 2^-20, its sum and its sum of squares are whole numbers of up to 72 and
120 bits, and each travels as limbs of 24 bits in lanes of their own, so that no bound on a column need be known and no
variance is lost to rounding.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation.errors import ColumnMissing, ColumnNotNumeric, ColumnNotText, LabelUnknown, RowsDiffer, ValueTooLarge
from federation.plan_parts import NUMBER, Column, Split
from privacy.aggregation import Lanes

Floats: TypeAlias = NDArray[np.float64]
Classes: TypeAlias = NDArray[np.int64]

TRAIN, VALIDATION, TEST = 0, 1, 2
STEP_BITS = 20  # a number is read in steps of 2^-20
NUMBER_BITS = 28  # and is below 2^28, after its transform
DEVIATION_MIN = (
    2.0**-STEP_BITS
)  # less spread than a step is none; dividing by it would make a step of the model's slope
LIMB_BITS = 24  # 64 partners' limbs stay below 2^30
SUM_LIMBS, SQUARE_LIMBS = 3, 5
SUM_OFFSET = 1 << (SUM_LIMBS * LIMB_BITS - 1)  # makes a sum positive; 2^48 times 10^7 rows is below it
LANES = 1 + SUM_LIMBS + SQUARE_LIMBS  # of one number column: values present, sum, sum of squares
MILLI = 1_000
_HALF = 24  # a number's lower bits, squared apart so that blocks of rows stay within 64 bits
_BLOCK_ROWS = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A partner's table. keys: one a row, secret at the partner; numbers float64 (NaN = missing), categories text."""

    keys: tuple[bytes, ...]
    columns: Mapping[str, NDArray[Any]]
    label: NDArray[Any]  # (rows,) text


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the model sees before scaling. missing, unknown: how many values, by column that has any."""

    values: Floats  # (rows, inputs); NaN where a number is missing
    missing: dict[str, int]
    unknown: dict[str, int]  # category values that the plan does not list


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Mean and standard deviation of every input over all partners' train rows; 0 and 1 for levels."""

    means: Floats
    deviations: Floats  # above 0

    @property
    def plausible(self) -> bool:
        """Whether `read_statistics` could say this of numbers within their bounds; what is not a number is not."""
        steps = bool((self.deviations >= DEVIATION_MIN).all())
        return steps and all(bool((np.abs(one) <= 1 << NUMBER_BITS).all()) for one in (self.means, self.deviations))

    def apply(self, values: Floats) -> Floats:
        """Standardised values; what is missing becomes the mean, 0."""
        scaled: Floats = np.nan_to_num((values - self.means) / self.deviations, nan=0.0)
        return scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What all partners know together before the first round. rows: train rows of each class."""

    rows: tuple[int, ...]
    scaling: Scaling


def unscaled(columns: Sequence[Column]) -> Scaling:
    """The scaling that leaves values as they are."""
    inputs = len(number_inputs(columns))
    return Scaling(means=np.zeros(inputs), deviations=np.ones(inputs))


def read_inputs(columns: Sequence[Column], table: Rows) -> Inputs:
    """The plan's columns of a table.

    Raises ColumnMissing, ColumnNotNumeric, ColumnNotText, RowsDiffer, ValueTooLarge.
    """
    parts: list[Floats] = []
    missing: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for column in columns:
        if column.name not in table.columns:
            raise ColumnMissing(column=column.name)
        values = np.asarray(table.columns[column.name])
        if values.shape != (len(table.keys),):
            raise RowsDiffer(what=f"column {column.name}", found=values.size, expected=len(table.keys))
        part, lacking = _numbers(column, values) if column.kind == NUMBER else _levels(column, values)
        parts.append(part)
        if lacking:
            (missing if column.kind == NUMBER else unknown)[column.name] = lacking
    return Inputs(values=np.column_stack(parts), missing=missing, unknown=unknown)


def read_label(column: str, classes: Sequence[str], table: Rows) -> Classes:
    """(rows,) index of each row's class. Raises LabelUnknown where a label is none of the plan's classes."""
    label = np.asarray(table.label)
    if label.shape != (len(table.keys),):
        raise RowsDiffer(what=f"label {column}", found=label.size, expected=len(table.keys))
    if label.dtype.kind != "U":
        raise ColumnNotText(column=column, dtype=label.dtype.name)
    found = np.full(len(label), -1, np.int64)
    for index, name in enumerate(classes):
        found[label == name] = index
    if strange := int((found < 0).sum()):
        raise LabelUnknown(column=column, count=strange)
    return found


def parts(keys: Sequence[bytes], split: Split) -> NDArray[np.int8]:
    """(rows,) TRAIN, VALIDATION or TEST: HMAC-SHA256(salt, key), its first 8 bytes as a fraction of 2^64.

    Below test_ppm it is TEST, below test_ppm + validation_ppm VALIDATION: nobody chooses rows after seeing them, and a
    client that two partners share is on the same side at both where their keys are the client's.
    """
    heads = (hmac.digest(split.salt, key, "sha256")[:8] for key in keys)
    place = np.fromiter((int.from_bytes(head, "big") for head in heads), dtype=np.uint64, count=len(keys))
    found = np.full(len(keys), TRAIN, np.int8)
    found[place < _edge(split.test_ppm + split.validation_ppm)] = VALIDATION
    found[place < _edge(split.test_ppm)] = TEST
    return found


def statistics(columns: Sequence[Column], class_count: int, values: Floats, classes: Classes) -> Lanes:
    """One partner's lanes: rows of each class, then of each number column the values present, the limbs of their sum
    and those of the sum of their squares.

    values, classes: the train rows', values with NaN where missing.
    """
    lanes = np.bincount(classes, minlength=class_count).tolist()
    numbers = values[:, number_inputs(columns)]
    there = np.isfinite(numbers)
    steps = np.rint(np.where(there, numbers, 0.0) * (1 << STEP_BITS)).astype(np.int64)
    high, low = steps >> _HALF, steps & ((1 << _HALF) - 1)
    parts = zip(_exact(steps), _exact(high * high), _exact(high * low), _exact(low * low), strict=True)
    for count, (whole, upper, mixed, lower) in zip(there.sum(axis=0).tolist(), parts, strict=True):
        square = (upper << 2 * _HALF) + (mixed << (_HALF + 1)) + lower
        lanes += [count, *limbs(whole + SUM_OFFSET, SUM_LIMBS), *limbs(square, SQUARE_LIMBS)]
    return np.array(lanes, np.int64)


def statistics_lanes(columns: Sequence[Column], class_count: int) -> int:
    """How many lanes `statistics` makes."""
    return class_count + LANES * int(number_inputs(columns).sum())


def read_statistics(columns: Sequence[Column], class_count: int, total: Lanes, cohort: int) -> Statistics:
    """What the opened sum of `cohort` partners' lanes says. The variance is exact up to its last rounding.

    A number without values or without a step's spread gets deviation 1.
    """
    found = unscaled(columns)
    for index, row in zip(np.flatnonzero(number_inputs(columns)), total[class_count:].reshape(-1, LANES), strict=True):
        count, *rest = row.tolist()
        sum_ = whole(rest[:SUM_LIMBS]) - cohort * SUM_OFFSET
        spread = count * whole(rest[SUM_LIMBS:]) - sum_ * sum_  # count² times the variance, in steps²
        if spread >= count * count > 0:
            found.deviations[index] = sqrt(spread) / count / (1 << STEP_BITS)
        if count:
            found.means[index] = sum_ / count / (1 << STEP_BITS)
    return Statistics(rows=tuple(total[:class_count].tolist()), scaling=found)


def number_inputs(columns: Sequence[Column]) -> NDArray[np.bool_]:
    """(inputs,): which inputs are numbers rather than levels of a category."""
    return np.array([column.kind == NUMBER for column in columns for _ in range(column.inputs)])


def limbs(value: int, count: int) -> list[int]:
    """A whole number from 0 in limbs of 24 bits, lowest first; limbs of several partners may be added one by one."""
    assert 0 <= value < 1 << (count * LIMB_BITS), "the limits on rows and numbers keep a sum within its limbs"
    return [(value >> (LIMB_BITS * i)) & ((1 << LIMB_BITS) - 1) for i in range(count)]


def whole(values: Sequence[int]) -> int:
    """The number that limbs, added or not, stand for."""
    return sum(limb << (LIMB_BITS * i) for i, limb in enumerate(values))


def _numbers(column: Column, values: NDArray[Any]) -> tuple[Floats, int]:
    if values.dtype.kind not in "biuf":
        raise ColumnNotNumeric(column=column.name, dtype=values.dtype.name)
    numbers = values.astype(np.float64)
    if column.transform == "signed_log":
        numbers = np.sign(numbers) * np.log1p(np.abs(numbers))
    numbers = (numbers - column.centre_milli / MILLI) / (column.spread_milli / MILLI)
    if np.nanmax(np.abs(numbers), initial=0.0) >= 1 << NUMBER_BITS:
        raise ValueTooLarge(column=column.name)
    return numbers[:, None], int(np.isnan(numbers).sum())


def _levels(column: Column, values: NDArray[Any]) -> tuple[Floats, int]:
    if values.dtype.kind != "U":
        raise ColumnNotText(column=column.name, dtype=values.dtype.name)
    inputs = (values[:, None] == np.array(column.levels)[None, :]).astype(np.float64)
    return inputs, int((inputs.sum(axis=1) == 0).sum())


def _edge(ppm: int) -> np.uint64:
    return np.uint64((ppm << 64) // 1_000_000)


def _exact(values: NDArray[np.int64]) -> list[int]:
    """Column sums as whole numbers of any size; blocks of 2^13 rows of 48 bits stay within 64."""
    blocks = [values[at : at + _BLOCK_ROWS].sum(axis=0).tolist() for at in range(0, len(values), _BLOCK_ROWS)]
    return [sum(column) for column in zip(*blocks, strict=True)]
