"""Classes joined from one-vs-rest chances: sums, ties, figures beside scikit-learn, and cells that are not shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from federation import multiclass
from federation.bands import Minimum
from federation.errors import LabelTooRare, TooFewRows
from federation.multiclass import Joined, cells, join, measure

RULE = Minimum(rows=50, of_each_class=5)
OPEN = Minimum(rows=1, of_each_class=0)
SHAPES = st.tuples(st.integers(1, 20), st.integers(2, 6))


@settings(max_examples=100, deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(0, 1))))
def test_chances_sum_to_one_and_the_class_has_the_largest(chances: np.ndarray) -> None:
    found = join(chances)
    assert np.allclose(found.chances.sum(axis=1), 1.0, atol=1e-12) and (found.chances > 0).all()
    for row, place in enumerate(found.given):
        assert found.chances[row, place] == found.chances[row].max()
        assert chances[row, place] >= chances[row].max() - multiclass.CHANCE_MIN


def test_of_equal_chances_the_first_class_is_given() -> None:
    found = join(np.array([[0.2, 0.4, 0.4], [0.0, 0.0, 0.0], [0.9, 0.1, 0.9]]))
    assert found.given.tolist() == [1, 0, 0]
    assert np.allclose(found.chances[1], 1 / 3)


def drawn(rows: int, classes: int, seed: int) -> tuple[Joined, np.ndarray]:
    """Chances that tell something of the truth."""
    source = np.random.default_rng(seed)
    truth = source.integers(0, classes, rows)
    chances = 1 / (1 + np.exp(1 - source.normal(size=(rows, classes)) - 1.5 * np.eye(classes)[truth]))
    return join(chances), truth


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_figures_agree_with_scikit_learn(classes: int) -> None:
    joined, truth = drawn(400, classes, classes)
    found = measure(joined, truth, RULE, 200, b"seed")
    ranked = joined.chances[:, 1] if classes == 2 else joined.chances
    assert found.joint.accuracy.value_ppm == pytest.approx(1e6 * accuracy_score(truth, joined.given), abs=1)
    assert found.joint.macro_auc.value_ppm == pytest.approx(
        1e6 * roc_auc_score(truth, ranked, multi_class="ovr"), abs=1
    )
    assert found.joint.log_loss.value_ppm == pytest.approx(1e6 * sklearn_log_loss(truth, joined.chances), abs=1)
    for one in (found.joint.accuracy, found.joint.macro_auc, found.joint.log_loss):
        assert one.low_ppm < one.value_ppm < one.high_ppm
    assert (
        found.base_accuracy_ppm < found.joint.accuracy.value_ppm
        and found.joint.log_loss.value_ppm < found.base_log_loss_ppm
    )
    table = cells(joined.given, truth, classes, OPEN, np.ones(len(truth)))
    assert (np.array(table) == confusion_matrix(truth, joined.given).T).all()


def test_a_row_of_weight_three_counts_as_three_rows() -> None:
    joined, truth = drawn(300, 3, 11)
    weights = np.random.default_rng(3).integers(1, 4, 300)
    times = np.repeat(np.arange(300), weights)
    weighted = measure(joined, truth, RULE, 100, b"seed", weights=weights / weights.mean())
    repeated = measure(Joined(chances=joined.chances[times], given=joined.given[times]), truth[times], RULE, 100, b"s")
    for name in ("accuracy", "macro_auc", "log_loss"):
        one, other = (getattr(found.joint, name).value_ppm for found in (weighted, repeated))
        assert one == pytest.approx(other, abs=1)
    assert weighted.base_accuracy_ppm == repeated.base_accuracy_ppm
    assert weighted.base_log_loss_ppm == repeated.base_log_loss_ppm
    assert sum(cell or 0 for row in weighted.cells for cell in row) <= weighted.rows == 300, "cells are clients"


def test_one_client_that_outweighs_the_others_gives_no_figures() -> None:
    joined, truth = drawn(300, 3, 12)
    weights = np.where(np.arange(300) == 7, 1e6, 1.0)
    with pytest.raises(TooFewRows, match="1 test"):
        measure(joined, truth, RULE, 100, b"seed", weights=weights)
    light = np.where(truth == 2, 1e-9, 1.0)
    light[np.flatnonzero(truth == 2)[0]] = 1.0
    with pytest.raises(LabelTooRare, match="1 test"):
        measure(joined, truth, RULE, 100, b"seed", weights=light)


def test_the_uplift_over_the_label_holder_alone_is_paired_and_above_zero_for_the_better() -> None:
    joined, truth = drawn(400, 3, 5)
    noise = np.random.default_rng(6).random((400, 3))
    alone = join(0.5 * joined.chances + 0.5 * noise)
    found = measure(joined, truth, RULE, 300, b"seed", alone=alone)
    assert found.alone is not None and found.uplift is not None
    assert found.alone == measure(alone, truth, RULE, 300, b"seed").joint, "the same resamples"
    for name, sign in (("accuracy", 1), ("macro_auc", 1), ("log_loss", -1)):
        gain = getattr(found.joint, name).value_ppm - getattr(found.alone, name).value_ppm
        up = getattr(found.uplift, name)
        assert up.value_ppm == pytest.approx(sign * gain, abs=1) and up.low_ppm > 0
    same = measure(joined, truth, RULE, 300, b"seed", alone=joined).uplift
    assert same is not None and not any(getattr(same, name).excludes_zero for name in ("accuracy", "macro_auc"))
    assert (same.log_loss.low_ppm, same.log_loss.high_ppm) == (0, 0)


def test_too_few_test_rows_give_no_figures() -> None:
    joined, truth = drawn(49, 3, 1)
    with pytest.raises(TooFewRows, match="49 test"):
        measure(joined, truth, RULE, 100, b"seed")
    joined, truth = drawn(200, 3, 1)
    truth = np.where((truth == 2) & (np.cumsum(truth == 2) > 4), 1, truth)
    with pytest.raises(LabelTooRare, match="4 test"):
        measure(joined, truth, RULE, 100, b"seed")


def spread_out(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows with these counts by class given and true class."""
    places = [(one, other) for one, row in enumerate(table) for other, count in enumerate(row) for _ in range(count)]
    return np.array([one for one, _ in places]), np.array([other for _, other in places])


def shown_of(table: list[list[int]]) -> tuple[tuple[int | None, ...], ...]:
    given_to, truth = spread_out(table)
    return cells(given_to, truth, 3, RULE, np.ones(len(truth)))


def test_a_small_cell_is_not_shown_nor_does_it_follow_from_the_others() -> None:
    shown = shown_of([[60, 20, 3], [25, 70, 30], [9, 40, 80]])
    assert shown[0][2] is None
    hidden = np.array([[cell is None for cell in row] for row in shown])
    for line in [*hidden.T, hidden.diagonal()]:
        assert line.sum() != 1, "with the line's sum the cell would follow"
    assert (~hidden).any()


def test_a_class_given_to_few_shows_no_cell() -> None:
    shown = shown_of([[60, 20, 30], [25, 70, 30], [15, 16, 18]])
    assert shown[2] == (None, None, None)
    whole = shown_of([[60, 20, 30], [25, 70, 30], [15, 16, 19]])
    assert whole == ((60, 20, 30), (25, 70, 30), (15, 16, 19))


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, (3, 3), elements=st.integers(0, 90)))
def test_no_line_lacks_one_cell_alone_and_no_shown_cell_is_small(table: np.ndarray) -> None:
    if not table.sum():
        table = table + 1
    shown = shown_of(table.tolist())
    hidden = np.array([[cell is None for cell in row] for row in shown])
    assert all(line.sum() != 1 for line in [*hidden.T, hidden.diagonal()])
    assert all(
        cell == table[i, j] >= 5 for i, row in enumerate(shown) for j, cell in enumerate(row) if cell is not None
    )
