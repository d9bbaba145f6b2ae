"""Counts of a column: exact whatever the factor, and silent about what few rows hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.schema.check import AssetView, counts, rule
from federation.schema.mapping import Entry
from federation.schema.measure import RARE_ROWS, _median_within, measure
from tests.federation.schema.mappings import CATALOGUE, entry

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=4)
FACTORS = st.fractions(min_value=Fraction(1, 999_999), max_value=999_999, max_denominator=999_999)
SPANS = [feature for feature in CATALOGUE.features if feature.span is not None]


def slow(entry: Entry, values: Sequence[Decimal]) -> tuple[int, int, list[int]]:
    """(outside, not whole, rows by bin) in fractions, by the definition."""
    span = entry.feature.span
    assert span is not None
    exact = [Fraction(value) * entry.factor for value in values]
    inside = [value for value in exact if span.low <= value <= span.high]
    edges = [span.low, *span.bins, span.high]
    rows = [sum(low <= value < high for value in inside) for low, high in pairwise(edges)]
    rows[-1] += sum(value == span.high for value in inside)
    whole = sum(value.denominator != 1 for value in exact) if span.whole else 0
    return len(values) - len(inside), whole, rows


@given(st.lists(NUMBERS, min_size=1), FACTORS, st.sampled_from(SPANS), st.booleans())
def test_units_are_exact(values: list[Decimal], factor: Fraction, feature: object, on_edge: bool) -> None:
    found = replace(entry('"invest_cash"'), feature=feature, factor=factor)  # type: ignore[arg-type]
    span = found.feature.span
    assert span is not None
    if on_edge:  # cells that come out at an edge exactly, where they can be written as decimals
        found = replace(found, factor=Fraction(1, 100))
        values = [edge * 100 for edge in (span.low, *span.bins, span.high)]
    figures = measure(found, [str(value) for value in values])
    assert (figures.outside, figures.not_whole, list(figures.bins)) == slow(found, values)
    assert figures.missing == figures.not_numbers == 0


def test_one_fen_more_than_the_range_is_outside() -> None:
    fen = entry('{feature = "invest_cash", factor = "1/100"}')
    assert fen.feature.span is not None
    top = int(fen.feature.span.high) * 100
    assert measure(fen, [str(top)]).outside == 0
    assert measure(fen, [str(top + 1)]).outside == 1
    assert measure(fen, [f"{top}.00000000000000000001"]).outside == 1


@pytest.mark.parametrize(
    "cell", ["1,000", "￥5", "12%", "nan", "inf", "1e400", "１２", "0x10", "--1", ".", "1 000", "9" * 40]
)
def test_what_is_no_plain_number_is_counted(cell: str) -> None:
    assert measure(entry('"invest_cash"'), [cell, "1"]).not_numbers == 1


@pytest.mark.parametrize("cell", ["5", "+5", "5.0", "5.", "0.5e1", "50E-1", "005"])
def test_a_number_may_be_written_in_many_ways(cell: str) -> None:
    figures = measure(entry('"client_household_size"'), [cell])
    assert (figures.not_numbers, figures.not_whole, figures.outside, figures.bins[-1]) == (0, 0, 0, 1)


def test_markers_of_missing_values_are_compared_as_numbers_too() -> None:
    found = entry('{feature = "invest_cash", missing = ["-999", "N/A"]}')
    figures = measure(found, ["", "-999", "-999.00", "N/A", "n/a", "7"])
    assert (figures.rows, figures.missing, figures.not_numbers, figures.outside) == (6, 4, 1, 0)


def test_texts_of_few_rows_stay_inside() -> None:
    found = entry('{feature = "client_gender", categories = {M = "male"}, missing = ["U"]}')
    cells = ["M"] * 3 + ["female"] * 2 + ["U", ""] + ["X"] * RARE_ROWS + ["Li Na"] * (RARE_ROWS - 1)
    figures = measure(found, cells)
    assert (figures.missing, figures.unknown, figures.unknown_distinct) == (2, 2 * RARE_ROWS - 1, 2)
    assert figures.unknown_common == ("X",)
    assert figures.bins == (2, 3)
    assert "Li Na" not in str(figures.to_value())


def test_a_flag_is_taken_as_sources_write_it() -> None:
    figures = measure(entry('"policy_motor"'), ["true", "False", "1", "0", "yes"])
    assert (figures.bins, figures.unknown) == ((2, 2), 1)


def codes_of(spec: str, cells: list[str]) -> dict[str, bool]:
    """code -> does it stop, of what the counts tell."""
    found = entry(spec)
    return {finding.failure.code: finding.stops for finding in counts(found, measure(found, cells))}


@pytest.mark.parametrize(
    ("spec", "cells", "expected"),
    [
        ('"invest_assets"', ["20000"] * 50 + ["30000"] * 50, {}),
        ('"invest_assets"', ["", ""], {"MAPPING_ALL_MISSING": True}),
        ('"invest_assets"', ["a lot", "20000", "30000"] + ["40000"] * 60, {"MAPPING_NOT_NUMBERS": True}),
        ('"invest_assets"', ["20000"] * 60, {"MAPPING_CONSTANT": False}),
        ('"invest_assets"', ["20000"] * 60 + ["600000"] * 49, {"MAPPING_RARE_BIN": False}),
        ('"invest_assets"', ["20000"] * 60 + ["30000"] + [""] * 62, {"MAPPING_MANY_MISSING": False}),
        ('"invest_assets"', ["20000"] * 999 + ["-1"], {"MAPPING_OUT_OF_RANGE": False}),
        ('"invest_assets"', ["20000"] * 98 + ["-1", "-2"], {"MAPPING_OUT_OF_RANGE": True}),
        ('"client_household_size"', ["2", "3"] * 50 + ["2.5"], {"MAPPING_NOT_WHOLE": True}),
        ('"policy_motor"', ["0", "1"] * 99 + ["?"], {"MAPPING_CATEGORIES_UNKNOWN": False}),
        ('"policy_motor"', ["0", "1"] * 60 + ["?"] * 50, {"MAPPING_CATEGORIES_UNKNOWN": True}),
        ('"spend_average_order_12m"', [str(n) for n in range(5_000, 15_000, 10)], {"MAPPING_UNIT_SUSPECT": True}),
        (
            '{feature = "spend_average_order_12m", unit_checked = true}',
            [str(n) for n in range(5_000, 15_000, 10)],
            {},
        ),
        (
            '{feature = "spend_average_order_12m", factor = "1/100"}',
            [str(n) for n in range(10_000, 20_000, 10)],
            {},
        ),
        (
            '"invest_stock_share"',
            [str(n) for n in range(101)] * 60,
            {"MAPPING_UNIT_SUSPECT": True, "MAPPING_OUT_OF_RANGE": True},
        ),
    ],
)
def test_counts_become_findings(spec: str, cells: list[str], expected: dict[str, bool]) -> None:
    assert codes_of(spec, cells) == expected


def test_fen_are_recognised_with_the_factor_that_mends_them() -> None:
    found = entry('"spend_average_order_12m"')
    figures = measure(found, [str(n) for n in range(5_000, 15_000, 10)])
    assert figures.likely_factor == "1/100"
    (finding,) = counts(found, figures)
    assert 'factor = "1/100"' in finding.failure.message("en") and "line 3" in finding.failure.message("en")


VIEW = AssetView(
    name="clients", id_column="id", present=("id", "X", "Y"), classes={"X": "C2"}, purposes=("joint-profile",)
)


@pytest.mark.parametrize(
    ("spec", "view", "code"),
    [
        ('"invest_cash"', VIEW, None),
        ('"invest_cash"', replace(VIEW, id_column="X"), "MAPPING_COLUMN_IS_ID"),
        ('"invest_cash"', replace(VIEW, present=("id", "XX")), "MAPPING_COLUMN_MISSING"),
        ('"invest_cash"', replace(VIEW, classes={}), "MAPPING_COLUMN_UNCLASSIFIED"),
        ('"invest_cash"', replace(VIEW, classes={"X": "C3"}), "MAPPING_CLASS_C3"),
        ('"invest_cash"', replace(VIEW, classes={"X": "C1"}), "MAPPING_CLASS_TOO_LOW"),
        ('"client_city_tier"', VIEW, None),
        ('"client_gender"', VIEW, "MAPPING_PURPOSE_NOT_ALLOWED"),
        ('"invest_cash"', replace(VIEW, purposes=("joint-profile", "spam")), "MAPPING_PURPOSE_NOT_ALLOWED"),
    ],
)
def test_rules_of_class_and_purpose(spec: str, view: AssetView, code: str | None) -> None:
    finding = rule(entry(spec), view)
    assert (finding and finding.failure.code) == code
    if finding is not None:
        assert finding.stops
        assert "line 3, column X" in finding.failure.message("en")
        assert "{" not in finding.failure.message("en") + finding.failure.message("zh")


@given(st.lists(st.integers(1, 10**9), min_size=1), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_median_is_placed_without_sorting(values: list[int], a: int, b: int) -> None:
    low, high = min(a, b), max(a, b)
    counted = [(Decimal(value), count) for value, count in Counter(values).items()]
    assert _median_within(counted, Decimal(low), Decimal(high)) == (low <= median_low(values) <= high)
