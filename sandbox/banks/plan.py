"""The data team's plan file for a data folder of banks: what `ecohub data train propose` is given."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.banks.files import CATEGORY, Banks
from sandbox.world import PURPOSE

ROUNDS = 30
STEPS = 5
EXAMPLES_UNIT = 1_000  # the weight of a partner's update is its train rows over examples_max, a round figure
DEFAULTS: dict[str, Any] = {
    "model": "logistic",
    "standardise": "federated",
    "strategy": {"name": "fedavg"},
    "training": {"rounds": ROUNDS, "steps": STEPS, "batch": 0, "rate_micro": 500_000, "l2_micro": 1_000},
    "personalise": {"steps": 10, "rate_micro": 250_000},
    "clip_milli": 4_000,
    "colluders": 1,
    "deadline_seconds": 20,
    "attempts": 2,
    "prepare_rounds": 8,
    "minimum_rows": 30,
    "engine": {"name": "threshold"},
}
SPLIT = {"test_ppm": 300_000, "validation_ppm": 100_000}


def draft(data: Banks, **changes: Any) -> dict[str, Any]:
    """The plan's fields that people choose; keys, nonce, salt, expiry and disclosure are filled in when proposed.

    changes: whole fields of the body that differ from DEFAULTS, for example training={…}.
    """
    largest = max(data.sizes.values())
    fields: dict[str, Any] = {
        "shape": "horizontal",
        "purpose": PURPOSE,
        "parties": [{"partner": name, "role": "trainer"} for name in data.names],
        "label": {"column": data.label, "classes": list(data.classes)},
        "columns": [column.to_body() for column in data.columns],
        "split": SPLIT,
        "examples_max": -(-largest // EXAMPLES_UNIT) * EXAMPLES_UNIT,
        **DEFAULTS,
    }
    return fields | changes


def toml(fields: Mapping[str, Any]) -> str:
    """Fields as TOML: plain values first, then one table or array of tables each."""
    plain = {name: value for name, value in fields.items() if not _is_table(value)}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in plain.items()]
    for name, value in fields.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_pairs(value)]
        elif _is_table(value):
            for item in value:
                lines += ["", f"[[{name}]]", *_pairs(item)]
    return "\n".join(lines) + "\n"


def inputs(data: Banks) -> int:
    """Inputs of the model: one a number, one a level of a category."""
    return sum(len(column.levels) if column.kind == CATEGORY else 1 for column in data.columns)


def _is_table(value: Any) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and bool(value)
    return isinstance(value, Mapping) or (listed and isinstance(value[0], Mapping))


def _pairs(value: Mapping[str, Any]) -> list[str]:
    # JSON strings, numbers and lists of them are TOML values (TOML 1.0)
    return [f"{name} = {json.dumps(item, ensure_ascii=False)}" for name, item in value.items()]
