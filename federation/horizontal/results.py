"""What a horizontal run leaves: the model file, each partner's figures, and the run's record.

Figures are integers with their unit in the name, so that they can be signed; a figure that can't be measured (a test
part with one class) is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from federation import metrics, tabular
from federation.horizontal.checkpoint import Checkpoint
from federation.models import network
from federation.models.network import Classes, Floats, Parameters
from federation.plan_horizontal import HorizontalPlan
from federation.plan_parts import Column
from federation.tabular import Rows, Scaling
from privacy import canonical, packing
from privacy.aggregation import Lanes
from privacy.canonical import Value
from privacy.errors import Failure, Kind

VERSION = 1
LOSS_LIMBS = 3  # of a sum of losses in micro-nats
LOSS_MAX = 100.0  # nats a row counts at most
MICRO = 1_000_000


class ModelUnreadable(Failure):
    code = "MODEL_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "this is not a model file of a horizontal run: {why}"
    zh = "不是横向训练的模型文件：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The whole model: what a row is turned into, and the parameters."""

    run: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    scaling: Scaling
    parameters: Parameters

    def chances(self, table: Rows) -> Floats:
        """(rows, classes) for a table with the model's columns. Raises the failures of `tabular.read_inputs`."""
        return network.chances(self.parameters, self.scaling.apply(tabular.read_inputs(self.columns, table).values))

    def encode(self) -> bytes:
        """Packed bytes: what `digest` is taken over and what a node keeps."""
        columns: list[packing.Packed] = [
            {**asdict(one), "levels": [*one.levels]}  # all of it: a row must become the same inputs anywhere
            for one in self.columns
        ]
        return packing.pack(
            {
                "version": VERSION,
                "run": self.run,
                "classes": list(self.classes),
                "columns": columns,
                "means": self.scaling.means,
                "deviations": self.scaling.deviations,
                "parameters": list(self.parameters),
            }
        )

    @property
    def digest(self) -> str:
        return canonical.digest_bytes("ecohub/horizontal-model/v1", self.encode()).hex()

    @classmethod
    def decode(cls, data: bytes) -> "Model":
        """The model of `encode`'s bytes. Raises ModelUnreadable."""
        try:
            value: Any = packing.unpack(data)
            if value["version"] != VERSION:
                raise ModelUnreadable(why="its version")
            made = cls(
                run=value["run"],
                classes=tuple(value["classes"]),
                columns=tuple(Column(**{**one, "levels": tuple(one["levels"])}) for one in value["columns"]),
                scaling=Scaling(means=value["means"], deviations=value["deviations"]),
                parameters=tuple(value["parameters"]),
            )
            if made.encode() != data:
                raise ModelUnreadable(why="its fields")
        except (packing.NotPacked, KeyError, TypeError) as error:
            raise ModelUnreadable(why=type(error).__name__) from None
        return made


def plan_model(plan: HorizontalPlan, scaling: Scaling, parameters: Parameters) -> Model:
    """The model of a plan's run."""
    return Model(run=plan.digest, classes=plan.classes, columns=plan.columns, scaling=scaling, parameters=parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One model on one partner's test rows; None where it can't be measured."""

    auc: float | None
    log_loss: float | None

    @property
    def auc_ppm(self) -> int | None:
        return None if self.auc is None else round(self.auc * MICRO)

    @property
    def log_loss_micro(self) -> int | None:
        return None if self.log_loss is None else round(self.log_loss * MICRO)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerResult:
    """What one partner has after the run. `record()` may be signed and shown, the rest stays at its node.

    protected: with privacy every figure of rows is in the partner's own record only, since none carries noise and the
    hub chose the weights that they measure; the shown one counts rows.
    """

    run: str
    partner: str
    rows: Mapping[str, int]  # "train", "validation", "test"
    alone: Figures  # trained on its own rows alone with the same budget of steps
    joint: Figures
    personal: Figures | None  # the joint model after local fine-tuning
    missing: Mapping[str, int]  # by column
    unknown: Mapping[str, int]
    model: Model
    personal_model: Model | None
    protected: bool

    def record(self) -> dict[str, Value]:
        """Canonical, free of client data, for everybody: counts and figures of the own test rows."""
        return self._record(shown=not self.protected)

    def own_record(self) -> dict[str, Value]:
        """The same with everything, for the partner's own people."""
        return self._record(shown=True)

    def _record(self, shown: bool) -> dict[str, Value]:
        named = {"alone": self.alone, "joint": self.joint, "personal": self.personal}
        found = {name: one if shown else None for name, one in named.items()}
        auc: dict[str, Value] = {f"{name}_ppm": one.auc_ppm if one else None for name, one in found.items()}
        loss: dict[str, Value] = {f"{name}_micro": one.log_loss_micro if one else None for name, one in found.items()}
        return {
            "run": self.run,
            "partner": self.partner,
            "model_digest": self.model.digest,
            **{f"rows_{part}": count for part, count in self.rows.items()},
            "auc": auc,
            "log_loss": loss,
            "missing": sum(self.missing.values()) if shown else None,
            "unknown": sum(self.unknown.values()) if shown else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What the hub has after the run. told: what each partner of the last cohort said of itself (`PartnerResult`)."""

    plan: HorizontalPlan
    model: Model
    state: Checkpoint
    figures: "Global"
    told: Mapping[str, Value]

    def record(self) -> dict[str, Value]:
        """The run's record: canonical, made of sums alone."""
        plan, state, figures = self.plan, self.state, self.figures
        best = state.best.round if state.stopped and state.best else None
        return {
            "run": plan.digest,
            "model": plan.model,
            "model_digest": self.model.digest,
            "parameters": plan.parameters,
            "partners": [*plan.partners],
            "finished": [*sorted(self.told)],
            "rounds": state.round,
            "stopped_early": state.stopped,
            "best_round": best,  # the weights that this round began with are the final ones
            "loss_micro": [facts.loss_micro for facts in state.history],
            "loss_rows": None if plan.privacy else "validation" if plan.split.validation_ppm else "train",
            "rows_train": max((facts.examples for facts in state.history), default=0),
            "rows_by_class": [*state.statistics.rows] or None,  # of the train rows, where the statistics were asked for
            "rows_test": figures.rows,
            "auc_global_ppm": None if figures.auc is None else round(figures.auc * MICRO),
            "log_loss_global_micro": None if figures.log_loss is None else round(figures.log_loss * MICRO),
            "clipped": sum(facts.clipped for facts in state.history),
            "shortened": sum(facts.shortened for facts in state.history),
            "void_attempts": sum(facts.attempts - 1 for facts in state.history),
            "engine": plan.engine.name,
            "dealer": plan.engine.dealer,
            "noise": self._noise(),
        }

    def _noise(self) -> Value:
        noise = self.plan.privacy
        if noise is None:
            return None
        return {
            "noise_multiplier_milli": noise.noise_multiplier_milli,
            "row_clip_milli": noise.row_clip_milli,
            "delta_log10": noise.delta_log10,
            "releases": sum(facts.attempts for facts in self.state.history),
        }


def measure(parameters: Parameters, values: Floats, classes: Classes) -> Figures:
    """A model on test rows. The AUC of more than two classes is the mean over each class against the rest.

    A model that training blew up beyond float64 has no figures.
    """
    curves = curve_scores(parameters, values)
    if not all(np.isfinite(one).all() for one in curves):
        return Figures(auc=None, log_loss=None)
    found = []
    for positive, score in zip(_positives(classes, curves), curves, strict=True):
        if not 0 < positive.sum() < len(positive):
            return Figures(auc=None, log_loss=network.loss(parameters, values, classes))
        found.append(metrics.auc(positive, score))
    return Figures(auc=float(np.mean(found)), log_loss=network.loss(parameters, values, classes))


def curve_scores(parameters: Parameters, values: Floats) -> list[Floats]:
    """(rows,) log-odds: of the second of two classes, or of every class against the rest."""
    if parameters[-1].shape == (1,):
        return [network.scores(parameters, values)[:, 0]]
    chances = np.clip(network.chances(parameters, values), 1e-12, 1 - 1e-12)
    odds = np.log(chances) - np.log1p(-chances)
    return list(odds.T)


def curves(classes: int) -> int:
    """How many curves `curve_scores` gives."""
    return 1 if classes == 2 else classes


def figure_lanes(parameters: Parameters, values: Floats, classes: Classes) -> Lanes:
    """One partner's part of the global figures: a histogram of scores a curve, the limbs of the sum of losses."""
    found = curve_scores(parameters, values)
    counts = [metrics.histogram(p, s).ravel() for p, s in zip(_positives(classes, found), found, strict=True)]
    losses = np.minimum(network.row_losses(parameters, values, classes), LOSS_MAX)
    total = int(np.rint(losses * MICRO).astype(np.int64).sum())
    return np.concatenate([*counts, tabular.limbs(total, LOSS_LIMBS)]).astype(np.int64)


def has_figures(plan: HorizontalPlan) -> bool:
    """Whether the parties sum up scores and losses of their test rows, or count these only.

    The sum of two histograms would show each the other's; with privacy no sum of rows goes out without noise.
    """
    return len(plan.partners) > 2 and plan.privacy is None


def figure_lanes_count(plan: HorizontalPlan) -> int:
    """How many lanes a partner's part of the global figures has."""
    return curves(len(plan.classes)) * 2 * metrics.BINS + LOSS_LIMBS if has_figures(plan) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Global:
    """The joint model on all partners' test rows, from sums alone; the rows only where `has_figures` is false."""

    rows: int
    auc: float | None
    log_loss: float | None


def read_figure_lanes(total: Lanes, classes: int) -> Global:
    """The global figures of an opened sum of `figure_lanes`, or of the numbers of rows."""
    if len(total) == 1:
        return Global(rows=int(total[0]), auc=None, log_loss=None)
    counts = total[:-LOSS_LIMBS].reshape(curves(classes), 2, metrics.BINS)
    rows = int(counts[0].sum())
    found = [metrics.histogram_auc(one) for one in counts]
    loss = tabular.whole(total[-LOSS_LIMBS:].tolist()) / MICRO / rows if rows else None
    return Global(rows=rows, auc=None if np.isnan(found).any() else float(np.mean(found)), log_loss=loss)


def _positives(classes: Classes, found: Sequence[Floats]) -> list[Any]:
    return [classes == 1] if len(found) == 1 else [classes == index for index in range(len(found))]
