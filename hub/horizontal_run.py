"""Horizontal runs: rounds of protected sums over durable tasks, with a checkpoint after each.

A run that is started again goes on from its newest checkpoint; within the round it finds the answers and decisions that
were stored, so it ends with the same weights. Contents of finished rounds are dropped with the checkpoint: what a run
keeps does not grow with its length.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ecowire import documents
from federation.plan_horizontal import HorizontalPlan
from hub import proposals, run_results
from hub.records import Head, Proposal
from hub.round_channel import Patience, RunEnded, TaskChannel, state_of
from hub.run_results import TrainResultInvalid
from hub.services import Services
from hub.store import Transaction
from hub.store_runs import SavedRun
from hub.tasks import FLOWER
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId

if TYPE_CHECKING:
    from federation.horizontal.checkpoint import Checkpoint
    from federation.horizontal.coordinator import Event
    from federation.horizontal.results import RunResult

log = logging.getLogger(__name__)

PAUSING = ("ROUND_VOID", "QUORUM_MISSING")
SETTLED = ("asked", "ok")  # a partner's state in an event; another one is what went wrong there


def execute(services: Services, job: Proposal) -> "RunResult":
    """Drive the run from its newest checkpoint to its end.

    Raises QuorumMissing and RoundVoid, after which it can be resumed; RunInterrupted, RunEnded; the plan's failures.
    """
    # Flower takes seconds to import; a hub that only matches and settles never needs it
    from flwr.app import Context, RecordDict

    from federation.grid import AllianceGrid
    from federation.horizontal import server
    from federation.horizontal.identity import KeyVerifier

    plan = HorizontalPlan.from_body(job.body)
    store, books = services.store, Books(services, job.digest)
    approvals = store.read("training.approvals", lambda tx: proposals.approvals_of(tx, job))
    outcome: list[RunResult] = []
    ports = server.Ports(
        verifier=KeyVerifier({str(p["partner"]): bytes.fromhex(str(p["signing"])) for p in job.party_bodies}),
        load=books.load,
        save=books.save,
        decide=books.decide,
        on_event=lambda event: _tell(job, event),
        on_finished=outcome.append,
        clock=time.monotonic,
        resumes=store.read("run.resumes", lambda tx: tx.runs.resumes(job.digest)),
        patience_seconds=float(plan.deadline_seconds),
    )
    app = server.make_server_app(plan, plan.new_engine(), ports)
    channel = TaskChannel(services, job, approvals, Patience(), books)
    channel.assemble()
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    app(grid=AllianceGrid(channel, job.digest, float(plan.deadline_seconds)), context=context)
    return outcome[0]


def complete(services: Services, tx: Transaction, job: Proposal, outcome: "RunResult", now: datetime) -> None:
    """Keep each partner's signed result and the run's record, and end the run.

    A result that is missing or does not hold is named in the record: one partner's word is not the others' model.
    """
    record, kept = outcome.record(), []
    unusable: Head = {}
    for party in job.parties:
        try:
            kept.append(_result(services, tx, job, party, outcome, now))
        except Failure as failure:
            unusable[party] = failure.code
    facts: Head = {
        "model_digest": record["model_digest"],
        "record": record,
        "results": [document.digest for document in kept],
        "unusable": unusable,
    }
    run_results.keep_record(services, tx, job, facts, now)
    proposals.move(services, tx, job, proposals.COMPLETED, now)


def pauses(failure: Failure) -> bool:
    """Too few partners, a sum that did not open, a database that is full: all of it can be otherwise later."""
    return failure.code in PAUSING or failure.kind is Kind.UNAVAILABLE


def _result(
    services: Services, tx: Transaction, job: Proposal, party: PartnerId, outcome: "RunResult", now: datetime
) -> documents.Signed:
    document = run_results.read_result(job, party, outcome.told.get(party))
    if run_results.record_of(document).get("model_digest") != outcome.model.digest:
        raise TrainResultInvalid(node=party, why="it is of another model")
    proposals.keep_document(services, tx, job, document, now)
    return document


def _tell(job: Proposal, event: "Event") -> None:
    """What went wrong at a partner, for the hub's operators; people follow a run by its requests."""
    for partner, state in event.states.items():
        if state not in SETTLED:
            where = f"{event.round}.{event.attempt} {event.phase}"
            log.warning("run %s round %s: %s: %s", job.digest[:16], where, partner, state)


class Books:
    """What one run keeps at the hub: its newest checkpoint, its decisions, its finished rounds."""

    def __init__(self, services: Services, job: Digest) -> None:
        self._services = services
        self._job = job
        self._decided = services.store.read("run.decisions", lambda tx: tx.runs.decisions(job))
        self._waiting: dict[str, canonical.Value] = {}
        self._dropped = 0  # the newest task whose content has gone; a hub that starts again looks at all of them once

    def load(self) -> "Checkpoint | None":
        """The newest checkpoint. Raises CheckpointUnreadable."""
        from federation.horizontal.checkpoint import Checkpoint

        saved = self._services.store.read("run.load", lambda tx: tx.runs.checkpoint(self._job))
        return None if saved is None else Checkpoint.decode(saved.body)

    def save(self, checkpoint: "Checkpoint") -> None:
        """Keep a finished round and drop the contents of what led to it, in one transaction. Raises RunEnded."""
        now, body = self._services.clock(), checkpoint.encode()
        facts = [item.to_value() for item in checkpoint.history if item.round == checkpoint.round]

        def write(tx: Transaction) -> int:
            self._check(tx)
            self.write_decisions(tx)
            tx.runs.save_checkpoint(self._job, SavedRun(round=checkpoint.round, body=body), now)
            for item in facts:
                tx.runs.add_round(self._job, checkpoint.round, item, now)
            return tx.tasks.drop_content(self._job, FLOWER, self._dropped)

        self._dropped = self._services.store.run("run.save", write)
        self.written()

    def decide(self, name: str, make: Callable[[], canonical.Value]) -> canonical.Value:
        """The first value decided under this name; `make` is called where there is none.

        It is written together with the next requests or checkpoint: before these, nobody can have learned of it.
        """
        if name not in self._decided:
            self._decided[name] = self._waiting[name] = make()
        return self._decided[name]

    def write_decisions(self, tx: Transaction) -> None:
        """Keep what was decided since the last time. Written again where the transaction is tried again."""
        now = self._services.clock()
        for name, value in self._waiting.items():
            held = tx.runs.decide(self._job, name, value, now)
            assert held == value, "one thread drives a run, and it has read what was decided before"

    def written(self) -> None:
        """The transaction that wrote them is committed."""
        self._waiting.clear()

    def _check(self, tx: Transaction) -> None:
        if state_of(tx, self._job) != proposals.RUNNING:
            raise RunEnded
