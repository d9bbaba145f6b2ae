"""Ridge logistic regression on data in one place: the pooled peer the joint scorecard is measured against."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors import NotConverged

Floats = NDArray[np.float64]
ITERATIONS_MAX = 100
HALVINGS_MAX = 40
DECREMENT_MAX = 1e-12  # squared Newton decrement per row at which the iteration stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    weights: Floats  # (m,)
    intercept: float

    def scores(self, values: Floats) -> Floats:
        """(rows,) log-odds of (rows, m) values."""
        return np.asarray(values @ self.weights + self.intercept)


def fit(values: Floats, label: NDArray[np.bool_], c: float) -> Logistic:
    """Minimise ½‖w‖² + C · Σ log(1 + exp(−s)) with an unpenalised intercept, by Newton steps (IRLS) with halving.

    values: (rows, m); label: (rows,); c > 0 as in common libraries (1/λ). Raises NotConverged.
    """
    design = np.column_stack([values, np.ones(len(values))])
    sign = np.where(label, 1.0, -1.0)
    penalty = np.append(np.full(values.shape[1], 1.0 / c), 0.0)

    def loss(weights: Floats) -> float:
        return float(np.logaddexp(0.0, -sign * (design @ weights)).sum() + 0.5 * (penalty * weights**2).sum())

    weights = np.zeros(design.shape[1])
    value = loss(weights)
    for _ in range(ITERATIONS_MAX):
        chance = 0.5 * (1.0 + np.tanh(0.5 * (design @ weights)))  # a sigmoid that cannot overflow
        gradient = design.T @ (chance - label) + penalty * weights
        hessian = (design.T * (chance * (1.0 - chance))) @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        decrement = float(gradient @ step)
        if decrement <= DECREMENT_MAX * len(label):
            return Logistic(weights=weights[:-1], intercept=float(weights[-1]))
        for halving in range(HALVINGS_MAX):
            candidate = weights - step * 0.5**halving
            if (reached := loss(candidate)) <= value:
                weights, value = candidate, reached
                break
        else:
            break
    raise NotConverged(iterations=ITERATIONS_MAX)
