"""What the label holder says of each variant on the held-out clients: measures with intervals, and bands.

Nothing here sees a train row but the calibrations, which were fitted on train rows alone. What comes out is signed and
leaves the node: figures over all test rows, and bands that have enough rows of each class; the rest is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federation import bands, metrics
from federation.bands import Band, Minimum
from federation.calibration import Calibration
from federation.errors import SurveyWeightsInvalid, TooFewRows
from federation.features import Floats
from federation.metrics import Measures
from federation.plan import TrainingPlan
from privacy import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The held-out rows of a run. `weights` are survey weights with mean 1, or ones."""

    label: NDArray[np.bool_]  # (rows,)
    weights: Floats  # (rows,)
    minimum: Minimum  # what a published group must have
    bootstrap: int
    seed: bytes

    def check(self, survey_weights: str | None) -> None:
        """Raises TooFewRows, or SurveyWeightsInvalid where a few rows outweigh the others."""
        if len(self.label) < self.minimum.rows:
            raise TooFewRows(count=len(self.label), what="test", minimum=self.minimum.rows)
        if survey_weights is not None and not self.minimum.met(self.label, self.weights):
            count = int(bands.effective_rows(self.weights))
            needed = f"{self.minimum.rows} of all and {self.minimum.of_each_class} of each class are needed"
            raise SurveyWeightsInvalid(
                column=survey_weights, why=f"the test rows weigh like {count} of equal weight; {needed}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One variant as its record shows it."""

    measures: Measures
    calibration: Calibration
    bands: tuple[Band, ...]


def held_rows(plan: TrainingPlan, order: str, label: NDArray[np.bool_], weights: Floats) -> Held:
    """The held-out rows of a run and what of them may be published. order: the digest of the aligned clients."""
    return Held(
        label=label,
        weights=weights,
        minimum=Minimum(rows=max(bands.ROWS_MIN, plan.rare_rows), of_each_class=bands.CLASS_ROWS_MIN),
        bootstrap=plan.bootstrap,
        seed=canonical.digest("ecohub/bootstrap/v1", {"run": plan.digest, "order": order}),
    )


def evaluate(
    held: Held,
    scores: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    base: str,
    base_calibrations: Mapping[str, Calibration],
) -> dict[str, Evaluation]:
    """Every variant on the held-out rows, by its name; scores: (rows,) each, raw.

    base_calibrations: the base variant's, by method. A variant's uplift in log-loss and Brier score is over the base
    calibrated by the variant's own method, so that it is never the difference of two methods.
    """
    log_odds = {name: one.log_odds(scores[name]) for name, one in calibrations.items()}
    measured = metrics.compare(
        held.label,
        {name: scores[name] for name in calibrations},
        base,
        held.bootstrap,
        held.seed,
        log_odds=log_odds,
        base_log_odds={n: base_calibrations[c.method].log_odds(scores[base]) for n, c in calibrations.items()},
        weights=held.weights,
    )
    made = {
        name: _evaluation(held, scores[name], log_odds[name], measured[name], one) for name, one in calibrations.items()
    }
    shown = bands.top_is_shown(held.label, scores[base], held.weights, held.minimum)
    return made if shown else {name: _without_top_uplift(one) for name, one in made.items()}


def _evaluation(
    held: Held, score: Floats, log_odds: Floats, measures: Measures, calibration: Calibration
) -> Evaluation:
    if not bands.top_is_shown(held.label, score, held.weights, held.minimum):
        measures = replace(measures, top_decile_precision=None, top_decile_precision_uplift=None)
    shown = bands.bands(held.label, metrics.sigmoid(log_odds), held.weights, held.minimum)
    return Evaluation(measures=measures, calibration=calibration, bands=shown)


def _without_top_uplift(evaluation: Evaluation) -> Evaluation:
    """An uplift beside the variant's own figure would tell the base's, which is not shown."""
    return replace(evaluation, measures=replace(evaluation.measures, top_decile_precision_uplift=None))
