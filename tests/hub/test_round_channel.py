"""The channel of a run: posted in one piece, waited for as long as a node deserves, read one answer at a time."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecowire.stream import Message
from federation.grid import Request
from hub import dispatch, proposals, round_channel, tasks
from hub.records import Content, Proposal
from hub.round_channel import Patience, Presence, RequestWithdrawn, RunEnded, RunInterrupted, TaskChannel
from tests.hub.alliance import Hub, hub_without_ports
from tests.hub.horizontal import BANKS, approved
from tests.hub.relay import caller

QUICK = Patience(grace_seconds=0.2, start_seconds=0.4)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_without_ports(tmp_path, *BANKS) as made:
        made.connected |= set(BANKS)
        yield made


@pytest.fixture
def job(hub: Hub) -> Proposal:
    ready = approved(hub, *BANKS)
    running: Proposal = hub.run(proposals.move, ready, proposals.RUNNING, hub.now())
    return running


def channel(hub: Hub, job: Proposal, patience: Patience | None = QUICK, **more: Any) -> TaskChannel:
    return TaskChannel(hub.services, job, ["approval"], patience, **more)


def ask(*names: str, content: bytes = b"content", phase: str = "train") -> list[Request]:
    head: Any = {"run": "r", "round": 1, "attempt": 0, "phase": phase}
    return [
        Request(message_id=f"{'ab' * 8}-1.0.{phase}-{name}", node=name, head=head, content=content) for name in names
    ]


def reply(hub: Hub, request: Request, body: bytes = b"answer") -> None:
    message = Message(id=request.message_id, kind="flower").reply("ok", {}, body)
    dispatch.take_answer(hub.services, {}, caller(hub, request.node), message)


def test_requests_are_posted_all_or_none(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job)
    made.post(ask("bank-a"))
    with pytest.raises(tasks.NotRepeatable):
        made.post([*ask("bank-b"), *ask("bank-a", content=b"other")])
    assert [task.id for task in hub.open_tasks("bank-b") if task.kind == "flower"] == []
    made.post([*ask("bank-b"), *ask("bank-a")])  # what is known is not asked twice
    assert [task.kind for task in hub.open_tasks("bank-a")].count("flower") == 1


def test_only_phases_that_begin_a_session_carry_the_approvals(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job)
    for phase in ("deal", "hold", "train", "answer", "statistics", "finish"):
        made.post(ask("bank-a", phase=phase))
    heads = {task.phase: task.head for task in hub.open_tasks("bank-a") if task.kind == "flower"}
    assert {phase for phase, head in heads.items() if head.get("approvals") == ["approval"]} == {"deal", "hold"}


def test_a_node_that_is_away_is_given_up_after_its_grace_and_one_that_is_there_is_not(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job)
    requests = ask(*BANKS)
    made.post(requests)
    made.assemble()
    for request in requests[:2]:
        reply(hub, request)
    hub.connected -= {"bank-c", "bank-d"}
    begun = time.monotonic()
    found = made.collect([request.message_id for request in requests], 30.0)
    assert 0.1 < time.monotonic() - begun < 10
    assert [task_id.rpartition("-bank")[2] for task_id in found] == ["-a", "-b"]
    hub.connected.add("bank-c")
    begun = time.monotonic()
    made.collect([requests[2].message_id], 1.0)
    assert time.monotonic() - begun >= 1.0  # connected: it has the whole deadline


def test_without_patience_a_node_that_is_away_has_the_whole_deadline(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job, None)
    made.post(ask("bank-a"))
    hub.connected.clear()
    begun = time.monotonic()
    assert len(made.collect([ask("bank-a")[0].message_id], 0.7)) == 0
    assert time.monotonic() - begun >= 0.7


def test_a_node_that_comes_back_in_its_grace_is_waited_for(hub: Hub) -> None:
    there = {"bank-a", "bank-b"}
    presence = Presence(("bank-a", "bank-b"), lambda: frozenset(there), Patience(grace_seconds=0.3, start_seconds=0.3))
    assert presence.there() == ("bank-a", "bank-b")
    there.discard("bank-b")
    assert not presence.gone({"bank-b"})
    time.sleep(0.15)
    there.add("bank-b")
    assert presence.there() == ("bank-a", "bank-b")
    there.discard("bank-b")
    time.sleep(0.2)
    assert not presence.gone({"bank-b"})  # counted anew
    time.sleep(0.35)
    assert presence.gone({"bank-b"}) and not presence.gone({"bank-a", "bank-b"})


def test_a_start_waits_for_nodes_longer_than_a_round_does(hub: Hub, job: Proposal) -> None:
    hub.connected.clear()
    made = channel(hub, job, Patience(grace_seconds=0.05, start_seconds=5.0))
    timer = threading.Timer(0.3, lambda: hub.connected.update(BANKS))
    timer.start()
    begun = time.monotonic()
    made.assemble()
    assert 0.2 < time.monotonic() - begun < 4
    assert made.connected() == BANKS
    timer.join()
    hub.connected.discard("bank-b")
    assert made.connected() == ("bank-a", "bank-c", "bank-d")


def test_what_was_withdrawn_is_told_as_a_failure_and_what_was_answered_stays(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job)
    requests = ask("bank-a", "bank-b")
    made.post(requests)
    reply(hub, requests[0])
    ids = [request.message_id for request in requests]
    made.withdraw(ids)
    reply(hub, requests[1])  # too late
    made.post(requests)
    begun = time.monotonic()
    found = made.collect(ids, 30.0)
    assert time.monotonic() - begun < 5
    assert found[ids[0]] == b"answer"
    assert isinstance(found[ids[1]], RequestWithdrawn)
    assert [task.kind for task in hub.open_tasks("bank-b")].count("flower") == 0


def test_large_answers_are_read_when_they_are_asked_for_and_small_ones_at_once(
    hub: Hub, job: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = channel(hub, job)
    requests = ask("bank-a", "bank-b")
    ids = [request.message_id for request in requests]
    made.post(requests)
    for request in requests:
        reply(hub, request, b"x" * 100)
    reads: list[str] = []
    read = hub.store.read
    monkeypatch.setattr(hub.store, "read", lambda name, fn: reads.append(name) or read(name, fn))
    small = made.collect(ids, 1.0)
    assert [small[i] for i in ids] == [b"x" * 100] * 2
    assert reads.count("training.answer") == 0
    monkeypatch.setattr(round_channel, "SMALL_BYTES", 50)
    large = made.collect(ids, 1.0)
    assert ids[0] in large and list(large) == ids and "other" not in large
    assert reads.count("training.answer") == 0
    assert large[ids[1]] == b"x" * 100
    assert reads.count("training.answer") == 1
    with pytest.raises(KeyError):
        large["other"]


@pytest.mark.parametrize("state", ["PAUSED", "CANCELLED"])
def test_a_run_that_rests_or_has_ended_asks_and_waits_no_more(hub: Hub, job: Proposal, state: str) -> None:
    made = channel(hub, job)
    made.post(ask("bank-a"))
    hub.run(proposals.move, job, state, hub.now())
    with pytest.raises(RunEnded):
        made.post(ask("bank-b"))
    with pytest.raises(RunEnded):
        made.collect([ask("bank-a")[0].message_id], 0.1)
    hub.connected.discard("bank-b")
    with pytest.raises(RunEnded):
        made.connected()  # one that is away is asked for again and again


def test_a_hub_that_stops_interrupts_a_wait(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job)
    made.post(ask("bank-a"))
    timer = threading.Timer(0.2, hub.services.waiters.close)
    timer.start()
    with pytest.raises(RunInterrupted):
        made.collect([ask("bank-a")[0].message_id], 30.0)
    with pytest.raises(RunInterrupted):
        made.assemble()
    timer.join()


class Notes:
    """Decisions that count when they are written."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def write_decisions(self, tx: Any) -> None:
        self.events.append("written")

    def written(self) -> None:
        self.events.append("committed")


def test_decisions_are_written_with_the_requests_that_show_them(hub: Hub, job: Proposal) -> None:
    notes = Notes()
    made = channel(hub, job, notes=notes)
    made.post(ask("bank-a"))
    assert notes.events == ["written", "committed"]
    with pytest.raises(tasks.NotRepeatable):
        made.post(ask("bank-a", content=b"other"))
    assert notes.events == ["written", "committed", "written"]


def test_what_several_nodes_are_asked_is_kept_and_held_once_and_dropped_with_the_round(hub: Hub, job: Proposal) -> None:
    made = channel(hub, job)
    same, own = bytes(1000), b"for one alone"
    made.post([*ask("bank-a", "bank-b", content=same), *ask("bank-a", content=own, phase="hold")])
    shared, alone = (Content.of(data).sha256.hex() for data in (same, own))
    assert hub.store.contents[shared].data is same
    tasks_ = {task.id: task for name in ("bank-a", "bank-b") for task in hub.open_tasks(name) if task.kind == "flower"}
    assert sorted((t.node, t.content, t.body) for t in tasks_.values() if t.phase == "train") == [
        ("bank-a", shared, None),
        ("bank-b", shared, None),
    ]
    assert [(t.content, t.body) for t in tasks_.values() if t.phase == "hold"] == [(None, own)]
    kept = hub.store.read("t", lambda tx: [tx.tasks.content(job.digest, sha256) for sha256 in (shared, alone)])
    assert kept == [Content.of(same), None]
    made.post(ask("bank-a", "bank-b", content=same))  # a run that is executed again
    hub.store.run("t", lambda tx: tx.tasks.drop_content(job.digest, "flower", 0))
    assert hub.store.read("t", lambda tx: tx.tasks.content(job.digest, shared)) is None
