"""Envelopes of a match on their way through one transaction: taken from an answer, filed, or passed on at once.

An envelope whose recipient can be asked now goes into that request and is filed without its bytes, so these are written
once; one that must wait is filed with them. Where all envelopes of an answer go into one request, its body is the
answer's, byte for byte, with the hash that was checked when it came. Sizes and digests stay as the transcript: an
envelope's digest is over its answer's hash and its place in it.
"""

import hashlib
from dataclasses import dataclass, replace

from ecowire import envelopes
from hub.records import Content, Envelope, Proposal, Task
from hub.store import Transaction
from privacy import packing
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId

STEP_BYTES_MAX = 16 << 20  # of envelopes in one request; a single larger one still goes


class RelayRefused(Failure):
    code = "RELAY_REFUSED"
    kind = Kind.INTEGRITY
    en = "an envelope of {node} was refused: {why}"
    zh = "{node} 的信封被拒绝：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """A body that came, and the arrivals of its envelopes."""

    content: Content
    arrivals: tuple[int, ...]


class Envelopes:
    """Those of one job in one transaction; `file` at its end."""

    def __init__(self, tx: Transaction, job: Proposal) -> None:
        self._tx = tx
        self._job = job
        self._new: dict[int, Envelope] = {}  # by arrival
        self._views: dict[int, memoryview] = {}  # by arrival, of the answers' bodies
        self._answers: list[_Answer] = []
        self._arrival = tx.jobs.envelopes(job.digest)

    def take(self, task: Task) -> None:
        """A party's outgoing envelopes; each counter goes up by one, without gaps. Raises RelayRefused, NotPacked."""
        if not task.reply_body:
            return
        content = _content(task)
        first = self._arrival
        for data in _unpack(task.node, content.data):
            header = envelopes.read_header(data)
            if header.job != self._job.digest or header.sender != task.node:
                raise RelayRefused(node=task.node, why="it names another job or sender")
            if header.recipient not in self._job.parties or header.recipient == header.sender:
                raise RelayRefused(node=task.node, why="its recipient is no other party of this job")
            expected = self._next(header.sender, header.recipient)
            if header.sequence != expected:
                raise RelayRefused(node=task.node, why=f"sequence {header.sequence} instead of {expected}")
            place = (self._arrival - first).to_bytes(4, "big")
            self._new[self._arrival] = Envelope(
                job=self._job.digest,
                sender=header.sender,
                recipient=header.recipient,
                sequence=header.sequence,
                arrival=self._arrival,
                size=len(data),
                digest=hashlib.sha256(content.sha256 + place).hexdigest(),
                data=None,
            )
            self._views[self._arrival] = data
            self._arrival += 1
        self._answers.append(_Answer(content=content, arrivals=tuple(range(first, self._arrival))))

    def waiting(self, party: PartnerId) -> tuple[Envelope, ...]:
        """What a party is to get next, in the order of arrival, as many as fit (at least one): those filed before
        first, and then no others, which came later."""
        filed = self._tx.jobs.waiting_envelopes(self._job.digest, party, STEP_BYTES_MAX)
        return filed or self._fitting(party)

    def body(self, waiting: tuple[Envelope, ...]) -> Content:
        """What a request with these carries."""
        arrivals = tuple(item.arrival for item in waiting)
        for answer in self._answers:
            if answer.arrivals == arrivals:
                return answer.content
        return Content.of(packing.pack([item.data or self._views[item.arrival] for item in waiting]))

    def passed_on(self, gone: tuple[Envelope, ...]) -> None:
        """These are in a request: forget their bytes."""
        self._tx.jobs.drop_envelope_data(tuple(item for item in gone if item.arrival not in self._new))
        for item in gone:
            self._views.pop(item.arrival, None)

    def file(self) -> None:
        """Write down what came."""
        for item in self._new.values():
            view = self._views.get(item.arrival)
            self._tx.jobs.add_envelope(item if view is None else replace(item, data=bytes(view)))

    def _next(self, sender: PartnerId, recipient: PartnerId) -> int:
        new = sum((item.sender, item.recipient) == (sender, recipient) for item in self._new.values())
        return new + self._tx.jobs.next_sequence(self._job.digest, sender, recipient)

    def _fitting(self, party: PartnerId) -> tuple[Envelope, ...]:
        chosen: list[Envelope] = []
        total = 0
        for item in self._new.values():
            if item.recipient == party and item.arrival in self._views:
                total += item.size
                if chosen and total > STEP_BYTES_MAX:
                    break
                chosen.append(item)
        return tuple(chosen)


def _content(task: Task) -> Content:
    """The body of an answer, with the hash that was checked when it came; one that stood in the database is hashed."""
    body = task.reply_body or b""
    return Content(data=body, sha256=task.reply_sha256) if task.reply_sha256 else Content.of(body)


def _unpack(node: PartnerId, body: bytes) -> list[memoryview]:
    listed = packing.unpack(body, views=True)
    if not isinstance(listed, list) or not all(isinstance(item, memoryview) for item in listed):
        raise RelayRefused(node=node, why="the body is not a list of envelopes")
    return [item for item in listed if isinstance(item, memoryview)]
