"""What a client would have to change for another chance, within columns that the label holder says can be changed.

The score is linear in the model values, so the smallest change, counted in standard deviations and summed over the
columns, uses the column with the most effect a deviation first, to its bound if need be, and then the next. A column
that enters as bins comes after these: it moves to the nearest value that is enough, or to the best one. Whole numbers
stay whole, and a value is rounded outwards: what is said, entered as data, reaches the chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, inf, isnan, log10

import numpy as np

from federation.bins import Bins
from federation.calibration import Calibration
from federation.errors import BoundsInvalid
from federation.explain import chance_of
from federation.features import Floats
from federation.scale import UNITS, Scale

CLOSE = 1e-9  # log-odds that count as none
EDGE_PARTS = 1_000  # how near to the edge of a bin a value is said, as a part of what is reached of the bin
DIGITS = 3  # of a standard deviation, in the values that are said


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """A column that can be changed for one client, within [least, most], both of which the client may be outside of."""

    column: str
    weight: float  # raw log-odds a standard deviation
    scale: Scale
    now: float
    least: float
    most: float
    whole: bool  # takes whole numbers only

    def __post_init__(self) -> None:
        finite = -inf < self.least <= self.most < inf
        if not finite or (self.whole and ceil(self.least) > floor(self.most)):
            raise BoundsInvalid(column=self.column, least=f"{self.least:g}", most=f"{self.most:g}")

    def bound(self, up: bool) -> float:
        """The farthest value this way; the present one where that is beyond it."""
        if up:
            return max(self.now, floor(self.most) if self.whole else self.most)
        return min(self.now, ceil(self.least) if self.whole else self.least)

    def effect(self, value: float) -> float:
        """What the raw score gains when the client has this value."""
        before, after = self.scale.units(np.array([self.now, value]))
        return self.weight * float(after - before) / UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class BinLever:
    """A column that enters as bins and can be changed for one client; a missing value now is NaN."""

    column: str
    weights: Floats  # (columns of the matrix,): raw log-odds
    bins: Bins
    now: float
    least: float
    most: float
    whole: bool

    def __post_init__(self) -> None:
        if not self.values():
            raise BoundsInvalid(column=self.column, least=f"{self.least:g}", most=f"{self.most:g}")

    def values(self) -> list[float]:
        """Of every bin that the bounds reach, the value nearest to the present one, that one first."""
        return nearest(self.bins.edges.tolist(), self.now, self.least, self.most, whole=self.whole)

    def effect(self, value: float) -> float:
        """What the raw score gains when the client has this value."""
        before, after = self.bins.units(np.array([self.now, value])) @ self.weights / UNITS
        return float(after - before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One column's part."""

    column: str
    now: float
    then: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """The changes, and the chance they lead to; where it is not `reached`, the best chance within the bounds."""

    target: float
    reached: bool
    chance: float
    changes: tuple[Change, ...]


def find(score: float, line: Calibration, target: float, levers: Sequence[Lever | BinLever]) -> Counterfactual:
    """The smallest change of these columns that brings a client's chance to `target`, up or down as need be.

    score: raw log-odds; target: strictly between 0 and 1.
    """
    missing = float(np.log(target / (1 - target))) - line.slope * score - line.offset  # calibrated log-odds
    sign, gap = (1.0 if missing > 0.0 else -1.0), abs(missing)
    changes = []
    for lever in sorted(levers, key=_order) if line.slope > 0.0 else ():
        if gap <= CLOSE:
            break
        needed = gap / line.slope
        then = _moved(lever, sign, needed) if isinstance(lever, Lever) else _binned(lever, sign, needed)
        if then is None:
            continue
        changes.append(Change(column=lever.column, now=lever.now, then=then))
        score += lever.effect(then)
        gap -= sign * line.slope * lever.effect(then)
    chance = chance_of(line.slope * score + line.offset)
    return Counterfactual(target=target, reached=gap <= CLOSE, chance=chance, changes=tuple(changes))


def nearest(edges: Sequence[float], now: float, least: float, most: float, *, whole: bool) -> list[float]:
    """Of every interval between rising edges that [least, most] reaches, the value nearest to `now`, that one first.

    An edge belongs to the interval below it; `now` may be missing (NaN).
    """
    ends = [-inf, *edges, inf]
    reached = [_nearest(now, max(low, least), min(high, most), low, whole) for low, high in pairwise(ends)]
    found = [value for value in reached if value is not None]
    return sorted(found, key=lambda value: 0.0 if isnan(now) else abs(value - now))


def _nearest(now: float, least: float, most: float, edge: float, whole: bool) -> float | None:
    """The value in [least, most] and above `edge` that is nearest to `now`, or None."""
    if least == edge:  # the edge itself belongs to the bin below
        least = floor(edge) + 1 if whole else edge + (most - edge) / EDGE_PARTS
    low, high = (ceil(least), floor(most)) if whole else (least, most)
    if not (-inf < low <= high < inf) or high <= edge:
        return None
    return float(low if isnan(now) else min(max(now, low), high))


def _order(lever: Lever | BinLever) -> tuple[bool, float, str]:
    return isinstance(lever, BinLever), -abs(lever.weight) if isinstance(lever, Lever) else 0.0, lever.column


def _moved(lever: Lever, sign: float, gap: float) -> float | None:
    """Where a column goes for `gap` of raw score this way; None where it can't go this way at all."""
    end = lever.bound(up=sign * lever.weight > 0.0)
    most = sign * lever.effect(end)
    if most <= 0.0:
        return None
    return end if most <= gap else _value(lever, gap, end)


def _binned(lever: BinLever, sign: float, gap: float) -> float | None:
    """The nearest value that is enough, else the one that does most; None where none goes this way."""
    gains = {value: sign * lever.effect(value) for value in lever.values()}
    enough = [value for value, gain in gains.items() if gain >= gap - CLOSE]
    best = max(gains, key=lambda value: gains[value])
    if not enough and gains[best] <= 0.0:
        return None
    return enough[0] if enough else best


def _value(lever: Lever, gap: float, end: float) -> float:
    """The value nearest to the present one that moves the raw score by `gap`; it stands between that and `end`."""
    (now,) = lever.scale.units(np.array([lever.now]))
    up = end > lever.now
    steps = ceil(gap / abs(lever.weight) * UNITS - CLOSE)
    exact = lever.scale.value(float(now) + (steps if up else -steps))
    digits = 0 if lever.whole else DIGITS - floor(log10(lever.scale.spread(exact)))
    outwards = (ceil if up else floor)(exact * 10.0**digits)
    rounded = outwards / 10.0**digits if digits >= 0 else float(outwards * 10**-digits)
    return min(rounded, end) if up else max(rounded, end)
