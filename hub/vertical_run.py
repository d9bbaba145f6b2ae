"""Vertical runs: a Flower ServerApp that relays sealed envelopes between the parties of an alignment.

The app is executed again from its start after a restart. It draws no randomness and its message ids name run, round and
node, so it finds the answers that were stored before and goes on where it stopped. What a round came to is written in
the transaction that asks for the next; bytes and durations of phases follow from the tasks themselves.
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
    seconds, rounds = float(services.settings.round_seconds), _Rounds(services, job.digest)
    app = apps.make_server_app(
        TrainingPlan.from_body(job.body),
        rounds.finished,
        outcome.update,
        clock=time.monotonic,
        timeout_seconds=seconds,
    )
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    channel = TaskChannel(services, job, approvals, notes=rounds)
    app(grid=grid.AllianceGrid(channel, job.digest, seconds), context=context)
    rounds.write_last()
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


class _Rounds:
    """Finished rounds on their way into the books (hub.round_channel.Notes).

    Rounds that a resumed run walks through again keep their first figures.
    """

    def __init__(self, services: Services, digest: Digest) -> None:
        self._services = services
        self._digest = digest
        self._waiting: list[Progress] = []

    def finished(self, progress: "Progress") -> None:
        self._waiting.append(progress)

    def write_decisions(self, tx: Transaction) -> None:
        now = self._services.clock()
        for one in self._waiting:
            tx.runs.add_round(self._digest, one.round, _round(one), now)
        if self._waiting:
            last = self._waiting[-1]
            parties: Head = {name: {"phase": phase, "done": name in last.done} for name, phase in last.phases.items()}
            tx.jobs.show_progress(self._digest, {"parties": parties})

    def written(self) -> None:
        self._waiting.clear()

    def write_last(self) -> None:
        """Of the round after which nothing is asked any more."""
        self._services.store.run("training.progress", self.write_decisions)
        self.written()


def _round(progress: "Progress") -> Head:
    """One finished round as a canonical value."""
    return {
        "round": progress.round,
        "phases": dict(progress.phases),
        "done": list(progress.done),
        "bytes": progress.bytes,
        "milliseconds": round(progress.seconds * 1000),
    }
