"""Linear binary codes whose minimum distance is known by theorem: what the receiver's slots are encoded with.

In OT extension with a code C the sender holds q = r ⊕ s ∧ C(p); a receiver that wants it for another p has to guess
the bits of s where two codewords differ. Codes of distance 128 make that 128 secret bits (Kolesnikov and Kumaresan,
Crypto 2013; Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020). Two families, built here from their definitions:

`bch(k)`: the primitive narrow-sense BCH code [511, 76] of designed distance 171. Its generator g has the roots
α, α², …, α^170, so any nonzero multiple of g of degree below 511 has at least 171 ones (the BCH bound: Bose and
Ray-Chaudhuri, Inform. and Control 3, 1960; Hocquenghem, Chiffres 2, 1959); deg g = 435. Shortening keeps the distance,
leaving out 43 positions lowers it by at most 43. A word p of k ≤ 76 bits becomes p(x)·g(x) mod x^(k + 392): the k + 435
coefficients without the highest 43. Hence [k + 392, k, ≥ 128].

`reed_solomon(K)`: the concatenation (Forney, Concatenated codes, 1966) of the Reed-Solomon code [K + 31, K, 32] over
64 elements with the binary code [11, 6, 4], less two positions (shortened): [11·K + 339, 6·K - 2, ≥ 32 · 4]. The
authors of PaXoS use the same family for malicious receivers, whose words must be longer than 128 bits.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Bits: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"  # a value 0 or 1 in each byte

DISTANCE = 128
_DEGREE_9 = 0b1000010001  # x^9 + x^4 + 1, primitive
_DEGREE_6 = 0b1000011  # x^6 + x + 1, primitive
_BCH_DISTANCE = 171
_BCH_LEFT_OUT = _BCH_DISTANCE - DISTANCE
_SYMBOL_BITS = 6
# parities of the [11, 6, 4] code: different words of three ones. One row has 1 + 3 ones; the parities of two rows
# differ in at least 2 places, 2 + 2; of three rows in an odd number, 3 + 1; four rows have 4 ones before the parities
_INNER_PARITIES = (0b00111, 0b01011, 0b01101, 0b01110, 0b10011, 0b10101)
_SHORTENED = 2  # so that words and codewords are whole bytes for K = 23 and K = 31


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearCode:
    """A binary code [length, dimension, ≥ distance]; length and dimension are multiples of 8."""

    length: int
    dimension: int
    distance: int
    tables: Bytes  # [dimension / 8, 256, length / 8]: the codeword of each value of each byte of a word

    @property
    def word_bytes(self) -> int:
        return self.dimension // 8

    @property
    def codeword_bytes(self) -> int:
        return self.length // 8

    def encode(self, words: Bytes) -> Bytes:
        """The codewords of uint8[n, word_bytes]: uint8[n, codeword_bytes]. Bit i is bit i mod 8 of byte ⌊i / 8⌋."""
        assert words.shape[1:] == (self.word_bytes,) and words.dtype == np.uint8, "words of this code"
        codewords: Bytes = self.tables[0].take(words[:, 0], axis=0)
        for position in range(1, self.word_bytes):
            codewords ^= self.tables[position].take(words[:, position], axis=0)
        return codewords


@lru_cache(maxsize=8)
def bch(dimension: int = 64) -> LinearCode:
    """[dimension + 392, dimension, ≥ 128]; dimension: 8 … 72, a multiple of 8."""
    generator = bch_generator(Field(_DEGREE_9), _BCH_DISTANCE)
    length = dimension + generator.bit_length() - 1 - _BCH_LEFT_OUT
    rows = [(generator << i) % (1 << length) for i in range(dimension)]
    bits = [[row >> i & 1 for i in range(length)] for row in rows]
    return _code(np.array(bits, np.uint8), DISTANCE)


@lru_cache(maxsize=8)
def reed_solomon(symbols: int = 23) -> LinearCode:
    """[11·K + 339, 6·K - 2, ≥ 128]; K: 7, 15, 23 (a word of 136 bits, a codeword of 592) or 31 (184, 680)."""
    field = Field(_DEGREE_6)
    points = [field.power(i) for i in range(symbols + 31)]
    inner = np.array([[i >> j & 1 for j in range(11)] for i in map(_inner, range(64))], np.uint8)
    rows = [
        np.concatenate([inner[field.multiply(1 << bit, field.raised(x, degree))] for x in points])
        for degree in range(symbols)
        for bit in range(_SYMBOL_BITS)
    ]
    return _code(shortened(np.array(rows), _SHORTENED), DISTANCE)


class Field:
    """GF(2^m) as polynomials modulo a primitive one; an element is the integer whose bits are its coefficients."""

    def __init__(self, modulus: int) -> None:
        self.order = (1 << modulus.bit_length() - 1) - 1  # of the multiplicative group
        self._powers = [1]
        for _ in range(self.order - 1):
            double = self._powers[-1] << 1
            self._powers.append(double ^ modulus if double > self.order else double)
        self._logarithms = {element: i for i, element in enumerate(self._powers)}
        assert len(self._logarithms) == self.order, "the modulus is primitive"

    def power(self, exponent: int) -> int:
        """α^exponent, with α = x."""
        return self._powers[exponent % self.order]

    def raised(self, element: int, exponent: int) -> int:
        """element^exponent; element is not 0."""
        return self.power(self._logarithms[element] * exponent)

    def multiply(self, a: int, b: int) -> int:
        return self.power(self._logarithms[a] + self._logarithms[b]) if a and b else 0


def bch_generator(field: Field, distance: int) -> int:
    """The binary polynomial of least degree with the roots α, …, α^(distance - 1); bit i is the coefficient of x^i.

    The product of the minimal polynomials of the cyclotomic cosets {e, 2e, 4e, …} (MacWilliams and Sloane, The Theory
    of Error-Correcting Codes, chapter 7, section 6).
    """
    roots = {e * 2**i % field.order for e in range(1, distance) for i in range(field.order.bit_length())}
    product = [1]  # coefficients in the field, lowest first
    for root in sorted(roots):
        shifted, scaled = [0, *product], [field.multiply(field.power(root), c) for c in product] + [0]
        product = [a ^ b for a, b in zip(shifted, scaled, strict=True)]
    assert set(product) <= {0, 1}, "closed under squaring, so binary"
    return sum(c << i for i, c in enumerate(product))


def shortened(generator: Bits, count: int) -> Bits:
    """The words that are 0 at `count` positions of an information set, without these: dimension, length less count."""
    reduced = generator.copy()
    pivots = []
    for row in range(len(reduced)):
        pivot = int(np.flatnonzero(reduced[row])[0])  # IndexError would mean dependent rows
        others = np.flatnonzero(reduced[:, pivot])
        reduced[others[others != row]] ^= reduced[row]
        pivots.append(pivot)
    kept = len(reduced) - count
    return np.delete(reduced[:kept], pivots[kept:], axis=1)


def _inner(symbol: int) -> int:
    parity = 0
    for bit, word in enumerate(_INNER_PARITIES):
        parity ^= word if symbol >> bit & 1 else 0
    return symbol | parity << _SYMBOL_BITS


def _code(generator: Bits, distance: int) -> LinearCode:
    dimension, length = generator.shape
    assert dimension % 8 == 0 and length % 8 == 0, "whole bytes"
    rows = np.packbits(generator, axis=1, bitorder="little").reshape(dimension // 8, 8, -1)
    tables = np.zeros((dimension // 8, 256, length // 8), np.uint8)
    for bit in range(8):
        tables[:, 1 << bit : 2 << bit] = tables[:, : 1 << bit] ^ rows[:, bit : bit + 1]
    tables.setflags(write=False)
    return LinearCode(length=length, dimension=dimension, distance=distance, tables=tables)
