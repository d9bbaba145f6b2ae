"""A score becomes a chance by a line fitted on train rows: equal to known fits, harmless with nothing to fit."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from federation import calibration, metrics
from federation.calibration import Calibration
from federation.models import moments


def drawn(seed: int, rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true log-odds are 2.5 · score − 1."""
    draw = np.random.default_rng(seed)
    score = draw.normal(size=rows) * 0.8
    return draw.random(rows) < metrics.sigmoid(2.5 * score - 1.0), score


@pytest.mark.parametrize("seed", range(3))
def test_platt_is_logistic_regression_on_targets_drawn_in(seed: int) -> None:
    label, score = drawn(seed, 200)
    positives = int(label.sum())
    target = np.where(label, (positives + 1) / (positives + 2), 1 / (200 - positives + 2))
    twice, classes = np.r_[score, score][:, None], np.r_[np.ones(200), np.zeros(200)]
    theirs = LogisticRegression(C=1e10, tol=1e-12, max_iter=1000).fit(twice, classes, np.r_[target, 1 - target])
    ours = calibration.platt(label, score)
    assert (ours.slope, ours.offset) == pytest.approx((theirs.coef_[0, 0], theirs.intercept_[0]), rel=1e-4)


def test_platt_finds_the_line_that_made_the_labels_on_any_scale() -> None:
    label, score = drawn(7, 50_000)
    for scale, shift in ((1.0, 0.0), (1e-6, 3.0), (1e6, -2e6)):
        found = calibration.platt(label, score * scale + shift).log_odds(score * scale + shift)
        assert found == pytest.approx(2.5 * score - 1.0, abs=0.3)


def test_a_calibrated_score_is_right_on_average_on_rows_it_was_not_fitted_on() -> None:
    (fit_label, fit_score), (label, score) = drawn(1, 20_000), drawn(2, 20_000)
    chance = metrics.sigmoid(calibration.platt(fit_label, fit_score).log_odds(score))
    assert chance.mean() == pytest.approx(label.mean(), abs=0.01)
    assert metrics.log_loss(label, 2.5 * score - 1) <= metrics.log_loss(label, score)


def test_classes_that_a_score_parts_wholly_stay_finite() -> None:
    label = np.arange(100) >= 50
    chance = metrics.sigmoid(calibration.platt(label, np.arange(100.0)).log_odds(np.arange(100.0)))
    assert np.isfinite(chance).all() and 0 < chance.min() < 0.1 and 0.9 < chance.max() < 1


@pytest.mark.parametrize("score", [np.zeros(100), -np.arange(100.0)], ids=["constant", "the wrong way round"])
def test_a_score_that_ranks_nothing_gives_everybody_the_same_chance(score: np.ndarray) -> None:
    label = np.arange(100) >= 75
    found = calibration.platt(label, score)
    assert found.slope == 0.0
    assert metrics.sigmoid(found.log_odds(score)) == pytest.approx(26 / 102, abs=1e-9)


def solved(values: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, Calibration]:
    """The scorecard's scores, and its calibration from moments."""
    given = moments.from_data(values, label, ("a",) * values.shape[1])
    solution = moments.solve(given, {"a"}, 1.0)
    return values @ solution.weights + solution.intercept, calibration.from_moments(given, solution)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_the_line_from_moments_is_that_of_the_discriminant_on_the_scores(share: float) -> None:
    draw = np.random.default_rng(3)
    label = draw.random(4000) < share
    values = draw.normal(size=(4000, 5)) + label[:, None] * np.array([0.9, -0.5, 0.2, 0.0, 0.4])
    score, found = solved(values, label)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(score[:, None], label)
    assert (found.slope, found.offset) == pytest.approx((theirs.coef_[0, 0], theirs.intercept_[0]), rel=1e-6)
    assert found.method == "moments" and found.rows == 4000


def test_both_fits_agree_where_the_classes_are_normal() -> None:
    draw = np.random.default_rng(4)
    label = draw.random(40_000) < 0.4
    score, by_moments = solved(draw.normal(size=(40_000, 3)) + label[:, None], label)
    by_scores = calibration.platt(label, score)
    assert (by_moments.slope, by_moments.offset) == pytest.approx((by_scores.slope, by_scores.offset), abs=0.02)


def test_moments_without_spread_or_with_none_left_inside_the_classes_give_the_prior() -> None:
    label = np.arange(400) >= 300
    for values in (np.zeros((400, 1)), label[:, None].astype(float)):
        score, found = solved(values, label)
        assert found.slope == 0.0
        assert metrics.sigmoid(found.log_odds(score)) == pytest.approx(0.25)


def test_a_scorecard_times_its_line_scores_in_calibrated_log_odds() -> None:
    draw = np.random.default_rng(9)
    values = draw.normal(size=(2000, 4))
    label = draw.random(2000) < metrics.sigmoid(1.5 * values[:, 0] - values[:, 1] - 2.0)
    given = moments.from_data(values, label, ("all",) * 4)
    solved = moments.solve(given, {"all"}, 1.0)
    line = calibration.from_moments(given, solved)
    scaled = calibration.applied(line, solved)
    score = values @ solved.weights + solved.intercept
    assert line.slope > 1.5, "one Newton step is too flat where the label is rare"
    assert values @ scaled.weights + scaled.intercept == pytest.approx(line.log_odds(score))
    again = calibration.from_moments(given, scaled)
    assert (again.slope, again.offset) == pytest.approx((1.0, 0.0), abs=1e-9)
    flat = Calibration(method="moments", slope=0.0, offset=-1.0, rows=2000)
    assert calibration.applied(flat, solved) is solved
