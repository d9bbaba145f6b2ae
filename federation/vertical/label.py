"""The label holder: encrypts the label and its columns, solves from moments, measures, and builds the label matrix.

It learns the moments of all parties' columns (small cells suppressed) and rounded scores. It never sees a row of
another party's columns, and no score of any client exists before the weights are solved.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation import calibration, metrics
from federation.calibration import Calibration
from federation.contribution import Contribution
from federation.features import Floats, Table
from federation.models import logistic, moments, path
from federation.models.moments import Moments, Solution
from federation.models.path import CrossValidation
from federation.plan import TrainingPlan
from federation.plan_models import LOGISTIC, MOMENTS
from federation.plan_variants import Coalition
from federation.vertical import assembly, gaps, scores, worth
from federation.vertical.assembly import Layout, Sums, exact_gram
from federation.vertical.evaluation import Held, evaluate
from federation.vertical.holder import disclosed
from federation.vertical.label_side import LabelSide
from federation.vertical.messages import Content, Outgoing, Reader
from federation.vertical.part import model_part
from federation.vertical.refinement import LabelRounds
from federation.vertical.results import LabelResult, Variant
from federation.vertical.steps import Step, Taken, needs
from privacy.packing import Packed
from privacy.ring import Entropy

Integers = NDArray[np.int64]


class LabelHolder(LabelSide, LabelRounds):
    """The label holder's session."""

    _STATE: ClassVar[tuple[str, ...]] = (
        *LabelRounds._STATE,
        "gathered",
        "suppressed",
        "ridge_milli",
        "solved",
        "lines",
        "shares",
        "totals",
        "digests",
    )

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Raises as `LabelSide` does."""
        self.solved: NDArray[np.float64] = np.zeros((0, 0))  # (variants, all columns, then intercept and lift)
        self.lines: NDArray[np.float64] = np.zeros((0, 2))  # (variants, slope and offset), calibrated by moments
        self.suppressed = 0
        self.gathered: dict[str, dict[str, Packed]] = {}  # by part: the fields of `Sums`
        self.ridge_milli = plan.ridge_milli  # the penalty of every variant, by cross-validation where the plan has it
        self.shares: dict[str, Integers] = {}  # by name of a smaller variant: the holders' summed shares, (test,)
        self.totals: Integers = np.zeros(0, np.int64)  # the holders' summed shares of the full variant, (rows,)
        self.digests: dict[str, str] = {}  # by holder: of its final weights, as it says
        super().__init__(plan, me, table, entropy)

    def result(self) -> LabelResult:
        """Measures of every variant on the same test rows, and the label matrix. Only once `done`; computed anew."""
        assert self.done, "the session is done"
        plan, names = self._plan, {str(partner): self._used(partner) for partner in self._line}
        totals = [self._total(index) for index in range(len(plan.variants()))]
        lines, held = self._calibrations(totals), self._held()
        matrix = self._matrix(totals, lines)
        *weights, intercept = self._own(-1)
        part = model_part(self._me, self._prepared, np.array(weights), intercept)
        return LabelResult(
            run=self._run,
            train_rows=self._rows,
            test_rows=int(self._test.sum()),
            test_positives=int(self._label[self._test].sum()),
            validation=self._cross_validation() if plan.validation else None,
            rules=self._rules(held),
            variants=self._variants(totals, lines, held),
            matrix=matrix,
            part=part,
            fairness=gaps.measure(plan, self._table, self._test, held, matrix.scores, matrix.chances),
            contribution=self._contribution(totals, lines, held),
            importance=worth.importance_of(plan, self._moments_of, self.names[self._me], self.solved[-1, :-2]),
            weights_digests=(self.digests if plan.rounds else self._digests()) | {self._me: part.digest},
            columns=names,
            dropped={p: tuple(c for c in plan.party(p).columns if c not in names[p]) for p in self._line},
            own_reasons=dict(self._prepared.dropped),
            suppressed_cells=self.suppressed,
            disclosed=tuple(
                one
                for holder in plan.holders
                for one in disclosed(plan, holder, self._used(holder), self._test, self._tracks)
            ),
            refinement=self.refinement,
        )

    def _role_steps(self) -> list[Step]:
        holders = self._plan.holders
        opened = tuple(f"opened {holder}" for holder in holders)
        given, answered = needs("moments", holders), needs("scores", holders)
        rounds = [step for track in self._tracks for step in self._round_steps(track)]
        over = tuple(step.name for step in rounds) or ("weights",)
        return [
            Step(name="weights", phase="moments", needs=given, after=opened, act=self._weights),
            *rounds,
            Step(name="result", phase="scores", needs=answered, after=over, act=self._result),
        ]

    def _signed(self, part: str) -> Integers:
        """(rows,): the label as ±1, which is 2(y − ½)."""
        return np.where(self._label[self._parts[part]], 1, -1).astype(np.int64)

    def _vectors(self, part: str) -> Integers:
        """The label, then the own columns: (1 + m, rows)."""
        return np.vstack([self._signed(part), self._matrices[part].T])

    # --- moments and weights -----------------------------------------------------------------------------------------

    def _weights(self, taken: Taken) -> list[Outgoing]:
        """Solve every variant and send each holder its own weights."""
        self._gather({sender: reader for (_, sender), reader in taken.items()})
        joint = moments.together([self._moments_of(part) for part in self._plan.train_parts])
        if self._plan.validation:
            self.ridge_milli = self._cross_validation().ridge_milli
        rows, lines = [], []
        for variant in self._plan.variants():
            solution = self._begun(joint, variant, self._solution(joint, variant))
            rows.append(np.append(solution.weights, [solution.intercept, solution.lift]))
            line = calibration.from_moments(joint, solution)
            lines.append([line.slope, line.offset])
        self.solved, self.lines = np.array(rows), np.array(lines)
        for track in self._tracks:
            place = self._plan.variants().index(track.holders)
            track.begin(self.solved[place, [*self._columns_of(self._me), -2]])
        announced: dict[str, Packed] = {**self._digests()}
        out = []
        for holder in self._plan.holders:
            content: Content = {"weights": self._weights_of(holder), "announced": announced}
            out += self._send("weights", [holder], content)
        return out

    def _solution(self, joint: Moments, variant: tuple[str, ...]) -> Solution:
        """From moments; the own columns alone are fitted where rounds refine, or rounds would count as uplift."""
        ridge = self.ridge_milli / 1000
        if variant or not self._plan.rounds:
            return moments.solve(joint, {self._me, *variant}, ridge)
        fitted = logistic.fit(self._prepared.scaled[self._train], self._label[self._train], 1 / ridge)
        weights = np.zeros(len(joint.owners))
        weights[self._columns_of(self._me)] = fitted.weights
        return Solution(weights=weights, intercept=fitted.intercept, lift=0.0)

    def _begun(self, joint: Moments, variant: tuple[str, ...], solution: Solution) -> Solution:
        """Where the rounds of a variant begin; the order of scores is the same."""
        options = self._plan.logistic
        if options is None or not options.calibrated or variant not in {track.holders for track in self._tracks}:
            return solution
        return calibration.applied(calibration.from_moments(joint, solution), solution)

    def _gather(self, given: dict[str, Reader]) -> None:
        """Check and keep the moments of every part."""
        size = len(self._layout.owners)
        self.suppressed = sum(reader.count("suppressed", size**2 * len(self._parts)) for reader in given.values())
        by_part = {sender: reader.within("parts", set(self._parts)) for sender, reader in given.items()}
        for part, matrix in self._matrices.items():
            own = Sums(gram=exact_gram(matrix), sums=matrix.sum(axis=0), target=self._signed(part) @ matrix)
            readers = {sender: parts[part] for sender, parts in by_part.items()}
            self.gathered[part] = assembly.assemble(self._layout, own, readers, len(matrix)).packed()

    def _moments_of(self, part: str) -> Moments:
        """All parties' moments over the rows of a part. Only once the step "weights" has begun."""
        sums: dict[str, Any] = self.gathered[part]
        return assembly.scaled(sums, self._layout.owners, self._label[self._parts[part]])

    def _cross_validation(self) -> CrossValidation:
        """Every variant on the folds of the train rows, and the penalty that they choose."""
        plan = self._plan
        assert plan.validation is not None, "the plan has folds"
        return path.cross_validate(
            [self._moments_of(part) for part in plan.train_parts],
            [{self._me, *variant} for variant in plan.variants()],
            sorted({plan.ridge_milli, *plan.validation.ridge_path_milli}),
        )

    # --- scores ------------------------------------------------------------------------------------------------------

    def _result(self, taken: Taken) -> list[Outgoing]:
        """Check and keep the rounded shares."""
        plan, rows = self._plan, int(self._test.sum())
        step = plan.score_step_log2
        words: dict[tuple[str, ...], list[NDArray[np.uint64]]] = {variant: [] for variant in plan.variants()}
        for (_, sender), reader in taken.items():
            own = [variant for variant in plan.variants()[:-1] if sender in variant]
            single, middle = ([one for one in own if (len(one) == 1) is alone] for alone in (True, False))
            small = reader.integers("small", (len(single), rows), scores.units_max(step))
            self.shares |= {_name(variant): share for variant, share in zip(single, small, strict=True)}
            for variant, masked in zip(middle, reader.words("middle", (len(middle), rows)), strict=True):
                words[variant].append(masked)
            words[plan.holders].append(reader.words("full", self._test.shape))
            self.digests[sender] = reader.digest("digest")
        self.totals = scores.unmasked(words.pop(plan.holders), step, plan.holders)
        self.shares |= {_name(one): scores.unmasked(found, step, one) for one, found in words.items() if found}
        return []

    def _total(self, index: int) -> NDArray[np.float64]:
        """Log-odds of one variant: all rows for the first and the full one, test rows for those between."""
        variant, step = self._plan.variants()[index], 2.0**self._plan.score_step_log2
        *weights, intercept = self._own(index)
        own = self._prepared.scaled @ np.array(weights) + intercept
        if variant == self._plan.variants()[-1]:
            return np.asarray(own + self.totals * step)
        return np.asarray(own[self._test] + self.shares[_name(variant)] * step if variant else own)

    # --- measures ----------------------------------------------------------------------------------------------------

    def _variants(self, totals: list[NDArray[np.float64]], lines: list[Calibration], held: Held) -> tuple[Variant, ...]:
        """Every variant, measured on the same test rows; the first is the label holder alone."""
        named = {_name(variant): variant for variant in self._plan.variants()}
        tested = {
            name: total[self._test] if len(total) == len(self._test) else total
            for name, total in zip(named, totals, strict=True)
        }
        alone = {one.method: one for one in (lines[0], self._by_moments(0))}
        evaluated = evaluate(held, tested, dict(zip(named, lines, strict=True)), _name(()), alone)
        return tuple(
            Variant(
                holders=tuple(variant),
                columns=sum(len(self._used(partner)) for partner in (self._me, *variant)),
                model=LOGISTIC if self._refines(variant) else MOMENTS,
                evaluation=evaluated[name],
                lift_ppm=round(float(lift) * 1_000_000),
            )
            for (name, variant), lift in zip(named.items(), self.solved[:, -1], strict=True)
        )

    def _calibrations(self, totals: list[NDArray[np.float64]]) -> list[Calibration]:
        """By train scores where this party has them, in the end or of a round; by moments where it has none."""
        trained = {track.holders: track.train for track in self._tracks}
        return [
            calibration.platt(self._label[self._train], trained[variant] if between else total[self._train])
            if not (between := len(total) != len(self._test)) or variant in trained
            else self._by_moments(index)
            for index, (variant, total) in enumerate(zip(self._plan.variants(), totals, strict=True))
        ]

    def _by_moments(self, index: int) -> Calibration:
        slope, offset = self.lines[index].tolist()
        return Calibration(method=calibration.MOMENTS, slope=slope, offset=offset, rows=self._rows)

    def _contribution(
        self, totals: list[NDArray[np.float64]], lines: list[Calibration], held: Held
    ) -> Contribution | None:
        """By the refined scores of every coalition where the plan has them, else by moments."""
        if not self._plan.by_scores:
            return worth.contribution_of(self._plan, self._moments_of, self.ridge_milli / 1000)
        tested = [total[self._test] if len(total) == len(self._test) else total for total in totals]
        odds = [line.log_odds(total) for line, total in zip(lines, tested, strict=True)]
        chances: dict[Coalition, Floats] = {
            one: metrics.sigmoid(each) for one, each in zip(self._plan.variants(), odds, strict=True)
        }
        return worth.contribution_by_scores(self._plan, held.label, chances)

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _own(self, index: int) -> NDArray[np.float64]:
        """(own columns and intercept,): the weights of a variant."""
        variant = self._plan.variants()[index]
        for track in self._tracks:
            if track.holders == variant:
                return track.weights
        return np.asarray(self.solved[index, [*self._columns_of(self._me), -2]])

    def _refines(self, variant: tuple[str, ...]) -> bool:
        """Whether a variant's weights are no longer those that moments gave."""
        return self._plan.rounds > 0 and (not variant or variant in self._plan.refined)

    def _weights_of(self, holder: str) -> NDArray[np.float64]:
        """(variants that include the holder, its columns)."""
        included = np.flatnonzero([holder in variant for variant in self._plan.variants()])
        return np.ascontiguousarray(self.solved[np.ix_(included, self._columns_of(holder))])

    def _digests(self) -> dict[str, str]:
        return {holder: scores.weights_digest(self._weights_of(holder)) for holder in self._plan.holders}

    @property
    def _layout(self) -> Layout:
        """Whose columns stand where among all."""
        return Layout(widths={partner: len(self.names[partner]) for partner in self._line})

    def _columns_of(self, partner: str) -> Integers:
        return self._layout.at(partner)


def _name(variant: tuple[str, ...]) -> str:
    return "+".join(variant)
