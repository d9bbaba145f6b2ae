"""The pooled peer equals scikit-learn's logistic regression."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federation.errors import NotConverged
from federation.models import logistic
from federation.models.logistic import fit

DRAW = np.random.default_rng(6)


@pytest.mark.parametrize("c", [0.01, 1.0, 50.0])
def test_it_equals_scikit_learn(c: float) -> None:
    values = DRAW.normal(size=(400, 5))
    label = DRAW.random(400) < 1 / (1 + np.exp(-values[:, 0] - 1))
    peer = LogisticRegression(C=c, tol=1e-10, max_iter=5000).fit(values, label)
    found = fit(values, label, c)
    assert found.weights == pytest.approx(peer.coef_[0], abs=1e-5)
    assert found.intercept == pytest.approx(peer.intercept_[0], abs=1e-5)
    assert found.scores(values) == pytest.approx(peer.decision_function(values), abs=1e-4)


def test_separable_data_have_a_finite_answer() -> None:
    values = np.linspace(-1, 1, 40)[:, None]
    label = values[:, 0] > 0
    found = fit(values, label, 100.0)
    peer = LogisticRegression(C=100.0, tol=1e-10, max_iter=10_000).fit(values, label)
    assert found.weights[0] == pytest.approx(peer.coef_[0, 0], rel=1e-3)


def test_iterations_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "ITERATIONS_MAX", 2)
    values = DRAW.normal(size=(50, 2))
    with pytest.raises(NotConverged, match="2 iterations"):
        fit(values, values[:, 0] > 0, 10.0)
