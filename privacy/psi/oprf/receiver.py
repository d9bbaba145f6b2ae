"""The side that learns the shared identifiers."""

from functools import partial

import numpy as np

from privacy.psi.oprf import base_ot, digests
from privacy.psi.oprf.base_ot import PairSeeds
from privacy.psi.oprf.bucket import Bucket, Bytes, Prepared, prepare, shared
from privacy.psi.oprf.digests import NONCE_BYTES, Rows
from privacy.psi.oprf.session import START, Session
from privacy.psi.oprf.wire import Part
from privacy.psi.values import Outcome, Outgoing, RowsResult

ATTEMPT_BYTES = 4  # big-endian, before the matrix


class Receiver(Session):
    def _open(self) -> list[Outgoing]:
        _, offered = base_ot.offer(self.sizes.columns, self._stream("offer"))
        payload = self._stream("nonce")(NONCE_BYTES) + offered
        out, self.state.opening = self._send(Part(phase="offer", bucket=0, length=len(payload)), START, payload)
        return [out]

    def _expected(self) -> tuple[Part | None, bytes]:
        state = self.state
        if not state.started or state.ended or self.done:
            return None, START
        if not state.salt:
            length = NONCE_BYTES + base_ot.answer_bytes(self.sizes.columns)
            return Part(phase="answer", bucket=0, length=length), state.opening
        if state.next_in == state.next_out:
            return None, START
        return Part(phase=self.REPLY, bucket=state.next_in, length=self.sizes.tags_bytes), state.asked[state.next_in]

    def _take(self, part: Part, payload: bytes, digest: bytes) -> list[Outgoing]:
        if part.phase == "answer":
            self._take_answer(payload, digest)
        else:
            self._take_tags(part.bucket, payload)
        return []

    def _take_answer(self, payload: bytes, digest: bytes) -> None:
        secret, _ = base_ot.offer(self.sizes.columns, self._stream("offer"))
        salt = digests.job_salt(self.setup.job, self._stream("nonce")(NONCE_BYTES), payload[:NONCE_BYTES])
        # the salt, which places every identifier, enters the seeds: no other placing meets the same streams
        seeds = base_ot.accept(secret, payload[NONCE_BYTES:], salt)
        self.state.seeds, self.state.salt, self.state.opening = seeds.seeds, salt, digest

    def _take_tags(self, number: int, payload: bytes) -> None:
        own = np.frombuffer(self.state.waiting[number], np.uint8).reshape(-1, self.sizes.tag_bytes)
        _, positions = self._hash().bucket(number)
        self.state.found.append(positions[self._compare(number, own, payload)].astype(np.int64))
        del self.state.waiting[number], self.state.asked[number]
        self.state.next_in += 1
        if self.state.next_in == self.sizes.buckets:
            self._conclude()

    def _compare(self, number: int, own: Bytes, payload: bytes) -> Rows:
        """Which of a bucket's own tags the sender has too."""
        return shared(own, payload)

    def _conclude(self) -> None:
        rows = np.sort(np.concatenate(self.state.found))
        if len(rows) < self.setup.minimum:
            self._finish(RowsResult(outcome=Outcome.BELOW_MINIMUM, rows=np.empty(0, np.int64)))
        else:
            self._finish(RowsResult(outcome=Outcome.SHARED, rows=rows))

    def _ready_buckets(self) -> list[int]:
        out, end = self.state.next_out, self.sizes.buckets
        # few at first and at the end: the sender soon has something to do, and is soon done with what comes last
        few = max(1, min(out, (end - out + 1) // 2))
        return list(range(out, min(end, self.state.next_in + self._window, out + few)))

    def _work(self, numbers: list[int]) -> list[Outgoing]:
        for number in range(numbers[0], min(self.sizes.buckets, numbers[-1] + 1 + self.setup.parallel)):
            self._ahead.begin(number, _prepare, partial(self._task, number))
        made_all: list[Prepared] = [self._ahead.take(number) for number in numbers]
        sent = []
        for number, made in zip(numbers, made_all, strict=True):
            payload = made.attempt.to_bytes(ATTEMPT_BYTES, "big") + made.matrix
            part = Part(phase="matrix", bucket=number, length=ATTEMPT_BYTES + self.sizes.matrix_bytes)
            out, self.state.asked[number] = self._send(part, self.state.opening, payload)
            self.state.waiting[number] = made.tags.tobytes()
            self.state.next_out = number + 1
            sent.append(out)
        return sent

    def _task(self, number: int) -> tuple[Bucket, PairSeeds, int]:
        return self._bucket(number), PairSeeds(seeds=self.state.seeds), self.state.first_attempt

    @property
    def _finished(self) -> int:
        return self.sizes.buckets if self.done else self.state.next_in

    @property
    def _capacity(self) -> int:
        return self.sizes.receiver_bucket


def _prepare(task: tuple[Bucket, PairSeeds, int]) -> Prepared:
    return prepare(*task)
