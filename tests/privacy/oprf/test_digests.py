"""Digests of identifiers and their buckets."""

import hashlib

import numpy as np
import pytest

from privacy import canonical
from privacy.psi.oprf.digests import _BLOCK, digest_all, hash_into_buckets, hash_values, job_salt
from privacy.psi.oprf.errors import BucketOverflow

CONTEXT = b"digest of the job and of all commitments"


def test_a_digest_is_blake2s_of_salt_and_identifier() -> None:
    salt = job_salt(CONTEXT, bytes(32), bytes([1]) * 32)
    words = digest_all([b"cid:1", b"x" * 256], salt)
    assert words.shape == (2, 4)
    assert words[0].tobytes() == hashlib.blake2s(salt + b"cid:1").digest()
    assert words[1].tobytes() == hashlib.blake2s(salt + b"x" * 256).digest()
    assert digest_all([], salt).shape == (0, 4)
    np.testing.assert_array_equal(hash_values(words), words[:, 1])


def test_a_long_digest_is_a_cut_blake2b() -> None:
    words = digest_all([b"cid:1", b"x" * 256], bytes(32), 6)
    assert words[0].tobytes() == hashlib.blake2b(bytes(32) + b"cid:1").digest()[:48]
    assert words[1].tobytes() == hashlib.blake2b(bytes(32) + b"x" * 256).digest()[:48]
    assert digest_all([], bytes(32), 6).shape == (0, 6)
    np.testing.assert_array_equal(hash_values(words), words[:, [1, 4, 5]])
    with pytest.raises(AssertionError):
        digest_all([], bytes(32), 5)


def test_more_identifiers_than_are_hashed_at_a_time() -> None:
    many = [b"phone:%d" % i for i in range(_BLOCK + 3)]
    words = digest_all(many, bytes(32))
    for position in (0, 1, _BLOCK - 1, _BLOCK, _BLOCK + 2):
        assert words[position].tobytes() == hashlib.blake2s(bytes(32) + many[position]).digest()


def test_the_salt_depends_on_each_part() -> None:
    one, two = bytes(32), bytes([1]) * 32
    salts = {job_salt(CONTEXT, one, one), job_salt(CONTEXT, one, two), job_salt(CONTEXT, two, one)}
    salts |= {job_salt(CONTEXT + b"!", one, one)}
    assert len(salts) == 4
    assert job_salt(CONTEXT, one, two) == canonical.digest_bytes("ecohub/oprf-salt/1", one + two + CONTEXT)


@pytest.mark.parametrize("words", [4, 6])
def test_buckets_hold_each_digest_once_and_keep_its_position(words: int) -> None:
    ids = [b"phone:%d" % i for i in range(2 * _BLOCK + 3)]
    digests = digest_all(ids, bytes(32), words)
    sorted_digests = hash_into_buckets(ids, bytes(32), buckets=7, capacity=len(ids) // 5, words=words)
    every: list[int] = []
    for number in range(7):
        part, positions = sorted_digests.bucket(number)
        np.testing.assert_array_equal(part, digests[positions])
        assert ((part[:, 0] >> np.uint64(32)) * np.uint64(7) >> np.uint64(32) == number).all()
        assert positions.tolist() == sorted(positions.tolist())
        every += positions.tolist()
    assert sorted(every) == list(range(len(ids)))
    largest = int(sorted_digests.counts.max())
    hash_into_buckets(ids, bytes(32), buckets=7, capacity=largest, words=words)
    with pytest.raises(BucketOverflow):
        hash_into_buckets(ids, bytes(32), buckets=7, capacity=largest - 1, words=words)


def test_buckets_may_be_empty() -> None:
    none = hash_into_buckets([], bytes(32), buckets=3, capacity=0)
    assert [len(none.bucket(number)[1]) for number in range(3)] == [0, 0, 0]
