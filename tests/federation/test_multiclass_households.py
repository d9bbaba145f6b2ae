"""Risk appetite of real households as three one-vs-rest runs, beside multinomial regression on pooled rows.

The class is derived: "high" who would take substantial financial risk, "low" who would take none, "mid" all others; the
two columns it comes from are no features.
"""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federation import features, multiclass
from federation.bands import Minimum
from federation.multiclass import Figures
from federation.plan import TrainingPlan
from tests.federation.alliance import Tables, body, households, prepared, pump
from tests.federation.test_vertical import label_result
from tests.support.shared_data import data_folder

CLASSES = ("low", "mid", "high")
SOURCES = ("YESFINRISK", "NOFINRISK")
SPLITS = 4
AUC_GAP_MAX = 0.02  # of the mean over the splits


def appetite(tables: Tables) -> np.ndarray:
    willing, unwilling = (tables["broker"].columns[name] == 1 for name in SOURCES)
    return np.where(willing, 2, np.where(unwilling, 0, 1))


def joint(plans: list[TrainingPlan], tables: Tables, truth: np.ndarray) -> Figures:
    """The runs of all classes, joined and measured as the label holder's node does."""
    chances = []
    for plan in plans:
        assert plan.positive is not None
        texts, parts = [CLASSES[place] for place in truth], plan.parts(tables["broker"].tokens)
        label = features.one_against_the_rest(texts, "appetite", plan.positive, parts, plan.rare_rows)
        own = {**tables, "broker": replace(tables["broker"], label=label)}
        chances.append(label_result(pump(plan, own)).matrix.chances)
    return measured(np.array(chances).T, plans[0], tables, truth)


def peer(plan: TrainingPlan, tables: Tables, truth: np.ndarray) -> Figures:
    """Multinomial ridge regression on the pooled rows."""
    values = np.hstack([part.scaled for part in prepared(plan, tables).values()])
    train = ~plan.test_mask(tables["broker"].tokens)
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit(values[train], truth[train])
    return measured(fitted.predict_proba(values), plan, tables, truth)


def measured(chances: np.ndarray, plan: TrainingPlan, tables: Tables, truth: np.ndarray) -> Figures:
    test = plan.test_mask(tables["broker"].tokens)
    rule = Minimum(rows=50, of_each_class=5)
    return multiclass.measure(multiclass.join(chances[test]), truth[test], rule, 100, b"households")


@pytest.mark.slow_flow  # twelve whole runs
@pytest.mark.real_data
def test_joined_classes_rank_as_well_as_multinomial_regression_on_pooled_rows() -> None:
    tables, columns = households(data_folder("scf2022"))
    truth = appetite(tables)
    columns["broker"] = [name for name in columns["broker"] if name not in SOURCES]
    label = {"partner": "broker", "asset": "clients", "column": "appetite"}
    gaps = []
    for split in range(SPLITS):
        shared = {"split_salt": f"{split:02x}" * 16, "score_step_log2": -5}
        plans = [TrainingPlan.from_body(body(columns, label={**label, "positive": name}, **shared)) for name in CLASSES]
        ours, theirs = joint(plans, tables, truth), peer(plans[0], tables, truth)
        assert ours.joint.log_loss.value_ppm < ours.base_log_loss_ppm, "or chances say no more than the classes' shares"
        gaps.append((ours.joint.macro_auc.value_ppm - theirs.joint.macro_auc.value_ppm) / 1e6)
    assert np.mean(gaps) > -AUC_GAP_MAX, gaps
