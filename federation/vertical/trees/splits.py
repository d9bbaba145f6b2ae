"""The best split of a node by sums of derivatives over groups of neighbouring bins.

Gain (Chen and Guestrin, XGBoost, KDD 2016, equation 7, without its constants): G²/(H + λ) of both sides less that of
the node. Sums are integers, so a gain is the same number whoever computes it.
"""

from dataclasses import dataclass

import numpy as np

from federation.features import Floats, Integers

GAIN_MIN = 1e-9  # a split that gains less is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """A party's bins of one node, neighbours merged as that party shows them: all columns one after the other."""

    counts: Integers  # (columns,): groups of each column; 0 or 1 where nothing can be split
    first: Integers  # (groups of all columns,): sums of first derivatives
    second: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What the integers of one tree mean, and what a split must keep."""

    first: float
    second: float
    penalty: float  # λ
    least: int  # units of second derivatives that both sides need


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A split between two groups of a column: groups up to `bound` go left."""

    gain: float
    column: int
    bound: int


def best(groups: Groups, units: Units) -> Cut | None:
    """The cut with the largest gain, the first of equal ones; None where none gains."""
    ends = np.cumsum(groups.counts)
    starts = ends - groups.counts
    owner = np.repeat(np.arange(len(groups.counts)), groups.counts)
    sums = [np.concatenate([[0], np.cumsum(part)]) for part in (groups.first, groups.second)]
    left_first, left_second = (total[1:] - total[starts[owner]] for total in sums)
    all_first, all_second = (total[ends[owner]] - total[starts[owner]] for total in sums)
    right_first, right_second = all_first - left_first, all_second - left_second
    allowed = (left_second >= units.least) & (right_second >= units.least)
    allowed[ends[groups.counts > 0] - 1] = False  # after a column's last group nothing is right of the cut
    if not allowed.any():
        return None
    gain = (
        _score(left_first, left_second, units)
        + _score(right_first, right_second, units)
        - _score(all_first, all_second, units)
    )
    place = int(np.where(allowed, gain, -np.inf).argmax())
    if gain[place] <= GAIN_MIN:
        return None
    column = int(owner[place])
    return Cut(gain=float(gain[place]), column=column, bound=place - int(starts[column]))


def _score(first: Integers, second: Integers, units: Units) -> Floats:
    return np.asarray((first * units.first) ** 2 / (second * units.second + units.penalty))
