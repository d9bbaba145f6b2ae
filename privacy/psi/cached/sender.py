"""The side that evaluates and learns nothing."""

from collections.abc import Sequence

import numpy as np

from privacy.psi.cached import dleq, function, lists
from privacy.psi.cached.epoch import SenderEpoch
from privacy.psi.cached.lists import Places
from privacy.psi.cached.receiver import WINDOW
from privacy.psi.cached.session import EVALUATIONS, MASKS, POINTS, Session, split
from privacy.psi.cached.state import START, Job, Side, State
from privacy.psi.errors import WrongPhase
from privacy.psi.group import Map, check_all
from privacy.psi.oprf.wire import Part
from privacy.psi.values import Outcome, Outgoing, RowsResult


class Sender(Session):
    side = Side.SENDER

    def __init__(self, epoch: SenderEpoch, job: Job, state: State, ids: Sequence[bytes], map: Map) -> None:
        super().__init__(epoch, job, state, map)
        self._epoch = epoch
        self._ids = ids
        self._sources: dict[int, Places] = {}
        if not self.done and job.held + state.masks < job.stop(self.terms):
            first, _, _ = self.terms.place(job.held + state.masks)
            self._sources = epoch.sources(ids, first, job.lists)
        self._order: tuple[int, Places] = (-1, np.empty(0, np.int64))

    def start(self) -> list[Outgoing]:
        if self.done or self.state.points_in:
            raise WrongPhase(expected=self.phase, got="start")
        return []

    def _expected(self) -> tuple[Part | None, bytes]:
        state = self.state
        if not state.started or self.done or state.points_in == self._chunks or len(state.waiting) == WINDOW:
            return None, START
        return self._part(POINTS, state.points_in), START

    def _take(self, part: Part, payload: bytes, digest: bytes) -> None:
        check_all(split(payload), self._map)
        self.state.waiting[part.bucket], self.state.asked[part.bucket] = payload, digest
        self.state.last = digest
        self.state.points_in += 1

    @property
    def _can_step(self) -> bool:
        return bool(self.state.waiting) or (self._answered and not self._complete)

    def _step(self) -> list[Outgoing]:
        if not self._answered:
            return self._answer(self.state.points_out) if self.state.waiting else []
        number = self.job.held + self.state.masks
        out, _ = self._send(self._part(MASKS, number), self.state.last, self._masks(number))
        self.state.masks += 1
        return [out]

    def _answer(self, number: int) -> list[Outgoing]:
        blinded, epoch = split(self.state.waiting[number]), self.terms.digest
        key = self._epoch.key
        evaluated = function.evaluate(key, blinded, self._map)
        proof = dleq.prove(key, self._epoch.nonce_key, blinded, evaluated, epoch, self._map) if blinded else b""
        payload = b"".join(evaluated) + proof
        out, _ = self._send(self._part(EVALUATIONS, number), self.state.asked.pop(number), payload)
        del self.state.waiting[number]
        self.state.points_out += 1
        return [out]

    def _masks(self, number: int) -> bytes:
        which, first, stop = self.terms.place(number)
        if self._order[0] != which:
            self._order = which, self._epoch.order(which)
        places = self._order[1][first:stop]
        positions = self._sources[which][places[places < len(self._sources[which])]]
        ids = [self._ids[position] for position in positions.tolist()]
        masks = function.masks_of(self._epoch.key, self.terms.digest, ids, self._map)
        return lists.to_message(masks, self._epoch.padding(number, len(places) - len(ids)))

    @property
    def _answered(self) -> bool:
        return self.state.points_out == self._chunks

    @property
    def _complete(self) -> bool:
        return not self.done and self._answered and self.job.held + self.state.masks == self.job.stop(self.terms)

    def _conclude(self) -> None:
        self._finish(RowsResult(outcome=Outcome.NOT_ENTITLED, rows=np.empty(0, np.int64)))

    @property
    def _finished(self) -> int:
        return self.state.points_out + self.state.masks

    def _forget(self) -> None:
        self._ids, self._sources = (), {}
