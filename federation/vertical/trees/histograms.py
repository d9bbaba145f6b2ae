"""A feature holder's sums over its own bins, node by node, and what of them it shows.

Neighbouring bins are shown as one group until each group has `rare_rows` rows of the node or more. The holder knows no
row's node: SECOND_MAX units of second derivatives need one row at least (derivatives.py), so it counts by those.

Whoever has the sums of a node and of one of its children has those of the other child. So both children show the same
groups, each large enough in both, and never finer ones than their parent; only by the column that the holder itself
split the node by may they differ, because there every group lies in one of them.

Variants of a model are grown over the same rows. Where they agree they come to the same node by other ways, and its
groups in one less those in the other would be a few rows. So what an earlier variant's tree of the same place showed of
a node like this one bounds what is shown now: no finer groups, and no other ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import DerivativesImplausible
from federation.features import Integers
from federation.vertical.trees.derivatives import SECOND_MAX, Packing
from federation.vertical.trees.splits import Groups
from privacy import packing
from privacy.packing import Packed

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """(bins of all columns,) each: exact sums, and after which bins a shown group ends."""

    first: Integers
    second: Integers
    ends: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All nodes of a finished tree that sums were shown of, (nodes, bins of all columns) each."""

    second: Integers
    ends: Mask

    def pack(self) -> bytes:
        return packing.pack({"second": self.second, "ends": self.ends.astype(np.uint8)})

    @classmethod
    def load(cls, data: bytes) -> "Shown":
        """Of this side's own store."""
        value: Any = packing.unpack(data)
        return cls(second=value["second"], ends=value["ends"].astype(bool))


class Histograms:
    """The nodes of one level, of one tree at a time."""

    def __init__(
        self, asker: str, counts: Integers, rows: Integers, units: Packing, rare_rows: int, trees: int | None = None
    ) -> None:
        """counts: (columns,) bins; rows: (bins of all columns,) train rows in each; asker: who encrypts; trees: of each
        of several variants; None where there is one only.
        """
        self._asker, self._packing, self._trees = asker, units, trees
        self._counts, self._starts, self._rows = counts, np.cumsum(counts) - counts, rows
        self._need = rare_rows * SECOND_MAX
        self.nodes: dict[int, Node] = {}
        self.merged = 0  # neighbouring bins that were not shown apart, of all nodes
        self.tree = -1  # that grows: numbered through all variants
        self.earlier: dict[int, Shown] = {}  # by tree, finished ones
        self._levels: list[Node] = []  # all nodes of the tree so far

    def root(self, tree: int, sums: Integers, taken: Mask) -> None:
        """Begin a tree. sums: packed, of every bin; taken: (columns,) which take part in this tree."""
        if self._levels and self._trees:
            self.earlier[self.tree] = self._so_far()
        self.tree, self._levels = tree, []
        first, second = self._read(sums)
        allowed = np.repeat(taken, self._counts) & self._known(second)
        self._enter({1: Node(first=first, second=second, ends=self._ends([second], allowed))})

    def children(self, sums: Mapping[int, Integers], split: Mapping[int, tuple[int, int]]) -> None:
        """Go one level down. sums: packed, by the asked one of two siblings; split: by parent that an own column split,
        (column, last bin left).

        Raises DerivativesImplausible, also where such a parent's children have rows on the other side of the cut.
        """
        made: dict[int, Node] = {}
        for node, packed in sums.items():
            parent = self.nodes[node // 2]
            first, second = self._read(packed)
            other = parent.first - first, parent.second - second
            self._check(*other)
            both = {node: (first, second), node ^ 1: other}
            known = [parent.ends & self._known(h) for h in (second, other[1])]
            ends = self._ends([second, other[1]], known[0] & known[1])
            column, last = split.get(node // 2, (None, 0))
            for (name, (g, h)), allowed in zip(both.items(), known, strict=True):
                if column is not None:
                    self._check_side(h, column, last, right=bool(name % 2))
                made[name] = Node(first=g, second=h, ends=self._apart(h, ends, allowed, column))
        self._enter(dict(sorted(made.items())))

    def shown(self, node: int) -> Groups:
        """What the label holder is given of a node: sums of groups, of columns with two groups or more."""
        own = self.nodes[node]
        groups = np.add.reduceat(own.ends, self._starts, dtype=np.int64)
        self.merged += int((self._counts - groups).sum())
        first_bins = np.flatnonzero(np.concatenate([[True], own.ends[:-1]]))
        kept = np.repeat(groups > 1, groups)
        first, second = (np.add.reduceat(part, first_bins)[kept] for part in (own.first, own.second))
        return Groups(counts=np.where(groups > 1, groups, 0), first=first, second=second)

    def bin_of(self, node: int, column: int, bound: int) -> int | None:
        """The last bin left of a shown cut; None where no such cut was shown."""
        if node not in self.nodes or not 0 <= column < len(self._counts):
            return None
        start = int(self._starts[column])
        ends = np.flatnonzero(self.nodes[node].ends[start : start + int(self._counts[column])])
        return int(ends[bound]) if 0 <= bound < len(ends) - 1 else None

    def check_rows(self, node: int, rows: Integers) -> None:
        """rows: (bins of all columns,) how many train rows of a node the asker now says are in each bin.

        Raises DerivativesImplausible where its sums need more rows: they were not those of this node.
        """
        own = self.nodes[node]
        if (own.second > rows * SECOND_MAX).any() or (np.abs(own.first) > rows * self._packing.first_max).any():
            raise DerivativesImplausible(partner=self._asker, why="its sums need more rows than the node has")

    def pack(self) -> Packed:
        """All but `earlier`, which is kept by tree."""
        nodes: dict[str, Packed] = {
            str(name): {"first": node.first, "second": node.second, "ends": node.ends.astype(np.uint8)}
            for name, node in self.nodes.items()
        }
        return {"nodes": nodes, "merged": self.merged, "tree": self.tree, "levels": self._so_far().pack()}

    def restore(self, state: Mapping[str, Any], earlier: Mapping[int, bytes]) -> None:
        self.merged, self.tree = state["merged"], state["tree"]
        self.earlier = {tree: Shown.load(data) for tree, data in earlier.items()}
        shown = Shown.load(state["levels"])
        nothing = np.zeros(0, np.int64)
        self._levels = [
            Node(first=nothing, second=second, ends=ends) for second, ends in zip(shown.second, shown.ends, strict=True)
        ]
        found = sorted((int(name), node) for name, node in state["nodes"].items())
        self.nodes = {
            name: Node(first=node["first"], second=node["second"], ends=node["ends"].astype(bool))
            for name, node in found
        }

    def _enter(self, nodes: dict[int, Node]) -> None:
        self.nodes = nodes
        self._levels += nodes.values()

    def _so_far(self) -> Shown:
        width = len(self._rows)
        second = np.array([node.second for node in self._levels], dtype=np.int64).reshape(-1, width)
        return Shown(second=second, ends=np.array([node.ends for node in self._levels], dtype=bool).reshape(-1, width))

    def _known(self, second: Integers) -> Mask:
        """(bins,): after which a group may end, by what earlier variants showed of nodes that this one can't be told
        from: in no column do the sums differ by as much as a group needs.
        """
        allowed = np.ones(len(second), bool)
        for tree, shown in self.earlier.items():
            if self._trees and tree % self._trees == self.tree % self._trees:
                apart = np.add.reduceat(np.abs(shown.second - second), self._starts, axis=1).max(axis=1)
                allowed &= shown.ends[apart < self._need].all(axis=0)
        return allowed

    def _read(self, packed: Integers) -> tuple[Integers, Integers]:
        first, second = self._packing.unpack(packed)
        self._check(first, second)
        return first, second

    def _check(self, first: Integers, second: Integers) -> None:
        """Every sampled row has 1 … SECOND_MAX units of second and up to `first_max` units of first derivative."""
        rows = np.minimum(self._rows, second)
        if (second < 0).any() or (second > self._rows * SECOND_MAX).any():
            raise DerivativesImplausible(partner=self._asker, why="second derivatives that no rows of a bin add up to")
        if (np.abs(first) > rows * self._packing.first_max).any():
            raise DerivativesImplausible(partner=self._asker, why="first derivatives that no rows of a bin add up to")

    def _check_side(self, second: Integers, column: int, last: int, *, right: bool) -> None:
        """All rows of a child are on its side of the cut; only so may siblings show different groups of the column."""
        start = int(self._starts[column])
        cut, stop = start + last + 1, start + int(self._counts[column])
        if second[start:cut].any() if right else second[cut:stop].any():
            raise DerivativesImplausible(partner=self._asker, why="rows of a child on the other side of its cut")

    def _apart(self, second: Integers, common: Mask, allowed: Mask, column: int | None) -> Mask:
        """The groups of one child: those of both, and by the column that split their parent its own."""
        if column is None:
            return common
        start = int(self._starts[column])
        part = slice(start, start + int(self._counts[column]))
        ends = common.copy()
        ends[part] = self._ends([second], allowed)[part]
        return ends

    def _ends(self, seconds: Sequence[Integers], allowed: Mask) -> Mask:
        """After which bins a group ends, so that each has enough of every one of `seconds`; only where allowed."""
        ends = np.zeros(len(allowed), bool)
        weights = np.stack(seconds, axis=1).tolist()
        for start, count in zip(self._starts.tolist(), self._counts.tolist(), strict=True):
            held, closed = [0] * len(seconds), []
            for place in range(start, start + count):
                held = [have + more for have, more in zip(held, weights[place], strict=True)]
                if allowed[place] and min(held) >= self._need:
                    closed.append(place)
                    held = [0] * len(seconds)
            last = start + count - 1
            if closed and closed[-1] != last:  # what is left over is too small to stand alone
                closed.pop()
            ends[[*closed, last]] = True
        return ends
