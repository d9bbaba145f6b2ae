"""What a vertical run leaves at each party. Figures are integers with their unit in the name, so they can be signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from federation import metrics
from federation.bands import Minimum
from federation.contribution import Contribution
from federation.explain import Importance
from federation.metrics import FIGURES, Estimate, Measures
from federation.models.path import CrossValidation
from federation.vertical.evaluation import Evaluation
from privacy import canonical
from privacy.canonical import Value

DECILES = 10
EVALUATION_VERSION = 1
VALIDATION_VERSION = 1


class Part(Protocol):
    """A party's share of a model, of whatever kind: what its node keeps, and the digest that names it."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def digest(self) -> str: ...

    def encode(self) -> bytes: ...


def columns_digest(holder: str, asset: str, names: Sequence[str]) -> str:
    """Of a set of columns, whatever their order: what disclosed score vectors are counted by."""
    columns: list[Value] = [*sorted(names)]
    return canonical.digest("ecohub/columns/v1", {"partner": holder, "asset": asset, "columns": columns}).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed:
    """One score vector a holder showed the label holder. Masked: only its sum with the other holders' was shown."""

    holder: str
    columns_digest: str
    rows: int
    step_log2: int
    variant: tuple[str, ...]
    masked: bool
    round: int = 0  # of refinement; of trees the tree, from 1; 0 for the final scores

    def to_value(self) -> dict[str, Value]:
        return {
            "holder": self.holder,
            "columns_digest": self.columns_digest,
            "rows": self.rows,
            "step_log2": self.step_log2,
            "variant": list(self.variant),
            "masked": self.masked,
            "round": self.round,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """How the rounds of a refined scorecard went."""

    losses_ppm: tuple[int, ...]  # by round: the train log-loss of the scores as they were, the first by moments
    kept: int  # the round whose weights are the model's
    ended: str  # why: refine.PLATEAU or refine.ROUNDS
    divided: bool  # a loss rose, and the steps after it were divided by the number of parties

    def to_value(self) -> dict[str, Value]:
        return {
            "losses_ppm": [*self.losses_ppm],
            "kept": self.kept,
            "ended": self.ended,
            "divided": self.divided,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """How an ensemble came about; integers, so that it can be signed."""

    trees: int  # kept
    grown: int
    splits: Mapping[str, int]  # by party: of the kept trees
    bins: Mapping[str, int]  # by party: bins a column could have; fewer than planned where the encryption has no room
    merged: Mapping[str, int]  # by feature holder: neighbouring bins that it did not show apart, of all nodes
    watched_rows: int  # train rows that no tree saw: for calibration and early stopping
    watched_loss_ppm: Sequence[int]  # their mean log-loss: without trees, after the first, …; none of too few

    def to_value(self) -> dict[str, Value]:
        return {
            "trees": self.trees,
            "grown": self.grown,
            "splits": dict(self.splits),
            "bins": dict(self.bins),
            "merged": dict(self.merged),
            "watched_rows": self.watched_rows,
            "watched_loss_ppm": list(self.watched_loss_ppm),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """What explanations of trees need beside the label holder's part. Stays at its node."""

    rows: NDArray[np.int64]  # (all leaves,): fitted rows in each, in the order of the part's leaves
    reached: NDArray[np.uint8]  # (aligned clients, trees): the leaf where each came to


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One solved scorecard on the test rows: the label holder with these feature holders."""

    holders: tuple[str, ...]
    columns: int
    model: str  # "moments", or "logistic" where it was refined
    evaluation: Evaluation
    lift_ppm: int  # what suppression forced onto the ridge penalty, 0 as a rule

    @property
    def measures(self) -> Measures:
        return self.evaluation.measures

    def to_value(self) -> dict[str, Value]:
        line = self.evaluation.calibration
        figures: dict[str, Value] = {
            name: _estimate(getattr(self.measures, name)) for figure in FIGURES for name in (figure, f"{figure}_uplift")
        }
        calibration: dict[str, Value] = {
            "method": line.method,
            "train_rows": line.rows,
            "slope_ppm": round(line.slope * 1_000_000),
            "offset_ppm": round(line.offset * 1_000_000),
        }
        bands: list[Value] = [
            {
                "rows": band.rows,
                "share_ppm": band.share_ppm,
                "predicted_ppm": band.predicted_ppm,
                "observed_ppm": band.observed_ppm,
            }
            for band in self.evaluation.bands
        ]
        return {
            "holders": list(self.holders),
            "columns": self.columns,
            "model": self.model,
            **figures,
            "calibration": calibration,
            "bands": bands,
            "lift_ppm": self.lift_ppm,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the variants were measured; what a record before this version did not say."""

    bootstrap: int
    survey_weights: str | None  # the column
    effective_test_rows: int  # as many rows of equal weight say as much
    minimum: Minimum
    positive: str | None  # the class that was predicted against the rest

    def to_value(self) -> dict[str, Value]:
        return {
            "version": EVALUATION_VERSION,
            "label_class": self.positive,
            "bootstrap": self.bootstrap,
            "survey_weights": self.survey_weights,
            "effective_test_rows": self.effective_test_rows,
            "band_rows_minimum": self.minimum.rows,
            "band_class_rows_minimum": self.minimum.of_each_class,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatrix:
    """The full model's score of every aligned client. Decile 10 holds the highest scores, ties in row order."""

    tokens: tuple[str, ...]
    scores: NDArray[np.float64]  # log-odds
    chances: NDArray[np.float64]  # of the label being 1, by the calibrated score
    alone: NDArray[np.float64]  # the same chances by the label holder's own columns: what partners are compared with
    deciles: NDArray[np.int8]  # 1..10
    test: NDArray[np.bool_]  # rows the model was measured on


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelResult:
    """What the label holder has. `matrix`, `part`, `importance`, `paths` stay at its node; the rest may be shown."""

    run: str
    train_rows: int
    test_rows: int
    test_positives: int
    validation: CrossValidation | None  # where the plan has it: squared errors by fold of the train rows
    rules: Rules
    variants: tuple[Variant, ...]  # alone first, all holders last
    matrix: LabelMatrix
    part: Part
    fairness: dict[str, Value] | None  # gaps between groups, where the plan asks for them (federation.fairness)
    contribution: Contribution | None  # where the plan asks for it
    importance: Importance | None  # of a scorecard by the score's variance, of trees by gain
    weights_digests: dict[str, str]  # by holder: of the weights of every variant it is in; own: of the model part
    columns: dict[str, tuple[str, ...]]  # used, by party
    dropped: dict[str, tuple[str, ...]]  # planned and not used, by party
    own_reasons: dict[str, str]  # why own columns were dropped
    suppressed_cells: int
    disclosed: tuple[Disclosed, ...]
    refinement: Refinement | None  # where the plan has rounds
    trees: Grown | None = None  # where the model is trees
    paths: Paths | None = None  # likewise

    @property
    def model_digest(self) -> str:
        digests: Value = dict(self.weights_digests)
        return canonical.digest("ecohub/model/v1", {"run": self.run, "weights": digests}).hex()

    def record(self) -> dict[str, Value]:
        """The model record: canonical, free of client data."""
        return {
            "run": self.run,
            "model_digest": self.model_digest,
            "train_rows": self.train_rows,
            "test_rows": self.test_rows,
            "test_positives": self.test_positives,
            "evaluation": self.rules.to_value(),
            "variants": [variant.to_value() for variant in self.variants],
            "validation": _validation(self.validation, self.variants) if self.validation else None,
            "weights_digests": dict(self.weights_digests),
            "columns": {partner: list(names) for partner, names in self.columns.items()},
            "dropped": {partner: list(names) for partner, names in self.dropped.items()},
            "suppressed_cells": self.suppressed_cells,
            "disclosed": [one.to_value() for one in self.disclosed],
            "fairness": self.fairness,
            "refinement": self.refinement.to_value() if self.refinement else None,
            "trees": self.trees.to_value() if self.trees else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderResult:
    """What a feature holder has. `part` and `reasons` stay at its node; `record()` may be signed and shown."""

    run: str
    partner: str
    part: Part
    weights_digest: str  # of the weights of every variant it is in
    reasons: dict[str, str]  # why own columns were dropped
    suppressed_cells: int
    disclosed: tuple[Disclosed, ...]
    spent: int  # score vectors of this column set over its lifetime, this run included

    def record(self) -> dict[str, Value]:
        """The holder's own record: canonical, free of client data."""
        dropped: list[Value] = [*sorted(self.reasons)]
        return {
            "run": self.run,
            "partner": self.partner,
            "weights_digest": self.weights_digest,
            "columns": list(self.part.columns),
            "dropped": dropped,
            "suppressed_cells": self.suppressed_cells,
            "disclosed": [one.to_value() for one in self.disclosed],
            "spent": self.spent,
        }


def _validation(found: CrossValidation, variants: Sequence[Variant]) -> dict[str, Value]:
    """Mean squared errors of every fold in millionths, in the order of the folds."""
    path: list[Value] = [
        {"ridge_milli": ridge, "errors_ppm": _ppm(errors)}
        for ridge, errors in zip(found.ridges_milli, found.path, strict=True)
    ]
    cards: list[Value] = [
        {"holders": list(variant.holders), "errors_ppm": _ppm(errors)}
        for variant, errors in zip(variants, found.variants, strict=True)
    ]
    return {
        "version": VALIDATION_VERSION,
        "fold_rows": list(found.rows),
        "ridge_milli": found.ridge_milli,
        "path": path,
        "base_errors_ppm": _ppm(found.base),
        "variants": cards,
    }


def _ppm(values: NDArray[np.float64]) -> list[Value]:
    return [metrics.ppm(value) for value in values]


def deciles(scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """1..10 by rank, 10 the highest; equal scores are ranked in row order."""
    ranks = np.empty(len(scores), np.int64)
    ranks[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    tenths: NDArray[Any] = 1 + ranks * DECILES // len(scores)
    return tenths.astype(np.int8)


def _estimate(estimate: Estimate | None) -> dict[str, Value] | None:
    if estimate is None:
        return None
    return {"value_ppm": estimate.value_ppm, "low_ppm": estimate.low_ppm, "high_ppm": estimate.high_ppm}
