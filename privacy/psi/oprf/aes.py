"""The pseudorandom generator of OT extension: AES-128 in counter mode (NIST SP 800-38A section 6.5), in bulk.

A stream is named by its seed and a `Stream` number pair, which fills the upper half of the counter block; the lower
half counts blocks from 0. So streams of one seed never overlap, and the same names give the same bytes again. The
distance from random bytes is that of AES from a random permutation, plus the birthday term b² / 2^129 for b blocks
drawn from one seed (Bellare, Desai, Jokipii, Rogaway, FOCS 1997): 2^-95 for 2^17 blocks, 16 million slots.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SEED_BYTES = 16
BLOCK_BYTES = 16

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Which stream of a seed: every (bucket, attempt) has its own. Both lie in 0 … 2^32 - 1."""

    bucket: int
    attempt: int

    def __post_init__(self) -> None:
        assert 0 <= self.bucket < 1 << 32 and 0 <= self.attempt < 1 << 32, "a stream is named by two 32-bit numbers"

    @property
    def counter_block(self) -> bytes:
        """The first counter block: bucket and attempt, then 64 zero bits that count; big-endian."""
        return self.bucket.to_bytes(4, "big") + self.attempt.to_bytes(4, "big") + bytes(8)


def mask(seed: bytes, stream: Stream, data: Bytes, out: Bytes) -> None:
    """out = data ⊕ stream. data, out: contiguous arrays of one length (bytes); they may be the same array."""
    encryptor = Cipher(algorithms.AES128(seed), modes.CTR(stream.counter_block)).encryptor()
    written = encryptor.update_into(data.data, out.data)
    assert written == len(data) == len(out), "counter mode keeps the length"


def expand(seeds: bytes, stream: Stream, count: int) -> Bytes:
    """One row of `count` pseudorandom bytes for each 16-byte seed: uint8[seeds, count]."""
    rows = np.empty((len(seeds) // SEED_BYTES, count), np.uint8)
    zeros = np.zeros(count, np.uint8)
    for row, start in zip(rows, range(0, len(seeds), SEED_BYTES), strict=True):
        mask(seeds[start : start + SEED_BYTES], stream, zeros, row)
    return rows
