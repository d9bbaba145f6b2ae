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
from hub.run_troubles import Troubles
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

ABSENT = "ABSENT"
PAUSING = ("ROUND_VOID", "QUORUM_MISSING")
START_SECONDS = Patience().start_seconds


def execute(services: Services, job: Proposal) -> "RunResult":
    """Drive the run from its newest checkpoint to its end.

    Raises QuorumMissing and RoundVoid, after which it can be resumed; RunInterrupted, RunEnded; the plan's failures,
    PartnersRefuse among them.
    """
    # Flower takes seconds to import; a hub that only matches and settles never needs it
    from flwr.app import Context, RecordDict

    from federation.grid import AllianceGrid
    from federation.horizontal import server
    from federation.horizontal.errors import QuorumMissing
    from federation.horizontal.identity import KeyVerifier

    plan = HorizontalPlan.from_body(job.body)
    store, troubles = services.store, Troubles(services, job.digest)
    books = Books(services, job.digest, troubles)
    approvals = store.read("training.approvals", lambda tx: proposals.approvals_of(tx, job))
    outcome: list[RunResult] = []
    ports = server.Ports(
        verifier=KeyVerifier({str(p["partner"]): bytes.fromhex(str(p["signing"])) for p in job.party_bodies}),
        load=books.load,
        save=books.save,
        decide=books.decide,
        on_event=lambda event: _tell(job, event, troubles),
        on_finished=outcome.append,
        clock=time.monotonic,
        resumes=store.read("run.resumes", lambda tx: tx.runs.resumes(job.digest)),
        patience_seconds=float(plan.deadline_seconds),
    )
    app = server.make_server_app(plan, plan.new_engine(), ports)
    channel = TaskChannel(services, job, approvals, patience(services), books)
    channel.assemble()
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    try:
        app(grid=AllianceGrid(channel, job.digest, float(plan.deadline_seconds)), context=context)
    except QuorumMissing as missing:
        raise troubles.never(plan) or missing from None
    finally:
        troubles.flush()
    return outcome[0]


def patience(services: Services) -> Patience:
    """Nodes have to find a hub again that has just started. One that has been there for long knows who is away."""
    return Patience(start_seconds=max(0.0, START_SECONDS - services.uptime_seconds()))


def complete(services: Services, tx: Transaction, job: Proposal, outcome: "RunResult", now: datetime) -> None:
    """Keep each partner's signed result and the run's record, and end the run.

    A result that is missing or does not hold is named in the record: one partner's word is not the others' model. A
    partner that was not there for the final figures is named by what its node said then, or as ABSENT.
    """
    record, kept = outcome.record(), []
    unusable: Head = {}
    last = {one.partner: one.code for one in tx.runs.troubles(job.digest) if one.round == outcome.plan.finish_round}
    for party in job.parties:
        if party not in outcome.told:
            unusable[party] = last.get(party, ABSENT)
            continue
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


def _tell(job: Proposal, event: "Event", troubles: Troubles) -> None:
    """What went wrong at a partner, for the people who follow the run and in the log of the hub's operators."""
    for one in troubles.take(event):
        where = f"{one.round}.{one.attempt} {one.phase}"
        log.warning("run %s round %s: %s: %s", job.digest[:16], where, one.partner, one.code)


class Books:
    """What one run keeps at the hub: its newest checkpoint, its decisions, its finished rounds, its troubles."""

    def __init__(self, services: Services, job: Digest, troubles: Troubles) -> None:
        self._services = services
        self._job = job
        self._troubles = troubles
        self._decided = services.store.read("run.decisions", lambda tx: tx.runs.decisions(job))
        self._waiting: dict[str, canonical.Value] = {}
        self._dropped = 0  # the newest task whose content has gone; a hub that starts again looks at all of them once

    def load(self) -> "Checkpoint | None":
        """The newest checkpoint. Raises CheckpointUnreadable."""
        from federation.horizontal.checkpoint import Checkpoint

        job = self._job
        saved, history = self._services.store.read(
            "run.load", lambda tx: (tx.runs.checkpoint(job), tx.runs.rounds(job))
        )
        return None if saved is None else Checkpoint.decode(saved.body, history)

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
        self._troubles.write(tx, now)

    def written(self) -> None:
        """The transaction that wrote them is committed."""
        self._waiting.clear()
        self._troubles.written()

    def _check(self, tx: Transaction) -> None:
        if state_of(tx, self._job) != proposals.RUNNING:
            raise RunEnded
