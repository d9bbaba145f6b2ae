"""A release's share of clients: kept, the same every time, and growing without losing anybody."""

import hashlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.release import PPM, SALT_BYTES, Release, in_release, of_client

SALTS = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)
SHARES = st.integers(0, PPM)
CLIENTS = st.binary(min_size=1, max_size=64)


def clients(count: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(count)]


@given(client=CLIENTS, salt=SALTS, share=SHARES, more=SHARES)
def test_who_is_in_a_release_stays_in_it_when_its_share_is_raised(
    client: bytes, salt: bytes, share: int, more: int
) -> None:
    low, high = sorted((share, more))
    assert in_release(client, salt, low) <= in_release(client, salt, high)


@given(client=CLIENTS, salt=SALTS)
def test_no_share_reaches_nobody_and_the_whole_reaches_everybody(client: bytes, salt: bytes) -> None:
    assert not in_release(client, salt, 0)
    assert in_release(client, salt, PPM)


@pytest.mark.parametrize("share", [10_000, 50_000, 200_000, 500_000, 950_000])
def test_the_share_is_kept(share: int) -> None:
    """20,000 clients: within 5 standard deviations, fixed by keys and salt."""
    salt, count = bytes(range(SALT_BYTES)), 20_000
    reached = sum(in_release(client, salt, share) for client in clients(count))
    part = share / PPM
    assert abs(reached - count * part) < 5 * (count * part * (1 - part)) ** 0.5


def test_another_salt_draws_other_clients() -> None:
    first, second = (
        {c for c in clients(5_000) if in_release(c, bytes([number]) * SALT_BYTES, 100_000)} for number in (1, 2)
    )
    assert len(first & second) < 0.3 * len(first)


def test_a_known_client_is_drawn_as_hmac_sha256_says() -> None:
    """HMAC-SHA256 of "client" under sixteen zero bytes begins with 0x7f54517ddf1e0dcd: 0.497380 of the range."""
    salt = bytes(SALT_BYTES)
    assert in_release(b"client", salt, 497_381)
    assert not in_release(b"client", salt, 497_380)


@pytest.mark.parametrize("share", [-1, PPM + 1])
def test_a_share_outside_the_range_is_a_broken_invariant(share: int) -> None:
    with pytest.raises(AssertionError):
        in_release(b"client", bytes(SALT_BYTES), share)


def test_a_salt_of_another_length_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError):
        in_release(b"client", b"short", PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named(Release):
    name: str


@given(client=CLIENTS, salt=SALTS, share=SHARES)
def test_a_client_outside_the_newest_release_is_served_by_the_one_before(
    client: bytes, salt: bytes, share: int
) -> None:
    newest = Named(job="b", salt=salt, share_ppm=share, name="newest")
    whole = Named(job="a", salt=bytes(SALT_BYTES), share_ppm=PPM, name="whole")
    expected = newest if in_release(client, salt, share) else whole
    assert of_client(client, [newest, whole]) is expected
    assert of_client(client, [newest]) is (newest if expected is newest else None)
    assert of_client(client, []) is None
