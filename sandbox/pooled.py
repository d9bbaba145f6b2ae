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
from federation.plan import TrainingPlan, split

LOGISTIC_C = 1.0
BOOTSTRAP = 1000
SPLITS = 40  # one split of a few hundred test rows moves an AUC difference by about 0.003; their mean by far less


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """AUC on the federated run's own test rows, and the mean difference of the two models over other splits."""

    same_model: metrics.Measures  # the joint scorecard from moments of pooled rows, nothing suppressed or rounded
    same_rounded: metrics.Measures  # the same with the plan's rounding of each holder's share of the score
    logistic: metrics.Measures  # ridge logistic regression, C = 1
    split_gaps_ppm: tuple[int, ...]  # AUC of logistic minus the same model, one for each further split


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The aligned clients' raw columns by party, and the label."""

    plan: TrainingPlan
    raw: Mapping[str, Mapping[str, NDArray[np.float64]]]
    label: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """Scores of the test rows of one split."""

    label: NDArray[np.bool_]
    same: NDArray[np.float64]
    rounded: NDArray[np.float64]
    logistic: NDArray[np.float64]


def compare(data: Path, plan: TrainingPlan, tokens: Sequence[str], clients: Sequence[str]) -> Pooled:
    """Fit both models on the pooled rows of the aligned clients. clients[i] has token tokens[i]."""
    raw: dict[str, dict[str, NDArray[np.float64]]] = {
        party.partner: _columns(data, party.partner, clients, party.columns) for party in plan.parties
    }
    known = read(data, plan.label_holder)
    texts = [known[client][plan.label_column] for client in clients]
    label = np.array([text == plan.positive if plan.positive is not None else float(text) == 1 for text in texts])
    rows = _Rows(plan=plan, raw=raw, label=label)
    own = _score(rows, plan.test_mask(tokens))
    scores = {"same": own.same, "rounded": own.rounded, "logistic": own.logistic}
    measured = metrics.compare(own.label, scores, "logistic", BOOTSTRAP, bytes.fromhex(plan.digest))
    return Pooled(
        same_model=measured["same"],
        same_rounded=measured["rounded"],
        logistic=measured["logistic"],
        split_gaps_ppm=tuple(
            _gap(rows, split(tokens, number.to_bytes(16, "big"), plan.test_ppm)) for number in range(SPLITS)
        ),
    )


def _gap(rows: _Rows, test: NDArray[np.bool_]) -> int:
    scored = _score(rows, test)
    return round((metrics.auc(scored.label, scored.logistic) - metrics.auc(scored.label, scored.same)) * 1_000_000)


def _score(rows: _Rows, test: NDArray[np.bool_]) -> _Scored:
    plan, train = rows.plan, ~test
    parts = {
        party.partner: features.prepare(
            rows.raw[party.partner],
            party.columns,
            train,
            plan.rare_rows,
            binned=party.binned,
            bins=plan.bins,
            coding=plan.coding,
        )
        for party in plan.parties
    }
    values = np.hstack([part.scaled for part in parts.values()])
    owners = tuple(partner for partner, part in parts.items() for _ in part.names)
    given = moments.from_data(values[train], rows.label[train], owners)
    solved = moments.solve(given, plan.partners, plan.ridge_milli / 1000)
    rounded = np.full(int(test.sum()), solved.intercept)
    for partner, part in parts.items():
        share = part.scaled[test] @ solved.weights[[owner == partner for owner in owners]]
        step = 2.0**plan.score_step_log2
        rounded += share if partner == plan.label_holder else np.rint(share / step) * step
    return _Scored(
        label=rows.label[test],
        same=values[test] @ solved.weights + solved.intercept,
        rounded=rounded,
        logistic=logistic.fit(values[train], rows.label[train], LOGISTIC_C).scores(values[test]),
    )


def read(data: Path, party: str) -> dict[str, dict[str, str]]:
    """A party's rows by client id, as text."""
    with gzip.open(data / f"party_{party}.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        return {row["client_id"]: row for row in csv.DictReader(stream)}


def _columns(data: Path, party: str, clients: Sequence[str], names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    known = read(data, party)
    return {name: np.array([float(known[client][name]) for client in clients]) for name in names}
