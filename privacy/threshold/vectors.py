"""Hidden vectors: encryption, the form of a ciphertext, and the running sum.

The coefficients of a vector are `check_lanes` zeros, its lanes, and zeros up to one whole polynomial: what is known to
be zero shows the opener a wrong key even when there is only one lane. A body holds the low 32 bits of all
coefficients, then their high 16 bits: 6 bytes each, and every string of that length is exactly one vector.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.aggregation import CiphertextMalformed, Lanes, Roster
from privacy.ring import Stream
from privacy.threshold.dealing import secret_polynomial
from privacy.threshold.lattice import Matrix, Words, binomial, blocks
from privacy.threshold.parameters import Bounds, ParameterSet, bounds
from privacy.threshold.wire import HEADER_BYTES, Codec, Form, Header, Malformed, bit

HIGH = np.uint64(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A ciphertext or a total as read: low 32 and high 16 bits of its coefficients, and the places of its dealers."""

    members: int
    low: NDArray[np.uint32]
    high: NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Writes and reads the vectors of one roster, seed and parameter set."""

    parameters: ParameterSet
    codec: Codec
    matrix: Matrix

    def bounds(self, count: int) -> Bounds:
        return bounds(self.parameters, self.codec.size, count)

    def encrypt(self, members: int, seed: bytes, lanes: Lanes) -> bytes:
        """c = a s + e + Delta m for the key s and the errors e of a 32-byte seed."""
        p, b = self.parameters, self.bounds(len(lanes))
        assert lanes.dtype == np.int64 and lanes.ndim == 1, "lanes are a vector of int64"
        assert lanes.min() >= 0 and lanes.max() < 1 << b.value_bits, "lanes are inside their bits"
        factor = self.matrix.factor(secret_polynomial(p, seed))
        errors = Stream(seed, "threshold error")
        data, low, high = self._blank(Form.CIPHERTEXT, members, len(lanes))
        for start, stop in blocks(b.polynomials):
            block = self.matrix.times(factor, start, stop)
            block += binomial(errors, p, stop - start)
            block -= np.uint64(p.binomial)
            begin, end = start * p.degree, min(stop * p.degree, b.coefficients)
            flat = block.reshape(-1)[: end - begin]
            self._add_lanes(flat, begin, lanes)
            low[begin:end] = flat
            high[begin:end] = flat >> HIGH
        return bytes(data)

    def read(self, data: bytes, form: Form, count: int) -> Hidden:
        """A ciphertext or total of `count` lanes. Raises CiphertextMalformed."""
        b = self.bounds(count)
        try:
            header = self.codec.read(data, form, b.upload_bytes)
        except Malformed as reason:
            raise CiphertextMalformed(why=str(reason)) from None
        if header.lanes != count:
            raise CiphertextMalformed(why=f"{header.lanes} lanes instead of {count}")
        low, high = _planes(data, b.coefficients)
        return Hidden(members=header.members, low=low, high=high)

    def write_total(self, members: int, count: int, coefficients: Words) -> bytes:
        """The form of a sum: coefficients are taken modulo 2^48."""
        data, low, high = self._blank(Form.TOTAL, members, count)
        low[:] = coefficients
        high[:] = coefficients >> HIGH
        return bytes(data)

    def _blank(self, form: Form, members: int, count: int) -> tuple[bytearray, NDArray[np.uint32], NDArray[np.uint16]]:
        b = self.bounds(count)
        data = bytearray(HEADER_BYTES + b.upload_bytes)
        data[:HEADER_BYTES] = self.codec.write(Header(form=form, members=members, lanes=count))
        return data, *_planes(data, b.coefficients)

    def _add_lanes(self, flat: Words, begin: int, lanes: Lanes) -> None:
        """Add Delta m to the coefficients from `begin` on, in place: lane i stands at check_lanes + i."""
        p = self.parameters
        first = max(p.check_lanes - begin, 0)
        last = min(p.check_lanes + len(lanes) - begin, len(flat))
        if first < last:
            at = begin + first - p.check_lanes
            flat[first:last] += lanes[at : at + last - first].view(np.uint64) << np.uint64(p.delta_bits)


class Sum:
    """The running sum of ciphertexts modulo 2^48: 8 bytes a coefficient. Implements `privacy.aggregation.Adder`."""

    def __init__(self, vectors: Vectors, roster: Roster, count: int) -> None:
        self._vectors, self._roster, self._count, self._members = vectors, roster, count, 0
        self._sum = np.zeros(vectors.bounds(count).coefficients, np.uint64)

    def add(self, ciphertext: bytes, partner: str) -> None:
        """Raises CiphertextMalformed, also for another partner's vector or a second one: the sum is unchanged."""
        hidden = self._vectors.read(ciphertext, Form.CIPHERTEXT, self._count)
        if hidden.members != bit(self._roster.place(partner)):
            raise CiphertextMalformed(why="it says it is another partner's")
        if self._members & hidden.members:
            raise CiphertextMalformed(why="the sum has a vector of this partner already")
        self._members |= hidden.members
        self._sum += hidden.low
        self._sum += hidden.high.astype(np.uint64) << HIGH

    def total(self) -> bytes:
        """The encrypted sum, in the form of a ciphertext that names all its dealers."""
        assert self._members, "a sum of nothing has no total"
        return self._vectors.write_total(self._members, self._count, self._sum)


def _planes(data: bytes | bytearray, coefficients: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    low = np.frombuffer(data, "<u4", count=coefficients, offset=HEADER_BYTES)
    high = np.frombuffer(data, "<u2", count=coefficients, offset=HEADER_BYTES + 4 * coefficients)
    return low, high
