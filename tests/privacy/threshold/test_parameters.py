"""The parameter set against its tables, and what follows from it for every roster."""

import math
from dataclasses import replace

import pytest

from privacy.aggregation import PARTNERS_MAX, Roster
from privacy.ring import GUIDELINES_2024_MODULUS_BITS_MAX, ROUNDING_MAX, STANDARD_2018_MODULUS_BITS_MAX
from privacy.threshold import RLWE_2048_48, bounds
from tests.privacy.threshold.support import banks, engine

P = RLWE_2048_48


def core_svp(degree: int, modulus_bits: float, error: float, secret: float) -> float:
    """Classical core-SVP bits (0.292 b) of the primal attack on one ring-LWE secret of given standard deviations.

    Block size b by the 2016 estimate (Alkim, Ducas, Poppelmann and Schwabe, "Post-quantum key exchange", section 6.3)
    with the secret scaled to the error (Bai and Galbraith 2014), over all numbers of samples in steps.
    """
    for block in range(60, 1200):
        delta = ((math.pi * block) ** (1 / block) * block / (2 * math.pi * math.e)) ** (1 / (2 * (block - 1)))
        for samples in range(degree // 3, 3 * degree, 64):
            dim = degree + samples + 1
            volume = (samples * modulus_bits + degree * math.log2(error / secret)) / dim
            if 0.5 * math.log2(block) + math.log2(error) <= (2 * block - dim - 1) * math.log2(delta) + volume:
                return 0.292 * block
    raise AssertionError("no block size attacks this")


def test_the_modulus_is_inside_both_tables() -> None:
    assert P.modulus_bits == 48
    assert GUIDELINES_2024_MODULUS_BITS_MAX[P.degree] == 53 and STANDARD_2018_MODULUS_BITS_MAX[P.degree] == 54


def test_fresh_keys_and_pairs_are_harder_than_the_table_row() -> None:
    """By one and the same metric: the row that the tables call 128 bit, a fresh key, and one of two known sums."""
    row = core_svp(2048, 53, 3.19, math.sqrt(2 / 3))
    fresh = core_svp(2048, 48, P.deviation, P.deviation)
    pair = core_svp(2048, 48, P.pair_deviation, P.pair_deviation)
    assert row == pytest.approx(101, abs=1.5)
    assert pair == pytest.approx(127, abs=1.5) and fresh == pytest.approx(131, abs=1.5)
    assert pair > row + 20


def test_the_deviation_left_to_one_of_two_honest_partners() -> None:
    """The exact conditional variance, averaged over the sum of two centred binomials and at its unlikely ends."""
    bits = 2 * P.binomial
    assert P.deviation == pytest.approx(6.403, abs=1e-3)
    total = [math.comb(2 * bits, k) / 4**bits for k in range(2 * bits + 1)]
    left = [bits * (k / (2 * bits)) * (1 - k / (2 * bits)) * bits / (2 * bits - 1) for k in range(2 * bits + 1)]
    assert math.sqrt(sum(p * v for p, v in zip(total, left, strict=True))) == pytest.approx(4.53, abs=0.01)
    assert P.pair_deviation == pytest.approx(math.sqrt(left[bits]))
    narrow = sum(p for p, v in zip(total, left, strict=True) if v < 3.19**2)
    assert math.log2(narrow) < -75, "a coefficient left with less than the table's width is never met"


@pytest.mark.parametrize("parties", range(2, PARTNERS_MAX + 1))
def test_every_roster_keeps_its_bounds(parties: int) -> None:
    for count in (1, 2043, 2044, 2045, 1_000_000, 1 << 26):
        b = bounds(P, parties, count)
        assert b.value_bits + b.guard_bits == 32 and b.value_bits == 32 - math.ceil(math.log2(parties))
        assert parties * ((1 << b.value_bits) - 1) < 2**32
        assert b.noise_bound == 82 * parties < b.noise_limit == 32768
        assert b.product_error < ROUNDING_MAX and b.failure_log2 == -math.inf
        assert b.coefficients >= max(2048, count + 4) and b.polynomials == -(-b.coefficients // 2048)
        assert b.upload_bytes == 6 * b.coefficients
        assert b.forgery_log2 <= -138


def test_six_bytes_a_parameter_and_one_polynomial_for_a_tiny_vector() -> None:
    assert bounds(P, 3, 1_000_000).upload_bytes == 6_000_024
    assert bounds(P, 3, 20).upload_bytes == 12_288


def test_a_set_that_breaks_a_rule_can_not_be_made() -> None:
    for change in ({"modulus_bits": 56}, {"binomial": 30}, {"binomial": 600}, {"sum_bits": 40}, {"prime": 1 << 31}):
        with pytest.raises(AssertionError):
            replace(P, **change)  # type: ignore[arg-type]
    for parties, count in ((1, 1), (65, 1), (3, 0), (3, (1 << 26) + 1)):
        with pytest.raises(AssertionError):
            bounds(P, parties, count)


def test_the_engine_states_its_lanes() -> None:
    assert [engine(n).value_bits for n in (2, 3, 4, 5, 8, 9, 64)] == [31, 30, 30, 29, 29, 28, 26]
    assert engine(4).dealers == Roster(partners=banks(4), colluders=1).partners
