"""From a score to a chance: a straight line on log-odds, fitted on train rows and never on a row it is judged on.

Two ways to fit it. `platt` needs the train rows' scores (Platt, Probabilistic outputs for support vector machines,
1999; the Newton steps follow Lin, Lin and Weng, Machine Learning 68, 2007). `from_moments` needs only the moments the
scorecard itself was solved from, for variants of which nobody holds a train row's score: the line of two normal classes
with one variance (Fisher's discriminant; Efron, JASA 70, 1975).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federation.metrics import Floats, sigmoid
from federation.models.moments import Moments, Solution

PLATT, MOMENTS = "platt", "moments"
STEPS_MAX = 100
HALVINGS_MAX = 40
STEP_MIN = 1e-10  # log-odds; smaller steps change no figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """log-odds = slope · score + offset, as fitted by `method` on `rows` train rows. slope is never below 0."""

    method: str  # PLATT or MOMENTS
    slope: float
    offset: float
    rows: int

    def log_odds(self, score: Floats) -> Floats:
        """(rows,) calibrated log-odds of (rows,) scores."""
        return np.asarray(self.slope * score + self.offset)


def platt(label: NDArray[np.bool_], score: Floats) -> Calibration:
    """Logistic calibration on train rows, its targets drawn in by one row of each class as in Platt's section 2.2.

    label, score: (rows,), both classes present. A score that ranks no better than by chance gets slope 0.
    """
    rows, positives = len(label), int(label.sum())
    prior = float(np.log((positives + 1) / (rows - positives + 1)))
    centre, spread = float(score.mean()), float(score.std())
    if spread == 0.0:
        return Calibration(method=PLATT, slope=0.0, offset=prior, rows=rows)
    target = np.where(label, (positives + 1) / (positives + 2), 1 / (rows - positives + 2))
    design = np.column_stack([(score - centre) / spread, np.ones(rows)])
    slope, level = _fit(design, target, np.array([0.0, prior])).tolist()
    if slope <= 0.0:
        return Calibration(method=PLATT, slope=0.0, offset=prior, rows=rows)
    return Calibration(method=PLATT, slope=slope / spread, offset=level - slope * centre / spread, rows=rows)


def from_moments(moments: Moments, solution: Solution) -> Calibration:
    """The line of two normal classes with one variance, from the train rows' moments and the solved weights.

    Moments that leave no variance within the classes, or no distance between them, get slope 0.
    """
    rows, weights = moments.rows, solution.weights
    share = moments.target_sum / rows + 0.5  # of positives
    prior = float(np.log(share / (1 - share)))
    mean = float(weights @ moments.sums) / rows
    centred = moments.target - moments.sums * (moments.target_sum / rows)
    apart = float(weights @ centred) / (rows * share * (1 - share))  # the classes' mean scores
    variance = float(weights @ moments.gram @ weights) / rows - mean**2
    within = variance - share * (1 - share) * apart**2
    if apart <= 0.0 or within <= 1e-9 * variance:
        return Calibration(method=MOMENTS, slope=0.0, offset=prior, rows=rows)
    slope = apart / within
    middle = solution.intercept + mean + (0.5 - share) * apart
    return Calibration(method=MOMENTS, slope=slope, offset=prior - slope * middle, rows=rows)


def applied(line: Calibration, solution: Solution) -> Solution:
    """The scorecard whose scores are the calibrated ones; the same where they rise with nothing."""
    if line.slope <= 0.0:
        return solution
    return replace(
        solution, weights=line.slope * solution.weights, intercept=line.slope * solution.intercept + line.offset
    )


def _fit(design: Floats, target: Floats, start: Floats) -> Floats:
    """Newton steps with halving on the cross entropy of soft targets; convex, and finite because no target is 0 or 1.

    design: (rows, 2); target: (rows,) in (0, 1).
    """

    def loss(line: Floats) -> float:
        odds = design @ line
        return float((np.logaddexp(0.0, odds) - target * odds).sum())

    line, value = start, loss(start)
    for _ in range(STEPS_MAX):
        chance = sigmoid(design @ line)
        hessian = (design.T * (chance * (1.0 - chance))) @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (chance - target))
        for _ in range(HALVINGS_MAX):
            if (reached := loss(line - step)) <= value:
                break
            step = step / 2
        else:
            break  # no step is better: rounding ends it
        line, value = line - step, reached
        if float(np.abs(step).max()) < STEP_MIN:
            break
    return line
