"""Noise in shares: sensitivity by search, variance, room in the lanes, what a replaced row can move at most."""

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.plan_fields import ROWS_MAX
from privacy.aggregation import Roster
from privacy.ids import parse_partner_id
from privacy.noise import (
    NoiseDoesNotFit,
    NoisePlan,
    design,
    discrete_gaussian,
    honest_minimum,
    lane_sensitivity,
    share_variance,
)
from privacy.noise.accountant import DIVERGENCE_MAX
from privacy.noise.shares import TAIL, VARIANCE_MIN, divergence


def seeded(label: str) -> Callable[[int], bytes]:
    return lambda count: hashlib.shake_256(label.encode()).digest(count)


def small_plan() -> NoisePlan:
    return design(row_clip=0.01, limit=0.5, count=1000, value_bits=28, noise_multiplier_milli=1500, honest=2)


def roster(size: int, colluders: int) -> Roster:
    return Roster(partners=tuple(parse_partner_id(f"bank-{i}") for i in range(size)), colluders=colluders)


@pytest.mark.parametrize(("size", "colluders", "honest"), [(2, 0, 1), (3, 1, 2), (5, 1, 2), (8, 3, 2)])
def test_the_honest_nodes_that_are_counted_on(size: int, colluders: int, honest: int) -> None:
    assert honest_minimum(roster(size, colluders)) == honest


@given(st.integers(1, 50), st.floats(1e-3, 10), st.floats(1e-2, 1e4), st.data())
def test_no_replaced_row_moves_the_lanes_further_than_the_sensitivity(
    count: int, row_clip: float, scale: float, data: st.DataObject
) -> None:
    units = st.lists(st.floats(-1, 1), min_size=count, max_size=count)
    others = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=count, max_size=count)))
    lanes = []
    for _ in range(2):
        row = np.array(data.draw(units))
        row *= row_clip / max(float(np.linalg.norm(row)), 1.0)
        lanes.append(np.rint((others + row) * scale))
    moved = float(np.linalg.norm(lanes[0] - lanes[1]))
    assert moved <= lane_sensitivity(Fraction(row_clip), Fraction(scale), count)


def test_the_sensitivity_is_hardly_more_than_what_a_row_can_do() -> None:
    worst = 2 * 0.5 * 1000 + math.sqrt(10_000)
    assert worst <= lane_sensitivity(Fraction(1, 2), Fraction(1000), 10_000) <= worst + 3


@pytest.mark.parametrize("honest", [1, 2, 7])
def test_the_honest_shares_give_the_multiplier_and_no_less(honest: int) -> None:
    variance = share_variance(12_345, 1_100, honest)
    wanted = Fraction(1_100, 1000) ** 2 * 12_345**2
    assert wanted <= variance * honest < wanted + honest
    assert share_variance(1, 1, honest) == VARIANCE_MIN


@settings(max_examples=300)
@given(
    st.floats(1e-6, 10),
    st.floats(1e-6, 1e3),
    st.integers(1, 1 << 20),
    st.integers(16, 31),
    st.integers(1, 100_000),
    st.integers(1, 2),
)
def test_a_design_fits_or_says_that_it_does_not(
    row_clip: float, limit: float, count: int, bits: int, milli: int, honest: int
) -> None:
    try:
        plan = design(
            row_clip=row_clip,
            limit=limit,
            count=count,
            value_bits=bits,
            noise_multiplier_milli=milli,
            honest=honest,
        )
    except NoiseDoesNotFit:
        return
    assert plan.variance * honest >= Fraction(milli * plan.sensitivity, 1000) ** 2
    assert plan.sensitivity >= 2 * row_clip * plan.codec.scale + math.sqrt(count)
    assert plan.codec.scale * limit + TAIL * math.sqrt(plan.variance) < plan.codec.levels


def test_a_plan_of_ordinary_size_loses_little_to_rounding() -> None:
    plan = design(row_clip=1e-4, limit=0.1, count=10_000, value_bits=29, noise_multiplier_milli=1000, honest=2)
    assert plan.sensitivity < 1.01 * 2 * 1e-4 * plan.codec.scale


@pytest.mark.parametrize("change", [{"count": 1 << 40}, {"value_bits": 8}, {"row_clip": 1e-9, "limit": 10.0}])
def test_what_does_not_fit_is_refused(change: dict[str, float]) -> None:
    words = {"row_clip": 0.01, "limit": 0.5, "count": 10_000, "value_bits": 24, "noise_multiplier_milli": 9000}
    with pytest.raises(NoiseDoesNotFit):
        design(**(words | change), honest=2)  # type: ignore[arg-type]


def noised(plan: NoisePlan, values: np.ndarray, weight: float, label: str) -> np.ndarray:
    """What a node sends: its lanes and its share of the noise."""
    return plan.codec.encode(values, weight).lanes + discrete_gaussian(plan.variance, len(values), seeded(label))


def test_a_cohort_of_noised_updates_opens_to_the_sum_and_the_noise_promised() -> None:
    plan, cohort, count = small_plan(), 4, 1000
    values = np.linspace(-0.4, 0.4, count)
    total = np.sum([noised(plan, values, 0.5, f"node {i}") for i in range(cohort)], axis=0)
    rest = plan.codec.decode(total, cohort) - values * 0.5 * cohort
    deviation = math.sqrt(cohort * plan.variance) / plan.codec.scale
    assert rest.std() == pytest.approx(deviation, rel=0.1) and abs(rest.mean()) < 5 * deviation / math.sqrt(count)
    assert deviation >= 1.5 * 2 * 0.01 * math.sqrt(cohort / 2)
    assert np.linalg.norm(rest) <= plan.noise_norm(count, cohort) < 2 * np.linalg.norm(rest)


def test_the_largest_update_and_its_noise_stay_in_their_lanes() -> None:
    plan = small_plan()
    for value in (0.5, -0.5):
        lanes = noised(plan, np.full(1000, value), 1.0, "extreme")
        assert lanes.min() >= 1 and lanes.max() < 1 << 28
        assert abs(lanes - value * plan.codec.scale - plan.codec.offset).max() < TAIL * math.sqrt(plan.variance)


def test_the_sum_of_shares_is_as_good_as_one_gaussian() -> None:
    assert 0 < divergence(VARIANCE_MIN, 64, 1 << 40) < DIVERGENCE_MAX
    assert divergence(1, 2, 1) == pytest.approx(10 * math.exp(-(math.pi**2)))
    assert divergence(2, 3, 4) == pytest.approx(20 * (math.exp(-2 * math.pi**2) + math.exp(-8 * math.pi**2 / 3)))


@pytest.mark.parametrize(("variance", "nodes"), [(1, 2), (1, 3), (1, 5), (2, 2)])
def test_the_formula_bounds_the_true_distance_of_a_sum_of_shares(variance: int, nodes: int) -> None:
    """The max divergence, both ways, of the convolution from one discrete Gaussian, computed outright."""
    values = np.arange(-80, 81)
    one = np.exp(-(values**2) / (2.0 * variance))
    total = one / one.sum()
    for _ in range(nodes - 1):
        total = np.convolve(total, one / one.sum())
    wide = np.arange(-(len(total) // 2), len(total) // 2 + 1)
    single = np.exp(-(wide**2) / (2.0 * variance * nodes))
    single /= single.sum()
    seen = np.abs(wide) <= 12
    distance = np.abs(np.log(total[seen] / single[seen])).max()
    assert 0 < distance <= divergence(variance, nodes, 1) + 1e-13
    assert nodes * variance > 3 or distance > divergence(variance, nodes, 1) / 100


def test_a_float_sum_of_rows_is_as_near_to_the_exact_one_as_the_page_says() -> None:
    """docs/aggregation.md section 7: off by at most 2^-54 n^2 C, which is 0.6 % of 2C for two tables of 10 M rows."""
    for rows in (np.full(20_000, 1 - 2.0**-53), np.cos(np.arange(20_000.0))):
        total = 0.0
        for row in rows:
            total += float(row)
        exact = sum(map(Fraction, rows.tolist()))
        assert 0 < abs(Fraction(total) - exact) <= Fraction(len(rows) ** 2, 2**54)
    assert 0.005 < ROWS_MAX**2 / 2**54 < 0.006
