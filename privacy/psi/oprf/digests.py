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
from privacy.psi.oprf.errors import BucketOverflow

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
    blocks = [np.empty((0, words), np.uint64), *(block for _, block in _blocks(ids, salt, words))]
    return np.concatenate(blocks)


@dataclass(frozen=True, slots=True)
class Bucketed:
    """Digests by bucket, in the identifiers' order. Only the first `counts` places of each bucket are filled."""

    digests: Digests  # buckets × capacity × words
    positions: "np.ndarray[Any, np.dtype[np.int32]]"  # buckets × capacity: which of all identifiers it is
    counts: Rows  # of each bucket

    def bucket(self, number: int) -> tuple[Digests, "np.ndarray[Any, np.dtype[np.int32]]"]:
        """(digests, their positions among all identifiers) of one bucket, views."""
        count = self.counts[number]
        return self.digests[number, :count], self.positions[number, :count]


def hash_into_buckets(
    ids: Sequence[bytes], salt: bytes, *, buckets: int, capacity: int, words: int = WORDS
) -> Bucketed:
    """Every identifier's digest in the bucket that its word 0 says: ⌊h · buckets / 2^32⌋ of the upper 32 bits h.

    Nothing is held twice: for ten million identifiers the digests are most of the memory. Raises BucketOverflow.
    """
    digests = np.empty((buckets, capacity, words), np.uint64)
    positions = np.empty((buckets, capacity), np.int32)
    filled = np.zeros(buckets, np.int64)
    for start, block in _blocks(ids, salt, words):
        numbers = ((block[:, 0] >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int64)
        counts = np.bincount(numbers, minlength=buckets)
        if (filled + counts).max() > capacity:
            raise BucketOverflow(capacity=capacity)
        order = np.argsort(numbers.astype(np.uint16), kind="stable")
        firsts = filled - (
            np.cumsum(counts) - counts
        )  # so that a bucket's digests of this block follow its earlier ones
        numbers = numbers[order]
        places = numbers * capacity + firsts[numbers] + np.arange(len(block))
        digests.reshape(-1, words)[places] = block[order]
        positions.reshape(-1)[places] = order + start
        filled += counts
    return Bucketed(digests, positions, filled)


def _blocks(ids: Sequence[bytes], salt: bytes, words: int) -> Iterator[tuple[int, Digests]]:
    """(position of the first, digests) of some identifiers at a time."""
    assert words in (WORDS, WORDS_LONG), "digests have one of two lengths"
    hashed = hashlib.blake2s if words == WORDS else hashlib.blake2b
    for start in range(0, len(ids), _BLOCK):
        block = [hashed(salt + item).digest() for item in ids[start : start + _BLOCK]]
        whole = np.frombuffer(b"".join(block), np.dtype("<u8")).reshape(len(block), -1)
        yield start, np.ascontiguousarray(whole[:, :words])


def hash_values(digests: Digests) -> Values:
    """H1 of each identifier: one word (n) or three (n × 3), after the digests' length."""
    return np.ascontiguousarray(digests[:, 1] if digests.shape[1] == WORDS else digests[:, [1, 4, 5]])
