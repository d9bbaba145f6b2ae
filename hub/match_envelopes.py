"""Envelopes of a match on their way through one transaction: taken from an answer, filed, or passed on at once.

An envelope whose recipient can be asked now goes into that request and is filed without its bytes, so these are written
once; one that must wait is filed with them. Sizes and digests stay as the transcript.
"""

import hashlib
from dataclasses import replace

from ecowire import envelopes
from hub.records import Envelope, Proposal, Task
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


class Envelopes:
    """Those of one job in one transaction; `file` at its end."""

    def __init__(self, tx: Transaction, job: Proposal) -> None:
        self._tx = tx
        self._job = job
        self._new: dict[int, Envelope] = {}  # by arrival
        self._arrival = tx.jobs.envelopes(job.digest)

    def take(self, task: Task) -> None:
        """A party's outgoing envelopes; each counter goes up by one, without gaps. Raises RelayRefused, NotPacked."""
        for data in _unpack(task):
            header = envelopes.read_header(data)
            if header.job != self._job.digest or header.sender != task.node:
                raise RelayRefused(node=task.node, why="it names another job or sender")
            if header.recipient not in self._job.parties or header.recipient == header.sender:
                raise RelayRefused(node=task.node, why="its recipient is no other party of this job")
            expected = self._next(header.sender, header.recipient)
            if header.sequence != expected:
                raise RelayRefused(node=task.node, why=f"sequence {header.sequence} instead of {expected}")
            self._new[self._arrival] = Envelope(
                job=self._job.digest,
                sender=header.sender,
                recipient=header.recipient,
                sequence=header.sequence,
                arrival=self._arrival,
                size=len(data),
                digest=hashlib.sha256(data).hexdigest(),
                data=data,
            )
            self._arrival += 1

    def waiting(self, party: PartnerId) -> tuple[Envelope, ...]:
        """What a party is to get next, in the order of arrival, as many as fit (at least one): those filed before
        first, and then no others, which came later."""
        filed = self._tx.jobs.waiting_envelopes(self._job.digest, party, STEP_BYTES_MAX)
        return filed or self._fitting(party)

    def passed_on(self, gone: tuple[Envelope, ...]) -> None:
        """These are in a request: forget their bytes."""
        self._tx.jobs.drop_envelope_data(tuple(item for item in gone if item.arrival not in self._new))
        self._new |= {item.arrival: replace(item, data=None) for item in gone if item.arrival in self._new}

    def file(self) -> None:
        """Write down what came."""
        for item in self._new.values():
            self._tx.jobs.add_envelope(item)

    def _next(self, sender: PartnerId, recipient: PartnerId) -> int:
        new = sum((item.sender, item.recipient) == (sender, recipient) for item in self._new.values())
        return new + self._tx.jobs.next_sequence(self._job.digest, sender, recipient)

    def _fitting(self, party: PartnerId) -> tuple[Envelope, ...]:
        chosen: list[Envelope] = []
        total = 0
        for item in self._new.values():
            if item.recipient == party and item.data is not None:
                total += item.size
                if chosen and total > STEP_BYTES_MAX:
                    break
                chosen.append(item)
        return tuple(chosen)


def _unpack(task: Task) -> list[bytes]:
    if not task.reply_body:
        return []
    listed = packing.unpack(task.reply_body)
    if not isinstance(listed, list) or not all(isinstance(item, bytes) for item in listed):
        raise RelayRefused(node=task.node, why="the body is not a list of envelopes")
    return [item for item in listed if isinstance(item, bytes)]
