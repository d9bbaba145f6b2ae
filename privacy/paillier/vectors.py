"""Vectors of lanes as ciphertexts: packing, encryption with a fixed-base table, validated reading, the running sum."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.aggregation import CiphertextMalformed, Lanes
from privacy.paillier import keys, knowledge, primes, wire
from privacy.paillier.gmp import Mpz, gmpy2
from privacy.paillier.keys import Public
from privacy.paillier.wire import Form, Header, Malformed
from privacy.ring import Stream

LANE_BITS = 32
WINDOW_BITS = 7  # of the fixed-base table: a wider one is built for longer than a few rounds win back


def per_ciphertext(bits: int) -> int:
    """Lanes in one ciphertext: the packed number stays below n whatever the lanes hold."""
    return (bits - 1) // LANE_BITS


def ciphertexts(count: int, bits: int) -> int:
    return -(-count // per_ciphertext(bits))


def pack(lanes: Lanes, bits: int) -> list[int]:
    """Lanes below 2^32, lowest first, as numbers; the last one is filled up with zeros."""
    width = per_ciphertext(bits)
    padded = np.zeros(ciphertexts(len(lanes), bits) * width, "<u4")
    padded[: len(lanes)] = lanes
    raw, step = padded.tobytes(), width * LANE_BITS // 8
    return [int.from_bytes(raw[at : at + step], "little") for at in range(0, len(raw), step)]


def unpack(numbers: list[Mpz], count: int, bits: int) -> Lanes:
    """The lanes of packed numbers. Raises Malformed when a number or a lane beyond `count` is out of range."""
    width = per_ciphertext(bits)
    if any(number >> (width * LANE_BITS) for number in numbers):
        raise Malformed("a lane left its range")
    raw = b"".join(int(number).to_bytes(width * LANE_BITS // 8, "little") for number in numbers)
    lanes: NDArray[Any] = np.frombuffer(raw, "<u4").astype(np.int64)
    if lanes[count:].any():
        raise Malformed("a lane that nobody uses is not zero")
    return lanes[:count]


class Table:
    """Powers of one base: one product a window of the exponent (Brickell, Gordon, McCurley and Wilson, 1992)."""

    def __init__(self, base: Mpz, modulus: Mpz, exponent_bits: int) -> None:
        self._modulus = modulus
        self._rows: list[list[Mpz]] = []
        for _ in range(-(-exponent_bits // WINDOW_BITS)):
            row = [gmpy2.mpz(1), base]
            for _ in range((1 << WINDOW_BITS) - 2):
                row.append(row[-1] * base % modulus)
            self._rows.append(row)
            base = row[-1] * base % modulus

    def power(self, exponent: int) -> Mpz:
        result = gmpy2.mpz(1)
        for row in self._rows:
            window = exponent & ((1 << WINDOW_BITS) - 1)
            exponent >>= WINDOW_BITS
            if window:
                result = result * row[window] % self._modulus
        assert exponent == 0, "the exponent is within the table"
        return result


class Encryptor:
    """Encrypts under one public part; keeps its table."""

    def __init__(self, public: Public) -> None:
        self.public = public
        self._table = Table(public.h, public.square, public.bits // 2)

    def encrypt(self, lanes: Lanes, statement: bytes, stream: Stream) -> bytes:
        """statement: what the proof of knowing the lanes is bound to."""
        public, packed = self.public, pack(lanes, self.public.bits)
        exponents = [int(primes.bits(stream, public.bits // 2)) for _ in packed]
        numbers = [
            (1 + number * public.n) * self._table.power(exponent) % public.square
            for number, exponent in zip(packed, exponents, strict=True)
        ]
        proof = knowledge.make(public, statement, numbers, packed, exponents, stream)
        return write(Form.CIPHERTEXT, public.bits, public.id, len(lanes), public.n, numbers, proof)


def write(form: Form, bits: int, key: bytes, count: int, n: Mpz, numbers: list[Mpz], proof: bytes = b"") -> bytes:
    header = Header(form=form, bits=bits, id=key, lanes=count).write()
    return header + wire.write_numbers([n], bits // 8) + wire.write_numbers(numbers, bits // 4) + proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A read ciphertext or sum of `count` lanes: all numbers are units modulo n^2; the proof of a ciphertext."""

    key: bytes
    n: Mpz
    count: int
    numbers: list[Mpz]
    proof: bytes = field(repr=False)


def read(data: bytes, form: Form, bits: int, count: int | None = None) -> Vector:
    """A vector of `count` lanes, or of as many as it says. Raises Malformed."""
    header, body = wire.read(data, form, bits)
    if count is not None and header.lanes != count:
        raise Malformed(f"{count} lanes are expected")
    (n,) = wire.read_numbers(body[: bits // 8], bits // 8, 1)
    end = len(body) - (knowledge.proof_bytes(bits) if form is Form.CIPHERTEXT else 0)
    numbers = wire.read_numbers(body[bits // 8 : max(end, 0)], bits // 4, ciphertexts(header.lanes, bits))
    if n.bit_length() != bits or n % 2 == 0:
        raise Malformed("its modulus is none")
    keys.check_units(numbers, n)
    return Vector(key=header.id, n=n, count=header.lanes, numbers=numbers, proof=body[end:])


class VectorAdder:
    """The running sum of uploads of `count` lanes under one key. statement: what a partner's proof is bound to."""

    def __init__(self, public: Public, count: int, statement: Callable[[str], bytes]) -> None:
        assert count >= 1, "a vector has lanes"
        self._public, self._count, self._statement = public, count, statement
        self._sum: list[Mpz] = [gmpy2.mpz(1)] * ciphertexts(count, public.bits)
        self._added = 0

    def add(self, ciphertext: bytes, partner: str) -> None:
        """Raises CiphertextMalformed, also where no proof shows that the partner made it; the sum is then unchanged."""
        public = self._public
        try:
            vector = read(ciphertext, Form.CIPHERTEXT, public.bits, self._count)
            if (vector.key, vector.n) != (public.id, public.n):
                raise Malformed("it is under another key")
            knowledge.verify(public, self._statement(partner), vector.numbers, vector.proof)
        except Malformed as failure:
            raise CiphertextMalformed(why=str(failure)) from None
        self._sum = [one * other % public.square for one, other in zip(self._sum, vector.numbers, strict=True)]
        self._added += 1

    def total(self) -> bytes:
        assert self._added, "something was added"
        public = self._public
        return write(Form.TOTAL, public.bits, public.id, self._count, public.n, self._sum)
