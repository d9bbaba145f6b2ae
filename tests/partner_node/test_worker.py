"""The worker: one answer an id, one transaction for state and reply, no detail of an internal error outside."""

import logging
import sqlite3
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ecowire.stream import FAILURE, Message
from partner_node import sessions, store, worker
from partner_node.database import raw
from partner_node.errors import JobOver
from partner_node.node import Answer
from partner_node.outbox import Outbox
from partner_node.sessions import JobSession
from partner_node.tables import InboxRow, SessionRow
from partner_node.worker import Worker
from privacy.ids import Digest
from tests.partner_node.alliance import TestNode
from tests.partner_node.conftest import MakeNode

JOB = Digest("ab" * 32)


class Counter:
    """A handler that draws fresh randomness and writes a session, as a match does."""

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self.calls = 0
        self.fault: Exception | None = None

    def __call__(self, request: Message) -> Answer:
        self.calls += 1
        fresh = self.node.parts.node.entropy(16)
        state = JobSession(job=JOB, kind="match", step=self.calls, state=fresh)

        def write(session: Session) -> None:
            sessions.save(session, state, "now")
            if self.fault is not None:
                raise self.fault

        return Answer(head={"fresh": fresh.hex()}, body=fresh, write=write)


class Bench:
    """A worker with one handler, its transport recorded."""

    def __init__(self, node: TestNode) -> None:
        self.node, self.handler = node, Counter(node)
        self.sent: list[Message] = []
        self.acknowledged: list[str] = []
        self.worker = self.make()

    def make(self) -> Worker:
        outbox: Outbox = self.node.parts.worker._outbox
        return Worker(
            self.node.parts.node,
            {"count": self.handler},
            outbox,
            send=lambda message: self.sent.append(message) is None,
            acknowledge=lambda reply_id: self.acknowledged.append(reply_id) is None,
        )

    def read(self, query: Any) -> Any:
        return self.node.parts.node.database.read(query)

    def stored(self) -> int:
        return int(self.read(lambda s: s.scalar(select(func.count()).select_from(InboxRow))))


@pytest.fixture
def bench(make_node: MakeNode) -> Bench:
    return Bench(make_node("bank"))


def request(identifier: str = "r1", body: bytes = b"") -> Message:
    return Message(id=identifier, kind="count", body=body)


def test_a_repeat_gets_the_same_bytes_and_no_second_effect(bench: Bench) -> None:
    first = bench.worker.handle(request())
    assert bench.worker.handle(request()) == first
    assert bench.handler.calls == 1


def test_a_repeat_after_a_restart_gets_the_same_bytes(bench: Bench) -> None:
    first = bench.worker.handle(request())
    bench.node = bench.node.reopened()
    bench.handler = Counter(bench.node)
    assert bench.make().handle(request()) == first
    assert bench.handler.calls == 0


def test_the_same_id_with_another_content_is_a_conflict(bench: Bench) -> None:
    first = bench.worker.handle(request())
    other = bench.worker.handle(request(body=b"other"))
    assert (other.kind, other.head["code"]) == (FAILURE, "IDEMPOTENCY_CONFLICT")
    assert bench.worker.handle(request()) == first
    assert bench.handler.calls == 1


def test_a_fault_before_the_commit_leaves_nothing(bench: Bench) -> None:
    bench.handler.fault = OSError("the disk is full")
    with pytest.raises(OSError, match="disk"):
        bench.worker.handle(request())
    assert bench.stored() == 0
    assert bench.read(lambda s: sessions.load(s, JOB)) is None
    bench.handler.fault = None
    second = bench.worker.handle(request())
    state = bench.read(lambda s: sessions.load(s, JOB))
    assert (state.state, bench.handler.calls) == (second.body, 2)


def test_a_refusal_by_the_write_is_answered_and_nothing_else_of_it_stays(bench: Bench) -> None:
    bench.handler.fault = JobOver(job=JOB[:16])
    reply = bench.worker.handle(request())
    assert (reply.kind, reply.head["code"], reply.body) == (FAILURE, "JOB_OVER", b"")
    assert bench.read(lambda s: sessions.load(s, JOB)) is None
    bench.handler.fault = None
    assert bench.worker.handle(request()) == reply, "the refusal is the request's one answer"
    assert bench.handler.calls == 1


@pytest.mark.parametrize("kind", ["match", "train"])
def test_a_job_that_ended_while_its_step_was_computed_stays_over(bench: Bench, kind: str) -> None:
    database = bench.node.parts.node.database
    database.write("begin", lambda s: sessions.save(s, JobSession(job=JOB, kind=kind, step=0, state=b"key"), "now"))

    def handler(_: Message) -> Answer:
        database.write("upkeep", lambda s: sessions.end(s, JOB, "later"))  # its time is over meanwhile
        state = JobSession(job=JOB, kind=kind, step=1, state=b"another key")
        return Answer(body=b"a share", write=lambda s: sessions.save(s, state, "last"))

    bench.worker = Worker(
        bench.node.parts.node,
        {"count": handler},
        bench.node.parts.worker._outbox,
        send=lambda _: True,
        acknowledge=lambda _: True,
    )
    reply = bench.worker.handle(request())
    assert (reply.kind, reply.head["code"], reply.body) == (FAILURE, "JOB_OVER", b"")
    row = bench.read(lambda s: s.execute(select(SessionRow.kind, SessionRow.state)).one())
    assert tuple(row) == (sessions.OVER, b"")


def test_a_full_disk_sends_nothing_and_loses_nothing(bench: Bench) -> None:
    database = bench.node.parts.node.database
    (pages,) = database.read(lambda session: raw(session).execute("PRAGMA page_count").fetchone())

    def tighten(session: Session) -> None:
        raw(session).execute(f"PRAGMA max_page_count={pages}")

    database.write("tighten", tighten)
    big = Message(id="big", kind="count", body=b"x")
    handler = bench.handler
    bench.worker = Worker(
        bench.node.parts.node,
        {"count": lambda r: Answer(body=bytes(1 << 20), write=handler(r).write)},
        bench.node.parts.worker._outbox,
        send=lambda message: bench.sent.append(message) is None,
        acknowledge=lambda _: True,
    )
    bench.worker.deliver(big)
    bench.worker.close()
    bench.worker.run()
    assert bench.sent == []
    assert bench.stored() == 0
    assert bench.read(lambda s: sessions.load(s, JOB)) is None
    with pytest.raises(sqlite3.OperationalError, match="full"):
        bench.worker.handle(big)


def test_a_fault_after_the_commit_sends_the_stored_reply(bench: Bench) -> None:
    reply = bench.worker.handle(request())  # committed, and the process dies before it is sent
    bench.node = bench.node.reopened()
    bench.worker = bench.make()
    bench.worker.deliver(request())
    bench.worker.close()
    bench.worker.run()
    assert bench.sent == [reply]


def test_the_body_goes_when_the_hub_has_it(bench: Bench) -> None:
    reply = bench.worker.handle(request())
    bench.worker.ack(reply.id)
    bench.worker.close()
    bench.worker.run()
    assert bench.worker.handle(request()) == Message(
        id=reply.id, reply_to=reply.reply_to, kind=reply.kind, head=reply.head, body=b""
    )


def test_an_unknown_request_is_refused(bench: Bench) -> None:
    reply = bench.worker.handle(Message(id="x", kind="dance"))
    assert reply.head["code"] == "UNKNOWN_REQUEST"


def test_an_internal_error_tells_a_reference_only(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Message) -> Answer:
        raise ValueError("client 990001195207070400 has no account")

    bench.worker = Worker(
        bench.node.parts.node,
        {"count": broken},
        bench.node.parts.worker._outbox,
        send=lambda _: True,
        acknowledge=lambda _: True,
    )
    with caplog.at_level(logging.ERROR):
        reply = bench.worker.handle(request())
    assert (reply.kind, reply.head["code"]) == (FAILURE, "INTERNAL")
    assert "990001195207070400" not in str(reply.head)
    reference = str(reply.head["en"]).split("reference is ")[1].split(",")[0]
    assert reference in caplog.text
    assert "990001195207070400" in caplog.text


def test_an_answer_that_the_stream_would_not_take_is_a_failure(bench: Bench) -> None:
    bench.worker = Worker(
        bench.node.parts.node,
        {"count": lambda _: Answer(head={"text": "x" * (300 << 10)}, write=bench.handler(request()).write)},
        bench.node.parts.worker._outbox,
        send=lambda _: True,
        acknowledge=lambda _: True,
    )
    reply = bench.worker.handle(request())
    assert (reply.kind, reply.head["code"]) == (FAILURE, "MESSAGE_TOO_LARGE")
    assert bench.read(lambda s: sessions.load(s, JOB)) is None


def test_a_request_that_is_under_way_is_not_queued_twice(bench: Bench) -> None:
    bench.worker.deliver(request())
    bench.worker.deliver(request())
    bench.worker.close()
    bench.worker.run()
    assert len(bench.sent) == 1


def test_own_requests_are_sent_once_a_connection_until_answered(bench: Bench) -> None:
    own = Message(id="assets/1", kind="assets", head={"assets": "…"})
    bench.node.parts.node.database.write("enqueue", lambda s: store.enqueue(s, own, "now"))
    bench.worker.wake()
    bench.worker.wake()
    bench.worker.welcome()
    refusal = own.reply(FAILURE, {"code": "NO", "kind": "refused", "en": "no", "zh": "不"})
    bench.worker.deliver(refusal)
    bench.worker.welcome()
    bench.worker.close()
    bench.worker.run()
    assert bench.sent == [own, own]
    assert bench.acknowledged == [refusal.id]
    assert bench.read(store.refused_requests) == [(own.id, refusal.head)]


def test_a_hub_that_is_busy_is_asked_again(bench: Bench) -> None:
    own = Message(id="assets/1", kind="assets", head={"assets": "…"})
    bench.node.parts.node.database.write("enqueue", lambda s: store.enqueue(s, own, "now"))
    busy = own.reply(FAILURE, {"code": "INTERNAL", "kind": "unavailable", "en": "later", "zh": "稍后"})
    bench.worker.deliver(busy)
    bench.worker.close()
    bench.worker.run()
    assert bench.read(store.open_requests) == [own]


def in_inbox(bench: Bench) -> dict[str, bytes]:
    return dict(bench.read(lambda s: [tuple(row) for row in s.execute(select(InboxRow.id, InboxRow.reply_body))]))


def run_all(bench: Bench) -> None:
    """The worker's loop over what waits, to its end."""
    bench.worker.close()
    bench.worker.run()


def test_acks_are_noted_with_the_next_reply_in_one_transaction(bench: Bench) -> None:
    first = bench.worker.handle(Message(id="1", kind="count"))
    bench.worker.ack(first.id)
    bench.worker._next()()  # type: ignore[misc]
    assert in_inbox(bench)["1"] == first.body, "an ack alone does not wait for the disk"
    second = bench.worker.handle(Message(id="2", kind="count"))
    assert in_inbox(bench) == {"1": b"", "2": second.body}


def test_an_ack_is_kept_when_the_transaction_it_was_to_join_fails(bench: Bench) -> None:
    first = bench.worker.handle(Message(id="1", kind="count"))
    bench.worker.ack(first.id)
    bench.worker._next()()  # type: ignore[misc]
    bench.handler.fault = RuntimeError("the disk is full")
    with pytest.raises(RuntimeError, match="full"):
        bench.worker.handle(Message(id="2", kind="count"))
    assert in_inbox(bench) == {"1": first.body}
    run_all(bench)
    assert in_inbox(bench) == {"1": b""}


def test_the_house_is_tidied_when_it_is_quiet_and_at_the_end(bench: Bench) -> None:
    database = bench.node.parts.node.database
    reply = bench.worker.handle(Message(id="1", kind="count"))
    database.write("end", lambda session: sessions.end(session, JOB, "now"), keep_log=True)
    log = bench.node.parts.node.settings.database.with_name("node.db-wal")
    assert reply.body in log.read_bytes(), "the session's secret is in the log still"
    bench.worker.ack(reply.id)
    bench.worker._next()()  # type: ignore[misc]
    bench.worker._next()()  # type: ignore[misc] - quiet
    assert log.read_bytes() == b""
    assert in_inbox(bench) == {"1": b""}


def test_the_house_is_tidied_in_a_busy_time_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TIDY_EVERY", 3)
    for number in range(4):
        bench.worker.deliver(Message(id=str(number), kind="count"))
    done = [bench.worker._next() for _ in range(1)]
    for _ in range(3):
        task = done.pop() if done else bench.worker._next()
        assert task is not None and task != bench.worker.tidy
        task()
    assert bench.worker._next() == bench.worker.tidy
