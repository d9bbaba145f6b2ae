"""Why trees say what they say of a client: what each split on its way adds to the score, against the mean of the node.

A node is worth the mean of the leaves below it over the rows that trees were grown on. A split adds what the child
where the client goes is worth above the node; so the means of the roots and what all splits on the ways add are the
score exactly. What own splits add is a point of their columns; what others' splits add is one sum.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from federation.features import Floats, Integers
from federation.vertical.results import Paths
from federation.vertical.trees.boosting import ROOT, Leaves, Tree
from federation.vertical.trees.model import TreePart

Node = tuple[int, int]  # (tree, node)


def paths_of(trees: Sequence[Tree], reached: Sequence[Leaves], clients: int) -> Paths:
    """Of the trees that are kept."""
    return Paths(
        rows=np.concatenate([np.zeros(0, np.int64), *(tree.rows for tree in trees)]),
        reached=np.stack(reached, axis=1) if reached else np.zeros((clients, 0), np.uint8),
    )


class Ways:
    """The trees of a label holder's part, with what every node is worth."""

    def __init__(self, part: TreePart, rows: Integers) -> None:
        """rows: (all leaves,), as in Paths."""
        self.part = part
        self.owner: dict[Node, int] = {(tree, node): who for tree, node, who in part.splits.tolist()}
        self.column: dict[Node, str] = {(tree, node): part.columns[c] for tree, node, c in part.cuts.tolist()}
        self.edge: dict[Node, float] = {
            (tree, node): edge for (tree, node, _), edge in zip(part.cuts.tolist(), part.edges.tolist(), strict=True)
        }
        self.trees = sorted({tree for tree, _ in part.leaves.tolist()})
        self.worth = _means(part, rows)

    @property
    def base(self) -> float:
        """Of a client before any split: all roots."""
        return self.part.base + sum(self.worth[tree, ROOT] for tree in self.trees)

    def steps(self, leaves: Sequence[int]) -> list[tuple[Node, float]]:
        """Every split on a client's ways with what it adds. leaves: where it comes to, by tree."""
        found = []
        for tree, leaf in zip(self.trees, leaves, strict=True):
            node = int(leaf)
            while node > ROOT:
                found.append(((tree, node // 2), self.worth[tree, node] - self.worth[tree, node // 2]))
                node //= 2
        return found

    def leaves(self, sides: Mapping[Node, bool]) -> list[int]:
        """Where a client of these sides comes to, by tree."""
        found = []
        for tree in self.trees:
            node = ROOT
            while (tree, node) in self.owner:
                node = 2 * node + (not sides[tree, node])
            found.append(node)
        return found

    def shares(self, leaves: Sequence[int]) -> dict[str, float]:
        """By party: what all of its splits add for a client. With the base they are the score."""
        made = dict.fromkeys(self.part.owners, 0.0)
        for node, added in self.steps(leaves):
            made[self.part.owners[self.owner[node]]] += added
        return made

    def points(self, leaves: Sequence[int]) -> Floats:
        """(own columns,): what each own column adds for a client, in the part's order."""
        names = self.part.columns
        made = np.zeros(len(names))
        for node, added in self.steps(leaves):
            if node in self.column:
                made[names.index(self.column[node])] += added
        return made

    def sides(self, leaves: Sequence[int]) -> dict[Node, bool]:
        """Whether the client goes left, at every split that it comes to."""
        found = {}
        for tree, leaf in zip(self.trees, leaves, strict=True):
            node = int(leaf)
            while node > ROOT:
                found[tree, node // 2] = node % 2 == 0
                node //= 2
        return found

    def all_points(self, reached: NDArray[np.uint8]) -> Floats:
        """(clients, own columns) of points. reached: (clients, trees)."""
        made = np.zeros((len(reached), len(self.part.columns)))
        for place, tree in enumerate(self.trees):
            table = np.zeros((256, made.shape[1]))
            for leaf in np.unique(reached[:, place]).tolist():
                table[leaf] = self._points_of(tree, leaf)
            made += table[reached[:, place]]
        return made

    def worst(self, sides: Mapping[Node, bool], *, high: bool) -> float:
        """The score by these sides; where one is not known the worse child counts: the lower, if high is wanted."""
        return self.part.base + sum(self._worst(tree, ROOT, sides, high) for tree in self.trees)

    def _worst(self, tree: int, node: int, sides: Mapping[Node, bool], high: bool) -> float:
        if (tree, node) not in self.owner:
            return self.worth[tree, node]
        if (left := sides.get((tree, node))) is not None:
            return self._worst(tree, 2 * node + (not left), sides, high)
        both = [self._worst(tree, 2 * node + side, sides, high) for side in (0, 1)]
        return min(both) if high else max(both)

    def _points_of(self, tree: int, leaf: int) -> Floats:
        names, node, made = self.part.columns, leaf, np.zeros(len(self.part.columns))
        while node > ROOT:
            if (tree, node // 2) in self.column:
                place = names.index(self.column[tree, node // 2])
                made[place] += self.worth[tree, node] - self.worth[tree, node // 2]
            node //= 2
        return made


def _means(part: TreePart, rows: Integers) -> dict[Node, float]:
    """Of every node: the mean of the leaves below it, by rows."""
    weight: dict[Node, float] = {}
    total: dict[Node, float] = {}
    for (tree, leaf), value, count in zip(part.leaves.tolist(), part.values.tolist(), rows.tolist(), strict=True):
        node = leaf
        while node:
            weight[tree, node] = weight.get((tree, node), 0.0) + count
            total[tree, node] = total.get((tree, node), 0.0) + count * value
            node //= 2
    leaves = {
        (tree, leaf): value for (tree, leaf), value in zip(part.leaves.tolist(), part.values.tolist(), strict=True)
    }
    return {node: leaves.get(node, total[node] / weight[node] if weight[node] else 0.0) for node in weight}
