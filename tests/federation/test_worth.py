"""Contribution and importance of a run: the label holder computes from protected moments what pooled rows give."""

import numpy as np
import pytest

from federation import contribution, explain, features
from federation.contribution import Contribution
from federation.errors import PlanInvalid
from federation.models import moments
from federation.plan import TrainingPlan
from federation.vertical import LabelResult
from tests.federation.alliance import body, households, prepared, pump, synthetic
from tests.federation.test_contribution import measured
from tests.federation.test_vertical import label_result
from tests.support.shared_data import data_folder


@pytest.fixture(scope="module")
def ran() -> tuple[TrainingPlan, LabelResult]:
    tables, columns = synthetic()
    plan = TrainingPlan.from_body(body(columns, contribution=True))
    return plan, label_result(pump(plan, tables, restart=True))


def test_the_contribution_is_that_of_pooled_rows(ran: tuple[TrainingPlan, LabelResult]) -> None:
    """But for small cells that the holders did not show exactly."""
    plan, result = ran
    assert result.contribution is not None
    expected = measured(synthetic()[0], plan, 1)
    (ours,), (theirs,) = result.contribution.parts, expected.parts
    assert (ours.name, ours.rows) == (theirs.name, theirs.rows) == ("held", result.test_rows)
    for coalition, error in theirs.errors_ppm.items():
        assert ours.errors_ppm[coalition] == pytest.approx(error, abs=300), coalition
    assert ours.errors_ppm[()] == theirs.errors_ppm[()]  # the label holder's own moments are exact
    assert result.contribution.key.hex() == plan.digest


def test_without_the_plans_word_no_test_row_enters_a_moment() -> None:
    tables, columns = synthetic()
    plan = TrainingPlan.from_body(body(columns))
    assert "held" not in plan.parts(tables["broker"].tokens)
    assert label_result(pump(plan, tables)).contribution is None


def test_importance_is_that_of_pooled_rows(ran: tuple[TrainingPlan, LabelResult]) -> None:
    plan, result = ran
    tables, _ = synthetic()
    parts = prepared(plan, tables)
    train = ~plan.test_mask(tables["broker"].tokens)
    values = np.hstack([part.scaled for part in parts.values()])[train]
    owners = tuple(partner for partner, part in parts.items() for _ in part.names)
    assert tables["broker"].label is not None
    whole = moments.from_data(values, tables["broker"].label[train] == 1, owners)
    expected = explain.importance(
        whole, moments.solve(whole, plan.partners, plan.ridge_milli / 1000), parts["broker"].names, "broker"
    )
    assert set(result.importance.own) == set(parts["broker"].names)
    assert set(result.importance.parties) == set(plan.partners)
    for name, share in expected.parties.items():
        assert result.importance.parties[name] == pytest.approx(share, abs=3_000), name
    for name, share in expected.own.items():
        assert result.importance.own[name] == pytest.approx(share, abs=3_000), name


@pytest.mark.parametrize("value", [1, "yes", None], ids=["a number", "text", "nothing"])
def test_contribution_is_asked_for_by_true(value: object) -> None:
    with pytest.raises(PlanInvalid, match="contribution"):
        TrainingPlan.from_body(body(synthetic(300)[1], contribution=value))


def test_the_contribution_of_more_than_five_holders_is_refused() -> None:
    columns = {"broker": ["age"], **{f"holder-{number}": ["amount"] for number in range(6)}}
    TrainingPlan.from_body(body(columns))
    with pytest.raises(PlanInvalid, match="contribution"):
        TrainingPlan.from_body(body(columns, contribution=True))


@pytest.mark.real_data
@pytest.mark.parametrize("label", ["y_direct", "y_direct100k"])
def test_real_households_through_the_protocol(label: str) -> None:
    """Every client held out once: both partners add, and by nearly the weights that pooled rows give."""
    tables, columns = households(data_folder("scf2022"), label)
    plan = TrainingPlan.from_body(body(columns, contribution=True, validation={"folds": 4}))
    made = label_result(pump(plan, tables)).contribution
    assert made is not None
    assert made.rows == len(tables["broker"].tokens)
    rows = plan.parts(tables["broker"].tokens)
    line, test = (plan.label_holder, *plan.holders), plan.test_mask(tables["broker"].tokens)
    ready = {p: features.prepare(tables[p].columns, plan.party(p).columns, ~test, plan.rare_rows, rows) for p in line}
    values = np.hstack([ready[p].scaled for p in line])
    owners = tuple(p for p in line for _ in ready[p].names)
    assert tables["broker"].label is not None
    found = {name: moments.from_data(values[r], tables["broker"].label[r] == 1, owners) for name, r in rows.items()}
    parts = contribution.measure(
        [found[name] for name in plan.train_parts], found["held"], "broker", plan.holders, plan.ridge_milli / 1000
    )
    expected = Contribution(label_holder="broker", holders=plan.holders, parts=parts, key=made.key)
    assert made.weights_ppm is not None and expected.weights_ppm is not None
    for name, weight in expected.weights_ppm.items():
        assert made.weights_ppm[name] == pytest.approx(weight, abs=5_000)  # small cells are not shown exactly
        assert 3_000 < made.shapley[name] < 30_000  # of an error near 150,000
