"""The sizes of a job of mode labels: their bounds, and what they cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.psi.errors import BadSetup
from privacy.psi.oprf.labels_parameters import CHECK_BYTES_MIN, LABEL_BYTES_MAX, label_parameters
from privacy.psi.oprf.options import OPTIONS, SEMI_HONEST
from privacy.psi.oprf.parameters import IDENTIFIERS_MAX, TAGS_EQUAL, parameters

COUNTS = st.one_of(st.integers(0, 5000), st.integers(0, IDENTIFIERS_MAX))
SIZES = st.integers(1, LABEL_BYTES_MAX)


@given(COUNTS, COUNTS, SIZES, st.sampled_from(list(OPTIONS)))
def test_all_bounds_together_stay_below_the_target(receiver: int, sender: int, size: int, option: str) -> None:
    sizes = label_parameters(receiver, sender, size, option=OPTIONS[option])
    assert sizes.failure_log2 <= -40
    assert sum(2.0**bound.log2 for bound in sizes.bounds) == pytest.approx(2.0**sizes.failure_log2)
    assert [bound.proven for bound in sizes.bounds].count(False) <= 2
    assert len(sizes.bounds) == 8
    assert not any(bound.event == TAGS_EQUAL for bound in sizes.bounds)
    assert sizes.check_bytes >= CHECK_BYTES_MIN
    assert sizes.label_shape.slots >= 1.2 * sizes.sender_bucket
    assert sizes.tags_bytes == 4 + sizes.label_shape.slots * (sizes.check_bytes + size)


def test_what_comes_before_the_labels_has_the_sizes_of_rows() -> None:
    rows, sizes = (
        parameters(70_000, 90_000, 20_000),
        label_parameters(70_000, 90_000, 8, 20_000, option=SEMI_HONEST),
    )
    for name in ("buckets", "receiver_bucket", "sender_bucket", "slots", "matrix_bytes", "columns"):
        assert getattr(sizes, name) == getattr(rows, name)


def test_sizes_do_not_depend_on_more_than_the_counts() -> None:
    assert label_parameters(100, 200, 1) is label_parameters(100, 200, 1)
    assert label_parameters(100, 200, 1) == label_parameters.__wrapped__(100, 200, 1)


def test_a_million_on_both_sides_with_one_byte_takes_less_than_100_megabytes() -> None:
    sizes = label_parameters(1 << 20, 1 << 20, 1)
    assert sizes.option.checked
    assert (sizes.buckets, sizes.check_bytes) == (8, 9)
    assert sizes.buckets * (sizes.matrix_bytes + sizes.tags_bytes) < 90_000_000
    assert sizes.identifiers_held < 3 << 20


def test_checks_grow_with_the_receivers_count() -> None:
    counts = [1, 1 << 19, (1 << 19) + 1, IDENTIFIERS_MAX]
    assert [label_parameters(count, 10, 1).check_bytes for count in counts] == [8, 8, 9, 9]


@pytest.mark.parametrize("size", [0, -1, 65, True, 1.0, "8"])
def test_other_lengths_of_labels_are_refused(size: Any) -> None:
    with pytest.raises(BadSetup):
        label_parameters(10, 10, size)
