"""Arithmetic modulo X^N + 1 and q = 2^k on numpy arrays, samplers, and the tables that bound k.

An element of Z_q stands as L digits of w bits (the top one may be narrower) in an int64 array of shape (L, ...); a
polynomial has its N coefficients on the last axis. Products are float64 Fourier transforms of half size; they are
exact because every caller stays inside `fft_error`. This is not constant-time code: it runs on a party's own machine,
and says nothing about who else may time it.

Tables for a uniform ternary secret, 128-bit classical security, errors of standard deviation 3.2 or more: Albrecht et
al., "Homomorphic Encryption Standard", HomomorphicEncryption.org, November 2018, table 1; and its successor, Bossuat et
al., "Security Guidelines for Implementing Homomorphic Encryption", 2024, which allows a little less. The smaller rules.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

Entropy: TypeAlias = Callable[[int], bytes]
Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]

SEED_BYTES = 32
STANDARD_2018_MODULUS_BITS_MAX = {2048: 54, 4096: 109, 8192: 218, 16384: 438}  # N -> log2 q
GUIDELINES_2024_MODULUS_BITS_MAX = {2048: 53, 4096: 106, 8192: 214, 16384: 430}
MODULUS_BITS_MAX = GUIDELINES_2024_MODULUS_BITS_MAX | {4096: 104}  # house rule: where the margin is thin, two bits more
ERROR_MAX = 21  # centred binomial: |e| <= 21
ERROR_VARIANCE = 10.5  # 42 fair bits / 4: standard deviation 3.24, over the table's 3.2
EXACT_BITS = 53  # float64 holds every integer up to 2^53
TRITS_PER_BYTE = 5  # 3^5 = 243 of 256 byte values are used, the others are drawn again
ROUNDING_MAX = 0.25  # a transform further from an integer than this is an arithmetic fault, not rounding


class Stream:
    """A keyed byte stream: AES-256 in counter mode (NIST SP 800-38A) under HKDF-SHA256(seed, info=label) (RFC 5869).

    One seed and one label give one stream; two labels give independent ones.
    """

    def __init__(self, seed: bytes, label: str) -> None:
        assert len(seed) == SEED_BYTES, "a stream seed has 32 bytes"
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"ecohub ring v1 " + label.encode()).derive(seed)
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def read(self, count: int) -> bytes:
        """The next `count` bytes."""
        return self._cipher.update(bytes(count))

    def ternary(self, *shape: int) -> Ints:
        """Independent uniform values of {-1, 0, 1}, without bias: a byte below 243 gives five base-3 digits."""
        need = math.prod(shape)
        parts: list[Any] = []
        have = 0
        while have < need:
            draw = np.frombuffer(self.read((need - have) // TRITS_PER_BYTE + 64), np.uint8)
            trits = _TRITS[draw[draw < 3**TRITS_PER_BYTE]].reshape(-1)
            parts.append(trits)
            have += len(trits)
        return np.concatenate(parts)[:need].astype(np.int64).reshape(shape)

    def errors(self, *shape: int) -> Ints:
        """Centred binomial errors: 21 fair bits minus 21 fair bits; |e| <= 21, variance 10.5."""
        words = np.frombuffer(self.read(8 * math.prod(shape)), "<u8")
        low = np.uint64((1 << ERROR_MAX) - 1)
        up: Ints = np.bitwise_count(words & low).astype(np.int64)
        down: Ints = np.bitwise_count((words >> np.uint64(ERROR_MAX)) & low).astype(np.int64)
        return (up - down).reshape(shape)

    def below_odd_byte(self, *shape: int) -> Ints:
        """Independent uniform values of -127..127; the byte 255 is drawn again."""
        need = math.prod(shape)
        kept = np.zeros(0, np.uint8)
        while len(kept) < need:
            draw = np.frombuffer(self.read(need + 16), np.uint8)
            kept = np.concatenate([kept, draw[draw < 255]])
        return (kept[:need].astype(np.int64) - 127).reshape(shape)

    def permutation(self, count: int) -> Ints:
        """A uniform order of 0..count-1: the ranks of 64-bit draws (two equal draws: chance below count^2 / 2^65)."""
        draws = np.frombuffer(self.read(8 * count), "<u8")
        return np.argsort(draws, kind="stable").astype(np.int64)


class Ring:
    """Z_q[X] / (X^N + 1), q = 2^modulus_bits, in digits of `digit_bits` bits.

    modulus_bits is a multiple of 8, so an element has exactly one encoding of modulus_bits / 8 bytes and every string
    of that length is one: there is no non-canonical form to reject, only a wrong length.
    """

    def __init__(self, *, degree: int, modulus_bits: int, digit_bits: int) -> None:
        assert degree in MODULUS_BITS_MAX, "the ring degree is in the tables"
        assert modulus_bits <= MODULUS_BITS_MAX[degree], "the modulus is within the limit for 128 bit"
        assert modulus_bits % 8 == 0, "the modulus fills whole bytes"
        assert 8 <= digit_bits <= 30, "the digit width is in range"
        self.degree, self.modulus_bits, self.digit_bits = degree, modulus_bits, digit_bits
        self.digits = -(-modulus_bits // digit_bits)
        self.top_digit_bits = modulus_bits - digit_bits * (self.digits - 1)
        self.coefficient_bytes = modulus_bits // 8
        self._half = degree // 2
        self._twist = np.exp(1j * np.pi * np.arange(self._half) / degree)
        self._untwist = self._twist.conj()

    def forward(self, polynomials: Floats | Ints) -> Complexes:
        """Negacyclic transform of integer polynomials (..., N) -> (..., N/2) complex."""
        values = np.empty((*polynomials.shape[:-1], self._half), np.complex128)
        values.real = polynomials[..., : self._half]
        values.imag = polynomials[..., self._half :]
        values *= self._twist
        from scipy import fft  # every process and command loads this module, few transform

        return fft.fft(values, axis=-1, overwrite_x=True)  # type: ignore[no-any-return]

    def inverse(self, values: Complexes) -> Ints:
        """Integer polynomials (..., N) of a transform (..., N/2). AssertionError when a value is no integer by 1/4."""
        from scipy import fft

        folded = fft.ifft(values, axis=-1)
        folded *= self._untwist
        exact = np.empty((*values.shape[:-1], self.degree))
        exact[..., : self._half], exact[..., self._half :] = folded.real, folded.imag
        rounded = np.rint(exact)
        assert np.abs(exact - rounded).max(initial=0.0) < ROUNDING_MAX, "a ring product is not an integer"
        return rounded.astype(np.int64)

    def normalise(self, element: Ints) -> Ints:
        """Carry digits of any sign, in place, to the canonical ones of the value modulo q."""
        for level in range(self.digits - 1):
            element[level + 1] += element[level] >> self.digit_bits
            element[level] &= (1 << self.digit_bits) - 1
        element[-1] &= (1 << self.top_digit_bits) - 1
        return element

    def balanced(self, element: Ints) -> Ints:
        """Canonical digits as digits of [-2^(w-1), 2^(w-1)): the same value modulo q, smaller in a transform."""
        out = element.copy()
        for level in range(self.digits):
            width = self.top_digit_bits if level == self.digits - 1 else self.digit_bits
            carry = (out[level] + (1 << (width - 1))) >> width
            out[level] -= carry << width
            if level + 1 < self.digits:
                out[level + 1] += carry
        return out

    def uniform(self, stream: Stream, *shape: int) -> Ints:
        """Independent uniform elements of Z_q in canonical digits (L, *shape)."""
        raw = np.frombuffer(stream.read(4 * self.digits * math.prod(shape)), "<u4").astype(np.int64)
        element = raw.reshape(self.digits, *shape) & ((1 << self.digit_bits) - 1)
        element[-1] &= (1 << self.top_digit_bits) - 1
        return element

    def add_shifted(self, element: Ints, values: Ints, power: int) -> None:
        """element += values * 2^power, in place, not carried. values: integers with |v| < 2^(62 - w)."""
        element[power // self.digit_bits] += values << (power % self.digit_bits)

    def top(self, element: Ints, bits: int) -> Ints:
        """floor(value / 2^(k - bits)) of canonical digits (L, ...): integers of [0, 2^bits), bits <= 62."""
        assert bits <= 62, "the top bits fit an int64"
        dropped = self.modulus_bits - bits
        out = np.zeros(element.shape[1:], np.int64)
        for level in range(self.digits):
            shift = level * self.digit_bits - dropped
            if shift >= 0:
                out += element[level] << shift
            elif shift > -self.digit_bits:
                out += element[level] >> -shift
        return out

    def pack(self, element: Ints) -> bytes:
        """Canonical digits (L, ...) as modulus_bits / 8 little-endian bytes an element, in row order."""
        flat = element.reshape(self.digits, -1).astype(np.uint64)
        words = np.zeros((flat.shape[1], -(-self.modulus_bits // 64)), "<u8")
        for level in range(self.digits):
            word, shift = divmod(level * self.digit_bits, 64)
            words[:, word] |= flat[level] << np.uint64(shift)
            if shift + self.digit_bits > 64 and word + 1 < words.shape[1]:
                words[:, word + 1] |= flat[level] >> np.uint64(64 - shift)
        return words.view(np.uint8)[:, : self.coefficient_bytes].tobytes()

    def unpack(self, data: bytes | memoryview, *shape: int) -> Ints:
        """Canonical digits (L, *shape) of packed bytes. AssertionError for another length: the caller checks it
        first.
        """
        count = math.prod(shape)
        assert len(data) == count * self.coefficient_bytes, "packed elements have their exact length"
        padded = np.zeros((count, 8 * -(-self.modulus_bits // 64)), np.uint8)
        padded[:, : self.coefficient_bytes] = np.frombuffer(data, np.uint8).reshape(count, -1)
        words = padded.view("<u8")
        element = np.empty((self.digits, count), np.int64)
        for level in range(self.digits):
            word, shift = divmod(level * self.digit_bits, 64)
            value = words[:, word] >> np.uint64(shift)
            if shift + self.digit_bits > 64 and word + 1 < words.shape[1]:
                value |= words[:, word + 1] << np.uint64(64 - shift)
            element[level] = (value & np.uint64((1 << self.digit_bits) - 1)).astype(np.int64)
        return element.reshape(self.digits, *shape)


def exact_product(left: Ints | NDArray[np.int32], right: Floats) -> Ints:
    """left (..., n) times an integer-valued right (n, m) -> (..., m), as one float64 matrix product.

    Exact in any order of summation while every partial sum stays below 2^53, which is the caller's bound to keep. One
    call instead of one a digit: threads of the linear algebra library meet once, which matters on a busy machine.
    """
    flat = left.reshape(-1, left.shape[-1]).astype(np.float64)
    return np.rint(flat @ right).astype(np.int64).reshape(*left.shape[:-1], right.shape[1])


def fft_error(degree: int) -> float:
    """c such that a product of integer polynomials x, y is computed within c * |x|_2 * |y|_2 of the exact one.

    Brent, Percival and Zimmermann, "Error bounds on complex floating-point multiplication" (Math. Comp. 76, 2007),
    theorem 5.1, for a radix-2 transform of 2^n points, with three more root multiplications for the twist. The
    library's higher radices do less arithmetic but are not what the theorem was proven for, hence the check of every
    hint as well.
    """
    n = math.log2(degree // 2)
    unit = 2.0**-53
    roots = 2 * unit  # the largest error of a stored root of unity
    growth = 3 * n * math.log1p(unit) + (3 * n + 4) * math.log1p(unit * 5**0.5) + (3 * n + 3) * math.log1p(roots)
    return math.expm1(growth)


def centred(values: Ints, bits: int) -> Ints:
    """Residues modulo 2^bits as the integers of [-2^(bits-1), 2^(bits-1))."""
    reduced = values & ((1 << bits) - 1)
    return reduced - ((reduced >> (bits - 1)) << bits)


_TRITS = np.array(
    [[(byte // 3**i) % 3 - 1 for i in range(TRITS_PER_BYTE)] for byte in range(3**TRITS_PER_BYTE)], np.int8
)
