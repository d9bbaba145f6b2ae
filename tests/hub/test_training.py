"""Training runs at the hub: Flower over durable tasks, resumed after a crash, ended under a name, results verified."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecowire import documents
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation import grid
from federation.errors import PlanInvalid
from federation.grid import Request
from federation.plan import TrainingPlan
from hub import dispatch, proposals, round_channel, training
from hub.records import Head, Proposal, Task
from hub.round_channel import TaskChannel
from hub.runs import Runs
from hub.services import Services
from hub.store import Store
from hub.training import AlignmentNotUsable
from hub.waiters import Waiters
from privacy.errors import Failure
from privacy.ids import Digest
from tests.federation import alliance as parties
from tests.hub.alliance import Hub, hub_without_ports, party
from tests.hub.relay import Script, approved, caller, failing
from tests.hub.test_matching import ALIGN

pytestmark = pytest.mark.slow_flow

NAMES = ("broker", "bank", "platform")
TABLES, COLUMNS = parties.synthetic(rows=900)
WAIT_SECONDS = 60


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *NAMES) as made:
        yield made


def aligned(hub: Hub, **changes: Any) -> Digest:
    """A completed alignment of the three."""
    job = approved(hub, "broker", "bank", "platform", mode="align")
    script = {"broker": ALIGN["broker"], "bank": ALIGN["bank"], "platform": ALIGN["insurer"]}
    script["broker"] = [["bank", "platform"], [], ["bank", "platform"]]
    done = Script(hub, job, script, **changes).run()
    assert done.state == "COMPLETED"
    return done.digest


def plan_body(alignment: str, **changes: Any) -> Head:
    return {**parties.body(COLUMNS, alignment=alignment, expires="2026-10-02T08:00:00Z"), **changes}


def propose(hub: Hub, **changes: Any) -> Proposal:
    return hub.propose("train", plan_body(aligned(hub), **changes), training.check)


def approve(hub: Hub, job: Proposal) -> Proposal:
    for name in NAMES:
        hub.decide(name, job.digest, "train")
    return hub.proposal(job.digest)


class Node(parties.Node):
    """A party of the run that signs its result as a partner of this hub."""

    def __init__(self, hub: Hub, plan: TrainingPlan, name: str) -> None:
        super().__init__(plan, name, TABLES[name])
        self.hub = hub
        self.changes: Head = {}

    def participate(self, round_: int, head: dict[str, Any], incoming: list[bytes]) -> Any:
        out, done, phase, record = super().participate(round_, head, incoming)
        return out, done, phase, self.result(record) if record is not None else None

    def result(self, record: Head) -> Any:
        role = "label_holder" if self.partner == "broker" else "feature_holder"
        body: Head = {"job": self.plan.digest, "partner": self.partner, "role": role, "record": record, "time": "now"}
        return self.hub.parties[self.partner].sign("train-result", {**body, **self.changes}).to_value()


class Nodes:
    """Answers a run's requests as they appear. Answers are kept: a node gives the same one to the same request."""

    def __init__(self, hub: Hub, job: Proposal) -> None:
        self.hub, self.job = hub, job
        plan = TrainingPlan.from_body(job.body)
        self.nodes = {name: Node(hub, plan, name) for name in NAMES}
        self.answers: dict[str, Message] = {}
        self.requests: dict[str, str] = {}

    def open(self, services: Services) -> list[Task]:
        found = services.store.read("open", lambda tx: tx.tasks.of_job(self.job.digest, kind="flower"))
        return [task for task in found if task.state == "OPEN"]

    def answer(self, services: Services, task: Task) -> None:
        if task.id not in self.answers:
            body = grid.answer(self.nodes[task.node].app, task.body or b"", task.node, task.id)
            self.answers[task.id] = Message(id=task.id, kind=task.kind).reply("ok", {}, body)
        assert self.requests.setdefault(task.id, task.digest) == task.digest, "a request changed over the restart"
        dispatch.take_answer(services, {}, caller(self.hub, task.node), self.answers[task.id])

    def drive(self, services: Services, until: Any) -> None:
        """Answer until `until()` is true or the job has ended."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not until() and self.hub.proposal(self.job.digest).state == "RUNNING":
            assert time.monotonic() < deadline, "the run does not end"
            for task in self.open(services):
                self.answer(services, task)
            time.sleep(0.01)


def finish(hub: Hub, job: Proposal, nodes: Nodes, services: Services | None = None) -> Proposal:
    services = services or hub.services
    runs = Runs(services)
    runs.advance(services, job.digest)
    nodes.drive(services, lambda: False)
    services.waiters.close()
    runs.stop()
    return hub.proposal(job.digest)


def results(hub: Hub, job: Proposal) -> dict[str, documents.Signed]:
    found = hub.store.read("d", lambda tx: tx.jobs.documents(job.digest))
    return {f"{d.document.kind}/{d.document.signer}": d.document for d in found}


def test_a_run_ends_with_verified_results_and_a_model_record_that_names_its_lineage(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    done = finish(hub, job, Nodes(hub, job))
    assert (done.state, done.reason) == ("COMPLETED", {})
    found = results(hub, job)
    registered = {"model-registration/hub", "model-step/hub"}
    assert set(found) == {"model-record/hub", *registered, *(f"train-result/{name}" for name in NAMES)}
    record = found["model-record/hub"]
    record.verify(hub.services.log.key.public)
    own = found["train-result/broker"].body["record"]
    assert isinstance(own, dict)
    assert record.body["model_digest"] == own["model_digest"]
    assert record.body["alignment"] == job.body["alignment"]
    assert record.body["results"] == [found[f"train-result/{name}"].digest for name in NAMES]
    approvals = hub.store.read("a", lambda tx: tx.jobs.approvals(job.digest))
    assert record.body["approvals"] == [item.document.digest for item in approvals]
    kinds = [kind for kind, subject in hub.leaves() if subject == job.digest]
    assert kinds.count("train-result") == 3
    assert kinds[-4:] == ["model-record", "job", "model-registration", "model-step"]


def test_every_finished_round_is_written_with_its_phases_bytes_and_time(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    done = finish(hub, job, Nodes(hub, job))
    rounds: Any = hub.store.read("r", lambda tx: tx.runs.rounds(done.digest))
    assert [item["round"] for item in rounds] == list(range(1, len(rounds) + 1))
    assert all(item["milliseconds"] >= 0 for item in rounds)
    assert sum(item["bytes"] for item in rounds) > 100_000
    assert set(rounds[-1]["done"]) == set(NAMES)
    phases = {cost.phase for cost in hub.store.read("c", lambda tx: tx.tasks.costs(job.digest))}
    assert {"hints", "products", "weights"} <= phases
    bodies = hub.store.read("t", lambda tx: [(t.body, t.reply_body) for t in tx.tasks.of_job(job.digest)])
    assert set(bodies) == {(None, None)}


def test_only_the_first_round_carries_the_approvals(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    nodes = Nodes(hub, job)
    finish(hub, job, nodes)
    heads = hub.store.read("t", lambda tx: [t.head for t in tx.tasks.of_job(job.digest, kind="flower")])
    assert [("approvals" in head) for head in heads] == [head["round"] == 1 for head in heads]
    assert {head["run"] for head in heads} == {job.digest}


ROUNDS = {"model": "logistic", "logistic": {"rounds": 3, "plateau_ppm": 0}}


@pytest.mark.parametrize(
    ("answers_before", "model"),
    [(1, {}), (8, {}), (14, {}), (32, ROUNDS), (38, ROUNDS)],
    ids=["1", "8", "14", "32 of rounds", "38 of rounds"],
)
def test_a_hub_that_dies_mid_run_goes_on_and_ends_with_the_same_model(
    hub: Hub, answers_before: int, model: dict[str, Any]
) -> None:
    job = approve(hub, propose(hub, **model))
    nodes = Nodes(hub, job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    nodes.drive(hub.services, lambda: len(nodes.answers) >= answers_before)
    hub.services.waiters.close()  # the thread ends where it waits, as in a dying process
    runs.stop()
    assert hub.proposal(job.digest).state == "RUNNING"
    asked = set(nodes.requests)
    fresh = Store(hub.settings.database)
    again = replace(hub.services, store=fresh, waiters=Waiters(fresh))
    done = finish(hub, job, nodes, again)
    fresh.close()
    assert done.state == "COMPLETED"
    assert asked <= set(nodes.requests)
    rounds: Any = hub.store.read("r", lambda tx: tx.runs.rounds(done.digest))
    assert [item["round"] for item in rounds] == list(range(1, len(rounds) + 1))
    plain: Any = results(hub, job)["train-result/broker"].body["record"]
    assert plain["model_digest"] == uninterrupted_model(hub, job)


def uninterrupted_model(hub: Hub, job: Proposal) -> str:
    """The digest of the same plan run in one go, without a hub."""
    plan = TrainingPlan.from_body(job.body)
    done = parties.pump(plan, TABLES)
    result: Any = done["broker"].result()
    return str(result.model_digest)


def test_a_run_whose_node_refuses_fails_under_the_nodes_code(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    nodes = Nodes(hub, job)
    wait_for(lambda: len(nodes.open(hub.services)) == 3)
    for task in nodes.open(hub.services):
        reply = failing(Message(id=task.id, kind=task.kind).reply("ok", {}), MalformedMessage(why="no consent"))
        dispatch.take_answer(hub.services, {}, caller(hub, task.node), reply)
    wait_for(lambda: hub.proposal(job.digest).state == "FAILED")
    ended = hub.proposal(job.digest)
    assert "MALFORMED_MESSAGE" in str(ended.reason)
    assert ended.reason["code"] == "PARTY_FAILED"
    runs.stop()


def test_a_run_whose_node_stays_away_fails_by_name(tmp_path: Path) -> None:
    with hub_without_ports(tmp_path, *NAMES, round_seconds=1) as hub:
        job = approve(hub, propose(hub))
        runs = Runs(hub.services)
        runs.advance(hub.services, job.digest)
        wait_for(lambda: hub.proposal(job.digest).state == "FAILED")
        assert hub.proposal(job.digest).reason["code"] == "ROUND_TIMED_OUT"
        runs.stop()


def test_a_cancelled_run_stays_cancelled(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    nodes = Nodes(hub, job)
    wait_for(lambda: len(nodes.open(hub.services)) == 3)
    hub.store.run("c", lambda tx: proposals.cancel(hub.services, tx, hub.proposal(job.digest), hub.now(), "dana"))
    wait_for(lambda: not any(thread.name.startswith("run-") for thread in threading.enumerate()))
    assert hub.proposal(job.digest).state == "CANCELLED"
    assert nodes.open(hub.services) == []
    runs.stop()


RESULTS: list[tuple[Head, str]] = [
    ({"job": "00" * 32}, "TRAIN_RESULT_INVALID"),
    ({"record": "none"}, "TRAIN_RESULT_INVALID"),
]


@pytest.mark.parametrize(("changes", "code"), RESULTS)
def test_a_result_that_does_not_hold_fails_the_run(hub: Hub, changes: Head, code: str) -> None:
    job = approve(hub, propose(hub))
    nodes = Nodes(hub, job)
    nodes.nodes["broker"].changes = changes
    ended = finish(hub, job, nodes)
    assert (ended.state, ended.reason["code"]) == ("FAILED", code)
    assert "model-record/hub" not in results(hub, job)


def test_a_result_signed_by_another_party_fails_the_run(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    nodes = Nodes(hub, job)
    forger = nodes.nodes["bank"]
    forger.result = nodes.nodes["platform"].result  # type: ignore[method-assign]
    assert finish(hub, job, nodes).reason["code"] == "TRAIN_RESULT_INVALID"


def test_a_result_under_another_key_fails_the_run(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    nodes = Nodes(hub, job)
    stolen = replace(hub.parties["bank"], signing=party("bank", b"forger").signing)
    hub.parties["bank"] = stolen
    ended = finish(hub, job, nodes)
    assert (ended.state, ended.reason["code"]) == ("FAILED", "BAD_SIGNATURE")


# --- what may be proposed


def test_a_plan_over_an_alignment_that_is_not_there_or_not_done_is_refused(hub: Hub) -> None:
    count = approved(hub, "broker", "bank")
    pending = approved(hub, "broker", "bank", "platform", mode="align", nonce="11" * 16)
    for digest in ("ab" * 32, count.digest, pending.digest):
        with pytest.raises(AlignmentNotUsable):
            hub.propose("train", plan_body(digest), training.check)


def test_a_plan_over_an_alignment_below_its_minimum_is_refused(hub: Hub) -> None:
    digest = aligned(hub, count=None)
    with pytest.raises(AlignmentNotUsable, match="below its minimum"):
        hub.propose("train", plan_body(digest), training.check)


def test_a_plan_that_breaks_a_rule_is_refused(hub: Hub) -> None:
    with pytest.raises(PlanInvalid):
        propose(hub, cell_minimum=1)


# --- the channel


def test_the_channel_finds_stored_answers_and_refuses_another_content(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    job = hub.store.run("r", lambda tx: proposals.move(hub.services, tx, job, "RUNNING", hub.now()))
    channel = TaskChannel(hub.services, job, [])
    channel.post([request(b"content")])
    reply = Message(id="r-1-bank", kind="flower").reply("ok", {}, b"answer")
    dispatch.take_answer(hub.services, {}, caller(hub, "bank"), reply)
    channel.post([request(b"content")])
    assert channel.collect(["r-1-bank"], 1.0) == {"r-1-bank": b"answer"}
    with pytest.raises(Failure) as caught:
        channel.post([request(b"another content")])
    assert caught.value.code == "RUN_NOT_REPEATABLE"
    assert channel.collect(["r-1-bank", "never"], 0.05) == {"r-1-bank": b"answer"}


def test_the_channel_of_a_run_that_has_ended_asks_nobody_any_more(hub: Hub) -> None:
    job = approve(hub, propose(hub))
    running = hub.store.run("r", lambda tx: proposals.move(hub.services, tx, job, "RUNNING", hub.now()))
    channel = TaskChannel(hub.services, running, [])
    hub.store.run("c", lambda tx: proposals.cancel(hub.services, tx, running, hub.now(), "dana"))
    with pytest.raises(round_channel.RunEnded):
        channel.post([request(b"content")])
    with pytest.raises(round_channel.RunEnded):
        channel.collect(["r-1-bank"], 0.01)
    assert hub.store.read("t", lambda tx: tx.tasks.get("r-1-bank")) is None


def request(content: bytes, message_id: str = "r-1-bank", node: str = "bank", **head: Any) -> Request:
    return Request(message_id=message_id, node=node, head={"round": 2, "phase": "p", **head}, content=content)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
