"""What only somebody who owns all banks' data can compute: the plan's model on pooled rows.

The demo owns its data, so it may pool; no product path can. The peer sees the very rows that each node used: clients
with consent, under the node's own row keys, so that train and test rows are the federated run's.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation import metrics, tabular
from federation.horizontal.trainer import plan_seed
from federation.models import network
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import TEST, TRAIN, Rows
from privacy.normalise import normalise
from sandbox.banks.files import CATEGORY, Banks
from sandbox.world import consents

MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A model's AUC on every bank's own test rows, and on all of them together."""

    own: Mapping[str, float]
    overall: float
    test_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bank:
    """One bank's inputs before scaling, class indices, and part (TRAIN, VALIDATION, TEST) of every row."""

    values: NDArray[np.float64]
    classes: NDArray[np.int64]
    parts: NDArray[np.int8]


def tables(data: Banks, row_keys: Mapping[str, bytes]) -> dict[str, Rows]:
    """Each bank's rows as its node sees them: clients with consent, in the order of their keyed hashes.

    row_keys: each node's own HMAC key (keys/consent.key), which never leaves a real node.
    """
    return {name: _table(data, name, row_keys[name]) for name in data.names}


def _table(data: Banks, name: str, key: bytes) -> Rows:
    keyed = {
        hmac.digest(key, normalise("resident_id", client), "sha256"): row
        for client, row in data.rows(name).items()
        if consents(client)
    }
    ordered = sorted(keyed)
    rows = [keyed[one] for one in ordered]
    columns: dict[str, NDArray[np.float64] | NDArray[np.str_]] = {}
    for column in data.columns:
        values = [row[column.name] for row in rows]
        if column.kind == CATEGORY:
            columns[column.name] = np.array(values, np.str_)
        else:
            columns[column.name] = np.array([float(value) if value else np.nan for value in values])
    label = np.array([row[data.label] for row in rows], np.str_)
    return Rows(keys=tuple(ordered), columns=columns, label=label)


def fit(plan: HorizontalPlan, banks: Mapping[str, Rows]) -> Peer:
    """The plan's model by as many steps as the run's rounds have, on all banks' train rows in one place."""
    read = {name: _read(plan, rows) for name, rows in banks.items()}
    values, classes = (
        np.concatenate([getattr(bank, field)[bank.parts == TRAIN] for bank in read.values()])
        for field in ("values", "classes")
    )
    scaling = scale(plan, values, classes)
    training = plan.training
    work = network.Work(
        steps=training.rounds * training.steps,
        batch=training.batch,
        rate=training.rate_micro / MICRO,
        l2=training.l2_micro / MICRO,
    )
    seed = plan_seed(plan)
    start = network.initial(plan.layers, seed)  # the run's own start
    return measure(plan, banks, network.fit_local(start, scaling.apply(values), classes, work, seed), scaling)


def scale(plan: HorizontalPlan, values: NDArray[np.float64], classes: NDArray[np.int64]) -> tabular.Scaling:
    """Mean and deviation of pooled train rows, or none where the plan has none."""
    if not plan.standardise:
        return tabular.unscaled(plan.columns)
    lanes = tabular.statistics(plan.columns, len(plan.classes), values, classes)
    return tabular.read_statistics(plan.columns, len(plan.classes), lanes, 1).scaling


def measure(
    plan: HorizontalPlan, banks: Mapping[str, Rows], model: network.Parameters, scaling: tabular.Scaling
) -> Peer:
    """A model of two classes on the test rows of every bank."""
    assert len(plan.classes) == 2, "AUC is of two classes"
    labels, scores = {}, {}
    for name, rows in banks.items():
        bank = _read(plan, rows)
        test = bank.parts == TEST
        labels[name] = bank.classes[test] == 1
        scores[name] = network.scores(model, scaling.apply(bank.values[test]))[:, 0]
    return Peer(
        own={name: metrics.auc(labels[name], scores[name]) for name in banks},
        overall=metrics.auc(np.concatenate([*labels.values()]), np.concatenate([*scores.values()])),
        test_rows={name: len(labels[name]) for name in banks},
    )


def _read(plan: HorizontalPlan, rows: Rows) -> _Bank:
    return _Bank(
        values=tabular.read_inputs(plan.columns, rows).values,
        classes=tabular.read_label(plan.label_column, plan.classes, rows),
        parts=tabular.parts(rows.keys, plan.split),
    )
