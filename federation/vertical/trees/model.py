"""The parts of a tree model: each side keeps its own, and nobody can score with one of them alone.

The label holder has the shape of every tree, its own cuts and what leaves are worth; of another party's split it has
the owner's name. A feature holder has where its own columns are cut. Packed, read back strictly, no code in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import SessionUnreadable
from federation.features import Columns, Floats, Integers, numbers
from federation.plan_models import TREE_DEPTH_MAX, TREES_MAX
from federation.vertical.trees.bins import Bins, code
from privacy import canonical, packing
from privacy.packing import Packed

FORMAT = "ecohub-trees-1"
NODES_MAX = 1 << TREE_DEPTH_MAX  # inner nodes are below it
_FIELDS = {"format", "partner", "columns", "cuts", "edges", "owners", "splits", "leaves", "values", "base"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePart:
    """One party's share. Fields from `owners` on are empty at a feature holder."""

    partner: str
    columns: tuple[str, ...]
    cuts: Integers  # (own splits, 3): tree, node, column; sorted
    edges: Floats  # (own splits,): a value goes left when it is not above; a missing one always goes left
    owners: tuple[str, ...]  # the parties that splits are of
    splits: Integers  # (all splits, 3): tree, node, owner; sorted
    leaves: Integers  # (all leaves, 2): tree, node; sorted
    values: Floats  # (all leaves,): log-odds
    base: float  # log-odds before the first tree

    @classmethod
    def of_holder(cls, partner: str, columns: tuple[str, ...], cuts: Integers, edges: Floats) -> "TreePart":
        """A feature holder's: nothing of it says what a leaf is worth."""
        return cls(
            partner=partner,
            columns=columns,
            cuts=cuts,
            edges=edges,
            owners=(),
            splits=np.zeros((0, 3), np.int64),
            leaves=np.zeros((0, 2), np.int64),
            values=np.zeros(0),
            base=0.0,
        )

    def encode(self) -> bytes:
        """Packed bytes; what `digest` is taken over and what a node keeps."""
        columns: list[Packed] = [*self.columns]
        owners: list[Packed] = [*self.owners]
        return packing.pack(
            {
                "format": FORMAT,
                "partner": self.partner,
                "columns": columns,
                "cuts": self.cuts,
                "edges": self.edges,
                "owners": owners,
                "splits": self.splits,
                "leaves": self.leaves,
                "values": self.values,
                "base": np.array([self.base]),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "TreePart":
        """Raises SessionUnreadable for anything `encode` does not make."""
        try:
            value: Any = packing.unpack(data)
        except packing.NotPacked as failure:
            raise SessionUnreadable(why=failure.message()) from None
        if not isinstance(value, dict) or set(value) != _FIELDS or value["format"] != FORMAT:
            raise SessionUnreadable(why="it is no part of a tree model")
        if not isinstance(value["partner"], str) or not _texts(value["columns"]) or not _texts(value["owners"]):
            raise SessionUnreadable(why="names in a part of a tree model")
        made = cls(
            partner=value["partner"],
            columns=tuple(value["columns"]),
            cuts=_table(value["cuts"], (TREES_MAX, NODES_MAX, len(value["columns"]))),
            edges=_floats(value["edges"], infinite=True),
            owners=tuple(value["owners"]),
            splits=_table(value["splits"], (TREES_MAX, NODES_MAX, len(value["owners"]))),
            leaves=_table(value["leaves"], (TREES_MAX, 2 * NODES_MAX)),
            values=_floats(value["values"]),
            base=float(_floats(value["base"])[0]) if len(_floats(value["base"])) == 1 else np.nan,
        )
        if len(made.edges) != len(made.cuts) or len(made.values) != len(made.leaves) or not np.isfinite(made.base):
            raise SessionUnreadable(why="lengths in a part of a tree model")
        return made

    @property
    def digest(self) -> str:
        return canonical.digest_bytes("ecohub/model-part/v1", self.encode()).hex()

    def left(self, columns: Columns, rows: int) -> dict[tuple[int, int], NDArray[np.bool_]]:
        """By (tree, node) of every own split: which of `rows` clients go left. Raises as `bins.form`."""
        values = {name: numbers(columns, name, rows, gaps=True) for name in self.columns}
        found = {}
        for (tree, node, column), edge in zip(self.cuts.tolist(), self.edges, strict=True):
            found[tree, node] = code(values[self.columns[column]], np.array([edge])) == 0
        return found


def cuts_of(bins: Bins, own: Sequence[tuple[int, int, int, int]]) -> tuple[Integers, Floats]:
    """(cuts, edges) of splits (tree, node, column, last bin left)."""
    rows = sorted(own)
    cuts = np.array([row[:3] for row in rows], dtype=np.int64).reshape(len(rows), 3)
    return cuts, np.array([bins.edges[column][bound] for _, _, column, bound in rows], dtype=np.float64)


def scores(part: TreePart, left: dict[tuple[int, int], NDArray[np.bool_]], rows: int) -> Floats:
    """(rows,) log-odds, by the label holder's part and everybody's answers for these clients."""
    total = np.full(rows, part.base)
    split = {(tree, node) for tree, node, _ in part.splits.tolist()}
    for tree in sorted({tree for tree, _ in part.leaves.tolist()}):
        at = np.ones(rows, dtype=np.int64)
        for level in range(TREE_DEPTH_MAX):
            for node in range(1 << level, 2 << level):
                if (tree, node) in split:
                    here = at == node
                    at[here] = 2 * node + ~left[tree, node][here]
        value = np.zeros(2 * NODES_MAX)
        chosen = part.leaves[:, 0] == tree
        value[part.leaves[chosen, 1]] = part.values[chosen]
        total = total + value[at]
    return total


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _table(value: object, below: tuple[int, ...]) -> Integers:
    """Distinct rows in order, each number from 0 to below `below`. Raises SessionUnreadable."""
    if not isinstance(value, np.ndarray) or value.dtype != np.int64 or value.ndim != 2 or value.shape[1] != len(below):
        raise SessionUnreadable(why="a table in a part of a tree model")
    rows = [tuple(row) for row in value.tolist()]
    places = [row[:2] for row in rows]
    if places != sorted(set(places)) or (value < 0).any() or (value >= np.array(below)).any():
        raise SessionUnreadable(why="a table in a part of a tree model")
    return value


def _floats(value: object, *, infinite: bool = False) -> Floats:
    if not isinstance(value, np.ndarray) or value.dtype != np.float64 or value.ndim != 1 or np.isnan(value).any():
        raise SessionUnreadable(why="numbers in a part of a tree model")
    if not infinite and not np.isfinite(value).all():
        raise SessionUnreadable(why="numbers in a part of a tree model")
    return value
