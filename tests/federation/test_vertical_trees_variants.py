"""Trees with each partner alone beside those with all: the same session, the same rules, nothing uncounted."""

from typing import Any

import pytest

from federation.errors import PlanInvalid, ScoreBudgetExceeded, SumsTellRows
from federation.plan import TrainingPlan
from federation.vertical import Role, TreeHolder, TreeLabelHolder, open_session
from federation.vertical.trees import party
from tests.federation.alliance import Tables, pump, synthetic
from tests.federation.test_vertical_trees import label_result, tree_body, with_gaps
from tests.federation.trees_reference import Pooled
from tests.support.entropy import SeededEntropy

ALL = ("bank", "platform")
OPTIONS: dict[str, Any] = {"trees": 4, "depth": 3, "variants": "partners", "columns_ppm": 800_000}


@pytest.fixture(scope="module")
def ran() -> tuple[TrainingPlan, Tables, dict[str, Role]]:
    tables, columns = synthetic()
    tables = with_gaps(tables)
    plan = TrainingPlan.from_body(tree_body(columns, trees=OPTIONS, bootstrap=100))
    return plan, tables, pump(plan, tables)


def test_every_variant_is_that_of_pooled_rows(ran: tuple[TrainingPlan, Tables, dict[str, Role]]) -> None:
    plan, tables, parties = ran
    session, pooled = parties["broker"], Pooled(plan, tables)
    assert isinstance(session, TreeLabelHolder)
    assert session._ensembles == (ALL, ("platform",), ("bank",))
    for holders, made in zip(session._ensembles, session._grown, strict=True):
        expected = pooled.fit(holders)
        assert {0, *(session._line.index(one) for one in holders)} == {cut[2] for cut in expected.cuts}
        assert (made.growth.kept_margin == expected.margin).all(), holders
    assert pooled.before[0], "what was shown before bounds what is shown, or little is compared"
    assert (session._totals()[0] == pooled.fit(()).margin).all()


def test_the_record_has_every_partner_added(ran: tuple[TrainingPlan, Tables, dict[str, Role]]) -> None:
    variants = label_result(ran[2]).variants
    assert [one.holders for one in variants] == [(), ("bank",), ("platform",), ALL]
    assert [one.columns for one in variants] == [6, 12, 12, 18]
    assert all(one.measures.auc_uplift is not None for one in variants[1:])
    assert variants[1].measures.auc.value_ppm != variants[2].measures.auc.value_ppm


def test_variants_take_nothing_away_from_the_model(ran: tuple[TrainingPlan, Tables, dict[str, Role]]) -> None:
    """Grown first, the full model is the one of a plan without variants, but for the run's name."""
    _, tables, parties = ran
    body = tree_body(synthetic()[1], trees={**OPTIONS, "variants": "full"}, bootstrap=100)
    alone = label_result(pump(TrainingPlan.from_body(body), tables))
    assert (alone.matrix.scores == label_result(parties).matrix.scores).all()
    assert alone.weights_digests == label_result(parties).weights_digests


def test_every_tree_of_every_variant_is_counted_alike_on_both_sides(
    ran: tuple[TrainingPlan, Tables, dict[str, Role]],
) -> None:
    plan, _, parties = ran
    result = label_result(parties)
    for holder in plan.holders:
        session = parties[holder]
        assert isinstance(session, TreeHolder)
        own = session.result()
        assert own.disclosed == tuple(one for one in result.disclosed if one.holder == holder)
        assert {one.variant for one in own.disclosed} == {ALL, (holder,)}
        assert own.spent == len(own.disclosed) <= plan.score_vectors(holder) == 8
        assert max(one.round for one in own.disclosed) <= 4


@pytest.mark.slow_flow
def test_a_restart_after_any_message_changes_nothing(ran: tuple[TrainingPlan, Tables, dict[str, Role]]) -> None:
    plan, tables, parties = ran
    again = pump(plan, tables, restart=True)
    assert label_result(again).record() == label_result(parties).record()
    for holder in plan.holders:
        assert again[holder].result().record() == parties[holder].result().record()


def test_sums_and_score_vectors_of_all_variants_count_together() -> None:
    tables, columns = synthetic(900)
    sixteen = {"trees": 16, "depth": 3}  # 64 vectors of the full model: 512 train rows
    open_session(TrainingPlan.from_body(tree_body(columns, trees=sixteen)), "bank", tables["bank"], SeededEntropy(b"x"))
    doubled = TrainingPlan.from_body(tree_body(columns, trees={**sixteen, "variants": "partners"}))
    for partner in ("broker", "bank"):
        with pytest.raises(SumsTellRows, match="1024 are needed"):
            open_session(doubled, partner, tables[partner], SeededEntropy(b"x"))
    plan = TrainingPlan.from_body(tree_body(columns, trees=OPTIONS, score_budget=9))
    assert party.vectors_of(plan, "bank") == 32
    open_session(plan, "bank", tables["bank"], SeededEntropy(b"x"), spent_before=1)
    with pytest.raises(ScoreBudgetExceeded):
        open_session(plan, "bank", tables["bank"], SeededEntropy(b"x"), spent_before=2)


@pytest.mark.parametrize(
    ("choice", "count"), [("full", 2), ("partners", 5), ("coalitions", 8)], ids=["full", "partners", "coalitions"]
)
def test_a_plan_names_its_variants(choice: str, count: int) -> None:
    columns = {"broker": ["age"], "bank": ["a"], "platform": ["b"], "shop": ["c"]}
    plan = TrainingPlan.from_body(tree_body(columns, trees={"variants": choice}))
    variants = plan.variants()
    assert len(variants) == count and variants[0] == () and variants[-1] == plan.holders
    assert plan.score_vectors("shop") == 5 * {"full": 1, "partners": 2, "coalitions": 4}[choice]


def test_a_plan_without_the_word_has_the_full_model_alone() -> None:
    assert len(TrainingPlan.from_body(tree_body(synthetic(300)[1])).variants()) == 2


@pytest.mark.parametrize("value", ["every", 2, True, None], ids=["unknown", "a number", "a truth value", "nothing"])
def test_variants_of_another_name_are_refused(value: object) -> None:
    with pytest.raises(PlanInvalid, match=r"trees\.variants"):
        TrainingPlan.from_body(tree_body(synthetic(300)[1], trees={"variants": value}))


def test_variants_of_more_than_five_holders_are_refused() -> None:
    columns = {"broker": ["age"], **{f"holder-{number}": ["amount"] for number in range(6)}}
    TrainingPlan.from_body(tree_body(columns))
    for choice in ("partners", "coalitions"):
        with pytest.raises(PlanInvalid, match="variants"):
            TrainingPlan.from_body(tree_body(columns, trees={"variants": choice}))
