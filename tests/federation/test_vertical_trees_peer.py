"""Joint trees beside LightGBM on pooled rows of real households: equal depth, rounds and rate, means over splits."""

import json
from typing import Any

import numpy as np
import pytest

from federation import metrics
from federation.plan import TrainingPlan
from tests.federation.alliance import households, pump
from tests.federation.test_vertical_trees import tree_body
from tests.federation.trees_peer import pooled
from tests.support.shared_data import data_folder

SPLITS = 5
GAP_MAX = 0.005
OPTIONS = {"trees": 20, "depth": 4, "rate_milli": 100}


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
