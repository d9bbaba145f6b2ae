"""Explanations of trees at the label holder's node: points of its own splits on one client's ways, and what may change.

Where every client came in the run is kept with the basis; own values are read for the one client under a grant, and
must still take the same sides. Of other sides nothing is said but what they add together: by column or split it would
hand over the bin.
"""

from dataclasses import dataclass

import numpy as np

from federation.counterfactual import Counterfactual
from federation.features import Columns, Floats
from federation.vertical.trees import change, single
from federation.vertical.trees.change import TreeLever
from federation.vertical.trees.model import TreePart
from federation.vertical.trees.paths import Node, Ways
from partner_node.explain_basis import Basis, Range
from partner_node.explain_errors import ExplanationUnreadable, OwnValuesChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One client's ways through all trees."""

    ways: Ways
    leaves: tuple[int, ...]
    own: dict[Node, bool]  # its sides at all own splits

    @property
    def points(self) -> Floats:
        """(own columns,) of log-odds."""
        return self.ways.points(self.leaves)

    @property
    def sides(self) -> dict[Node, bool]:
        """At all own splits, and at those of others that the client came to."""
        return {**self.ways.sides(self.leaves), **self.own}


def way(part: TreePart, basis: Basis, place: int, columns: Columns, job: str, file: str) -> Way:
    """Of the client at a place of the run's order, whose own columns are given as they are now.

    Raises ExplanationUnreadable, OwnValuesChanged.
    """
    paths = basis.paths
    if paths is None or len(paths.rows) != len(part.leaves) or place >= len(paths.reached):
        raise ExplanationUnreadable(file=file, why="it is not of these trees")
    ways, leaves = Ways(part, paths.rows), tuple(int(leaf) for leaf in paths.reached[place])
    own = single.own_sides(part, columns)
    if any(own[node] is not left for node, left in ways.sides(leaves).items() if node in own):
        raise OwnValuesChanged(job=job)
    return Way(ways=ways, leaves=leaves, own=own)


def changed(found: Way, basis: Basis, target: float, levers: list[TreeLever]) -> Counterfactual:
    return change.find(found.ways, found.sides, basis.line, target, levers)


def lever(column: str, shown: Range, now: float, least: float, most: float) -> TreeLever:
    """Raises BoundsInvalid."""
    return TreeLever(column=column, now=now, least=least, most=most, whole=shown.whole, deviation=shown.deviation)


def strengths(part: TreePart, basis: Basis | None) -> dict[str, float]:
    """Of own columns: the mean size of their points over the run's clients, in log-odds; without a basis, at a feature
    holder, how many splits each has.
    """
    if basis is None or basis.paths is None:
        columns = [part.columns[column] for _, _, column in part.cuts.tolist()]
        return {name: float(columns.count(name)) for name in part.columns}
    points = Ways(part, basis.paths.rows).all_points(basis.paths.reached)
    return dict(zip(part.columns, np.abs(points).mean(axis=0).tolist(), strict=True))
