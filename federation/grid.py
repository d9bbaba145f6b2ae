"""Flower's `Grid` on two ways: in process, and over the alliance's own authenticated channel.

This is the only place that touches names Flower does not publish: `TaskIdentity`, which its strategies read when they
make a message, and `Message(metadata=…)`, which gives a message the id and the node we know it by. Both are pinned by a
contract test. What travels is bytes of `federation.records`; the channel knows no Flower.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flwr.app import Context, Error, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from federation import records
from federation.errors import FlowerContentMalformed
from privacy import canonical
from privacy.errors import Failure, Kind

FLOWER_RUN = 1  # Flower's run number is process-wide; the real run is the digest in head and message id
FLOWER_SERVER = 1  # Flower's number for the side that sends requests
EVERYBODY = 0  # stands for the node in a request's bytes: what is one for all nodes is encoded and kept once
ERROR_FAILED = 2  # Flower's code for an application that failed
REASON_CHARACTERS_MAX = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request on its way. head: {"run", "round", "phase"} and, where a round has attempts, "attempt"."""

    message_id: str
    node: str
    head: Mapping[str, canonical.Value]
    content: bytes


class RoundChannel(Protocol):
    """How requests of one run reach the nodes and answers come back, durably. The hub implements it.

    A message id names run, round (with attempt and phase) and node. Posting one id twice with the same content is one
    request; an id whose answer is stored is answered from the store, which is how a run goes on after a crash.
    """

    def nodes(self) -> tuple[str, ...]:
        """The partners that take part in the run."""
        ...

    def connected(self) -> tuple[str, ...]:
        """Those of them that are there now."""
        ...

    def post(self, requests: Sequence[Request]) -> None:
        """Hand requests over for delivery: all of them are stored, or none."""
        ...

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> Mapping[str, bytes | Failure]:
        """Wait until all are answered or the time is over; answers and failures of those that are.

        A value is loaded when it is asked for, so that one answer at a time is in memory.
        """
        ...

    def withdraw(self, message_ids: Sequence[str]) -> None:
        """Nobody waits for these any more: an open one is not delivered again, a later answer is dropped, and
        `collect` tells it at once as a failure. One that was answered is left as it is."""
        ...


def settle_flower() -> None:
    """Make Flower's process-wide state ours: its strategies make messages of our run, and it logs nothing to stderr.

    Called where a grid or a node of ours is in use; on Flower's own SuperLink, Flower has set its own.
    """
    TaskIdentity.run_id = TaskIdentity.task_id = FLOWER_RUN
    TaskIdentity.node_id = FLOWER_SERVER
    logging.getLogger("flwr").setLevel(logging.CRITICAL)  # our edges report themselves


def node_number(name: str) -> int:
    """Flower's number of a node: the first 8 bytes of SHA-256 of its name, as a positive 63-bit integer."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def failure_message(request: Message, code: str, kind: str, en: str, zh: str) -> Message:
    """A Flower error reply that carries an expected failure in both languages."""
    reason = canonical.encode({"code": code[:80], "kind": kind, "en": en[:900], "zh": zh[:900]}).decode()
    return made_message(_reply_metadata(request), error=Error(ERROR_FAILED, reason))


def read_failure(message: Message) -> dict[str, str]:
    """{"code", "kind", "en", "zh"} of an error reply; an error of Flower itself is named by its number only."""
    reason = message.error.reason or ""
    try:
        value = canonical.decode(reason.encode()) if len(reason) <= REASON_CHARACTERS_MAX else None
    except Failure:
        value = None
    if isinstance(value, dict) and set(value) == {"code", "kind", "en", "zh"}:
        texts = {name: str(text) for name, text in value.items()}
        if texts["kind"] in {kind.value for kind in Kind}:
            return texts
    number = message.error.code
    return {
        "code": f"FLOWER_ERROR_{number}",
        "kind": Kind.UNAVAILABLE.value,
        "en": f"the application there failed (Flower error {number}); see that machine's own log",
        "zh": f"对方应用执行失败（Flower 错误 {number}），详情见该机器本地日志",
    }


def decode(data: bytes) -> Message:
    """The Flower message of `records.encode`'s bytes. Raises FlowerContentMalformed."""
    parts = records.decode(data)
    if parts.error is not None:
        return made_message(parts.metadata, error=parts.error)
    return made_message(parts.metadata, content=parts.content)


def answer(app: ClientApp, request: bytes, node: str, message_id: str) -> bytes:
    """A node's whole work on one request: decode, run the local ClientApp, encode its reply.

    The bytes of a request are for everybody; message_id is what this node was asked under. An expected failure becomes
    an error reply with code and texts; anything else is raised to the node, whose edge reports it without detail.
    Raises FlowerContentMalformed for a request that is malformed or bears the name of a node.
    """
    settle_flower()
    message = decode(request)
    found = message.metadata
    if (found.dst_node_id, found.message_id) != (EVERYBODY, "") or message.has_error():
        raise FlowerContentMalformed(why="a request's bytes are for everybody")
    return records.encode(_run(app, _addressed(message, node_number(node), message_id), _context(node)))


class _BaseGrid(Grid):
    """What both grids share: nodes by name, deterministic ids, replies in node order."""

    def __init__(self, run: str, names: Iterable[str]) -> None:
        settle_flower()
        self._run_digest = run
        self._names = {node_number(name): name for name in names}

    def set_run(self, run: Any) -> None:
        raise NotImplementedError("a grid belongs to one run from its construction")

    @property
    def run(self) -> Any:
        raise NotImplementedError("there is no Flower run record behind this grid")

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A request. group_id: `round` or `round.attempt.phase`; ttl is not used, `send_and_receive` has deadlines."""
        known = records.metadata(
            run=FLOWER_RUN, source=FLOWER_SERVER, target=dst_node_id, message_id="", kind=message_type, group=group_id
        )
        return made_message(known, content=content)

    def get_node_ids(self) -> Iterable[int]:
        return sorted(self._names)

    def node_name(self, number: int) -> str:
        """The partner behind Flower's number of a node."""
        return self._names[number]

    def _message_id(self, message: Message) -> str:
        """`run-group-node`: a re-execution of the run makes the same ids and finds the stored answers."""
        assert message.metadata.group_id, "the group id names the round; without it two requests would share one id"
        return f"{self._run_digest[:16]}-{message.metadata.group_id}-{self._names[message.metadata.dst_node_id]}"

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Replies sorted by node: sums of floats depend on order. Unanswered requests have no reply, ever."""
        raise NotImplementedError


class LocalGrid(_BaseGrid):
    """All parties in this process: requests run at once, in node order. For tests and for one machine's studies.

    Each node keeps one Flower Context over the run, as Flower's own nodes do; `node_config["partner"]` is its name.
    """

    def __init__(self, apps: Mapping[str, ClientApp], run: str) -> None:
        super().__init__(run, apps)
        self._apps = dict(apps)
        self._contexts = {name: _context(name) for name in apps}
        self._replies: dict[str, Message] = {}

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in sorted(messages, key=lambda m: int(m.metadata.dst_node_id)):
            name, message_id = self._names[message.metadata.dst_node_id], self._message_id(message)
            self._replies[message_id] = self._run(name, message, message_id)
            ids.append(message_id)
        return ids

    def _run(self, name: str, message: Message, message_id: str) -> Message:
        known = _addressed(message, message.metadata.dst_node_id, message_id)
        return _run(self._apps[name], known, self._contexts[name])

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        found = [self._replies.pop(i) for i in message_ids if i in self._replies]
        return sorted(found, key=lambda m: int(m.metadata.src_node_id))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self.pull_messages(list(self.push_messages(messages)))


class AllianceGrid(_BaseGrid):
    """Requests as bytes over a `RoundChannel`; the ids are deterministic, so stored answers survive a crash."""

    def __init__(self, channel: RoundChannel, run: str, timeout_seconds: float = 60.0) -> None:
        super().__init__(run, channel.nodes())
        self._channel = channel
        self._timeout_seconds = timeout_seconds
        self._pending: dict[str, Message] = {}
        self.bytes_sent = 0
        self.bytes_received = 0

    def get_node_ids(self) -> Iterable[int]:
        """The nodes that are connected now."""
        return sorted(node_number(name) for name in self._channel.connected())

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        requests: list[Request] = []
        contents: dict[tuple[int, str, str], bytes] = {}  # by the records themselves, type and group
        listed = sorted(messages, key=lambda m: int(m.metadata.dst_node_id))
        for message in listed:
            message_id, known = self._message_id(message), message.metadata
            same = (id(message.content), known.message_type, known.group_id)
            if same not in contents:
                contents[same] = records.encode(_addressed(message, EVERYBODY, ""))
            name, head = self._names[known.dst_node_id], self._head(message)
            requests.append(Request(message_id=message_id, node=name, head=head, content=contents[same]))
            # an answer is matched with its request's metadata alone: the content need not stay in memory
            bare = made_message(known, content=RecordDict())
            self._pending[message_id] = _addressed(bare, known.dst_node_id, message_id)
        self._channel.post(requests)
        self.bytes_sent += sum(len(request.content) for request in requests)
        return [request.message_id for request in requests]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self._collect(message_ids, 0.0)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Replies in node order, each loaded and decoded when the iteration comes to it; may be iterated again.

        What has not come in time is withdrawn: whoever asks again asks under another attempt.
        """
        ids = list(self.push_messages(messages))
        replies = self._collect(ids, self._timeout_seconds if timeout is None else timeout)
        if late := [i for i in ids if i in self._pending]:
            self._channel.withdraw(late)
            for message_id in late:
                del self._pending[message_id]
        return replies

    def _collect(self, message_ids: Iterable[str], timeout: float) -> "_Replies":
        wanted = [i for i in message_ids if i in self._pending]
        answers = self._channel.collect(wanted, timeout)
        came = set(answers)  # its keys alone: asking a mapping for a key may load the value
        found = [(i, self._pending.pop(i)) for i in wanted if i in came]
        return _Replies(self, sorted(found, key=lambda pair: int(pair[1].metadata.dst_node_id)), answers)

    def _head(self, message: Message) -> dict[str, canonical.Value]:
        """From the group: `round` of a relayed run, whose phase its record names, or `round.attempt.phase`."""
        round_, _, rest = message.metadata.group_id.partition(".")
        head: dict[str, canonical.Value] = {"run": self._run_digest, "round": int(round_) if round_.isdecimal() else 0}
        if rest:
            attempt, _, phase = rest.partition(".")
            return head | {"attempt": int(attempt) if attempt.isdecimal() else 0, "phase": phase}
        stepping = message.has_content() and "step" in message.content
        return head | {"phase": str(message.content["step"].get("phase", "")) if stepping else ""}

    def _reply(self, request: Message, data: bytes | Failure) -> Message:
        if isinstance(data, Failure):
            return _failed(request, data)
        try:
            reply = decode(data)
        except FlowerContentMalformed as failure:
            return _failed(request, failure)
        due, found = _reply_metadata(request), reply.metadata
        same = ("src_node_id", "dst_node_id", "reply_to_message_id", "group_id", "message_type", "run_id")
        if any(getattr(due, name) != getattr(found, name) for name in same):
            return _failed(request, FlowerContentMalformed(why="a reply to another request"))
        return reply


class _Replies(Iterable[Message]):
    """The answers to requests in node order: one decoded reply in memory at a time."""

    def __init__(
        self, grid: AllianceGrid, found: list[tuple[str, Message]], answers: Mapping[str, bytes | Failure]
    ) -> None:
        self._grid = grid
        self._found = found
        self._answers = answers
        self._counted: set[str] = set()

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Message]:
        for message_id, request in self._found:
            data = self._answers[message_id]
            if isinstance(data, bytes) and message_id not in self._counted:
                self._counted.add(message_id)
                self._grid.bytes_received += len(data)
            yield self._grid._reply(request, data)


def _context(node: str) -> Context:
    return Context(
        run_id=FLOWER_RUN,
        node_id=node_number(node),
        node_config={"partner": node},
        state=RecordDict(),
        run_config={},
    )


def _run(app: ClientApp, request: Message, context: Context) -> Message:
    """One call of a ClientApp; expected failures become error replies."""
    try:
        reply = app(message=request, context=context)
    except Failure as failure:
        return _failed(request, failure)
    due = _reply_metadata(request)
    if reply.has_error():
        return made_message(due, error=reply.error)
    return made_message(due, content=reply.content)


def _failed(request: Message, failure: Failure) -> Message:
    code = str(getattr(failure, "remote_code", failure.code))  # a failure another process reported keeps its own code
    kind = getattr(failure, "remote_kind", failure.kind)
    return failure_message(request, code, kind.value, failure.message("en"), failure.message("zh"))


def _addressed(message: Message, target: int, message_id: str) -> Message:
    """The same request to a node under the id it is known by, without a clock reading."""
    data = message.metadata
    known = records.metadata(
        run=FLOWER_RUN,
        source=FLOWER_SERVER,
        target=target,
        message_id=message_id,
        kind=data.message_type,
        group=data.group_id,
    )
    return made_message(known, content=message.content)


def made_message(known: Metadata, content: RecordDict | None = None, error: Error | None = None) -> Message:
    """A message with metadata of ours."""
    make: Any = Message  # the keyword `metadata` is not in Flower's published signatures
    made: Message = make(content=content, metadata=known) if error is None else make(error=error, metadata=known)
    return made


def _reply_metadata(request: Message) -> Metadata:
    data = request.metadata
    return records.metadata(
        run=data.run_id,
        source=data.dst_node_id,
        target=data.src_node_id,
        message_id=data.message_id + "/r",
        kind=data.message_type,
        group=data.group_id,
        reply_to=data.message_id,
    )
