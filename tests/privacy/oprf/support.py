"""Both sides of an OPRF job in one process: builds them, delivers their messages, keeps a record."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Self

import pytest

from privacy import packing
from privacy.errors import Failure
from privacy.psi import oprf
from privacy.psi.values import Outgoing
from tests.support.entropy import SeededEntropy

CONTEXT = b"digest of the job and of all commitments"
RECEIVER, SENDER = "broker", "bank"
Choose = Callable[[list[str]], str]


def made(role: str, ids: Sequence[bytes], **changes: Any) -> oprf.Session:
    """One side alone; the receiver is the broker, both are said to have as many identifiers."""
    me, peer = (RECEIVER, SENDER) if role == "receiver" else (SENDER, RECEIVER)
    arguments: dict[str, Any] = {
        "role": role,
        "me": me,
        "peer": peer,
        "ids": ids,
        "counts": {me: len(ids), peer: len(ids)},
        "context": CONTEXT,
        "minimum": 0,
        "entropy": SeededEntropy(role.encode()),
    }
    return oprf.create(**arguments | changes)


@dataclass
class Pair:
    receiver_ids: Sequence[bytes]
    sender_ids: Sequence[bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: str = ""
    sessions: dict[str, oprf.Session] = field(default_factory=dict)
    waiting: dict[str, deque[bytes]] = field(default_factory=lambda: {RECEIVER: deque(), SENDER: deque()})
    delivered: list[tuple[str, bytes]] = field(default_factory=list)  # (recipient, message)

    def __post_init__(self) -> None:
        counts = {RECEIVER: len(self.receiver_ids), SENDER: len(self.sender_ids)}
        for role, me, ids in (("receiver", RECEIVER, self.receiver_ids), ("sender", SENDER, self.sender_ids)):
            entropy = SeededEntropy(f"{self.seed}{me}".encode())
            self.sessions[me] = made(role, ids, counts=counts, entropy=entropy, **self.options)
        self.post(self.sessions[RECEIVER].start())

    def ids(self, name: str) -> Sequence[bytes]:
        return self.receiver_ids if name == RECEIVER else self.sender_ids

    def post(self, messages: Sequence[Outgoing]) -> None:
        for item in messages:
            self.waiting[item.recipient].append(item.message)

    def steps(self) -> list[str]:
        """What can be done now: deliver to a party, or let one work."""
        deliveries = [f"deliver {name}" for name, queue in self.waiting.items() if queue]
        return deliveries + [f"work {name}" for name, session in self.sessions.items() if session.ready]

    def step(self, choose: Choose = lambda steps: steps[0]) -> bool:
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

    def run(self, choose: Choose = lambda steps: steps[0]) -> Self:
        while self.step(choose):
            continue
        return self

    def until(self, recipient: str, phase: str, bucket: int = 0) -> bytes:
        """Run until the message of a phase and bucket waits for its recipient as the next one; gives it."""
        while not (self.waiting[recipient] and head_of(self.waiting[recipient][0])[0] == (phase, bucket)):
            assert self.step(lambda steps: next(s for s in steps if not self._holds(s, recipient, phase, bucket)))
        return self.waiting[recipient][0]

    def _holds(self, step: str, recipient: str, phase: str, bucket: int) -> bool:
        held = step == f"deliver {recipient}"
        return held and head_of(self.waiting[recipient][0])[0] == (phase, bucket)

    def shared(self) -> list[bytes]:
        return [self.receiver_ids[row] for row in self.sessions[RECEIVER].result().rows]


def head_of(message: bytes) -> tuple[tuple[str, int], dict[str, Any]]:
    """((phase, bucket), header)."""
    value: Any = packing.unpack(message)
    return (value["header"]["phase"], value["header"]["bucket"]), value["header"]


def payload_of(message: bytes) -> bytes:
    value: Any = packing.unpack(message)
    return bytes(value["payload"])


def rewritten(message: bytes, payload: bytes | None = None, changes: Mapping[str, object] | None = None) -> bytes:
    """The message as its author could have written it otherwise: another payload with its digest, other fields."""
    value: Any = packing.unpack(message)
    header = dict(value["header"])
    if payload is not None:
        header["digest"] = sha256(payload).hexdigest()
    header |= dict(changes or {})
    return packing.pack({"header": header, "payload": value["payload"] if payload is None else payload})


def clients(*numbers: int) -> list[bytes]:
    return [b"cid:%018d" % number for number in numbers]


def peer_of(name: str) -> str:
    return SENDER if name == RECEIVER else RECEIVER


def refuse(pair: Pair, recipient: str, failure: type[Failure], message: bytes, sender: str | None = None) -> None:
    """The recipient refuses this message, and stays as it was."""
    session = pair.sessions[recipient]
    before = session.dump()
    with pytest.raises(failure):
        session.receive(sender or peer_of(recipient), message)
    assert session.dump() == before
