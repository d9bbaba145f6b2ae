"""Contribution to trees: of every coalition's own trees, on the test clients, as pooled rows give it."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from federation import calibration, contribution, metrics
from federation import contribution_words as words
from federation.errors import ContributionInvalid, PlanInvalid
from federation.plan import HELD, TrainingPlan
from federation.plan_variants import coalitions
from federation.vertical import LabelResult, receipt
from federation.vertical.trees.boosting import Boosting
from tests.federation.alliance import Tables, pump, synthetic
from tests.federation.test_vertical_trees import label_result, tree_body
from tests.federation.trees_reference import Pooled

OPTIONS: dict[str, Any] = {"trees": 4, "depth": 3, "variants": "partners"}
TIME = "2026-11-22T00:00:00Z"


def noisy(tables: Tables, partner: str) -> Tables:
    """The same tables, of which one party's columns say nothing of anybody."""
    draw, table = np.random.default_rng(9), tables[partner]
    mixed = {name: np.asarray(values)[draw.permutation(len(values))] for name, values in table.columns.items()}
    return {**tables, partner: type(table)(tokens=table.tokens, columns=mixed)}


@pytest.fixture(scope="module")
def ran() -> tuple[TrainingPlan, Tables, LabelResult]:
    tables, columns = synthetic()
    plan = TrainingPlan.from_body(tree_body(columns, trees=OPTIONS, contribution=True, bootstrap=100))
    return plan, tables, label_result(pump(plan, tables))


def test_the_errors_are_those_of_pooled_trees_of_every_coalition(
    ran: tuple[TrainingPlan, Tables, LabelResult],
) -> None:
    plan, tables, result = ran
    made, pooled = result.contribution, Pooled(plan, tables)
    assert made is not None and made.method == contribution.BY_SCORES
    (part,) = made.parts
    test, label = plan.test_mask(tables["broker"].tokens), np.asarray(tables["broker"].label) == 1
    assert (part.name, part.rows) == (HELD, int(test.sum()))
    assert tuple(part.errors_ppm) == coalitions(plan.holders)
    watched = pooled.boosting.watched
    for one in coalitions(plan.holders)[::-1]:  # the full one first, as they are grown
        margin = pooled.fit(one).margin
        line = calibration.platt(label[watched], margin[watched])
        chance = metrics.sigmoid(line.log_odds(margin[test]))
        assert part.errors_ppm[one] == round(float(((chance - label[test]) ** 2).mean()) * 1e6), one
        (variant,) = [v for v in result.variants if v.holders == one]
        assert variant.measures.brier.value_ppm == pytest.approx(part.errors_ppm[one], abs=1)


def test_values_sum_to_the_gain_and_weights_to_a_million(ran: tuple[TrainingPlan, Tables, LabelResult]) -> None:
    plan, _, result = ran
    made = result.contribution
    assert made is not None and made.weights_ppm is not None
    errors = made.parts[0].errors_ppm
    assert sum(made.shapley.values(), Fraction(0)) == errors[()] - errors[plan.holders] > 0
    assert sum(made.weights_ppm.values()) == 1_000_000
    assert contribution.read(made.to_value(), made.key) == made


def test_a_holder_whose_columns_say_nothing_is_shown_as_such() -> None:
    tables, columns = synthetic()
    plan = TrainingPlan.from_body(tree_body(columns, trees=OPTIONS, contribution=True, bootstrap=100))
    made = label_result(pump(plan, noisy(tables, "platform"))).contribution
    assert made is not None and made.weights_ppm is not None
    assert made.shapley["platform"] < made.shapley["bank"] / 10
    assert (made.weights_ppm["platform"] == 0) == (made.shapley["platform"] <= 0)
    assert made.weights_ppm["bank"] > 900_000


def test_the_receipt_is_of_the_run_and_of_the_way_its_plan_has(ran: tuple[TrainingPlan, Tables, LabelResult]) -> None:
    plan, _, result = ran
    body = receipt.body(plan, result, TIME)
    assert body is not None
    assert receipt.check(body, plan, result.record()) == result.contribution
    assert result.contribution is not None
    by_moments = {**result.contribution.to_value(), "method": contribution.BY_MOMENTS}
    with pytest.raises(ContributionInvalid, match="another way"):
        receipt.check({**body, "contribution": by_moments}, plan)
    for change in ({"method": "by guess"}, {"weights_ppm": {"bank": 1_000_000, "platform": 0}}):
        with pytest.raises(ContributionInvalid):
            receipt.check({**body, "contribution": {**result.contribution.to_value(), **change}}, plan)


def test_people_are_told_how_it_was_measured(ran: tuple[TrainingPlan, Tables, LabelResult]) -> None:
    made = ran[2].contribution
    assert made is not None
    english, chinese = (" ".join(part) for part in zip(*words.notes(made, {"model": "trees"}), strict=True))
    assert "a model trees of its own" in english and "scorecard" not in english
    assert "trees 模型" in chinese and "评分卡" not in chinese


def test_no_test_row_enters_anything_that_a_holder_is_asked(ran: tuple[TrainingPlan, Tables, LabelResult]) -> None:
    """Measured at home by what the label holder has: the run is the one without contribution, message for message."""
    plan, tables, _ = ran
    assert HELD not in plan.parts(tables["broker"].tokens)
    assert not np.any(
        [plan.test_mask(tables["broker"].tokens) & mask for mask in plan.parts(tables["broker"].tokens).values()]
    )
    boosting = Boosting.vectors
    seen: list[np.ndarray] = []

    def vectors(self: Boosting, nodes: Any) -> Any:
        seen.append(made := boosting(self, nodes))
        return made

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Boosting, "vectors", vectors)
        pump(plan, tables)
    test = plan.test_mask(tables["broker"].tokens)
    assert seen and not any(made[:, test].any() for made in seen)


@pytest.mark.parametrize(
    ("holders", "choice", "fits"),
    [(1, "full", True), (2, "full", False), (2, "partners", True), (3, "partners", False), (3, "coalitions", True)],
    ids=["one", "two by the full model", "two with each", "three with each", "three with every set"],
)
def test_contribution_needs_a_model_of_every_set(holders: int, choice: str, fits: bool) -> None:
    columns = {"broker": ["age"], **{f"holder-{number}": ["amount"] for number in range(holders)}}
    body = tree_body(columns, trees={"variants": choice}, contribution=True)
    if fits:
        assert TrainingPlan.from_body(body).by_scores
        return
    with pytest.raises(PlanInvalid, match=r"contribution.*every set"):
        TrainingPlan.from_body(body)
