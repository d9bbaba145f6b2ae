"""ElGamal in the exponent against plain sums and an independent curve; small logarithms up to their bound."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi import discrete_log as logs
from privacy.psi import elgamal, group
from privacy.psi.discrete_log import BOUND_MAX, discrete_log
from privacy.psi.errors import BadPoint
from tests.support import edwards
from tests.support.entropy import SeededEntropy

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

KEY = elgamal.draw_key(SeededEntropy(b"value key"))


def multiple(number: int) -> bytes:
    return edwards.encode(edwards.multiply(number % edwards.ORDER, edwards.BASE))


def test_points_meet_the_oracle() -> None:
    for number in (0, 1, 2, 3, 991, 2**40 - 1):
        assert elgamal.times_base(elgamal.small_scalar(number)) == multiple(number)
    assert multiple(0) == elgamal.IDENTITY
    assert elgamal.add(multiple(5), multiple(7)) == multiple(12)
    assert elgamal.subtract(multiple(5), multiple(7)) == multiple(-2)
    assert elgamal.subtract(multiple(5), multiple(5)) == elgamal.IDENTITY


def test_a_ciphertext_is_the_textbook_one() -> None:
    """(r·G, r·X + v·G), though it is made from the secret key."""
    drawn = group.draw_scalar(SeededEntropy(b"r"))
    (ciphertext,) = elgamal.encrypt_all(KEY, [41], SeededEntropy(b"r"))
    shared = edwards.multiply(
        int.from_bytes(drawn, "little") * int.from_bytes(KEY.scalar, "little") % edwards.ORDER, edwards.BASE
    )
    assert ciphertext[:32] == multiple(int.from_bytes(drawn, "little"))
    assert ciphertext[32:] == edwards.encode(edwards.add(shared, edwards.multiply(41, edwards.BASE)))
    assert KEY.public == multiple(int.from_bytes(KEY.scalar, "little"))
    assert KEY.scalar.hex() not in repr(KEY)
    assert repr(KEY.scalar) not in repr(KEY)


@given(st.lists(st.integers(0, 2**40 - 1), max_size=8), st.binary(min_size=1, max_size=4))
@settings(max_examples=25)
def test_sums_are_homomorphic_and_masks_come_off(values: list[int], seed: bytes) -> None:
    entropy = SeededEntropy(seed)
    total = elgamal.total(elgamal.encrypt_all(KEY, values, entropy))
    fresh = elgamal.rerandomise(KEY.public, total, entropy)
    assert elgamal.decrypt(KEY, fresh) == multiple(sum(values))
    assert fresh[:32] != total[:32]
    assert fresh[32:] != total[32:]
    blinded, mask = elgamal.blind(fresh, entropy)
    assert elgamal.subtract(elgamal.decrypt(KEY, blinded), mask) == multiple(sum(values))
    assert elgamal.decrypt(KEY, blinded) != multiple(sum(values))


def test_equal_values_have_different_ciphertexts() -> None:
    ciphertexts = elgamal.encrypt_all(KEY, [0] * 20, SeededEntropy(b"equal"))
    assert len({half for item in ciphertexts for half in (item[:32], item[32:])}) == 40


def test_many_ciphertexts_over_threads() -> None:
    ciphertexts = elgamal.encrypt_all(KEY, range(600), SeededEntropy(b"many"))
    with ThreadPoolExecutor(2) as pool:
        assert elgamal.total(ciphertexts, pool.map) == elgamal.total(ciphertexts)
    fresh = elgamal.rerandomise(KEY.public, elgamal.total(ciphertexts), SeededEntropy(b"s"))
    assert elgamal.decrypt(KEY, fresh) == multiple(599 * 300)
    assert elgamal.total([]) == elgamal.IDENTITY * 2


def test_a_hostile_ciphertext_is_not_decrypted() -> None:
    good = elgamal.encrypt_all(KEY, [1], SeededEntropy(b"good"))[0]
    for bad in (elgamal.IDENTITY, edwards.encode(edwards.torsion()[1]), b"\xff" * 32):
        with pytest.raises(BadPoint):
            elgamal.decrypt(KEY, bad + good[32:])


def test_random_points_are_valid_and_differ() -> None:
    points = elgamal.random_points(50, SeededEntropy(b"points"))
    group.check_all(points)
    assert len(set(points)) == 50


@pytest.mark.parametrize("bound", [0, 1, 2, 3, 8, 100])
def test_every_logarithm_up_to_the_bound_and_none_beyond(bound: int) -> None:
    for number in range(bound + 1):
        assert discrete_log(multiple(number), bound) == number
    for number in (bound + 1, bound + 2, 3 * bound + 5, -1, -bound - 1):
        assert discrete_log(multiple(number), bound) is None


@given(st.integers(0, 2**24))
@settings(max_examples=5)
def test_larger_logarithms_across_windows(number: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert discrete_log(multiple(number), 2**24, pool.map) == number


def test_the_search_ends_where_it_should() -> None:
    assert discrete_log(multiple(2**20), 2**20) == 2**20
    assert discrete_log(multiple(2**20 + 1), 2**20) is None
    with pytest.raises(AssertionError):
        discrete_log(multiple(1), BOUND_MAX + 1)


def test_a_short_table_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TABLE_MAX", 16)
    assert discrete_log(multiple(99_999), 100_000) == 99_999
    assert discrete_log(multiple(100_001), 100_000) is None
