"""LightGBM on the pooled rows of all parties: the usual peer of joint trees."""

import warnings

import numpy as np

from federation.plan import TrainingPlan
from tests.federation.alliance import Tables


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
