"""The side that answers and learns nothing."""

import hashlib
from functools import partial

import numpy as np

from privacy.psi.oprf import base_ot, digests
from privacy.psi.oprf.base_ot import ChosenSeeds
from privacy.psi.oprf.bucket import Bucket, answer
from privacy.psi.oprf.digests import NONCE_BYTES
from privacy.psi.oprf.errors import ExtensionInconsistent
from privacy.psi.oprf.receiver import ATTEMPT_BYTES
from privacy.psi.oprf.session import START, Session
from privacy.psi.oprf.wire import Part
from privacy.psi.values import Outcome, Outgoing, RowsResult


class Sender(Session):
    @staticmethod
    def _answer(task: tuple[Bucket, ChosenSeeds, bytes]) -> bytes:
        """One bucket's reply, by a worker."""
        bucket, seeds, payload = task
        return answer(bucket, seeds, *opened(payload))

    def _open(self) -> list[Outgoing]:
        return []

    def _expected(self) -> tuple[Part | None, bytes]:
        state = self.state
        if not state.started or state.ended or self.done:
            return None, START
        if not state.salt:
            length = NONCE_BYTES + base_ot.offer_bytes(self.sizes.columns)
            return Part(phase="offer", bucket=0, length=length), START
        if state.next_in == self.sizes.buckets or len(state.waiting) == self._window:
            return None, START
        length = ATTEMPT_BYTES + self.sizes.matrix_bytes
        return Part(phase="matrix", bucket=state.next_in, length=length), state.opening

    def _take(self, part: Part, payload: bytes, digest: bytes) -> list[Outgoing]:
        if part.phase == "offer":
            return self._take_offer(payload, digest)
        self.state.waiting[part.bucket] = payload
        self.state.asked[part.bucket] = digest
        self.state.next_in += 1
        if self._hashed is not None:  # otherwise `work` hashes first
            self._ahead.begin(part.bucket, self._answer, partial(self._task, part.bucket))
        return []

    def _take_offer(self, payload: bytes, digest: bytes) -> list[Outgoing]:
        # all secrets depend on the offer: another offer never meets the same choices
        stream = self._stream(f"answer {hashlib.sha256(payload).hexdigest()}")
        nonce = stream(NONCE_BYTES)
        salt = digests.job_salt(self.setup.job, payload[:NONCE_BYTES], nonce)
        seeds, answered = base_ot.choose(payload[NONCE_BYTES:], self.sizes.columns, salt, stream)
        reply = nonce + answered
        out, self.state.opening = self._send(Part(phase="answer", bucket=0, length=len(reply)), digest, reply)
        self.state.seeds, self.state.choices, self.state.salt = seeds.seeds, seeds.choices, salt
        self._hash_ahead = True  # while the receiver makes its first matrix
        return [out]

    def _ready_buckets(self) -> list[int]:
        return list(range(self.state.next_out, self.state.next_in))

    def _work(self, numbers: list[int]) -> list[Outgoing]:
        for number in numbers:
            self._ahead.begin(number, self._answer, partial(self._task, number))
        sent = []
        try:
            answers: list[bytes] = [self._ahead.take(number) for number in numbers]
        except ExtensionInconsistent:
            self._give_up()  # each guess that is answered would tell the receiver something
            raise
        for number, tags in zip(numbers, answers, strict=True):
            part = Part(phase=self.REPLY, bucket=number, length=self.sizes.tags_bytes)
            sent.append(self._send(part, self.state.asked.pop(number), tags)[0])
            del self.state.waiting[number]
            self.state.next_out = number + 1
        if self.state.next_out == self.sizes.buckets:
            self._finish(RowsResult(outcome=Outcome.NOT_ENTITLED, rows=np.empty(0, np.int64)))
        return sent

    def _task(self, number: int) -> tuple[Bucket, ChosenSeeds, bytes]:
        seeds = ChosenSeeds(seeds=self.state.seeds, choices=self.state.choices)
        return self._bucket(number), seeds, self.state.waiting[number]

    @property
    def _finished(self) -> int:
        return self.sizes.buckets if self.done else self.state.next_out

    @property
    def _capacity(self) -> int:
        return self.sizes.sender_bucket


def opened(payload: bytes) -> tuple[int, bytes]:
    """(attempt, matrix) of what a receiver sent for a bucket."""
    return int.from_bytes(payload[:ATTEMPT_BYTES], "big"), payload[ATTEMPT_BYTES:]
