"""The group: RFC 9380 vectors, an independent oracle, and every kind of hostile point."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi import group
from privacy.psi.errors import BadPoint
from tests.support import edwards
from tests.support.entropy import SeededEntropy

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hash_to_curve_rfc9380.json").read_text())
TAG = VECTORS["tag"].encode()
SMALL = edwards.torsion()
GOOD = edwards.encode(edwards.multiply(12345, edwards.BASE))
SCALAR = group.draw_scalar(SeededEntropy(b"scalar"))


def off_curve() -> bytes:
    y = next(y for y in range(2, 100) if edwards.from_y(y, 0) is None)
    return y.to_bytes(32, "little")


def hostile_points() -> dict[str, bytes]:
    mixed = edwards.multiply(777, edwards.BASE)
    table = {"identity": edwards.encode(edwards.IDENTITY), "off the curve": off_curve()}
    table |= {f"small order {i}": edwards.encode(point) for i, point in enumerate(SMALL) if i}
    table |= {f"mixed torsion {i}": edwards.encode(edwards.add(mixed, point)) for i, point in enumerate(SMALL) if i}
    table |= {
        "identity with a sign": (1 | 1 << 255).to_bytes(32, "little"),
        "non-canonical identity": (edwards.P + 1).to_bytes(32, "little"),
        "non-canonical zero": edwards.P.to_bytes(32, "little"),
        "all ones": b"\xff" * 32,
        "all zeros": bytes(32),
        "empty": b"",
        "31 bytes": GOOD[:31],
        "33 bytes": GOOD + b"\x00",
    }
    # y = P + 3 … P + 18 are second names of curve points with small y
    for y in range(19):
        if edwards.from_y(y, 0) is not None:
            table[f"non-canonical y = p + {y}"] = (edwards.P + y).to_bytes(32, "little")
    return table


HOSTILE = hostile_points()


def test_expansions_of_the_rfc() -> None:
    tag = VECTORS["expander_tag"].encode()
    for case in VECTORS["expansions"]:
        expected = bytes.fromhex(case["bytes"])
        assert group.expand_message_xmd(case["message"].encode(), tag, len(expected)) == expected


@pytest.mark.parametrize("case", VECTORS["points"])
def test_oracle_meets_the_rfc_and_we_meet_the_oracle(case: dict[str, str]) -> None:
    message = case["message"].encode()
    (u0, s0), (u1, s1) = group.hash_to_field(message, TAG)
    assert [u0, u1] == [int(case[name], 16) for name in ("u0", "u1")]
    q0, q1 = edwards.elligator2(u0), edwards.elligator2(u1)
    assert [*q0, *q1] == [int(case[name], 16) for name in ("q0_x", "q0_y", "q1_x", "q1_y")]
    assert edwards.multiply(8, edwards.add(q0, q1)) == (int(case["p_x"], 16), int(case["p_y"], 16))
    # the one difference: the sign of each mapped point is the hash's top bit
    signed = [q if q[0] % 2 == sign else edwards.negate(q) for q, sign in ((q0, s0), (q1, s1))]
    assert group.hash_to_group(message, TAG) == edwards.encode(edwards.multiply(8, edwards.add(*signed)))
    assert group.map_to_group(u0, s0) == edwards.encode(edwards.multiply(8, signed[0]))


def test_our_hash_is_not_the_rfc_suite_and_does_not_claim_to_be() -> None:
    ours = [group.hash_to_group(case["message"].encode(), TAG) for case in VECTORS["points"]]
    rfc = [edwards.encode((int(case["p_x"], 16), int(case["p_y"], 16))) for case in VECTORS["points"]]
    assert ours != rfc
    assert b"ELL2_RO_" not in group.SUITE


def test_signs_are_balanced_and_free_of_the_field_element() -> None:
    pairs = [pair for i in range(2000) for pair in group.hash_to_field(i.to_bytes(4, "big"), TAG)]
    signs = [sign for _, sign in pairs]
    assert abs(sum(signs) - 2000) < 200  # six standard deviations
    assert abs(sum((element & 1) ^ sign for element, sign in pairs) - 2000) < 200


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=40))
@settings(max_examples=20)
def test_hash_is_a_valid_point_bound_to_its_context(message: bytes, context: bytes) -> None:
    point = group.hash_to_group(message, group.domain(context))
    group.check(point)
    assert point != group.hash_to_group(message, group.domain(context + b"\x00"))
    assert len(group.domain(context)) <= 255


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_point_is_refused(name: str) -> None:
    with pytest.raises(BadPoint):
        group.check(HOSTILE[name])
    with pytest.raises(BadPoint):
        group.multiply(SCALAR, HOSTILE[name])
    for position in (0, 3, 600):  # first, within and beyond the first batch
        points = [GOOD] * position + [HOSTILE[name]]
        with pytest.raises(BadPoint):
            group.check_all(points)


def test_multiplication_meets_the_oracle() -> None:
    point = edwards.multiply(991, edwards.BASE)
    group.check(edwards.encode(point))
    expected = edwards.multiply(int.from_bytes(SCALAR, "little"), point)
    assert group.multiply(SCALAR, edwards.encode(point)) == edwards.encode(expected)


def test_keys_commute() -> None:
    first, second = (group.draw_scalar(SeededEntropy(seed)) for seed in (b"leader", b"follower"))
    assert group.multiply(first, group.multiply(second, GOOD)) == group.multiply(second, group.multiply(first, GOOD))


def test_scalar_is_never_zero_and_reduced_from_64_bytes() -> None:
    multiple = (5 * edwards.ORDER).to_bytes(64, "little")  # reduces to zero
    draws = iter([bytes(64), multiple, (5 * edwards.ORDER + 7).to_bytes(64, "little")])
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return next(draws)

    assert group.draw_scalar(entropy) == (7).to_bytes(32, "little")
    assert asked == [64, 64, 64]


def test_a_thread_pool_gives_the_same_points_in_order() -> None:
    messages = [str(i).encode() for i in range(600)]
    tag = group.domain(b"pool")
    with ThreadPoolExecutor(2) as pool:
        hashed = group.hash_all(messages, tag, pool.map)
        assert hashed == group.hash_all(messages, tag)
        assert group.multiply_all(SCALAR, hashed, pool.map) == group.multiply_all(SCALAR, hashed)
        group.check_all(hashed, pool.map)
        with pytest.raises(BadPoint):
            group.check_all([*hashed, HOSTILE["identity"]], pool.map)
