"""Bands of chance: tenths by weight, equal to a plain count, and never a statement about a few clients."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from federation.bands import Minimum, bands, effective_rows, top_is_shown

MINIMUM = Minimum(rows=50, of_each_class=5)


def drawn(rows: int, seed: int = 0, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    chance = np.clip(draw.beta(2, 2, rows) * 2 * share, 0, 1)
    return draw.random(rows) < chance, chance


def test_bands_are_tenths_as_counted_by_hand() -> None:
    label, chance = drawn(5000)
    found = bands(label, chance, np.ones(5000), MINIMUM)
    order = np.argsort(-chance)
    for number, band in enumerate(found):
        rows = order[500 * number : 500 * (number + 1)]
        assert (band.rows, band.share_ppm) == (500, 100_000)
        assert band.predicted_ppm == round(chance[rows].mean() * 1e6)
        assert band.observed_ppm == round(label[rows].mean() * 1e6)
    assert len(found) == 10


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(0, 2**32), st.floats(0.01, 1.0), st.booleans())
@example(465, 445, 0.5978811312613256, False)  # a mean that a plain sum rounds by the order of the rows
def test_every_band_has_enough_rows_of_each_class_and_all_rows_are_in_one(
    rows: int, seed: int, share: float, weighted: bool
) -> None:
    label, chance = drawn(rows, seed, share)
    weights = np.random.default_rng(seed).pareto(1.2, rows) if weighted else np.ones(rows)
    chance = np.rint(chance * 40) / 40  # with ties
    found = bands(label, chance, weights, MINIMUM)
    if not found:
        assert not MINIMUM.met(label, weights)
        return
    assert sum(band.rows for band in found) == rows
    assert sum(band.share_ppm for band in found) == pytest.approx(1_000_000, abs=10)
    for band in found:
        if not weighted:
            positives = round(band.rows * band.observed_ppm / 1e6)
            assert band.rows >= 50 and min(positives, band.rows - positives) >= 5
    predicted = [band.predicted_ppm for band in found]
    assert predicted == sorted(predicted, reverse=True)
    mixed = np.random.default_rng(seed + 1).permutation(rows)
    assert bands(label[mixed], chance[mixed], weights[mixed], MINIMUM) == found


def test_a_weight_is_a_repetition() -> None:
    label, chance = drawn(2000, 3)
    weights = np.random.default_rng(5).integers(1, 4, 2000)
    repeated = np.repeat(np.arange(2000), weights)
    whole = bands(label[repeated], chance[repeated], np.ones(len(repeated)), MINIMUM)
    found = bands(label, chance, weights.astype(float), MINIMUM)
    for own, theirs in zip(found, whole, strict=True):
        assert own.share_ppm == pytest.approx(theirs.share_ppm, abs=1)
        assert own.predicted_ppm == pytest.approx(theirs.predicted_ppm, abs=1)
        assert own.observed_ppm == pytest.approx(theirs.observed_ppm, abs=1)


def test_a_band_in_which_all_are_alike_is_merged_with_its_neighbours() -> None:
    chance = np.linspace(0.99, 0.01, 1000)
    label = np.arange(1000) % 2 == 0
    label[:150] = True  # nobody in the first tenth, and half of the second, is negative
    first, *_ = bands(label, chance, np.ones(1000), MINIMUM)
    assert first.rows == 200 and first.observed_ppm == 875_000


@pytest.mark.parametrize(
    ("label", "rows"), [(np.zeros(400, bool), 400), (np.arange(400) < 4, 400), (np.arange(49) < 20, 49)]
)
def test_too_few_rows_or_too_few_of_a_class_are_no_band(label: np.ndarray, rows: int) -> None:
    assert bands(label, np.linspace(1, 0, rows), np.ones(rows), MINIMUM) == ()


def test_one_row_that_outweighs_the_others_closes_no_band() -> None:
    label, chance = drawn(1000)
    weights = np.ones(1000)
    weights[np.argsort(-chance)[3]] = 5000.0
    assert effective_rows(weights) < 2
    assert bands(label, chance, weights, MINIMUM) == ()


def test_effective_rows_are_rows_where_all_weigh_alike() -> None:
    assert effective_rows(np.full(70, 1e300)) == pytest.approx(70)
    assert effective_rows(np.r_[np.ones(70), np.zeros(30)]) == pytest.approx(70)
    assert effective_rows(np.zeros(3)) == effective_rows(np.zeros(0)) == 0.0


@pytest.mark.parametrize(("rows", "negatives", "shown"), [(600, 8, True), (600, 4, False), (400, 8, False)])
def test_the_top_decile_is_shown_where_it_holds_enough_of_each_class(rows: int, negatives: int, shown: bool) -> None:
    score = np.arange(rows, 0.0, -1.0)
    label = np.arange(rows) >= negatives
    label[rows // 2 :] = False
    assert top_is_shown(label, score, np.ones(rows), MINIMUM) == shown
