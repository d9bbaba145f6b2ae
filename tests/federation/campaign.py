"""The bank campaign of real phone calls, split by columns over three parties: few raw columns a holder.

The bank holds the label. Codes of text columns enter as bins.
"""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from federation.plan import TrainingPlan
from federation.vertical import Table
from tests.federation.alliance import Tables, body, tokens

HOLDERS = {"bank": "bank", "broker_market": "market", "platform_crm": "crm"}
Columns = dict[str, list[str]]


def read(folder: Path) -> tuple[Tables, Columns, Columns]:
    """Tables, columns, and which of them enter as bins, by partner; the label holder first."""
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


def plan_of(
    columns: Columns, binned: Columns, *, changes: dict[str, Any] | None = None, **options: Any
) -> TrainingPlan:
    """A plan of rounds of refinement; options: of model `logistic`, changes: of the rest of the body."""
    made = body(columns, bins=16, score_step_log2=-5, model="logistic", logistic={"plateau_ppm": 0, **options})
    for party in made["parties"]:
        party["binned"] = binned[party["partner"]]
    return TrainingPlan.from_body(made | (changes or {}))
