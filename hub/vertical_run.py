"""Vertical runs: a Flower ServerApp that relays sealed envelopes between the parties of an alignment.

The app is executed again from its start after a restart. It draws no randomness and its message ids name run, round and
node, so it finds the answers that were stored before and goes on where it stopped. A phase's progress is written before
the next phase begins; bytes and durations follow from the tasks themselves.
"""

import time
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from federation.plan import TrainingPlan
from hub import contributions, models, proposals, run_results
from hub.records import Head, Proposal
from hub.round_channel import TaskChannel
from hub.services import Services
from hub.store import Transaction
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId

if TYPE_CHECKING:
    from federation.apps import Progress

Results: TypeAlias = dict[str, Head | None]


def execute(services: Services, job: Proposal) -> Results:
    """Drive the run until every party has given its result. Raises the run's failures, RunInterrupted, RunEnded."""
    # Flower takes seconds to import; a hub that only matches and settles never needs it
    from flwr.app import Context, RecordDict

    from federation import apps, grid

    approvals = services.store.read("training.approvals", lambda tx: proposals.approvals_of(tx, job))
    outcome: Results = {}
    seconds = float(services.settings.round_seconds)
    app = apps.make_server_app(
        TrainingPlan.from_body(job.body),
        lambda progress: _progress(services, job.digest, _round(progress)),
        outcome.update,
        clock=time.monotonic,
        timeout_seconds=seconds,
    )
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    app(grid=grid.AllianceGrid(TaskChannel(services, job, approvals), job.digest, seconds), context=context)
    return outcome


def pauses(failure: Failure) -> bool:
    """A vertical run that can't go on has failed: its rounds build on each other, none can be asked again."""
    return False


def complete(services: Services, tx: Transaction, job: Proposal, outcome: Results, now: datetime) -> None:
    """Verify and keep every party's signed result, and the model record that names all it came from."""
    kept = [run_results.read_result(job, party, outcome.get(party)) for party in job.parties]
    for document in kept:
        proposals.keep_document(services, tx, job, document, now)
    contributions.keep(services, tx, job, kept, now)
    holder = next(str(p["partner"]) for p in job.party_bodies if p["role"] == "label_holder")
    digests = {document.signer: run_results.record_of(document).get("model_digest") for document in kept}
    facts: Head = {
        "model_digest": digests[PartnerId(holder)],
        "alignment": job.body["alignment"],
        "results": [document.digest for document in kept],
    }
    run_results.keep_record(services, tx, job, facts, now)
    models.register(services, tx, proposals.move(services, tx, job, proposals.COMPLETED, now), now)


def _progress(services: Services, digest: Digest, made: Head) -> None:
    """Write a finished round. Rounds that a resumed run walks through again keep their first figures."""

    def body(tx: Transaction) -> None:
        job = tx.jobs.proposal(digest)
        if job is None or job.state != proposals.RUNNING:
            return
        rounds = job.progress.get("rounds")
        known = list(rounds) if isinstance(rounds, list) else []
        if any(isinstance(item, dict) and item["round"] == made["round"] for item in known):
            return
        phases, done = made["phases"], made["done"]
        assert isinstance(phases, dict) and isinstance(done, list)
        parties: Head = {name: {"phase": phase, "done": name in done} for name, phase in phases.items()}
        tx.jobs.set_progress(job, {"parties": parties, "rounds": [*known, made]})

    services.store.run("training.progress", body)


def _round(progress: "Progress") -> Head:
    """One finished round as a canonical value."""
    return {
        "round": progress.round,
        "phases": dict(progress.phases),
        "done": list(progress.done),
        "bytes": progress.bytes,
        "milliseconds": round(progress.seconds * 1000),
    }
