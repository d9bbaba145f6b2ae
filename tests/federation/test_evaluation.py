"""What the label holder signs of each variant: measured on held-out rows, calibrated on train rows, weighted alike."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import metrics
from federation.errors import (
    ColumnHasGaps,
    ColumnInfinite,
    ColumnMissing,
    ColumnNotNumeric,
    LabelTooRare,
    RowsDiffer,
    SurveyWeightsInvalid,
    TooFewRows,
)
from federation.features import Table
from federation.plan import TrainingPlan
from federation.vertical import LabelResult, open_session
from privacy import canonical
from privacy.errors import Failure
from tests.federation.alliance import Tables, body, pump, synthetic
from tests.support.entropy import SeededEntropy

TABLES, COLUMNS = synthetic()
PLAN = TrainingPlan.from_body(body(COLUMNS))
WEIGHTED = TrainingPlan.from_body(body(COLUMNS, survey_weights="WGT"))
TEST = PLAN.test_mask(TABLES["broker"].tokens)
FIGURES = ("auc", "average_precision", "log_loss", "brier")


def with_broker(**changes: Any) -> Tables:
    return {**TABLES, "broker": replace(TABLES["broker"], **changes)}


def result(plan: TrainingPlan, tables: Tables = TABLES) -> LabelResult:
    found = pump(plan, tables)["broker"].result()
    assert isinstance(found, LabelResult)
    return found


@pytest.fixture(scope="module")
def plain() -> LabelResult:
    return result(PLAN)


def label() -> np.ndarray:
    assert TABLES["broker"].label is not None
    return TABLES["broker"].label == 1


def test_the_record_says_what_was_measured_and_fitted_on_what(plain: LabelResult) -> None:
    record: Any = canonical.decode(canonical.encode(plain.record()))
    assert record["evaluation"] == {
        "version": 1,
        "label_class": None,
        "bootstrap": 200,
        "survey_weights": None,
        "effective_test_rows": int(TEST.sum()),
        "band_rows_minimum": 50,
        "band_class_rows_minimum": 5,
    }
    methods = [variant["calibration"]["method"] for variant in record["variants"]]
    assert methods == ["platt", "moments", "moments", "platt"], "nobody has the train scores of the two between"
    assert {variant["calibration"]["train_rows"] for variant in record["variants"]} == {int((~TEST).sum())}
    for variant in record["variants"]:
        assert sum(band["rows"] for band in variant["bands"]) == TEST.sum()
        assert all(band["rows"] >= 50 for band in variant["bands"])


def test_the_figures_are_those_of_the_delivered_scores_and_chances(plain: LabelResult) -> None:
    full, matrix = plain.variants[-1], plain.matrix
    odds = full.evaluation.calibration.log_odds(matrix.scores)
    assert matrix.chances == pytest.approx(metrics.sigmoid(odds))
    for name in FIGURES:
        score = odds if name in metrics.LOSSES else matrix.scores
        exact = getattr(metrics, name)(label()[TEST], score[TEST])
        assert getattr(full.measures, name).value_ppm == round(exact * 1e6)
    assert matrix.chances[TEST].mean() == pytest.approx(label()[TEST].mean(), abs=0.05)
    assert full.measures.log_loss.value_ppm < metrics.log_loss(label()[TEST], matrix.scores[TEST]) * 1e6


def test_labels_of_test_clients_change_no_calibration(plain: LabelResult) -> None:
    other = result(PLAN, with_broker(label=np.where(TEST, 1 - label(), label()).astype(int)))
    for ours, theirs in zip(plain.variants, other.variants, strict=True):
        assert ours.evaluation.calibration == theirs.evaluation.calibration
        assert ours.measures.auc.value_ppm + theirs.measures.auc.value_ppm == pytest.approx(1_000_000, abs=1)


def test_with_one_partner_both_variants_are_calibrated_by_their_train_scores() -> None:
    plan = TrainingPlan.from_body(body({name: COLUMNS[name] for name in ("broker", "bank")}))
    assert [one.evaluation.calibration.method for one in result(plan).variants] == ["platt", "platt"]


def test_equal_survey_weights_change_no_figure_and_others_do(plain: LabelResult) -> None:
    for scale in (1.0, 1e300):
        alike = result(WEIGHTED, with_broker(survey_weights=np.full(2000, scale)))
        for ours, theirs in zip(plain.variants, alike.variants, strict=True):
            for name in FIGURES:
                assert getattr(ours.measures, name).value_ppm == getattr(theirs.measures, name).value_ppm
            assert ours.evaluation.bands == theirs.evaluation.bands
    weights = np.random.default_rng(6).exponential(size=2000) + 0.2
    found = result(WEIGHTED, with_broker(survey_weights=weights))
    exact = metrics.auc(label()[TEST], found.matrix.scores[TEST], weights[TEST])
    assert found.variants[-1].measures.auc.value_ppm == round(exact * 1e6)
    assert found.rules.survey_weights == "WGT" and found.rules.effective_test_rows < int(TEST.sum())
    assert (found.matrix.scores == plain.matrix.scores).all(), "training takes every client once"


def spoilt(**at: float) -> np.ndarray:
    values = np.ones(2000)
    values[7] = at["value"]
    return values


ONE_HEAVY = np.where(np.arange(2000) == np.flatnonzero(TEST)[0], 1e6, 1.0)


@pytest.mark.parametrize(
    ("weights", "failure", "said"),
    [
        (spoilt(value=np.nan), ColumnHasGaps, "WGT has 1 missing"),
        (spoilt(value=np.inf), ColumnInfinite, "WGT has 1 infinite"),
        (spoilt(value=-0.5), SurveyWeightsInvalid, "1 are negative"),
        (np.zeros(2000), SurveyWeightsInvalid, "all test rows have weight 0"),
        (np.where(TEST, 0.0, 1.0), SurveyWeightsInvalid, "all test rows have weight 0"),
        (np.where(label(), 0.0, 1.0), SurveyWeightsInvalid, "5 of each class"),
        (ONE_HEAVY, SurveyWeightsInvalid, "weigh like 1 of equal weight; 50 of all"),
        (np.array(["heavy"] * 2000), ColumnNotNumeric, "WGT"),
        (np.ones(1999), RowsDiffer, "1999 rows"),
        (None, ColumnMissing, "WGT"),
    ],
    ids=["NaN", "inf", "negative", "all zero", "zero in test", "a class of zero", "one heavy", "text", "short", "none"],
)
def test_weights_that_weigh_nothing_or_too_much_are_refused(
    weights: np.ndarray | None, failure: type[Failure], said: str
) -> None:
    with pytest.raises(failure, match=said):
        open_session(WEIGHTED, "broker", with_broker(survey_weights=weights)["broker"], SeededEntropy(b"x"))


def test_test_rows_of_one_class_are_refused() -> None:
    one_class = np.where(TEST, 1, label()).astype(int)
    with pytest.raises(LabelTooRare, match="0 test rows, 5 are needed"):
        open_session(PLAN, "broker", with_broker(label=one_class)["broker"], SeededEntropy(b"x"))


def test_too_few_test_rows_are_refused() -> None:
    plan = TrainingPlan.from_body(body(COLUMNS, test_ppm=50_000))
    kept = np.flatnonzero(np.arange(2000) < 700)
    whole = TABLES["broker"]
    assert whole.label is not None
    short = Table(
        tokens=tuple(whole.tokens[i] for i in kept),
        columns={name: np.asarray(column)[kept] for name, column in whole.columns.items()},
        label=whole.label[kept],
    )
    with pytest.raises(TooFewRows, match="test rows, the plan needs 50"):
        open_session(plan, "broker", short, SeededEntropy(b"x"))


def test_survey_weights_are_part_of_what_a_session_is_restored_with() -> None:
    from federation.errors import SessionUnreadable

    first = open_session(WEIGHTED, "broker", with_broker(survey_weights=np.ones(2000))["broker"], SeededEntropy(b"x"))
    first.start()
    other = with_broker(survey_weights=np.arange(2000) + 1.0)["broker"]
    with pytest.raises(SessionUnreadable, match="the table's rows"):
        open_session(WEIGHTED, "broker", other, SeededEntropy(b"x")).restore(first.dump())
