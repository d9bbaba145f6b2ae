"""An aggregation engine that hides nothing: the plain integer sums that every real engine must equal bit for bit."""

from collections.abc import Mapping, Sequence

import numpy as np

from privacy.aggregation import (
    Adder,
    AnswerMalformed,
    CiphertextMalformed,
    Dealing,
    Entropy,
    Lanes,
    Opened,
    Roster,
    ShareWrong,
    Slot,
)
from privacy.ids import PartnerId

SHARE = b"share"


class PlainAdder:
    def __init__(self, count: int) -> None:
        self._sum = np.zeros(count, np.int64)

    def add(self, ciphertext: bytes, partner: str) -> None:
        if len(ciphertext) != self._sum.nbytes:
            raise CiphertextMalformed(why="another length")
        self._sum += np.frombuffer(ciphertext, np.int64)

    def total(self) -> bytes:
        return self._sum.tobytes()


class PlainEngine:
    """`privacy.aggregation.Engine` on plain lanes, with a key for every slot as the threshold engine has."""

    name = "plain"
    every_slot = True
    answers_total = False
    public_bytes, share_bytes = 8, len(SHARE)

    def __init__(self, roster: Roster, value_bits: int) -> None:
        self.dealers = roster.partners
        self.value_bits = value_bits
        self._roster = roster

    def deal(self, me: str, entropy: Entropy) -> Dealing:
        return Dealing(secret=b"none", public=entropy(8), shares=dict.fromkeys(self._roster.partners, SHARE))

    def accept(self, dealer: str, holder: str, public: bytes, share: bytes) -> None:
        if share != SHARE:
            raise ShareWrong(dealer=dealer, holder=holder)

    def encrypt(self, key: bytes, lanes: Lanes, slot: Slot, me: str, entropy: Entropy) -> bytes:
        return lanes.tobytes()

    def adder(self, count: int, slot: Slot, key: bytes = b"") -> Adder:
        return PlainAdder(count)

    def answer(self, shares: Sequence[bytes], total: bytes) -> bytes:
        return b"answer"

    def check_answer(self, answer: bytes, count: int) -> None:
        if answer != b"answer":
            raise AnswerMalformed(why="another answer")

    def open(self, total: bytes, count: int, cohort: int, answers: Mapping[PartnerId, bytes]) -> Opened:
        return Opened(lanes=np.frombuffer(total, np.int64).copy())
