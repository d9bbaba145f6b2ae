"""A party's own columns as a small integer matrix, and which of them may be used at all.

Everything is decided on the party's own train rows: how a column becomes one standardised column (federation.scale) or
0/1 columns of bins (federation.bins), and whether it is too rare (federation.rarity). A column that is too rare in one
of the parts of the rows of which moments are exchanged is dropped with a reason.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation import rarity
from federation.bins import Bins, form
from federation.errors import (
    ColumnHasGaps,
    ColumnInfinite,
    ColumnMissing,
    ColumnNotNumeric,
    LabelClassAbsent,
    LabelNotBinary,
    LabelTooRare,
    NoUsableColumns,
    RowsDiffer,
    SurveyWeightsInvalid,
)
from federation.rarity import Floats, Integers, Mask, Places
from federation.scale import BY_ONE, FRACTION_BITS, UNITS, VALUE_MAX, Scale, of_train

__all__ = ["FRACTION_BITS", "UNITS", "VALUE_MAX", "Floats", "Integers", "Mask"]

Columns: TypeAlias = Mapping[str, NDArray[Any]]
Coding: TypeAlias = Scale | Bins  # how one column becomes columns of the matrix


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

    values: Integers  # (rows, m): model values times 256, within ±2047
    codings: Mapping[str, Coding]  # by column, in the plan's order
    dropped: dict[str, str]  # column: the reason

    @property
    def names(self) -> tuple[str, ...]:
        """(m,): the column that each column of the matrix comes from."""
        return names_of(self.codings)

    @property
    def scaled(self) -> Floats:
        """(rows, m): the values the model sees."""
        return self.values / float(UNITS)


def names_of(codings: Mapping[str, Coding]) -> tuple[str, ...]:
    return tuple(name for name, coding in codings.items() for _ in range(coding.width))


def matrix(codings: Mapping[str, Coding], columns: Columns, rows: int) -> Integers:
    """(rows, m) model values in 1 / UNITS of any rows, also of such that training did not see.

    Raises ColumnMissing, ColumnNotNumeric, RowsDiffer, ColumnHasGaps, ColumnInfinite.
    """
    made = np.empty((rows, sum(coding.width for coding in codings.values())), np.int64)
    start = 0
    for name, coding in codings.items():
        values = numbers(columns, name, rows, gaps=isinstance(coding, Bins))
        made[:, start : start + coding.width] = coding.units(values).reshape(rows, coding.width)
        start += coding.width
    return made


def prepare(
    columns: Columns,
    names: Sequence[str],
    train: Mask,
    rare_rows: int,
    parts: Mapping[str, Mask] | None = None,
    *,
    binned: Collection[str] = (),
    bins: int = 0,
    coding: int = BY_ONE,
) -> Prepared:
    """The matrix of `names` in that order, less the columns that may not be used.

    train: (rows,) mask; parts: masks of the parts whose moments are exchanged, by name, else the train rows alone;
    binned: columns that enter as at most `bins` bins, in which values may be missing; coding: of the wide ones of the
    others (federation.scale). Raises ColumnMissing, ColumnNotNumeric, ColumnHasGaps, ColumnInfinite, RowsDiffer,
    NoUsableColumns.
    """
    raw = {name: numbers(columns, name, len(train), gaps=name in binned) for name in names}
    where = rarity.places(parts or {"train": train})
    made: dict[str, Coding | str] = {}
    plain: dict[str, Floats] = {}
    for name in [name for name in names if name not in binned]:
        made[name] = _scale(raw[name], plain, train, where, rare_rows, coding)
        if isinstance(made[name], Scale):
            plain[name] = raw[name]
    kept: dict[str, Integers] = {}
    for name in [name for name in names if name in binned]:
        found = form(raw[name], train, where, bins, rare_rows)
        if isinstance(found, Bins):
            own = found.bins(raw[name])
            found = rarity.near_bins(own, plain, kept, where, rare_rows) or found
            kept |= {name: own} if isinstance(found, Bins) else {}
        made[name] = found
    codings = {name: how for name in names if not isinstance(how := made[name], str)}
    if not codings:
        raise NoUsableColumns(count=len(names), rare_rows=rare_rows)
    dropped = {name: reason for name in names if isinstance(reason := made[name], str)}
    return Prepared(values=matrix(codings, raw, len(train)), codings=codings, dropped=dropped)


def _scale(
    own: Floats, kept: Mapping[str, Floats], train: Mask, where: Places, rare_rows: int, coding: int
) -> Scale | str:
    """A plain column's scale, or why it may not be used beside those that are kept."""
    if reason := rarity.rare(own, where, rare_rows) or rarity.near_copy(own, kept, where, rare_rows):
        return reason
    scale = of_train(own[train], coding)
    # rounding may merge values, and merged values may leave too few rows apart
    return rarity.rare(scale.units(own), where, rare_rows) or scale


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
    found = numbers({column: values}, column, len(train))
    if not np.isin(found, (0.0, 1.0)).all():
        raise LabelNotBinary(column=column)
    label: NDArray[np.bool_] = found == 1.0
    needed = [(part, mask, rare_rows) for part, mask in (parts or {"train": train}).items()]
    for what, mask, minimum in (*needed, ("test", ~train, rare_test_rows)):
        rarer = min(int(label[mask].sum()), int((~label[mask]).sum()))
        if rarer < minimum:
            raise LabelTooRare(count=rarer, what=what, minimum=minimum)
    return label


def one_against_the_rest(
    values: Sequence[str], column: str, positive: str, parts: Mapping[str, Mask], rare_rows: int
) -> Floats:
    """(rows,): 1.0 where a label's text is `positive`, 0.0 where it is another, NaN where it is empty.

    Every class needs `rare_rows` rows in every part, not only the one asked for: runs of all classes but a rare one
    tell a holder the rare one's moments, as what is left. Raises LabelClassAbsent where no row has the class,
    LabelTooRare; `prepare_label` refuses the rest that can't be a label.
    """
    texts = np.array(values, dtype=np.str_)
    if positive not in texts:
        raise LabelClassAbsent(column=column, positive=positive)
    classes = np.unique(texts[texts != ""])
    for part, mask in parts.items():
        for one in classes:
            if (count := int((texts[mask] == one).sum())) < rare_rows:
                raise LabelTooRare(count=count, what=part, minimum=rare_rows)
    return np.where(texts == "", np.nan, (texts == positive).astype(np.float64))


def prepare_survey_weights(values: NDArray[Any], column: str, test: NDArray[np.bool_]) -> Floats:
    """(test rows,): how many clients of the population each test row stands for, scaled to a mean of 1.

    Raises SurveyWeightsInvalid where one is negative or all test rows weigh nothing, and the failures of `prepare` for
    its column: gaps, text, another number of rows.
    """
    found = numbers({column: values}, column, len(test))
    if (negative := int((found < 0).sum())) > 0:
        raise SurveyWeightsInvalid(column=column, why=f"{negative} are negative")
    most = float(found[test].max(initial=0.0))
    if most == 0.0:
        raise SurveyWeightsInvalid(column=column, why="all test rows have weight 0")
    scaled = found[test] / most  # first: a sum of very large weights would overflow
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


def numbers(columns: Columns, name: str, rows: int, *, gaps: bool = False) -> Floats:
    """A column as float64; NaN where a value is missing, which `gaps` allows.

    Raises ColumnMissing, ColumnNotNumeric, RowsDiffer, ColumnHasGaps, ColumnInfinite.
    """
    if name not in columns:
        raise ColumnMissing(column=name)
    values = np.asarray(columns[name])
    if values.dtype.kind not in "biuf":
        raise ColumnNotNumeric(column=name, dtype=values.dtype.name)
    if values.shape != (rows,):
        raise RowsDiffer(what=f"column {name}", found=len(values) if values.ndim else 0, expected=rows)
    real = values.astype(np.float64)
    if missing := int(np.isnan(real).sum()) * (not gaps):
        raise ColumnHasGaps(column=name, count=missing)
    if infinite := int(np.isinf(real).sum()):
        raise ColumnInfinite(column=name, count=infinite)
    return real
