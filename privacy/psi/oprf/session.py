"""An OPRF matching job as two state machines without I/O: which of the receiver's identifiers the sender has too.

receiver → nonce, offer of base transfers; sender → nonce, answer; then for every bucket: receiver → matrix, sender →
tags. `receive` takes a message; `work` does what is long: hash the identifiers, then a bucket a call (or `parallel` of
them). Call it while `ready`. The state can be dumped after each call, so a job that is killed goes on with the next
bucket. Buckets are computed where `begin` says: a thread, a process pool or a cluster has begun the next ones before
they are called for (`ahead`).

Security: that of the job's option (`options`), with the bounds that `Parameters` lists. "semi-honest": both sides
follow the protocol; a receiver that deviates could learn the sender's secret choices and test any identifier.
"checked-…": a receiver that deviates is caught, and enters at most `Parameters.identifiers_held`. In all: the receiver
learns the shared identifiers and the sender's count, the sender the receiver's count; a sender that deviates can make
shared identifiers vanish; both can enter identifiers they guessed. The minimum is kept by the receiver's software: with
fewer shared identifiers it shows no rows, a changed software could.

The only randomness is 32 bytes drawn at the start. A session loaded from a dump makes matrices under new attempt
numbers, so no stream of OT extension ever serves two different matrices, even if an old dump is loaded. What was sent
must be sent again from where it was stored, not be made again. A dump is secret until the job is over; then it has the
result.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from privacy.psi.errors import ForeignMessage, NotFinished, WrongPhase
from privacy.psi.oprf import state as states
from privacy.psi.oprf import wire
from privacy.psi.oprf.aes import SEED_BYTES as BLOCK_SEED_BYTES
from privacy.psi.oprf.ahead import Ahead, Begin, Later
from privacy.psi.oprf.bucket import Bucket
from privacy.psi.oprf.digests import WORDS, WORDS_LONG, Bucketed, hash_into_buckets
from privacy.psi.oprf.state import Role, Setup, State
from privacy.psi.oprf.wire import Link, Part
from privacy.psi.randomness import keyed_stream
from privacy.psi.values import Outgoing, RowsResult

SEED_BYTES = 32
START = bytes(32)  # of running digests


class Session(ABC):
    """One party's side of one job. Made by `factory.create` and `factory.load`."""

    REPLY: ClassVar[str] = "tags"  # phase of what answers a matrix

    def __init__(
        self, setup: Setup, seed: bytes, ids: Sequence[bytes], state: State, identifiers: bytes, begin: Begin
    ) -> None:
        self.setup = setup
        self.state = state
        self.sizes = setup.sizes
        self._seed = seed
        self._ids = ids
        self._identifiers = identifiers  # digest, for `load`
        # the process that a single bucket would have to be sent to costs more than the bucket
        self._ahead = Ahead(begin if self.sizes.buckets > 1 else Later)
        self._hashed: Bucketed | None = None
        self._hash_ahead = False  # nothing else to do: hash now what the first bucket will need

    # -- the interface

    def start(self) -> list[Outgoing]:
        """The receiver's first message; a sender has none. Raises WrongPhase after anything was received."""
        if self.done or self.state.ended or self.state.salt:
            raise WrongPhase(expected=self.phase, got="start")
        self.state.started, self.state.sent = True, START
        return self._open()

    def receive(self, sender: str, message: bytes | memoryview) -> list[Outgoing]:
        """Take one message of an authenticated sender; give those that follow at once. Then work may be `ready`.

        Raises the failures of `wire.decode`, BaseTransferLength, BadPoint, TagsMalformed. A refused message changes
        nothing.
        """
        if sender != self.setup.peer:
            raise ForeignMessage(sender=sender[:40], field="sender")
        part, answered = self._expected()
        link = self._link(sender, self.setup.me, self.setup.peer_role)
        payload, digest = wire.decode(message, link, part, wire.chained(self.state.received, answered))
        assert part is not None, "decode refuses a message that nothing waits for"
        before = self.state.received
        self.state.received = wire.chained(before, digest)
        try:
            return self._take(part, payload, digest)
        except Exception:
            self.state.received = before
            raise

    def work(self) -> list[Outgoing]:
        """Do up to `parallel` buckets that are ready; their messages.

        Raises BucketOverflow, StoreUnsolvable, BadIdentifiers (one of packed ones stands there twice), and
        ExtensionInconsistent, after which the session has "ended".
        """
        if not self.ready:
            return []
        self._hash()
        numbers = self._ready_buckets()[: self.setup.parallel]
        return self._work(numbers) if numbers else []

    @property
    def ready(self) -> bool:
        """There is something for `work`."""
        return bool(self.state.salt) and not self.done and (self._hash_ahead or bool(self._ready_buckets()))

    @property
    def done(self) -> bool:
        return self.state.result is not None

    @property
    def phase(self) -> str:
        """What this side waits for: "start", "work", a phase of the other side; or "done", or "ended" (given up)."""
        if self.done or self.state.ended:
            return "done" if self.done else "ended"
        if not self.state.started:
            return "start"
        part, _ = self._expected()
        return "work" if self.ready or part is None else part.phase

    @property
    def progress(self) -> tuple[int, int]:
        """(finished buckets, all buckets)."""
        return self._finished, self.sizes.buckets

    def result(self) -> RowsResult:
        """The result; a sender's is NOT_ENTITLED. Raises NotFinished."""
        if self.state.result is None:
            raise NotFinished(phase=self.phase)
        return self.state.result

    def transcript(self) -> bytes:
        """32 bytes over all messages: equal at both ends."""
        sent, received = self.state.sent, self.state.received
        return wire.chained(sent, received) if self.setup.role is Role.RECEIVER else wire.chained(received, sent)

    def dump(self) -> bytes:
        """The whole state, to be kept secret. A finished session's holds the result and no secret."""
        return states.pack(self.setup, self.state, self._seed, self._identifiers)

    # -- what a role says

    @abstractmethod
    def _open(self) -> list[Outgoing]: ...

    @abstractmethod
    def _expected(self) -> tuple[Part | None, bytes]:
        """(the message that may come next, digest of the message that it answers)."""

    @abstractmethod
    def _take(self, part: Part, payload: bytes, digest: bytes) -> list[Outgoing]: ...

    @abstractmethod
    def _ready_buckets(self) -> list[int]: ...

    @abstractmethod
    def _work(self, numbers: list[int]) -> list[Outgoing]: ...

    @property
    @abstractmethod
    def _finished(self) -> int: ...

    @property
    @abstractmethod
    def _capacity(self) -> int:
        """Identifiers of this side that a bucket can take."""

    # -- helpers

    @property
    def _window(self) -> int:
        """Matrices that may be under way at once: bounds both sides' memory."""
        return 2 * self.setup.parallel

    @property
    def _words(self) -> int:
        return WORDS if self.sizes.option.word_bits <= 64 else WORDS_LONG

    def _hash(self) -> Bucketed:
        if self._hashed is None:
            self._hashed = hash_into_buckets(
                self._ids, self.state.salt, buckets=self.sizes.buckets, capacity=self._capacity, words=self._words
            )
            self._hash_ahead, self._ids = False, ()
        return self._hashed

    def _bucket(self, number: int) -> Bucket:
        return Bucket(
            sizes=self.sizes,
            salt=self.state.salt,
            history=self.state.opening,
            number=number,
            digests=self._hash().bucket(number)[0],
            # of the base transfers' messages too: a session restored from a copy and answered otherwise never has
            # the same filler and masks under other streams, whose two proofs would open sums of slots
            secret=self._stream(f"buckets {self.state.opening.hex()}")(BLOCK_SEED_BYTES),
        )

    def _send(self, part: Part, answered: bytes, payload: bytes) -> tuple[Outgoing, bytes]:
        """(message, its digest)."""
        link = self._link(self.setup.me, self.setup.peer, self.setup.role)
        message, digest = wire.encode(link, part, wire.chained(self.state.sent, answered), payload)
        self.state.sent = wire.chained(self.state.sent, digest)
        return Outgoing(recipient=self.setup.peer, message=message), digest

    def _link(self, sender: str, recipient: str, role: Role) -> Link:
        return Link(job=self.setup.job.hex(), sender=sender, role=role.value, recipient=recipient)

    def _stream(self, label: str) -> Callable[[int], bytes]:
        return keyed_stream(self._seed, label)

    def _finish(self, result: RowsResult) -> None:
        """The job is over: seeds, digests and identifiers go."""
        self._forget(State(started=True, sent=self.state.sent, received=self.state.received, result=result))

    def _give_up(self) -> None:
        """The other side was caught: all secrets go, and nothing can follow."""
        self._forget(State(started=True, ended=True))

    def _forget(self, rest: State) -> None:
        self._seed, self._ids, self._hashed, self._hash_ahead = b"", (), None, False
        self._ahead, self.state = Ahead(Later), rest
