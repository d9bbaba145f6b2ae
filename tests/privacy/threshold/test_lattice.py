"""The sampler against its definition and its distribution; products against exact integers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.ring import Ring, Stream
from privacy.threshold import RLWE_2048_48
from privacy.threshold.lattice import BLOCK, Matrix, binomial, blocks
from tests.privacy.threshold.support import negacyclic

N, Q = 2048, 1 << 48
SEED = bytes(range(32))


def test_a_sample_is_the_ones_among_its_own_164_bits() -> None:
    counts = binomial(Stream(SEED, "test"), RLWE_2048_48, 2)
    stream = Stream(SEED, "test")
    for polynomial in range(2):
        raw = stream.read(41_984)
        for k in (0, 1, 1023, 1024, 2047):
            bits = int.from_bytes(raw[8 * k : 8 * k + 8]).bit_count()
            bits += int.from_bytes(raw[16_384 + 8 * k : 16_384 + 8 * k + 8]).bit_count()
            bits += int.from_bytes(raw[32_768 + 4 * k : 32_768 + 4 * k + 4]).bit_count()
            byte = raw[40_960 + k % 1024]
            bits += (byte & 15 if k < 1024 else byte >> 4).bit_count()
            assert counts[polynomial, k] == bits


def test_every_bit_of_the_stream_counts_once() -> None:
    """Flipping any bit moves exactly one sample by exactly one."""

    class Fixed(Stream):
        def __init__(self, data: bytes) -> None:
            self._data = data

        def read(self, count: int) -> bytes:
            assert count == len(self._data)
            return self._data

    draw = np.random.default_rng(1)
    base = draw.bytes(41_984)
    plain = binomial(Fixed(base), RLWE_2048_48, 1)[0].astype(int)
    for position in [*draw.integers(0, 8 * 41_984, 150), 0, 8 * 41_984 - 1]:
        changed = bytearray(base)
        changed[position // 8] ^= 1 << (position % 8)
        moved = binomial(Fixed(bytes(changed)), RLWE_2048_48, 1)[0].astype(int) - plain
        assert np.abs(moved).sum() == 1
    assert (binomial(Fixed(b"\xff" * 41_984), RLWE_2048_48, 1) == 164).all()
    assert (binomial(Fixed(bytes(41_984)), RLWE_2048_48, 1) == 0).all()


def test_samples_have_the_binomial_distribution() -> None:
    """Pearson's statistic of 2^20 samples in cells of at least 20 expected ones, within 6 standard deviations."""
    counts = np.bincount(binomial(Stream(SEED, "distribution"), RLWE_2048_48, 512).ravel(), minlength=165)
    chance = np.array([math.comb(164, k) / 2**164 for k in range(165)])
    inner = chance * (1 << 20) >= 20
    expected = np.append(chance[inner], chance[~inner].sum()) * (1 << 20)
    seen = np.append(counts[inner], counts[~inner].sum())
    freedom = len(expected) - 1
    assert freedom > 50
    assert abs(((seen - expected) ** 2 / expected).sum() - freedom) < 6 * math.sqrt(2 * freedom)


def test_neighbouring_samples_are_not_correlated() -> None:
    values = binomial(Stream(SEED, "correlation"), RLWE_2048_48, 256).astype(float) - 82
    for lag in (1, 2, 1024, 2047):
        correlation = (values[:, lag:] * values[:, :-lag]).mean() / 41
        assert abs(correlation) < 6 / math.sqrt(values[:, lag:].size)
    assert abs((values[1:] * values[:-1]).mean() / 41) < 6 / math.sqrt(values[1:].size)


def integers(matrix: Matrix, index: int) -> list[int]:
    low, high = matrix.polynomial(index).tolist()
    return [a + (b << 24) for a, b in zip(low, high, strict=True)]


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([1, 82, 255, 700, 5248]), st.integers(0, 2**32), st.sampled_from(["random", "edges", "constant"])
)
def test_products_are_exact(bound: int, seed: int, shape: str) -> None:
    """Keys and sums of keys of every size, with every coefficient at its bound as well."""
    matrix, draw = Matrix(RLWE_2048_48, SEED), np.random.default_rng(seed)
    values = {
        "random": draw.integers(-bound, bound + 1, N),
        "edges": draw.choice([-bound, bound], N),
        "constant": np.full(N, -bound),
    }[shape]
    found = matrix.times(matrix.factor(values), 8, 10) & np.uint64(Q - 1)
    for row in range(2):
        expected = negacyclic(integers(matrix, 8 + row), values.tolist())
        assert found[row].tolist() == [value % Q for value in expected]


def test_products_are_exact_for_the_worst_public_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limb at -2^23 and a factor at its largest: the largest values the transforms ever meet."""
    worst = np.stack([np.full(N, 1 << 23), np.full(N, (1 << 23) - 1)])
    monkeypatch.setattr(Matrix, "polynomial", lambda self, index: worst)
    matrix, limit = Matrix(RLWE_2048_48, SEED), RLWE_2048_48.factor_max
    assert Ring(degree=N, modulus_bits=48, digit_bits=24).balanced(worst.copy()).min() == -(1 << 23)
    for values in (np.full(N, limit), np.full(N, -limit), limit * (1 - 2 * (np.arange(N) % 2))):
        found = matrix.times(matrix.factor(values), 0, 1)[0] & np.uint64(Q - 1)
        expected = negacyclic([(1 << 23) + (((1 << 23) - 1) << 24)] * N, values.tolist())
        assert found.tolist() == [value % Q for value in expected]


def test_a_factor_beyond_the_limit_is_split() -> None:
    matrix, limit = Matrix(RLWE_2048_48, SEED), RLWE_2048_48.factor_max
    assert limit >= 82 * 9, "up to nine partners one piece is enough"
    assert len(matrix.factor(np.full(N, limit))) == 1
    assert len(matrix.factor(np.full(N, limit + 1))) == len(matrix.factor(np.full(N, -82 * 64))) == 2


def test_public_polynomials_depend_on_seed_and_index_alone() -> None:
    matrix, again = Matrix(RLWE_2048_48, SEED), Matrix(RLWE_2048_48, SEED)
    again.prepare(20)
    assert (matrix.polynomial(17) == again.polynomial(17)).all()
    factor = matrix.factor(np.arange(N) % 80)
    assert (matrix.times(factor, 16, 18) == again.times(factor, 16, 18)).all()
    assert not (matrix.polynomial(17) == matrix.polynomial(18)).any(axis=0).all()
    assert (Matrix(RLWE_2048_48, SEED[::-1]).polynomial(17) != matrix.polynomial(17)).mean() > 0.99


def test_public_coefficients_fill_the_modulus() -> None:
    low, high = (np.stack([Matrix(RLWE_2048_48, SEED).polynomial(i) for i in range(64)], axis=1)).astype(float)
    for digits in (low, high):
        assert digits.max() < 2**24 and digits.max() > 0.9999 * 2**24 and digits.min() < 0.0001 * 2**24
        assert abs(digits.mean() / 2**24 - 0.5) < 6 * math.sqrt(1 / 12 / digits.size)


def test_blocks_cover_every_polynomial_once() -> None:
    for polynomials in (1, BLOCK, BLOCK + 1, 489):
        covered = [row for start, stop in blocks(polynomials) for row in range(start, stop)]
        assert covered == list(range(polynomials))
