"""Tags: BLAKE2b of exactly the stated bytes, another for every change of any of them."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.oprf import oracle

CONTEXT = bytes(range(32))


@given(st.integers(0, 20), st.integers(1, 64), st.sampled_from([16, 24, 32]), st.sampled_from([57, 74, 85]))
@settings(max_examples=30, deadline=None)
def test_tags_are_blake2b_of_context_digest_and_row(count: int, size: int, digest: int, width: int) -> None:
    rng = np.random.default_rng(count)
    digests = rng.integers(0, 256, (count, digest), dtype=np.uint8)
    rows = rng.integers(0, 256, (count, width), dtype=np.uint8)
    got = oracle.tags(CONTEXT, digests, rows, size)
    assert got.shape == (count, size)
    for tag, one, row in zip(got, digests, rows, strict=True):
        assert tag.tobytes() == hashlib.blake2b(CONTEXT + one.tobytes() + row.tobytes()).digest()[:size]


def test_every_input_bit_matters() -> None:
    digests, rows = np.zeros((1, 16), np.uint8), np.zeros((1, 57), np.uint8)
    seen = {oracle.tags(bytes(32), digests, rows, 16).tobytes()}
    for bit in range(8 * (32 + 16 + 57)):
        flipped = np.zeros(32 + 16 + 57, np.uint8)
        flipped[bit // 8] = 1 << bit % 8
        tags = oracle.tags(flipped[:32].tobytes(), flipped[None, 32:48], flipped[None, 48:], 16)
        seen.add(tags.tobytes())
    assert len(seen) == 8 * (32 + 16 + 57) + 1


def test_views_that_are_not_contiguous_are_taken() -> None:
    wide = np.random.default_rng(3).integers(0, 256, (10, 64), dtype=np.uint8)
    digests = wide[:, :16]
    same = oracle.tags(CONTEXT, np.ascontiguousarray(digests), np.ascontiguousarray(wide[:, :57]), 11)
    assert (oracle.tags(CONTEXT, digests, wide[:, :57], 11) == same).all()


@pytest.mark.parametrize(("context", "count", "size", "width"), [(31, 2, 11, 57), (32, 3, 11, 57), (32, 2, 65, 57)])
def test_other_sizes_are_a_defect(context: int, count: int, size: int, width: int) -> None:
    with pytest.raises(AssertionError):
        oracle.tags(bytes(context), np.zeros((2, 16), np.uint8), np.zeros((count, width), np.uint8), size)
