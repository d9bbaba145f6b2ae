"""The public polynomials, exact products with them, and the centred binomial sampler, in blocks that stay in cache.

Privacy of the sampler rests on `privacy.ring.Stream`: AES-256-CTR under HKDF-SHA256 of a seed and a purpose. Like the
rest of the room this is not constant-time code.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.ring import Complexes, Ints, Ring, Stream
from privacy.threshold.parameters import ParameterSet

Words: TypeAlias = NDArray[np.uint64]
BLOCK = 8  # polynomials at a time: their transforms and temporaries fit a 1 MB cache
_LOW_NIBBLE = np.uint8(15)


def binomial(stream: Stream, parameters: ParameterSet, polynomials: int) -> NDArray[np.uint8]:
    """Independent Binomial(164, 1/2) counts (polynomials, 2048); minus 82 they are the centred binomial.

    Exact: the ones among 164 fair bits, which is 82 fair bits minus 82 fair bits, plus 82. A polynomial takes 41,984
    bytes of the stream: two planes of 64-bit words, one of 32-bit words, and one of half bytes (coefficient k < 1024:
    the low half of byte k; else the high half of byte k - 1024).
    """
    n, half = parameters.degree, parameters.degree // 2
    assert 2 * parameters.binomial == 2 * 64 + 32 + 4, "the planes hold as many bits as a sample counts"
    raw = np.frombuffer(stream.read(polynomials * (20 * n + half)), np.uint8).reshape(polynomials, 20 * n + half)
    words = np.bitwise_count(raw[:, : 16 * n].view("<u8").reshape(polynomials, 2, n))
    counts: NDArray[np.uint8] = words[:, 0] + words[:, 1]
    counts += np.bitwise_count(raw[:, 16 * n : 20 * n].view("<u4"))
    nibbles = raw[:, 20 * n :]
    counts[:, :half] += np.bitwise_count(nibbles & _LOW_NIBBLE)
    counts[:, half:] += np.bitwise_count(nibbles >> 4)
    return counts


def blocks(polynomials: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of consecutive blocks."""
    for start in range(0, polynomials, BLOCK):
        yield start, min(start + BLOCK, polynomials)


class Matrix:
    """The public polynomials a_0, a_1, ... of a seed, transformed when first needed and kept (32 KB each).

    a_i depends on the seed and i alone, so a shorter vector uses a prefix of what a longer one uses.
    """

    def __init__(self, parameters: ParameterSet, seed: bytes) -> None:
        self._parameters, self._seed = parameters, seed
        self._ring = Ring(
            degree=parameters.degree, modulus_bits=parameters.modulus_bits, digit_bits=parameters.limb_bits
        )
        self._blocks: dict[int, Complexes] = {}  # each (2 limbs, BLOCK, N/2)

    def polynomial(self, index: int) -> Ints:
        """a_index as canonical digits (2, N): low and high 24 bits of uniform 48-bit coefficients."""
        return self._ring.uniform(Stream(self._seed, f"threshold a {index}"), self._parameters.degree)

    def factor(self, values: Ints) -> tuple[tuple[int, Complexes], ...]:
        """A small polynomial (N,) ready for `times`: pieces inside `factor_max`, with the power of two of each."""
        limit = self._parameters.factor_max
        pieces, power, bits = [], 0, limit.bit_length() - 1
        rest = values
        while np.abs(rest).max() > limit:
            high = (rest + (1 << (bits - 1))) >> bits
            pieces.append((power, self._ring.forward(rest - (high << bits))))
            rest, power = high, power + bits
        pieces.append((power, self._ring.forward(rest)))
        return tuple(pieces)

    def times(self, factor: tuple[tuple[int, Complexes], ...], start: int, stop: int) -> Words:
        """a_start ... a_{stop-1} times a factor: uint64 (stop - start, N), right modulo 2^48 (and not reduced)."""
        assert start % BLOCK == 0 and stop - start <= BLOCK, "one block at a time"
        limbs = self._block(start // BLOCK)[:, : stop - start]
        out = np.zeros((stop - start, self._parameters.degree), np.uint64)
        for power, transformed in factor:
            for limb, rows in enumerate(limbs):
                shift = np.uint64(power + limb * self._parameters.limb_bits)
                out += self._ring.inverse(rows * transformed).view(np.uint64) << shift
        return out

    def prepare(self, polynomials: int) -> None:
        """Transform the first polynomials now rather than at the first vector."""
        for start, _ in blocks(polynomials):
            self._block(start // BLOCK)

    def _block(self, block: int) -> Complexes:
        # threads that meet here do the same work twice and keep equal values
        if block not in self._blocks:
            digits = np.stack([self.polynomial(block * BLOCK + row) for row in range(BLOCK)], axis=1)
            self._blocks[block] = self._ring.forward(self._ring.balanced(digits))
        return self._blocks[block]
