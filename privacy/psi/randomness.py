"""Streams and shuffles derived from a session's seed: the same seed gives the same bytes after a restart."""

import hashlib
from collections.abc import Callable

import numpy as np

from privacy.psi.values import Rows


def keyed_stream(seed: bytes, label: str) -> Callable[[int], bytes]:
    """An endless stream of bytes, a function of seed and label: SHAKE256(seed ‖ label ‖ counter), read in calls."""
    counter = 0

    def read(count: int) -> bytes:
        nonlocal counter
        counter += 1
        tail = label.encode() + b"\x00" + counter.to_bytes(8, "big")
        return hashlib.shake_256(b"ecohub/psi-stream/1\x00" + seed + tail).digest(count)

    return read


def permutation(count: int, stream: Callable[[int], bytes]) -> Rows:
    """A uniformly random order of 0 … count - 1: the order of distinct random 64-bit keys, drawn anew at a tie."""
    while True:
        keys = np.frombuffer(stream(8 * count), np.dtype("<u8"))
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        if not np.any(ranked[1:] == ranked[:-1]):
            return order.astype(np.int64)
