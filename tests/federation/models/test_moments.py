"""The scorecard from moments equals the dense solution on the data, for every subset of the parties."""

import numpy as np
import pytest

from federation import metrics
from federation.models import logistic
from federation.models.moments import LIFT, Moments, from_data, solve

DRAW = np.random.default_rng(2)
VALUES = DRAW.normal(size=(500, 7)) @ (np.eye(7) + 0.3 * DRAW.normal(size=(7, 7))) + 0.2
LABEL = DRAW.random(500) < 1 / (1 + np.exp(-VALUES[:, 0] + VALUES[:, 4]))
OWNERS = ("broker", "broker", "bank", "bank", "bank", "platform", "platform")


@pytest.mark.parametrize(
    "parties", [{"broker"}, {"broker", "bank"}, {"broker", "platform"}, {"broker", "bank", "platform"}, set()]
)
def test_any_subset_of_parties_equals_the_dense_solution(parties: set[str]) -> None:
    chosen = [i for i, owner in enumerate(OWNERS) if owner in parties]
    design = np.column_stack([VALUES[:, chosen], np.ones(500)])
    penalty = np.diag([2.0] * len(chosen) + [0.0])
    expected = np.linalg.solve(design.T @ design / 4 + penalty, design.T @ (LABEL - 0.5))
    found = solve(from_data(VALUES, LABEL, OWNERS), parties, 2.0)
    assert found.weights[chosen] == pytest.approx(expected[:-1], abs=1e-12)
    assert found.intercept == pytest.approx(expected[-1], abs=1e-12)
    assert not np.delete(found.weights, chosen).any()
    assert found.lift == 0.0


def test_it_is_the_first_newton_step_of_logistic_regression() -> None:
    """At zero the gradient of the log loss is -X^T(y - 1/2) and its Hessian X^T X / 4."""
    found = solve(from_data(VALUES, LABEL, OWNERS), set(OWNERS), 1.0)
    design, weights = np.column_stack([VALUES, np.ones(500)]), np.append(found.weights, found.intercept)
    slope = design.T @ (0.5 + design @ weights / 4 - LABEL) + np.append(found.weights, 0.0)
    assert np.abs(slope).max() < 1e-9


def test_indefinite_moments_lift_the_penalty_until_the_solution_is_unique() -> None:
    whole = from_data(VALUES, LABEL, OWNERS)
    gram = whole.gram.copy()
    gram[0, 2] = gram[2, 0] = 0.99 * np.sqrt(gram[0, 0] * gram[2, 2])
    gram[1, 2] = gram[2, 1] = -0.99 * np.sqrt(gram[1, 1] * gram[2, 2])
    gram[0, 1] = gram[1, 0] = 0.99 * np.sqrt(gram[0, 0] * gram[1, 1])
    broken = Moments(
        owners=OWNERS, rows=500, gram=gram, sums=whole.sums, target=whole.target, target_sum=whole.target_sum
    )
    found = solve(broken, set(OWNERS), 1.0)
    assert found.lift > 0
    centred = (gram - np.outer(whole.sums, whole.sums) / 500) / 4
    assert found.lift == pytest.approx(-LIFT * np.linalg.eigvalsh(centred)[0])
    centred += found.lift * np.eye(7)
    target = whole.target - whole.sums * whole.target_sum / 500
    assert (centred + np.eye(7)) @ found.weights == pytest.approx(target, abs=1e-6)


def test_the_scorecard_ranks_like_logistic_regression() -> None:
    found = solve(from_data(VALUES, LABEL, OWNERS), set(OWNERS), 1.0)
    peer = logistic.fit(VALUES, LABEL, 1.0)
    ours = metrics.auc(LABEL, VALUES @ found.weights + found.intercept)
    assert ours > metrics.auc(LABEL, peer.scores(VALUES)) - 0.003
