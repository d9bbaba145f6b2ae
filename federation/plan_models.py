"""The models a vertical plan may choose, and how each is chosen, bounded and checked: small values of the plan.

    moments    the scorecard solved from protected moments (the default); no score of a client exists while it trains
    logistic   the same, refined by rounds of logistic regression over rounded partial scores
    trees      boosted trees over bins that every party forms of its own columns

`validation` (folds, a ridge path) goes with moments and logistic; every field is a bound that people approve.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from federation import plan_fields, plan_variants
from federation.errors import PlanInvalid, RoundsBeyondCap

MOMENTS, LOGISTIC, TREES = "moments", "logistic", "trees"
MODELS = (MOMENTS, LOGISTIC, TREES)
RIDGE_MILLI = (1, 1_000_000)
RIDGES_MAX = 16
BINS = (2, 32)
GROUPS_MAX = 8
TREES_MAX, TREE_DEPTH_MAX = 50, 4

_VALIDATION = {"folds": (2, 10)}
ROUNDS_MAX = 15  # of refinement: after about so many, columns of a holder lie in the span of what was scored
_LOGISTIC = {"rounds": (2, ROUNDS_MAX), "plateau_ppm": (0, 100_000)}
_TREES = {
    "trees": (1, TREES_MAX),
    "depth": (1, TREE_DEPTH_MAX),
    "rate_milli": (10, 1_000),
    "leaf_rows": (20, 1_000_000),
    "sample_ppm": (100_000, 1_000_000),
    "columns_ppm": (100_000, 1_000_000),
    "patience": (0, 50),
}
_SCORING = {"clients_per_day": (1, 100_000)}
_SPLIT = {"step_log2": (-2, 3), "clients_per_day": (1, 100_000)}
SPLIT_COARSER = 2  # powers of two by which the step of a split is above that of scores
_LIMITS = {"selection_gap_ppm": (0, 1_000_000), "true_positive_gap_ppm": (0, 1_000_000), "group_rows": (20, 1_000_000)}
_CALIBRATION_GAP = "calibration_gap_ppm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Cross-validation on the train rows by fold-wise moments."""

    folds: int
    ridge_path_milli: tuple[int, ...] = ()  # penalties to choose from, rising; empty where the plan's own stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Refinement by logistic rounds: each discloses one rounded, masked score vector of the train rows."""

    rounds: int  # score vectors at most, the first at the scorecard of moments
    plateau_ppm: int  # rounds end once the train log-loss falls by less than this share
    beyond_cap: bool = False  # the owners approve more rounds than half of a holder's columns
    calibrated: bool = False  # rounds begin at the scorecard of moments times its calibration's slope
    variants: str | None = None  # which are refined, each by rounds of its own; None: the full one, and no contribution

    def check(self, partner: str, columns: int, variants: int) -> None:
        """Design rule a: at most min(15, m/2) rounds over a holder's m raw columns, in all of the refined variants that
        it is in. Raises RoundsBeyondCap.
        """
        rounds, most = self.rounds * variants, min(ROUNDS_MAX, columns // 2)
        if rounds > most and not self.beyond_cap:
            raise RoundsBeyondCap(rounds=rounds, partner=partner, columns=columns, most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Boosted trees. Bins are the plan's `bins`."""

    trees: int
    depth: int
    rate_milli: int  # learning rate in thousandths
    leaf_rows: int  # train rows a leaf has at least
    sample_ppm: int  # share of train rows of each tree
    columns_ppm: int  # share of columns of each tree
    patience: int  # trees without a gain before the rest is left out; 0 = all trees are grown
    variants: str = plan_variants.FULL  # which are grown with other parties; each shows as much again of those in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """Gaps between groups of clients, by attributes the label holder has; a release above a limit is blocked."""

    groups: tuple[str, ...]  # columns of the label holder's asset
    selection_gap_ppm: int  # largest difference of two groups' shares of selected clients
    true_positive_gap_ppm: int  # the same among clients whose label is 1
    group_rows: int  # test rows below which a group is not shown
    calibration_gap_ppm: int | None = None  # of mean predicted chance less observed rate; None: measured, not limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Of a single score each feature holder also shows its own share, unmasked, in multiples of 2^step_log2."""

    step_log2: int
    clients_per_day: int  # different clients, or new values of one, for which a feature holder shows it in a day (UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """After the run the label holder may ask for the score of one client at a time, by the columns as they are then."""

    clients_per_day: int  # different clients, or new shares of one, that a feature holder answers for in a day (UTC)
    split: Split | None = None


def read_validation(value: Any) -> Validation:
    found = plan_fields.fields(value, set(_VALIDATION), {"ridge_path_milli"}, "validation")
    return Validation(
        **plan_fields.integers(found, _VALIDATION), ridge_path_milli=_ridges(found.get("ridge_path_milli", []))
    )


def read_logistic(value: Any) -> Logistic:
    found = plan_fields.fields(value, set(_LOGISTIC), {"beyond_cap", "calibrated", "variants"}, LOGISTIC)
    return Logistic(
        **plan_fields.integers(found, _LOGISTIC),
        beyond_cap=plan_fields.flag(found, "beyond_cap", LOGISTIC),
        calibrated=plan_fields.flag(found, "calibrated", LOGISTIC),
        variants=_variants(found, LOGISTIC),
    )


def read_trees(value: Any) -> Trees:
    found = plan_fields.fields(value, set(_TREES), {"variants"}, TREES)
    return Trees(**plan_fields.integers(found, _TREES), variants=_variants(found, TREES) or plan_variants.FULL)


def read_scoring(value: Any, score_step_log2: int) -> Scoring:
    """Raises PlanInvalid."""
    found = plan_fields.fields(value, set(_SCORING), {"split"}, "scoring")
    most = plan_fields.integers(found, _SCORING)["clients_per_day"]
    split = _split(found["split"], most, score_step_log2) if "split" in found else None
    return Scoring(clients_per_day=most, split=split)


def _split(value: Any, most: int, score_step_log2: int) -> Split:
    """Raises PlanInvalid, also for a step beside which the exact sum of all shares would tell each of them."""
    found = Split(**_numbers(value, _SPLIT, "scoring.split"))
    if found.clients_per_day > most:
        raise PlanInvalid(field="scoring.split", why=f"at most the {most} clients a day that are scored")
    if found.step_log2 < score_step_log2 + SPLIT_COARSER:
        least = score_step_log2 + SPLIT_COARSER
        raise PlanInvalid(
            field="scoring.split",
            why=f"a step_log2 of at least {least} (score_step_log2 + {SPLIT_COARSER}) is expected",
        )
    return found


def read_fairness(value: Any, taken: Collection[str]) -> Fairness:
    """taken: columns that are features, the label, weights or the identifier. Raises PlanInvalid."""
    found = plan_fields.fields(value, {"groups", *_LIMITS}, {_CALIBRATION_GAP}, "fairness")
    groups = plan_fields.texts(found["groups"], "groups", 1, GROUPS_MAX)
    if both := sorted(set(groups) & set(taken)):
        raise PlanInvalid(field="groups", why=f"{', '.join(both)} is also a feature, the label or the identifier")
    limits = _LIMITS | ({_CALIBRATION_GAP: (0, 1_000_000)} if _CALIBRATION_GAP in found else {})
    return Fairness(groups=groups, **plan_fields.integers(found, limits))


def read_model(body: Mapping[str, Any]) -> tuple[str, Logistic | None, Trees | None]:
    """(model, its options): a model's options are there exactly where it is chosen. Raises PlanInvalid."""
    model = str(plan_fields.constant(body, "model", MODELS))
    for name in (LOGISTIC, TREES):
        if (name in body) != (model == name):
            raise PlanInvalid(field=name, why=f"it goes with model {name}, and that model needs it")
    logistic = read_logistic(body[LOGISTIC]) if model == LOGISTIC else None
    return model, logistic, read_trees(body[TREES]) if model == TREES else None


def check_variants(choice: str | None, holders: int) -> None:
    """Raises PlanInvalid for more variants than a run has rounds for."""
    if choice not in (None, plan_variants.FULL) and holders > plan_variants.HOLDERS_MAX:
        most = plan_variants.HOLDERS_MAX
        raise PlanInvalid(field="variants", why=f"they are trained of at most {most} feature holders")


def _variants(found: Mapping[str, Any], where: str) -> str | None:
    """None where a plan names none."""
    if "variants" not in found:
        return None
    return str(plan_fields.constant(found, "variants", plan_variants.CHOICES, where))


def _numbers(value: Any, bounds: Mapping[str, tuple[int, int]], where: str) -> dict[str, int]:
    return plan_fields.integers(plan_fields.fields(value, set(bounds), set(), where), bounds)


def _ridges(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > RIDGES_MAX:
        raise PlanInvalid(field="ridge_path_milli", why=f"a list of at most {RIDGES_MAX} integers is expected")
    found = tuple(plan_fields.integer(one, "ridge_path_milli", *RIDGE_MILLI) for one in value)
    if list(found) != sorted(set(found)):
        raise PlanInvalid(field="ridge_path_milli", why="the penalties must rise")
    return found
