"""Requests to nodes: posted once, answered once, whatever is repeated or comes late."""

import threading
import time

import pytest

from ecowire import status
from ecowire.status import MalformedMessage
from ecowire.stream import FAILURE, Message
from hub import tasks
from hub.records import Task
from hub.store import Transaction
from privacy.ids import PartnerId
from tests.hub.alliance import Hub

BANK = PartnerId("bank")


def post(hub: Hub, task_id: str = "job-1-bank", *, node: PartnerId = BANK, body: bytes = b"b", job: str = "") -> bool:
    return bool(
        hub.store.run(
            "post",
            lambda tx: tasks.post(
                tx, hub.now(), task_id=task_id, node=node, kind="match.step", head={"n": 1}, body=body, job=job
            ),
        )
    )


def answer(hub: Hub, message: Message, node: str = "bank") -> tuple[Task, bool]:
    return hub.store.run("answer", lambda tx: tasks.answer(tx, hub.now(), node, message))


def ok(task_id: str = "job-1-bank", body: bytes = b"reply", kind: str = "ok") -> Message:
    return Message(id=task_id + "/r", reply_to=task_id, kind=kind, head={"done": True}, body=body)


def test_posting_again_is_the_same_request(hub: Hub) -> None:
    assert post(hub)
    assert not post(hub)
    assert [task.id for task in hub.open_tasks("bank")] == ["job-1-bank"]


@pytest.mark.parametrize("change", ["body", "node"])
def test_another_content_under_a_known_id_is_never_sent(hub: Hub, change: str) -> None:
    post(hub)
    with pytest.raises(tasks.NotRepeatable):
        post(hub, body=b"other") if change == "body" else post(hub, node=PartnerId("broker"))


def test_a_request_stays_open_until_its_answer_is_stored(hub: Hub) -> None:
    post(hub)
    task, new = answer(hub, ok())
    assert new
    assert (task.state, task.reply_head, task.reply_body, task.body) == ("ANSWERED", {"done": True}, b"reply", None)
    assert task.bytes_up == len(b"reply") + len(b'{"done":true}')
    assert hub.open_tasks("bank") == []


@pytest.mark.parametrize("second", [ok(), ok(body=b"another answer"), ok(kind="failure2")])
def test_the_first_answer_stands(hub: Hub, second: Message) -> None:
    post(hub)
    answer(hub, ok())
    task, new = answer(hub, second)
    assert not new
    kept = hub.store.read("t", lambda tx: tx.tasks.get(task.id))
    assert (kept.reply_body, kept.reply_digest) == (b"reply", task.reply_digest)


def test_an_answer_to_a_withdrawn_request_changes_nothing(hub: Hub) -> None:
    post(hub, job="ab" * 32)
    hub.store.run("withdraw", lambda tx: tx.tasks.withdraw("ab" * 32))
    task, new = answer(hub, ok())
    assert (task.state, new, task.reply_body) == ("WITHDRAWN", False, None)


def test_another_node_can_not_answer(hub: Hub) -> None:
    post(hub)
    with pytest.raises(tasks.AnswerOfOther):
        answer(hub, ok(), node="broker")
    assert [task.id for task in hub.open_tasks("bank")] == ["job-1-bank"]


def test_an_answer_that_nothing_asked_for_is_named(hub: Hub) -> None:
    with pytest.raises(tasks.AnswerWithoutRequest):
        answer(hub, ok("never-asked"))


def test_a_failure_answer_keeps_the_nodes_own_code(hub: Hub) -> None:
    post(hub)
    head = status.to_head(MalformedMessage(why="test"))
    task, _ = answer(hub, Message(id="x", reply_to="job-1-bank", kind=FAILURE, head=head))
    assert task.state == "FAILED"
    assert status.code_of(tasks.failure_of(task)) == "MALFORMED_MESSAGE"


def test_a_failure_answer_of_another_form_is_refused(hub: Hub) -> None:
    post(hub)
    with pytest.raises(MalformedMessage):
        answer(hub, Message(id="x", reply_to="job-1-bank", kind=FAILURE, head={"code": "X"}))


def test_a_waiter_wakes_when_the_last_answer_is_stored(hub: Hub) -> None:
    post(hub, "one")
    post(hub, "two")
    found: dict[str, Task] = {}
    waiter = threading.Thread(target=lambda: found.update(hub.services.waiters.wait(["one", "two"], 20)))
    begun = time.monotonic()
    waiter.start()
    answer(hub, ok("one"))
    answer(hub, ok("two"))
    waiter.join(10)
    assert sorted(found) == ["one", "two"]
    assert time.monotonic() - begun < 10


def test_a_waiter_gives_what_came_in_time_and_returns_at_closing(hub: Hub) -> None:
    post(hub, "one")
    post(hub, "two")
    answer(hub, ok("one"))
    assert list(hub.services.waiters.wait(["one", "two"], 0.05)) == ["one"]
    timer = threading.Timer(0.1, hub.services.waiters.close)
    timer.start()
    begun = time.monotonic()
    hub.services.waiters.wait(["two"], 60)
    assert time.monotonic() - begun < 10
    assert hub.services.waiters.closed
    timer.join()


def test_bytes_and_time_of_a_phase_follow_from_its_requests(hub: Hub) -> None:
    job = "cd" * 32

    def body(tx: Transaction) -> None:
        for i in range(2):
            tasks.post(
                tx,
                hub.now(),
                task_id=f"j-{i}",
                node=BANK,
                kind="flower",
                head={},
                body=b"x" * 10,
                job=job,
                phase="hints",
            )

    hub.store.run("post", body)
    hub.clock.forward(3)
    answer(hub, ok("j-0"))
    answer(hub, ok("j-1"))
    (cost,) = hub.store.read("costs", lambda tx: tx.tasks.costs(job))
    assert (cost.phase, cost.node, cost.tasks) == ("hints", "bank", 2)
    assert (cost.bytes_down, cost.bytes_up) == (2 * (10 + 2), 2 * (5 + 13))
    assert cost.ended_at is not None
    assert (cost.ended_at - cost.started_at).total_seconds() == 3
