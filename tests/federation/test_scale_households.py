"""Wide amounts of real households in units of their own median, beside regression on amounts as they are."""

import json

import numpy as np
import pytest

from federation import metrics
from federation.models import logistic, moments
from federation.plan import TrainingPlan
from federation.scale import BY_MEDIAN, BY_ONE
from tests.federation.alliance import Tables, body, households, prepared
from tests.support.shared_data import data_folder

SPLITS = 20


def gap(tables: Tables, columns: dict[str, list[str]], number: int, coding: int) -> float:
    """AUC on the test clients of one split: the scorecard on pooled model values less regression on pooled columns."""
    plan = TrainingPlan.from_body(body(columns, split_salt=f"{number:032x}", coding=coding))
    label, train = np.asarray(tables["broker"].label) == 1, ~plan.test_mask(tables["broker"].tokens)
    values = np.hstack([one.scaled for one in prepared(plan, tables).values()])
    owners = ("all",) * values.shape[1]
    weights = moments.solve(moments.from_data(values[train], label[train], owners), {"all"}, 1.0).weights
    raw = np.column_stack([tables[partner].columns[name] for partner, names in columns.items() for name in names])
    raw = (raw - raw[train].mean(axis=0)) / raw[train].std(axis=0)
    fitted = logistic.fit(raw[train], label[train], 1.0)
    return metrics.auc(label[~train], (values @ weights)[~train]) - metrics.auc(
        label[~train], fitted.scores(raw[~train])
    )


@pytest.mark.parametrize("label", ["y_direct", "y_direct100k"])
@pytest.mark.parametrize("thin", [True, False], ids=["thin", "questionnaire"])
def test_the_scorecard_is_not_below_regression_on_raw_amounts(label: str, thin: bool) -> None:
    folder = data_folder("scf2022")
    tables, columns = households(folder, label)
    if thin:
        columns = columns | {"broker": json.loads((folder / "parties.json").read_text())["broker_thin"]}
    found = {
        coding: float(np.mean([gap(tables, columns, number, coding) for number in range(SPLITS)]))
        for coding in (BY_ONE, BY_MEDIAN)
    }
    assert found[BY_MEDIAN] >= -0.002
    assert found[BY_MEDIAN] >= found[BY_ONE] + 0.005
