"""No protection at all: float32 updates, weighted and summed by a hub that sees them. The floor of every figure."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.scheme import Values


class Plain:
    answers = 0
    tolerance = 1e-6  # of float32 sums

    def __init__(self, size: int) -> None:
        self.count = size
        self._sum: Values | None = None

    def setup(self) -> None:
        """Nothing to agree on."""

    def prepare(self) -> tuple[int, int]:
        return 0, 0

    def quantise(self, party: int, values: Values, weight: float) -> Values:
        return values * np.float32(weight)

    def encrypt(self, party: int, quantised: Values) -> Values:
        return quantised

    def serialise(self, hidden: Values) -> bytes:
        return hidden.tobytes()

    def add(self, upload: bytes) -> None:
        received = np.frombuffer(upload, np.float32)
        if self._sum is None:
            self._sum = received.copy()
        else:
            self._sum += received

    def total(self) -> bytes:
        assert self._sum is not None
        return self._sum.tobytes()

    def answer(self, holder: int) -> bytes:
        raise AssertionError("nobody is asked")

    def open(self, answers: list[bytes]) -> NDArray[np.float64]:
        assert self._sum is not None
        opened, self._sum = self._sum.astype(np.float64), None
        return opened


def scheme(size: int, parties: int) -> Plain:
    return Plain(size)
