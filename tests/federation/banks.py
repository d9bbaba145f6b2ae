"""Banks with the same columns and different clients: seeded ones, and the real data sets where they are present."""

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.tabular import Rows
from tests.federation.plans import horizontal
from tests.support.entropy import SeededEntropy

Banks = dict[str, Rows]
_LOG_ABOVE = 100.0  # numbers beyond it are taken as signed log, as in the data sets' own baselines


def synthetic(partners: Sequence[str], rows: int = 400, inputs: int = 3, seed: int = 7) -> Banks:
    """Seeded banks of the columns age, balance, trade (and x3, x4, …): the larger a bank's number, the older."""
    draw = np.random.default_rng(seed)
    weights = np.concatenate([[1.2, -0.8, 0.6], draw.normal(size=max(inputs, 3) - 3) / np.sqrt(max(inputs, 3))])
    banks = {}
    for index, partner in enumerate(partners):
        hidden = draw.normal(size=(rows, max(inputs, 3))) + 0.3 * index / len(partners)
        columns: dict[str, NDArray[Any]] = {
            "age": np.rint(40 + 12 * hidden[:, 0]),
            "balance": np.rint(np.sign(hidden[:, 1]) * np.expm1(3 * np.abs(hidden[:, 1]))),
            "trade": np.array(["farm", "shop", "office"])[np.digitize(hidden[:, 2], [-0.5, 0.5])],
            **{f"x{at}": hidden[:, at] for at in range(3, inputs)},
        }
        columns["age"][::17] = np.nan
        chance = 1 / (1 + np.exp(-(hidden @ weights)))
        label = np.where(draw.random(rows) < chance, "1", "0")
        entropy = SeededEntropy(f"{partner}/{seed}".encode())
        banks[partner] = Rows(keys=tuple(entropy(16) for _ in range(rows)), columns=columns, label=label)
    return banks


def survey(folder: Path, label: str) -> tuple[Banks, dict[str, Any]]:
    """Four banks of the household survey by age and degree, all columns of the partners; label y_direct or …100k."""
    names, table = _read(folder / "scf2022_households.csv.gz", ",")
    facts = json.loads((folder / "parties.json").read_text())
    wanted = [name for group in facts["columns"].values() for name in group]
    numbers = {name: np.array(table[names.index(name)], np.float64) for name in {*wanted, "AGECL", "EDCL", "YY1"}}
    held = sum(np.array(table[names.index(name)], np.float64) for name in ("NMMF", "STOCKS", "BOND"))
    truth = held >= 100_000 if label == "y_direct100k" else held > 0
    age, degree = numbers["AGECL"], numbers["EDCL"]
    middle = (age == 3) | (age == 4)
    groups = {"bank-a": age <= 2, "bank-b": middle & (degree == 4), "bank-c": middle & (degree < 4), "bank-d": age >= 5}
    keys = [f"{int(number):07d}".encode() for number in numbers["YY1"]]
    values = {name: numbers[name] for name in wanted}
    return _banks(groups, keys, values, truth), _body(groups, _columns(values), label, 1_700)


def campaign(folder: Path) -> tuple[Banks, dict[str, Any]]:
    """Five banks of the phone campaign by the client's job; the row number is the key."""
    names, table = _read(folder / "bank-additional-full.csv.gz", ";")
    facts = json.loads((folder / "parties.json").read_text())
    by_name = dict(zip(names, table, strict=True))
    job = np.array(by_name["job"])
    groups = {
        f"bank-{n.lower()}": np.isin(job, jobs)
        for n, jobs in facts["horizontal_nodes_by_job"].items()
        if n != "dropped"
    }
    texts = ("marital", "education", "default", "housing", "loan", "contact", "month", "day_of_week", "poutcome")
    values: dict[str, NDArray[Any]] = {name: np.array(by_name[name]) for name in texts}
    for name in names:
        if name not in {*texts, "job", "y", "duration"}:  # duration is known only after the call
            values[name] = np.array(by_name[name], np.float64)
    truth = np.array(by_name["y"]) == "yes"
    keys = [f"{number:07d}".encode() for number in range(len(truth))]
    body = _body(groups, _columns(values), "y", 15_000)
    # months and calls are rare levels: momentum takes them as far in 60 rounds as plain averages in some hundreds
    body["strategy"] = {"name": "fedavgm", "server_rate_micro": 1_000_000}
    body["training"]["rounds"] = 60
    return _banks(groups, keys, values, truth), body


def pooled(banks: Mapping[str, Rows]) -> Rows:
    """All banks' rows in one place, in partner order: what the joint model is measured against."""
    parts = [banks[partner] for partner in sorted(banks)]
    names = parts[0].columns
    return Rows(
        keys=tuple(key for part in parts for key in part.keys),
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in names},
        label=np.concatenate([part.label for part in parts]),
    )


def _banks(
    groups: Mapping[str, NDArray[np.bool_]], keys: list[bytes], values: Mapping[str, NDArray[Any]], truth: Any
) -> Banks:
    label = np.where(truth, "1", "0")
    return {
        partner: Rows(
            keys=tuple(keys[i] for i in np.flatnonzero(mask)),
            columns={name: column[mask] for name, column in values.items()},
            label=label[mask],
        )
        for partner, mask in groups.items()
    }


def _columns(values: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, column in values.items():
        if column.dtype.kind == "U":
            found.append({"name": name, "kind": "category", "levels": sorted(set(column.tolist()))})
        else:
            wide = float(np.abs(column).max()) > _LOG_ABOVE
            found.append({"name": name, "kind": "number", "transform": "signed_log" if wide else "none"})
    return found


def _body(groups: Mapping[str, Any], columns: list[dict[str, Any]], label: str, examples_max: int) -> dict[str, Any]:
    return horizontal(
        sorted(groups),
        columns=columns,
        label={"column": label, "classes": ["0", "1"]},
        examples_max=examples_max,
        minimum_rows=200,
        training={"rounds": 30, "steps": 5, "rate_micro": 500_000, "l2_micro": 100},
        personalise={"steps": 20, "rate_micro": 100_000},
        split={"validation_ppm": 0},
    )


def _read(path: Path, separator: str) -> tuple[list[str], list[tuple[str, ...]]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        rows = csv.reader(text, delimiter=separator)
        names = next(rows)
        return names, list(zip(*rows, strict=True))
