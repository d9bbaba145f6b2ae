"""The feature holder where trees are grown: sums over its bins, and who goes left of its own cuts.

It learns exact sums of both derivatives over its own bins, of every node that is asked for, and the rows of the nodes
that its own columns split: never whose other columns split the rest. It shows sums of groups of enough rows, and of its
own splits which rows of the node go left; no edge, no value.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from federation.errors import ScoreBudgetExceeded, SplitRefused, StepMalformed, StepUnexpected
from federation.features import Integers, Table
from federation.plan import FEATURE_HOLDER, TrainingPlan
from federation.vertical.messages import Outgoing, Reader, in_round
from federation.vertical.results import Disclosed, HolderResult
from federation.vertical.steps import Step, Taken, needs, only
from federation.vertical.trees import bins as binning
from federation.vertical.trees.boosting import sampled_columns
from federation.vertical.trees.derivatives import Packing
from federation.vertical.trees.histograms import Histograms
from federation.vertical.trees.model import TreePart, cuts_of
from federation.vertical.trees.party import TreeParty, all_bins, by_link, indicators, length_of, parts_of, room, widths
from federation.vertical.trees.results import disclosed
from privacy import linear
from privacy.packing import Packed
from privacy.ring import Entropy


class TreeHolder(TreeParty):
    """One feature holder's session."""

    role: ClassVar[str] = FEATURE_HOLDER
    _STATE: ClassVar[tuple[str, ...]] = (*TreeParty._STATE, "asked", "shown_level", "own_splits", "routed", "kept")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy, *, spent_before: int = 0) -> None:
        """spent_before: score vectors this column set has disclosed to this label holder in earlier runs.

        Raises ScoreBudgetExceeded where this run would go over the budget, and what `bins.form` and `Party` raise.
        """
        needed = plan.score_vectors(me)
        if spent_before < 0 or spent_before + needed > plan.score_budget:
            raise ScoreBudgetExceeded(needed=needed, spent=spent_before, budget=plan.score_budget)
        self._spent_before = spent_before
        self.asked: Integers = np.zeros(0, np.int64)  # nodes of the level that is under way
        self.shown_level = 0  # of which this side has sums
        self.own_splits: Integers = np.zeros((0, 4), np.int64)  # tree, node, column, last bin left
        self.routed: dict[str, int] = {}  # by tree: rows of which this side said where they go
        self.kept = 0  # trees of the full ensemble
        self._links: list[linear.Multiplier] = []
        super().__init__(plan, me, table, entropy)

    def result(self) -> HolderResult:
        """Own part of the model, and what was disclosed. Only once `done`."""
        assert self.done, "the session is done"
        part = self._part()
        return HolderResult(
            run=self._run,
            partner=self._me,
            part=part,
            weights_digest=part.digest,
            reasons=dict(self._bins.dropped),
            suppressed_cells=0,  # of moments; bins that were not shown apart are in the label holder's record
            disclosed=self._disclosed(),
            spent=self._spent_before + self.shown,
        )

    @property
    def shown(self) -> int:
        """Score vectors that were shown so far: one for each tree in which this side said who goes left."""
        return len(self.routed)

    def _prepare(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        self._check_rows(self._brings.partner)
        plan = self._plan
        self._bins = binning.form(
            self._table.columns, columns, self._train, plan.bins, plan.rare_rows, room(self._rows) - 1
        )
        counts = self._bins.counts
        self._flat = self._bins.codes + (np.cumsum(counts) - counts)
        matrix = indicators(self._bins.codes[self._train], counts)
        ends = np.cumsum(widths(self._rows, matrix.shape[1]))
        self._matrix_of_links = [np.ascontiguousarray(part) for part in np.split(matrix, ends[:-1], axis=1)]
        rows = np.bincount(self._flat[self._train].ravel(), minlength=int(counts.sum()))
        units, trees = (
            Packing.of(self._rows),
            self._trees.trees if plan.variants_with(self._brings.partner) > 1 else None,
        )
        self._histograms = Histograms(plan.label_holder, counts, rows, units, plan.rare_rows, trees)
        return self._bins.names

    def _digest_of_table(self) -> str:
        return binning.digest(self._bins)

    # --- the table of steps ------------------------------------------------------------------------------------------

    def _encryptor_steps(self) -> list[Step]:
        return []

    def _multiplier_steps(self) -> list[Step]:
        leader = [self._plan.label_holder]
        return [
            Step(name="zero", phase="zero test", needs=needs("zero", leader), after=("seed",), act=self._answer_zero),
            Step(
                name="proof",
                phase="zero test",
                needs=needs("zero-opened", leader),
                after=("zero",),
                act=self._prove_zero,
            ),
        ]

    def _role_steps(self) -> list[Step]:
        leader, steps = [self._plan.label_holder], []
        for number in self._own_levels(self._levels + 1):
            phase = self._phase_of(number)
            kinds = [needs(in_round(kind, number), leader) for kind in ("gradients", "gradients-opened", "splits")]
            steps += [
                Step(
                    name=f"multiply {number}",
                    phase=phase,
                    needs=kinds[0],
                    after=("proof",),
                    act=partial(self._sums, number),
                ),
                Step(
                    name=f"show {number}",
                    phase=phase,
                    needs=kinds[1],
                    after=(f"multiply {number}",),
                    act=partial(self._show, number),
                ),
                Step(
                    name=f"route {number}",
                    phase=phase,
                    needs=kinds[2],
                    after=(f"show {number}",),
                    act=partial(self._route, number),
                ),
            ]
        grown = needs("grown", leader)
        return [*steps, Step(name="part", phase="model", needs=grown, after=("proof",), act=self._end)]

    # --- links -------------------------------------------------------------------------------------------------------

    def _begin_links(self) -> list[Outgoing]:
        self._links = [
            linear.Multiplier(agreed, seed, self._me, matrix, context, self._entropy)
            for (agreed, seed, context), matrix in self._ends_of_links()
        ]
        hints = by_link([link.hint() for link in self._links])
        width = np.array([matrix.shape[1] for matrix in self._matrix_of_links], dtype=np.int64)
        return self._send("tree-hint", [self._plan.label_holder], {"data": hints, "widths": width})

    def _ends_of_links(self) -> list[tuple[tuple[linear.Parameters, bytes, bytes], Integers]]:
        return [
            (self._link_of(self._me, place, matrix.shape[1]), matrix)
            for place, matrix in enumerate(self._matrix_of_links)
        ]

    def _answer_zero(self, taken: Taken) -> list[Outgoing]:
        return self._send("zero-reply", [self._plan.label_holder], {"data": self._multiplied(only(taken)[2])})

    def _prove_zero(self, taken: Taken) -> list[Outgoing]:
        messages = parts_of(only(taken)[2], len(self._links))
        proofs = by_link([link.prove(data) for link, data in zip(self._links, messages, strict=True)])
        return self._send("zero-proof", [self._plan.label_holder], {"data": proofs})

    def _multiplied(self, reader: Reader) -> dict[str, Packed]:
        messages = parts_of(reader, len(self._links))
        return by_link([link.multiply(data) for link, data in zip(self._links, messages, strict=True)])

    # --- levels ------------------------------------------------------------------------------------------------------

    def _sums(self, number: int, taken: Taken) -> list[Outgoing]:
        """Multiply the encrypted derivatives of the asked nodes; a level that was left out will not come any more."""
        reader = only(taken)[2]
        self._close_levels(number, reader.sender)
        self.asked = reader.integers("nodes", (length_of(reader, "nodes"),), 2 << self._trees.depth)
        if self.asked.tolist() != self._due(number):
            raise StepMalformed(partner=reader.sender, why="nodes that are not open in this level")
        answer = self._multiplied(reader)
        return self._send(in_round("gradients-reply", number), [reader.sender], {"data": answer})

    def _due(self, number: int) -> list[int]:
        """The asked nodes as they must be: the root, or one of every two children of nodes this side has sums of."""
        if number == self._first_of(self._tree_of(number)):
            return [1]
        asked: list[int] = sorted(self.asked.tolist())
        parents = [node // 2 for node in asked]
        apart = len(set(parents)) == len(parents) and set(parents) <= self._histograms.nodes.keys()
        return asked if asked and apart and self.shown_level == number - 1 else []

    def _close_levels(self, number: int, sender: str) -> None:
        """Leave out what stayed open before this level. Raises StepUnexpected while sums of another are under way."""
        open_ = [name for name in self._before(number) if not self._agenda.fired(name)]
        shown = {name.partition(" ")[2] for name in open_ if name.startswith("show")}
        multiplied = {name.partition(" ")[2] for name in open_ if name.startswith("multiply")}
        if shown != multiplied:
            raise StepUnexpected(partner=sender, step=f"level {number}")
        self._skip(open_)

    def _show(self, number: int, taken: Taken) -> list[Outgoing]:
        """Open the sums, check them, and give what may be shown of every node of the level."""
        reader = only(taken)[2]
        messages = parts_of(reader, len(self._links))
        opened = np.hstack([link.open(data) for link, data in zip(self._links, messages, strict=True)])
        sums = {node: all_bins(row, self._bins.counts) for node, row in zip(self.asked.tolist(), opened, strict=True)}
        tree = self._tree_of(number)
        if self.asked.tolist() == [1]:
            names, salt = self._bins.names, self._plan.split_salt
            share = self._trees.columns_ppm
            brought = sampled_columns(salt, tree % self._trees.trees, self._me, names, share)
            self._histograms.root(tree, sums[1], brought)
        else:
            own = {node: (column, last) for of, node, column, last in self.own_splits.tolist() if of == tree}
            self._histograms.children(sums, own)
        self.shown_level = number
        groups = [self._histograms.shown(node) for node in self._histograms.nodes]
        content: dict[str, Packed] = {
            "counts": np.array([one.counts for one in groups], dtype=np.int64),
            "first": np.concatenate([one.first for one in groups]),
            "second": np.concatenate([one.second for one in groups]),
        }
        return self._send(in_round("histograms", number), [reader.sender], content)

    def _route(self, number: int, taken: Taken) -> list[Outgoing]:
        """Say which rows of the chosen nodes go left, once it is clear that the sums were those of these rows."""
        reader = only(taken)[2]
        count = length_of(reader, "nodes")
        nodes, columns, bounds = (
            reader.integers(name, (count,), 1 << 20).tolist() for name in ("nodes", "columns", "bounds")
        )
        inside = _bitmaps(reader, count, len(self._table.tokens))
        if len(set(nodes)) != count or not count or inside.sum(axis=0).max() > 1:
            raise SplitRefused(partner=reader.sender, why="a node or a client is named twice")
        left, tree = [], self._tree_of(number)
        for node, column, bound, rows in zip(nodes, columns, bounds, inside, strict=True):
            last = self._histograms.bin_of(node, column, bound)
            if last is None:
                raise SplitRefused(partner=reader.sender, why="no such cut was shown")
            train = self._flat[rows & self._train]
            self._histograms.check_rows(node, np.bincount(train.ravel(), minlength=int(self._bins.counts.sum())))
            left.append(self._bins.codes[rows, column] <= last)
            self.own_splits = np.vstack([self.own_splits, [tree, node, column, last]])
        self.routed[str(tree)] = self.routed.get(str(tree), 0) + int(inside.sum())
        bits = np.packbits(np.concatenate(left))
        return self._send(in_round("routes", number), [reader.sender], {"left": bits})

    def _end(self, taken: Taken) -> list[Outgoing]:
        """No more levels: keep the splits of the trees that stay."""
        reader = only(taken)[2]
        self._close_levels(self._levels + 1, reader.sender)
        self.kept = reader.count("trees", self._trees.trees)
        part = self._part()
        content: dict[str, Packed] = {
            "digest": part.digest,
            "merged": self._histograms.merged,
            "limit": self._bins.limit,
        }
        return self._send("tree-part", [reader.sender], content)

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _part(self) -> TreePart:
        own = [
            (tree, node, column, bound) for tree, node, column, bound in self.own_splits.tolist() if tree < self.kept
        ]
        cuts, edges = cuts_of(self._bins, own)
        return TreePart.of_holder(self._me, self._bins.names, cuts, edges)

    def _disclosed(self) -> tuple[Disclosed, ...]:
        return disclosed(self._plan, self._me, self.names[self._me], {int(t): n for t, n in self.routed.items()})

    def _before(self, number: int) -> list[str]:
        return [f"{kind} {earlier}" for earlier in self._own_levels(number) for kind in ("multiply", "show", "route")]

    def _own_levels(self, stop: int) -> list[int]:
        """The numbers below `stop` of levels that this side takes part in."""
        return [number for number in range(1, stop) if self._me in self._grown_with(self._tree_of(number))]

    def _dump_parts(self) -> dict[str, Packed]:
        links: list[Packed] = [link.dump() for link in self._links]
        return {"links": links, "histograms": self._histograms.pack()}

    def _pieces(self) -> dict[str, Callable[[], bytes]]:
        """Finished trees: what a later variant may show is bounded by them."""
        return {f"tree {tree}": shown.pack for tree, shown in self._histograms.earlier.items()}

    def _restore_parts(self, parts: dict[str, Any], pieces: Mapping[str, bytes]) -> None:
        ends = self._ends_of_links() if parts["links"] else []
        self._links = [
            linear.Multiplier.load(data, agreed, seed, self._me, matrix, context, self._entropy)
            for data, ((agreed, seed, context), matrix) in zip(parts["links"], ends, strict=True)
        ]
        earlier = {int(name.removeprefix("tree ")): data for name, data in pieces.items()}
        self._histograms.restore(parts["histograms"], earlier)


def _bitmaps(reader: Reader, count: int, rows: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(nodes, rows): which aligned clients are in each node."""
    value = reader.content["rows"]
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.shape != (count, -(-rows // 8)):
        raise StepMalformed(partner=reader.sender, why="its rows")
    bits = np.unpackbits(value, axis=1)
    if bits[:, rows:].any():
        raise StepMalformed(partner=reader.sender, why="its rows")
    return bits[:, :rows].astype(bool)
