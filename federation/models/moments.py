"""Model 1: the joint scorecard, solved from second moments alone.

The weights solve the ridge system (XᵀX/4 + λI) w = Xᵀ(y − ½) with an unpenalised intercept: the first Newton step of
logistic regression from zero, whose Hessian is XᵀX/4 there (Böhning 1992 bounds it everywhere). It needs no score of
any row, and any subset of the parties can be solved from the same moments.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LIFT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over the train rows of m columns, each column owned by one party."""

    owners: tuple[str, ...]  # (m,)
    rows: int
    gram: Floats  # (m, m): XᵀX
    sums: Floats  # (m,): Xᵀ1
    target: Floats  # (m,): Xᵀ(y − ½)
    target_sum: float  # 1ᵀ(y − ½)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Weights of the chosen parties' columns, zero elsewhere."""

    weights: Floats  # (m,)
    intercept: float
    lift: float  # what had to be added to the penalty, 0 where the moments are those of whole data


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The ridge system of some parties' columns, taken apart once so that every penalty is solved at little cost."""

    moments: Moments
    chosen: NDArray[np.int64]  # places of the parties' columns
    values: Floats  # eigenvalues of the centred second moments over 4, rising
    vectors: Floats  # (chosen, chosen), eigenvectors as columns
    target: Floats  # (chosen,): centred moments with the label, along the eigenvectors

    def solution(self, ridge: float) -> Solution:
        """ridge > 0 is λ, on standardised columns.

        Moments that were not shown exactly can make the centred matrix indefinite. Then the penalty is lifted by
        LIFT times what its smallest eigenvalue lacks: that says how large the errors of all eigenvalues are, and a
        penalty no larger than they are would weigh columns by them. `lift` says by how much.
        """
        rows = self.moments.rows
        smallest = float(self.values[0]) if len(self.values) else 0.0
        # within the rounding noise of the largest moment the matrix counts as semi-definite; the penalty makes it so
        lift = -LIFT * smallest if smallest < -1e-9 * rows else 0.0
        answer = self.vectors @ (self.target / (self.values + ridge + lift))
        weights = np.zeros(len(self.moments.owners))
        weights[self.chosen] = answer
        intercept = (4 * self.moments.target_sum - float(self.moments.sums[self.chosen] @ answer)) / rows
        return Solution(weights=weights, intercept=intercept, lift=lift)


def system(moments: Moments, parties: Collection[str]) -> System:
    """The ridge system of a subset of the parties."""
    chosen = np.array([i for i, owner in enumerate(moments.owners) if owner in parties], dtype=np.int64)
    sums = moments.sums[chosen]
    # the unpenalised intercept is eliminated first: what is left are the moments about the mean
    centred = (moments.gram[np.ix_(chosen, chosen)] - np.outer(sums, sums) / moments.rows) / 4
    values, vectors = np.linalg.eigh(centred)
    target = vectors.T @ (moments.target[chosen] - sums * (moments.target_sum / moments.rows))
    return System(moments=moments, chosen=chosen, values=values, vectors=vectors, target=target)


def solve(moments: Moments, parties: Collection[str], ridge: float) -> Solution:
    """The scorecard of a subset of the parties with one penalty: `System.solution`."""
    return system(moments, parties).solution(ridge)


def squared_error(moments: Moments, solution: Solution) -> float:
    """Σ (y − ½ − s/4)² of the solution's scores s over the rows of these moments, which may be others than it saw.

    It is what the ridge system minimises beside the penalty, and the rows times the Brier score of the chance ½ + s/4.
    """
    weights, intercept = solution.weights, solution.intercept
    with_label = float(weights @ moments.target) + intercept * moments.target_sum
    squares = float(weights @ moments.gram @ weights) + 2 * intercept * float(weights @ moments.sums)
    return moments.rows / 4 - with_label / 2 + (squares + intercept**2 * moments.rows) / 16


def from_data(values: Floats, label: NDArray[np.bool_], owners: tuple[str, ...]) -> Moments:
    """The moments of pooled data: what the parties compute together, for whoever holds all columns.

    values: (rows, m); label: (rows,).
    """
    centred = label.astype(np.float64) - 0.5
    return Moments(
        owners=owners,
        rows=len(label),
        gram=values.T @ values,
        sums=values.sum(axis=0),
        target=values.T @ centred,
        target_sum=float(centred.sum()),
    )


def together(parts: Sequence[Moments]) -> Moments:
    """The moments of all parts' rows; the parts have the same columns."""
    assert len({part.owners for part in parts}) == 1, "parts of the same columns"
    return Moments(
        owners=parts[0].owners,
        rows=sum(part.rows for part in parts),
        gram=np.sum([part.gram for part in parts], axis=0),
        sums=np.sum([part.sums for part in parts], axis=0),
        target=np.sum([part.target for part in parts], axis=0),
        target_sum=sum(part.target_sum for part in parts),
    )
