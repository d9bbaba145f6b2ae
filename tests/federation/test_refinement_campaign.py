"""The bank campaign of real phone calls, split by columns: few raw columns a holder, so that the cap on rounds bites.

The bank holds the label. Codes of text columns enter as bins. Within the default cap two rounds are allowed, by the
five columns of the market's holder; with the owners' explicit larger approval, six.
"""

import csv
import gzip
import json
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federation import metrics
from federation.errors import RoundsBeyondCap
from federation.plan import TrainingPlan
from federation.vertical import LabelResult, Table
from tests.federation.alliance import Tables, body, pump, tokens
from tests.federation.refined import pooled
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.real_data
HOLDERS = {"bank": "bank", "broker_market": "market", "platform_crm": "crm"}


@pytest.fixture(scope="module")
def campaign() -> tuple[Tables, dict[str, list[str]], dict[str, list[str]]]:
    """Tables, columns, and which of them enter as bins, by partner; the label holder first."""
    folder = data_folder("uci_bank_marketing")
    with gzip.open(folder / "bank-additional-full.csv.gz", "rt", encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text, delimiter=";"))
    layout = json.loads((folder / "parties.json").read_text())["vertical"]
    names, label = tokens(len(rows)), np.array([row["y"] == "yes" for row in rows])
    tables, columns, binned = {}, {}, {}
    for source, partner in HOLDERS.items():
        columns[partner], values = layout[source], {}
        binned[partner] = ["pdays"] if partner == "crm" else []  # 999 stands for "never called"
        for name in columns[partner]:
            cells = [row[name] for row in rows]
            try:
                values[name] = np.array(cells, np.float64)
            except ValueError:
                values[name] = np.unique(cells, return_inverse=True)[1].astype(np.float64)
                binned[partner].append(name)
        tables[partner] = Table(tokens=names, columns=values, label=label if partner == "bank" else None)
    return tables, columns, binned


def plan_of(columns: dict[str, list[str]], binned: dict[str, list[str]], **options: Any) -> TrainingPlan:
    made = body(columns, bins=16, score_step_log2=-5, model="logistic", logistic={"plateau_ppm": 0, **options})
    for party in made["parties"]:
        party["binned"] = binned[party["partner"]]
    return TrainingPlan.from_body(made)


@pytest.mark.parametrize(("rounds", "beyond"), [(2, False), (6, True)], ids=["within the cap", "by larger approval"])
def test_it_equals_the_pooled_rounds_and_stands_beside_logistic_regression(
    campaign: tuple[Tables, dict[str, list[str]], dict[str, list[str]]], rounds: int, beyond: bool
) -> None:
    tables, columns, binned = campaign
    plan = plan_of(columns, binned, rounds=rounds, beyond_cap=beyond)
    parties = pump(plan, tables)
    result = parties["bank"].result()
    assert isinstance(result, LabelResult)
    parts = [parties[name]._prepared.scaled for name in ("bank", "crm", "market")]
    test, label = plan.test_mask(tables["bank"].tokens), np.asarray(tables["bank"].label)
    kept, _, _ = pooled([part[~test] for part in parts], label[~test], rounds=rounds, plateau_ppm=0)
    exact = parts[0] @ kept[0][1:] + sum(part @ weights for part, weights in zip(parts[1:], kept[1:], strict=True))
    peer = LogisticRegression(C=1.0, max_iter=3000).fit(np.hstack(parts)[~test], label[~test])
    ours = result.variants[-1].measures.auc.value_ppm / 1e6
    assert abs(ours - metrics.auc(label[test], exact[test])) <= 0.001
    assert ours >= metrics.auc(label[test], peer.decision_function(np.hstack(parts)[test])) - (
        0.002 if beyond else 0.005
    )
    assert result.variants[-1].measures.auc_uplift is not None
    assert result.variants[-1].measures.auc_uplift.low_ppm > 100_000  # the partners' columns are most of what is known


def test_more_rounds_than_the_market_has_columns_for_need_its_approval(
    campaign: tuple[Tables, dict[str, list[str]], dict[str, list[str]]],
) -> None:
    _, columns, binned = campaign
    with pytest.raises(RoundsBeyondCap, match="3 rounds of scores over 5 columns of market"):
        plan_of(columns, binned, rounds=3)
