"""What a client would have to change for another chance, within columns that the label holder says can be changed.

The score is linear in the model values, so the smallest change, counted in standard deviations and summed over the
columns, uses the column with the most effect a deviation first, to its bound if need be, and then the next. Whole
numbers stay whole, and a value is rounded outwards: what is said, entered as data, reaches the chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, log10

import numpy as np

from federation.calibration import Calibration
from federation.errors import BoundsInvalid
from federation.explain import chance_of
from federation.scale import UNITS, Scale

CLOSE = 1e-9  # log-odds that count as none
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


def find(score: float, line: Calibration, target: float, levers: Sequence[Lever]) -> Counterfactual:
    """The smallest change of these columns that brings a client's chance to `target`, up or down as need be.

    score: raw log-odds; target: strictly between 0 and 1.
    """
    missing = float(np.log(target / (1 - target))) - line.slope * score - line.offset  # calibrated log-odds
    sign, gap = (1.0 if missing > 0.0 else -1.0), abs(missing)
    changes = []
    for lever in sorted(levers, key=lambda one: (-abs(one.weight), one.column)) if line.slope > 0.0 else ():
        if gap <= CLOSE:
            break
        end = lever.bound(up=sign * lever.weight > 0.0)
        most = sign * line.slope * lever.effect(end)
        if most <= 0.0:
            continue
        then = end if most <= gap else _value(lever, gap / line.slope, end)
        changes.append(Change(column=lever.column, now=lever.now, then=then))
        score += lever.effect(then)
        gap -= sign * line.slope * lever.effect(then)
    chance = chance_of(line.slope * score + line.offset)
    return Counterfactual(target=target, reached=gap <= CLOSE, chance=chance, changes=tuple(changes))


def _value(lever: Lever, gap: float, end: float) -> float:
    """The value nearest to the present one that moves the raw score by `gap`; it stands between that and `end`."""
    (now,) = lever.scale.units(np.array([lever.now]))
    up = end > lever.now
    steps = ceil(gap / abs(lever.weight) * UNITS - CLOSE)
    exact = lever.scale.value(float(now) + (steps if up else -steps))
    digits = 0 if lever.whole else DIGITS - floor(log10(_spread(lever, exact)))
    outwards = (ceil if up else floor)(exact * 10.0**digits)
    rounded = outwards / 10.0**digits if digits >= 0 else float(outwards * 10**-digits)
    return min(rounded, end) if up else max(rounded, end)


def _spread(lever: Lever, value: float) -> float:
    """A standard deviation in the column's own units about this value."""
    return lever.scale.deviation * (1.0 + abs(value) if lever.scale.wide else 1.0)
