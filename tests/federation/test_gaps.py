"""The label holder's record of a run whose plan names groups: measured on held-out rows, and nothing else changes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation import fairness
from federation.errors import ColumnMissing, PlanInvalid
from federation.fairness import SELECTION
from federation.plan import TrainingPlan
from federation.vertical import LabelResult
from tests.federation import alliance

LIMITS = {"groups": ["region"], "selection_gap_ppm": 1_000_000, "true_positive_gap_ppm": 1_000_000, "group_rows": 50}


def run(tables: alliance.Tables, columns: Any, **changes: Any) -> LabelResult:
    plan = TrainingPlan.from_body(alliance.body(columns, **changes))
    result = alliance.pump(plan, tables)["broker"].result()
    assert isinstance(result, LabelResult)
    return result


def with_regions(tables: alliance.Tables) -> alliance.Tables:
    """Half of the clients north; a few hold a value of their own."""
    count = len(tables["broker"].tokens)
    values = np.where(np.arange(count) % 2 == 0, "north", "south")
    values[:30] = "island"
    return {**tables, "broker": replace(tables["broker"], groups={"region": values})}


@pytest.fixture(scope="module")
def measured() -> tuple[alliance.Tables, LabelResult, LabelResult]:
    tables, columns = alliance.synthetic(rows=1_500)
    grouped = with_regions(tables)
    return grouped, run(grouped, columns, fairness=LIMITS), run(tables, columns)


def test_the_record_shows_gaps_of_the_full_scorecard_on_held_out_rows(measured: Any) -> None:
    tables, result, _ = measured
    record: Any = result.record()["fairness"]
    (attribute,) = record["attributes"]
    assert sum(group["rows"] for group in attribute["groups"]) == result.test_rows
    test = result.matrix.test
    held = fairness.Held(
        label=tables["broker"].label[test] == 1,
        score=result.matrix.scores[test],
        chance=result.matrix.chances[test],
        weights=np.ones(int(test.sum())),
    )
    plan = TrainingPlan.from_body(alliance.body({"broker": ["a"], "bank": ["b"]}, fairness=LIMITS))
    assert plan.fairness is not None
    (again,) = fairness.measure({"region": tables["broker"].groups["region"][test]}, held, plan.fairness, 10, b"")
    assert attribute["gaps"][SELECTION]["value_ppm"] == again.gaps[SELECTION].value_ppm
    assert fairness.read(record, plan.fairness)[0].groups == again.groups


def test_a_value_that_few_held_out_clients_have_is_not_in_the_record(measured: Any) -> None:
    _, result, _ = measured
    assert "island" not in str(result.record())


def test_groups_change_nothing_of_the_model(measured: Any) -> None:
    _, grouped, plain = measured
    assert plain.record()["fairness"] is None
    assert np.array_equal(grouped.matrix.scores, plain.matrix.scores)


def test_a_run_whose_group_column_was_not_read_does_not_begin() -> None:
    tables, columns = alliance.synthetic(rows=900)
    with pytest.raises(ColumnMissing, match="region"):
        run(tables, columns, fairness=LIMITS)


BAD = {
    "no groups": {"groups": []},
    "a group that is a feature": {"groups": ["score"]},
    "the label itself": {"groups": ["label"]},
    "the identifier": {"groups": ["client_id"]},
    "a limit above one": {"selection_gap_ppm": 1_000_001},
    "a limit below zero": {"true_positive_gap_ppm": -1},
    "a limit that is text": {"selection_gap_ppm": "10"},
    "a calibration limit above one": {"calibration_gap_ppm": 1_000_001},
    "no number as calibration limit": {"calibration_gap_ppm": None},
    "too few rows": {"group_rows": 19},
    "a field nobody knows": {"odds": 1},
    "a group named twice": {"groups": ["region", "region"]},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_bad_limits_are_refused(change: dict[str, Any]) -> None:
    _, columns = alliance.synthetic(rows=300)
    with pytest.raises(PlanInvalid):
        TrainingPlan.from_body(alliance.body(columns, fairness={**LIMITS, **change}))
