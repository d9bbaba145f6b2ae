"""The plan of a horizontal run: partners with the same columns and different clients train one model together.

Every aggregated vector of the run is a sum that opens only as a whole (`privacy.aggregation`). The body of the "train"
proposal, integers only (milli = thousandths, micro and ppm = millionths); fields marked ? may be absent:

    "kind": "train", "version": 1, "shape": "horizontal", "title"?: text
    "model": "logistic" (two classes) | "multinomial" (three or more) | "mlp" (either)
    "parties": [{"partner", "role": "trainer", "asset", "id_column", "id_type"?, "name"?, "signing"?, "sealing"?,
        "chain"?}], 2 to 64; their order is the roster's order once sorted by partner
    "label": {"column", "classes": ["0", "1", …]}   a row's label, read as text, is one of the classes
    "columns": [{"name", "kind": "number", "transform": "none" | "signed_log"} | {"name", "kind": "category", "levels":
        [text, …]}]   signed_log is sign(x)·log(1 + |x|); a category becomes one 0/1 input a level, another value none
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

from federation import plan_fields
from federation.errors import LocalNoiseRequired, PlanInvalid
from privacy.aggregation import Engine, Roster, RosterInvalid
from privacy.ids import Digest, PartnerId

SHAPE = "horizontal"
TRAINER = "trainer"
MODELS = ("logistic", "multinomial", "mlp")
NUMBER, CATEGORY = "number", "category"
TRANSFORMS = ("none", "signed_log")
ADAPTIVE = ("fedadam", "fedyogi", "fedadagrad", "fedavgm")
STRATEGIES = ("fedavg", "fedprox", *ADAPTIVE)
CLASSES_MAX = 64
LEVELS_MAX = 256  # of one category
INPUTS_MAX = 4_096
LAYERS_MAX = 3
PARAMETERS_MAX = 5_000_000
PAILLIER_PARAMETERS_MAX = 100_000  # beyond it a round takes hours
PAILLIER_BITS = (3072, 4096)

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
_TRAINING = {
    "rounds": (1, 1_000),
    "steps": (1, 10_000),
    "batch": (0, plan_fields.ROWS_MAX),
    "rate_micro": (1, 100_000_000),
    "l2_micro": (0, 10_000_000),
}
_EARLY_STOP = {"patience": (1, 1_000), "tolerance_ppm": (0, 1_000_000)}
_PERSONALISE = {"steps": (1, 10_000), "rate_micro": (1, 100_000_000)}
_SPLIT = {"test_ppm": (50_000, 500_000), "validation_ppm": (0, 300_000)}
_PRIVACY = {"noise_multiplier_milli": (100, 100_000), "row_clip_milli": (1, 1_000_000), "delta_log10": (-18, -3)}
_REQUIRED = {"kind", "version", "shape", "model", "parties", "label", "columns", "standardise", "strategy", "training"}
_REQUIRED |= {"split", "engine", "purpose", "expires", "nonce", "disclosure", *_BOUNDS}
_OPTIONAL = {"title", "early_stop", "personalise", "privacy"}
_PARTY = {"partner", "role", "asset", "id_column"}, {"signing", "sealing", "chain", "name", "id_type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """One party: which asset's rows it trains on."""

    partner: PartnerId
    asset: str
    id_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of every partner's table. `levels` of a category, `transform` of a number."""

    name: str
    kind: str  # NUMBER or CATEGORY
    transform: str = "none"
    levels: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """How many inputs of the model it becomes."""
        return 1 if self.kind == NUMBER else len(self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    name: str  # one of STRATEGIES
    server_rate_micro: int = 0  # of ADAPTIVE
    proximal_micro: int = 0  # of "fedprox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A node's work in one round: `steps` gradient steps of `batch` rows each (0 = all rows)."""

    rounds: int
    steps: int
    batch: int
    rate_micro: int
    l2_micro: int
    hidden: tuple[int, ...] = ()  # units of each hidden layer


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop:
    patience: int  # rounds without a gain of tolerance_ppm of the best loss
    tolerance_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Personalise:
    steps: int
    rate_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    test_ppm: int
    validation_ppm: int
    salt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    name: str  # "threshold" or "paillier"
    dealer: PartnerId | None = None  # of "paillier"
    bits: int = 0  # of "paillier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Differential privacy of one train row: noise of `noise_multiplier` times its greatest influence on a sum."""

    noise_multiplier_milli: int
    row_clip_milli: int  # L2 norm one row's gradient is cut to
    delta_log10: int


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
            parties=_parties(body["parties"]),
            label_column=plan_fields.text(label["column"], "label"),
            classes=plan_fields.texts(label["classes"], "classes", 2, CLASSES_MAX),
            columns=_columns(body["columns"]),
            standardise=plan_fields.constant(body, "standardise", ("federated", "none")) == "federated",
            strategy=_strategy(body["strategy"]),
            training=_training(body["training"]),
            split=_split(body["split"]),
            engine=_engine(body["engine"]),
            early_stop=None if stop is None else EarlyStop(**_numbers(stop, _EARLY_STOP, "early_stop")),
            personalise=None if tuning is None else Personalise(**_numbers(tuning, _PERSONALISE, "personalise")),
            privacy=None if noise is None else Privacy(**_numbers(noise, _PRIVACY, "privacy")),
            **plan_fields.integers(body, _BOUNDS),
        )
        _check_parties(plan)
        _check_model(plan)
        _check_rounds(plan)
        return plan


def _numbers(value: Any, bounds: Mapping[str, tuple[int, int]], where: str) -> dict[str, int]:
    return plan_fields.integers(plan_fields.fields(value, set(bounds), set(), where), bounds)


def _parties(value: Any) -> tuple[Trainer, ...]:
    if not isinstance(value, list) or not 2 <= len(value) <= plan_fields.PARTNERS_MAX:
        raise PlanInvalid(field="parties", why=f"2 to {plan_fields.PARTNERS_MAX} are expected")
    found = []
    for item in value:
        party = plan_fields.fields(item, *_PARTY, "parties")
        plan_fields.constant(party, "role", (TRAINER,))
        partner = plan_fields.partner(party["partner"])
        asset, id_column = (plan_fields.text(party[name], name) for name in ("asset", "id_column"))
        found.append(Trainer(partner=partner, asset=asset, id_column=id_column))
    if len({party.partner for party in found}) != len(found):
        raise PlanInvalid(field="parties", why="a partner is named twice")
    return tuple(sorted(found, key=lambda party: party.partner))


def _columns(value: Any) -> tuple[Column, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= plan_fields.COLUMNS_MAX:
        raise PlanInvalid(field="columns", why=f"1 to {plan_fields.COLUMNS_MAX} are expected")
    found = tuple(_column(item) for item in value)
    if len({column.name for column in found}) != len(found):
        raise PlanInvalid(field="columns", why="a column is named twice")
    if sum(column.inputs for column in found) > INPUTS_MAX:
        raise PlanInvalid(field="columns", why=f"numbers and levels together are at most {INPUTS_MAX}")
    return found


def _column(value: Any) -> Column:
    if isinstance(value, Mapping) and value.get("kind") == CATEGORY:
        plan_fields.fields(value, {"name", "kind", "levels"}, set(), "columns")
        levels = plan_fields.texts(value["levels"], "levels", 1, LEVELS_MAX)
        return Column(name=plan_fields.text(value["name"], "columns"), kind=CATEGORY, levels=levels)
    plan_fields.fields(value, {"name", "kind", "transform"}, set(), "columns")
    plan_fields.constant(value, "kind", (NUMBER, CATEGORY))
    transform = plan_fields.constant(value, "transform", TRANSFORMS)
    return Column(name=plan_fields.text(value["name"], "columns"), kind=NUMBER, transform=transform)


def _strategy(value: Any) -> Strategy:
    plan_fields.fields(value, {"name"}, {"server_rate_micro", "proximal_micro"}, "strategy")
    name = plan_fields.constant(value, "name", STRATEGIES)
    extra = {"server_rate_micro"} if name in ADAPTIVE else {"proximal_micro"} if name == "fedprox" else set()
    plan_fields.fields(value, {"name", *extra}, set(), "strategy")
    return Strategy(name=name, **plan_fields.integers(value, dict.fromkeys(extra, (1, 100_000_000))))


def _training(value: Any) -> Training:
    plan_fields.fields(value, set(_TRAINING), {"hidden"}, "training")
    hidden = value.get("hidden", [])
    if not isinstance(hidden, list) or len(hidden) > LAYERS_MAX:
        raise PlanInvalid(field="hidden", why=f"a list of at most {LAYERS_MAX} layer sizes is expected")
    units = tuple(plan_fields.integer(one, "hidden", 1, 4_096) for one in hidden)
    return Training(hidden=units, **plan_fields.integers(value, _TRAINING))


def _split(value: Any) -> Split:
    plan_fields.fields(value, {*_SPLIT, "salt"}, set(), "split")
    return Split(salt=plan_fields.hex_bytes(value["salt"], "salt", 16), **plan_fields.integers(value, _SPLIT))


def _engine(value: Any) -> EngineChoice:
    plan_fields.fields(value, {"name"}, {"dealer", "bits"}, "engine")
    if plan_fields.constant(value, "name", ("threshold", "paillier")) == "threshold":
        plan_fields.fields(value, {"name"}, set(), "engine")
        return EngineChoice(name="threshold")
    plan_fields.fields(value, {"name", "dealer", "bits"}, set(), "engine")
    bits = plan_fields.constant(value, "bits", PAILLIER_BITS)
    return EngineChoice(name="paillier", dealer=plan_fields.partner(value["dealer"], "dealer"), bits=bits)


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
        if plan.parameters > PAILLIER_PARAMETERS_MAX:
            raise PlanInvalid(field="engine", why=f"paillier takes at most {PAILLIER_PARAMETERS_MAX} parameters")
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
