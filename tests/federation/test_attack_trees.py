"""What honest parties can work out of one run of trees: the attacks themselves, on what each side sees.

The label holder knows every row's derivatives and node, the sums of shown groups, and who went left at others' splits.
A feature holder knows its own bins, exact sums over them, and the rows of the nodes that its own columns split.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from federation.plan import TrainingPlan
from federation.vertical.trees.bins import Bins
from federation.vertical.trees.derivatives import Packing
from federation.vertical.trees.grower import TreeGrower
from federation.vertical.trees.holder import TreeHolder
from federation.vertical.trees.party import TreeParty
from tests.federation.alliance import pump, synthetic
from tests.federation.test_vertical_trees import tree_body

pytestmark = pytest.mark.slow_flow  # whole runs: they run with the flows
PAIR = ("broker", "bank")
Node = tuple[int, int]  # (tree, node)


@dataclass
class Seen:
    """One run of broker and bank. `nodes`: each row's packed derivatives in a node, 0 elsewhere."""

    label: np.ndarray
    bins: Bins
    train: np.ndarray
    packing: Packing
    nodes: dict[Node, np.ndarray] = field(default_factory=dict)
    sums: dict[Node, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # the bank's: ends, second
    splits: list[tuple[int, int, int, int]] = field(default_factory=list)  # the bank's: tree, node, column, last

    @property
    def fitted(self) -> np.ndarray:
        return np.asarray(np.any([packed != 0 for packed in self.nodes.values()], axis=0))


def watched_run(monkeypatch: pytest.MonkeyPatch, rows: int, parties: tuple[str, ...] = PAIR, **options: Any) -> Seen:
    """What is seen of the bank's side. Trees are numbered through all variants."""
    all_tables, all_columns = synthetic(rows)
    tables = {name: all_tables[name] for name in parties}
    columns = {name: all_columns[name] for name in parties}
    plan = TrainingPlan.from_body(
        tree_body(columns, bins=16, rare_rows=20, test_ppm=100_000, bootstrap=100, trees=options)
    )
    nodes: dict[Node, np.ndarray] = {}
    sums: dict[Node, tuple[np.ndarray, np.ndarray]] = {}
    ask, show = TreeGrower._ask, TreeHolder._show

    def encrypted(self: TreeGrower, number: int) -> Any:
        growing = self._boosting
        for node in growing.open():
            packed = np.where(growing.growth.at == node, growing.derivatives().packed, 0)
            nodes[self._tree_of(number), node] = packed
        return ask(self, number)

    def shown(self: TreeHolder, number: int, taken: Any) -> Any:
        out = show(self, number, taken)
        for node, own in self._histograms.nodes.items() if self._me == "bank" else ():
            sums[self._tree_of(number), node] = own.ends.copy(), own.second.copy()
        return out

    with monkeypatch.context() as patched:
        patched.setattr(TreeGrower, "_ask", encrypted)
        patched.setattr(TreeHolder, "_show", shown)
        bank = pump(plan, tables)["bank"]
    assert isinstance(bank, TreeHolder)
    train = ~plan.test_mask(tables["broker"].tokens)
    label = np.array(tables["broker"].label) == 1
    splits = [(tree, node, column, last) for tree, node, column, last in bank.own_splits.tolist()]
    packing = Packing.of(int(train.sum()))
    return Seen(label=label, bins=bank._bins, train=train, packing=packing, nodes=nodes, sums=sums, splits=splits)


# --- the label holder: on which side of a cut is every client? --------------------------------------------------------


def untold(seen: Seen, column: int, cut: int) -> np.ndarray:
    """Fitted rows of which routes alone don't tell whether they are above a cut."""
    code, told = seen.bins.codes[:, column], np.zeros(len(seen.train), bool)
    for tree, node, of, last in seen.splits:
        if of == column:
            told |= (seen.nodes[tree, node] != 0) & np.where(code <= last, last <= cut, last >= cut)
    return seen.fitted & ~told


def equations(seen: Seen, column: int, cut: int) -> np.ndarray:
    """(sums, rows): the derivatives in every sum up to this cut that was shown."""
    start = int((np.cumsum(seen.bins.counts) - seen.bins.counts)[column])
    found = [np.zeros((0, len(seen.train)))]
    for name, (ends, _) in seen.sums.items():
        groups = ends[start : start + int(seen.bins.counts[column])]
        if groups[cut]:
            first, second = seen.packing.unpack(seen.nodes[name])
            found.append(np.array([first, second], dtype=np.float64))
    return np.vstack(found)


def learned(seen: Seen) -> tuple[float, float]:
    """Of all (fitted client, cut of the bank): the share that routes tell, and that routes and sums tell for certain.

    A client's side is certain where it is the same in all real solutions of the sums: its unit vector is in the span of
    the equations. That side values are 0 or 1 is not even used.
    """
    clients = by_routes = by_both = 0
    for column, count in enumerate(seen.bins.counts.tolist()):
        for cut in range(count - 1):
            rows = untold(seen, column, cut)
            matrix = equations(seen, column, cut)[:, rows]
            matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1.0)
            _, sizes, spanned = np.linalg.svd(matrix, full_matrices=False)
            kept = spanned[sizes > 1e-9 * max(sizes.max(initial=0.0), 1.0)]
            certain = int(((kept**2).sum(axis=0) > 1 - 1e-6).sum())
            told = int(seen.fitted.sum() - rows.sum())
            clients, by_routes, by_both = clients + seen.fitted.sum(), by_routes + told, by_both + told + certain
    return by_routes / clients, by_both / clients


def solved_share(seen: Seen) -> float:
    """Of what routes leave open, the share that sums tell for certain."""
    routes, both = learned(seen)
    return (both - routes) / (1 - routes)


def test_routes_tell_the_label_holder_most_sides_and_sums_within_the_rule_little_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = watched_run(monkeypatch, 1440, trees=20, depth=4)  # as few train rows as the rule allows
    assert 0.5 < learned(seen)[0] < 0.9, "the pages say so"
    assert solved_share(seen) < 0.1


def test_without_the_rule_of_sums_most_of_the_rest_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TreeParty, "_check_rows", lambda self, holder: None)
    assert solved_share(watched_run(monkeypatch, 900, trees=50, depth=4)) > 0.4


# --- a feature holder: whose label does it know? ----------------------------------------------------------------------


def labels_read(seen: Seen) -> float:
    """The share of fitted clients alone in a bin of a node whose rows the bank knows: p - y tells by its sign."""
    flat = seen.bins.codes + (np.cumsum(seen.bins.counts) - seen.bins.counts)
    own = {(tree, node) for tree, node, _, _ in seen.splits}
    known = own | {(tree, 2 * node + side) for tree, node in own for side in (0, 1)}
    read = np.zeros(len(seen.train), bool)
    for name in sorted(known & seen.sums.keys()):
        rows = np.flatnonzero(seen.nodes[name])
        alone = rows[(np.bincount(flat[rows].ravel())[flat[rows]] == 1).any(axis=1)]
        sums, _ = seen.packing.unpack(seen.nodes[name][alone])  # a sum over one row is that row's
        assert ((sums < 0) == seen.label[alone]).all()
        read[alone] = True
    return float(read.sum() / seen.fitted.sum())


def test_a_holder_reads_labels_of_clients_alone_in_a_bin_of_a_node_it_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that people approve, not a rule: fewer in larger runs, never none."""
    few, many = (labels_read(watched_run(monkeypatch, rows, trees=10, depth=4)) for rows in (800, 3200))
    assert few > many > 0.0
