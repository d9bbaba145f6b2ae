"""The label holder where trees are grown: what it has of the model in the end, measured on held-out clients."""

import numpy as np

from federation import calibration, metrics
from federation.explain import Importance
from federation.features import Floats
from federation.plan_models import TREES
from federation.plan_variants import Coalition
from federation.vertical import gaps, worth
from federation.vertical.evaluation import Held, evaluate
from federation.vertical.results import Grown, LabelResult, Variant
from federation.vertical.trees.boosting import OWN, Boosting, Tree
from federation.vertical.trees.grower import TreeGrower
from federation.vertical.trees.model import TreePart, cuts_of
from federation.vertical.trees.paths import paths_of
from federation.vertical.trees.results import disclosed


class TreeLabelHolder(TreeGrower):
    """The label holder's session."""

    def result(self) -> LabelResult:
        """Measures of every variant on the same test rows, and the label matrix. Only once `done`; computed anew."""
        assert self.done, "the session is done"
        plan, names = self._plan, {partner: tuple(columns) for partner, columns in self.names.items()}
        totals = self._totals()
        watched = self._full.watched
        lines = [calibration.platt(self._label[watched], total[watched]) for total in totals]
        matrix = self._matrix(totals, lines)
        held, part = self._held(), self._part()
        routed = {holder: {int(t): n for t, n in trees.items()} for holder, trees in self.routed.items()}
        return LabelResult(
            run=self._run,
            train_rows=self._rows,
            test_rows=int(self._test.sum()),
            test_positives=int(self._label[self._test].sum()),
            validation=None,
            rules=self._rules(held),
            variants=self._variants(totals, lines, held),
            matrix=matrix,
            part=part,
            fairness=gaps.measure(plan, self._table, self._test, held, matrix.scores, matrix.chances),
            contribution=worth.contribution_by_scores(plan, held.label, self._chances(totals, lines)),
            importance=self._importance(),
            weights_digests=self.digests | {self._me: part.digest},
            columns=names,
            dropped={p: tuple(c for c in plan.party(p).columns if c not in names[p]) for p in self._line},
            own_reasons=dict(self._bins.dropped),
            suppressed_cells=0,  # of moments; bins that were not shown apart are in `trees`
            disclosed=tuple(one for h in plan.holders for one in disclosed(plan, h, self.names[h], routed.get(h, {}))),
            refinement=None,
            trees=self._ensemble(),
            paths=paths_of(self._kept_trees, self._full.growth.reached[: self._full.kept], len(self._test)),
        )

    @property
    def _full(self) -> Boosting:
        """The ensemble with all holders, which is the model; the others are what it is compared with."""
        return self._grown[0]

    def _totals(self) -> list[Floats]:
        """(rows,) log-odds of every variant, in the plan's order; the label holder's own is grown here."""
        alone = self._fresh()
        alone.grow_alone()
        grown = {(): alone, **dict(zip(self._ensembles, self._grown, strict=True))}
        return [grown[variant].growth.kept_margin for variant in self._plan.variants()]

    def _chances(self, totals: list[Floats], lines: list[calibration.Calibration]) -> dict[Coalition, Floats]:
        """(test rows,): calibrated chances by every variant."""
        odds = [line.log_odds(total[self._test]) for total, line in zip(totals, lines, strict=True)]
        return {variant: metrics.sigmoid(one) for variant, one in zip(self._plan.variants(), odds, strict=True)}

    def _variants(self, totals: list[Floats], lines: list[calibration.Calibration], held: Held) -> tuple[Variant, ...]:
        names = {"+".join(variant): variant for variant in self._plan.variants()}
        tested = {name: total[self._test] for name, total in zip(names, totals, strict=True)}
        fitted = dict(zip(names, lines, strict=True))
        made = evaluate(held, tested, fitted, "", {calibration.PLATT: lines[0]})
        return tuple(
            Variant(
                holders=tuple(variant),
                columns=sum(len(self.names[partner]) for partner in (self._me, *variant)),
                model=TREES,
                evaluation=made[name],
                lift_ppm=0,
            )
            for name, variant in names.items()
        )

    def _importance(self) -> Importance:
        """Shares of the loss that splits took off, by side and for own columns."""
        gains = [(one, gain) for tree in self._kept_trees for one, gain in zip(tree.splits, tree.gains, strict=True)]
        whole = float(sum(gain for _, gain in gains)) or 1.0
        parties = {name: sum(g for one, g in gains if self._line[one.owner] == name) for name in self._line}
        own = [
            sum(g for one, g in gains if (one.owner, one.column) == (OWN, column))
            for column in range(len(self._bins.names))
        ]
        return Importance(
            parties={name: metrics.ppm(gain / whole) for name, gain in parties.items()},
            own={name: metrics.ppm(gain / whole) for name, gain in zip(self._bins.names, own, strict=True)},
        )

    def _ensemble(self) -> Grown:
        kept = self._kept_trees
        owners = [self._line[one.owner] for tree in kept for one in tree.splits]
        watched = int(self._full.watched.sum())
        losses = self._full.growth.losses if watched >= self._held().minimum.rows else []
        return Grown(
            trees=len(kept),
            grown=len(self._full.growth.trees),
            splits={partner: owners.count(partner) for partner in self._line},
            bins={self._me: self._bins.limit, **self.limits},
            merged=self.merged,
            watched_rows=watched,
            watched_loss_ppm=[round(loss * 1_000_000) for loss in losses],
        )

    @property
    def _kept_trees(self) -> list[Tree]:
        return self._full.growth.trees[: self._full.kept]

    def _part(self) -> TreePart:
        kept = self._kept_trees
        all_ = [(number, one) for number, tree in enumerate(kept) for one in tree.splits]
        cuts, edges = cuts_of(self._bins, [(t, s.node, s.column, s.bound) for t, s in all_ if s.owner == OWN])
        splits = sorted((number, one.node, one.owner) for number, one in all_)
        leaves = [(number, leaf) for number, tree in enumerate(kept) for leaf in tree.leaves.tolist()]
        return TreePart(
            partner=self._me,
            columns=self._bins.names,
            cuts=cuts,
            edges=edges,
            owners=tuple(self._line),
            splits=np.array(splits, dtype=np.int64).reshape(len(splits), 3),
            leaves=np.array(leaves, dtype=np.int64).reshape(len(leaves), 2),
            values=np.concatenate([np.zeros(0), *(tree.values for tree in kept)]),
            base=self._full.base,
        )
