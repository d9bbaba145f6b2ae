"""Fixed point: exactness against rational arithmetic, clipping counted, refusals, the norm."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privacy.quantize import BLOCK, Codec, TotalOutOfRange, ValueNotFinite, WeightOutOfRange, clip_norm

BITS = st.integers(2, 40)
BOUND = st.floats(1e-30, 1e30)
FINITE = st.floats(-1e30, 1e30)
VECTOR = arrays(np.float64, st.integers(0, 40), elements=FINITE)


def exact_lane(codec: Codec, value: float, weight: float) -> Fraction:
    """The lane before rounding, in rational arithmetic."""
    clipped = min(max(Fraction(value), -Fraction(codec.bound)), Fraction(codec.bound))
    return clipped * Fraction(weight) * codec.levels / Fraction(codec.bound) + codec.offset


@given(BITS, BOUND, arrays(np.float64, 12, elements=st.floats(-2, 2)), st.floats(0, 1))
def test_a_lane_is_the_exact_product_rounded(bits: int, bound: float, units: np.ndarray, weight: float) -> None:
    codec = Codec(bound, bits)
    values = units * bound
    encoded = codec.encode(values, weight)
    assert encoded.lanes.dtype == np.int64
    for value, lane in zip(values.tolist(), encoded.lanes.tolist(), strict=True):
        assert 1 <= lane < 1 << bits
        assert abs(lane - exact_lane(codec, value, weight)) <= Fraction(1, 2) + Fraction(codec.levels, 1 << 50)
    assert encoded.clipped == sum(abs(value) > bound for value in values.tolist())


def test_halves_round_to_even() -> None:
    codec = Codec(float(Codec(1.0, 8).levels), 8)
    assert codec.scale == 1.0
    lanes = codec.encode(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 127.0, -127.0])).lanes - codec.offset
    assert lanes.tolist() == [0, 2, 2, 0, -2, 127, -127]


@given(st.integers(1, 64), st.data())
def test_a_decoded_sum_is_within_the_error_bound(cohort: int, data: st.DataObject) -> None:
    codec = Codec(data.draw(st.floats(1e-3, 1e3)), 26)
    values = [data.draw(arrays(np.float64, 5, elements=st.floats(-2e3, 2e3))) for _ in range(cohort)]
    weights = [data.draw(st.floats(0, 1)) for _ in range(cohort)]
    total = sum(codec.encode(v, w).lanes for v, w in zip(values, weights, strict=True))
    assert isinstance(total, np.ndarray)
    decoded = codec.decode(total, cohort)
    for place in range(5):
        clipped = [Fraction(float(np.clip(v[place], -codec.bound, codec.bound))) for v in values]
        expected = sum((c * Fraction(w) for c, w in zip(clipped, weights, strict=True)), Fraction(0))
        assert abs(Fraction(float(decoded[place])) - expected) <= Fraction(codec.error_bound(cohort))


def test_the_error_bound_is_reached() -> None:
    codec = Codec(1.0, 9)
    half = 0.5 / codec.scale
    decoded = codec.decode(codec.encode(np.array([half])).lanes * 3, 3)
    assert math.isclose(abs(decoded[0] - 3 * half), codec.error_bound(3), rel_tol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_narrow_floats_are_widened_before_anything_else(dtype: type) -> None:
    bound = 0.1  # float32(0.1) is above it: it must be clipped, and must not leave its lane
    codec = Codec(bound, 31)
    encoded = codec.encode(np.full(3, bound, dtype))
    wide = float(np.full(1, bound, dtype)[0])
    assert encoded.clipped == (3 if wide > bound else 0)
    assert encoded.lanes.tolist() == [round(min(wide, bound) * codec.scale) + codec.offset] * 3


def test_blocks_do_not_show() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(0, 0.1, 2 * BLOCK + 17)
    codec = Codec(0.2, 30)
    whole = codec.encode(values, 0.7)
    parts = [codec.encode(values[i : i + 1000], 0.7) for i in range(0, len(values), 1000)]
    assert np.array_equal(whole.lanes, np.concatenate([part.lanes for part in parts]))
    assert whole.clipped == sum(part.clipped for part in parts) == int((np.abs(values) > 0.2).sum())
    assert len(codec.encode(values[:0]).lanes) == 0


def test_the_input_is_left_alone() -> None:
    values = np.array([5.0, -5.0])
    Codec(1.0, 8).encode(values)
    clip_norm(values, 1.0)
    assert values.tolist() == [5.0, -5.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, BLOCK + 4])
def test_what_is_not_finite_is_refused(bad: float, place: int) -> None:
    values = np.zeros(BLOCK + 5, np.float32)
    values[place] = bad
    with pytest.raises(ValueNotFinite):
        Codec(1.0, 8).encode(values)
    with pytest.raises(ValueNotFinite):
        clip_norm(values, 1.0)


@pytest.mark.parametrize("weight", [-1e-9, 1.0000001, math.nan, math.inf])
def test_a_weight_outside_0_and_1_is_refused(weight: float) -> None:
    with pytest.raises(WeightOutOfRange):
        Codec(1.0, 8).encode(np.zeros(1), weight)


@pytest.mark.parametrize("lanes", [0, 2 * 255 + 1, -1, 1, 1 << 40])
def test_a_sum_no_cohort_can_have_is_refused(lanes: int) -> None:
    with pytest.raises(TotalOutOfRange):
        Codec(1.0, 8).decode(np.array([256, lanes]), 2)


def test_the_extreme_sums_are_accepted() -> None:
    assert Codec(1.0, 8).decode(np.array([2, 510, 256]), 2).tolist() == [-2.0, 2.0, 0.0]


@given(VECTOR, st.floats(1e-20, 1e20))
def test_a_clipped_vector_is_within_the_limit(values: np.ndarray, limit: float) -> None:
    out, norm = clip_norm(values, limit)
    square = sum((Fraction(v) ** 2 for v in values.tolist()), Fraction(0))
    assert abs(Fraction(norm) ** 2 - square) <= square / (1 << 45) + Fraction(1, 1 << 1200)
    assert sum((Fraction(v) ** 2 for v in out.tolist()), Fraction(0)) <= Fraction(limit) ** 2 * (
        1 + Fraction(1, 1 << 46)
    )
    if norm <= limit:
        assert np.array_equal(out, values)
    else:
        assert np.abs(out).max() <= limit  # a coordinate bound of the same size clips nothing more
        assert np.allclose(out, values * (limit / norm), rtol=1e-14, atol=0)


def test_a_clipped_coordinate_never_passes_the_limit_by_rounding() -> None:
    rng = np.random.default_rng(11)
    for value, limit in zip(rng.uniform(1, 2, 3000), rng.uniform(0.1, 1, 3000), strict=True):
        clipped = clip_norm(np.array([value]), float(limit))[0]
        assert 0.999 * limit < clipped[0] <= limit


def test_the_norm_of_huge_and_tiny_values() -> None:
    assert clip_norm(np.array([3e300, 4e300]), 1.0)[1] == pytest.approx(5e300)
    assert clip_norm(np.array([3e-300, 4e-300]), 1.0)[1] == pytest.approx(5e-300)
    with pytest.raises(ValueNotFinite):
        clip_norm(np.full(9, 1e308), 1.0)
    assert clip_norm(np.zeros(0), 1.0)[1] == 0.0


def test_the_norm_of_float32_is_summed_in_float64() -> None:
    values = np.full(3 * BLOCK + 1, 1.1, np.float32)
    assert clip_norm(values, 1.0)[1] == pytest.approx(float(np.float32(1.1)) * math.sqrt(3 * BLOCK + 1), rel=1e-14)
