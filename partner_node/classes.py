"""One class for each client at the label holder's node: the label matrices of runs of one label, a class each, joined.

The node has everything already: the matrices, and the true classes in its own label column, which is read under a grant
for the labels of the first run. Who has withdrawn consent or opted out is in no figure and in no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecowire import outputs
from ecowire.documents import Body
from federation import bands, features, multiclass
from federation.bands import Minimum
from federation.metrics import Estimate, Floats
from federation.multiclass import Figures, Joined, Measured
from federation.plan import TrainingPlan
from partner_node import files, labels_run, releases, sessions, store, store_labels, times
from partner_node.arguments import optional_text
from partner_node.classes_errors import RunsNotOfOneLabel
from partner_node.consent import ConsentDesk
from partner_node.errors import CommandInvalid
from partner_node.labels_run import Run
from partner_node.node import Commands, Node
from partner_node.result_files import ResultFiles
from partner_node.vault import Vault
from privacy import canonical
from privacy.normalise import normalise

RUNS_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """A finished run of one class against the rest."""

    run: Run
    plan: TrainingPlan
    keys: tuple[bytes, ...]  # row keys of its label matrix

    @property
    def name(self) -> str:
        return self.run.job[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clients:
    """The aligned clients who may be classed now, in the order of the alignment."""

    places: NDArray[np.int64]  # in the label matrices
    truth: NDArray[np.int64]  # place of the true class; -1 where it is none of the runs'
    test: NDArray[np.bool_]
    weights: Floats | None  # survey weights, where the plans name them
    consent_until: tuple[str, ...]
    without_consent: int
    opted_out: int


class Classes:
    """The command of one node."""

    def __init__(self, node: Node, desk: ConsentDesk, vault: Vault, results: ResultFiles) -> None:
        self._node = node
        self._desk = desk
        self._vault = vault
        self._results = results

    def commands(self) -> Commands:
        return {"classes": self.join}

    def join(self, arguments: Mapping[str, Any]) -> Body:
        """One class a client from `runs`, with figures on the common test clients; to the Parquet file `to` if given.

        Raises CommandInvalid, RunsNotOfOneLabel, ModelAboveLimits, what `labels_run.find`, desk and vault raise,
        OutputExists, OutputNotWritable, TooFewRows, LabelTooRare.
        """
        names, to = _names(arguments), optional_text(arguments, "to")
        path = None if to is None else self._target(to)
        ones = [self._one(name) for name in names]
        for place, one in enumerate(ones[1:], start=1):
            _check_siblings(ones[0], one)
            if one.plan.positive in {earlier.plan.positive for earlier in ones[:place]}:
                raise _apart(ones[0], one, "its class is also that of another run", "其类别与另一任务相同")
        clients = self._clients(ones)
        joined, plan = (
            multiclass.join(np.array([one.run.matrix.chances for one in ones]).T[clients.places]),
            ones[0].plan,
        )
        found = _measure(ones, clients, joined)
        if path is not None:
            files.write_table(path, _columns(ones, clients, joined))
        given = np.bincount(joined.given, minlength=len(ones))
        return {
            "label": plan.label_column,
            "survey_weights": plan.survey_weights,
            "runs": [
                {"job": one.run.job, "class": one.plan.positive, "model": one.run.model, "clients": int(count)}
                for one, count in zip(ones, given, strict=True)
            ],
            "clients": len(clients.places),
            "without_consent": clients.without_consent,
            "opted_out": clients.opted_out,
            "of_no_class": int((clients.test & (clients.truth < 0)).sum()),
            "figures": _figures(found),
            "file": None if path is None else str(path),
        }

    def _target(self, to: str) -> Path:
        path, home = Path(to).parent.resolve() / Path(to).name, self._node.settings.folder.resolve()
        if path.suffix != files.PARQUET:
            raise outputs.OutputNotWritable(path=str(path), why=f"a name that ends in {files.PARQUET} is expected")
        if path.parent != self._node.settings.results.resolve() and path.is_relative_to(home):
            raise outputs.OutputNotWritable(path=str(path), why="the node keeps its own files there")
        outputs.check_new(path)
        return path

    def _one(self, name: str) -> _One:
        run = labels_run.find(self._node, name, self._results.place)
        proposal = self._node.database.read(lambda session: store.proposal(session, run.job))
        self._node.database.read(lambda session: releases.last_reach(session, run.job))  # refuses one above its limits
        keys = self._desk.gate.row_keys([normalise(run.asset.id_type, client) for client in run.matrix.client_ids])
        return _One(run=run, plan=TrainingPlan.from_body(proposal.body), keys=tuple(keys))

    def _clients(self, ones: list[_One]) -> _Clients:
        first, now = ones[0], self._node.clock()
        until, column, weight = min(one.run.until for one in ones), first.plan.label_column, first.plan.survey_weights
        columns = (column,) if weight is None else (column, weight)
        grant = self._desk.label_grant(first.run.job, asset=first.run.asset.name, columns=columns, until=until, now=now)
        rows = self._vault.rows(grant, (column,), now)
        labels = dict(zip(rows.row_keys, rows.columns[column].tolist(), strict=True))
        opted_out = self._node.database.read(store_labels.opted_out)
        consents = self._desk.gate.consents(first.run.purpose, now)
        aligned = self._node.database.read(lambda session: sessions.alignment(session, first.plan.alignment))
        if tuple(row.row_key for row in aligned) != first.keys:
            raise _apart(first, first, "its label matrix is not of its alignment", "其标签矩阵与对齐任务不符")
        held = [key in labels and key in consents for key in first.keys]
        kept = [known and key not in opted_out for known, key in zip(held, first.keys, strict=True)]
        places = np.flatnonzero(kept)
        order = {str(one.plan.positive): place for place, one in enumerate(ones)}
        keys = [first.keys[place] for place in places.tolist()]
        weighs = None if weight is None else dict(zip(rows.row_keys, rows.columns[weight].tolist(), strict=True))
        return _Clients(
            places=places,
            truth=np.array([order.get(labels[key], -1) for key in keys], np.int64),
            test=first.plan.test_mask([row.token for row in aligned])[places],
            weights=None if weighs is None else np.array([weighs[key] for key in keys], np.float64),
            consent_until=tuple(consents[key] for key in keys),
            without_consent=len(held) - sum(held),
            opted_out=sum(held) - len(keys),
        )


def _names(arguments: Mapping[str, Any]) -> list[str]:
    names = arguments.get("runs")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise CommandInvalid(command="classes", what="runs")
    if not 2 <= len(names) <= RUNS_MAX:
        raise CommandInvalid(command="classes", what=f"2 to {RUNS_MAX} runs")
    return names


def _check_siblings(first: _One, other: _One) -> None:
    """Raises RunsNotOfOneLabel, naming what the run has of its own."""
    for name, name_zh, of_first, of_other in (
        ("alignment", "对齐任务", first.plan.alignment, other.plan.alignment),
        ("label column", "标签列", first.plan.label_column, other.plan.label_column),
        ("asset", "数据资产", first.run.asset.name, other.run.asset.name),
        ("purpose", "用途", first.run.purpose, other.run.purpose),
        ("split_salt", "split_salt", first.plan.split_salt, other.plan.split_salt),
        ("test_ppm", "test_ppm", first.plan.test_ppm, other.plan.test_ppm),
        ("column of survey weights", "抽样权重列", first.plan.survey_weights, other.plan.survey_weights),
        ("list of clients", "客户名单", first.keys, other.keys),
    ):
        if of_first != of_other:
            raise _apart(first, other, f"it has another {name}", f"{name_zh}不同")
    for one in (first, other):
        if one.plan.positive is None:
            raise _apart(first, one, "it predicts no class of a label", "其标签未指定类别")


def _apart(first: _One, other: _One, why: str, why_zh: str) -> RunsNotOfOneLabel:
    return RunsNotOfOneLabel(run=other.name, first=first.name, why=why, why_zh=why_zh)


def _measure(ones: list[_One], clients: _Clients, joined: Joined) -> Figures:
    """On the held-out clients of a known class, the label holder's own columns beside all where every file has them.

    Raises TooFewRows, LabelTooRare, SurveyWeightsInvalid, ColumnHasGaps.
    """
    plan, known = ones[0].plan, clients.test & (clients.truth >= 0)
    alone = [one.run.matrix.alone for one in ones if one.run.matrix.alone is not None]
    own = multiclass.join(np.array(alone).T[clients.places]) if len(alone) == len(ones) else None
    weights = None
    if plan.survey_weights is not None and clients.weights is not None:
        weights = features.prepare_survey_weights(clients.weights, plan.survey_weights, known)
    return multiclass.measure(
        _rows_of(joined, known),
        clients.truth[known],
        Minimum(rows=max(bands.ROWS_MIN, plan.rare_rows), of_each_class=bands.CLASS_ROWS_MIN),
        plan.bootstrap,
        _seed(ones),
        alone=None if own is None else _rows_of(own, known),
        weights=weights,
    )


def _rows_of(joined: Joined, rows: NDArray[np.bool_]) -> Joined:
    return Joined(chances=joined.chances[rows], given=joined.given[rows])


def _seed(ones: list[_One]) -> bytes:
    runs: list[canonical.Value] = [one.run.job for one in ones]
    return canonical.digest("ecohub/classes-bootstrap/v1", {"runs": runs})


def _columns(ones: list[_One], clients: _Clients, joined: Joined) -> dict[str, list[Any]]:
    """The file: one row a client, in the order of the alignment."""
    names = [str(one.plan.positive) for one in ones]
    places, matrices = clients.places.tolist(), [one.run.matrix for one in ones]
    ends = [min(matrix.valid_until[place] for matrix in matrices) for place in places]
    return {
        "client_id": [matrices[0].client_ids[place] for place in places],
        "class": [names[place] for place in joined.given.tolist()],
        "chance": joined.chances.max(axis=1).tolist(),
        **{f"chance_{name}": joined.chances[:, place].tolist() for place, name in enumerate(names)},
        "test": clients.test.tolist(),
        "valid_until": [times.to_text(end) for end in ends],
        "purpose": [ones[0].run.purpose] * len(places),
        "consent_until": list(clients.consent_until),
    }


def _figures(found: Figures) -> Body:
    cells: list[canonical.Value] = [list(row) for row in found.cells]
    return {
        "rows": found.rows,
        **_measured(found.joint),
        "alone": None if found.alone is None else _measured(found.alone),
        "uplift": None if found.uplift is None else _measured(found.uplift),
        "base_accuracy_ppm": found.base_accuracy_ppm,
        "base_log_loss_ppm": found.base_log_loss_ppm,
        "cells": cells,
    }


def _measured(found: Measured) -> Body:
    return {
        "accuracy": _estimate(found.accuracy),
        "macro_auc": _estimate(found.macro_auc),
        "log_loss": _estimate(found.log_loss),
    }


def _estimate(found: Estimate) -> Body:
    return {"value_ppm": found.value_ppm, "low_ppm": found.low_ppm, "high_ppm": found.high_ppm}
