"""The label holder's messages where trees are grown: encrypts derivatives node by node, finds splits, asks for routes.

It learns sums of both derivatives over groups of other parties' bins, whose column splits a node, and which clients of
the node go left: of the aligned clients all, test clients too, so that nothing is left to ask when it scores them. It
never sees an edge, a value, or a group of fewer than `rare_rows` rows.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from federation.errors import DerivativesImplausible, StepMalformed
from federation.features import Integers, Table
from federation.plan import TrainingPlan
from federation.vertical.label_side import LabelSide
from federation.vertical.messages import Outgoing, Reader, in_round
from federation.vertical.steps import Step, Taken, needs, only
from federation.vertical.trees import bins as binning
from federation.vertical.trees.boosting import OWN, Boosting, Split
from federation.vertical.trees.party import LINKS_MAX, TreeParty, by_link, length_of, parts_of
from federation.vertical.trees.splits import Groups
from privacy import canonical, linear, packing
from privacy.packing import Packed
from privacy.ring import Entropy


class TreeGrower(LabelSide, TreeParty):
    """The label holder's session up to the last tree."""

    _STATE: ClassVar[tuple[str, ...]] = (
        *TreeParty._STATE,
        *("widths", "open_nodes", "chosen", "routed", "digests", "merged", "limits", "place"),
    )

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Raises as `LabelSide` does."""
        self.widths: dict[str, Integers] = {}  # by holder: columns of each link
        self.open_nodes: Integers = np.zeros(0, np.int64)  # of the level that is under way
        self.chosen: Integers = np.zeros((0, 4), np.int64)  # splits of this level that wait for their owners
        self.routed: dict[str, dict[str, int]] = {}  # by holder and tree: rows of which it said where they go
        self.digests: dict[str, str] = {}  # by holder, of its part
        self.merged: dict[str, int] = {}
        self.limits: dict[str, int] = {}
        self.place = 0  # of the ensemble that grows
        self._links: dict[str, list[linear.Encryptor]] = {}
        super().__init__(plan, me, table, entropy)

    def _prepare(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        self._take_label()
        for holder in self._plan.holders:
            self._check_rows(holder)
        self._bins = binning.form(self._table.columns, columns, self._train, self._plan.bins, self._trees.leaf_rows)
        self._grown = [self._fresh() for _ in self._ensembles]
        return self._bins.names

    @property
    def _boosting(self) -> Boosting:
        """The ensemble that grows."""
        return self._grown[self.place]

    def _fresh(self) -> Boosting:
        return Boosting(self._plan, self._table.tokens, self._train, self._label, self._bins)

    def _digest_of_table(self) -> str:
        beside = self._label.tobytes() + np.ascontiguousarray(self._weights_of_test, "<f8").tobytes()
        return canonical.digest_bytes("ecohub/tree-table/v1", binning.digest(self._bins).encode() + beside).hex()

    # --- the table of steps ------------------------------------------------------------------------------------------

    def _encryptor_steps(self) -> list[Step]:
        holders = self._plan.holders
        steps = [Step(name="zero", phase="hints", needs=needs("tree-hint", holders), after=("seed",), act=self._zero)]
        for holder in holders:
            reply, proof = needs("zero-reply", [holder]), needs("zero-proof", [holder])
            opened, proven = f"zero-opened {holder}", f"zero-verified {holder}"
            steps += [
                Step(name=opened, phase="zero test", needs=reply, after=("zero",), act=self._open_zero),
                Step(name=proven, phase="zero test", needs=proof, after=(opened,), act=self._verify),
            ]
        return steps

    def _multiplier_steps(self) -> list[Step]:
        return []

    def _role_steps(self) -> list[Step]:
        holders = self._plan.holders
        proven = tuple(f"zero-verified {holder}" for holder in holders)
        steps = [Step(name="grow 0", phase="tree 1", after=proven, act=lambda _: self._ask(1))]
        for number in range(1, self._levels + 1):
            steps += self._level_steps(number)
        parts = needs("tree-part", holders)
        return [*steps, Step(name="parts", phase="model", needs=parts, after=("grow 0",), act=self._parts_of_model)]

    def _level_steps(self, number: int) -> list[Step]:
        phase, holders = self._phase_of(number), self._grown_with(self._tree_of(number))
        opened = tuple(f"open {number} {holder}" for holder in holders)
        routed = tuple(f"route {number} {holder}" for holder in holders)
        shown = needs(in_round("histograms", number), holders)
        answers = {holder: needs(in_round("gradients-reply", number), [holder]) for holder in holders}
        routes = {holder: needs(in_round("routes", number), [holder]) for holder in holders}
        choose = f"choose {number}"
        return [
            *(
                Step(
                    name=name, phase=phase, needs=answers[h], after=("grow 0",), act=partial(self._decrypt_sums, number)
                )
                for name, h in zip(opened, holders, strict=True)
            ),
            Step(name=choose, phase=phase, needs=shown, after=opened, act=partial(self._choose, number)),
            *(
                Step(name=name, phase=phase, needs=routes[h], after=(choose,), act=self._take_routes)
                for name, h in zip(routed, holders, strict=True)
            ),
            Step(name=f"grow {number}", phase=phase, after=(choose, *routed), act=partial(self._grow, number)),
        ]

    def _names_of_levels(self, numbers: range) -> list[str]:
        """All steps of some levels."""
        return [step.name for number in numbers for step in self._level_steps(number)]

    # --- links -------------------------------------------------------------------------------------------------------

    def _begin_links(self) -> list[Outgoing]:
        return []

    def _zero(self, taken: Taken) -> list[Outgoing]:
        out = []
        for (_, holder), reader in taken.items():
            count = length_of(reader, "widths")
            if not 1 <= count <= LINKS_MAX or (reader.integers("widths", (count,), 1 << 16) < 1).any():
                raise StepMalformed(partner=holder, why="its widths")
            self.widths[holder] = reader.integers("widths", (count,), 1 << 16)
            self._links[holder] = [linear.Encryptor(*end, self._entropy) for end in self._ends_of_links(holder)]
            for link, hint in zip(self._links[holder], parts_of(reader, count), strict=True):
                link.take_hint(holder, hint)
            tests = by_link([link.zero_test() for link in self._links[holder]])
            out += self._send("zero", [holder], {"data": tests})
        return out

    def _ends_of_links(self, holder: str) -> list[tuple[linear.Parameters, bytes, bytes]]:
        return [self._link_of(holder, place, width) for place, width in enumerate(self.widths[holder].tolist())]

    def _open_zero(self, taken: Taken) -> list[Outgoing]:
        return self._opened("zero-opened", taken)

    def _verify(self, taken: Taken) -> list[Outgoing]:
        _, holder, reader = only(taken)
        links = self._links[holder]
        for link, data in zip(links, parts_of(reader, len(links)), strict=True):
            link.verify_zero(holder, data)
        return []

    def _decrypt_sums(self, number: int, taken: Taken) -> list[Outgoing]:
        return self._opened(in_round("gradients-opened", number), taken)

    def _opened(self, kind: str, taken: Taken) -> list[Outgoing]:
        _, holder, reader = only(taken)
        links = self._links[holder]
        answers = [link.decrypt(holder, data) for link, data in zip(links, parts_of(reader, len(links)), strict=True)]
        return self._send(kind, [holder], {"data": by_link(answers)})

    # --- levels ------------------------------------------------------------------------------------------------------

    def _ask(self, number: int) -> list[Outgoing]:
        """Encrypt the derivatives of this level's nodes, for each holder under keys of its own."""
        nodes = self._boosting.open()
        asked = self._boosting.asked(nodes)
        vectors = np.ascontiguousarray(self._boosting.vectors(asked)[:, self._train])
        self.open_nodes = np.array(nodes, dtype=np.int64)
        out = []
        for holder in self._ensembles[self.place]:
            data = by_link([link.encrypt(vectors) for link in self._links[holder]])
            content: dict[str, Packed] = {"data": data, "nodes": np.array(asked, dtype=np.int64)}
            out += self._send(in_round("gradients", number), [holder], content)
        return out

    def _choose(self, number: int, taken: Taken) -> list[Outgoing]:
        """Split the open nodes: by an own column at once, by another's when its owner has said who goes left."""
        nodes = self.open_nodes.tolist()
        shown = {self._line.index(holder): self._groups(reader, nodes) for (_, holder), reader in taken.items()}
        chosen = self._boosting.choose(nodes, shown)
        for one in chosen:
            if one.owner == OWN:
                self._boosting.route(one, self._boosting.goes_left(one))
        self.chosen = np.array([[s.node, s.owner, s.column, s.bound] for s in chosen if s.owner != OWN], np.int64)
        self.chosen = self.chosen.reshape(-1, 4)
        out = []
        for holder in self._ensembles[self.place]:
            own = self.chosen[self.chosen[:, 1] == self._line.index(holder)]
            if not len(own):
                self._skip([f"route {number} {holder}"])
                continue
            rows = [np.packbits(self._boosting.growth.at == node) for node in own[:, 0].tolist()]
            columns: dict[str, Packed] = {
                name: np.ascontiguousarray(own[:, place])
                for place, name in ((0, "nodes"), (2, "columns"), (3, "bounds"))
            }
            out += self._send(in_round("splits", number), [holder], {**columns, "rows": np.array(rows)})
        return out

    def _groups(self, reader: Reader, nodes: list[int]) -> dict[int, Groups]:
        """What a holder shows of every open node: groups of its columns that add up to the node.

        Raises DerivativesImplausible, StepMalformed.
        """
        columns = len(self.names[reader.sender])
        counts = reader.integers("counts", (len(nodes), columns), self._plan.bins + 1)
        if (counts < 0).any() or (counts == 1).any():
            raise StepMalformed(partner=reader.sender, why="its counts")
        size = int(counts.sum())
        first, second = (reader.integers(name, (size,), 1 << 50) for name in ("first", "second"))
        found, start = {}, 0
        for node, own in zip(nodes, counts, strict=True):
            part = slice(start, start + int(own.sum()))
            groups = Groups(counts=own, first=first[part], second=second[part])
            self._check(reader.sender, node, groups)
            found[node], start = groups, part.stop
        return found

    def _check(self, holder: str, node: int, groups: Groups) -> None:
        """A column's groups add up to what the node has, and each has the second derivatives of rare_rows rows."""
        if not len(groups.first):
            return
        used = groups.counts[groups.counts > 0]
        starts = np.cumsum(used) - used
        first, second = self._boosting.total(node)
        if (np.add.reduceat(groups.first, starts) != first).any() or (
            np.add.reduceat(groups.second, starts) != second
        ).any():
            raise DerivativesImplausible(partner=holder, why="a column's groups do not add up to the node")
        if (groups.second < 1).any():
            raise DerivativesImplausible(partner=holder, why="a group without rows")

    def _take_routes(self, taken: Taken) -> list[Outgoing]:
        """Split the nodes of one owner by who goes left, as it says."""
        _, holder, reader = only(taken)
        owner, tree = self._line.index(holder), str(self.place * self._trees.trees + self._boosting.growth.tree)
        mine = [Split(node=n, owner=o, column=c, bound=b) for n, o, c, b in self.chosen.tolist() if o == owner]
        rows = [len(self._boosting.rows_of(one.node)) for one in mine]
        value, total = reader.content["left"], sum(rows)
        if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.shape != (-(-total // 8),):
            raise StepMalformed(partner=holder, why="its left")
        bits = np.unpackbits(value)
        if bits[total:].any():
            raise StepMalformed(partner=holder, why="its left")
        for one, left in zip(mine, np.split(bits[:total].astype(bool), np.cumsum(rows)[:-1]), strict=True):
            self._boosting.route(one, left)
        trees = self.routed.setdefault(holder, {})
        trees[tree] = trees.get(tree, 0) + total
        return []

    def _grow(self, number: int, _: Taken) -> list[Outgoing]:
        """Go on with the next level, tree or ensemble, or to the end; levels in between will not happen."""
        if self._boosting.end_level():
            return self._ask(number + 1)
        more, trees = self._boosting.end_tree(), self._trees.trees
        following = self._first_of(
            self.place * trees + self._boosting.growth.tree if more else (self.place + 1) * trees
        )
        self._skip(self._names_of_levels(range(number + 1, following)))
        if not more and self.place + 1 == len(self._ensembles):
            return self._send("grown", self._plan.holders, {"trees": self._grown[0].kept})
        self.place += not more
        return self._ask(following)

    def _parts_of_model(self, taken: Taken) -> list[Outgoing]:
        for (_, holder), reader in taken.items():
            self.digests[holder] = reader.digest("digest")
            self.merged[holder] = reader.count("merged", 1 << 40)
            self.limits[holder] = reader.count("limit", self._plan.bins)
        return []

    # --- restarts ----------------------------------------------------------------------------------------------------

    def _dump_parts(self) -> dict[str, Packed]:
        links: dict[str, Packed] = {holder: [one.dump() for one in links] for holder, links in self._links.items()}
        return {"links": links, "boosting": self._boosting.pack()}

    def _pieces(self) -> dict[str, Callable[[], bytes]]:
        hints = {name: make for links in self._links.values() for one in links for name, make in one.pieces().items()}
        reached = {f"reached {tree}": leaf.tobytes for tree, leaf in enumerate(self._grown[0].growth.reached)}
        return (
            hints | reached | {f"ensemble {place}": one.encode for place, one in enumerate(self._grown[: self.place])}
        )

    def _restore_parts(self, parts: dict[str, Any], pieces: Mapping[str, bytes]) -> None:
        trees = sum(name.startswith("reached ") for name in pieces)
        reached = [np.frombuffer(pieces[f"reached {tree}"], np.uint8) for tree in range(trees)]
        states: list[Any] = [packing.unpack(pieces[f"ensemble {place}"]) for place in range(self.place)]
        for place, (one, state) in enumerate(zip(self._grown, [*states, parts["boosting"]], strict=False)):
            one.restore(state, reached if place == 0 else ())
        self._links = {
            holder: [
                linear.Encryptor.load(data, pieces, *end, self._entropy)
                for data, end in zip(stored, self._ends_of_links(holder), strict=True)
            ]
            for holder, stored in parts["links"].items()
        }
