"""The oblivious function and its proof: against an independent oracle, and against senders that deviate."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi import elgamal, group
from privacy.psi.cached import dleq, function
from privacy.psi.errors import BadPoint
from tests.privacy.test_psi_group import HOSTILE
from tests.support import edwards
from tests.support.cached import clients
from tests.support.entropy import SeededEntropy

EPOCH = hashlib.sha256(b"terms of an epoch").digest()
KEY, OTHER_KEY, NONCE_KEY = (group.draw_scalar(SeededEntropy(seed)) for seed in (b"key", b"other key", b"nonces"))
PUBLIC = elgamal.times_base(KEY)
ORDER = edwards.ORDER.to_bytes(32, "little")


def number(scalar: bytes) -> int:
    return int.from_bytes(scalar, "little")


def points(count: int, seed: bytes = b"points") -> list[bytes]:
    return elgamal.random_points(count, SeededEntropy(seed))


def proven(count: int) -> tuple[list[bytes], list[bytes], bytes]:
    blinded = points(count)
    evaluated = function.evaluate(KEY, blinded)
    return blinded, evaluated, dleq.prove(KEY, NONCE_KEY, blinded, evaluated, EPOCH)


# -- the function


@given(st.lists(st.binary(min_size=1, max_size=256), unique=True, max_size=4), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_the_receiver_gets_what_the_sender_masks(ids: list[bytes], padding: int) -> None:
    blinds = function.draw_blinds(len(ids) + padding, SeededEntropy(b"blinds"))
    blinded = function.blind(EPOCH, ids, blinds)
    assert len({*blinded}) == len(blinds)
    evaluated = function.evaluate(KEY, blinded)
    assert function.unblind(EPOCH, ids, blinds, evaluated) == function.masks_of(KEY, EPOCH, ids)


def test_masks_meet_the_oracle() -> None:
    """F(x) from the group's definition, in plain integers."""
    item = clients(7)[0]
    (u0, s0), (u1, s1) = group.hash_to_field(item, group.domain(EPOCH))
    mapped = [
        q if q[0] % 2 == sign else edwards.negate(q)
        for u, sign in ((u0, s0), (u1, s1))
        for q in [edwards.elligator2(u)]
    ]
    point = edwards.encode(edwards.multiply(8 * number(KEY), edwards.add(*mapped)))
    expected = hashlib.sha256(
        b"ecohub/cached-mask/1\x00" + EPOCH + len(item).to_bytes(2, "big") + item + point
    ).digest()
    assert function.masks_of(KEY, EPOCH, [item]) == [expected[:12]]


def test_one_identifier_travels_as_another_point_each_time() -> None:
    first, second = function.draw_blinds(2, SeededEntropy(b"blinds"))
    assert function.blind(EPOCH, clients(1), [first]) != function.blind(EPOCH, clients(1), [second])
    assert function.blind(EPOCH, [], [first]) == [elgamal.times_base(first)]  # padding is a random point too


def test_masks_differ_by_key_and_epoch() -> None:
    other_epoch = hashlib.sha256(b"another epoch").digest()
    ids = clients(1, 2, 3)
    assert len({*function.masks_of(KEY, EPOCH, ids), *function.masks_of(OTHER_KEY, EPOCH, ids)}) == 6
    assert not {*function.masks_of(KEY, EPOCH, ids)} & {*function.masks_of(KEY, other_epoch, ids)}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_points_are_refused_by_both(name: str) -> None:
    blinds = function.draw_blinds(2, SeededEntropy(b"blinds"))
    good = points(1)
    with pytest.raises(BadPoint):
        function.evaluate(KEY, [*good, HOSTILE[name]])
    if len(HOSTILE[name]) == 32:
        with pytest.raises(BadPoint):
            function.unblind(EPOCH, clients(1, 2), blinds, [*good, HOSTILE[name]])
        with pytest.raises(BadPoint):
            dleq.holds(bytes(64), PUBLIC, points(2), [*good, HOSTILE[name]], EPOCH)


# -- the proof


@pytest.mark.parametrize("count", [1, 2, 5, 300])
def test_a_right_proof_holds(count: int) -> None:
    blinded, evaluated, proof = proven(count)
    assert len(proof) == dleq.PROOF_BYTES
    assert dleq.holds(proof, PUBLIC, blinded, evaluated, EPOCH)


def test_the_proof_meets_the_oracle() -> None:
    """Challenge and response by the equations of RFC 9497 section 2.2, in plain integers."""
    blinded, evaluated, proof = proven(2)
    factors = [number(factor) for factor in dleq.weights(PUBLIC, blinded, evaluated, EPOCH)]

    def point(data: bytes) -> edwards.Point:
        value = edwards.from_y(int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7)
        assert value is not None
        return value

    def combined(parts: list[bytes]) -> edwards.Point:
        first, second = (edwards.multiply(factor, point(part)) for factor, part in zip(factors, parts, strict=True))
        return edwards.add(first, second)

    m, z = combined(blinded), combined(evaluated)
    assert z == edwards.multiply(number(KEY), m)
    challenge, response = number(proof[:32]), number(proof[32:])
    t2 = edwards.add(edwards.multiply(response, edwards.BASE), edwards.multiply(challenge, point(PUBLIC)))
    t3 = edwards.add(edwards.multiply(response, m), edwards.multiply(challenge, z))
    hashed = b"ecohub/cached-dleq/1 challenge\x00" + (32).to_bytes(8, "big") + EPOCH
    hashed += b"".join([PUBLIC, *map(edwards.encode, (m, z, t2, t3))])
    assert challenge == int.from_bytes(hashlib.sha512(hashed).digest(), "little") % edwards.ORDER


@pytest.mark.parametrize("count", [1, 5])
def test_one_wrong_evaluation_is_caught_wherever_it_stands(count: int) -> None:
    """The tagging attack: one client's point is multiplied by another key, and the proof made as well as one can."""
    for place in range(count):
        blinded = points(count)
        evaluated = function.evaluate(KEY, blinded)
        evaluated[place] = group.multiply(OTHER_KEY, blinded[place])
        for key in (KEY, OTHER_KEY):
            proof = dleq.prove(key, NONCE_KEY, blinded, evaluated, EPOCH)
            assert not dleq.holds(proof, PUBLIC, blinded, evaluated, EPOCH)


def test_another_key_for_everything_is_caught() -> None:
    blinded = points(3)
    evaluated = function.evaluate(OTHER_KEY, blinded)
    proof = dleq.prove(OTHER_KEY, NONCE_KEY, blinded, evaluated, EPOCH)
    assert dleq.holds(proof, elgamal.times_base(OTHER_KEY), blinded, evaluated, EPOCH)
    assert not dleq.holds(proof, PUBLIC, blinded, evaluated, EPOCH)


def test_errors_that_cancel_in_the_sum_are_caught() -> None:
    blinded = points(2)
    first, second = function.evaluate(KEY, blinded)
    error = points(1, b"error")[0]
    evaluated = [elgamal.add(first, error), elgamal.subtract(second, error)]
    proof = dleq.prove(KEY, NONCE_KEY, blinded, evaluated, EPOCH)
    assert not dleq.holds(proof, PUBLIC, blinded, evaluated, EPOCH)


def test_errors_that_cancel_under_the_weights_of_the_true_evaluations_are_caught() -> None:
    """What weights that depend on all pairs are for: known weights would make this proof hold."""
    blinded = points(2)
    evaluated = function.evaluate(KEY, blinded)
    known = [number(factor) for factor in dleq.weights(PUBLIC, blinded, evaluated, EPOCH)]
    errors = known[1], edwards.ORDER - known[0]
    forged = [
        elgamal.add(point, elgamal.times_base(error.to_bytes(32, "little")))
        for point, error in zip(evaluated, errors, strict=True)
    ]
    factors = [factor.to_bytes(32, "little") for factor in known]
    assert dleq.combine(factors, forged) == dleq.combine(factors, evaluated)  # they cancel, and yet:
    proof = dleq.prove(KEY, NONCE_KEY, blinded, forged, EPOCH)
    assert not dleq.holds(proof, PUBLIC, blinded, forged, EPOCH)


def test_every_weight_depends_on_every_pair() -> None:
    blinded, evaluated, _ = proven(4)
    expected = dleq.weights(PUBLIC, blinded, evaluated, EPOCH)
    assert len(set(expected)) == 4
    for changed in (
        dleq.weights(PUBLIC, blinded, [*evaluated[:3], blinded[0]], EPOCH),
        dleq.weights(PUBLIC, [*points(1, b"x"), *blinded[1:]], evaluated, EPOCH),
        dleq.weights(PUBLIC, blinded[::-1], evaluated[::-1], EPOCH),
        dleq.weights(PUBLIC, blinded, evaluated, EPOCH + b"\x00"),
        dleq.weights(points(1)[0], blinded, evaluated, EPOCH),
    ):
        assert not set(changed) & set(expected)


def test_every_damaged_bit_of_a_proof_is_refused() -> None:
    blinded, evaluated, proof = proven(2)
    for bit in range(8 * len(proof)):
        damaged = bytearray(proof)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not dleq.holds(bytes(damaged), PUBLIC, blinded, evaluated, EPOCH)
    for other in (b"", proof[:-1], proof + b"\x00", bytes(64), b"\xff" * 64, proof[32:] + proof[:32]):
        assert not dleq.holds(other, PUBLIC, blinded, evaluated, EPOCH)


def test_a_proof_has_one_form() -> None:
    blinded, evaluated, proof = proven(1)
    for part in (0, 32):
        value = number(proof[part : part + 32]) + number(ORDER)
        other = proof[:part] + value.to_bytes(32, "little") + proof[part + 32 :]
        assert not dleq.holds(other, PUBLIC, blinded, evaluated, EPOCH)


def test_a_proof_is_for_its_points_their_order_and_its_epoch() -> None:
    blinded, evaluated, proof = proven(3)
    swapped = [blinded[1], blinded[0], blinded[2]], [evaluated[1], evaluated[0], evaluated[2]]
    assert not dleq.holds(proof, PUBLIC, *swapped, EPOCH)
    assert not dleq.holds(proof, PUBLIC, blinded[:2], evaluated[:2], EPOCH)
    assert not dleq.holds(proof, PUBLIC, blinded, evaluated, hashlib.sha256(b"another epoch").digest())


def test_no_nonce_meets_two_statements() -> None:
    """The nonce's point is response·G + challenge·K. Two challenges under one nonce would give the key away."""
    seen = set()
    for count in (1, 2, 3):
        for context in (EPOCH, EPOCH[::-1]):
            blinded = points(count)
            proof = dleq.prove(KEY, NONCE_KEY, blinded, function.evaluate(KEY, blinded), context)
            seen.add(elgamal.add(elgamal.times_base(proof[32:]), group.multiply(proof[:32], PUBLIC)))
            assert proof == dleq.prove(KEY, NONCE_KEY, blinded, function.evaluate(KEY, blinded), context)
    assert len(seen) == 6


def test_a_repeated_nonce_would_give_the_key_away() -> None:
    """Why nonces are derived from what is proven: the key from two challenges under one nonce."""
    c1, c2, nonce = 1234567, 7654321, number(NONCE_KEY)
    s1, s2 = ((nonce - c * number(KEY)) % edwards.ORDER for c in (c1, c2))
    assert (s1 - s2) * pow(c2 - c1, -1, edwards.ORDER) % edwards.ORDER == number(KEY)


def test_a_thread_pool_gives_the_same() -> None:
    ids = [b"%d" % i for i in range(600)]
    blinds = function.draw_blinds(601, SeededEntropy(b"blinds"))
    with ThreadPoolExecutor(2) as pool:
        blinded = function.blind(EPOCH, ids, blinds, pool.map)
        assert blinded == function.blind(EPOCH, ids, blinds)
        evaluated = function.evaluate(KEY, blinded, pool.map)
        proof = dleq.prove(KEY, NONCE_KEY, blinded, evaluated, EPOCH, pool.map)
        assert dleq.holds(proof, PUBLIC, blinded, evaluated, EPOCH, pool.map)
        unblinded = function.unblind(EPOCH, ids, blinds, evaluated, pool.map)
        assert unblinded == function.masks_of(KEY, EPOCH, ids, pool.map)
        evaluated[555] = HOSTILE["off the curve"]
        with pytest.raises(BadPoint):
            dleq.holds(proof, PUBLIC, blinded, evaluated, EPOCH, pool.map)
