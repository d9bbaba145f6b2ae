"""Joint trees beside LightGBM on pooled rows of real households: equal depth, rounds and rate, means over splits."""

import json
import warnings
from typing import Any

import numpy as np
import pytest

from federation import metrics
from federation.plan import TrainingPlan
from tests.federation.alliance import Tables, households, pump
from tests.federation.test_vertical_trees import tree_body
from tests.support.shared_data import data_folder

SPLITS = 5
GAP_MAX = 0.005
OPTIONS = {"trees": 20, "depth": 4, "rate_milli": 100}


def pooled(plan: TrainingPlan, tables: Tables) -> np.ndarray:
    """LightGBM's scores of all rows, fitted on the train rows of all parties' columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks its scipy for names that are going
        import lightgbm
    assert plan.trees is not None
    columns = np.column_stack([tables[p.partner].columns[name] for p in plan.parties for name in p.columns])
    label, train = tables[plan.label_holder].label, ~plan.test_mask(tables[plan.label_holder].tokens)
    settings = {
        "objective": "binary", "max_depth": plan.trees.depth, "num_leaves": 1 << plan.trees.depth,
        "learning_rate": plan.trees.rate_milli / 1000, "min_data_in_leaf": plan.trees.leaf_rows,
        "num_threads": 1, "verbose": -1,
    }  # fmt: skip
    model = lightgbm.train(settings, lightgbm.Dataset(columns[train], np.asarray(label)[train]), plan.trees.trees)
    return np.asarray(model.predict(columns, raw_score=True))


@pytest.mark.real_data
@pytest.mark.slow_flow
@pytest.mark.parametrize("thin", [False, True], ids=["all broker columns", "thin broker columns"])
def test_joint_trees_are_as_good_as_pooled_ones(thin: bool) -> None:
    folder = data_folder("scf2022")
    tables, columns = households(folder)
    if thin:
        columns["broker"] = json.loads((folder / "parties.json").read_text())["broker_thin"]
    gaps, uplifts = [], []
    for split in range(SPLITS):
        changes: dict[str, Any] = {"bins": 32, "bootstrap": 100, "split_salt": bytes([split] * 16).hex()}
        plan = TrainingPlan.from_body(tree_body(columns, trees=OPTIONS, **changes))
        result = pump(plan, tables)["broker"].result()
        test, label = result.matrix.test, np.asarray(tables["broker"].label) == 1  # type: ignore[union-attr]
        peer = metrics.auc(label[test], pooled(plan, tables)[test])
        alone, joint = (variant.measures.auc.value_ppm / 1e6 for variant in result.variants)  # type: ignore[union-attr]
        gaps.append(joint - peer)
        uplifts.append(joint - alone)
    assert np.mean(gaps) >= -GAP_MAX
    assert np.mean(uplifts) > 0.02
