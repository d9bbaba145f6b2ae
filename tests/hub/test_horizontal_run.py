"""Horizontal runs at the hub: real rounds over durable tasks; started, resumed in every phase, paused, bounded."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hub import horizontal_run, jobs, proposals
from hub.identity import Caller
from hub.records import Head, Proposal
from hub.runs import Runs
from hub.services import Services
from hub.store import Store, Transaction
from hub.waiters import Waiters
from privacy.canonical import Value
from privacy.errors import Failure
from tests.hub.alliance import Hub, hub_without_ports
from tests.hub.horizontal import BANKS, Nodes, approved, command, run_through, wait_for_threads
from tests.hub.relay import caller

pytestmark = pytest.mark.slow_flow

PHASES = [
    *("0.0.deal", "0.0.hold", "0.0.statistics", "0.0.answer"),
    *("1.0.train", "1.0.answer", "2.0.deal", "2.0.hold", "2.0.train", "2.0.answer", "3.0.answer"),
    *("4.0.deal", "4.0.finish", "4.0.answer"),
]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *BANKS) as made:
        yield made


def documents(hub: Hub, job: Proposal, kind: str) -> dict[str, Any]:
    found = hub.store.read("d", lambda tx: tx.jobs.documents(job.digest, kind))
    return {entry.document.signer: entry.document for entry in found}


def record(hub: Hub, job: Proposal) -> Any:
    return documents(hub, job, "model-record")["hub"].body


def shown(hub: Hub, job: Proposal) -> Any:
    """What people see of it."""
    dana = Caller(name="dana", role="data", fingerprint="")
    head: Head = {"digest": job.digest}
    return hub.store.read("j", lambda tx: jobs.job(hub.services, tx, dana, hub.now(), head)).head


@cache
def undisturbed(folder: Path) -> tuple[str, tuple[str, ...]]:
    """(model digest, groups of requests) of the same plan run in one go."""
    with hub_without_ports(folder, *BANKS) as hub:
        job = approved(hub, *BANKS)
        nodes = Nodes(hub, job)
        run_through(hub, job, nodes)
        return record(hub, job)["model_digest"], tuple(nodes.groups())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, tuple[str, ...]]:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


def restarted(hub: Hub) -> tuple[Store, Services]:
    """The services of a hub that starts again over the same database."""
    fresh = Store(hub.settings.database)
    return fresh, replace(hub.services, store=fresh, waiters=Waiters(fresh))


def started(hub: Hub, job: Proposal) -> Runs:
    command(hub, "start", job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    return runs


def test_a_run_ends_with_a_record_every_partners_signed_figures_and_a_curve(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    done = run_through(hub, job, nodes)
    assert (done.state, done.reason) == ("COMPLETED", {})
    made, results = record(hub, job), documents(hub, job, "train-result")
    assert set(results) == set(BANKS)
    assert made["results"] == [results[name].digest for name in BANKS]
    assert made["unusable"] == {}
    assert {result.body["record"]["model_digest"] for result in results.values()} == {made["model_digest"]}
    assert len(made["approvals"]) == 4
    run = shown(hub, job)["run"]
    assert [item["round"] for item in run["history"]] == [1, 2, 3]
    assert [item["loss_micro"] for item in run["history"]] == made["record"]["loss_micro"]
    assert made["record"]["loss_micro"][0] == 693147  # ln 2: the untrained model
    assert made["record"]["loss_micro"][-1] < 600_000
    assert {item["phase"] for item in shown(hub, job)["phases"]} == {p.split(".")[2] for p in PHASES}
    kinds = [kind for kind, subject in hub.leaves() if subject == job.digest]
    assert kinds[-2:] == ["model-record", "job"]


def test_a_plan_waits_for_its_start(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    assert hub.proposal(job.digest).state == "APPROVED"
    assert shown(hub, job)["run"]["round"] is None
    runs.stop()


@pytest.mark.parametrize("group", PHASES)
def test_a_hub_that_dies_in_a_phase_ends_with_the_same_weights(
    hub: Hub, whole: tuple[str, tuple[str, ...]], group: str
) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    nodes.drive(hub.services, lambda: sum(f"-{group}-" in task_id for task_id in nodes.answers) >= 2)
    hub.services.waiters.close()  # the thread ends where it waits, as in a dying process
    runs.stop()
    assert hub.proposal(job.digest).state == "RUNNING"
    fresh, again = restarted(hub)
    Runs(again).advance(again, job.digest)
    done = nodes.drive(again)
    wait_for_threads()
    fresh.close()
    assert (done.state, record(hub, job)["model_digest"]) == ("COMPLETED", whole[0])
    assert tuple(nodes.groups()) == whole[1]
    assert record(hub, job)["record"]["void_attempts"] == 0


def test_a_node_that_leaves_in_a_round_is_done_without_and_comes_back_in_a_later_one(hub: Hub) -> None:
    job = approved(hub, *BANKS, training={"rounds": 4})
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    nodes.drive(hub.services, lambda: "1.0.answer" in nodes.groups())
    nodes.leave("bank-d")
    nodes.drive(hub.services, lambda: "3.0.train" in nodes.groups())
    live = shown(hub, job)["run"]
    assert (live["round"], live["parties"]["bank-d"]["connected"]) == (3, False)
    nodes.come("bank-d")
    done = nodes.drive(hub.services)
    runs.stop()
    assert (done.state, done.reason) == ("COMPLETED", {})
    history = shown(hub, job)["run"]["history"]
    cohorts = {item["round"]: item["cohort"] for item in history}
    assert cohorts[2] == ["bank-a", "bank-b", "bank-c"]
    assert cohorts[4] == list(BANKS)
    assert set(documents(hub, job, "train-result")) == set(BANKS)


def test_too_few_nodes_pause_a_run_and_a_person_resumes_it(hub: Hub, whole: tuple[str, tuple[str, ...]]) -> None:
    job = approved(hub, *BANKS, deadline_seconds=1)
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    nodes.drive(hub.services, lambda: "2.0.answer" in nodes.groups())
    nodes.leave("bank-a", "bank-b")
    paused = nodes.drive(hub.services)
    wait_for_threads()
    assert (paused.state, paused.reason["code"]) == ("PAUSED", "QUORUM_MISSING")
    assert "bank-a" in str(paused.reason["en"])
    assert paused.ended_at is None
    runs.advance(hub.services, job.digest)
    assert hub.proposal(job.digest).state == "PAUSED"  # nothing goes on by itself
    nodes.come("bank-a", "bank-b")
    command(hub, "resume", job)
    runs.advance(hub.services, job.digest)
    done = nodes.drive(hub.services)
    wait_for_threads()
    assert (done.state, done.started_at) == ("COMPLETED", paused.started_at)
    assert [item["round"] for item in shown(hub, job)["run"]["history"]] == [1, 2, 3]


@pytest.mark.parametrize("phase", ["deal", "hold", "train", "answer"])
def test_a_run_that_lost_its_quorum_in_a_phase_goes_on_from_there(hub: Hub, phase: str) -> None:
    job = approved(hub, *BANKS, deadline_seconds=2)
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    nodes.drive(hub.services, lambda: f"2.0.{phase}" in nodes.groups())  # one of them has answered
    nodes.leave("bank-c", "bank-d")
    paused = nodes.drive(hub.services)
    wait_for_threads()
    assert (paused.state, paused.reason["code"]) == ("PAUSED", "QUORUM_MISSING")
    nodes.come("bank-c", "bank-d")
    command(hub, "resume", job)
    runs.advance(hub.services, job.digest)
    done = nodes.drive(hub.services)
    wait_for_threads()
    assert (done.state, done.reason) == ("COMPLETED", {})
    assert [item["round"] for item in shown(hub, job)["run"]["history"]] == [1, 2, 3]


def test_an_unknown_error_pauses_a_run_under_a_reference(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    save, broken = horizontal_run.Books.save, [True]

    def fail(books: horizontal_run.Books, checkpoint: Any) -> None:
        if checkpoint.round == 2 and broken:
            raise RuntimeError("secret detail")
        save(books, checkpoint)

    monkeypatch.setattr(horizontal_run.Books, "save", fail)
    paused = run_through(hub, job, nodes)
    assert (paused.state, paused.reason["code"]) == ("PAUSED", "INTERNAL")
    assert "secret" not in str(paused.reason)
    broken.clear()
    command(hub, "resume", job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    assert nodes.drive(hub.services).state == "COMPLETED"
    wait_for_threads()


def test_a_person_pauses_a_run_which_goes_on_without_a_new_attempt(
    hub: Hub, whole: tuple[str, tuple[str, ...]]
) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    nodes.drive(hub.services, lambda: "2.0.train" in nodes.groups())
    command(hub, "pause", job)
    wait_for_threads()
    assert hub.proposal(job.digest).reason == {"code": "PAUSED", "person": "dana"}
    command(hub, "resume", job)
    runs.advance(hub.services, job.digest)
    done = nodes.drive(hub.services)
    wait_for_threads()
    assert (done.state, record(hub, job)["model_digest"]) == ("COMPLETED", whole[0])
    assert record(hub, job)["record"]["void_attempts"] == 0


def test_a_paused_run_can_be_cancelled_and_expires(hub: Hub) -> None:
    for number, end in enumerate((cancel, expire)):
        job = approved(hub, *BANKS, nonce=f"{number:02d}" * 16)
        nodes = Nodes(hub, job)
        runs = started(hub, job)
        nodes.drive(hub.services, lambda: "1.0.train" in nodes.groups())  # noqa: B023
        command(hub, "pause", job)
        wait_for_threads()
        assert end(hub, job) == hub.proposal(job.digest).state
        assert nodes.open(hub.services) == []
        assert kept(hub, job) == (None, 0, 0)
        with pytest.raises(Failure) as caught:
            command(hub, "resume", job)
        assert caught.value.code == "PROPOSAL_STATE"
        runs.stop()


def cancel(hub: Hub, job: Proposal) -> str:
    hub.run(proposals.cancel, hub.proposal(job.digest), hub.now(), "dana")
    return "CANCELLED"


def expire(hub: Hub, job: Proposal) -> str:
    hub.clock.forward(200_000)
    hub.run(proposals.expire_due, hub.now())
    return "EXPIRED"


def kept(hub: Hub, job: Proposal) -> tuple[int | None, int, int]:
    """(round of the checkpoint, decisions, bytes of requests and answers) that the hub holds for a run."""

    def body(tx: Transaction) -> tuple[int | None, int, int]:
        saved = tx.runs.checkpoint(job.digest)
        tasks = tx.tasks.of_job(job.digest, kind="flower")
        size = sum(len(task.body or b"") + len(task.reply_body or b"") for task in tasks)
        return saved.round if saved else None, len(tx.runs.decisions(job.digest)), size

    return hub.store.read("kept", body)


def test_what_a_run_keeps_does_not_grow_with_its_rounds(hub: Hub) -> None:
    job = approved(hub, *BANKS, training={"rounds": 6}, prepare_rounds=1)
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    sizes = []
    for round_ in (2, 4, 6):
        nodes.drive(hub.services, lambda: f"{round_}.0.train" in nodes.groups())  # noqa: B023
        saved, _, size = kept(hub, job)
        assert saved == round_ - 1
        sizes.append(size)
    assert max(sizes) < 1.2 * min(sizes)
    nodes.drive(hub.services)
    runs.stop()
    assert kept(hub, job) == (None, 0, kept(hub, job)[2])
    assert {task.state for task in tasks_of(hub, job)} == {"ANSWERED"}
    assert all((task.body, task.reply_body) == (None, None) for task in tasks_of(hub, job))


def tasks_of(hub: Hub, job: Proposal) -> Any:
    return hub.store.read("t", lambda tx: tx.tasks.of_job(job.digest, kind="flower"))


def test_approvals_travel_where_a_session_may_begin(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    run_through(hub, job, nodes)
    for task_id, head in nodes.heads.items():
        assert ("approvals" in head) == (head["phase"] in ("deal", "hold")), task_id
        assert (head["run"], f"-{head['round']}.{head['attempt']}.{head['phase']}-" in task_id) == (job.digest, True)


def test_an_answer_of_random_bytes_costs_only_its_own_partner(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    nodes.change = lambda task, body: b"\x93random" if "-2.0.train-bank-b" in task.id else body
    done = run_through(hub, job, nodes)
    assert done.state == "COMPLETED"
    cohorts = [item["cohort"] for item in shown(hub, job)["run"]["history"]]
    assert cohorts == [list(BANKS), ["bank-a", "bank-c", "bank-d"], list(BANKS)]


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        (lambda hub, name, body: None, "TRAIN_RESULT_INVALID"),
        (lambda hub, name, body: "text", "MALFORMED_MESSAGE"),
        (lambda hub, name, body: hub.parties["bank-a"].sign("train-result", body).to_value(), "TRAIN_RESULT_INVALID"),
        (lambda hub, name, body: signed(hub, name, {**body, "job": "00" * 32}), "TRAIN_RESULT_INVALID"),
        (lambda hub, name, body: signed(hub, name, {**body, "record": {"model_digest": "00"}}), "TRAIN_RESULT_INVALID"),
    ],
)
def test_a_result_that_does_not_hold_is_named_and_not_kept(hub: Hub, forged: Any, code: str) -> None:
    job = approved(hub, *BANKS, training={"rounds": 1})
    nodes = Nodes(hub, job)
    nodes.result = lambda name, body: forged(hub, name, body) if name == "bank-b" else signed(hub, name, body)
    done = run_through(hub, job, nodes)
    assert done.state == "COMPLETED"
    assert record(hub, job)["unusable"] == {"bank-b": code}
    assert set(documents(hub, job, "train-result")) == set(BANKS) - {"bank-b"}


def signed(hub: Hub, name: str, body: Head) -> Value:
    return hub.parties[name].sign("train-result", body).to_value()


@pytest.mark.parametrize("name", ["start", "resume", "pause"])
def test_a_step_that_is_not_due_is_refused(hub: Hub, name: str) -> None:
    job = hub.proposal(approved(hub, *BANKS).digest)
    if name == "start":
        cancel(hub, job)
    with pytest.raises(Failure) as caught:
        command(hub, name, job)
    assert caught.value.code == "PROPOSAL_STATE"


def test_a_request_that_nobody_waits_for_is_answered_into_nothing(hub: Hub) -> None:
    job = approved(hub, *BANKS)
    nodes = Nodes(hub, job)
    runs = started(hub, job)
    nodes.drive(hub.services, lambda: "1.0.train" in nodes.groups())
    (late, *_) = [task for task in nodes.open(hub.services) if "-1.0.train-" in task.id]
    hub.store.run("w", lambda tx: tx.tasks.withdraw_ids([late.id]))
    nodes.answer(hub.services, late)
    assert hub.store.read("t", lambda tx: tx.tasks.get(late.id)).state == "WITHDRAWN"
    command(hub, "pause", job)
    runs.stop()
    assert caller(hub, late.node).name == late.node
