"""The sizes of a job: their bounds, and what they cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.psi.errors import BadSetup
from privacy.psi.oprf import bounds
from privacy.psi.oprf.options import CHECKED_LISTED, CHECKED_UNLISTED
from privacy.psi.oprf.parameters import BUCKET_KEYS, IDENTIFIERS_MAX, parameters

COUNTS = st.one_of(st.integers(0, 5000), st.integers(0, 3 << 20))


@given(COUNTS, COUNTS)
def test_all_bounds_together_stay_below_the_target(receiver: int, sender: int) -> None:
    sizes = parameters(receiver, sender)
    assert sizes.failure_log2 <= -40
    assert sum(2.0**bound.log2 for bound in sizes.bounds) == pytest.approx(2.0**sizes.failure_log2)
    assert sizes.buckets * sizes.receiver_bucket >= receiver
    assert sizes.buckets * sizes.sender_bucket >= sender
    assert sizes.slots % 64 == 0
    assert sizes.slots >= 1.2 * sizes.receiver_bucket
    assert [bound.proven for bound in sizes.bounds].count(False) <= 1


@pytest.mark.parametrize("bucket_keys", [1 << 15, BUCKET_KEYS, 1 << 20])
@pytest.mark.parametrize("sender", [8_000_000, 9_335_283, IDENTIFIERS_MAX])
@pytest.mark.parametrize("receiver", [1, 1638, 1_000_000, 4_285_657, IDENTIFIERS_MAX])
def test_the_largest_jobs_are_within_the_target(receiver: int, sender: int, bucket_keys: int) -> None:
    """The hash value's bound grows with the sender's set: the others leave it room up to the largest."""
    assert parameters(receiver, sender, bucket_keys).failure_log2 <= -40


@pytest.mark.parametrize("counts", [(-1, 0), (0, -1), (IDENTIFIERS_MAX + 1, 0), (0, IDENTIFIERS_MAX + 1), (True, 1)])
def test_other_counts_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(BadSetup):
        parameters(*counts)


def test_a_million_on_both_sides_takes_less_than_100_megabytes() -> None:
    sizes = parameters(1 << 20, 1 << 20)
    assert sizes.buckets == 8
    assert sizes.buckets * (sizes.matrix_bytes + sizes.tags_bytes) < 90_000_000
    assert (sizes.columns, sizes.option.word_bits, sizes.option.code.distance) == (456, 64, 128)


def test_what_a_receiver_that_deviates_can_enter() -> None:
    listed, unlisted = (parameters(1 << 20, 1 << 20, option=option) for option in (CHECKED_LISTED, CHECKED_UNLISTED))
    assert 1 << 20 < listed.identifiers_held < 3 << 20
    assert 1 << 20 < unlisted.identifiers_held < 20 << 20
    assert listed.buckets * (listed.matrix_bytes + listed.tags_bytes) < 90_000_000
    with pytest.raises(AssertionError):
        _ = parameters(1 << 20, 1 << 20).identifiers_held


def test_one_bucket_is_not_padded() -> None:
    sizes = parameters(BUCKET_KEYS, 17)
    assert (sizes.buckets, sizes.receiver_bucket, sizes.sender_bucket) == (1, BUCKET_KEYS, 17)


def test_the_chernoff_bound_holds_in_trials_and_is_not_far_off() -> None:
    items, buckets, capacity = 4000, 8, 560
    draws = np.random.default_rng(3).multinomial(items, [1 / buckets] * buckets, size=20_000)
    rate = float((draws.max(axis=1) > capacity).mean())
    bound = 2 ** bounds.bucket_overflow(items, buckets, capacity)
    assert 0 < rate <= bound < 30 * rate


def test_the_capacity_is_the_least_that_satisfies_the_bound() -> None:
    capacity = bounds.bucket_capacity(1 << 20, 8, -43)
    assert bounds.bucket_overflow(1 << 20, 8, capacity) <= -43 < bounds.bucket_overflow(1 << 20, 8, capacity - 1)
    assert bounds.bucket_capacity(100, 1, -43) == 100
    assert bounds.bucket_overflow(100, 4, 20) == 0.0  # fewer places than identifiers
