"""The sampler against the exact distribution: chi-square of every value, of low bits, of moments; its coins."""

import hashlib
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from privacy.noise import gaussian
from privacy.noise.gaussian import VARIANCE_MAX, discrete_gaussian
from privacy.ring import Stream

COUNT = 200_000
LEAST_P = 1e-7  # the seeds are fixed: a change of the sampler draws anew, and a right one fails once in ten million


def seeded(label: str) -> Callable[[int], bytes]:
    return lambda count: hashlib.shake_256(label.encode()).digest(count)


def exact(variance: int, reach: int) -> np.ndarray:
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2.0 * variance))
    return weights / weights.sum()


@pytest.mark.parametrize("variance", [1, 2, 3, 5, 16, 77, 1000])
def test_every_value_has_its_probability(variance: int) -> None:
    samples = discrete_gaussian(variance, COUNT, seeded(f"value {variance}"))
    assert samples.dtype == np.int64 and samples.shape == (COUNT,)
    reach = 12 * math.isqrt(variance) + 12
    assert np.abs(samples).max() <= reach
    expected = exact(variance, reach) * COUNT
    observed = np.bincount(samples + reach, minlength=2 * reach + 1)
    common = expected >= 10
    statistic = ((observed - expected)[common] ** 2 / expected[common]).sum()
    rare, rare_expected = observed[~common].sum(), expected[~common].sum()
    statistic += (rare - rare_expected) ** 2 / rare_expected
    assert stats.chi2.sf(statistic, common.sum()) > LEAST_P


@pytest.mark.parametrize("variance", [10**6, 2**30 + 12345, VARIANCE_MAX])
def test_wide_ones_look_normal_to_the_last_bit(variance: int) -> None:
    samples = discrete_gaussian(variance, COUNT, seeded(f"wide {variance}"))
    assert stats.kstest(samples / math.sqrt(variance), "norm").pvalue > LEAST_P
    for bits in (1, 3, 8):
        observed = np.bincount(samples % (1 << bits), minlength=1 << bits)
        assert stats.chisquare(observed).pvalue > LEAST_P
    tail = 3 * math.isqrt(variance)
    p = math.erfc(3 / math.sqrt(2))
    assert stats.binomtest(int((np.abs(samples) > tail).sum()), COUNT, p).pvalue > LEAST_P


@pytest.mark.parametrize("scale", [1, 2, 9])
def test_the_laplace_step_has_its_distribution(scale: int) -> None:
    samples = gaussian._laplace(Stream(bytes(32), f"laplace {scale}"), scale, COUNT)
    reach = 40 * scale
    weights = np.exp(-np.abs(np.arange(-reach, reach + 1)) / scale)
    expected = weights / weights.sum() * len(samples)
    observed = np.bincount(samples + reach, minlength=2 * reach + 1)
    common = expected >= 10
    statistic = ((observed - expected)[common] ** 2 / expected[common]).sum()
    assert stats.chi2.sf(statistic, common.sum() - 1) > LEAST_P


@pytest.mark.parametrize(("top", "bottom"), [(0, 5), (1, 7), (1, 2), (6, 7), (1, 1), ((1 << 60) - 1, 1 << 60)])
def test_a_coin_has_its_probability(top: int, bottom: int) -> None:
    ratios = [(np.array([top], np.uint64), np.array([bottom], np.uint64)), (np.array([1], np.uint64),) * 2]
    heads = int(gaussian._exp_coins(Stream(bytes(32), f"coin {top}"), COUNT, ratios).sum())
    assert stats.binomtest(heads, COUNT, math.exp(-top / bottom)).pvalue > LEAST_P


def test_a_coin_of_two_ratios_takes_their_product() -> None:
    two, three, four = (np.full(COUNT, value, np.uint64) for value in (2, 3, 4))
    ratios = [(two, three[:1]), (three, four)]
    heads = int(gaussian._exp_coins(Stream(bytes(32), "two"), COUNT, ratios).sum())
    assert stats.binomtest(heads, COUNT, math.exp(-0.5)).pvalue > LEAST_P


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 128, 129, (1 << 62) + 1, 1 << 63])
def test_uniform_integers_are_below_their_bound_without_bias(bound: int) -> None:
    draw = gaussian._below(Stream(bytes(32), f"below {bound}"), np.array([bound], np.uint64), COUNT)
    assert int(draw.max()) < bound
    cells = min(bound, 16)
    observed = np.bincount((draw.astype(np.float64) / bound * cells).astype(int), minlength=cells)
    assert len(observed) == cells
    assert cells == 1 or stats.chisquare(observed, np.diff(cell_edges(bound, cells)) / bound * COUNT).pvalue > LEAST_P


def cell_edges(bound: int, cells: int) -> np.ndarray:
    """The first integer of every cell: cells of a small bound differ in size."""
    return np.array([-(-bound * cell // cells) for cell in range(cells + 1)], float)


def test_one_seed_gives_one_vector_and_blocks_do_not_repeat() -> None:
    first = discrete_gaussian(VARIANCE_MAX, 3 * gaussian.BLOCK, seeded("a"))
    assert np.array_equal(first, discrete_gaussian(VARIANCE_MAX, 3 * gaussian.BLOCK, seeded("a")))
    assert not np.array_equal(first, discrete_gaussian(VARIANCE_MAX, 3 * gaussian.BLOCK, seeded("b")))
    assert len(np.unique(first)) > 0.9 * len(first)
    assert len(discrete_gaussian(5, 0, seeded("a"))) == 0 and len(discrete_gaussian(5, 1, seeded("a"))) == 1


@pytest.mark.parametrize(("variance", "part"), [(1, 3e-7), (2, 2e-15), (16, 2e-15)])
def test_the_parameter_is_the_variance(variance: int, part: float) -> None:
    values = np.arange(-60, 61)
    assert (exact(variance, 60) * values**2).sum() == pytest.approx(variance, rel=part)
