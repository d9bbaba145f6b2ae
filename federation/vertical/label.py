"""The label holder: encrypts the label and its columns, solves from moments, measures, and builds the label matrix.

It learns the moments of all parties' columns (small cells suppressed) and rounded scores. It never sees a row of
another party's columns, and no score of any client exists before the weights are solved.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation import bands, calibration, features, metrics
from federation.bands import Minimum
from federation.calibration import Calibration
from federation.errors import ColumnMissing, MomentsImplausible, ScoresImplausible
from federation.features import FRACTION_BITS, VALUE_MAX, Table
from federation.models import moments
from federation.models.moments import Moments
from federation.plan import LABEL_HOLDER, TrainingPlan
from federation.vertical import scores
from federation.vertical.evaluation import Held, evaluate
from federation.vertical.holder import disclosed, exact_gram
from federation.vertical.messages import Content, Outgoing, Reader
from federation.vertical.party import Party
from federation.vertical.results import LabelMatrix, LabelResult, Rules, Variant, deciles, model_part
from federation.vertical.steps import Step, Taken, needs
from privacy import canonical
from privacy.packing import Packed
from privacy.ring import Entropy

Integers = NDArray[np.int64]
SCALE = float(1 << FRACTION_BITS)


class LabelHolder(Party):
    """The label holder's session."""

    role: ClassVar[str] = LABEL_HOLDER
    _STATE: ClassVar[tuple[str, ...]] = (*Party._STATE, "solved", "lines", "suppressed", "shares", "totals")

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Raises LabelNotBinary, LabelTooRare, SurveyWeightsInvalid, TooFewRows, and what `Party` raises."""
        if table.label is None:
            raise ColumnMissing(column=plan.label_column)
        test = plan.test_mask(table.tokens)
        self._label = features.prepare_label(
            table.label, plan.label_column, ~test, plan.rare_rows, bands.CLASS_ROWS_MIN
        )
        self._weights_of_test = _survey_weights(plan, table, test)
        self.solved: NDArray[np.float64] = np.zeros((0, 0))  # (variants, all columns, then intercept and lift)
        self.lines: NDArray[np.float64] = np.zeros((0, 2))  # (variants, slope and offset), calibrated by moments
        self.suppressed = 0
        self.shares: dict[str, Integers] = {}  # by holder: rounded shares of its smaller variants, (variants, test)
        self.totals: Integers = np.zeros(0, np.int64)  # the holders' summed shares of the full variant, (rows,)
        super().__init__(plan, me, table, entropy)
        self._held().check(plan.survey_weights)

    def result(self) -> LabelResult:
        """Measures of every variant on the same test rows, and the label matrix. Only once `done`; computed anew."""
        assert self.done, "the session is done"
        plan, names = self._plan, {partner: tuple(columns) for partner, columns in self.names.items()}
        totals = [self._total(index) for index in range(len(plan.variants()))]
        lines, held = self._calibrations(totals), self._held()
        part = model_part(self._me, self._prepared, self.solved[-1, self._columns_of(self._me)], self.solved[-1, -2])
        return LabelResult(
            run=self._run,
            train_rows=self._rows,
            test_rows=int(self._test.sum()),
            test_positives=int(self._label[self._test].sum()),
            rules=Rules(
                bootstrap=plan.bootstrap,
                survey_weights=plan.survey_weights,
                effective_test_rows=int(bands.effective_rows(held.weights)),
                minimum=held.minimum,
            ),
            variants=self._variants(totals, lines, held),
            matrix=LabelMatrix(
                tokens=self._table.tokens,
                scores=totals[-1],
                chances=metrics.sigmoid(lines[-1].log_odds(totals[-1])),
                deciles=deciles(totals[-1]),
                test=self._test,
            ),
            part=part,
            weights_digests=self._digests() | {self._me: part.digest},
            columns=names,
            dropped={p: tuple(c for c in plan.party(p).columns if c not in names[p]) for p in self._line},
            own_reasons=dict(self._prepared.dropped),
            suppressed_cells=self.suppressed,
            disclosed=tuple(
                one
                for holder in plan.holders
                for one in disclosed(plan, holder, self.names[holder], len(self._test), self._test)
            ),
        )

    def _role_steps(self) -> list[Step]:
        holders = self._plan.holders
        opened = tuple(f"opened {holder}" for holder in holders)
        given, answered = needs("moments", holders), needs("scores", holders)
        return [
            Step(name="weights", phase="moments", needs=given, after=opened, act=self._weights),
            Step(name="result", phase="scores", needs=answered, after=("weights",), act=self._result),
        ]

    def _vectors(self) -> Integers:
        """The label as ±1, which is 2(y − ½), then the own columns: (1 + m, rows)."""
        signed = np.where(self._label[self._train], 1, -1).astype(np.int64)
        return np.vstack([signed, self._matrix.T])

    # --- moments and weights -----------------------------------------------------------------------------------------

    def _weights(self, taken: Taken) -> list[Outgoing]:
        """Solve every variant and send each holder its own weights."""
        joint = self._assemble({sender: reader for (_, sender), reader in taken.items()})
        rows, lines = [], []
        for variant in self._plan.variants():
            solution = moments.solve(joint, {self._me, *variant}, self._plan.ridge_milli / 1000)
            rows.append(np.append(solution.weights, [solution.intercept, solution.lift]))
            line = calibration.from_moments(joint, solution)
            lines.append([line.slope, line.offset])
        self.solved, self.lines = np.array(rows), np.array(lines)
        announced: dict[str, Packed] = {**self._digests()}
        out = []
        for holder in self._plan.holders:
            content: Content = {"weights": self._weights_of(holder), "announced": announced}
            out += self._send("weights", [holder], content)
        return out

    def _assemble(self, given: dict[str, Reader]) -> Moments:
        """All parties' moments as one matrix, in the line's order, scaled from integers."""
        owners = tuple(partner for partner in self._line for _ in self.names[partner])
        size = len(owners)
        gram, sums, target = np.zeros((size, size)), np.zeros(size), np.zeros(size)
        own = self._columns_of(self._me)
        gram[np.ix_(own, own)] = exact_gram(self._matrix)
        sums[own] = self._matrix.sum(axis=0)
        target[own] = self._vectors()[0] @ self._matrix
        for holder, reader in given.items():
            at = self._columns_of(holder)
            block, sums[at], target[at] = self._own_moments(reader, len(at))
            gram[np.ix_(at, at)] = block
            self.suppressed += reader.count("suppressed", size * size)
            peers: set[str] = set(self._plan.holders[: self._plan.holders.index(holder)])
            between = reader.mapping("with_holders", peers)
            crosses = {self._me: reader.content["with_label_holder"], **between}
            for peer, cross in crosses.items():
                there = self._columns_of(peer)
                shape = (len(there), len(at))
                gram[np.ix_(there, at)] = reader.integers_of(cross, "cross moments", shape, self._rows * VALUE_MAX**2)
                gram[np.ix_(at, there)] = gram[np.ix_(there, at)].T
        _check_gram(gram, owners)
        return Moments(
            owners=owners,
            rows=self._rows,
            gram=gram / SCALE**2,
            sums=sums / SCALE,
            target=target / (2 * SCALE),  # the encrypted label is 2(y − ½)
            target_sum=float(self._label[self._train].sum()) - self._rows / 2,
        )

    def _own_moments(self, reader: Reader, size: int) -> tuple[Integers, Integers, Integers]:
        """A holder's own second moments, sums and moments with the label, within the bounds any data keeps."""
        gram = reader.integers("gram", (size, size), self._rows * VALUE_MAX**2)
        sums = reader.integers("sums", (size,), self._rows * VALUE_MAX)
        target = reader.integers("target", (size,), self._rows * VALUE_MAX)
        power = np.diag(gram).astype(np.float64) * self._rows
        if (gram != gram.T).any() or (np.diag(gram) <= 0).any():
            raise MomentsImplausible(partner=reader.sender, why="its second moments are not those of a matrix")
        if (sums.astype(np.float64) ** 2 > power).any() or (target.astype(np.float64) ** 2 > power).any():
            raise MomentsImplausible(partner=reader.sender, why="a first moment exceeds its second moment")
        return gram, sums, target

    # --- scores ------------------------------------------------------------------------------------------------------

    def _result(self, taken: Taken) -> list[Outgoing]:
        """Check and keep the rounded shares."""
        most = scores.units_max(self._plan.score_step_log2)
        test, total = int(self._test.sum()), np.zeros(len(self._test), np.uint64)
        for (_, sender), reader in taken.items():
            small = (self._plan.score_vectors(sender) - 1, test)
            self.shares[sender] = reader.integers("small", small, most)
            total = total + reader.words("full", total.shape)  # modulo 2^64: the masks of each pair cancel
        self.totals = total.view(np.int64)
        if int(np.abs(self.totals).max()) > most * len(self._plan.holders) or (self.totals == -(1 << 63)).any():
            raise ScoresImplausible(partner=", ".join(self._plan.holders))
        return []

    def _total(self, index: int) -> NDArray[np.float64]:
        """Log-odds of one variant: all rows for the first and the full one, test rows for those between."""
        variant, step = self._plan.variants()[index], 2.0**self._plan.score_step_log2
        own = self._prepared.scaled @ self.solved[index, self._columns_of(self._me)] + self.solved[index, -2]
        if variant == self._plan.variants()[-1]:
            return np.asarray(own + self.totals * step)
        own = own if not variant else own[self._test]
        for holder in variant:
            mine = [v for v in self._plan.variants()[:-1] if holder in v]
            own = own + self.shares[holder][mine.index(variant)] * step
        return np.asarray(own)

    # --- measures ----------------------------------------------------------------------------------------------------

    def _held(self) -> Held:
        """The held-out rows and what of them may be published."""
        plan = self._plan
        return Held(
            label=self._label[self._test],
            weights=self._weights_of_test,
            minimum=Minimum(rows=max(bands.ROWS_MIN, plan.rare_rows), of_each_class=bands.CLASS_ROWS_MIN),
            bootstrap=plan.bootstrap,
            seed=canonical.digest("ecohub/bootstrap/v1", {"run": self._run, "order": self._order}),
        )

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
                columns=sum(len(self.names[partner]) for partner in (self._me, *variant)),
                evaluation=evaluated[name],
                lift_ppm=round(float(lift) * 1_000_000),
            )
            for (name, variant), lift in zip(named.items(), self.solved[:, -1], strict=True)
        )

    def _calibrations(self, totals: list[NDArray[np.float64]]) -> list[Calibration]:
        """By train scores where this party has them, by moments for the variants of which it has test scores only."""
        whole = len(self._test)
        return [
            calibration.platt(self._label[self._train], total[self._train])
            if len(total) == whole
            else self._by_moments(index)
            for index, total in enumerate(totals)
        ]

    def _by_moments(self, index: int) -> Calibration:
        slope, offset = self.lines[index].tolist()
        return Calibration(method=calibration.MOMENTS, slope=slope, offset=offset, rows=self._rows)

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _weights_of(self, holder: str) -> NDArray[np.float64]:
        """(variants that include the holder, its columns)."""
        included = np.flatnonzero([holder in variant for variant in self._plan.variants()])
        return np.ascontiguousarray(self.solved[np.ix_(included, self._columns_of(holder))])

    def _digests(self) -> dict[str, str]:
        return {holder: scores.weights_digest(self._weights_of(holder)) for holder in self._plan.holders}

    def _columns_of(self, partner: str) -> Integers:
        """Where a party's columns stand among all, in the line's order."""
        before = sum(len(self.names[p]) for p in self._line[: self._line.index(partner)])
        return np.arange(before, before + len(self.names[partner]))


def _check_gram(gram: NDArray[np.float64], owners: tuple[str, ...]) -> None:
    """Cauchy-Schwarz for every pair of columns; a lying party's cross moment would otherwise blow up the solution."""
    power = np.diag(gram)
    bad = np.argwhere(gram**2 > np.outer(power, power) * (1 + 1e-9))
    if len(bad):
        raise MomentsImplausible(partner=owners[int(bad[0].max())], why="a cross moment exceeds both columns' own")


def _survey_weights(plan: TrainingPlan, table: Table, test: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The test rows' survey weights; ones where the plan names none."""
    if plan.survey_weights is None:
        return np.ones(int(test.sum()))
    if table.survey_weights is None:
        raise ColumnMissing(column=plan.survey_weights)
    return features.prepare_survey_weights(table.survey_weights, plan.survey_weights, test)


def _name(variant: tuple[str, ...]) -> str:
    return "+".join(variant)
