"""The bank campaign of real phone calls, split by columns: few raw columns a holder, so that the cap on rounds bites.

Within the default cap two rounds are allowed, by the five columns of the market's holder; with the owners' explicit
larger approval, six.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federation import metrics
from federation.errors import RoundsBeyondCap
from federation.vertical import LabelResult
from tests.federation import campaign as calls
from tests.federation.alliance import Tables, pump
from tests.federation.campaign import plan_of
from tests.federation.refined import pooled
from tests.support.shared_data import data_folder

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def campaign() -> tuple[Tables, dict[str, list[str]], dict[str, list[str]]]:
    return calls.read(data_folder("uci_bank_marketing"))


@pytest.mark.parametrize(
    ("rounds", "beyond", "calibrated", "below"),
    [(2, False, False, 0.005), (6, True, False, 0.002), (2, False, True, 0.002)],
    ids=["within the cap", "by larger approval", "within the cap from a calibrated start"],
)
def test_it_equals_the_pooled_rounds_and_stands_beside_logistic_regression(
    campaign: tuple[Tables, dict[str, list[str]], dict[str, list[str]]],
    rounds: int,
    beyond: bool,
    calibrated: bool,
    below: float,
) -> None:
    tables, columns, binned = campaign
    plan = plan_of(columns, binned, rounds=rounds, beyond_cap=beyond, calibrated=calibrated)
    parties = pump(plan, tables)
    result = parties["bank"].result()
    assert isinstance(result, LabelResult)
    parts = [parties[name]._prepared.scaled for name in ("bank", "crm", "market")]
    test, label = plan.test_mask(tables["bank"].tokens), np.asarray(tables["bank"].label)
    kept, _, _ = pooled(
        [part[~test] for part in parts], label[~test], rounds=rounds, plateau_ppm=0, calibrated=calibrated
    )
    exact = parts[0] @ kept[0][1:] + sum(part @ weights for part, weights in zip(parts[1:], kept[1:], strict=True))
    peer = LogisticRegression(C=1.0, max_iter=3000).fit(np.hstack(parts)[~test], label[~test])
    ours = result.variants[-1].measures.auc.value_ppm / 1e6
    assert abs(ours - metrics.auc(label[test], exact[test])) <= 0.001
    assert ours >= metrics.auc(label[test], peer.decision_function(np.hstack(parts)[test])) - below
    assert result.variants[-1].measures.auc_uplift is not None
    assert result.variants[-1].measures.auc_uplift.low_ppm > 100_000  # the partners' columns are most of what is known


def test_more_rounds_than_the_market_has_columns_for_need_its_approval(
    campaign: tuple[Tables, dict[str, list[str]], dict[str, list[str]]],
) -> None:
    _, columns, binned = campaign
    with pytest.raises(RoundsBeyondCap, match="3 rounds of scores over 5 columns of market"):
        plan_of(columns, binned, rounds=3)
