"""What a model came from, in one signed document: its run, who approved it, of which published data, measured how.

The document names everything by the digest under which the evidence bundle holds it, so that an examiner can walk from
a released model to every approval and every partner's own signed result. It holds no parameter and no client data.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from federation import fairness
from federation.fairness import Excess
from federation.metrics import Estimate
from federation.plan import LABEL_HOLDER, TrainingPlan
from federation.plan_models import Fairness
from federation.release import model_name
from hub import run_results, times
from hub.models_errors import NotRegistrable
from hub.records import Head, Proposal
from hub.store import Transaction
from privacy import canonical
from privacy.ids import PartnerId

FIGURES = ("auc", "auc_uplift", "average_precision", "average_precision_uplift", "brier", "log_loss")
KIND = "model-registration"
VERSION = 1


def registration(tx: Transaction, job: Proposal, number: int) -> Head:
    """The body of the document for a completed vertical run. Raises NotRegistrable."""
    plan = TrainingPlan.from_body(job.body)
    assert job.ended_at is not None, "the run has ended"
    results = {entry.document.signer: entry.document for entry in tx.jobs.documents(job.digest, run_results.RESULT)}
    records = [entry.document for entry in tx.jobs.documents(job.digest, run_results.RECORD)]
    if len(records) != 1 or set(results) != set(job.parties):
        raise NotRegistrable(job=job.digest[:16], why="its signed results are not there")
    held = run_results.record_of(results[plan.label_holder])
    parties = {party: run_results.record_of(document) for party, document in results.items()}
    try:
        measured, verdict = _evaluation(held), _fairness(held, plan.fairness)
        columns, dropped, weights = held["columns"], held["dropped"], held["weights_digests"]
        model = str(held["model_digest"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise NotRegistrable(job=job.digest[:16], why=f"its record: {type(error).__name__} {str(error)[:80]}") from None
    assert isinstance(columns, dict) and isinstance(dropped, dict) and isinstance(weights, dict), "as they were signed"
    approvals = {approval.partner: approval.document.digest for approval in tx.jobs.approvals(job.digest)}
    listed: list[canonical.Value] = [
        {
            "partner": party.partner,
            "role": party.role,
            "asset": party.asset,
            "assets": _published(tx, job, party.partner),
            "columns": columns.get(party.partner, []),
            "dropped": dropped.get(party.partner, []),
            "approval": approvals.get(party.partner),
            "result": results[party.partner].digest,
            "weights": weights.get(party.partner),
            "consents": results[party.partner].body.get("consents"),
            "disclosed": parties[party.partner].get("disclosed", []),
        }
        for party in plan.parties
    ]
    return {
        "version": VERSION,
        "name": model_name(job.body),
        "number": number,
        "job": job.digest,
        "alignment": plan.alignment,
        "alignment_approvals": {a.partner: a.document.digest for a in tx.jobs.approvals(plan.alignment)},
        "record": records[0].digest,
        "purpose": job.body["purpose"],
        "label": job.body["label"],
        "model": plan.model,
        "model_digest": model,
        "parties": listed,
        "train_rows": held["train_rows"],
        "test_rows": held["test_rows"],
        "test_positives": held["test_positives"],
        "evaluation": measured,
        "fairness": verdict,
        "valid_until": times.iso(job.ended_at + timedelta(days=plan.valid_days)),
    }


def label_holder(job: Proposal) -> PartnerId:
    """Whose label a vertical run's model predicts."""
    return next(PartnerId(str(party["partner"])) for party in job.party_bodies if party["role"] == LABEL_HOLDER)


def _published(tx: Transaction, job: Proposal, partner: str) -> str | None:
    """The digest of the list of assets that the partner had published when the run began."""
    assert job.started_at is not None
    found = [entry.document for entry in tx.jobs.documents("", "assets") if entry.received_at <= job.started_at]
    return next((document.digest for document in reversed(found) if document.signer == partner), None)


def _evaluation(held: Mapping[str, Any]) -> Head:
    """The full scorecard's figures; its uplift is over the label holder alone. Absent ones stay absent."""
    full = held["variants"][-1]
    return {name: _estimate(full[name]) for name in FIGURES if isinstance(full.get(name), dict)}


def _estimate(value: Mapping[str, Any]) -> Head:
    found = Estimate(**value)
    if any(type(one) is not int for one in (found.value_ppm, found.low_ppm, found.high_ppm)):
        raise TypeError("a figure is no integer")
    return {"value_ppm": found.value_ppm, "low_ppm": found.low_ppm, "high_ppm": found.high_ppm}


def _fairness(held: Mapping[str, Any], limits: Fairness | None) -> Head | None:
    """The verdict, taken anew from the record's figures under the plan's limits; None where the plan asks for none."""
    if limits is None:
        return None
    found = fairness.read(held["fairness"], limits)
    excesses: tuple[Excess, ...] = fairness.excesses(found, limits)
    return {
        **{f"{gap}_gap_ppm": limit for gap, limit in fairness.limits_of(limits).items()},
        **fairness.to_value(found, limits),
        "within": not excesses,
    }
