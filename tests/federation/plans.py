"""Bodies of valid horizontal plans for the tests."""

from collections.abc import Mapping, Sequence
from typing import Any

AGE = {"name": "age", "kind": "number", "transform": "none"}
BALANCE = {"name": "balance", "kind": "number", "transform": "signed_log"}
TRADE = {"name": "trade", "kind": "category", "levels": ["farm", "shop", "office"]}
TRAINING = {"rounds": 5, "steps": 5, "batch": 0, "rate_micro": 500_000, "l2_micro": 0}
PRIVACY = {"noise_multiplier_milli": 1_000, "row_clip_milli": 1_000, "delta_log10": -6}


def horizontal(partners: Sequence[str] = ("bank-a", "bank-b", "bank-c", "bank-d"), **changes: Any) -> dict[str, Any]:
    """The body of a valid horizontal "train" proposal; `training` and `split` are changed field by field."""
    training: Mapping[str, Any] = {**TRAINING, **changes.pop("training", {})}
    split = {"test_ppm": 300_000, "validation_ppm": 100_000, "salt": "11" * 16, **changes.pop("split", {})}
    return {
        "kind": "train",
        "version": 1,
        "shape": "horizontal",
        "model": "logistic",
        "parties": [
            {"partner": partner, "role": "trainer", "asset": "clients", "id_column": "client_id"}
            for partner in partners
        ],
        "label": {"column": "bought", "classes": ["0", "1"]},
        "columns": [AGE, BALANCE, TRADE],
        "standardise": "federated",
        "strategy": {"name": "fedavg"},
        "training": training,
        "split": split,
        "clip_milli": 10_000,
        "examples_max": 5_000,
        "colluders": 1 if len(partners) > 2 else 0,
        "deadline_seconds": 20,
        "attempts": 2,
        "prepare_rounds": 8,
        "minimum_rows": 20,
        "engine": {"name": "threshold"},
        "purpose": "profile",
        "expires": "2026-12-31T00:00:00Z",
        "nonce": "00" * 16,
        "disclosure": ["the hub learns sums over at least three partners"],
        "valid_days": 90,
        **changes,
    }
