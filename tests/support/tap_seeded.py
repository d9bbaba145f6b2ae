"""Imitations of what nodes legitimately send, from a seed: what the canary search must not take for a leak."""

import json

import numpy as np


class SeededRecord:
    """Content as in a recording, the same for one seed."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)

    def noise(self, count: int) -> bytes:
        """Ciphertexts, points, signatures, digests."""
        return self._draw.bytes(count)

    def moments(self, columns: int) -> bytes:
        """Exact second moments: whole numbers up to 2^40."""
        return self._draw.integers(-(1 << 40), 1 << 40, columns * columns, dtype=np.int64).tobytes()

    def scores(self, count: int) -> bytes:
        """Rounded scores, and weights as float64."""
        rounded = np.rint(self._draw.normal(size=count) * 64).astype(np.int64)
        return rounded.tobytes() + self._draw.normal(size=count).tobytes()

    def heads(self, count: int) -> bytes:
        """Canonical JSON with tokens, digests, times and amounts."""
        rows = [
            {"token": self.noise(16).hex(), "amount_minor": int(self._draw.integers(1, 10**8)), "time": "2026-10-01"}
            for _ in range(count)
        ]
        return json.dumps(rows).encode()
