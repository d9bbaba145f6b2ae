"""Cross-validation from moments by fold equals cross-validation on rows, and chooses the penalty by it."""

import numpy as np
import pytest

from federation.models import moments, path
from federation.models.moments import Moments, Solution

ROWS, FOLDS = 900, 4
DRAW = np.random.default_rng(4)
VALUES = DRAW.normal(size=(ROWS, 8)) @ (np.eye(8) + 0.4 * DRAW.normal(size=(8, 8))) - 0.3
LABEL = DRAW.random(ROWS) < 1 / (1 + np.exp(-VALUES[:, 0] + 0.7 * VALUES[:, 5]))
OWNERS = ("broker",) * 3 + ("bank",) * 3 + ("platform",) * 2
fold_of = DRAW.integers(0, FOLDS, ROWS)
VARIANTS = [{"broker"}, {"broker", "bank"}, {"broker", "bank", "platform"}]
RIDGES = [100, 1_000, 30_000, 900_000]


def of(rows: np.ndarray) -> Moments:
    return moments.from_data(VALUES[rows], LABEL[rows], OWNERS)


def error_on_rows(parties: set[str], ridge: float, fold: int) -> float:
    """The dense computation: ridge on the other folds' rows, scores of the fold's rows."""
    chosen = [owner in parties for owner in OWNERS]
    design = np.column_stack([VALUES[:, chosen], np.ones(ROWS)])
    seen, penalty = design[fold_of != fold], np.diag([ridge] * sum(chosen) + [0.0])
    weights = np.linalg.solve(seen.T @ seen / 4 + penalty, seen.T @ (LABEL[fold_of != fold] - 0.5))
    return float(((LABEL[fold_of == fold] - 0.5 - design[fold_of == fold] @ weights / 4) ** 2).mean())


@pytest.fixture(scope="module")
def found() -> path.CrossValidation:
    return path.cross_validate([of(fold_of == k) for k in range(FOLDS)], VARIANTS, RIDGES)


def test_it_equals_cross_validation_on_rows(found: path.CrossValidation) -> None:
    everybody, chosen = VARIANTS[-1], found.ridge_milli / 1000
    for place, ridge in enumerate(RIDGES):
        expected = [error_on_rows(everybody, ridge / 1000, k) for k in range(FOLDS)]
        assert found.path[place] == pytest.approx(expected, abs=1e-12)
    for place, parties in enumerate(VARIANTS):
        expected = [error_on_rows(parties, chosen, k) for k in range(FOLDS)]
        assert found.variants[place] == pytest.approx(expected, abs=1e-12)
    assert found.rows == tuple(np.bincount(fold_of).tolist())


def test_the_base_is_the_mean_of_the_other_folds(found: path.CrossValidation) -> None:
    expected = [((LABEL[fold_of == k] - LABEL[fold_of != k].mean()) ** 2).mean() for k in range(FOLDS)]
    assert found.base == pytest.approx(expected, abs=1e-12)


def test_the_candidate_with_the_least_error_is_chosen(found: path.CrossValidation) -> None:
    rows = np.array(found.rows)
    means = [float(errors @ rows) / ROWS for errors in found.path]
    assert means[found.chosen] == min(means)
    assert (found.path[found.chosen] == found.variants[-1]).all()


def test_noise_chooses_a_large_penalty_and_a_clear_signal_a_small_one() -> None:
    noise = DRAW.normal(size=(300, 40))
    owners = ("broker",) * 40
    signal = noise[:, :3] @ np.array([3.0, -3.0, 3.0]) > 0
    labels = {"noise": DRAW.random(300) < 0.5, "signal": signal}
    chosen = {}
    for name, label in labels.items():
        folds = [moments.from_data(noise[k::3], label[k::3], owners) for k in range(3)]
        chosen[name] = path.cross_validate(folds, [{"broker"}], RIDGES).ridge_milli
    assert chosen["noise"] == RIDGES[-1]
    assert chosen["signal"] < RIDGES[-1]


def test_of_equal_candidates_the_larger_is_chosen() -> None:
    """Without a column every penalty gives the same."""
    folds = [of(fold_of == k) for k in range(FOLDS)]
    assert path.cross_validate(folds, [()], RIDGES).ridge_milli == RIDGES[-1]


def test_a_squared_error_is_that_of_the_rows() -> None:
    solution = Solution(weights=DRAW.normal(size=8), intercept=0.3, lift=0.0)
    scores = VALUES @ solution.weights + solution.intercept
    expected = ((LABEL - (0.5 + scores / 4)) ** 2).sum()
    assert moments.squared_error(of(np.ones(ROWS, bool)), solution) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("ridges", [[1_000, 100], [100, 100]], ids=["falling", "twice"])
def test_penalties_must_rise(ridges: list[int]) -> None:
    with pytest.raises(AssertionError):
        path.cross_validate([of(fold_of == k) for k in range(FOLDS)], VARIANTS, ridges)
