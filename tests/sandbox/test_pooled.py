"""The pooled comparison: same rows, same columns, same rounding as the plan says."""

from pathlib import Path

import numpy as np
import pytest

from federation.plan import TrainingPlan
from sandbox import party_files, pooled, synthetic
from sandbox.world import consents

TRAINERS = ("broker", "bank", "platform")


def plan(step_log2: int) -> TrainingPlan:
    parties = [
        {
            "partner": name,
            "role": "label_holder" if name == "broker" else "feature_holder",
            "asset": "clients",
            "id_column": "client_id",
            "columns": list(party_files.COLUMNS[name]),
        }
        for name in TRAINERS
    ]
    numbers = {
        "ridge_milli": 1000, "test_ppm": 300_000, "minimum_rows": 200, "rare_rows": 50, "cell_minimum": 10,
        "score_step_log2": step_log2, "bootstrap": 100, "score_budget": 100, "valid_days": 90,
    }  # fmt: skip
    label = {"partner": "broker", "asset": "clients", "column": "y_direct"}
    fixed = {"alignment": "ab" * 32, "model": "moments", "purpose": "p", "expires": "2027-01-01T00:00:00Z"}
    random = {"nonce": "11" * 16, "split_salt": "22" * 16, "disclosure": ["who learns what"]}
    return TrainingPlan.from_body({"parties": parties, "label": label, **numbers, **fixed, **random})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    synthetic.generate(folder, households=1500)
    return folder


@pytest.fixture(scope="module")
def aligned(data: Path) -> tuple[list[str], list[str]]:
    known = set.intersection(*(set(pooled.read(data, name)) for name in TRAINERS))
    clients = sorted(client for client in known if consents(client))
    rng = np.random.default_rng(1)
    return [rng.bytes(16).hex() for _ in clients], clients


def test_both_models_are_measured_on_the_plan_s_test_rows(data: Path, aligned: tuple[list[str], list[str]]) -> None:
    found = pooled.compare(data, plan(-5), *aligned)
    again = pooled.compare(data, plan(-5), *aligned)
    assert found == again
    assert 0.75 < found.same_model.auc.value_ppm / 1e6 < 0.95
    assert abs(found.logistic.auc.value_ppm - found.same_model.auc.value_ppm) < 20_000
    assert len(found.split_gaps_ppm) == pooled.SPLITS == len(set(found.split_gaps_ppm))


def test_a_coarser_step_moves_the_rounded_scores_further(data: Path, aligned: tuple[list[str], list[str]]) -> None:
    fine, coarse = (pooled.compare(data, plan(step), *aligned) for step in (-6, 2))
    exact = fine.same_model.auc.value_ppm
    assert exact == coarse.same_model.auc.value_ppm
    assert abs(fine.same_rounded.auc.value_ppm - exact) < 1_500
    assert abs(coarse.same_rounded.auc.value_ppm - exact) > abs(fine.same_rounded.auc.value_ppm - exact)
