"""The population stability index: known answers, and what it hides and does not hide."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import stability
from federation.stability import MOVED, SHIFTED, STABLE, Stability, compare

EVEN = np.arange(10_000) / 10_000  # a thousand in each decile


def of_deciles(*rows: int) -> np.ndarray:
    """Scores with this many rows in each decile of EVEN."""
    return np.concatenate([np.full(count, number / 10 + 0.05) for number, count in enumerate(rows)])


def test_equal_distributions_have_the_index_zero() -> None:
    found = compare(EVEN, EVEN, 50)
    assert found is not None
    assert (found.psi_ppm, found.reading) == (0, STABLE)
    assert found.before_percent == found.after_percent == (10,) * 10


def test_a_shift_worked_out_by_hand() -> None:
    """Half of the lowest decile moves to the highest: -0.05 ln 0.5 + 0.05 ln 1.5 = 0.034657 + 0.020273."""
    found = compare(EVEN, of_deciles(500, *[1_000] * 8, 1_500), 50)
    assert found is not None
    assert found.psi_ppm == 55_000  # 0.05493, to thousandths
    assert found.after_percent == (5, *[10] * 8, 15)


READINGS = {
    "below 0.1": (99_000, STABLE),
    "0.1 itself": (100_000, MOVED),
    "below 0.25": (249_000, MOVED),
    "0.25 itself": (250_000, SHIFTED),
}


@pytest.mark.parametrize(("psi", "reading"), READINGS.values(), ids=READINGS)
def test_the_usual_reading(psi: int, reading: str) -> None:
    assert Stability(psi_ppm=psi, before_rows=1, after_rows=1, before_percent=(), after_percent=()).reading == reading


def test_scores_that_all_left_their_bins_are_seen() -> None:
    """Merging bins without rows would leave a single one, and the index of one bin is 0."""
    found = compare(EVEN, np.full(10_000, 0.99), 50)
    assert found is not None and found.reading == SHIFTED
    assert found.after_percent == (*[None] * 9, 100)


def test_a_bin_with_few_rows_is_not_shown_and_counts_as_the_minimum() -> None:
    few, none, least = (compare(EVEN, of_deciles(count, *[1_000] * 9), 50) for count in (49, 0, 50))
    assert few is not None and none is not None and least is not None
    assert few.after_percent[0] is None and none.after_percent[0] is None
    assert least.after_percent[0] is not None
    assert few.psi_ppm == none.psi_ppm == least.psi_ppm


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_equal_scores_stay_in_one_bin_and_the_index_is_never_negative(seed: int, values: int) -> None:
    draw = np.random.default_rng(seed)
    before, after = (draw.integers(0, values, 900).astype(np.float64) for _ in range(2))
    found = compare(before, after, 50)
    assert found is not None and found.psi_ppm >= 0
    turned = compare(before[::-1], draw.permutation(after), 50)
    assert turned == found
    assert stability.read(found.to_value()) == found


TOO_FEW = {"earlier rows": (99, 500), "later rows": (500, 49)}


@pytest.mark.parametrize(("before", "after"), TOO_FEW.values(), ids=TOO_FEW)
def test_there_is_no_index_of_too_few_rows(before: int, after: int) -> None:
    assert compare(EVEN[:before], EVEN[:after], 50) is None


def test_few_earlier_rows_give_fewer_bins() -> None:
    found = compare(EVEN[:100], EVEN[:100], 50)
    assert found is not None and found.before_percent == (50, 50)


GOOD: dict[str, Any] = {
    "version": 1,
    "psi_ppm": 55_000,
    "before_rows": 10_000,
    "after_rows": 9_000,
    "before_percent": [50, 50],
    "after_percent": [40, None],
}
BAD = {
    "another version": {"version": 2},
    "a figure that is text": {"psi_ppm": "55000"},
    "a truth value": {"before_rows": True},
    "below zero": {"psi_ppm": -1},
    "a share below zero": {"after_percent": [-1, 50]},
    "one bin": {"before_percent": [100], "after_percent": [100]},
    "bins of one side only": {"after_percent": [40, 30, 30]},
    "no list": {"after_percent": 40},
    "a field nobody knows": {"clients": ["x"]},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_what_is_no_index_is_refused(change: dict[str, Any]) -> None:
    assert stability.read(GOOD).reading == STABLE
    with pytest.raises((ValueError, TypeError)):
        stability.read({**GOOD, **change})
