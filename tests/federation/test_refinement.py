"""Refinement by logistic rounds end to end: equal to the same rounds on pooled rows, whatever restarts, and counted."""

from typing import Any

import numpy as np
import pytest

from federation import features, metrics
from federation.errors import HiddenAlignmentRefused, PlanInvalid, RoundsBeyondCap, ScoreBudgetExceeded
from federation.models import logistic, refine
from federation.plan import TrainingPlan
from federation.vertical import FeatureHolder, LabelHolder, LabelResult
from tests.federation.alliance import Node, Tables, body, households, pump, sessions, synthetic
from tests.federation.refined import pooled
from tests.support.shared_data import data_folder

Parties = dict[str, LabelHolder | FeatureHolder]
TABLES, COLUMNS = synthetic()


def plan_of(
    columns: dict[str, list[str]] = COLUMNS, rounds: int = 3, plateau_ppm: int = 0, **changes: Any
) -> TrainingPlan:
    options = {"rounds": rounds, "plateau_ppm": plateau_ppm}
    return TrainingPlan.from_body(body(columns, **{"model": "logistic", "logistic": options, **changes}))


PLAN = plan_of()


@pytest.fixture(scope="module")
def run() -> Parties:
    return pump(PLAN, TABLES)


def label_result(parties: Parties) -> LabelResult:
    result = parties["broker"].result()
    assert isinstance(result, LabelResult)
    return result


def weights_of(parties: Parties) -> list[np.ndarray]:
    """The intercept and the label holder's weights, then each holder's, as `pooled` orders them."""
    part = label_result(parties).part
    others = [name for name in parties if name != "broker"]
    return [np.append(part.intercept, part.weights), *(parties[name].result().part.weights for name in others)]


def in_one_place(plan: TrainingPlan, tables: Tables, **changes: Any) -> tuple[list[np.ndarray], list[float], str]:
    """The same rounds on pooled rows, with the protocol's rounding."""
    train = ~plan.test_mask(tables["broker"].tokens)
    parts = [
        features.prepare(tables[name].columns, plan.party(name).columns, train, plan.rare_rows).scaled[train]
        for name in (plan.label_holder, *plan.holders)
    ]
    assert plan.logistic is not None and tables["broker"].label is not None
    options = {"rounds": plan.rounds, "plateau_ppm": plan.logistic.plateau_ppm, "step": 2.0**plan.score_step_log2}
    return pooled(parts, tables["broker"].label[train] == 1, **options | changes)


def test_it_equals_the_same_rounds_on_pooled_rows(run: Parties) -> None:
    weights, losses, why = in_one_place(PLAN, TABLES)
    for found, expected in zip(weights_of(run), weights, strict=True):
        assert found == pytest.approx(expected, abs=1e-9)
    refinement = label_result(run).refinement
    assert refinement is not None
    assert (refinement.ended, refinement.kept, refinement.divided) == (why, refine.best(losses), False)
    assert refinement.losses_ppm == tuple(round(loss * 1e6) for loss in losses)


def test_every_message_may_be_followed_by_a_restart(run: Parties) -> None:
    """Killed and restored after every message, with other randomness from there on: the same result, bit for bit."""
    again = pump(PLAN, TABLES, restart=True)
    for name in PLAN.partners:
        assert again[name].result().record() == run[name].result().record()
        assert (again[name].result().part.weights == run[name].result().part.weights).all()
    assert (label_result(again).matrix.scores == label_result(run).matrix.scores).all()


def test_every_figure_says_which_model_it_is_of(run: Parties) -> None:
    """The baseline is fitted on its own columns, or the rounds' gain would pass for the partners'."""
    result = label_result(run)
    assert [(one.holders, one.model) for one in result.variants] == [
        ((), "logistic"),
        (("bank",), "moments"),
        (("platform",), "moments"),
        (("bank", "platform"), "logistic"),
    ]
    test = PLAN.test_mask(TABLES["broker"].tokens)
    own = features.prepare(TABLES["broker"].columns, PLAN.party("broker").columns, ~test, PLAN.rare_rows).scaled
    assert TABLES["broker"].label is not None
    label = TABLES["broker"].label == 1
    alone = metrics.auc(label[test], logistic.fit(own[~test], label[~test], 1.0).scores(own[test]))
    assert result.variants[0].measures.auc.value_ppm == round(alone * 1e6)


def test_every_round_is_a_score_vector_that_both_sides_count(run: Parties) -> None:
    result, test = label_result(run), int(PLAN.test_mask(TABLES["broker"].tokens).sum())
    for name in PLAN.holders:
        own = run[name].result()
        assert own.disclosed == tuple(one for one in result.disclosed if one.holder == name)
        assert [(one.round, one.rows, one.masked) for one in own.disclosed] == [
            *((number, 2000 - test, True) for number in (1, 2, 3)),
            (0, test, False),
            (0, 2000, True),
        ]
        assert own.spent == 5 == PLAN.score_vectors(name)
        assert result.weights_digests[name] == own.weights_digest


def test_a_plateau_ends_the_rounds_and_what_was_not_shown_is_not_spent() -> None:
    plan = plan_of(plateau_ppm=100_000)
    parties = pump(plan, TABLES, restart=True)
    refinement = label_result(parties).refinement
    assert refinement is not None and (refinement.ended, len(refinement.losses_ppm)) == (refine.PLATEAU, 2)
    assert [parties[name].result().spent for name in plan.holders] == [4, 4]
    assert all(party.done for party in parties.values())


def test_the_round_with_the_least_loss_is_the_model() -> None:
    """Two holders with nearly the same columns: undivided steps overshoot, and are divided."""
    rows, draw = 2000, np.random.default_rng(4)
    cause = draw.normal(size=rows)
    tables, columns = synthetic(rows)
    names = ["a", "b", "c", "d", "e", "f"]
    for partner in columns:
        mixed = {name: cause + 0.05 * draw.normal(size=rows) for name in names}
        tables[partner] = type(tables[partner])(
            tokens=tables[partner].tokens,
            columns=mixed,
            label=(draw.random(rows) < 0.5 + 0.3 * np.tanh(cause)).astype(int) if partner == "broker" else None,
        )
    plan = plan_of(dict.fromkeys(columns, names))
    weights, losses, _ = in_one_place(plan, tables)
    parties = pump(plan, tables)
    refinement = label_result(parties).refinement
    assert refinement is not None and refinement.divided and losses[1] > losses[0]
    assert refinement.kept == refine.best(losses) != 2
    for found, expected in zip(weights_of(parties), weights, strict=True):
        assert found == pytest.approx(expected, abs=1e-9)


def test_one_holder_alone_is_not_masked() -> None:
    plan = plan_of({name: COLUMNS[name] for name in ("broker", "bank")})
    result = label_result(pump(plan, TABLES))
    assert [one.masked for one in result.disclosed] == [False] * 4
    assert [one.model for one in result.variants] == ["logistic", "logistic"]


def test_folds_change_nothing_but_the_penalty() -> None:
    """The residual goes over the folds; the penalty that they chose is every party's in the rounds."""
    plan = plan_of(validation={"folds": 3, "ridge_path_milli": [100, 40_000]}, minimum_rows=400)
    parties = pump(plan, TABLES)
    chosen = parties["bank"].ridge_milli
    assert chosen == parties["broker"].ridge_milli in (100, 1000, 40_000)
    first, *rest = (parties[name].points[0] for name in ("broker", "bank", "platform"))  # small cells of folds differ
    start = [np.append(first[-1], first[:-1]), *rest]
    weights, _, _ = in_one_place(plan, TABLES, ridge=chosen / 1000, start=start)
    for found, expected in zip(weights_of(parties), weights, strict=True):
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.real_data
def test_six_rounds_on_real_households_through_flower() -> None:
    from tests.federation.test_apps import run_locally

    tables, columns = households(data_folder("scf2022"))
    plan = plan_of(columns, rounds=6, plateau_ppm=1000, score_step_log2=-5)
    nodes = {partner: Node(plan, partner, tables[partner]) for partner in plan.partners}
    finished, progress = run_locally(plan, nodes)
    result = label_result({name: node.session for name, node in nodes.items()})
    weights, losses, _ = in_one_place(plan, tables)
    assert result.refinement is not None and len(result.refinement.losses_ppm) == len(losses)
    for found, expected in zip(weights_of({n: node.session for n, node in nodes.items()}), weights, strict=True):
        assert found == pytest.approx(expected, abs=0.01)  # the rounds began where some small cells were not shown
    assert result.variants[-1].measures.auc_uplift is not None
    assert result.variants[-1].measures.auc_uplift.low_ppm > 0
    assert finished["broker"] == result.record()
    assert progress[-1].phases == dict.fromkeys(plan.partners, "done")


# --- rule a: rounds and budget ---------------------------------------------------------------------------------------


def test_more_rounds_than_half_of_a_holders_columns_need_its_explicit_word() -> None:
    with pytest.raises(RoundsBeyondCap, match="4 rounds of scores over 6 columns of bank"):
        plan_of(rounds=4)
    lifted = plan_of(logistic={"rounds": 4, "plateau_ppm": 0, "beyond_cap": True})
    assert lifted.rounds == 4 and lifted.score_vectors("bank") == 6
    for options in ({"rounds": 16, "plateau_ppm": 0, "beyond_cap": True}, {"rounds": 1, "plateau_ppm": 0}):
        with pytest.raises(PlanInvalid, match="rounds"):
            plan_of(logistic=options)


def test_the_cap_counts_the_columns_that_are_left() -> None:
    """A plan of six columns, one of which is constant: three rounds over five are too many."""
    bank = dict(TABLES["bank"].columns) | {"level": np.zeros(2000)}
    tables = TABLES | {"bank": type(TABLES["bank"])(tokens=TABLES["bank"].tokens, columns=bank)}
    with pytest.raises(RoundsBeyondCap, match="over 5 columns of bank"):
        sessions(PLAN, tables)
    assert sessions(plan_of(rounds=2), tables)["bank"].start()


@pytest.mark.parametrize("spent", [96, 100])
def test_all_rounds_are_within_the_budget_before_anything_is_sent(spent: int) -> None:
    with pytest.raises(ScoreBudgetExceeded, match="discloses 5 score vectors"):
        sessions(PLAN, TABLES, bank=spent)
    assert sessions(PLAN, TABLES, bank=95)["bank"].start()


@pytest.mark.parametrize("mode", ["hidden", "count", "union"])
def test_a_hidden_alignment_feeds_no_rounds(mode: str) -> None:
    """Rule g: rows that are zero because nobody knows whether they are shared would show as constant scores."""
    with pytest.raises(HiddenAlignmentRefused):
        plan_of(alignment_mode=mode)
