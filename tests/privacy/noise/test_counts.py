"""The noise of a count: known answers, the exact statement of its guarantee, the sampler, what releases add up to."""

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from privacy import noise
from privacy.noise import CountNoise, CountNoiseInvalid, Release
from tests.support.entropy import SeededEntropy

COUNT = 20_000
LEAST_P = 1e-7  # the seeds are fixed: a change of the sampler draws anew, and a right one fails once in ten million


def made(epsilon_milli: int, delta_log10: int = -6) -> CountNoise:
    return CountNoise(epsilon_milli=epsilon_milli, delta_log10=delta_log10)


def exponential(milli: int) -> tuple[Fraction, Fraction]:
    """e^(milli / 1000) lies between these: partial sums of its series, and what is left of it at most."""
    x, term, found = Fraction(milli, 1000), Fraction(1), Fraction(0)
    for k in range(1, 120):
        found += term
        term *= x / k
    return found, found + 2 * term


@pytest.mark.parametrize(
    ("epsilon_milli", "delta_log10", "reach"),
    [
        # the least shifts that the tests of the IPA implementation list (private-attribution/ipa, test_find_smallest_n)
        (500, -6, 25),
        (1000, -6, 14),
        (100, -6, 109),
        (10, -6, 852),
        (1000, -7, 16),
        (100, -7, 132),
        (10, -7, 1082),
        (1000, -8, 18),
        (100, -8, 155),
        (10, -8, 1313),
    ],
)
def test_the_shift_is_the_published_one(epsilon_milli: int, delta_log10: int, reach: int) -> None:
    assert made(epsilon_milli, delta_log10).reach == reach
    assert made(epsilon_milli, delta_log10).dummies == 2 * reach


@pytest.mark.parametrize(("epsilon_milli", "delta_log10"), [(10, -4), (10, -20), (137, -9), (1000, -12), (10_000, -20)])
def test_the_guarantee_holds_exactly_for_what_is_drawn(epsilon_milli: int, delta_log10: int) -> None:
    """Neither count tells more than epsilon from the next one, but for the outermost figure, which is delta."""
    found = made(epsilon_milli, delta_log10)
    least, most = exponential(epsilon_milli)
    weights = [*found.weights]
    assert len(weights) == 2 * found.reach + 1
    assert weights == weights[::-1]
    steps = [*pairwise(weights[: found.reach + 1])]
    assert all(b <= least * a for a, b in steps), "no more, exactly"
    assert all(b >= most * a * (1 - Fraction(1, 2**60)) for a, b in steps)
    # hockey-stick divergence of count and count + 1: what one figure is likelier than e^epsilon times the other's
    for this, other in [([*weights, 0], [0, *weights]), ([0, *weights], [*weights, 0])]:
        beyond = sum(max(Fraction(0), a - least * b) for a, b in zip(this, other, strict=True)) / sum(weights)
        assert beyond == found.delta
    assert found.delta <= Fraction(1, 10**-delta_log10)


@pytest.mark.parametrize(("epsilon_milli", "delta_log10"), [(10, -4), (137, -9), (1000, -12)])
def test_one_dummy_less_would_not_do(epsilon_milli: int, delta_log10: int) -> None:
    weights = made(epsilon_milli, delta_log10).weights
    inner = weights[1:-1]
    assert Fraction(inner[0], sum(inner)) > Fraction(1, 10**-delta_log10)


@pytest.mark.parametrize("epsilon_milli", [100, 700, 2500])
def test_every_number_is_drawn_as_often_as_it_should(epsilon_milli: int) -> None:
    found, entropy = made(epsilon_milli), SeededEntropy(b"draw %d" % epsilon_milli)
    drawn = np.bincount([found.draw(entropy) for _ in range(COUNT)], minlength=found.dummies + 1)
    assert len(drawn) == found.dummies + 1
    expected = np.array([float(Fraction(w, sum(found.weights))) for w in found.weights]) * COUNT
    common = expected >= 10
    statistic = ((drawn - expected)[common] ** 2 / expected[common]).sum()
    rare, rare_expected = drawn[~common].sum(), expected[~common].sum()
    statistic += (rare - rare_expected) ** 2 / rare_expected
    assert stats.chi2.sf(statistic, common.sum()) > LEAST_P


def test_a_draw_takes_the_uniform_integer_at_its_place() -> None:
    """Every integer below the sum of the weights gives one number, as many of them as the weight says; others none."""
    found = made(10_000, -4)
    bits = sum(found.weights).bit_length()
    size = -(-bits // 8)

    def entropy(*values: int) -> Callable[[int], bytes]:
        listed = iter([value << (8 * size - bits) for value in values])
        return lambda count: next(listed).to_bytes(count, "big")

    first, middle, last = found.weights
    total = first + middle + last
    for value, dummies in [
        (0, 0),
        (first - 1, 0),
        (first, 1),
        (first + middle - 1, 1),
        (total - last, 2),
        (total - 1, 2),
    ]:
        assert found.draw(entropy(value)) == dummies
    assert found.draw(entropy(total, (1 << bits) - 1, first)) == 1, "beyond the sum it is drawn again"


def test_what_is_said_beside_a_figure() -> None:
    found = made(1000, -12)
    assert found.statement() == {
        "epsilon_milli": 1000,
        "delta_log10": -12,
        "off_by_at_most": 27,
        "off_by_at_most_95_percent": 3,
    }
    r = math.exp(-1)
    assert found.deviation == pytest.approx(math.sqrt(2 * r) / (1 - r), rel=1e-9)
    inside = sum(found.weights[found.reach - 3 : found.reach + 4]) / sum(found.weights)
    assert sum(found.weights[found.reach - 2 : found.reach + 3]) / sum(found.weights) < 0.95 <= inside


@pytest.mark.parametrize(
    ("epsilon_milli", "delta_log10"),
    [(9, -6), (10_001, -6), (1000, -3), (1000, -21), (True, -6), (1000.0, -6), ("1000", -6), (1000, None)],
)
def test_terms_out_of_range_are_refused(epsilon_milli: object, delta_log10: object) -> None:
    with pytest.raises(CountNoiseInvalid):
        CountNoise(epsilon_milli=epsilon_milli, delta_log10=delta_log10)  # type: ignore[arg-type]


def test_the_table_is_the_same_everywhere() -> None:
    """Both sides compute it for themselves: one digest for all machines."""
    text = ",".join(str(weight) for epsilon in (10, 333, 1000) for weight in made(epsilon, -12).weights)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == TABLE


TABLE = "a0bbc662d5f8fa83"


def test_counts_add_up_and_leave_less_for_sums() -> None:
    pytest.importorskip("dp_accounting")
    sums = [Release(noise_multiplier_milli=2000, count=3)]
    counts = [made(100, -9), made(250, -8)]
    assert noise.total(sums, [], -6) == noise.epsilon(sums, -6)
    both = noise.total(sums, counts, -6)
    assert both > noise.epsilon(sums, -6) + 0.35, "delta is shared"
    assert both < noise.epsilon(sums, -6) + 0.36
    assert noise.total(sums, [made(100, -6)], -6) == math.inf, "nothing of delta is left for the sums"


def test_counts_alone_need_no_accountant() -> None:
    assert noise.total([], [], -6) == 0.0
    assert noise.total([], [made(100, -9), made(250, -9)], -6) == pytest.approx(0.35)
    assert noise.total([], [made(100, -6)], -6) == pytest.approx(0.1)
    assert noise.total([], [made(100, -6)] * 2, -6) == math.inf
