"""A partner's own work in a horizontal run, on its own rows: statistics, local steps, own figures. No Flower here."""

from dataclasses import dataclass

import numpy as np

from federation import tabular
from federation.errors import TooFewRows, TooManyRows
from federation.horizontal import results
from federation.horizontal.results import PartnerResult
from federation.models import network
from federation.models.network import Classes, Floats, Parameters, Work
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import TEST, TRAIN, VALIDATION, Rows, Scaling
from privacy import canonical
from privacy.aggregation import Lanes

TRAINING, STATISTICS, FINISH = "training", "statistics", "finish"
MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a request wants computed on rows: TRAINING, STATISTICS or FINISH of a round. scaling: packed, b"" where
    nothing is scaled."""

    kind: str
    round: int
    scaling: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One round's local training. update: what it moves the weights by; loss: of the weights that came in, None with
    privacy, which shows none."""

    update: Parameters
    examples: int
    loss: float | None


class Trainer:
    """One partner's rows under one plan. It draws nothing at random: all seeds come from the plan's digest."""

    def __init__(self, plan: HorizontalPlan, me: str, table: Rows) -> None:
        """Raises the failures of `tabular` and TooFewRows or TooManyRows where the train rows don't fit the plan."""
        plan.party(me)
        self._plan, self._me = plan, me
        self._inputs = tabular.read_inputs(plan.columns, table)
        self._classes = tabular.read_label(plan.label_column, plan.classes, table)
        self._part = tabular.parts(table.keys, plan.split)
        self._scaling = b""
        self._own: dict[int, tuple[Parameters, Scaling]] = {}  # by rounds: a finish asked again need not train again
        self._scaled: dict[int, tuple[Floats, Classes]] = {}
        train = self.rows["train"]
        if train < plan.minimum_rows:
            raise TooFewRows(what="train", count=train, minimum=plan.minimum_rows)
        if train > plan.examples_max:
            raise TooManyRows(count=train, maximum=plan.examples_max)
        for what, least in (("test", 1), ("validation", int(plan.split.validation_ppm > 0))):
            if self.rows[what] < least:
                raise TooFewRows(what=what, count=0, minimum=least)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows are "train", "validation" and "test"."""
        return {
            name: int((self._part == part).sum())
            for name, part in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
        }

    def statistics(self) -> Lanes:
        """The lanes of the federated mean and variance, over the train rows."""
        mask = self._part == TRAIN
        values, classes = self._inputs.values[mask], self._classes[mask]
        return tabular.statistics(self._plan.columns, len(self._plan.classes), values, classes)

    def fit(self, round_: int, parameters: Parameters, scaling: Scaling) -> Fitted:
        """This round's local steps from the given weights, on the train rows."""
        plan = self._plan
        values, classes = self._rows(scaling, TRAIN)
        if plan.privacy is None:
            made = network.fit_local(parameters, values, classes, self._work(), self._seed(f"round {round_}"))
            update = tuple(after - before for before, after in zip(parameters, made, strict=True))
        else:
            limit = plan.privacy.row_clip_milli / 1_000
            update = network.private_update(parameters, values, classes, self._work(), limit)
        return Fitted(update=update, examples=len(classes), loss=self._loss(parameters, scaling))

    def finish(self, parameters: Parameters, scaling: Scaling, rounds: int) -> tuple[PartnerResult, Lanes]:
        """Own figures of the joint model beside a model of the own rows alone and a fine-tuned one; and the lanes of
        the global figures, of two partners or with privacy the number of rows only.

        rounds: how many were trained; the model of the own rows alone gets as many steps, on its own scaling.
        """
        values, classes = self._rows(scaling, TEST)
        if rounds not in self._own:
            self._own[rounds] = self._alone(rounds)
        alone, own_scaling = self._own[rounds]
        personal = self._personal(parameters, scaling)
        result = PartnerResult(
            run=self._plan.digest,
            partner=self._me,
            rows=self.rows,
            alone=results.measure(alone, *self._rows(own_scaling, TEST)),
            joint=results.measure(parameters, values, classes),
            personal=None if personal is None else results.measure(personal, values, classes),
            missing=self._inputs.missing,
            unknown=self._inputs.unknown,
            model=results.plan_model(self._plan, scaling, parameters),
            personal_model=None if personal is None else results.plan_model(self._plan, scaling, personal),
            protected=self._plan.privacy is not None,
        )
        if not results.has_figures(self._plan):
            return result, np.array([len(classes)], np.int64)
        return result, results.figure_lanes(parameters, values, classes)

    def _alone(self, rounds: int) -> tuple[Parameters, Scaling]:
        plan = self._plan
        scaling = tabular.unscaled(plan.columns)
        if plan.standardise:
            scaling = tabular.read_statistics(plan.columns, len(plan.classes), self.statistics(), 1).scaling
        work = Work(
            steps=plan.training.steps * rounds, batch=plan.training.batch, rate=self._work().rate, l2=self._work().l2
        )
        start = network.initial(plan.layers, plan_seed(plan))
        return network.fit_local(start, *self._rows(scaling, TRAIN), work, self._seed("alone")), scaling

    def _personal(self, parameters: Parameters, scaling: Scaling) -> Parameters | None:
        tuning = self._plan.personalise
        if tuning is None:
            return None
        work = Work(
            steps=tuning.steps,
            batch=self._plan.training.batch,
            rate=tuning.rate_micro / MICRO,
            l2=self._work().l2,
        )
        return network.fit_local(parameters, *self._rows(scaling, TRAIN), work, self._seed("personal"))

    def _loss(self, parameters: Parameters, scaling: Scaling) -> float | None:
        """Of the validation rows where the plan has them, else of the train rows; with privacy nothing shows it."""
        if self._plan.privacy is not None:
            return None
        return network.loss(parameters, *self._rows(scaling, VALIDATION if self.rows["validation"] else TRAIN))

    def _rows(self, scaling: Scaling, part: int) -> tuple[Floats, Classes]:
        """Scaled values and classes of one part; every round of a run brings the same scaling."""
        key = scaling.means.tobytes() + scaling.deviations.tobytes()
        if key != self._scaling:
            self._scaling, self._scaled = key, {}
        if part not in self._scaled:
            mask = self._part == part
            self._scaled[part] = scaling.apply(self._inputs.values[mask]), self._classes[mask]
        return self._scaled[part]

    def _work(self) -> Work:
        training = self._plan.training
        return Work(
            steps=training.steps,
            batch=training.batch,
            rate=training.rate_micro / MICRO,
            l2=training.l2_micro / MICRO,
            proximal=self._plan.strategy.proximal_micro / MICRO,
        )

    def _seed(self, use: str) -> bytes:
        return canonical.digest("ecohub/horizontal-seed/v1", [self._plan.digest, self._me, use])


def plan_seed(plan: HorizontalPlan) -> bytes:
    """The seed of the start values, the same for all partners."""
    return canonical.digest("ecohub/horizontal-seed/v1", [plan.digest, "start"])
