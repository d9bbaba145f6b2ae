"""One job within an epoch as two state machines without I/O: which of the receiver's identifiers are in the list.

receiver → points of its identifiers, padded to the job's number; sender → their evaluations, with a proof; then the
masks that this job delivers, if any. Points come in messages of `Terms.points_per_message`, each answered by one
message with ONE proof for all its points. `work` does what is long, a message a call: call it while `ready`. Both sides
can be dumped after each call; a job that is taken up again sends byte for byte what it would have sent.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from privacy.psi import group
from privacy.psi.cached.dleq import PROOF_BYTES
from privacy.psi.cached.epoch import ReceiverEpoch, SenderEpoch
from privacy.psi.cached.state import Job, Side, State, pack
from privacy.psi.errors import ForeignMessage, NotFinished
from privacy.psi.oprf import wire
from privacy.psi.oprf.wire import Link, Part
from privacy.psi.values import Outgoing, RowsResult

Epoch: TypeAlias = SenderEpoch | ReceiverEpoch
POINTS, EVALUATIONS, MASKS = "points", "evaluations", "masks"


class Session(ABC):
    """One party's side of one job. Made by `factory.create` and `factory.load`."""

    side: Side

    def __init__(self, epoch: Epoch, job: Job, state: State, map: group.Map) -> None:
        self.epoch = epoch
        self.job = job
        self.state = state
        self.terms = epoch.terms
        self._map = map
        names = {Side.SENDER: self.terms.sender, Side.RECEIVER: self.terms.receiver}
        self.me = names.pop(self.side)
        ((self._peer_side, self.peer),) = names.items()

    # -- the interface

    @abstractmethod
    def start(self) -> list[Outgoing]:
        """The receiver's first message; a sender has none. Raises WrongPhase after that."""

    def receive(self, sender: str, message: bytes) -> list[Outgoing]:
        """Take one message of an authenticated sender. Then work may be `ready`.

        Raises the failures of `wire.decode`, BadPoint, EvaluationUnproven, TagsMalformed. A refused message changes
        nothing.
        """
        if sender != self.peer:
            raise ForeignMessage(sender=sender[:40], field="sender")
        part, answered = self._expected()
        link = self._link(self.peer, self.me, self._peer_side)
        payload, digest = wire.decode(message, link, part, wire.chained(self.state.received, answered))
        assert part is not None, "decode refuses a message that nothing waits for"
        self._take(part, payload, digest)
        self.state.received = wire.chained(self.state.received, digest)
        if self._complete:
            self._conclude()
        return []

    def work(self) -> list[Outgoing]:
        """Make one message that is `ready`."""
        if not self.ready:
            return []
        out = self._step()
        if self._complete:
            self._conclude()
        return out

    @property
    def ready(self) -> bool:
        """There is something for `work`."""
        return self.state.started and not self.done and self._can_step

    @property
    def done(self) -> bool:
        return self.state.result is not None

    @property
    def phase(self) -> str:
        """What this side waits for: "start", "work", a phase of the other side; or "done"."""
        if self.done or not self.state.started:
            return "done" if self.done else "start"
        part, _ = self._expected()
        return "work" if self.ready or part is None else part.phase

    @property
    def progress(self) -> tuple[int, int]:
        """(messages of the sender that are made or taken, all of them)."""
        everything = self._chunks + self.job.stop(self.terms) - self.job.held
        return (everything if self.done else self._finished), everything

    def result(self) -> RowsResult:
        """The rows; a sender's is NOT_ENTITLED. Raises NotFinished."""
        if self.state.result is None:
            raise NotFinished(phase=self.phase)
        return self.state.result

    def transcript(self, peer: str) -> bytes:
        """32 bytes over all messages with the peer: equal at both ends."""
        pair = self.state.sent, self.state.received
        return wire.chained(*(pair if self.side is Side.RECEIVER else pair[::-1]))

    def dump(self) -> bytes:
        """The session without its epoch, to be kept secret until it is done; then it holds the result."""
        return pack(self.side, self.job, self.terms.digest, self.state)

    # -- what a side says

    @abstractmethod
    def _expected(self) -> tuple[Part | None, bytes]:
        """(the message that may come next, digest of the message that it answers)."""

    @abstractmethod
    def _take(self, part: Part, payload: bytes, digest: bytes) -> None: ...

    @abstractmethod
    def _step(self) -> list[Outgoing]: ...

    @property
    @abstractmethod
    def _can_step(self) -> bool: ...

    @property
    @abstractmethod
    def _complete(self) -> bool: ...

    @abstractmethod
    def _conclude(self) -> None: ...

    @property
    @abstractmethod
    def _finished(self) -> int: ...

    # -- helpers

    @property
    def _chunks(self) -> int:
        """Messages of points. A job without points has one, which is empty."""
        return max(1, -(-self.job.points // self.terms.points_per_message))

    def _points_in(self, chunk: int) -> int:
        return min(self.terms.points_per_message, self.job.points - chunk * self.terms.points_per_message)

    def _part(self, phase: str, number: int) -> Part:
        return Part(phase=phase, bucket=number, length=self._length(phase, number))

    def _length(self, phase: str, number: int) -> int:
        if phase == MASKS:
            return self.terms.mask_bytes(number)
        points = self._points_in(number)
        return group.POINT_BYTES * points + (PROOF_BYTES if phase == EVALUATIONS and points else 0)

    def _send(self, part: Part, answered: bytes, payload: bytes) -> tuple[Outgoing, bytes]:
        """(message, its digest)."""
        link = self._link(self.me, self.peer, self.side)
        message, digest = wire.encode(link, part, wire.chained(self.state.sent, answered), payload)
        self.state.sent = wire.chained(self.state.sent, digest)
        return Outgoing(recipient=self.peer, message=message), digest

    def _link(self, sender: str, recipient: str, side: Side) -> Link:
        name = self.job.digest(self.terms).hex()
        return Link(job=name, sender=sender, role=side.value, recipient=recipient)

    def _finish(self, result: RowsResult) -> None:
        """The job is over: seed, points and identifiers go."""
        self.state = State(started=True, sent=self.state.sent, received=self.state.received, result=result)
        self._forget()

    @abstractmethod
    def _forget(self) -> None:
        """Let go what a side holds beside its state."""


def split(data: bytes, width: int = group.POINT_BYTES) -> Sequence[bytes]:
    return [data[i : i + width] for i in range(0, len(data), width)]
