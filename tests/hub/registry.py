"""Completed vertical runs for the tests of the model registry: signed by their parties, without a training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from federation import fairness
from federation.fairness import Held
from federation.plan import TrainingPlan
from hub import dispatch, matching, model_stability, models, proposals, training, vertical_run
from hub.identity import Caller
from hub.records import Head, Proposal
from hub.services import Reply
from hub.store_models import Model
from privacy.ids import Digest
from tests.federation import alliance as parties
from tests.hub.alliance import Hub, match_body

NAMES = ("broker", "bank", "platform")
COLUMNS = {"broker": ["age"], "bank": ["balance", "loans"], "platform": ["visits"]}
LIMITS: Head = {
    "groups": ["sex"],
    "selection_gap_ppm": 100_000,
    "true_positive_gap_ppm": 300_000,
    "group_rows": 50,
}
NAME = "profile/broker/label"
UPLIFT = {"value_ppm": 30_000, "low_ppm": 12_000, "high_ppm": 47_000}
NO_UPLIFT = {"value_ppm": 3_000, "low_ppm": -9_000, "high_ppm": 14_000}
COMMANDS = models.COMMANDS
ANSWERS = model_stability.ANSWERS


def completed(
    hub: Hub,
    number: int = 1,
    *,
    groups: float | None = None,
    predicted: float = 0.0,
    plan: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Proposal:
    """A completed run of the name NAME; `groups`: by how much the plan's groups differ in their selection rate.

    predicted: by how much in their mean predicted chance, at equal rates; plan: further fields of its body; changes:
    figures of the label holder's record.
    """
    alignment = _aligned(hub)
    limits = {} if groups is None else {"fairness": LIMITS}
    given = {"expires": "2026-10-02T08:00:00Z", "nonce": f"{number:032x}", "valid_days": 10, **limits, **(plan or {})}
    job = _running(hub, hub.propose("train", parties.body(COLUMNS, alignment=alignment, **given), training.check))
    agreed = TrainingPlan.from_body(job.body)
    outcome = {name: result(hub, job, name, record(agreed, name, groups, predicted, **changes)) for name in NAMES}
    hub.run(lambda services, tx: vertical_run.complete(services, tx, job, outcome, hub.now()))
    return hub.proposal(job.digest)


def record(plan: TrainingPlan, name: str, groups: float | None, predicted: float = 0.0, **changes: Any) -> Head:
    """What a party says of its run; the label holder's figures may be changed."""
    own: Head = {"run": plan.digest, "partner": name, "weights_digest": "0f" * 32, "columns": [*COLUMNS[name]]}
    if name != plan.label_holder:
        return {**own, "dropped": [], "suppressed_cells": 0, "disclosed": [], "spent": 1}
    figure: Head = {"value_ppm": 800_000, "low_ppm": 780_000, "high_ppm": 820_000}
    full: Head = {
        "holders": ["bank", "platform"],
        "columns": 4,
        **dict.fromkeys(("auc", "average_precision", "log_loss", "brier"), figure),
        **{f"{name}_uplift": UPLIFT for name in ("auc", "average_precision", "log_loss", "brier")},
        "top_decile_precision": None,
        "top_decile_precision_uplift": None,
        "calibration": {"method": "platt", "train_rows": 700, "slope_ppm": 1_000_000, "offset_ppm": 0},
        "bands": [{"rows": 300, "share_ppm": 1_000_000, "predicted_ppm": 400_000, "observed_ppm": 400_000}],
        "lift_ppm": 0,
        **changes,
    }
    alone = {**full, "holders": [], "columns": 1}
    return {
        "run": plan.digest,
        "model_digest": "d1" * 32,
        "train_rows": 700,
        "test_rows": 300,
        "test_positives": 120,
        "evaluation": {
            "version": 1,
            "bootstrap": 200,
            "survey_weights": None,
            "effective_test_rows": 300,
            "band_rows_minimum": 50,
            "band_class_rows_minimum": 5,
        },
        "variants": [alone, full],
        "weights_digests": {"broker": "aa" * 32, "bank": "bb" * 32, "platform": "cc" * 32},
        "columns": {name: [*columns] for name, columns in COLUMNS.items()},
        "dropped": {name: [] for name in NAMES},
        "suppressed_cells": 0,
        "disclosed": [],
        "fairness": None if groups is None else gaps(plan, groups, predicted),
    }


def gaps(plan: TrainingPlan, gap: float, predicted: float = 0.0) -> Head:
    """Two groups of 500, half of each positive; the share in the top decile differs by `gap`, 0.2 at most, the mean
    predicted chance by `predicted`."""
    sex, score = np.array(["F", "M"] * 500), np.zeros(1_000)
    for value, selected in (("F", round(50 + 250 * gap)), ("M", round(50 - 250 * gap))):
        score[np.flatnonzero(sex == value)[:selected]] = 1.0
    label = np.arange(1_000) % 4 < 2
    held = Held(label=label, score=score, chance=np.where(sex == "F", 0.5 + predicted, 0.5), weights=np.ones(1_000))
    assert plan.fairness is not None
    return fairness.to_value(fairness.measure({"sex": sex}, held, plan.fairness, 50, b"seed"), plan.fairness)


def result(hub: Hub, job: Proposal, name: str, record: Head, **changes: Any) -> Any:
    role = "label_holder" if name == "broker" else "feature_holder"
    body: Head = {"job": job.digest, "partner": name, "role": role, "record": record, "time": "now", **changes}
    return hub.parties[name].sign("train-result", body).to_value()


def command(hub: Hub, name: str, head: Mapping[str, Any], *, key: str = "", role: str = "data") -> Reply:
    """Carry out a person's command as the hub does, with its idempotency."""
    fingerprint = hub.store.read("c", lambda tx: tx.members.certificates("oda"))[-1].fingerprint
    caller = Caller(name="dana", role=role, fingerprint=fingerprint)
    return dispatch.run_command(hub.services, COMMANDS, caller, name, dict(head), key or hub.services.entropy(8).hex())


def release(hub: Hub, job: Proposal, share_ppm: int = 1_000_000, **changes: Any) -> Reply:
    head = {"job": job.digest, "share_ppm": share_ppm, "reason": "reviewed", **changes}
    return command(hub, "model.release", head)


def rollback(hub: Hub, key: str = "") -> Reply:
    return command(hub, "model.rollback", {"name": NAME, "reason": "complaints"}, key=key)


def model(hub: Hub, job: Proposal) -> Model:
    found = hub.store.read("m", lambda tx: tx.models.get(job.digest))
    assert found is not None
    return found


def serving(hub: Hub) -> dict[str, int]:
    """The share that each model serves now, by job."""
    return {one.job: one.share_ppm for one in hub.store.read("s", lambda tx: tx.models.serving(NAME))}


def steps(hub: Hub) -> list[Head]:
    return [step.document.body for step in hub.store.read("s", lambda tx: tx.models.steps(NAME))]


def _aligned(hub: Hub) -> Digest:
    body = match_body(*NAMES, mode="align")
    made = hub.propose("match", body, matching.KIND.check)
    if made.state == proposals.PROPOSED:
        _ended(hub, _running(hub, made))
    return made.digest


def _running(hub: Hub, job: Proposal) -> Proposal:
    for name in NAMES:
        hub.decide(name, job.digest, job.kind)
    running: Proposal = hub.run(
        lambda services, tx: proposals.move(services, tx, hub.proposal(job.digest), proposals.RUNNING, hub.now())
    )
    return running


def _ended(hub: Hub, job: Proposal) -> None:
    hub.run(lambda services, tx: proposals.move(services, tx, job, proposals.COMPLETED, hub.now()))
