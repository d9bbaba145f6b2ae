"""Model 1b: the scorecard of moments, refined by rounds of logistic regression. What each side computes, without I/O.

Every party keeps its own weights and steps by its own block of the bound XᵀX/4 on the Hessian (Böhning 1992), which
does not change over the rounds; Nesterov's momentum (1983) runs across them. The blocks together bound the Hessian of K
parties only after division by K: a step begins undivided, which is faster and as a rule falls, and is divided by K once
the label holder sees the train log-loss rise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from federation.features import VALUE_MAX
from federation.metrics import Floats, sigmoid

RESIDUAL_ONE = VALUE_MAX  # a residual of 1 as an integer: no larger than a column's value, so it needs no larger ring
PLATEAU, ROUNDS = "plateau", "rounds"  # why rounds end

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where one party's m weights stand."""

    point: Floats  # (m,): with momentum; the scores and the residual of a round are taken here
    weights: Floats  # (m,): without
    steps: int = 0  # since the momentum began


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the next step is taken, the same at every party: the label holder says so with each residual."""

    divisor: int  # 1, or the number of parties
    anew: bool  # the momentum begins again


class Block:
    """One party's columns in the rounds."""

    def __init__(self, gram: Floats, penalty: Floats) -> None:
        """gram: (m, m), XᵀX over the train rows; penalty: (m,), λ of each column, 0 for an intercept."""
        self._penalty = penalty
        self._bound = gram / 4 + np.diag(penalty)

    def step(self, at: Position, pull: Floats, pace: Pace) -> Position:
        """One step from a position; pull: (m,), Xᵀ(y − σ(score)) at its point."""
        ahead = np.linalg.solve(self._bound, pull - self._penalty * at.point) / pace.divisor
        weights, steps = at.point + ahead, (0 if pace.anew else at.steps) + 1
        momentum = 0.0 if pace.anew else _momentum(steps)
        return Position(point=weights + momentum * (weights - at.weights), weights=weights, steps=steps)


def begin(weights: Floats) -> Position:
    """The position of the first round, at the weights that moments gave."""
    return Position(point=weights, weights=weights)


def residual(label: NDArray[np.bool_], score: Floats) -> Integers:
    """(rows,): y − σ(score) in units of 1/RESIDUAL_ONE, rounded."""
    return np.rint((label - sigmoid(score)) * RESIDUAL_ONE).astype(np.int64)


def log_loss(label: NDArray[np.bool_], score: Floats) -> float:
    """Mean over the rows, of the scores as they are."""
    return float(np.logaddexp(0.0, np.where(label, -score, score)).mean())


def judge(losses: Sequence[float], divisor: int, parties: int, plateau_ppm: int, rounds: int) -> Pace | str:
    """What follows the last of these train log-losses: the pace of the next step, or why the rounds end.

    divisor: of the step before; rounds: how many may be scored. A rise is answered by the divided step first; a fall
    below the plateau's share of the loss, or a rise with that step too, ends the rounds.
    """
    if len(losses) > 1:
        fall = losses[-2] - losses[-1]
        rose = fall < 0 and divisor < parties
        if not rose and fall < plateau_ppm / 1e6 * losses[-2]:
            return PLATEAU
        if len(losses) < rounds:
            return Pace(divisor=parties if rose else divisor, anew=rose)
    return Pace(divisor=divisor, anew=False) if len(losses) < rounds else ROUNDS


def best(losses: Sequence[float]) -> int:
    """The round whose weights are kept, from 1: the one with the least train log-loss, the earlier of equal ones."""
    return 1 + int(np.argmin(losses))


def _momentum(step: int) -> float:
    """Nesterov's (t − 1) / t' of the step, from 1."""
    *_, before, after = accumulate(range(step), lambda t, _: (1 + np.sqrt(1 + 4 * t * t)) / 2, initial=1.0)
    return float((before - 1) / after)
