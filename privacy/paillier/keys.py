"""The key: what its dealer publishes, what each holder gets, and how a holder checks both.

`v` generates the squares modulo n^2 and is a public encryption of 2. With it and v_i = v^(Delta s_i) for every holder,
a holder finds a share that is not its own, shares off the polynomial, and a polynomial that does not decrypt. In the
proof of Fouque, Poupard and Stern the simulator knows v^d, so that v is of this form costs nothing.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from privacy.paillier import primes, wire
from privacy.paillier.gmp import Mpz, gmpy2
from privacy.paillier.wire import Form, Header, Malformed
from privacy.ring import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """n; h, a random n-th residue; v; one commitment v^(Delta s_i) a holder, in places' order; id: the key's name."""

    bits: int
    n: Mpz
    h: Mpz
    v: Mpz
    commitments: tuple[Mpz, ...]
    id: bytes

    @property
    def square(self) -> Mpz:
        return self.n * self.n

    @property
    def delta(self) -> Mpz:
        return gmpy2.fac(len(self.commitments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A holder's part of the secret exponent, with the public part it belongs to."""

    public: Public
    holder: int
    value: Mpz = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All of a new key; the factors are here for one moment, at the dealer."""

    public: bytes
    shares: Mapping[int, bytes] = field(repr=False)
    factors: tuple[Mpz, Mpz] = field(repr=False)


def make(stream: Stream, *, bits: int, holders: int, threshold: int, context: bytes) -> Material:
    """A fresh key shared over `holders` places, `threshold` of which open."""
    p = primes.safe_prime(stream, bits // 2)
    q = primes.safe_prime(stream, bits // 2)
    assert p != q, "two primes are different"
    n, small = p * q, (p >> 1) * (q >> 1)
    square, order = n * n, n * small
    exponent = small * gmpy2.invert(small, n)  # 0 modulo p'q', 1 modulo n
    polynomial = [exponent, *(primes.below(stream, order) for _ in range(threshold - 1))]
    values = [_evaluate(polynomial, place, order) for place in range(1, holders + 1)]
    h = gmpy2.powmod(-gmpy2.powmod(_unit(stream, n), 2, n), n, square)
    v = (1 + 2 * n) * gmpy2.powmod(_unit(stream, n), 2 * n, square) % square
    delta = gmpy2.fac(holders)
    commitments = [gmpy2.powmod_sec(v, delta * value, square) for value in values]
    width = bits // 8
    body = wire.write_numbers([n], width) + wire.write_numbers([h, v, *commitments], 2 * width)
    public = Header(form=Form.PUBLIC, bits=bits, id=context).write() + body
    name = key_id(public)
    shares = {
        place: Header(form=Form.SHARE, bits=bits, id=name, holder=place).write()
        + wire.write_numbers([value], 2 * width)
        + public
        for place, value in enumerate(values, 1)
    }
    return Material(public=public, shares=shares, factors=(p, q))


def key_id(public: bytes) -> bytes:
    return hashlib.sha256(b"ecohub paillier key v1" + public).digest()


def public_bytes(bits: int, holders: int) -> int:
    return wire.HEADER_BYTES + bits // 8 * (1 + 2 * (2 + holders))


def share_bytes(bits: int, holders: int) -> int:
    return wire.HEADER_BYTES + bits // 4 + public_bytes(bits, holders)


def read_public(data: bytes, *, bits: int, holders: int, context: bytes) -> Public:
    """Raises Malformed."""
    header, body = wire.read(data, Form.PUBLIC, bits)
    if header.id != context:
        raise Malformed("made for another roster")
    width = bits // 8
    (n,) = wire.read_numbers(body[:width], width, 1)
    numbers = wire.read_numbers(body[width:], 2 * width, 2 + holders)
    if n.bit_length() != bits or n % 2 == 0 or gmpy2.is_prime(n) or gmpy2.is_square(n):
        raise Malformed("its modulus is none")
    check_units(numbers, n)
    return Public(bits=bits, n=n, h=numbers[0], v=numbers[1], commitments=tuple(numbers[2:]), id=key_id(data))


def read_share(data: bytes, *, bits: int, holders: int, context: bytes) -> Share:
    """Raises Malformed."""
    header, body = wire.read(data, Form.SHARE, bits)
    width = bits // 8
    public = read_public(body[2 * width :], bits=bits, holders=holders, context=context)
    if header.id != public.id or header.holder > holders:
        raise Malformed("its parts do not belong together")
    (value,) = wire.read_numbers(body[: 2 * width], 2 * width, 1)
    return Share(public=public, holder=header.holder, value=value)


def check_units(numbers: Sequence[Mpz], n: Mpz) -> None:
    """Every number is invertible modulo n^2, and not a trivial residue. Raises Malformed.

    One gcd of the product finds what a gcd of each would: a number that shares a factor with n.
    """
    square, product = n * n, gmpy2.mpz(1)
    for number in numbers:
        if not 1 < number < square:
            raise Malformed("a number is out of range")
        product = product * number % n
    if gmpy2.gcd(product, n) != 1:
        raise Malformed("a number shares a factor with the modulus")


def verify_share(share: Share, threshold: int) -> None:
    """The share is the one committed to, the commitments lie on one polynomial, and it decrypts. Raises Malformed.

    The commitments' values are the same polynomial's if those beyond the threshold follow from the first ones, and it
    decrypts if its value at 0 takes v, which encrypts 2, to 1 + 2 n.
    """
    public = share.public
    square, delta, count = public.square, public.delta, len(public.commitments)
    if gmpy2.powmod_sec(public.v, delta * share.value, square) != public.commitments[share.holder - 1]:
        raise Malformed("it is not the share that was committed to")
    first = list(range(1, threshold + 1))
    for place in [0, *range(threshold + 1, count + 1)]:
        value = combine(public, {i: public.commitments[i - 1] for i in first}, place)
        expected = (
            gmpy2.powmod(public.commitments[place - 1], delta, square)
            if place
            else (1 + 2 * delta * delta * public.n) % square
        )
        if value != expected:
            raise Malformed("the shares do not lie on one polynomial that decrypts")


def combine(public: Public, powers: Mapping[int, Mpz], place: int) -> Mpz:
    """From base^(s_i) at as many places as the threshold: base^(Delta f(place)), modulo n^2 (Shoup 2000)."""
    result, square = gmpy2.mpz(1), public.square
    for i, power in powers.items():
        above = math.prod(place - j for j in powers if j != i)
        under = math.prod(i - j for j in powers if j != i)
        exponent, rest = divmod(int(public.delta) * above, under)
        assert rest == 0, "Delta clears the denominators"
        result = result * gmpy2.powmod(power, exponent, square) % square
    return result


def _evaluate(polynomial: Sequence[Mpz], place: int, modulus: Mpz) -> Mpz:
    value = gmpy2.mpz(0)
    for coefficient in reversed(polynomial):
        value = (value * place + coefficient) % modulus
    return value


def _unit(stream: Stream, n: Mpz) -> Mpz:
    while True:
        draw = primes.below(stream, n)
        if draw > 1 and gmpy2.gcd(draw, n) == 1:
            return draw
