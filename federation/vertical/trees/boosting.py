"""Boosted trees as the label holder grows them: whose derivatives, which nodes, which splits, what leaves are worth.

Levels are grown one by one: the caller asks every party for sums over `open` nodes, hands them to `choose`, says with
`route` who goes left, and goes on with `end_level` and `end_tree`. Nodes are numbered as in a heap: the root is 1, the
children of v are 2v and 2v + 1. Without other parties `grow_alone` does all of it.

A tenth of the train rows is watched: no tree sees their labels, so that early stopping and calibration are honest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.bands import CLASS_ROWS_MIN
from federation.errors import LabelTooRare, TooFewRows
from federation.features import Floats, Integers
from federation.plan import TrainingPlan, split
from federation.plan_models import Trees
from federation.vertical.trees.bins import Bins
from federation.vertical.trees.derivatives import SECOND_MAX, Derivatives, Packing, derive
from federation.vertical.trees.splits import Cut, Groups, Units, best
from privacy import canonical, packing
from privacy.packing import Packed

OWN = 0  # the label holder among the owners of splits; feature holders are 1, 2, … in partner order
ROOT = 1
WATCHED_PPM = 100_000
PPM = 1_000_000
Mask = NDArray[np.bool_]
Leaves = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where a node is split. bound: the last bin that goes left; of another party, the last of the groups it showed."""

    node: int
    owner: int
    column: int
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A finished tree: its splits in the order they were found, and what each leaf adds to the log-odds."""

    splits: tuple[Split, ...]
    gains: Floats  # (splits,): what each took off the loss, by exact derivatives of the rows it was grown on
    leaves: Integers  # (leaves,): nodes
    values: Floats
    rows: Integers  # (leaves,): fitted rows in each


@dataclass(slots=True, kw_only=True)
class Growth:
    """What changes while trees grow; `pack` is all that a restart needs."""

    margin: Floats  # (rows,) log-odds so far
    kept_margin: Floats  # (rows,) log-odds by the trees that are kept
    at: Integers  # (rows,) each row's node in the tree that grows
    losses: list[float]  # of the watched rows: without trees, after the first …
    tree: int = 0  # that grows, from 0
    level: int = 0
    splits: list[Split] = field(default_factory=list)  # of the tree that grows
    trees: list[Tree] = field(default_factory=list)
    reached: list[Leaves] = field(default_factory=list)  # by tree: (rows,), each row's leaf; kept beside `pack`


class Boosting:
    """One ensemble under way."""

    def __init__(self, plan: TrainingPlan, tokens: Sequence[str], train: Mask, label: Mask, bins: Bins) -> None:
        """train: (rows,), the plan's train rows; bins: the label holder's own.

        Raises LabelTooRare where the watched rows lack a class, PlanInvalid.
        """
        assert plan.trees is not None, "the plan's model is trees"
        self.options: Trees = plan.trees
        self._tokens, self._salt, self._label, self._bins = tokens, plan.split_salt, label, bins
        self.watched: Mask = train & split(tokens, _salt(plan.split_salt, "watched rows"), WATCHED_PPM)
        self.fitted: Mask = train & ~self.watched
        watched = label[self.watched]
        if (rarer := int(min(watched.sum(), (~watched).sum()))) < CLASS_ROWS_MIN:
            raise LabelTooRare(count=rarer, what="watched train", minimum=CLASS_ROWS_MIN)
        self.packing = Packing.of(int(train.sum()))
        self._penalty = plan.ridge_milli / 1000
        self._flat = bins.codes + (np.cumsum(bins.counts) - bins.counts)
        share = float(label[self.fitted].mean())
        self.base = float(np.log(share / (1 - share)))
        margin = np.full(len(label), self.base)
        self.growth = Growth(
            margin=margin, kept_margin=margin, at=np.full(len(label), ROOT), losses=[self._loss(margin)]
        )
        self._of_tree: tuple[int, Mask, Derivatives] | None = None

    # --- the tree that grows -----------------------------------------------------------------------------------------

    def derivatives(self) -> Derivatives:
        """Of the tree that grows; computed once a tree. Raises TooFewRows where too few rows were sampled."""
        return self._this_tree()[2]

    @property
    def least(self) -> int:
        """Units of second derivatives that a leaf needs: as many rows at least."""
        return self.options.leaf_rows * SECOND_MAX

    def open(self) -> list[int]:
        """The nodes of this level of which sums are asked: pairs of siblings of which one at least can be split."""
        if self.growth.level == 0:
            return [ROOT]
        made = [2 * one.node + side for one in self.growth.splits for side in (0, 1)]
        level = [node for node in sorted(made) if node >> self.growth.level == 1]
        pairs = zip(level[::2], level[1::2], strict=True)
        return [node for pair in pairs if max(map(self._second, pair)) >= 2 * self.least for node in pair]

    def asked(self, nodes: Sequence[int]) -> list[int]:
        """Of each pair of open nodes the one with fewer sampled rows: the other is the parent less this one."""
        if list(nodes) == [ROOT]:
            return [ROOT]
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        return [min(pair, key=self._rows) for pair in pairs]

    def vectors(self, nodes: Sequence[int]) -> Integers:
        """(nodes, rows): packed derivatives of the sampled rows in each node, 0 elsewhere."""
        packed = self.derivatives().packed
        return np.array([np.where(self.growth.at == node, packed, 0) for node in nodes])

    def total(self, node: int) -> tuple[int, int]:
        """A node's sums of first and second derivatives."""
        first, second = self.packing.unpack(self.derivatives().packed[self.growth.at == node].sum(keepdims=True))
        return int(first[0]), int(second[0])

    def choose(self, nodes: Sequence[int], shown: Mapping[int, Mapping[int, Groups]]) -> list[Split]:
        """The best split of every open node that has one. shown: by owner, what it shows of each node."""
        chosen = []
        for node in nodes:
            found: list[tuple[int, Cut | None]] = [(OWN, best(self._own_groups(node), self._units()))]
            found += [(owner, best(groups[node], self._units())) for owner, groups in sorted(shown.items())]
            gains = [cut.gain if cut else 0.0 for _, cut in found]
            owner, cut = found[int(np.argmax(gains))]
            if cut is not None:
                chosen.append(Split(node=node, owner=owner, column=cut.column, bound=cut.bound))
        return chosen

    def rows_of(self, node: int) -> Integers:
        """The aligned rows in a node, test rows too."""
        return np.flatnonzero(self.growth.at == node)

    def goes_left(self, one: Split) -> Mask:
        """Of the rows in a node that an own column splits."""
        assert one.owner == OWN, "others say themselves who goes left"
        return np.asarray(self._bins.codes[self.rows_of(one.node), one.column] <= one.bound)

    def route(self, one: Split, left: Mask) -> None:
        """Split a node. left: for each of its rows, in order."""
        rows = self.rows_of(one.node)
        self.growth.at[rows] = 2 * one.node + ~left
        self.growth.splits.append(one)

    def end_level(self) -> bool:
        """Whether the tree has another level with open nodes; then it is entered."""
        self.growth.level += 1
        return self.growth.level < self.options.depth and bool(self.open())

    def end_tree(self) -> bool:
        """Value the leaves, add the tree, and begin the next; False where it was the last."""
        growth, options = self.growth, self.options
        tree = self._finished()
        value = np.zeros(2 << options.depth)
        value[tree.leaves] = tree.values
        growth.margin = growth.margin + value[growth.at]
        growth.trees.append(tree)
        growth.reached.append(growth.at.astype(np.uint8))
        growth.losses.append(self._loss(growth.margin))
        if not options.patience or growth.losses[-1] < min(growth.losses[:-1]):
            growth.kept_margin = growth.margin
        growth.tree, growth.level, growth.splits = growth.tree + 1, 0, []
        growth.at = np.full(len(self._label), ROOT)
        return growth.tree < options.trees and not self._stalled()

    @property
    def kept(self) -> int:
        """How many of the grown trees the model keeps."""
        losses = self.growth.losses
        return int(np.argmin(losses)) if self.options.patience else len(losses) - 1

    def grow_alone(self) -> None:
        """Grow all trees by the own columns."""
        more = True
        while more:
            for one in self.choose(self.open(), {}):
                self.route(one, self.goes_left(one))
            more = self.end_level() or self.end_tree()

    # --- restarts ----------------------------------------------------------------------------------------------------

    def pack(self) -> Packed:
        growth = self.growth
        trees: list[Packed] = [
            {"splits": _rows(tree.splits)}
            | {name: getattr(tree, name) for name in ("gains", "leaves", "values", "rows")}
            for tree in growth.trees
        ]
        return {
            "margin": growth.margin,
            "kept_margin": growth.kept_margin,
            "at": growth.at,
            "losses": np.array(growth.losses),
            "tree": growth.tree,
            "level": growth.level,
            "splits": _rows(growth.splits),
            "trees": trees,
        }

    def encode(self) -> bytes:
        return packing.pack(self.pack())

    def restore(self, state: Mapping[str, Any], reached: Sequence[Leaves] = ()) -> None:
        """Go on where `pack` was taken, of the same plan and rows. reached: of its trees, where they are needed."""
        self.growth = Growth(
            margin=state["margin"],
            kept_margin=state["kept_margin"],
            at=np.array(state["at"]),
            losses=state["losses"].tolist(),
            tree=state["tree"],
            level=state["level"],
            splits=_splits(state["splits"]),
            trees=[Tree(**{**one, "splits": tuple(_splits(one["splits"]))}) for one in state["trees"]],
            reached=list(reached),
        )
        self._of_tree = None

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _this_tree(self) -> tuple[int, Mask, Derivatives]:
        if self._of_tree is None or self._of_tree[0] != self.growth.tree:
            sampled = self._sampled()
            made = derive(self.growth.margin, self._label, sampled, self.packing)
            self._of_tree = (self.growth.tree, sampled, made)
        return self._of_tree

    def _sampled(self) -> Mask:
        """The fitted rows that this tree is grown on."""
        sampled = self.fitted
        if self.options.sample_ppm < PPM:
            salt = _salt(self._salt, f"rows of tree {self.growth.tree}")
            sampled = sampled & split(self._tokens, salt, self.options.sample_ppm)
        if (count := int(sampled.sum())) < 2 * self.options.leaf_rows:
            raise TooFewRows(count=count, what="sampled train", minimum=2 * self.options.leaf_rows)
        return sampled

    def _units(self) -> Units:
        unit = self.derivatives().unit
        return Units(first=1 / self.packing.first_max, second=unit, penalty=self._penalty, least=self.least)

    def _own_groups(self, node: int) -> Groups:
        """Sums over every own bin of a sampled column: nobody else sees them, so nothing is merged."""
        flat, packed = self._flat, self.derivatives().packed
        rows = np.flatnonzero((self.growth.at == node) & (packed != 0))
        weights = np.repeat(packed[rows].astype(np.float64), flat.shape[1])  # sums stay below 2^53
        sums = np.bincount(flat[rows].ravel(), weights, int(self._bins.counts.sum())).astype(np.int64)
        taken = sampled_columns(self._salt, self.growth.tree, "", self._bins.names, self.options.columns_ppm)
        counts = np.where(taken, self._bins.counts, 0)
        kept = sums[np.repeat(taken, self._bins.counts)]
        first, second = self.packing.unpack(kept)
        return Groups(counts=counts, first=first, second=second)

    def _finished(self) -> Tree:
        growth, made, sampled = self.growth, self.derivatives(), self._this_tree()[1]
        inner = {one.node for one in growth.splits}
        below = {ROOT} | {2 * node + side for node in inner for side in (0, 1)}
        leaves = np.array(sorted(below - inner), dtype=np.int64)
        rows_of = self._rows_by_node(sampled, leaves)
        first = {node: float(made.first[rows].sum()) for node, rows in rows_of.items()}
        second = {node: float(made.second[rows].sum()) for node, rows in rows_of.items()}
        values = [-first[leaf] / (second[leaf] + self._penalty) * self.options.rate_milli / 1000 for leaf in leaves]

        def fit(node: int) -> float:
            return first[node] ** 2 / (second[node] + self._penalty)

        gains = [fit(2 * one.node) + fit(2 * one.node + 1) - fit(one.node) for one in growth.splits]
        return Tree(
            splits=tuple(growth.splits),
            gains=np.array(gains),
            leaves=leaves,
            values=np.array(values),
            rows=np.array([int((self.fitted & (growth.at == leaf)).sum()) for leaf in leaves], dtype=np.int64),
        )

    def _rows_by_node(self, rows: Mask, leaves: Integers) -> dict[int, Mask]:
        """Which of some rows are below each node of the tree that grows."""
        found: dict[int, Mask] = {}
        for leaf in leaves.tolist():
            here, node = rows & (self.growth.at == leaf), leaf
            while node:
                found[node] = found[node] | here if node in found else here
                node //= 2
        return found

    def _second(self, node: int) -> int:
        return self.total(node)[1]

    def _rows(self, node: int) -> int:
        return int((self._this_tree()[1] & (self.growth.at == node)).sum())

    def _stalled(self) -> bool:
        patience, losses = self.options.patience, self.growth.losses
        return bool(patience) and len(losses) - 1 - int(np.argmin(losses)) >= patience

    def _loss(self, margin: Floats) -> float:
        """Mean log-loss of the watched rows."""
        odds, label = margin[self.watched], self._label[self.watched]
        return float((np.logaddexp(0.0, odds) - label * odds).mean())


def sampled_columns(salt: bytes, tree: int, partner: str, names: Sequence[str], columns_ppm: int) -> Mask:
    """(columns,): which of a party's columns take part in a tree; every party computes it from the plan."""
    if columns_ppm == PPM:
        return np.ones(len(names), bool)
    heads = [canonical.digest_bytes("ecohub/tree-columns/v1", salt + f"{tree} {partner} {n}".encode()) for n in names]
    edge = columns_ppm * (1 << 64) // PPM
    return np.array([int.from_bytes(head[:8], "big") < edge for head in heads], dtype=bool)


def _salt(salt: bytes, use: str) -> bytes:
    return canonical.digest_bytes("ecohub/tree-rows/v1", salt + use.encode())


def _rows(splits: Sequence[Split]) -> Integers:
    return np.array([[s.node, s.owner, s.column, s.bound] for s in splits], dtype=np.int64).reshape(len(splits), 4)


def _splits(rows: Integers) -> list[Split]:
    return [Split(node=node, owner=owner, column=column, bound=bound) for node, owner, column, bound in rows.tolist()]
