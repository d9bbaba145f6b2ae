"""The side that learns which of its identifiers stand in the lists."""

import hashlib
from collections.abc import Sequence

import numpy as np

from privacy.psi.cached import dleq, function
from privacy.psi.cached.epoch import ReceiverEpoch
from privacy.psi.cached.errors import EvaluationUnproven
from privacy.psi.cached.lists import to_masks
from privacy.psi.cached.session import EVALUATIONS, MASKS, POINTS, Session, split
from privacy.psi.cached.state import START, Job, Side, State
from privacy.psi.errors import WrongPhase
from privacy.psi.group import POINT_BYTES, Map
from privacy.psi.oprf.wire import Part
from privacy.psi.randomness import keyed_stream
from privacy.psi.values import Outcome, Outgoing, RowsResult

WINDOW = 4  # messages of points that may be under way: bounds memory


class Receiver(Session):
    side = Side.RECEIVER

    def __init__(self, epoch: ReceiverEpoch, job: Job, state: State, ids: Sequence[bytes], map: Map) -> None:
        super().__init__(epoch, job, state, map)
        self._epoch = epoch
        self._ids = ids

    def start(self) -> list[Outgoing]:
        if self.state.started:
            raise WrongPhase(expected=self.phase, got="start")
        self.state.started = True
        return self._step()

    def _expected(self) -> tuple[Part | None, bytes]:
        state = self.state
        if not state.started or self.done:
            return None, START
        if state.points_in < self._chunks:
            waits = state.points_in < state.points_out
            return (self._part(EVALUATIONS, state.points_in), state.asked[state.points_in]) if waits else (None, START)
        return self._part(MASKS, self.job.held + state.masks), state.last

    def _take(self, part: Part, payload: bytes, digest: bytes) -> None:
        if part.phase == MASKS:
            self._epoch.take(payload)
            self.state.masks += 1
            return
        number = part.bucket
        self.state.found.append(self._proven(number, payload))
        del self.state.waiting[number], self.state.asked[number]
        self.state.points_in += 1

    def _proven(self, number: int, payload: bytes) -> bytes:
        """The own masks that follow from an answer. Raises BadPoint, EvaluationUnproven."""
        end = POINT_BYTES * self._points_in(number)
        blinded, evaluated, proof = split(self.state.waiting[number]), split(payload[:end]), payload[end:]
        epoch = self.terms.digest
        if blinded and not dleq.holds(proof, self.terms.public, blinded, evaluated, epoch, self._map):
            raise EvaluationUnproven(sender=self.peer)
        ids, blinds = self._own(number)
        return b"".join(function.unblind(epoch, ids, blinds, evaluated, self._map))

    @property
    def _can_step(self) -> bool:
        under_way = self.state.points_out - self.state.points_in
        return self.state.points_out < self._chunks and under_way < WINDOW

    def _step(self) -> list[Outgoing]:
        number = self.state.points_out
        ids, blinds = self._own(number)
        payload = b"".join(function.blind(self.terms.digest, ids, blinds, self._map))
        out, self.state.last = self._send(self._part(POINTS, number), START, payload)
        self.state.waiting[number], self.state.asked[number] = payload, self.state.last
        self.state.points_out += 1
        return [out]

    def _own(self, number: int) -> tuple[Sequence[bytes], list[bytes]]:
        """(identifiers, blinds) of one message. Where identifiers end, padding begins."""
        first, count = number * self.terms.points_per_message, self._points_in(number)
        stream = keyed_stream(self.state.seed, f"blinds {number}")
        return self._ids[first : first + count], function.draw_blinds(count, stream)

    @property
    def _complete(self) -> bool:
        taken = self.state.points_in == self._chunks
        return not self.done and taken and self.job.held + self.state.masks == self.job.stop(self.terms)

    def _conclude(self) -> None:
        rows = self._epoch.look_up(to_masks(self.state.found))
        if len(rows) < self.job.minimum:
            self._finish(RowsResult(outcome=Outcome.BELOW_MINIMUM, rows=np.empty(0, np.int64)))
        else:
            self._finish(RowsResult(outcome=Outcome.SHARED, rows=rows))

    @property
    def _finished(self) -> int:
        return self.state.points_in + self.state.masks

    def _forget(self) -> None:
        self._ids = ()


def identifiers_digest(ids: Sequence[bytes], seed: bytes) -> bytes:
    """32 bytes over the identifiers in their order, keyed by a session's seed."""
    mac = hashlib.blake2b(key=seed, digest_size=32)
    for item in ids:
        mac.update(len(item).to_bytes(2, "big") + item)
    return mac.digest()
