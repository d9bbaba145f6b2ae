"""Both sides of jobs within one epoch in one process: delivers their messages, keeps a record, restarts a side."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from privacy import packing
from privacy.psi import cached
from privacy.psi.oprf.state import RowsResult
from privacy.psi.values import Outgoing
from tests.support.entropy import SeededEntropy

SENDER, RECEIVER = "bank", "broker"
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
ENDS = datetime(2026, 12, 1, tzinfo=UTC)
CONTEXT = b"what both parties agreed on for this epoch"
AGREED: dict[str, Any] = {
    "sender": SENDER,
    "receiver": RECEIVER,
    "epoch": 1,
    "context": CONTEXT,
    "slots": 20,
    "addition_slots": 4,
    "additions_max": 3,
    "points_max": 100,
    "ends": ENDS,
    "masks_per_message": 8,
    "points_per_message": 4,
}


def clients(*numbers: int) -> list[bytes]:
    return [b"cid:%018d" % number for number in numbers]


def begun(ids: Sequence[bytes], seed: str = "epoch", **changes: Any) -> cached.SenderEpoch:
    return cached.SenderEpoch.begin(ids=ids, entropy=SeededEntropy(seed.encode()), **AGREED | changes)


@dataclass
class Alliance:
    """A sender's epoch and a receiver's; `run` does a job between them."""

    sender_ids: Sequence[bytes]
    changes: dict[str, Any] = field(default_factory=dict)
    jobs: int = 0

    def __post_init__(self) -> None:
        self.sender = begun(self.sender_ids, **self.changes)
        self.receiver = cached.ReceiverEpoch(cached.Terms.from_body(self.sender.terms.to_body()))

    def job(self, **changes: Any) -> cached.Job:
        self.jobs += 1
        agreed: dict[str, Any] = {
            "context": b"digest of the job and commitments %d" % self.jobs,
            "points": 6,
            "held": len(self.receiver.messages),
            "lists": len(self.sender.lists),
            "minimum": 0,
        }
        return cached.Job(**agreed | changes)

    def pair(self, ids: Sequence[bytes], now: datetime = NOW, **changes: Any) -> "Pair":
        return Pair(self, ids, self.job(**changes), now)

    def run(self, ids: Sequence[bytes], **changes: Any) -> RowsResult:
        return self.pair(ids, **changes).run().sessions[RECEIVER].result()

    def shared(self, ids: Sequence[bytes], **changes: Any) -> set[bytes]:
        return {ids[row] for row in self.run(ids, **changes).rows}


@dataclass
class Pair:
    alliance: Alliance
    ids: Sequence[bytes]
    job: cached.Job
    now: datetime = NOW
    sessions: dict[str, cached.Session] = field(default_factory=dict)
    waiting: dict[str, deque[bytes]] = field(default_factory=lambda: {RECEIVER: deque(), SENDER: deque()})
    delivered: list[tuple[str, bytes]] = field(default_factory=list)  # (recipient, message)

    def __post_init__(self) -> None:
        for name in (SENDER, RECEIVER):
            self.sessions[name] = cached.create(
                epoch=self.epoch(name),
                job=self.job,
                ids=self.own(name),
                entropy=SeededEntropy(f"{name}{self.alliance.jobs}".encode()),
                now=self.now,
            )
        for name in (SENDER, RECEIVER):
            self.post(self.sessions[name].start())

    def epoch(self, name: str) -> cached.SenderEpoch | cached.ReceiverEpoch:
        return self.alliance.sender if name == SENDER else self.alliance.receiver

    def own(self, name: str) -> Sequence[bytes]:
        return self.alliance.sender_ids if name == SENDER else self.ids

    def post(self, messages: Sequence[Outgoing]) -> None:
        for item in messages:
            self.waiting[item.recipient].append(item.message)

    def steps(self) -> list[str]:
        """What can be done now: deliver to a party, or let one work."""
        deliveries = [f"deliver {name}" for name, queue in self.waiting.items() if queue]
        return deliveries + [f"work {name}" for name, session in self.sessions.items() if session.ready]

    def step(self, choose: Callable[[list[str]], str] = lambda steps: steps[0]) -> bool:
        steps = self.steps()
        if not steps:
            return False
        kind, name = choose(steps).split()
        if kind == "work":
            self.post(self.sessions[name].work())
        else:
            message = self.waiting[name].popleft()
            self.delivered.append((name, message))
            self.post(self.sessions[name].receive(SENDER if name == RECEIVER else RECEIVER, message))
        return True

    def run(self, choose: Callable[[list[str]], str] = lambda steps: steps[0]) -> "Pair":
        while self.step(choose):
            continue
        return self

    def until(self, phase: str, recipient: str) -> bytes:
        """Go on until the next message for the recipient is of this phase; that message."""
        while not (self.waiting[recipient] and header(self.waiting[recipient][0])["phase"] == phase):
            assert self.step(lambda steps: next((s for s in steps if s != f"deliver {recipient}"), steps[0]))
        return self.waiting[recipient][0]

    def restart(self, name: str, now: datetime | None = None) -> None:
        """What a node does after a crash: epoch and session come from their stored forms."""
        dump = self.sessions[name].dump()
        if name == SENDER:
            self.alliance.sender = cached.SenderEpoch.load(self.alliance.sender.dump())
        else:
            receiver = self.alliance.receiver
            self.alliance.receiver = cached.ReceiverEpoch.load(receiver.head(), receiver.messages)
        self.sessions[name] = cached.load(data=dump, epoch=self.epoch(name), ids=self.own(name), now=now or self.now)


def header(message: bytes) -> dict[str, Any]:
    value: Any = packing.unpack(message)
    return dict(value["header"])


def payload(message: bytes) -> bytes:
    value: Any = packing.unpack(message)
    return bytes(value["payload"])
