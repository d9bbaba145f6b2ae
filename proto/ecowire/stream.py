"""One message on the node's stream: value ↔ frames. The first check of every byte that arrives."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ecowire import limits
from ecowire.status import MalformedMessage, MessageTooLarge
from ecowire.v1 import alliance_pb2 as pb
from privacy import canonical

FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request or a reply. Request ids are deterministic; a reply's id is its request's id + "/r".

    sha256: 32 bytes, of the body; made here unless whoever has the body knows it already.
    """

    id: str
    kind: str
    head: dict[str, canonical.Value] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    reply_to: str = ""
    sha256: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not self.sha256:
            object.__setattr__(self, "sha256", hashlib.sha256(self.body).digest())

    @property
    def digest(self) -> bytes:
        """32 bytes over kind, head and body: same id with another digest is a conflict."""
        prefix = canonical.encode([self.kind, self.head])
        return canonical.digest_bytes("ecohub/message/v2", hashlib.sha256(prefix).digest() + self.sha256)

    def reply(self, kind: str, head: dict[str, canonical.Value], body: bytes = b"") -> "Message":
        return Message(id=self.id + "/r", reply_to=self.id, kind=kind, head=head, body=body)


def to_frames(message: Message) -> Iterator[pb.Frame]:
    """The frames of a message: Begin with a small body in it, or Begin and then chunks of at most 1 MiB."""
    head, size = canonical.encode(message.head), len(message.body)
    if len(head) > limits.HEAD_BYTES_MAX:
        raise MessageTooLarge(size=len(head), limit=limits.HEAD_BYTES_MAX)
    if size > limits.BODY_BYTES_MAX:
        raise MessageTooLarge(size=size, limit=limits.BODY_BYTES_MAX)
    small = size <= limits.SMALL_BYTES_MAX
    begin = pb.Begin(
        id=message.id,
        reply_to=message.reply_to,
        kind=message.kind,
        head=head,
        size=size,
        sha256=message.sha256,
        body=message.body if small else b"",
    )
    yield pb.Frame(begin=begin)
    if not small:
        view = memoryview(message.body)
        for start in range(0, size, limits.CHUNK_BYTES_MAX):
            data = bytes(view[start : start + limits.CHUNK_BYTES_MAX])
            yield pb.Frame(chunk=pb.Chunk(id=message.id, data=data))


class _Open:
    """A message that has begun: its body's pieces, hashed as they come, so that little is left to do at the last."""

    def __init__(self, begin: pb.Begin, head: dict[str, canonical.Value]) -> None:
        self.begin, self.head = begin, head
        self.size = 0
        self._pieces: list[bytes] = []
        self._sha256 = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._pieces.append(data)
        self._sha256.update(data)

    def message(self) -> Message:
        """Raises MalformedMessage where the body is another than was announced."""
        begin, found = self.begin, self._sha256.digest()
        if found != begin.sha256:
            raise MalformedMessage(why="the body's hash differs")
        body = b"".join(self._pieces)
        return Message(id=begin.id, reply_to=begin.reply_to, kind=begin.kind, head=self.head, body=body, sha256=found)


class Assembler:
    """Collects one stream's inbound frames into messages; sizes capped, hashes checked.

    Raises MalformedMessage or MessageTooLarge; the stream must then be closed.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._announced = 0  # bytes of all open messages

    def feed(self, frame: pb.Frame) -> Message | None:
        """The message that this Begin or Chunk frame completes, if any."""
        match frame.WhichOneof("body"):
            case "begin":
                return self._begin(frame.begin)
            case "chunk":
                return self._chunk(frame.chunk)
        raise MalformedMessage(why="neither a begin nor a chunk")

    def _begin(self, begin: pb.Begin) -> Message | None:
        if not begin.id or len(begin.id) > limits.ID_BYTES_MAX or len(begin.reply_to) > limits.ID_BYTES_MAX:
            raise MalformedMessage(why="message id")
        if not begin.kind or len(begin.kind) > 64 or len(begin.sha256) != 32:
            raise MalformedMessage(why="message header")
        if len(begin.head) > limits.HEAD_BYTES_MAX:
            raise MessageTooLarge(size=len(begin.head), limit=limits.HEAD_BYTES_MAX)
        if begin.size > limits.BODY_BYTES_MAX:
            raise MessageTooLarge(size=begin.size, limit=limits.BODY_BYTES_MAX)
        if begin.id in self._open or len(self._open) >= limits.OPEN_MESSAGES_MAX:
            raise MalformedMessage(why="too many open messages, or one begun twice")
        if self._announced + begin.size > limits.OPEN_BYTES_MAX:
            raise MessageTooLarge(size=self._announced + begin.size, limit=limits.OPEN_BYTES_MAX)
        head = canonical.decode(begin.head)
        if not isinstance(head, dict):
            raise MalformedMessage(why="the head is not an object")
        if begin.size <= limits.SMALL_BYTES_MAX or begin.body:
            if len(begin.body) != begin.size or begin.size > limits.SMALL_BYTES_MAX:
                raise MalformedMessage(why="a small body travels in the first frame, a large one in chunks")
            small = _Open(begin, head)
            small.add(begin.body)
            return small.message()
        self._announced += begin.size
        self._open[begin.id] = _Open(begin, head)
        return None

    def _chunk(self, chunk: pb.Chunk) -> Message | None:
        if chunk.id not in self._open:
            raise MalformedMessage(why="a chunk of no open message")
        message, data = self._open[chunk.id], chunk.data
        # small ones would take more memory than they announced: each piece is an object
        if len(data) != min(limits.CHUNK_BYTES_MAX, message.begin.size - message.size):
            raise MalformedMessage(why="chunk length")
        message.add(data)
        return self._done(chunk.id) if message.size == message.begin.size else None

    def _done(self, message_id: str) -> Message:
        done = self._open.pop(message_id)
        self._announced -= done.begin.size
        return done.message()
