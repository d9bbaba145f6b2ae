"""Seeded entropy for tests: a SHA-256 counter stream. Production passes the operating system's."""

import hashlib


class SeededEntropy:
    """`SeededEntropy(b"seed")(n)` gives n bytes, the same sequence for the same seed."""

    def __init__(self, seed: bytes) -> None:
        self._seed = hashlib.sha256(seed).digest()
        self._counter = 0

    def __call__(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            out += hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        return out[:count]
