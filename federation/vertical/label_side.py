"""What the label holder's session has whichever model is trained: the label, the held-out rows, and what they show."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation import bands, features, metrics
from federation.calibration import Calibration
from federation.errors import ColumnMissing
from federation.features import Floats, Table
from federation.plan import LABEL_HOLDER, TrainingPlan
from federation.vertical import gaps
from federation.vertical.evaluation import Held, held_rows
from federation.vertical.party import Party
from federation.vertical.results import LabelMatrix, Rules, deciles
from privacy.ring import Entropy


class LabelSide(Party):
    """Base of LabelHolder and TreeGrower, beside the one that has their messages."""

    role: ClassVar[str] = LABEL_HOLDER

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Raises ColumnMissing, LabelNotBinary, LabelTooRare, SurveyWeightsInvalid, TooFewRows, and as `Party` does."""
        super().__init__(plan, me, table, entropy)
        self._held().check(plan.survey_weights)

    def _prepare(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        self._take_label()
        return super()._prepare(columns)

    def _take_label(self) -> None:
        plan, table = self._plan, self._table
        if table.label is None:
            raise ColumnMissing(column=plan.label_column)
        gaps.check(plan, table)
        self._label = features.prepare_label(
            table.label, plan.label_column, self._train, plan.rare_rows, bands.CLASS_ROWS_MIN, self._parts
        )
        self._weights_of_test = _survey_weights(plan, table, self._test)

    def _held(self) -> Held:
        """The held-out rows and what of them may be published."""
        return held_rows(self._plan, self._order, self._label[self._test], self._weights_of_test)

    def _rules(self, held: Held) -> Rules:
        return Rules(
            bootstrap=self._plan.bootstrap,
            survey_weights=self._plan.survey_weights,
            effective_test_rows=int(bands.effective_rows(held.weights)),
            minimum=held.minimum,
            positive=self._plan.positive,
        )

    def _matrix(self, totals: Sequence[Floats], lines: Sequence[Calibration]) -> LabelMatrix:
        """totals: log-odds of every variant, of all rows for the first and the last; lines: their calibrations."""
        (alone, scores), (own, full) = (totals[0], totals[-1]), (lines[0], lines[-1])
        return LabelMatrix(
            tokens=self._table.tokens,
            scores=scores,
            chances=metrics.sigmoid(full.log_odds(scores)),
            alone=metrics.sigmoid(own.log_odds(alone)),
            deciles=deciles(scores),
            test=self._test,
        )


def _survey_weights(plan: TrainingPlan, table: Table, test: NDArray[np.bool_]) -> Floats:
    """The test rows' survey weights; ones where the plan names none."""
    if plan.survey_weights is None:
        return np.ones(int(test.sum()))
    if table.survey_weights is None:
        raise ColumnMissing(column=plan.survey_weights)
    return features.prepare_survey_weights(table.survey_weights, plan.survey_weights, test)
