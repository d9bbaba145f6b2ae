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


def solve(moments: Moments, parties: Collection[str], ridge: float) -> Solution:
    """The scorecard of a subset of the parties. ridge > 0 is λ, on standardised columns.

    Moments that were not shown exactly can make the centred matrix indefinite. Then the penalty is lifted by what its
    smallest eigenvalue lacks, which keeps the solution unique; `lift` says so.
    """
    chosen = np.array([i for i, owner in enumerate(moments.owners) if owner in parties], dtype=np.int64)
    sums, target = moments.sums[chosen], moments.target[chosen]
    # the unpenalised intercept is eliminated first: what is left are the moments about the mean
    centred = (moments.gram[np.ix_(chosen, chosen)] - np.outer(sums, sums) / moments.rows) / 4
    smallest = float(np.linalg.eigvalsh(centred)[0]) if len(chosen) else 0.0
    # within the rounding noise of the largest moment the matrix counts as semi-definite; the penalty makes it definite
    lift = -smallest if smallest < -1e-9 * moments.rows else 0.0
    answer = np.linalg.solve(
        centred + (ridge + lift) * np.eye(len(chosen)), target - sums * (moments.target_sum / moments.rows)
    )
    weights = np.zeros(len(moments.owners))
    weights[chosen] = answer
    intercept = (4 * moments.target_sum - float(sums @ answer)) / moments.rows
    return Solution(weights=weights, intercept=intercept, lift=lift)


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
