"""Clients in bands of predicted chance: what a calibration plot and a lift table show, and no single client.

Bands are tenths of the weight, highest chances first; equal chances stay in one band. Neighbours are merged until each
band has enough rows of each class, counted by what they weigh (Kish, Survey Sampling, 1965: (Σw)²/Σw² rows), so that no
band's rate is a statement about a few clients or about one that outweighs the others.
"""

from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from federation.metrics import TOP, Floats, ppm

TENTHS = 10
ROWS_MIN = 50  # design rule e
CLASS_ROWS_MIN = 5  # nobody but the label holder knows who is in a band: a rate of 0 or 1 would still say it of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Test rows with neighbouring predicted chances."""

    rows: int
    share_ppm: int  # of all weight
    predicted_ppm: int  # mean predicted chance
    observed_ppm: int  # share of positives


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """What any published group of test rows must have, in effective rows."""

    rows: int
    of_each_class: int

    def met(self, label: NDArray[np.bool_], weights: Floats) -> bool:
        return (
            effective_rows(weights) >= self.rows
            and min(effective_rows(weights[label]), effective_rows(weights[~label])) >= self.of_each_class
        )


def effective_rows(weights: Floats) -> float:
    """How many rows of equal weight would say as much: from 1, where one row outweighs all, to their number; 0 of none.

    weights: (rows,), at least 0, any scale.
    """
    most = float(weights.max(initial=0.0))
    if most == 0.0:
        return 0.0
    scaled = weights / most
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def bands(label: NDArray[np.bool_], chance: Floats, weights: Floats, minimum: Minimum) -> tuple[Band, ...]:
    """The bands of test rows, highest chances first; none where all rows together are too few.

    label, chance, weights: (rows,).
    """
    tenth = _tenths(chance, weights)
    groups: list[NDArray[np.bool_]] = []
    open_ = np.zeros(len(label), bool)
    for number in range(TENTHS):
        open_ = open_ | (tenth == number)
        if minimum.met(label[open_], weights[open_]):
            groups.append(open_)
            open_ = np.zeros(len(label), bool)
    if open_.any() and groups:  # what is left over is too small to stand alone
        groups[-1] = groups[-1] | open_
    return tuple(_band(label, chance, weights, group) for group in groups)


def top_is_shown(label: NDArray[np.bool_], score: Floats, weights: Floats, minimum: Minimum) -> bool:
    """Whether the precision of the top tenth may be published: the rows in it meet the minimum."""
    part = weights * share_in_top(score, weights)
    return minimum.met(label, part)


def _band(label: NDArray[np.bool_], chance: Floats, weights: Floats, group: NDArray[np.bool_]) -> Band:
    own = weights[group]
    total = fsum(own)  # correctly rounded sums: the figures are the same in whatever order the rows stand
    return Band(
        rows=int(group.sum()),
        share_ppm=ppm(total / fsum(weights)),
        predicted_ppm=ppm(fsum(own * chance[group]) / total),
        observed_ppm=ppm(fsum(own * label[group]) / total),
    )


def _tenths(score: Floats, weights: Floats) -> NDArray[np.int64]:
    """(rows,): 0 for the tenth of the weight with the highest scores … 9; a group of equal scores by its middle."""
    above, own, group = _above(score, weights)
    middle = (above + own / 2) / weights.sum()
    return np.asarray(np.minimum((middle * TENTHS).astype(np.int64), TENTHS - 1)[group])


def share_in_top(score: Floats, weights: Floats) -> Floats:
    """(rows,): how much of each row's weight is in the top tenth, as `metrics.top_decile_precision` counts it."""
    above, own, group = _above(score, weights)
    taken = np.clip(TOP * weights.sum() - above, 0.0, own)
    return np.asarray(np.divide(taken, own, out=np.zeros_like(taken), where=own > 0)[group])


def _above(score: Floats, weights: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """(weight above each distinct score, weight at it, each row's place among the distinct scores)."""
    distinct, group = np.unique(-score, return_inverse=True)
    own = np.bincount(group, weights=weights, minlength=len(distinct)).astype(np.float64)
    return np.cumsum(own) - own, own, group.astype(np.int64)
