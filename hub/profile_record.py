"""The label holder's record of a vertical run as values: what was measured, of which clients, calibrated how.

Records written before version 1 of the evaluation hold AUC, average precision and the log-loss of the raw score only;
what a record does not hold stays absent, and nothing stands in for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from federation.metrics import FIGURES, PPM, Estimate
from federation.release import label_name
from hub import profile_folds, profile_rounds, profile_trees
from hub.profile_folds import Folds
from hub.profile_rounds import Rounds
from hub.profile_trees import Ensemble
from hub.run_report import ReportUnreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Held-out clients with neighbouring predicted chances; fractions of 1."""

    rows: int
    share: float  # of all clients, by weight
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One scorecard: the label holder with these feature holders."""

    holders: tuple[str, ...]
    columns: int
    model: str  # of this scorecard: where a run has rounds, not all may be refined
    figures: Mapping[str, Estimate | None]  # by FIGURES
    uplifts: Mapping[str, Estimate | None]  # by FIGURES; above 0 is better
    method: str | None  # of its calibration
    bands: tuple[Band, ...]  # highest chances first
    raw_log_loss: float | None  # of a record before calibration
    lift: float  # what suppressed cells forced onto the penalty

    def lift_table(self, base_rate: float) -> tuple[tuple[Band, float, float], ...]:
        """(band, its rate over the base rate, share of all positives in it and those above)."""
        found = accumulate(band.share * band.observed for band in self.bands)
        return tuple(
            (band, band.observed / base_rate, total / base_rate) for band, total in zip(self.bands, found, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A completed vertical run."""

    digest: str
    title: str
    label_holder: str
    label: str
    model: str
    model_digest: str
    train_rows: int
    test_rows: int
    test_positives: int
    columns: Mapping[str, tuple[str, ...]]  # used, by party
    dropped: Mapping[str, tuple[str, ...]]
    suppressed_cells: int
    survey_weights: str | None
    effective_rows: int
    bootstrap: int
    folds: Folds | None  # of cross-validation
    rounds: Rounds | None  # of refinement
    ensemble: Ensemble | None  # of trees
    least: tuple[int, int] | None  # rows of a band and rows of each class in it; None: a record before bands
    cards: tuple[Card, ...]  # the label holder alone first, all holders last

    def name(self, card: Card) -> str:
        return " + ".join([self.label_holder, *card.holders])

    @property
    def base_rate(self) -> float:
        """The share of positives among held-out clients, weighted where bands are."""
        bands = self.cards[0].bands
        if bands:
            return sum(band.share * band.observed for band in bands)
        return self.test_positives / self.test_rows


def read(found: Mapping[str, Any]) -> Profile:
    """The record of a completed vertical job as the hub's `job` command gives it. Raises ReportUnreadable."""
    try:
        return _read(found)
    except (KeyError, TypeError, ValueError, StopIteration, ArithmeticError, AttributeError) as error:
        raise ReportUnreadable(why=f"{type(error).__name__} {str(error)[:80]}") from None


def _read(found: Mapping[str, Any]) -> Profile:
    body = found["body"]
    signed = next(d for d in found["documents"] if d["kind"] == "train-result" and d["body"]["role"] == "label_holder")
    record = signed["body"]["record"]
    rules = record.get("evaluation", {})
    least = (int(rules["band_rows_minimum"]), int(rules["band_class_rows_minimum"])) if rules else None
    cards = tuple(_card(variant) for variant in record["variants"])
    if not cards or cards[0].holders:
        raise ValueError("the label holder alone comes first")
    weights = rules.get("survey_weights")
    made = Profile(
        digest=str(found["digest"]),
        title=str(body.get("title") or body["purpose"]),
        label_holder=str(signed["signer"]),
        label=label_name(body["label"]),
        model=str(body["model"]),
        model_digest=str(record["model_digest"]),
        train_rows=int(record["train_rows"]),
        test_rows=int(record["test_rows"]),
        test_positives=int(record["test_positives"]),
        columns={str(name): tuple(map(str, names)) for name, names in record["columns"].items()},
        dropped={str(name): tuple(map(str, names)) for name, names in record["dropped"].items()},
        suppressed_cells=int(record["suppressed_cells"]),
        survey_weights=None if weights is None else str(weights),
        effective_rows=int(rules.get("effective_test_rows", record["test_rows"])),
        bootstrap=int(body["bootstrap"]),
        folds=profile_folds.read(record.get("validation"), [card.holders for card in cards]),
        rounds=profile_rounds.read(record.get("refinement")),
        ensemble=profile_trees.read(record.get("trees")),
        least=least,
        cards=cards,
    )
    if not 0 < made.base_rate < 1:
        raise ValueError("the held-out clients are of one class")
    return made


def _card(variant: Mapping[str, Any]) -> Card:
    method, raw = variant.get("calibration", {}).get("method"), variant.get("log_loss_ppm")
    figures = {name: _estimate(variant.get(name)) for name in FIGURES}
    if figures["auc"] is None:
        raise ValueError("a scorecard has no AUC")
    return Card(
        holders=tuple(map(str, variant["holders"])),
        columns=int(variant["columns"]),
        model=str(variant.get("model", "moments")),
        figures=figures,
        uplifts={name: _estimate(variant.get(f"{name}_uplift")) for name in FIGURES},
        method=None if method is None else str(method),
        bands=tuple(
            Band(
                rows=int(band["rows"]),
                share=int(band["share_ppm"]) / PPM,
                predicted=int(band["predicted_ppm"]) / PPM,
                observed=int(band["observed_ppm"]) / PPM,
            )
            for band in variant.get("bands", ())
        ),
        raw_log_loss=None if raw is None else int(raw) / PPM,
        lift=int(variant["lift_ppm"]) / PPM,
    )


def _estimate(value: Mapping[str, Any] | None) -> Estimate | None:
    if value is None:
        return None
    return Estimate(**{name: int(value[name]) for name in ("value_ppm", "low_ppm", "high_ppm")})
