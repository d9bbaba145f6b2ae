"""The plan of a horizontal run: partners with the same columns and different clients train one model together.

Every aggregated vector of the run is a sum that opens only as a whole (`privacy.aggregation`). The body of the "train"
proposal, integers only (milli = thousandths, micro and ppm = millionths); fields marked ? may be absent:

    "kind": "train", "version": 1, "shape": "horizontal", "title"?: text
    "model": "logistic" (two classes) | "multinomial" (three or more) | "mlp" (either)
    "parties": [{"partner", "role": "trainer", "asset", "id_column", "id_type"?, "name"?, "signing"?, "sealing"?,
        "chain"?}], 2 to 64; their order is the roster's order once sorted by partner
    "label": {"column", "classes": ["0", "1", …]}   a row's label, read as text, is one of the classes
    "columns": [{"name", "kind": "number", "transform": "none" | "signed_log", "centre_milli"?, "spread_milli"?} |
        {"name", "kind": "category", "levels": [text, …]}]   signed_log is sign(x)·log(1 + |x|), then (x - centre) /
        spread, public figures that matter without common scaling; a category becomes one 0/1 input a level
    "standardise": "federated" (mean and variance over all partners' train rows, by an aggregation) | "none"
    "strategy": {"name": "fedavg"} | {"name": "fedprox", "proximal_micro"} |
        {"name": "fedadam" | "fedyogi" | "fedadagrad" | "fedavgm", "server_rate_micro"}
    "training": {"rounds", "steps" (of a node in a round), "batch" (rows a step, 0 = all), "rate_micro", "l2_micro",
        "hidden"? ([units, …], of "mlp" only)}
    "early_stop"?: {"patience" (rounds), "tolerance_ppm" (of the loss)}   needs validation rows and no "privacy"
    "personalise"?: {"steps", "rate_micro"}   local fine-tuning after the run, nothing of it leaves the node
    "split": {"test_ppm", "validation_ppm", "salt": hex}   of a row by HMAC(salt, its key)
    "clip_milli": the L2 norm an update is cut to; "examples_max": rows that give a partner the full weight 1
    "colluders": partners assumed to work together with the hub (0 of two partners, else 1 or more)
    "deadline_seconds": of one phase; "attempts": at one round; "prepare_rounds": keys dealt ahead
    "minimum_rows": train rows a partner needs to take part
    "engine": {"name": "threshold"} | {"name": "paillier", "dealer": partner, "bits": 3072 | 4096}
    "privacy"?: {"noise_multiplier_milli", "row_clip_milli", "delta_log10"}   noise in shares, per-row clipped gradients
    "purpose", "expires", "nonce": hex, "disclosure": [sentence, …], "valid_days"

Two partners without "privacy" are refused: their sum shows each the other's update.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from federation import plan_fields, plan_parts
from federation.errors import LocalNoiseRequired, PlanInvalid
from federation.plan_parts import (
    CATEGORY,
    Column,
    EarlyStop,
    EngineChoice,
    Personalise,
    Privacy,
    Split,
    Strategy,
    Trainer,
    Training,
)
from privacy.aggregation import Engine, Roster, RosterInvalid
from privacy.ids import Digest, PartnerId

__all__ = ["CATEGORY", "SHAPE", "HorizontalPlan"]

SHAPE = "horizontal"
MODELS = ("logistic", "multinomial", "mlp")
CLASSES_MAX = 64
PARAMETERS_MAX = 5_000_000
PAILLIER_PARAMETERS_MAX = 100_000
PAILLIER_PARAMETERS_A_SECOND = {3072: 500, 4096: 250}  # by key bits: a holder answers for so many before the deadline

_BOUNDS = {  # field: (least, most)
    "clip_milli": (1, 1_000_000),
    "examples_max": (10, plan_fields.ROWS_MAX),
    "colluders": (0, plan_fields.PARTNERS_MAX),
    "deadline_seconds": (1, 3_600),
    "attempts": (1, 5),
    "prepare_rounds": (1, 64),
    "minimum_rows": (10, plan_fields.ROWS_MAX),
    "valid_days": (1, 3_650),
}
_REQUIRED = {"kind", "version", "shape", "model", "parties", "label", "columns", "standardise", "strategy", "training"}
_REQUIRED |= {"split", "engine", "purpose", "expires", "nonce", "disclosure", *_BOUNDS}
_OPTIONAL = {"title", "early_stop", "personalise", "privacy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizontalPlan:
    """A valid plan. `digest` is the digest of the "train" proposal, the run's name everywhere."""

    digest: Digest
    model: str
    parties: tuple[Trainer, ...]  # in partner order
    label_column: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    standardise: bool
    strategy: Strategy
    training: Training
    split: Split
    engine: EngineChoice
    early_stop: EarlyStop | None
    personalise: Personalise | None
    privacy: Privacy | None
    clip_milli: int
    examples_max: int
    colluders: int
    deadline_seconds: int
    attempts: int
    prepare_rounds: int
    minimum_rows: int
    valid_days: int

    @property
    def partners(self) -> tuple[PartnerId, ...]:
        return tuple(party.partner for party in self.parties)

    @property
    def roster(self) -> Roster:
        """Who aggregates together, and how many answers open a sum."""
        return Roster(partners=self.partners, colluders=self.colluders)

    @property
    def clip(self) -> float:
        """The L2 norm an update is cut to."""
        return self.clip_milli / 1_000

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes from the inputs to the outputs; two classes have one output."""
        inputs = sum(column.inputs for column in self.columns)
        outputs = 1 if len(self.classes) == 2 else len(self.classes)
        return (inputs, *self.training.hidden, outputs)

    @property
    def parameters(self) -> int:
        """Numbers the model is made of."""
        return sum((below + 1) * above for below, above in pairwise(self.layers))

    @property
    def finish_round(self) -> int:
        """The round that closes the run: 0 is the statistics, 1 to `training.rounds` are fits."""
        return self.training.rounds + 1

    def party(self, partner: str) -> Trainer:
        """One party's part. Raises PlanInvalid for a partner that is not in the plan."""
        for party in self.parties:
            if party.partner == partner:
                return party
        raise PlanInvalid(field="parties", why=f"{partner[:80]} is not one of them")

    def new_engine(self) -> Engine:
        """The plan's engine for its roster and job; made once a run by each side, since it prepares tables.

        Raises PaillierMissing where a plan names an engine whose libraries are not installed.
        """
        if self.engine.name == "paillier":
            from privacy.paillier import Paillier  # an extra: its libraries are there only where a plan may name it

            assert self.engine.dealer is not None
            return Paillier(self.roster, self.engine.dealer, self.engine.bits)
        from privacy.threshold import Threshold, public_seed

        return Threshold(self.roster, public_seed(self.digest))

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "HorizontalPlan":
        """The plan of a "train" proposal's body. Raises PlanInvalid naming the field, or LocalNoiseRequired."""
        plan_fields.fields(body, _REQUIRED, _OPTIONAL, "body")
        plan_fields.constant(body, "kind", ("train",))
        plan_fields.constant(body, "version", (1,))
        plan_fields.constant(body, "shape", (SHAPE,))
        plan_fields.agreement(body)
        label = plan_fields.fields(body["label"], {"column", "classes"}, set(), "label")
        stop, tuning, noise = (body.get(name) for name in ("early_stop", "personalise", "privacy"))
        plan = cls(
            digest=plan_fields.digest(body),
            model=plan_fields.constant(body, "model", MODELS),
            parties=plan_parts.read_parties(body["parties"]),
            label_column=plan_fields.text(label["column"], "label"),
            classes=plan_fields.texts(label["classes"], "classes", 2, CLASSES_MAX),
            columns=plan_parts.read_columns(body["columns"]),
            standardise=plan_fields.constant(body, "standardise", ("federated", "none")) == "federated",
            strategy=plan_parts.read_strategy(body["strategy"]),
            training=plan_parts.read_training(body["training"]),
            split=plan_parts.read_split(body["split"]),
            engine=plan_parts.read_engine(body["engine"]),
            early_stop=None if stop is None else plan_parts.read_early_stop(stop),
            personalise=None if tuning is None else plan_parts.read_personalise(tuning),
            privacy=None if noise is None else plan_parts.read_privacy(noise),
            **plan_fields.integers(body, _BOUNDS),
        )
        _check_parties(plan)
        _check_model(plan)
        _check_rounds(plan)
        return plan


def _check_parties(plan: HorizontalPlan) -> None:
    try:
        roster = plan.roster
    except RosterInvalid as failure:
        raise PlanInvalid(field="colluders", why=failure.message()) from None
    if roster.size == 2 and plan.privacy is None:
        raise LocalNoiseRequired(partners=", ".join(plan.partners))
    if plan.engine.name == "paillier":
        if plan.engine.dealer not in plan.partners:
            raise PlanInvalid(field="dealer", why="it must be one of the parties")
        in_time = PAILLIER_PARAMETERS_A_SECOND[plan.engine.bits] * plan.deadline_seconds
        if plan.parameters > min(in_time, PAILLIER_PARAMETERS_MAX):
            why = (
                f"paillier takes at most {min(in_time, PAILLIER_PARAMETERS_MAX)} parameters with this deadline and key"
            )
            raise PlanInvalid(field="engine", why=why)
    names = {column.name for column in plan.columns}
    if plan.label_column in names or any(party.id_column in {*names, plan.label_column} for party in plan.parties):
        raise PlanInvalid(field="columns", why="a column is also the label or an identifier")


def _check_model(plan: HorizontalPlan) -> None:
    if (plan.model == "mlp") != bool(plan.training.hidden):
        raise PlanInvalid(field="hidden", why='it belongs to the model "mlp", which needs it')
    if plan.model != "mlp" and (len(plan.classes) == 2) != (plan.model == "logistic"):
        raise PlanInvalid(field="classes", why="logistic has two classes, multinomial three or more")
    if plan.parameters > PARAMETERS_MAX:
        raise PlanInvalid(field="hidden", why=f"the model has {plan.parameters} parameters, {PARAMETERS_MAX} at most")


def _check_rounds(plan: HorizontalPlan) -> None:
    if plan.minimum_rows > plan.examples_max:
        raise PlanInvalid(field="minimum_rows", why="it must not be above examples_max")
    if plan.early_stop is not None and plan.split.validation_ppm == 0:
        raise PlanInvalid(field="early_stop", why="it needs validation rows: set split.validation_ppm")
    if plan.privacy is not None:
        if plan.early_stop is not None:
            raise PlanInvalid(field="early_stop", why="privacy shows no loss to stop by")
        if plan.standardise:
            raise PlanInvalid(field="standardise", why="privacy needs none: exact means carry no noise")
        if plan.training.steps != 1 or plan.training.batch != 0:
            raise PlanInvalid(field="training", why="privacy counts one step over all rows a round: steps 1, batch 0")
