"""Answers the hub's requests one by one, and sends this node's own.

For each request: a stored reply is sent again; otherwise its handler computes, and ONE transaction stores the handler's
new state together with the reply, before the reply leaves. So a crash before the commit leaves nothing behind and
nothing left the house; a crash after it resends the very bytes. An unknown exception becomes INTERNAL with a reference;
the detail stays in the local log.
"""

import logging
import queue
import threading
from collections.abc import Callable

from sqlalchemy.orm import Session

from ecowire import status
from ecowire.status import IdempotencyConflict, Internal
from ecowire.stream import FAILURE, Message
from partner_node import store, times
from partner_node.errors import UnknownRequest
from partner_node.node import Answer, Handlers, Node
from partner_node.outbound import check_size
from partner_node.outbox import Outbox
from privacy.errors import Failure

log = logging.getLogger(__name__)
OK = "ok"
RETRY_SECONDS = 15.0
QUIET_SECONDS = 0.05  # without a task: then the house is tidied …
TIDY_EVERY = 64  # … or after so many replies


class Worker:
    """One thread of work. `deliver`, `welcome`, `ack` and `wake` may be called from any thread and only queue."""

    def __init__(
        self,
        node: Node,
        handlers: Handlers,
        outbox: Outbox,
        *,
        send: Callable[[Message], bool],
        acknowledge: Callable[[str], bool],
    ) -> None:
        self._node = node
        self._handlers = handlers
        self._outbox = outbox
        self._send = send
        self._acknowledge = acknowledge
        # a signal handler may call `close` while this very thread is inside the queue: SimpleQueue.put is reentrant
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued: set[str] = set()  # requests that wait or run: a repeat of one of them is dropped
        self._sent: set[str] = set()  # own requests sent lately on this connection
        self._waiting = True  # something may stand in the outbox
        self._acks: list[str] = []  # replies the hub has, not noted yet
        self._untidy = 0  # replies and acks since the house was tidied

    def deliver(self, message: Message) -> None:
        """Queue an arrival: the hub's answer to an own request, or a request."""
        if message.reply_to:
            self._tasks.put(lambda: self._settle(message))
            return
        with self._lock:
            if message.id in self._queued:
                return
            self._queued.add(message.id)
        self._tasks.put(lambda: self._work(message))

    def welcome(self) -> None:
        """A new connection: everything unanswered is sent again."""
        self._tasks.put(self._send_again)

    def wake(self) -> None:
        """Something new may stand in the outbox."""
        self._tasks.put(self._send_requests)

    def ack(self, reply_id: str) -> None:
        self._tasks.put(lambda: self._note_ack(reply_id))

    def close(self) -> None:
        self._tasks.put(None)

    def run(self) -> None:
        """Work until `close`. A task that fails leaves its request unanswered: the hub asks again."""
        while (task := self._next()) is not None:
            try:
                task()
            except Exception:
                log.exception("a task of the worker failed")
        self.tidy()

    def tidy(self) -> None:
        """Note the hub's acks, and empty the database's log where secrets were deleted.

        Neither keeps a reply waiting: both wait for the disk, and rounds follow each other within milliseconds.
        """
        if self._acks:
            self._node.database.write("ack", self._keep_acks)
            self._acks.clear()
        self._node.database.empty_due_log()
        self._untidy = 0

    def handle(self, request: Message) -> Message:
        """The reply to a request, stored before it is returned."""
        try:
            known = self._node.database.read(lambda session: store.stored_reply(session, request))
        except IdempotencyConflict as failure:
            return request.reply(FAILURE, status.to_head(failure))
        if known is not None:
            return known
        answer, reply = self._answer(request)
        try:
            self._commit(request, answer, reply)
        except Failure as failure:  # found by the write itself, of which nothing stays
            answer, reply = _refusal(request, failure)
            self._commit(request, answer, reply)
        if answer.failure is not None:
            log.warning("%s %s: %s", request.kind, request.id, answer.failure)
        answer.then()
        return reply

    def _commit(self, request: Message, answer: Answer, reply: Message) -> None:
        now = times.to_text(self._node.clock())

        def commit(session: Session) -> None:
            answer.write(session)
            store.keep_reply(session, request, reply, now)
            self._keep_acks(session)
            self._waiting = store.has_open_requests(session)

        self._node.database.write(request.kind, commit, keep_log=True)
        self._acks.clear()

    def _next(self) -> Callable[[], None] | None:
        """The next task; when all is quiet the house is tidied, later requests that the hub could not take go again."""
        if self._untidy >= TIDY_EVERY:
            return self.tidy
        try:
            return self._tasks.get(timeout=QUIET_SECONDS if self._untidy else RETRY_SECONDS)
        except queue.Empty:
            return self.tidy if self._untidy else self._send_again

    def _note_ack(self, reply_id: str) -> None:
        self._acks.append(reply_id)
        self._untidy += 1

    def _keep_acks(self, session: Session) -> None:
        store.acknowledge(session, self._acks)

    def _answer(self, request: Message) -> tuple[Answer, Message]:
        """What the handler gives, and the reply that says so."""
        try:
            handler = self._handlers.get(request.kind)
            if handler is None:
                raise UnknownRequest(request=request.kind[:40])
            answer = handler(request)
            if answer.failure is not None:
                return answer, request.reply(FAILURE, status.to_head(answer.failure))
            reply = request.reply(OK, answer.head, answer.body)
            check_size(reply)
            return answer, reply
        except Failure as failure:
            return _refusal(request, failure)
        except Exception:
            reference = self._node.entropy(6).hex()
            log.exception("internal error %s in %s %s", reference, request.kind, request.id)
            return _refusal(request, Internal(reference=reference))

    def _work(self, request: Message) -> None:
        try:
            reply = self.handle(request)
        finally:
            with self._lock:
                self._queued.discard(request.id)
        self._send(self._node.outbound.message(reply))
        self._untidy += 1
        if self._waiting:  # the handler's change may have put something into the outbox
            self._send_requests()

    def _settle(self, reply: Message) -> None:
        self._outbox.settle(reply)
        self._acknowledge(reply.id)

    def _send_again(self) -> None:
        self._sent.clear()
        self._send_requests()

    def _send_requests(self) -> None:
        for request in self._outbox.pending():
            if request.id not in self._sent and self._send(self._node.outbound.message(request)):
                self._sent.add(request.id)


def _refusal(request: Message, failure: Failure) -> tuple[Answer, Message]:
    """A failure that changes no state."""
    return Answer(failure=failure), request.reply(FAILURE, status.to_head(failure))
