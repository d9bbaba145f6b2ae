"""Identifiers become digests, the only step that is done one by one; everything else follows from them in bulk.

A digest is BLAKE2s-256(salt ‖ identifier), or the first 48 bytes of BLAKE2b-512 where hash values are longer, taken as
a random oracle. Its words are used apart from one another: word 0 says the bucket, word 1 (with 4 and 5) is the hash
value H1 that the store holds, words 2 and 3 place the identifier's row in the store. The salt is fixed in length and
made of the job's context and both sides' fresh nonces, so digests of two jobs never compare, and nobody can choose
identifiers that fill one bucket before both nonces are known.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from privacy import canonical

NONCE_BYTES = 32
WORDS = 4  # of a digest, for hash values of one word
WORDS_LONG = 6  # for hash values of three
DIGEST_BYTES = 8 * WORDS  # names an identifier without collisions
_BLOCK = 1 << 14  # identifiers hashed at a time: bounds the memory of digests that are still single objects

Digests: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]  # n × WORDS or n × WORDS_LONG
Values: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]  # n, or n × 3
Rows: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def job_salt(context: bytes, receiver_nonce: bytes, sender_nonce: bytes) -> bytes:
    """32 bytes for one job. context: at least 16 bytes, the digest of the job; nonces: NONCE_BYTES fresh bytes each."""
    assert len(receiver_nonce) == len(sender_nonce) == NONCE_BYTES, "nonces have one length"
    return canonical.digest_bytes("ecohub/oprf-salt/1", receiver_nonce + sender_nonce + context)


def digest_all(ids: Sequence[bytes], salt: bytes, words: int = WORDS) -> Digests:
    """The digests of normalised identifiers, in order: n × words. words: WORDS or WORDS_LONG."""
    assert words in (WORDS, WORDS_LONG), "digests have one of two lengths"
    hashed = hashlib.blake2s if words == WORDS else hashlib.blake2b
    digests = np.empty((len(ids), words), np.dtype("<u8"))
    for start in range(0, len(ids), _BLOCK):
        block = [hashed(salt + item).digest() for item in ids[start : start + _BLOCK]]
        digests[start : start + _BLOCK] = np.frombuffer(b"".join(block), "<u8").reshape(len(block), -1)[:, :words]
    return digests


@dataclass(frozen=True, slots=True)
class Bucketed:
    """Digests sorted by bucket; rows[i] is the position, among all identifiers, of the i-th sorted digest."""

    digests: Digests
    rows: Rows
    ends: Rows  # bucket b holds the sorted digests from ends[b - 1] (0 for the first) to ends[b]

    @property
    def largest(self) -> int:
        return int(np.diff(self.ends, prepend=0).max())

    def bucket(self, number: int) -> tuple[Digests, Rows]:
        """(digests, positions among all identifiers) of one bucket, views."""
        part = slice(int(self.ends[number - 1]) if number else 0, int(self.ends[number]))
        return self.digests[part], self.rows[part]

    def __iter__(self) -> Iterator[tuple[Digests, Rows]]:
        return (self.bucket(number) for number in range(len(self.ends)))


def into_buckets(digests: Digests, buckets: int) -> Bucketed:
    """Every digest in the bucket that its word 0 says: ⌊h · buckets / 2^32⌋ of the upper 32 bits h."""
    numbers = (digests[:, 0] >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)
    rows = np.argsort(numbers.astype(np.uint16), kind="stable")
    ends = np.cumsum(np.bincount(numbers.astype(np.int64), minlength=buckets))
    return Bucketed(digests[rows], rows, ends)


def hash_values(digests: Digests) -> Values:
    """H1 of each identifier: one word (n) or three (n × 3), after the digests' length."""
    return np.ascontiguousarray(digests[:, 1] if digests.shape[1] == WORDS else digests[:, [1, 4, 5]])
