"""The parts of a horizontal plan's body as values. Each `read_…` takes one field and raises PlanInvalid naming it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federation import plan_fields
from federation.errors import PlanInvalid
from privacy.ids import PartnerId

TRAINER = "trainer"
NUMBER, CATEGORY = "number", "category"
TRANSFORMS = ("none", "signed_log")
ADAPTIVE = ("fedadam", "fedyogi", "fedadagrad", "fedavgm")
STRATEGIES = ("fedavg", "fedprox", *ADAPTIVE)
LEVELS_MAX = 256  # of one category
INPUTS_MAX = 4_096
LAYERS_MAX = 3
PAILLIER_BITS = (3072, 4096)

_TRAINING = {
    "rounds": (1, 1_000),
    "steps": (1, 10_000),
    "batch": (0, plan_fields.ROWS_MAX),
    "rate_micro": (1, 100_000_000),
    "l2_micro": (0, 10_000_000),
}
_EARLY_STOP = {"patience": (1, 1_000), "tolerance_ppm": (0, 1_000_000)}
_PERSONALISE = {"steps": (1, 10_000), "rate_micro": (1, 100_000_000)}
_PUBLIC_SCALE = {"centre_milli": (-(10**12), 10**12), "spread_milli": (1, 10**12)}
_NO_SCALE = {"centre_milli": 0, "spread_milli": 1_000}
_SPLIT = {"test_ppm": (50_000, 500_000), "validation_ppm": (0, 300_000)}
_PRIVACY = {"noise_multiplier_milli": (100, 100_000), "row_clip_milli": (1, 1_000_000), "delta_log10": (-18, -3)}
_PARTY = {"partner", "role", "asset", "id_column"}, {"signing", "sealing", "chain", "name", "id_type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """One party: which asset's rows it trains on."""

    partner: PartnerId
    asset: str
    id_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of every partner's table. `levels` of a category; of a number `transform`, then centre and spread."""

    name: str
    kind: str  # NUMBER or CATEGORY
    transform: str = "none"
    centre_milli: int = 0
    spread_milli: int = 1_000
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


def read_early_stop(value: Any) -> EarlyStop:
    return EarlyStop(**_numbers(value, _EARLY_STOP, "early_stop"))


def read_personalise(value: Any) -> Personalise:
    return Personalise(**_numbers(value, _PERSONALISE, "personalise"))


def read_privacy(value: Any) -> Privacy:
    return Privacy(**_numbers(value, _PRIVACY, "privacy"))


def _numbers(value: Any, bounds: Mapping[str, tuple[int, int]], where: str) -> dict[str, int]:
    return plan_fields.integers(plan_fields.fields(value, set(bounds), set(), where), bounds)


def read_parties(value: Any) -> tuple[Trainer, ...]:
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


def read_columns(value: Any) -> tuple[Column, ...]:
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
    plan_fields.fields(value, {"name", "kind", "transform"}, set(_PUBLIC_SCALE), "columns")
    plan_fields.constant(value, "kind", (NUMBER, CATEGORY))
    transform = plan_fields.constant(value, "transform", TRANSFORMS)
    scale = plan_fields.integers({**_NO_SCALE, **value}, _PUBLIC_SCALE)
    return Column(
        name=plan_fields.text(value["name"], "columns"),
        kind=NUMBER,
        transform=transform,
        centre_milli=scale["centre_milli"],
        spread_milli=scale["spread_milli"],
    )


def read_strategy(value: Any) -> Strategy:
    plan_fields.fields(value, {"name"}, {"server_rate_micro", "proximal_micro"}, "strategy")
    name = plan_fields.constant(value, "name", STRATEGIES, "strategy")
    extra = {"server_rate_micro"} if name in ADAPTIVE else {"proximal_micro"} if name == "fedprox" else set()
    plan_fields.fields(value, {"name", *extra}, set(), "strategy")
    return Strategy(name=name, **plan_fields.integers(value, dict.fromkeys(extra, (1, 100_000_000))))


def read_training(value: Any) -> Training:
    plan_fields.fields(value, set(_TRAINING), {"hidden"}, "training")
    hidden = value.get("hidden", [])
    if not isinstance(hidden, list) or len(hidden) > LAYERS_MAX:
        raise PlanInvalid(field="hidden", why=f"a list of at most {LAYERS_MAX} layer sizes is expected")
    units = tuple(plan_fields.integer(one, "hidden", 1, 4_096) for one in hidden)
    return Training(hidden=units, **plan_fields.integers(value, _TRAINING))


def read_split(value: Any) -> Split:
    plan_fields.fields(value, {*_SPLIT, "salt"}, set(), "split")
    return Split(salt=plan_fields.hex_bytes(value["salt"], "salt", 16), **plan_fields.integers(value, _SPLIT))


def read_engine(value: Any) -> EngineChoice:
    plan_fields.fields(value, {"name"}, {"dealer", "bits"}, "engine")
    if plan_fields.constant(value, "name", ("threshold", "paillier"), "engine") == "threshold":
        plan_fields.fields(value, {"name"}, set(), "engine")
        return EngineChoice(name="threshold")
    plan_fields.fields(value, {"name", "dealer", "bits"}, set(), "engine")
    bits = plan_fields.constant(value, "bits", PAILLIER_BITS)
    return EngineChoice(name="paillier", dealer=plan_fields.partner(value["dealer"], "dealer"), bits=bits)
