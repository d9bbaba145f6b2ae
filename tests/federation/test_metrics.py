"""Measures agree with scikit-learn, ties included; intervals follow from a digest and are paired."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from federation import metrics
from federation.metrics import auc, average_precision, brier, compare, log_loss, resamples, top_decile_precision

MEASURES = (auc, average_precision, top_decile_precision, log_loss, brier)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_measures_agree_with_scikit_learn(seed: int, ties: bool, weighted: bool) -> None:
    draw = np.random.default_rng(seed)
    label = draw.random(400) < 0.3
    score = draw.normal(size=400) + label
    score = np.rint(score * 2) / 2 if ties else score
    own = draw.exponential(size=400) * (draw.random(400) < 0.9) if weighted else None
    chance = 1 / (1 + np.exp(-score))
    theirs = (
        roc_auc_score(label, score, sample_weight=own),
        average_precision_score(label, score, sample_weight=own),
        sklearn_log_loss(label, chance, sample_weight=own),
        brier_score_loss(label, chance, sample_weight=own),
    )
    ours = [measure(label, score, own) for measure in (auc, average_precision, log_loss, brier)]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_the_top_decile_is_the_tenth_with_the_highest_scores() -> None:
    draw = np.random.default_rng(8)
    label, score = draw.random(730) < 0.4, draw.permutation(730).astype(float)
    assert top_decile_precision(label, score) == pytest.approx(label[np.argsort(-score)[:73]].mean())


def test_equal_scores_on_the_edge_of_the_top_decile_count_as_drawn_by_lot() -> None:
    """40 rows, a tenth is 4: two rows above, then five equal ones of which any two find room."""
    score = np.r_[9.0, 8.0, np.full(5, 7.0), np.zeros(33)]
    label = np.r_[True, False, [True, True, True, False, False], np.zeros(33, bool)]
    draws = [np.r_[label[:2], label[list(two)]].mean() for two in itertools.combinations(range(2, 7), 2)]
    assert top_decile_precision(label, score) == pytest.approx(np.mean(draws))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32))
def test_a_weight_is_a_repetition_and_the_order_of_rows_is_nothing(rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    label = draw.random(rows) < 0.5
    label[:2] = True, False
    score = np.rint(draw.normal(size=rows) * 2)
    weights = draw.integers(0, 4, rows).astype(float)
    weights[:2] += 1
    mixed, repeated = draw.permutation(rows), np.repeat(np.arange(rows), weights.astype(int))
    for measure in MEASURES:
        found = measure(label, score, weights)
        assert found == pytest.approx(measure(label[repeated], score[repeated]))
        assert found == pytest.approx(measure(label[mixed], score[mixed], weights[mixed]))
        assert found == pytest.approx(measure(label, score, 1000 * weights))


def test_weights_stay_with_their_rows_in_the_bootstrap() -> None:
    draw = np.random.default_rng(3)
    label, score, weights = draw.random(80) < 0.4, draw.normal(size=80), draw.exponential(size=80)
    drawn = [np.repeat(np.arange(80), row) for row in resamples(80, 20, b"x").T]
    found = compare(label, {"base": score}, "base", 20, b"x", weights=weights)["base"]
    for estimate, measure in ((found.brier, brier), (found.auc, auc), (found.top_decile_precision, MEASURES[2])):
        low, high = np.percentile([measure(label[rows], score[rows], weights[rows]) for rows in drawn], [2.5, 97.5])
        assert estimate is not None
        assert (estimate.low_ppm, estimate.high_ppm) == pytest.approx((low * 1e6, high * 1e6), abs=1)


def test_a_lower_loss_is_an_uplift_above_zero() -> None:
    draw = np.random.default_rng(4)
    odds = draw.normal(size=2000)
    label = draw.random(2000) < metrics.sigmoid(odds)
    found = compare(label, {"base": odds, "worse": odds + 1.5}, "base", 200, b"x")["worse"]
    assert found.auc_uplift.value_ppm == 0
    assert found.log_loss_uplift.high_ppm < 0 and found.brier_uplift.high_ppm < 0
    assert found.log_loss.value_ppm == pytest.approx(log_loss(label, odds + 1.5) * 1e6, abs=1)


def test_a_constant_score_is_worth_a_coin() -> None:
    label = np.arange(10) < 4
    assert auc(label, np.zeros(10)) == 0.5
    assert average_precision(label, np.zeros(10)) == pytest.approx(0.4)


def test_large_scores_do_not_overflow() -> None:
    assert log_loss(np.array([True, False]), np.array([-1e4, 1e4])) == pytest.approx(1e4)


def test_resamples_are_draws_with_replacement_from_the_seed() -> None:
    counts = resamples(250, 40, b"seed")
    assert (counts.sum(axis=0) == 250).all()
    assert (counts[:, 7:] == resamples(250, 33, b"seed", first=7)).all()
    assert (counts == resamples(250, 40, b"seed")).all()
    assert (counts != resamples(250, 40, b"other")).any()
    assert counts[:125].sum() == pytest.approx(40 * 125, rel=0.05)
    assert 0.33 < (counts == 0).mean() < 0.41  # (1 - 1/n)^n = 0.368 of the rows stay out


def test_counted_resamples_equal_rows_drawn_one_by_one() -> None:
    draw = np.random.default_rng(3)
    label, score = draw.random(80) < 0.4, np.rint(draw.normal(size=80) * 3)
    counts = resamples(80, 20, b"x")
    expected = []
    for row in counts.T:
        drawn = np.repeat(np.arange(80), row)
        expected.append(roc_auc_score(label[drawn], score[drawn]))
    found = compare(label, {"base": score}, "base", 20, b"x")["base"].auc
    low, high = np.percentile(expected, [2.5, 97.5])
    assert found.low_ppm == pytest.approx(low * 1e6, abs=1)
    assert found.high_ppm == pytest.approx(high * 1e6, abs=1)


def test_the_uplift_is_measured_on_the_same_rows() -> None:
    draw = np.random.default_rng(4)
    label = draw.random(500) < 0.4
    base = draw.normal(size=500) + 0.8 * label
    better = base + 0.4 * label
    found = compare(label, {"base": base, "better": better, "same": base}, "base", 300, b"x")
    same, uplift = found["same"].auc_uplift, found["better"].auc_uplift
    assert (same.value_ppm, same.low_ppm, same.high_ppm) == (0, 0, 0)
    assert uplift.value_ppm == pytest.approx(found["better"].auc.value_ppm - found["base"].auc.value_ppm, abs=1)
    assert 0 < uplift.low_ppm < uplift.value_ppm < uplift.high_ppm
    own = found["better"].auc
    assert uplift.high_ppm - uplift.low_ppm < own.high_ppm - own.low_ppm  # pairing takes the common spread out


def test_a_resample_of_one_class_is_left_out() -> None:
    label = np.arange(40) < 1
    found = compare(label, {"base": np.arange(40.0)[::-1].copy()}, "base", 100, b"x")["base"].auc
    assert (found.value_ppm, found.low_ppm) == (1_000_000, 1_000_000)


def test_scores_that_are_not_finite_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        auc(np.array([True, False]), np.array([np.nan, 0.0]))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 400), st.integers(0, 2**32))
def test_a_histogram_gives_the_exact_auc_of_its_bins(rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    step = 2 * metrics.SCORE_MAX / metrics.BINS
    score = (draw.integers(-300, 300, rows) + 0.5) * step  # some beyond the first and last bin
    label = draw.random(rows) < 0.4
    label[:2] = True, False
    counts = metrics.histogram(label, score)
    assert counts.sum(axis=1).tolist() == [int((~label).sum()), int(label.sum())]
    capped = np.clip(score, -metrics.SCORE_MAX + step / 2, metrics.SCORE_MAX - step / 2)
    assert metrics.histogram_auc(counts) == pytest.approx(metrics.auc(label, capped))


def test_histograms_of_parties_add_up_to_the_joint_auc() -> None:
    draw = np.random.default_rng(4)
    label = draw.random(6_000) < 0.1
    score = draw.normal(size=6_000) + label - 2.0
    total = sum(metrics.histogram(label[at::3], score[at::3]) for at in range(3))
    assert metrics.histogram_auc(np.asarray(total)) == pytest.approx(metrics.auc(label, score), abs=2e-4)


def test_a_histogram_of_one_class_has_no_auc() -> None:
    assert np.isnan(metrics.histogram_auc(metrics.histogram(np.ones(5, bool), np.zeros(5))))
