"""The same boosted trees on pooled rows, written plainly: what the protocol must come to, bit for bit.

Bins and rounded derivatives are the product's (same bins, same quantisation); sums are taken over rows instead of from
encrypted products, of every node anew instead of by subtraction, and every cut is tried in a loop.
"""

from dataclasses import dataclass, field

import numpy as np

from federation.plan import TrainingPlan
from federation.vertical.trees import bins as binning
from federation.vertical.trees.bins import Bins
from federation.vertical.trees.boosting import Boosting, sampled_columns
from federation.vertical.trees.derivatives import SECOND_MAX, Derivatives
from federation.vertical.trees.party import room
from federation.vertical.trees.splits import GAIN_MIN
from tests.federation.alliance import Tables

Cuts = dict[tuple[int, int], list[int]]  # by (owner, column): after which bins a shown group ends, the last left out


@dataclass
class Reference:
    """Cuts as (tree, node, owner, column, last bin left); leaves as {(tree, node): value}."""

    cuts: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    leaves: dict[tuple[int, int], float] = field(default_factory=dict)
    margin: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass
class Shown:
    """What one node's sums were shown by: second derivatives of every bin and ends of groups, by (owner, column)."""

    second: dict[tuple[int, int], list[int]]
    ends: Cuts


class Pooled:
    """All parties' bins in one place. `fit` grows the variants of a plan in the order that the protocol has: what was
    shown of a node bounds what is shown of a like one later.
    """

    def __init__(self, plan: TrainingPlan, tables: Tables) -> None:
        self.holders: tuple[str, ...] = ()  # of the variant that grows
        self.before: dict[int, list[Shown]] = {}  # by tree, of earlier variants
        self.now: dict[int, list[Shown]] = {}
        self.plan, self.line = plan, (plan.label_holder, *plan.holders)
        tokens = tables[plan.label_holder].tokens
        train = ~plan.test_mask(tokens)
        assert plan.trees is not None
        self.options = plan.trees
        self.bins: list[Bins] = []
        for partner in self.line:
            own = partner == plan.label_holder
            least = plan.trees.leaf_rows if own else plan.rare_rows
            space = None if own else room(int(train.sum())) - 1
            names = plan.party(partner).columns
            self.bins.append(binning.form(tables[partner].columns, names, train, plan.bins, least, space))
        label = tables[plan.label_holder].label
        assert label is not None
        # rows, watched rows and derivatives are the product's; nothing of its search is used
        self.boosting = Boosting(plan, tokens, train, label == 1, self.bins[0])

    def sums(self, owner: int, column: int, rows: np.ndarray, made: Derivatives) -> list[tuple[int, int]]:
        """(first, second) of every bin over some rows."""
        first, second = self.boosting.packing.unpack(made.packed)
        codes = self.bins[owner].codes[:, column]
        return [
            (int(first[rows & (codes == b)].sum()), int(second[rows & (codes == b)].sum()))
            for b in range(int(self.bins[owner].counts[column]))
        ]

    def groups(self, weights: list[list[int]], allowed: list[int]) -> list[int]:
        """Ends of groups that have enough of every list of weights; the last group takes what is left over."""
        need, ends, held = self.plan.rare_rows * SECOND_MAX, [], [0] * len(weights)
        last = len(weights[0]) - 1
        for place in range(last + 1):
            held = [h + w[place] for h, w in zip(held, weights, strict=True)]
            if (place in allowed or place == last) and min(held) >= need:
                ends.append(place)
                held = [0] * len(weights)
        return ends[:-1]

    def best(self, node_rows: np.ndarray, shown: Cuts, made: Derivatives) -> tuple[float, int, int, int] | None:
        penalty, need = self.plan.ridge_milli / 1000, self.options.leaf_rows * SECOND_MAX
        unit = 1 / self.boosting.packing.first_max

        def score(first: int, second: int) -> float:
            return (first * unit) ** 2 / (second * made.unit + penalty)

        found: tuple[float, int, int, int] | None = None
        for (owner, column), ends in sorted(shown.items()):
            sums = self.sums(owner, column, node_rows, made)
            whole = tuple(map(sum, zip(*sums, strict=True)))
            for end in ends:
                left = tuple(map(sum, zip(*sums[: end + 1], strict=True)))
                right = whole[0] - left[0], whole[1] - left[1]
                if min(left[1], right[1]) < need:
                    continue
                gain = score(*left) + score(*right) - score(*whole)
                if gain > GAIN_MIN and (found is None or gain > found[0]):
                    found = (gain, owner, column, end)
        return found

    def fit(self, holders: tuple[str, ...] | None = None) -> Reference:
        """The label holder with these feature holders; None: with all of them."""
        self.holders = tuple(self.line[1:]) if holders is None else holders
        for tree, nodes in self.now.items():
            self.before.setdefault(tree, []).extend(nodes)
        self.now = {}
        made, margin = Reference(), np.full(len(self.boosting.fitted), self.boosting.base)
        for tree in range(self.options.trees):
            self.boosting.growth.margin, self.boosting.growth.tree = margin, tree
            margin = self.grow(tree, made, margin)
        made.margin = margin
        return made

    def grow(self, tree: int, made: Reference, margin: np.ndarray) -> np.ndarray:
        derived = self.boosting.derivatives()
        sampled = derived.packed != 0
        at = np.ones(len(margin), dtype=int)
        shown = {1: self.root(tree, sampled, derived)}
        self.keep(tree, shown[1], sampled, derived)
        for level in range(self.options.depth):
            for node in [n for n in sorted(shown) if n >> level == 1]:
                here = at == node
                found = self.best(here & sampled, shown[node], derived)
                if found is None:
                    continue
                _, owner, column, end = found
                made.cuts.append((tree, node, owner, column, end))
                left = self.bins[owner].codes[:, column] <= end
                at[here & left], at[here & ~left] = 2 * node, 2 * node + 1
                pair = [sampled & (at == child) for child in (2 * node, 2 * node + 1)]
                both = self.children(tree, shown[node], pair, (owner, column), derived)
                shown[2 * node], shown[2 * node + 1] = both
                second = self.boosting.packing.unpack(derived.packed)[1]
                largest = max(int(second[rows].sum()) for rows in pair)
                asked = level + 1 < self.options.depth and largest >= 2 * self.options.leaf_rows * SECOND_MAX
                for cuts, rows in zip(both, pair, strict=True) if asked else ():
                    self.keep(tree, cuts, rows, derived)
        inner = {node for t, node, *_ in made.cuts if t == tree}
        leaves = sorted(({1} | {2 * n + s for n in inner for s in (0, 1)}) - inner)
        margin = margin.copy()
        for leaf in leaves:
            rows = sampled & (at == leaf)
            step = derived.first[rows].sum() / (derived.second[rows].sum() + self.plan.ridge_milli / 1000)
            made.leaves[tree, leaf] = -float(step) * self.options.rate_milli / 1000
            margin[at == leaf] += made.leaves[tree, leaf]
        return margin

    def keep(self, tree: int, cuts: Cuts, rows: np.ndarray, made: Derivatives) -> None:
        second = {place: [h for _, h in self.sums(*place, rows, made)] for place in cuts if place[0] > 0}
        self.now.setdefault(tree, []).append(Shown(second=second, ends={place: cuts[place] for place in second}))

    def known(self, tree: int, owner: int, rows: np.ndarray, made: Derivatives) -> Cuts:
        """By column of an owner: where groups may end, by what was shown of nodes that differ by too little."""
        need, bins = self.plan.rare_rows * SECOND_MAX, self.bins[owner]
        own = {c: [h for _, h in self.sums(owner, c, rows, made)] for c in range(len(bins.names))}
        allowed = {(owner, c): list(range(int(bins.counts[c]) - 1)) for c in own}
        for node in self.before.get(tree, []):
            theirs = {c: node.second[owner, c] for c in own if (owner, c) in node.second}
            if not theirs:
                continue
            apart = [sum(abs(a - b) for a, b in zip(own[c], theirs[c], strict=True)) for c in theirs]
            if max(apart) < need:
                for c in own:
                    ends = node.ends.get((owner, c), [])
                    allowed[owner, c] = [end for end in allowed[owner, c] if end in ends]
        return allowed

    def root(self, tree: int, rows: np.ndarray, made: Derivatives) -> Cuts:
        cuts: Cuts = {}
        for owner, own in enumerate(self.bins):
            if owner and self.line[owner] not in self.holders:
                continue
            known = self.known(tree, owner, rows, made)
            who = "" if owner == 0 else self.line[owner]
            taken = sampled_columns(self.plan.split_salt, tree, who, own.names, self.options.columns_ppm)
            for column in np.flatnonzero(taken).tolist():
                every = list(range(int(own.counts[column]) - 1))
                weights = [second for _, second in self.sums(owner, column, rows, made)]
                cuts[owner, column] = every if owner == 0 else self.groups([weights], known[owner, column])
        return cuts

    def children(
        self, tree: int, parent: Cuts, pair: list[np.ndarray], split: tuple[int, int], made: Derivatives
    ) -> tuple[Cuts, Cuts]:
        both: tuple[Cuts, Cuts] = ({}, {})
        owners = {owner for owner, _ in parent if owner}
        known = [{k: v for o in owners for k, v in self.known(tree, o, rows, made).items()} for rows in pair]
        for (owner, column), ends in parent.items():
            weights = [[second for _, second in self.sums(owner, column, rows, made)] for rows in pair]
            for side in (0, 1):
                if owner == 0:
                    both[side][owner, column] = ends
                    continue
                allowed = [[end for end in ends if end in one[owner, column]] for one in known]
                if (owner, column) == split:
                    both[side][owner, column] = self.groups([weights[side]], allowed[side])
                else:
                    common = [end for end in allowed[0] if end in allowed[1]]
                    both[side][owner, column] = self.groups(weights, common)
        return both
