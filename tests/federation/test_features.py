"""Columns become small integers by rules of the train rows; columns that single out few clients are dropped."""

import numpy as np
import pytest

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
)
from federation.features import VALUE_MAX, Prepared, binary_levels, one_against_the_rest, prepare, prepare_label
from federation.scale import BY_MEDIAN, CODINGS, Scale, of_train

ROWS = 600
TRAIN = np.arange(ROWS) % 3 > 0
DRAW = np.random.default_rng(1)
NORMAL = DRAW.normal(size=ROWS)
AMOUNT = np.expm1(np.abs(DRAW.normal(size=ROWS)) * 5) * np.where(NORMAL > 0, 1, -1)


def first_of(mask: np.ndarray, count: int) -> np.ndarray:
    """0/1, with `count` ones on the first rows of the mask."""
    column = np.zeros(ROWS)
    column[np.flatnonzero(mask)[:count]] = 1
    return column


def wide(found: Prepared) -> list[str]:
    return [name for name, coding in found.codings.items() if isinstance(coding, Scale) and coding.unit]


def test_values_are_standardised_on_the_train_rows_alone() -> None:
    moved = np.where(TRAIN, NORMAL, NORMAL + 3.0)
    found = prepare({"a": moved}, ["a"], TRAIN, 50)
    expected = (moved - moved[TRAIN].mean()) / moved[TRAIN].std()
    assert np.abs(found.scaled[:, 0] - expected).max() <= 0.5 / 256
    assert abs(found.scaled[TRAIN, 0].mean()) < 1e-3
    assert found.values.dtype == np.int64
    assert (found.names, wide(found), found.dropped) == (("a",), [], {})


def test_wide_columns_are_taken_as_signed_logarithms() -> None:
    found = prepare({"a": AMOUNT, "b": NORMAL}, ["a", "b"], TRAIN, 50)
    logs = np.sign(AMOUNT) * np.log1p(np.abs(AMOUNT))
    expected = (logs - logs[TRAIN].mean()) / logs[TRAIN].std()
    assert wide(found) == ["a"]
    assert np.abs(found.scaled[:, 0] - expected).max() <= 0.5 / 256


def test_a_wide_column_in_its_own_unit_is_a_line_below_the_median_and_a_logarithm_above() -> None:
    amounts = np.where(NORMAL > 0.5, 0.0, np.rint(30_000 * np.exp(NORMAL)))
    found = prepare({"a": amounts, "b": NORMAL}, ["a", "b"], TRAIN, 50, coding=BY_MEDIAN)
    coding = found.codings["a"]
    assert isinstance(coding, Scale) and coding.unit is not None
    median = np.median(amounts[TRAIN & (amounts > 0)])
    assert coding.unit <= median < 2 * coding.unit and coding.unit == 2 ** round(np.log2(coding.unit))
    taken = np.log1p(amounts / coding.unit)
    expected = (taken - taken[TRAIN].mean()) / taken[TRAIN].std()
    assert wide(found) == ["a"]
    assert np.abs(found.scaled[:, 0] - expected).max() <= 0.5 / 256


@pytest.mark.parametrize("factor", [1.0, -1.0, 1e290])
def test_the_unit_is_at_least_one_and_any_size_of_number_has_one(factor: float) -> None:
    small = np.where(np.arange(ROWS) < 20, 1e10, 0.3 + 0.1 * np.abs(NORMAL)) * factor
    scale = of_train(small, BY_MEDIAN)
    assert scale.unit is not None and (scale.unit == 1.0) == (abs(factor) == 1.0)
    assert np.isfinite(scale.units(small)).all()


def test_other_rows_of_the_same_clients_have_the_same_unit() -> None:
    """Where the median is not at a power of two: the shape of a column is the same in runs over other splits."""
    amounts = np.rint(24_000 * np.exp(NORMAL))
    units = {of_train(amounts[np.random.default_rng(seed).random(ROWS) < 0.7], BY_MEDIAN).unit for seed in range(20)}
    assert units == {16384.0}


def test_what_few_amounts_do_to_a_score_grows_with_them() -> None:
    """Of the first coding the step from nothing to the median is most of a column's spread, of the second a third."""
    amounts = np.where(np.arange(ROWS) % 2 > 0, 0.0, np.rint(20_000 * np.exp(NORMAL)))
    steps = []
    for coding in CODINGS:
        nothing, middle, much = of_train(amounts, coding).units(np.array([0.0, 20_000.0, 200_000.0]))
        steps.append((middle - nothing) / (much - nothing))
    assert steps[0] > 0.8 and steps[1] < 0.4


def test_whether_a_column_is_wide_is_decided_on_the_train_rows() -> None:
    large_in_test = np.where(TRAIN, NORMAL, NORMAL * 1000)
    assert wide(prepare({"a": large_in_test}, ["a"], TRAIN, 50)) == []


def test_far_values_are_clipped() -> None:
    heavy = NORMAL.copy()
    heavy[0] = 99.0
    found = prepare({"a": heavy}, ["a"], np.ones(ROWS, bool), 50)
    assert found.values.max() == VALUE_MAX
    assert (found.values == VALUE_MAX).sum() == 1


def test_numbers_of_any_kind_are_taken() -> None:
    table = {"b": NORMAL > 0, "i": np.rint(NORMAL * 9).astype(np.int32), "f": NORMAL.astype(np.float32)}
    assert prepare(table, ["f", "b", "i"], TRAIN, 50).names == ("f", "b", "i")


@pytest.mark.parametrize(
    ("column", "word"),
    [
        (np.full(ROWS, 7.0), "constant"),
        (first_of(~TRAIN, 100), "constant"),  # it varies in the test rows only
        (first_of(TRAIN, 49), "sets only 49"),
        (1 - first_of(TRAIN, 49), "sets only 49"),
        (NORMAL + 1e-7 * first_of(TRAIN, 49), "differs from kept in only 49"),
        (-NORMAL + 1e-7 * first_of(TRAIN, 20), "complements kept in only 20"),
        (np.where(first_of(TRAIN, 20) > 0, 1e9, 0) + 1e-9 * NORMAL, "sets only"),  # rounding leaves 20 rows apart
    ],
)
def test_a_column_that_singles_out_few_clients_is_dropped_with_its_reason(column: np.ndarray, word: str) -> None:
    found = prepare({"kept": NORMAL, "rare": column}, ["kept", "rare"], TRAIN, 50)
    assert found.names == ("kept",)
    assert word in found.dropped["rare"]


def test_a_column_at_the_limit_is_kept() -> None:
    assert prepare({"a": first_of(TRAIN, 50)}, ["a"], TRAIN, 50).names == ("a",)


def test_without_a_usable_column_nothing_is_computed() -> None:
    with pytest.raises(NoUsableColumns):
        prepare({"a": np.zeros(ROWS)}, ["a"], TRAIN, 50)


@pytest.mark.parametrize(
    ("column", "failure"),
    [
        (np.array(["x"] * ROWS), ColumnNotNumeric),
        (np.array([None] * ROWS, dtype=object), ColumnNotNumeric),
        (np.where(NORMAL > 2, np.nan, NORMAL), ColumnHasGaps),
        (np.where(NORMAL > 2, np.inf, NORMAL), ColumnInfinite),
        (NORMAL[:-1], RowsDiffer),
        (NORMAL.reshape(2, -1), RowsDiffer),
    ],
)
def test_a_column_that_is_not_one_number_a_client_is_refused(column: np.ndarray, failure: type[Exception]) -> None:
    with pytest.raises(failure) as caught:
        prepare({"a": column}, ["a"], TRAIN, 50)
    assert "column a" in str(caught.value)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ColumnMissing, match="income"):
        prepare({"a": NORMAL}, ["income"], TRAIN, 50)


def test_the_label_is_zero_and_one_with_enough_of_both() -> None:
    label = prepare_label((NORMAL > 0).astype(float), "y", TRAIN, 50, 10)
    assert (label == (NORMAL > 0)).all()
    with pytest.raises(LabelNotBinary):
        prepare_label(NORMAL, "y", TRAIN, 50, 10)
    with pytest.raises(LabelTooRare, match="49 train"):
        prepare_label(first_of(TRAIN, 49) + first_of(~TRAIN, 9), "y", TRAIN, 50, 10)
    with pytest.raises(LabelTooRare, match="0 test"):
        prepare_label(first_of(TRAIN, 60), "y", TRAIN, 50, 10)


def test_two_valued_columns_are_found_with_their_counts() -> None:
    table = {"flag": first_of(TRAIN, 120), "score": NORMAL}
    values = prepare(table, ["flag", "score"], TRAIN, 50).values[TRAIN]
    levels = binary_levels(values)
    assert set(levels) == {0}
    low, high, count = levels[0]
    assert count == 120
    assert set(np.unique(values[:, 0])) == {low, high}


def test_a_class_that_is_rare_in_one_part_is_refused_whichever_class_is_asked_for() -> None:
    """Runs of all other classes would tell a holder its moments, as what is left of the whole."""
    texts = np.resize(["low", "mid"], 400)
    texts[[3, 7, 211, 305]] = "top"
    parts = {"fold 1": np.arange(400) < 200, "fold 2": np.arange(400) >= 200}
    for asked in ("low", "top"):
        with pytest.raises(LabelTooRare) as caught:
            one_against_the_rest(texts.tolist(), "risk", asked, parts, 20)
        assert (caught.value.facts["count"], caught.value.facts["what"]) == (2, "fold 1")
    texts[texts == "top"] = "mid"
    assert one_against_the_rest(texts.tolist(), "risk", "low", parts, 20).sum() > 150


def test_one_class_of_a_label_counts_as_one_and_gaps_stay_gaps() -> None:
    whole = {"train": np.ones(5, bool)}
    found = one_against_the_rest(["low", "high", "mid", "High", "high"], "risk", "high", whole, 1)
    assert found.tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]
    with pytest.raises(LabelClassAbsent, match="risk"):
        one_against_the_rest(["low", "mid", "mid", "mid", "low"], "risk", "high", whole, 1)
    gaps = np.resize(["low", "high"], len(TRAIN)).tolist()
    label = one_against_the_rest(["", *gaps[1:]], "risk", "high", {"train": TRAIN}, 50)
    with pytest.raises(ColumnHasGaps, match="1 missing"):
        prepare_label(label, "risk", TRAIN, 50, 10)
