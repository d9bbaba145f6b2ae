"""Bins: every client is in one, none has few rows in any part, and what they say of values is where these lie."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import features, rarity
from federation.bins import Bins, form, quantile_edges
from federation.errors import ColumnHasGaps, ColumnInfinite, ColumnNotNumeric, NoUsableColumns
from federation.features import prepare
from federation.scale import UNITS, VALUE_MAX

ROWS, RARE = 1200, 30
FOLD = np.arange(ROWS) % 4  # the last is held out
TRAIN = FOLD < 3
PARTS = {"fold-1": FOLD == 0, "fold-2": FOLD == 1, "fold-3": FOLD == 2, "held": FOLD == 3}
WHERE = rarity.places(PARTS)
DRAW = np.random.default_rng(11)
NORMAL = DRAW.normal(size=ROWS)


def lacking(values: np.ndarray, share: float, seed: int = 3) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(ROWS) < share, np.nan, values)


@st.composite
def columns(draw: st.DrawFn) -> np.ndarray:
    """Columns of real tables: amounts with a heap at zero, small counts, few levels, gaps of any size."""
    seed, kind = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(["amount", "count", "levels", "normal"]))
    source = np.random.default_rng(seed)
    drawn: dict[str, Any] = {
        "amount": np.where(source.random(ROWS) < 0.4, 0.0, np.expm1(source.exponential(3, ROWS))),
        "count": source.poisson(draw(st.sampled_from([0.05, 1.0, 5.0])), ROWS).astype(float),
        "levels": source.choice([-1.0, 0.0, 5.0], ROWS, p=[0.02, 0.9, 0.08]),
        "normal": source.normal(size=ROWS),
    }
    return lacking(drawn[kind], draw(st.sampled_from([0.0, 0.001, 0.02, 0.3, 0.99])), seed)


@given(values=columns(), bins=st.integers(2, 32), rare_rows=st.integers(20, 60))
@settings(max_examples=150, deadline=None)
def test_every_bin_has_enough_rows_in_every_part(values: np.ndarray, bins: int, rare_rows: int) -> None:
    made = form(values, TRAIN, WHERE, bins, rare_rows)
    if isinstance(made, str):
        return
    code = made.bins(values)
    count = made.width + 1
    assert 2 <= count <= bins + 1  # the missing may be one more
    assert (np.diff(made.edges) > 0).all()
    for rows in WHERE.values():
        sizes = np.bincount(code[rows], minlength=count)
        assert len(sizes) == count
        assert sizes.min() >= rare_rows


@given(values=columns(), bins=st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_bins_are_intervals_and_the_reference_has_most_train_rows(values: np.ndarray, bins: int) -> None:
    """Of all bins; where the missing have none, of those before any were merged."""
    made = form(values, TRAIN, WHERE, bins, RARE)
    if isinstance(made, str):
        return
    known = ~np.isnan(values)
    code = made.bins(values)
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(code[known][order]) >= 0).all()  # a larger value is never in a lower bin
    assert len(set(code[~known].tolist())) <= 1
    if made.missing == len(made.edges) + 1:
        sizes = np.bincount(code[TRAIN], minlength=made.width + 1)
        assert sizes[made.reference] == sizes.max()
        return
    edges = quantile_edges(values[TRAIN & known], bins, RARE)
    cut = np.searchsorted(edges, values[TRAIN & known], side="left")
    largest = np.bincount(cut).argmax()
    assert set(code[TRAIN & known][cut == largest].tolist()) == {made.reference} == {made.missing}


@given(values=columns(), bins=st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_columns_of_bins_are_standardised_indicators(values: np.ndarray, bins: int) -> None:
    made = form(values, TRAIN, WHERE, bins, RARE)
    if isinstance(made, str):
        return
    code, units = made.bins(values), made.units(values)
    others = [k for k in range(made.width + 1) if k != made.reference]
    for place, bin_ in enumerate(others):
        inside = (code == bin_).astype(float)
        mean, deviation = inside[TRAIN].mean(), inside[TRAIN].std()
        expected = np.clip(np.rint((inside - mean) / deviation * UNITS), -VALUE_MAX, VALUE_MAX)
        assert np.abs(units[:, place] - expected).max() <= 1  # the last bit of a mean may round otherwise
        assert len(np.unique(units[:, place])) == 2
    assert set(features.binary_levels(units[TRAIN].astype(np.int64))) == set(range(made.width))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-300, 1e-3, 1.0, 1e300]), st.sampled_from([-1.0, 1.0]))
@settings(max_examples=30, deadline=None)
def test_bins_do_not_depend_on_unit_or_order(seed: int, unit: float, sign: float) -> None:
    values = np.random.default_rng(seed).integers(0, 40, ROWS) / 8
    made, scaled = form(values, TRAIN, WHERE, 5, RARE), form(values * unit, TRAIN, WHERE, 5, RARE)
    assert isinstance(made, Bins)
    assert isinstance(scaled, Bins)
    assert (made.bins(values) == scaled.bins(values * unit)).all()
    order = np.random.default_rng(seed).permutation(np.flatnonzero(FOLD == 1))
    moved = values.copy()
    moved[FOLD == 1] = values[order]
    assert (np.asarray(form(moved, TRAIN, WHERE, 5, RARE).edges) == made.edges).all()  # type: ignore[union-attr]


def test_about_equal_bins_of_a_smooth_column() -> None:
    made = form(NORMAL, np.ones(ROWS, bool), {"train": np.arange(ROWS)}, 5, RARE)
    assert isinstance(made, Bins)
    assert np.bincount(made.bins(NORMAL)).tolist() == [240] * 5


def test_the_first_cut_does_not_depend_on_the_parts() -> None:
    """Runs over the same rows with other folds differ by whole bins of the first cut, each with enough train rows."""
    values = DRAW.integers(0, 60, ROWS).astype(float)
    whole = form(values, TRAIN, {"train": np.flatnonzero(TRAIN)}, 12, RARE)
    folds = form(values, TRAIN, WHERE, 12, RARE)
    assert isinstance(whole, Bins)
    assert isinstance(folds, Bins)
    assert set(folds.edges.tolist()) < set(whole.edges.tolist())


def test_a_value_that_fills_a_bin_is_alone_in_it() -> None:
    values = np.where(NORMAL < 0.3, 0.0, np.exp(NORMAL))
    made = form(values, TRAIN, WHERE, 5, RARE)
    assert isinstance(made, Bins)
    assert (made.bins(values) == made.reference).sum() == (values == 0).sum()


def test_missing_values_are_a_bin_where_they_are_many_and_the_reference_where_few() -> None:
    many, few = (form(lacking(NORMAL, share), TRAIN, WHERE, 4, RARE) for share in (0.3, 0.02))
    assert isinstance(many, Bins)
    assert isinstance(few, Bins)
    assert many.missing == len(many.edges) + 1
    assert few.missing == few.reference
    assert many.bins(np.array([np.nan])).tolist() == [many.missing]


def test_a_missing_value_that_training_never_saw_counts_as_the_reference() -> None:
    made = form(NORMAL, TRAIN, WHERE, 4, RARE)
    assert isinstance(made, Bins)
    known = NORMAL[made.bins(NORMAL) == made.reference][:1]
    assert (made.units(np.array([np.nan])) == made.units(known)).all()


def test_a_column_of_which_only_the_missing_are_told_apart_has_one_indicator() -> None:
    made = form(lacking(np.ones(ROWS), 0.4), TRAIN, WHERE, 4, RARE)
    assert isinstance(made, Bins)
    assert made.width == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full(ROWS, np.nan), "missing on all train rows"),
        (np.where(TRAIN, np.nan, NORMAL), "missing on all train rows"),
        (np.full(ROWS, 3.0), "constant on the train rows"),
        (np.where(TRAIN, 3.0, NORMAL), "constant on the train rows"),
        (np.where(np.arange(ROWS) < 80, 1.0, 0.0), "no two bins of 30 rows in every part"),
        (np.where(FOLD == 2, 0.0, np.arange(ROWS) % 2), "no two bins of 30 rows in every part"),
        (np.where(FOLD == 2, np.nan, NORMAL), "no two bins of 30 rows in every part"),
    ],
    ids=["all missing", "missing in training", "constant", "constant in training", "rare", "one fold", "unknown fold"],
)
def test_a_column_without_two_bins_is_dropped_with_its_reason(values: np.ndarray, reason: str) -> None:
    found = prepare({"a": values, "b": NORMAL}, ["a", "b"], TRAIN, RARE, PARTS, binned=["a"], bins=5)
    assert found.dropped == {"a": reason}
    assert found.names == ("b",)


def test_a_bin_that_is_rare_in_one_fold_only_is_merged() -> None:
    """The attack: the count of that bin in that fold, and its clients' labels, would be a statement on 29 clients."""
    values = DRAW.integers(0, 3, ROWS).astype(float)
    values[FOLD == 1] = np.where(values[FOLD == 1] == 2, 1.0, values[FOLD == 1])
    values[np.flatnonzero(FOLD == 1)[:29]] = 2.0
    merged, whole = (form(values, TRAIN, where, 3, RARE) for where in (WHERE, {"train": np.flatnonzero(TRAIN)}))
    assert isinstance(whole, Bins)
    assert isinstance(merged, Bins)
    assert np.bincount(whole.bins(values[FOLD == 1])).min() == 29
    assert (merged.width, whole.width) == (1, 2)


# --- beside other columns ---------------------------------------------------------------------------------------------


def kept(table: dict[str, np.ndarray], binned: list[str], bins: int = 4) -> dict[str, str]:
    return prepare(table, [*table], TRAIN, RARE, PARTS, binned=binned, bins=bins).dropped


def test_bins_that_nearly_give_a_flag_are_dropped() -> None:
    """The flag's moment less those of the bins above the edge would tell of the nine clients between them."""
    made = form(NORMAL, TRAIN, WHERE, 4, RARE)
    assert isinstance(made, Bins)
    flag = (made.edges[1] < NORMAL).astype(float)
    assert kept({"flag": flag, "amount": NORMAL}, ["amount"]) == {}  # exactly a sum of bins: nothing is left to tell
    flag[np.flatnonzero(FOLD == 0)[:9]] = 1 - flag[np.flatnonzero(FOLD == 0)[:9]]
    assert kept({"flag": flag, "amount": NORMAL}, ["amount"]) == {
        "amount": "its bins give flag but for 9 fold-1 rows, 30 are needed"
    }


def test_bins_of_nearly_the_same_column_are_dropped() -> None:
    moved = NORMAL.copy()
    rows = np.flatnonzero(FOLD == 3)[:7]
    moved[rows] = -NORMAL[rows]
    found = kept({"amount": NORMAL, "again": moved}, ["amount", "again"])
    assert set(found) == {"again"}
    assert found["again"].startswith("its bins differ from those of amount in only")


def test_a_threshold_of_one_column_that_nearly_is_one_of_another_is_found() -> None:
    """No single bin is nearly another's, but the sums above the middle edge differ by twelve clients."""
    values, other = DRAW.permutation(np.arange(ROWS)) % 4 * 1.0, np.zeros(ROWS)
    for part in PARTS.values():
        for half in (values < 2, values >= 2):
            rows = np.flatnonzero(part & half)
            other[rows] = DRAW.permutation(len(rows)) % 2 + 2 * (values[rows[0]] >= 2)
    flipped = np.flatnonzero(FOLD == 0)[:12]
    other[flipped] = 3 - other[flipped]
    found = kept({"one": values, "other": other}, ["one", "other"])
    assert found == {"other": "its bins differ from those of one in only 12 fold-1 rows, 30 are needed"}


def test_unrelated_bins_stand_side_by_side() -> None:
    assert kept({"a": NORMAL, "b": DRAW.normal(size=ROWS), "c": NORMAL + DRAW.normal(size=ROWS)}, ["a", "b", "c"]) == {}


def test_plain_and_binned_columns_keep_the_plans_order() -> None:
    found = prepare({"a": NORMAL, "b": -(NORMAL**2), "c": NORMAL**3}, ["c", "a", "b"], TRAIN, 30, binned=["a"], bins=4)
    assert found.names == ("c", "a", "a", "a", "b")
    assert found.values.shape == (ROWS, 5)
    alone = prepare({"b": -(NORMAL**2)}, ["b"], TRAIN, 30)
    assert (found.values[:, 4:] == alone.values).all()


@pytest.mark.parametrize(
    ("values", "binned", "failure", "word"),
    [
        (lacking(NORMAL, 0.1), [], ColumnHasGaps, "binned"),
        (np.where(NORMAL > 2, np.inf, NORMAL), ["a"], ColumnInfinite, "infinite"),
        (np.where(NORMAL > 2, -np.inf, NORMAL), [], ColumnInfinite, "infinite"),
        (np.array(["x"] * ROWS), ["a"], ColumnNotNumeric, "numbers"),
        (np.full(ROWS, np.nan), ["a"], NoUsableColumns, "none"),
    ],
    ids=["a gap in a plain column", "infinite", "infinite and plain", "text", "nothing known"],
)
def test_values_that_fit_no_column_are_refused(
    values: np.ndarray, binned: list[str], failure: type[Exception], word: str
) -> None:
    with pytest.raises(failure, match=word):
        prepare({"a": values}, ["a"], TRAIN, RARE, PARTS, binned=binned, bins=5)


@given(values=columns(), bins=st.integers(2, 20))
@settings(max_examples=150, deadline=None)
def test_bins_of_two_divisions_of_the_same_clients_differ_by_whole_bins(values: np.ndarray, bins: int) -> None:
    """Missing values that are too few for a bin are in the same one in every run: otherwise two runs single them out.

    The first run takes the train rows as one part, the second fold by fold; what is added up and subtracted of the bins
    of one to come nearest to a bin of the other leaves no client over or as many as a bin needs.
    """
    whole = form(values, TRAIN, {"train": np.flatnonzero(TRAIN)}, bins, RARE)
    folded = form(values, TRAIN, WHERE, bins, RARE)
    if isinstance(whole, str) or isinstance(folded, str):
        return
    one, other = whole.bins(values)[TRAIN], folded.bins(values)[TRAIN]
    table = np.zeros((whole.width + 1, folded.width + 1), int)
    np.add.at(table, (one, other), 1)
    for shared in (table, table.T):
        left = np.minimum(shared, shared.sum(axis=0) - shared).sum(axis=1)
        assert ((left == 0) | (left >= RARE)).all()
