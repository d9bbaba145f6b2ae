"""What a client would have to change for another chance by trees, within columns that the label holder says can change.

An own column matters only by which of its own splits' edges it is above. So a few values of each column are tried, the
nearest of every interval between edges, in all combinations, by the sum of their distances in standard deviations: the
first that reaches the chance is the smallest change. Sides at others' splits are known where the client came in the
run, and do not change with own columns; at others' splits where it only comes by the change the worse side counts. What
is said to reach the chance does so whatever the others' columns hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, floor, inf, isfinite, isnan

from federation.calibration import Calibration
from federation.counterfactual import CLOSE, Change, Counterfactual, nearest
from federation.errors import BoundsInvalid
from federation.explain import chance_of
from federation.vertical.trees.paths import Node, Ways

TRIED_MAX = 4_096  # combinations of values


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLever:
    """A column that can be changed for one client, within [least, most]; a missing value now is NaN."""

    column: str
    now: float
    least: float
    most: float
    whole: bool  # takes whole numbers only
    deviation: float  # of the column among the run's clients, above 0

    def __post_init__(self) -> None:
        finite = -inf < self.least <= self.most < inf
        if not finite or (self.whole and ceil(self.least) > floor(self.most)):
            raise BoundsInvalid(column=self.column, least=f"{self.least:g}", most=f"{self.most:g}")

    def tried(self, ways: Ways) -> list[tuple[float, float]]:
        """(distance in deviations, value), rising: the present value, then one of every interval between edges."""
        edges = sorted(
            {edge for node, edge in ways.edge.items() if ways.column[node] == self.column and isfinite(edge)}
        )
        values = nearest(edges, self.now, self.least, self.most, whole=self.whole)
        moved = [(self._distance(value), value) for value in values if value != self.now]
        return [(0.0, self.now), *sorted(moved)]

    def _distance(self, value: float) -> float:
        return 1.0 if isnan(self.now) else abs(value - self.now) / self.deviation


def find(
    ways: Ways, sides: Mapping[Node, bool], line: Calibration, target: float, levers: Sequence[TreeLever]
) -> Counterfactual:
    """The smallest change of these columns that brings a client's chance to `target`, up or down as need be.

    sides: at all own splits as values are now, and at those of others that the client came to in the run.
    """

    def chance(values: Sequence[float]) -> float:
        changed = dict(zip([lever.column for lever in levers], values, strict=True))
        own = {
            node: isnan(changed[column]) or changed[column] <= ways.edge[node]
            for node, column in ways.column.items()
            if column in changed
        }
        return chance_of(line.slope * ways.worst({**sides, **own}, high=high) + line.offset)

    best = [lever.now for lever in levers]
    high = False
    high = target > chance(best)
    reached = _reaches(chance(best), target, high)
    for values in () if reached or line.slope <= 0.0 else _by_distance([lever.tried(ways) for lever in levers]):
        found = chance(values)
        if reached := _reaches(found, target, high):
            best = values
            break
        if found > chance(best) if high else found < chance(best):
            best = values
    changes = [
        Change(column=lever.column, now=lever.now, then=value)
        for lever, value in zip(levers, best, strict=True)
        if value != lever.now and not (isnan(value) and isnan(lever.now))
    ]
    return Counterfactual(target=target, reached=reached, chance=chance(best), changes=tuple(changes))


def _reaches(chance: float, target: float, high: bool) -> bool:
    return chance >= target - CLOSE if high else chance <= target + CLOSE


def _by_distance(lists: Sequence[Sequence[tuple[float, float]]]) -> list[list[float]]:
    """Combinations of one value of each list, by the sum of their distances, TRIED_MAX at most."""
    start = (0,) * len(lists)
    waiting, seen, found = [(0.0, start)], {start}, list[list[float]]()
    while waiting and len(found) < TRIED_MAX:
        _, places = heappop(waiting)
        found.append([one[place][1] for one, place in zip(lists, places, strict=True)])
        for index, one in enumerate(lists):
            following = (*places[:index], places[index] + 1, *places[index + 1 :])
            if following[index] < len(one) and following not in seen:
                seen.add(following)
                heappush(waiting, (sum(values[p][0] for values, p in zip(lists, following, strict=True)), following))
    return found
