"""Rounds for each partner's own variant beside the full one: equal to pooled rounds, counted, masked apart."""

from typing import Any

import numpy as np
import pytest

from federation import calibration, contribution, metrics
from federation.errors import PlanInvalid, RoundsBeyondCap, ScoreBudgetExceeded
from federation.features import Table
from federation.models import refine
from federation.plan import TrainingPlan
from federation.plan_variants import coalitions
from federation.vertical import FeatureHolder, LabelHolder, receipt, scores
from tests.federation.alliance import Tables, body, prepared, pump, sessions, synthetic
from tests.federation.refined import pooled
from tests.federation.test_refinement import Parties, label_result, weights_of
from tests.hostile.test_attack_rounds import attacked, honest, signed

TABLES, COLUMNS = synthetic()
ALL = ("bank", "platform")
ROUNDS = {"rounds": 3, "plateau_ppm": 0, "beyond_cap": True}


def plan_of(columns: dict[str, list[str]] = COLUMNS, variants: str | None = "partners", **changes: Any) -> TrainingPlan:
    options = ROUNDS | changes.pop("logistic", {}) | ({"variants": variants} if variants else {})
    return TrainingPlan.from_body(body(columns, **{"model": "logistic", "logistic": options, **changes}))


PLAN = plan_of(contribution=True)


@pytest.fixture(scope="module")
def run() -> Parties:
    return pump(PLAN, TABLES)


def four_parties() -> tuple[Tables, dict[str, list[str]]]:
    """The platform's columns in two hands."""
    names = COLUMNS["platform"]
    columns = {**COLUMNS, "platform": names[:3], "shop": names[3:]}
    shop = Table(tokens=TABLES["platform"].tokens, columns=TABLES["platform"].columns)
    return {**TABLES, "shop": shop}, columns


def rounds_of(plan: TrainingPlan, holders: tuple[str, ...]) -> tuple[list[np.ndarray], list[float], str]:
    """A variant's rounds on pooled rows, with the protocol's rounding."""
    test, label = plan.test_mask(TABLES["broker"].tokens), np.asarray(TABLES["broker"].label) == 1
    values = prepared(plan, TABLES)
    parts = [values[name].scaled[~test] for name in ("broker", *holders)]
    return pooled(parts, label[~test], rounds=3, plateau_ppm=0, step=2.0**plan.score_step_log2)


def test_every_variant_equals_its_rounds_on_pooled_rows(run: Parties) -> None:
    for holders in PLAN.refined:
        weights, losses, why = rounds_of(PLAN, holders)
        for name, expected in zip(("broker", *holders), weights, strict=True):
            (track,) = [one for one in run[name]._tracks if one.holders == holders]
            found = np.roll(track.weights, 1) if name == "broker" else track.weights  # the intercept comes last
            assert found == pytest.approx(expected, abs=1e-9), (holders, name)
            assert track.kept == refine.best(losses)
        broker = run["broker"]
        assert isinstance(broker, LabelHolder)
        (track,) = [one for one in broker._tracks if one.holders == holders]
        assert track.losses == pytest.approx(losses) and track.ended == why


def test_the_full_variant_is_that_of_a_plan_without_others(run: Parties) -> None:
    alone = pump(plan_of(variants=None), TABLES)
    for found, expected in zip(weights_of(run), weights_of(alone), strict=True):
        assert (found == expected).all()
    assert (label_result(run).matrix.scores == label_result(alone).matrix.scores).all()


def test_the_record_says_which_variant_was_refined(run: Parties) -> None:
    assert [one.model for one in label_result(run).variants] == ["logistic"] * 4
    methods = [one.evaluation.calibration.method for one in label_result(run).variants]
    assert methods == [calibration.PLATT] * 4
    some = label_result(pump(plan_of(variants=None), TABLES))
    assert [one.model for one in some.variants] == ["logistic", "moments", "moments", "logistic"]


def test_every_round_of_every_variant_is_counted_alike_on_both_sides(run: Parties) -> None:
    result = label_result(run)
    for holder in PLAN.holders:
        session = run[holder]
        assert isinstance(session, FeatureHolder)
        own = session.result()
        assert own.disclosed == tuple(one for one in result.disclosed if one.holder == holder)
        assert own.spent == len(own.disclosed) == PLAN.score_vectors(holder) == 8  # two ends and six rounds
        assert [one.masked for one in own.disclosed if one.variant == (holder,)] == [False] * 4
        assert [one.masked for one in own.disclosed if one.variant == ALL] == [True] * 4
        with pytest.raises(ScoreBudgetExceeded):
            sessions(PLAN, TABLES, **{holder: 93})


def test_a_restart_after_any_message_changes_nothing(run: Parties) -> None:
    again = pump(PLAN, TABLES, restart=True)
    for name in PLAN.partners:
        assert again[name].result().record() == run[name].result().record()


def test_contribution_is_of_the_refined_scores_of_every_coalition(run: Parties) -> None:
    result = label_result(run)
    made = result.contribution
    assert made is not None and made.method == contribution.BY_SCORES and PLAN.by_scores
    (part,) = made.parts
    test, label = result.matrix.test, np.asarray(TABLES["broker"].label) == 1
    assert part.rows == int(test.sum()) and tuple(part.errors_ppm) == coalitions(ALL)
    for variant in result.variants:
        assert variant.measures.brier.value_ppm == pytest.approx(part.errors_ppm[variant.holders], abs=1)
    weights, _, _ = rounds_of(PLAN, ("bank",))
    values = prepared(PLAN, TABLES)
    step = 2.0**PLAN.score_step_log2
    score = weights[0][0] + values["broker"].scaled @ weights[0][1:]
    score = score + np.rint(values["bank"].scaled @ weights[1] / step) * step
    line = calibration.platt(label[~test], score[~test])
    expected = ((metrics.sigmoid(line.log_odds(score[test])) - label[test]) ** 2).mean()
    assert part.errors_ppm[("bank",)] == pytest.approx(1e6 * expected, abs=1)
    given = receipt.body(PLAN, result, "2026-11-22T00:00:00Z")
    assert given is not None and receipt.check(given, PLAN, result.record()) == made
    assert made.weights_ppm is not None and sum(made.weights_ppm.values()) == 1_000_000


def test_without_the_word_contribution_stays_by_moments() -> None:
    plan = plan_of(variants=None, contribution=True)
    assert not plan.by_scores and "held" in plan.parts(TABLES["broker"].tokens)
    made = label_result(pump(plan, TABLES)).contribution
    assert made is not None and made.method == contribution.BY_MOMENTS


def test_contribution_needs_every_set_of_holders() -> None:
    with pytest.raises(PlanInvalid, match=r"contribution.*every set"):
        plan_of(variants="full", contribution=True)
    _, columns = four_parties()
    with pytest.raises(PlanInvalid, match=r"contribution.*every set"):
        plan_of(columns, contribution=True)
    assert plan_of(columns, "coalitions", contribution=True).by_scores


def test_rounds_of_all_variants_count_together_against_the_cap() -> None:
    """Two rounds of six columns are within half of them; two of each of two variants are not."""
    two = {"rounds": 2, "beyond_cap": False}
    assert plan_of(variants=None, logistic=two).rounds == 2
    with pytest.raises(RoundsBeyondCap, match=r"4 rounds .* 6 columns"):
        plan_of(logistic=two)
    wide = {name: [f"c{place}" for place in range(40)] for name in COLUMNS}
    assert plan_of(wide, logistic={"rounds": 7, "beyond_cap": False})
    with pytest.raises(RoundsBeyondCap, match=r"16 rounds .* 15"):
        plan_of(wide, logistic={"rounds": 8, "beyond_cap": False})


# --- masks of variants ------------------------------------------------------------------------------------------------


def left_over(plan: TrainingPlan, tables: Tables) -> tuple[int, int]:
    """What masks leave of the bank when words of three variants are combined: in the first round, in the end.

    With all less with each of the others: if a pair had one mask in two variants, nothing of it would be left.
    """
    _, seen = attacked(plan, honest, tables)
    first = {holders: plan.rounds * place + 1 for place, holders in enumerate(plan.refined)}
    full, pairs = plan.holders, [("bank", "platform"), ("bank", "shop")]
    words = {one: seen[f"shares:{first[one]}", "bank", "broker"]["shares"] for one in (full, *pairs)}
    ended = seen["scores", "bank", "broker"]
    test = plan.test_mask(tables["broker"].tokens)
    combined = (words[full] - words[pairs[0]] - words[pairs[1]], ended["full"][test] - ended["middle"].sum(axis=0))
    found = [int(np.median(np.abs(signed(one)))) for one in combined]
    return found[0], found[1]


def test_no_two_variants_of_a_pair_have_one_mask() -> None:
    tables, columns = four_parties()
    plan = plan_of(columns, "coalitions")
    assert min(left_over(plan, tables)) > 1 << 56


def test_with_one_mask_for_all_variants_a_holders_shares_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, columns = four_parties()
    monkeypatch.setattr(scores, "of_round", lambda heard, number: bytes(32))
    assert left_over(plan_of(columns, "coalitions"), tables)[0] < scores.units_max(-4)


def test_every_set_of_three_holders_is_refined_to_the_same_sums() -> None:
    """Masks of a middle variant leave the sum of its holders' shares, in every round and in the end."""
    tables, columns = four_parties()
    plan = plan_of(columns, "coalitions")
    parties = pump(plan, tables)
    result = label_result(parties)
    assert [one.model for one in result.variants] == ["logistic"] * 8
    broker, pair = parties["broker"], ("bank", "shop")
    assert isinstance(broker, LabelHolder)
    test, step = plan.test_mask(tables["broker"].tokens), 2.0**plan.score_step_log2
    shares = []
    for name in pair:
        session = parties[name]
        (track,) = [one for one in session._tracks if one.holders == pair]
        shares.append(np.rint(session._prepared.scaled[test] @ track.weights / step))
    assert (broker.shares["bank+shop"] == sum(shares)).all()
