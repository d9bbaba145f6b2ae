"""The nodes' streams: which node is connected, what goes down to it, what comes up from it.

Down: the stream's own thread reads the node's open tasks from the database and yields their frames, so gRPC's flow
control is the back-pressure and nothing waits in memory; acknowledgements and replies overtake between two frames.
Up: a reader thread assembles messages; an answer is acknowledged after it is stored, a request is answered after it
is carried out. A malformed or oversize frame ends the stream under its failure; open tasks are sent again at the next
connection.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping

import grpc

from ecowire.status import Internal
from ecowire.stream import Assembler, Message, to_frames
from ecowire.v1 import alliance_pb2 as pb
from hub import dispatch, identity, tasks
from hub.identity import Caller
from hub.records import Content, Task
from hub.services import NodeHandler, Services
from hub.store import Signal
from privacy.errors import Failure, Kind

log = logging.getLogger(__name__)


class Superseded(Failure):
    code = "STREAM_SUPERSEDED"
    kind = Kind.CONFLICT
    en = "{partner} has connected again; the newest connection is served. Does the node run twice?"
    zh = "{partner} 已建立新连接，以最新连接为准。该节点是否重复运行？"


class Stopping(Failure):
    code = "HUB_STOPPING"
    kind = Kind.UNAVAILABLE
    en = "the hub is stopping; connect again in a moment"
    zh = "枢纽正在停止，请稍后重新连接"


class Link:
    """One open stream. Its conditions are set from any thread; its frames are made by the stream's own thread."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._changed = threading.Condition()
        self._quick: deque[pb.Frame] = deque()
        self._failure: Failure | None = None
        self._over = False
        self._work = True  # look into the database once at the beginning
        self._check_due = 0.0

    def push(self, *frames: pb.Frame) -> None:
        """Frames that go out before the next frame of a task."""
        with self._changed:
            self._quick.extend(frames)
            self._changed.notify_all()

    def wake(self) -> None:
        """There may be new tasks."""
        with self._changed:
            self._work = True
            self._changed.notify_all()

    def check_due(self) -> bool:
        """Whether the certificate is to be looked up again: it was not for RECHECK_SECONDS, or it has changed."""
        now = time.monotonic()
        with self._changed:
            due = now >= self._check_due
            if due:
                self._check_due = now + identity.RECHECK_SECONDS
            return due

    def doubt(self) -> None:
        """Its certificate has changed: look before anything else goes out."""
        with self._changed:
            self._check_due = 0.0

    def close(self, failure: Failure | None = None) -> None:
        """End the stream; the first reason counts."""
        with self._changed:
            self._failure = self._failure or failure
            self._over = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        return self._over

    def drain(self) -> Iterator[pb.Frame]:
        """The quick frames. Raises the failure that the stream was closed with."""
        while True:
            with self._changed:
                if self._failure is not None:
                    raise self._failure
                if not self._quick or self._over:
                    return
                frame = self._quick.popleft()
            yield frame

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to do, at most `seconds`; whether tasks should be looked up."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._work or bool(self._quick), seconds)
            work, self._work = self._work, False
            return work


class Switch:
    """All open streams by partner."""

    def __init__(
        self,
        services: Services,
        requests: Mapping[str, NodeHandler],
        answers: Mapping[str, dispatch.AnswerHandler],
    ) -> None:
        self._services = services
        self._requests = requests
        self._answers = answers
        self._lock = threading.Lock()
        self._links: dict[str, Link] = {}
        self._stopping = False
        services.store.subscribe(self._signal)

    def connected(self) -> frozenset[str]:
        """The partners whose node has a stream open now."""
        with self._lock:
            return frozenset(self._links)

    def open(self, caller: Caller) -> Link:
        """A new stream of a node; an older one of the same node is closed."""
        link = Link(caller)
        with self._lock:
            if self._stopping:
                raise Stopping
            older = self._links.get(caller.name)
            self._links[caller.name] = link
        if older is not None:
            older.close(Superseded(partner=caller.name))
        return link

    def forget(self, link: Link) -> None:
        """The stream is over."""
        link.close()
        with self._lock:
            if self._links.get(link.caller.name) is link:
                del self._links[link.caller.name]

    def stop(self) -> None:
        """Close all streams; nodes connect again when the hub is back."""
        with self._lock:
            self._stopping = True
            links = list(self._links.values())
        for link in links:
            link.close(Stopping())

    def frames(self, link: Link) -> Iterator[pb.Frame]:
        """What goes down the stream until it is over. Raises the failure it ends with."""
        sent = 0
        while not link.over:
            yield from link.drain()
            self._check(link)
            more = link.wait(identity.RECHECK_SECONDS)
            while more and not link.over:
                task, more = self._next_task(link.caller.name, sent)
                if task is not None:
                    self._check(link)
                    yield from self._task_frames(link, task)
                    sent = task.number
        yield from link.drain()

    def read(self, link: Link, frames: Iterator[pb.Frame]) -> None:
        """Take what comes up the stream, until it ends; runs in a thread of its own."""
        assembler = Assembler()
        try:
            for frame in frames:
                if frame.WhichOneof("body") == "ack":
                    continue  # our replies are kept anyway, under their idempotency key
                self._feed(link, assembler, frame)
            link.close()
        except grpc.RpcError:
            link.close()
        except Failure as failure:
            log.warning("stream of %s closed: %s", link.caller.name, failure)
            link.close(failure)
        except Exception:
            link.close(internal(self._services, f"stream of {link.caller.name}"))

    def _feed(self, link: Link, assembler: Assembler, frame: pb.Frame) -> None:
        """One frame; a message that it completes is gone from memory when this returns, not when another comes."""
        message = assembler.feed(frame)
        if message is not None:
            self._take(link, message)

    def _take(self, link: Link, message: Message) -> None:
        if not message.reply_to:
            reply = dispatch.run_request(self._services, self._requests, link.caller, message)
            link.push(*to_frames(reply))
            return
        try:
            dispatch.take_answer(self._services, self._answers, link.caller, message)
        except tasks.AnswerWithoutRequest as failure:
            # nothing waits for it and nothing will: acknowledged, or the node would offer it for ever
            log.warning("%s: %s", link.caller.name, failure)
        link.push(pb.Frame(ack=pb.Ack(id=message.id)))

    def _check(self, link: Link) -> None:
        """Look the certificate up again: it may have been revoked, or have expired, since the handshake."""
        if not link.check_due():
            return
        now, found = self._services.clock(), link.caller.fingerprint
        self._services.store.read("identity", lambda tx: identity.check(tx, found, now))

    def _next_task(self, node: str, after: int) -> tuple[Task | None, bool]:
        return self._services.store.read("tasks.next", lambda tx: tx.tasks.next_open(node, after))

    def _message(self, task: Task) -> Message | None:
        """A task on its way; None where it was withdrawn meanwhile."""
        if (passed := self._services.handover.take(task.id)) is not None:
            message = _of(task, passed)
            if message.digest.hex() == task.digest:
                return message
        content = self._content(task)
        return None if content is None else _of(task, content)

    def _content(self, task: Task) -> Content | None:
        """What a task carries, from the database."""
        if task.content is None:
            body = task.body
            if body is None:
                body = self._services.store.read("tasks.body", lambda tx: tx.tasks.body(task))
            return None if body is None else Content.of(body)
        held, job, sha256 = self._services.store.contents, task.job, task.content
        found = held.get(sha256) or self._services.store.read("tasks.content", lambda tx: tx.tasks.content(job, sha256))
        return None if found is None else held.setdefault(sha256, found)

    def _task_frames(self, link: Link, task: Task) -> Iterator[pb.Frame]:
        message = self._message(task)
        if message is None:
            return
        for frame in to_frames(message):
            if link.over:
                return
            self._check(link)  # a slow reader, a large body
            yield frame
            yield from link.drain()

    def _signal(self, signal: Signal) -> None:
        what, whom = signal
        if what not in ("node", "certificate"):
            return
        with self._lock:
            links = [x for x in self._links.values() if whom in (x.caller.name, x.caller.fingerprint)]
        for link in links:
            if what == "certificate":
                link.doubt()
            link.wake()


def _of(task: Task, content: Content) -> Message:
    return Message(id=task.id, kind=task.kind, head=task.head, body=content.data, sha256=content.sha256)


def internal(services: Services, what: str) -> Internal:
    """Log the exception being handled under a reference number; the other side sees the number only."""
    reference = services.entropy(4).hex()
    log.exception("%s: internal error %s", what, reference)
    return Internal(reference=reference)
