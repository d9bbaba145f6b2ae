"""The refinement on pooled rows: the same rounds in one place, with or without the rounding of the protocol."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federation import calibration
from federation.metrics import Floats, sigmoid
from federation.models import moments, refine
from federation.models.refine import Block, Pace


def pooled(
    parts: Sequence[Floats],
    label: NDArray[np.bool_],
    *,
    ridge: float = 1.0,
    rounds: int = 6,
    plateau_ppm: int = 1000,
    step: float = 0.0,
    start: Sequence[Floats] | None = None,
    calibrated: bool = False,
) -> tuple[list[Floats], list[float], str]:
    """Every party's weights that are kept, the train log-losses, and why the rounds ended.

    parts: (rows, m) train values of every party, the label holder's first; its weights begin with the intercept.
    step: of the other parties' scores; 0 leaves scores and residuals exact.
    """
    owners = tuple(str(index) for index, part in enumerate(parts) for _ in range(part.shape[1]))
    values = [np.column_stack([np.ones(len(label)), parts[0]]), *parts[1:]]
    penalties = [np.append(0.0, np.full(parts[0].shape[1], ridge)), *(np.full(p.shape[1], ridge) for p in parts[1:])]
    if start is None:
        given = moments.from_data(np.hstack(parts), label, owners)
        solved = moments.solve(given, set(owners), ridge)
        if calibrated:
            solved = calibration.applied(calibration.from_moments(given, solved), solved)
        cut = np.cumsum([part.shape[1] for part in parts])[:-1]
        first, *rest = np.split(solved.weights, cut)
        start = [np.append(solved.intercept, first), *rest]
    blocks = [Block(one.T @ one, penalty) for one, penalty in zip(values, penalties, strict=True)]
    at = [refine.begin(weights) for weights in start]
    kept, losses = [], []
    pace = Pace(divisor=1, anew=False)
    while True:
        kept.append([one.point for one in at])
        shares = [one @ own.point for one, own in zip(values, at, strict=True)]
        score = shares[0] + sum(np.rint(share / step) * step if step else share for share in shares[1:])
        losses.append(refine.log_loss(label, score))
        verdict = refine.judge(losses, pace.divisor, len(parts), plateau_ppm, rounds)
        if isinstance(verdict, str):
            return kept[refine.best(losses) - 1], losses, verdict
        pace = verdict
        left = refine.residual(label, score) / refine.RESIDUAL_ONE if step else label - sigmoid(score)
        at = [block.step(own, one.T @ left, pace) for block, own, one in zip(blocks, at, values, strict=True)]
