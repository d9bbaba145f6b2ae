"""Ring arithmetic against Python integers, samplers against their definition, the table as an assertion."""

import hashlib
import hmac
import math

import numpy as np
import pytest
import scipy.fft
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import ring as ring_module
from privacy.ring import ERROR_MAX, ERROR_VARIANCE, Ints, Ring, Stream, centred, fft_error

RINGS = [(4096, 88, 30), (4096, 104, 21), (8192, 136, 23), (8192, 128, 22), (16384, 216, 19), (8192, 64, 16)]


def make(degree: int, modulus_bits: int, digit_bits: int) -> Ring:
    return Ring(degree=degree, modulus_bits=modulus_bits, digit_bits=digit_bits)


def stream(label: str = "test") -> Stream:
    return Stream(b"s" * 32, label)


def as_integers(ring: Ring, element: Ints) -> list[int]:
    columns = element.reshape(ring.digits, -1).T.tolist()
    return [sum(digit << (ring.digit_bits * level) for level, digit in enumerate(column)) for column in columns]


def negacyclic(x: list[int], y: list[int], modulus_bits: int) -> list[int]:
    """The product modulo X^N + 1 and 2^k by Kronecker substitution: one multiplication of two Python integers."""
    degree, modulus = len(x), 1 << modulus_bits
    slot = 2 * modulus_bits // 8 + 8  # bytes a coefficient of the product fits into
    packed = [b"".join((value % modulus).to_bytes(slot, "little") for value in values) for values in (x, y)]
    product = int.from_bytes(packed[0], "little") * int.from_bytes(packed[1], "little")
    raw = product.to_bytes(2 * degree * slot, "little")
    whole = [int.from_bytes(raw[i * slot : (i + 1) * slot], "little") for i in range(2 * degree)]
    return [(whole[i] - whole[i + degree]) % modulus for i in range(degree)]


@pytest.mark.parametrize(("degree", "modulus_bits", "digit_bits"), RINGS)
def test_packed_elements_are_little_endian_integers(degree: int, modulus_bits: int, digit_bits: int) -> None:
    ring = make(degree, modulus_bits, digit_bits)
    element = ring.uniform(stream(), 3, 5)
    packed = ring.pack(element)
    size = modulus_bits // 8
    expected = [int.from_bytes(packed[i * size : (i + 1) * size], "little") for i in range(15)]
    assert as_integers(ring, element) == expected
    assert (ring.unpack(packed, 3, 5) == element).all()
    everything = b"\xff" * (2 * size)
    assert ring.pack(ring.unpack(everything, 2)) == everything


@pytest.mark.parametrize(("degree", "modulus_bits", "digit_bits"), RINGS)
def test_uniform_elements_fill_the_whole_modulus(degree: int, modulus_bits: int, digit_bits: int) -> None:
    ring = make(degree, modulus_bits, digit_bits)
    element = ring.uniform(stream(), 4096)
    assert element.min() >= 0
    widths = [digit_bits] * (ring.digits - 1) + [ring.top_digit_bits]
    assert sum(widths) == modulus_bits
    for level, width in enumerate(widths):
        assert element[level].max() < 1 << width
        for bit in range(width):  # each bit is fair: 4096 draws, six standard deviations
            assert abs(int(((element[level] >> bit) & 1).sum()) - 2048) < 6 * 32


@pytest.mark.parametrize(("degree", "modulus_bits", "digit_bits"), RINGS)
def test_carrying_and_balancing_keep_the_value(degree: int, modulus_bits: int, digit_bits: int) -> None:
    ring = make(degree, modulus_bits, digit_bits)
    wild = np.random.default_rng(0).integers(-(2**52), 2**52, (ring.digits, 200))
    modulus = 1 << modulus_bits
    before = [value % modulus for value in as_integers(ring, wild)]
    canonical = ring.normalise(wild.copy())
    assert as_integers(ring, canonical) == before
    balanced = ring.balanced(canonical)
    assert [value % modulus for value in as_integers(ring, balanced)] == before
    assert np.abs(balanced).max() <= 1 << (digit_bits - 1)


@pytest.mark.parametrize(("degree", "modulus_bits", "digit_bits"), RINGS)
def test_top_bits_are_the_floor_of_a_division(degree: int, modulus_bits: int, digit_bits: int) -> None:
    ring = make(degree, modulus_bits, digit_bits)
    element = ring.uniform(stream(), 50)
    for bits in (1, 18, 42, 62):
        expected = [value >> (modulus_bits - bits) for value in as_integers(ring, element)]
        assert ring.top(element, bits).tolist() == expected


def test_shifted_addition_multiplies_by_a_power_of_two() -> None:
    ring = make(8192, 136, 23)
    values = np.random.default_rng(1).integers(-(2**31), 2**31, 100)
    for power in (0, 22, 85, 110):
        element = np.zeros((ring.digits, 100), np.int64)
        ring.add_shifted(element, values, power)
        expected = [(value << power) % (1 << 136) for value in values.tolist()]
        assert as_integers(ring, ring.normalise(element)) == expected


@pytest.mark.parametrize("kind", ["ternary", "extreme"])
def test_products_equal_exact_integers(kind: str) -> None:
    ring = make(4096, 88, 22)
    public = ring.uniform(stream("public"), 4096)
    small = stream("small").ternary(4096) if kind == "ternary" else np.where(np.arange(4096) % 3, 2047, -2047)
    product = ring.inverse(ring.forward(ring.balanced(public)) * ring.forward(small))
    expected = negacyclic(as_integers(ring, public), small.tolist(), 88)
    assert as_integers(ring, ring.normalise(product)) == expected


def test_multiplying_by_the_last_power_turns_signs() -> None:
    ring = make(4096, 88, 22)
    x, last = np.zeros(4096, np.int64), np.zeros(4096, np.int64)
    x[1], last[4095] = 1, 1  # X * X^(N-1) = X^N = -1
    assert ring.inverse(ring.forward(x) * ring.forward(last)).tolist() == [-1] + [0] * 4095


def test_a_transform_that_is_no_integer_is_a_fault() -> None:
    ring = make(4096, 88, 22)
    with pytest.raises(AssertionError, match="not an integer"):
        ring.inverse(ring.forward(np.full(4096, 0.5)))


@pytest.mark.parametrize("degree", [2048, 4096, 8192, 16384])
def test_the_error_bound_holds_for_extreme_inputs(degree: int) -> None:
    ring = make(degree, 48 if degree == 2048 else 88, 24 if degree == 2048 else 22)
    x = np.where(np.arange(degree) % 2, 2.0**21, -(2.0**21))
    y = np.full(degree, 2047.0)
    values = scipy.fft.ifft(ring.forward(x) * ring.forward(y)) * ring._untwist
    error = max(np.abs(part - np.rint(part)).max() for part in (values.real, values.imag))
    bound = fft_error(degree) * np.linalg.norm(x) * np.linalg.norm(y)
    assert 0 < error < bound
    assert bound < 64 * 2**20 * error  # and it is a bound of this order, not a vacuous one


def test_the_limits_are_below_both_tables() -> None:
    for degree, limit in ring_module.MODULUS_BITS_MAX.items():
        assert limit <= ring_module.STANDARD_2018_MODULUS_BITS_MAX[degree]
        assert limit <= ring_module.GUIDELINES_2024_MODULUS_BITS_MAX[degree]
    assert ring_module.MODULUS_BITS_MAX[4096] == 104


def test_rings_outside_the_table_cannot_be_made() -> None:
    for degree, modulus_bits in ((4096, 112), (8192, 224), (16384, 440), (2048, 56), (1024, 24), (8192, 130)):
        with pytest.raises(AssertionError):
            make(degree, modulus_bits, 20)


def test_a_stream_is_aes_counter_mode_under_an_hkdf_key() -> None:
    prk = hmac.new(bytes(32), b"s" * 32, hashlib.sha256).digest()  # RFC 5869 section 2.2
    key = hmac.new(prk, b"ecohub ring v1 test\x01", hashlib.sha256).digest()  # section 2.3
    blocks = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # counter mode by hand
    expected = b"".join(blocks.update(counter.to_bytes(16, "big")) for counter in range(4))
    drawn = stream()
    assert drawn.read(10) + drawn.read(54) == expected
    assert stream("other").read(64) != expected


def test_each_trit_of_an_accepted_byte_is_exactly_uniform() -> None:
    for position in ring_module._TRITS.T:
        assert np.bincount(position + 1).tolist() == [81, 81, 81]
    assert len({tuple(row) for row in ring_module._TRITS.tolist()}) == 243


def test_ternary_values_come_from_accepted_bytes_only() -> None:
    values = stream().ternary(3, 20_000)
    assert values.shape == (3, 20_000)
    assert set(np.unique(values)) == {-1, 0, 1}
    counts = np.bincount(values.reshape(-1) + 1)
    assert (np.abs(counts - 20_000) < 6 * math.sqrt(60_000 * 2 / 9)).all()
    source = np.frombuffer(stream().read(60_000 // 5 + 64), np.uint8)  # the first draw of the same stream
    first = [(byte // 3**i) % 3 - 1 for byte in source.tolist() if byte < 243 for i in range(5)]
    assert values.reshape(-1)[:50_000].tolist() == first[:50_000]


def test_errors_are_centred_binomial() -> None:
    drawn = stream().errors(200_000)
    assert np.abs(drawn).max() <= ERROR_MAX
    assert abs(drawn.mean()) < 6 * math.sqrt(ERROR_VARIANCE / 200_000)
    assert abs(drawn.var() / ERROR_VARIANCE - 1) < 0.02
    for value in range(-8, 9):  # against C(42, 21 + value) / 2^42
        chance = math.comb(2 * ERROR_MAX, ERROR_MAX + value) / 4**ERROR_MAX
        assert abs(int((drawn == value).sum()) - 200_000 * chance) < 6 * math.sqrt(200_000 * chance)


def test_check_weights_are_uniform_over_255_values() -> None:
    counts = np.bincount(stream().below_odd_byte(255 * 400) + 127, minlength=255)
    assert len(counts) == 255
    assert ((counts - 400) ** 2 / 400).sum() < 254 + 6 * math.sqrt(2 * 254)  # chi-square, 254 degrees of freedom


def test_orders_are_permutations_and_differ_by_label() -> None:
    first, second = stream("a").permutation(200), stream("b").permutation(200)
    assert sorted(first.tolist()) == list(range(200))
    assert first.tolist() != second.tolist()


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), st.integers(2, 62))
@settings(max_examples=50, deadline=None)
def test_centred_residues_are_the_smallest(values: list[int], bits: int) -> None:
    half = 1 << (bits - 1)
    expected = [(value + half) % (1 << bits) - half for value in values]
    assert centred(np.array(values, np.int64), bits).tolist() == expected
