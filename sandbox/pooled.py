"""What only somebody who owns all the data can compute: the same model, and its usual peer, on pooled rows.

The demo owns its data, so it may pool; no product path can. Both models get the same aligned clients, the same columns
each party kept, and the same train and test rows as the federated run.
"""

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federation import features, metrics
from federation.models import logistic, moments
from federation.plan import TrainingPlan

LOGISTIC_C = 1.0
BOOTSTRAP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """AUC and average precision on the federated run's test rows. Estimates carry 95 % bootstrap intervals."""

    same_model: metrics.Measures  # the joint scorecard, moments taken over pooled rows without any suppression
    logistic: metrics.Measures  # ridge logistic regression, C = 1
    train_rows: int
    test_rows: int


def compare(data: Path, plan: TrainingPlan, tokens: Sequence[str], clients: Sequence[str]) -> Pooled:
    """Fit both models on the pooled rows of the aligned clients. clients[i] has token tokens[i]."""
    test = plan.test_mask(tokens)
    parts = [_prepared(data, plan, party.partner, clients, ~test) for party in plan.parties]
    values = np.hstack([part.scaled for part in parts])
    owners = tuple(
        party.partner for party, part in zip(plan.parties, parts, strict=True) for _ in range(len(part.names))
    )
    label = _column(read(data, plan.label_holder), clients, plan.label_column) == 1
    solved = moments.solve(
        moments.from_data(values[~test], label[~test], owners), plan.partners, plan.ridge_milli / 1000
    )
    fitted = logistic.fit(values[~test], label[~test], LOGISTIC_C)
    scores = {
        "same model": values[test] @ solved.weights + solved.intercept,
        "logistic": fitted.scores(values[test]),
    }
    measured = metrics.compare(label[test], scores, "logistic", BOOTSTRAP, bytes.fromhex(plan.digest))
    return Pooled(
        same_model=measured["same model"],
        logistic=measured["logistic"],
        train_rows=int((~test).sum()),
        test_rows=int(test.sum()),
    )


def read(data: Path, party: str) -> dict[str, dict[str, str]]:
    """A party's rows by client id, as text."""
    with gzip.open(data / f"party_{party}.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        return {row["client_id"]: row for row in csv.DictReader(stream)}


def _prepared(
    data: Path, plan: TrainingPlan, party: str, clients: Sequence[str], train: NDArray[np.bool_]
) -> features.Prepared:
    rows, names = read(data, party), plan.party(party).columns
    raw = {name: _column(rows, clients, name) for name in names}
    return features.prepare(raw, names, train, plan.rare_rows)


def _column(rows: Mapping[str, Mapping[str, str]], clients: Sequence[str], name: str) -> NDArray[np.float64]:
    return np.array([float(rows[client][name]) for client in clients])
