"""Paillier one value at a time, as `phe` offers it: 3072 bits, one ciphertext a parameter, one key that opens all.

A parameter costs tens of milliseconds, so a round is measured on a sample and scaled by the number of parameters.
"""

import gmpy2  # phe's arithmetic without it is several times slower, so its absence must be noticed
import numpy as np
import phe
from numpy.typing import NDArray

from benchmarks.peers.scheme import CLIP, Values

BITS = 3072
SAMPLE = 16
VALUE_BITS = 28
WIDTH = 2 * BITS // 8  # bytes of a ciphertext


class Naive:
    answers = 0

    def __init__(self, parties: int) -> None:
        assert gmpy2.version()
        self.count, self._parties = SAMPLE, parties
        self._scale = ((1 << (VALUE_BITS - 1)) - 1) / CLIP
        self.tolerance = parties / self._scale
        self._sum: list[phe.EncryptedNumber] = []

    def setup(self) -> None:
        self._public, self._private = phe.generate_paillier_keypair(n_length=BITS)

    def prepare(self) -> tuple[int, int]:
        """The key lasts for the whole job."""
        return 0, 0

    def quantise(self, party: int, values: Values, weight: float) -> list[int]:
        whole: list[int] = np.rint(values * np.float64(weight * self._scale)).astype(np.int64).tolist()
        return whole

    def encrypt(self, party: int, quantised: list[int]) -> list[phe.EncryptedNumber]:
        return [self._public.encrypt(value) for value in quantised]

    def serialise(self, hidden: list[phe.EncryptedNumber]) -> bytes:
        return b"".join(number.ciphertext(be_secure=False).to_bytes(WIDTH, "big") for number in hidden)

    def add(self, upload: bytes) -> None:
        starts = range(0, len(upload), WIDTH)
        numbers = [
            phe.EncryptedNumber(self._public, int.from_bytes(upload[at : at + WIDTH], "big"), 0) for at in starts
        ]
        self._sum = [a + b for a, b in zip(self._sum, numbers, strict=True)] if self._sum else numbers

    def total(self) -> bytes:
        return self.serialise(self._sum)

    def answer(self, holder: int) -> bytes:
        raise AssertionError("nobody is asked")

    def open(self, answers: list[bytes]) -> NDArray[np.float64]:
        opened = np.array([self._private.decrypt(number) for number in self._sum]) / self._scale
        self._sum = []
        return opened


def scheme(size: int, parties: int) -> Naive:
    return Naive(parties)
