"""Large bodies go from the transaction that posts them to the stream in memory; the database's copy is what counts."""

import os

import pytest

from ecowire import limits
from ecowire.stream import Message
from hub import dispatch, matching, tasks
from hub.handover import Handover
from hub.records import Content, Task
from hub.rpc.switch import Switch
from hub.services import Services
from privacy import packing
from privacy.ids import PartnerId
from tests.hub.alliance import START, Hub
from tests.hub.relay import caller
from tests.hub.test_matching_answers import begun

BODY = os.urandom(limits.SMALL_BYTES_MAX + 1)


def posted(hub: Hub) -> Task:
    """A request with a large body, as the stream's own look finds it: without the body."""
    node = PartnerId("broker")
    hub.store.run("post", lambda tx: tasks.post(tx, START, task_id="t", node=node, kind="k", head={"n": 1}, body=BODY))
    found, more = hub.store.read("next", lambda tx: tx.tasks.next_open(node, 0))
    assert found is not None and found.body is None and not more
    return found


def message(services: Services, task: Task) -> Message | None:
    return Switch(services, {}, {})._message(task)


def test_a_body_is_taken_once() -> None:
    held, content = Handover(), Content.of(b"abc")
    held.put("t", content)
    assert held.take("t") is content
    assert held.take("t") is None


def test_older_bodies_make_room_for_newer_ones() -> None:
    held = Handover(room=10)
    for name in ("first", "second", "third"):
        held.put(name, Content.of(bytes(4)))
    held.put("too large", Content.of(bytes(11)))
    assert [held.take(name) for name in ("first", "second", "third", "too large")] == [None] * 4
    held.put("again", Content.of(bytes(10)))
    assert held.take("again") == Content.of(bytes(10))


@pytest.mark.parametrize("passed", [None, BODY, BODY[::-1]], ids=["after a restart", "in memory", "another content"])
def test_what_is_sent_is_what_was_stored(hub: Hub, passed: bytes | None) -> None:
    task = posted(hub)
    if passed is not None:
        hub.services.handover.put(task.id, Content.of(passed))
    sent = message(hub.services, task)
    assert sent is not None
    assert (sent.body, sent.digest.hex()) == (BODY, task.digest)


def test_a_large_body_of_a_request_that_was_withdrawn_is_not_sent(hub: Hub) -> None:
    task = posted(hub)
    hub.store.run("withdraw", lambda tx: tx.tasks.withdraw_ids(["t"]))
    assert message(hub.services, task) is None


def test_an_answers_envelopes_go_on_byte_for_byte_with_the_hash_that_was_checked(hub: Hub) -> None:
    script = begun(hub)
    speaks, listens = script.open_tasks()
    replies = {}
    for task in (listens, speaks):
        script.asked.append((task.kind, task.node))
        replies[task.node] = script.reply(task)
        dispatch.take_answer(hub.services, matching.ANSWERS, caller(hub, task.node), replies[task.node])
    reply = replies[speaks.node]
    passed = next(one for one in script.open_tasks() if one.node == listens.node)
    assert packing.unpack(reply.body) != [], "it sends something"
    assert passed.body == reply.body
    held = hub.services.handover.take(passed.id)
    assert held is not None
    assert held.data is reply.body
    assert held.sha256 == reply.sha256
