"""Matching sessions of several parties in one process: builds them, delivers their messages, keeps a record."""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from privacy import packing, psi
from privacy.errors import Failure
from privacy.noise import CountNoise
from privacy.psi.group import Map
from tests.support.entropy import SeededEntropy

CONTEXT = b"digest of the job and of all commitments"
Choose = Callable[[list[tuple[str, str]]], tuple[str, str]]


@dataclass
class Delivered:
    sender: str
    recipient: str
    message: bytes


@dataclass
class Alliance:
    """Parties by name; the first one leads."""

    mode: str
    sets: Mapping[str, Sequence[bytes]]
    minimum: int = 0
    points_per_message: int = 8192
    context: bytes = CONTEXT
    seed: str = ""
    value_side: str = ""  # mode sum: whose values are added up
    bits: int = 0
    values: Sequence[int] = ()  # one for each of its identifiers
    noise: CountNoise | None = None  # mode count
    both: bool = False  # mode rows
    map: Map = map
    sessions: dict[str, psi.Session] = field(default_factory=dict)
    delivered: list[Delivered] = field(default_factory=list)
    waiting: dict[tuple[str, str], deque[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        leader, *followers = self.sets
        for name in self.sets:
            others = [other for other in followers if other != name] if self.mode == "align-all" else []
            self.sessions[name] = psi.create(
                mode=self.mode,
                role="leader" if name == leader else "follower",
                me=name,
                peers=followers if name == leader else [leader, *others],
                ids=self.sets[name],
                counts={party: len(ids) for party, ids in self.sets.items()},
                context=self.context,
                minimum=self.minimum,
                entropy=SeededEntropy(f"{self.seed}{name}".encode()),
                points_per_message=self.points_per_message,
                value_side=self.value_side,
                bits=self.bits,
                values=self.values_of(name),
                noise=self.noise,
                both=self.both,
                map=self.map,
            )
        for name, session in self.sessions.items():
            self.post(name, session.start())

    def post(self, sender: str, messages: Sequence[psi.Outgoing]) -> None:
        for item in messages:
            self.waiting.setdefault((sender, item.recipient), deque()).append(item.message)

    def deliver_one(self, choose: Choose = lambda links: links[0]) -> Delivered | None:
        """Deliver the next message of a chosen link; links keep their order, as envelopes do."""
        links = [link for link, queue in self.waiting.items() if queue]
        if not links:
            return None
        sender, recipient = choose(links)
        message = self.waiting[sender, recipient].popleft()
        self.post(recipient, self.sessions[recipient].receive(sender, message))
        self.delivered.append(Delivered(sender, recipient, message))
        return self.delivered[-1]

    def run(self, choose: Choose = lambda links: links[0]) -> "Alliance":
        while self.deliver_one(choose):
            pass
        assert all(session.done for session in self.sessions.values())
        return self

    def restart(self, name: str) -> None:
        """kill -9 and start again: nothing survives but the dump and the data."""
        self.sessions[name] = psi.load(self.sessions[name].dump(), self.sets[name], values=self.values_of(name))

    def values_of(self, name: str) -> Sequence[int]:
        return self.values if name == self.value_side else ()

    def count(self) -> psi.CountResult:
        result = self.sessions[next(iter(self.sets))].result()
        assert isinstance(result, psi.CountResult)
        return result

    def aligned(self, name: str) -> psi.AlignResult:
        result = self.sessions[name].result()
        assert isinstance(result, psi.AlignResult)
        return result

    def common(self, name: str) -> list[bytes]:
        """The common clients' identifiers in the order of a party's rows."""
        return [self.sets[name][row] for row in self.aligned(name).rows]


def rewritten(message: bytes, records: bytes | None = None, changes: Mapping[str, object] | None = None) -> bytes:
    """The message as its author could have written it otherwise: other records with their digest, other fields."""
    head = packing.unpack(message)
    assert isinstance(head, dict)
    value: dict[str, Any] = dict(head)
    if records is not None:
        value |= {"records": records, "digest": hashlib.sha256(records).hexdigest()}
    return packing.pack(value | dict(changes or {}))


def records_of(message: bytes) -> bytes:
    head = packing.unpack(message)
    assert isinstance(head, dict)
    records = head["records"]
    assert isinstance(records, bytes)
    return records


def clients(*numbers: int) -> list[bytes]:
    return [b"cid:%018d" % number for number in numbers]


def waiting(run: Alliance) -> tuple[str, str, bytes]:
    """(sender, recipient, message) of the next message to deliver."""
    (sender, recipient), queue = next((link, queue) for link, queue in run.waiting.items() if queue)
    return sender, recipient, queue[0]


def refuse(run: Alliance, failure: type[Failure], message: bytes, sender: str | None = None) -> Failure:
    """The recipient of the waiting message refuses this one, and stays as it was."""
    author, recipient, _ = waiting(run)
    session = run.sessions[recipient]
    before = session.dump()
    with pytest.raises(failure) as caught:
        session.receive(sender or author, message)
    assert session.dump() == before
    return caught.value
