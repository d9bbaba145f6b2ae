"""Training runs: a Flower ServerApp in a thread of the hub, over requests that are durable tasks.

The app is executed again from its start after a restart. It draws no randomness and its message ids name run, round and
node, so it finds the answers that were stored before and goes on where it stopped. A phase's progress is written before
the next phase begins; bytes and durations follow from the tasks themselves.
"""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from ecowire import documents
from ecowire.status import Internal
from federation.plan import TrainingPlan
from hub import proposals, tasks, times
from hub.audit import HUB
from hub.proposals import ProposalInvalid
from hub.records import Head, Proposal, Task
from hub.services import DATA, NodeHandler, Services
from hub.store import Transaction
from hub.store_tasks import FAILED
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId

if TYPE_CHECKING:
    from federation.apps import Progress

log = logging.getLogger(__name__)

Results: TypeAlias = dict[str, Head | None]

FLOWER = "flower"
RESULT = "train-result"
RECORD = "model-record"


class AlignmentNotUsable(Failure):
    code = "ALIGNMENT_NOT_USABLE"
    kind = Kind.CONFLICT
    en = "the plan's alignment {digest} can't be used: {why}"
    zh = "方案引用的对齐任务 {digest} 不可用：{why}"


class TrainResultInvalid(Failure):
    code = "TRAIN_RESULT_INVALID"
    kind = Kind.INTEGRITY
    en = "the training result of {node} can't be used: {why}"
    zh = "{node} 的训练结果不可用：{why}"


class RunInterrupted(Failure):
    """The hub stops while a run waits: the thread ends, the run stays RUNNING and is resumed at the next start."""

    code = "RUN_INTERRUPTED"
    kind = Kind.UNAVAILABLE
    en = "the hub is stopping; the run goes on at its next start"
    zh = "枢纽正在停止；训练将在下次启动后继续"


class RunEnded(Failure):
    """The run was cancelled, expired or failed while its thread was waiting."""

    code = "RUN_ENDED"
    kind = Kind.CONFLICT
    en = "the run has ended meanwhile"
    zh = "训练任务已在此期间结束"


def check(services: Services, tx: Transaction, now: datetime, body: Head) -> None:
    """Raises PlanInvalid, AlignmentNotUsable or ProposalInvalid unless it is a plan over a completed alignment."""
    plan = TrainingPlan.from_body(body)
    job = tx.jobs.proposal(plan.alignment)
    if job is None or job.kind != "match" or job.body["mode"] != "align":
        raise AlignmentNotUsable(digest=plan.alignment[:16], why="there is no such match job of mode align")
    if job.state != proposals.COMPLETED:
        raise AlignmentNotUsable(digest=plan.alignment[:16], why=f"it is {job.state}")
    found = [entry.document.body.get("count") for entry in tx.jobs.documents(job.digest, "match-result")]
    if None in found:
        raise AlignmentNotUsable(digest=plan.alignment[:16], why="it stayed below its minimum")
    if outside := sorted(set(plan.partners) - set(job.parties)):
        raise ProposalInvalid(why=f"{', '.join(outside)} took no part in the alignment")


class TaskChannel:
    """federation.grid.RoundChannel on durable tasks: posting again finds the stored request and its answer."""

    def __init__(self, services: Services, job: Proposal, approvals: list[canonical.Value]) -> None:
        self._services = services
        self._job = job
        self._approvals = approvals

    def nodes(self) -> tuple[str, ...]:
        return self._job.parties

    def post(self, message_id: str, node: str, head: dict[str, canonical.Value], content: bytes) -> None:
        """Ask a node. Raises RunEnded where the run is over, NotRepeatable for another content under a known id."""
        full = {**head, "approvals": self._approvals} if head.get("round") == 1 else head
        now, phase = self._services.clock(), str(head.get("phase") or "round")

        def body(tx: Transaction) -> None:
            if _state(tx, self._job.digest) != proposals.RUNNING:
                raise RunEnded
            tasks.post(
                tx,
                now,
                task_id=message_id,
                node=PartnerId(node),
                kind=FLOWER,
                head=full,
                body=content,
                job=self._job.digest,
                phase=phase[:64],
            )

        self._services.store.run("training.post", body)

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> dict[str, bytes | Failure]:
        """Answers and failures of those that came in time. Raises RunInterrupted, RunEnded."""
        settled = self._services.waiters.wait(message_ids, timeout_seconds)
        if self._services.waiters.closed:
            raise RunInterrupted
        if self._services.store.read("training.state", lambda tx: _state(tx, self._job.digest)) != proposals.RUNNING:
            raise RunEnded
        return {task_id: _answer(task) for task_id, task in settled.items()}


class Runs:
    """The threads of the runs under way, at most one for each run."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}

    def advance(self, services: Services, digest: Digest) -> None:
        """Start the run once everybody approved; resume it where no thread has it."""
        now = services.clock()
        job = services.store.run("training.start", lambda tx: _started(services, tx, digest, now))
        if job is None:
            return
        with self._lock:
            known = self._threads.get(digest)
            if known is not None and known.is_alive():
                return
            thread = threading.Thread(target=self._run, args=(job,), name=f"run-{digest[:8]}", daemon=True)
            self._threads[digest] = thread
            thread.start()

    def stop(self) -> None:
        """Wait for the runs, which the closed waiters have interrupted; they resume at the next start."""
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(timeout=10)

    def _run(self, job: Proposal) -> None:
        services = self._services
        try:
            outcome = self._execute(job)
            now = services.clock()
            services.store.run("training.complete", lambda tx: _complete(services, tx, job.digest, outcome, now))
        except (RunInterrupted, RunEnded) as why:
            log.info("run %s: %s", job.digest[:16], why)
        except Failure as failure:
            self._fail(job, failure)
        except Exception:
            reference = services.entropy(4).hex()
            log.exception("run %s: internal error %s", job.digest[:16], reference)
            self._fail(job, Internal(reference=reference))

    def _execute(self, job: Proposal) -> Results:
        # Flower takes seconds to import; a hub that only matches and settles never needs it
        from flwr.app import Context, RecordDict

        from federation import apps, grid

        approvals = self._services.store.read("training.approvals", lambda tx: proposals.approvals_of(tx, job))
        channel = TaskChannel(self._services, job, approvals)
        outcome: Results = {}
        seconds = float(self._services.settings.round_seconds)
        app = apps.make_server_app(
            TrainingPlan.from_body(job.body),
            lambda progress: self._progress(job.digest, _round(progress)),
            outcome.update,
            clock=time.monotonic,
            timeout_seconds=seconds,
        )
        context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
        app(grid=grid.AllianceGrid(channel, job.digest, seconds), context=context)
        return outcome

    def _progress(self, digest: Digest, made: Head) -> None:
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

        self._services.store.run("training.progress", body)

    def _fail(self, job: Proposal, failure: Failure) -> None:
        now = self._services.clock()

        def body(tx: Transaction) -> None:
            current = tx.jobs.proposal(job.digest)
            if current is not None and current.state == proposals.RUNNING:
                proposals.fail(self._services, tx, current, now, failure)

        self._services.store.run("training.fail", body)


def _started(services: Services, tx: Transaction, digest: Digest, now: datetime) -> Proposal | None:
    """The run, RUNNING; None where it is not to run (not approved yet, or over)."""
    job = tx.jobs.proposal(digest)
    assert job is not None and job.kind == "train", "the engine drives training runs here"
    if job.state == proposals.APPROVED:
        job = proposals.move(services, tx, job, proposals.RUNNING, now)
    return job if job.state == proposals.RUNNING else None


def _complete(services: Services, tx: Transaction, digest: Digest, outcome: Results, now: datetime) -> None:
    """Verify and keep every party's signed result, and the model record that names all it came from."""
    job = tx.jobs.proposal(digest)
    assert job is not None
    if job.state != proposals.RUNNING:
        return  # cancelled or expired in the moment of its end
    kept = [_result(services, tx, job, party, outcome.get(party), now) for party in job.parties]
    holder = next(str(p["partner"]) for p in job.party_bodies if p["role"] == "label_holder")
    model = next(_record(document).get("model_digest") for document in kept if document.signer == holder)
    body: documents.Body = {
        "run": job.digest,
        "model": job.body["model"],
        "model_digest": model,
        "alignment": job.body["alignment"],
        "approvals": [item.document.digest for item in tx.jobs.approvals(job.digest)],
        "results": [document.digest for document in kept],
        "time": times.iso(now),
    }
    record = documents.sign(RECORD, body, HUB, services.log.key)
    tx.jobs.add_document(job.digest, record, now)
    services.log.append(tx, now, RECORD, job.digest, digest=record.digest, facts={"signer": HUB})
    proposals.move(services, tx, job, proposals.COMPLETED, now)


def _result(
    services: Services, tx: Transaction, job: Proposal, node: PartnerId, value: Head | None, now: datetime
) -> documents.Signed:
    if value is None:
        raise TrainResultInvalid(node=node, why="it is missing")
    document = documents.parse(value, kind=RESULT)
    party = next(p for p in job.party_bodies if p["partner"] == node)
    if document.signer != node or document.body.get("job") != job.digest:
        raise TrainResultInvalid(node=node, why="it is signed by another party or for another run")
    document.verify(bytes.fromhex(str(party["signing"])))
    proposals.keep_document(services, tx, job, document, now)
    return document


def _record(document: documents.Signed) -> Head:
    """The model record inside a party's result: figures and digests, no client data."""
    record = document.body.get("record")
    if not isinstance(record, dict):
        raise TrainResultInvalid(node=document.signer, why="it holds no record")
    return record


def _round(progress: "Progress") -> Head:
    """One finished round as a canonical value."""
    return {
        "round": progress.round,
        "phases": dict(progress.phases),
        "done": list(progress.done),
        "bytes": progress.bytes,
        "milliseconds": round(progress.seconds * 1000),
    }


def _state(tx: Transaction, digest: str) -> str:
    job = tx.jobs.proposal(digest)
    return job.state if job else ""


def _answer(task: Task) -> bytes | Failure:
    return tasks.failure_of(task) if task.state == FAILED else task.reply_body or b""


KIND = proposals.JobKind(roles=(DATA,), check=check)
NODE_REQUESTS: dict[str, NodeHandler] = {}
