"""Proof that an uploader knows the lanes it uploads, for its partner and slot, so that no upload is made of another's.

Without it a partner that works with the hub uploads the inverse of another's ciphertexts, and the cohort's sum opens as
a single update. For c_k = (1 + n)^m_k h^x_k one proof covers all k, Schnorr's with a challenge a ciphertext (Gennaro,
Leigh, Sundaram and Yerazunis, ASIACRYPT 2004), made non-interactive by hashing what it is bound to:

    a = (1 + n)^r h^s,  e_k hashed from everything,  z = r + sum e_k m_k mod n,  y = s + sum e_k x_k
    (1 + n)^z h^y = a prod c_k^e_k

Answers to one more challenge than there are ciphertexts give every m_k modulo n by linear algebra. r is uniform and s
longer than what it hides, so the proof shows nothing of either.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from privacy.paillier import primes, wire
from privacy.paillier.gmp import Mpz, gmpy2
from privacy.paillier.keys import Public
from privacy.paillier.wire import Malformed
from privacy.ring import Stream

SECURITY_BITS = 128  # challenges, statistical distance of the mask
_COUNT_BITS = 32  # more ciphertexts than any vector has


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    shown: Mpz  # a
    lanes: Mpz  # z
    randomness: Mpz  # y


def make(
    public: Public, statement: bytes, numbers: Sequence[Mpz], packed: Sequence[int], exponents: Sequence[int],
    stream: Stream,
) -> bytes:  # fmt: skip
    """statement: what the proof is bound to; packed, exponents: the m_k and x_k of the ciphertexts; stream: masks."""
    n, square = public.n, public.square
    lanes, randomness = primes.below(stream, n), primes.bits(stream, _mask_bits(public.bits))
    shown = (1 + lanes * n) * gmpy2.powmod_sec(public.h, randomness, square) % square
    for challenge, number, exponent in zip(
        _challenges(public, statement, numbers, shown), packed, exponents, strict=True
    ):
        lanes = (lanes + challenge * number) % n
        randomness += challenge * exponent
    width = public.bits // 8
    return b"".join(
        [
            wire.write_numbers([shown], 2 * width),
            wire.write_numbers([lanes], width),
            wire.write_numbers([randomness], _response_bytes(public.bits)),
        ]
    )


def proof_bytes(bits: int) -> int:
    return bits // 8 * 3 + _response_bytes(bits)


def verify(public: Public, statement: bytes, numbers: Sequence[Mpz], proof: bytes) -> None:
    """Raises Malformed."""
    n, square = public.n, public.square
    read = _read(proof, public.bits)
    if read.shown >= square or read.lanes >= n:
        raise Malformed("a number of its proof is out of range")
    right = read.shown
    for challenge, number in zip(_challenges(public, statement, numbers, read.shown), numbers, strict=True):
        right = right * gmpy2.powmod(number, challenge, square) % square
    if (1 + read.lanes * n) * gmpy2.powmod(public.h, read.randomness, square) % square != right:
        raise Malformed("its proof does not show that this partner knows its lanes")


def _read(data: bytes, bits: int) -> Proof:
    width = bits // 8
    (shown,) = wire.read_numbers(data[: 2 * width], 2 * width, 1)
    (lanes,) = wire.read_numbers(data[2 * width : 3 * width], width, 1)
    (randomness,) = wire.read_numbers(data[3 * width :], _response_bytes(bits), 1)
    return Proof(shown=shown, lanes=lanes, randomness=randomness)


def _challenges(public: Public, statement: bytes, numbers: Sequence[Mpz], shown: Mpz) -> list[Mpz]:
    size = SECURITY_BITS // 8
    said = public.id + hashlib.sha256(statement).digest() + wire.write_numbers([*numbers, shown], public.bits // 4)
    drawn = hashlib.shake_256(b"ecohub paillier knowledge v1" + said).digest(size * len(numbers))
    return wire.read_numbers(drawn, size, len(numbers))


def _mask_bits(bits: int) -> int:
    """The mask hides a sum of challenges times exponents of half the modulus' bits."""
    return bits // 2 + 2 * SECURITY_BITS + _COUNT_BITS


def _response_bytes(bits: int) -> int:
    return _mask_bits(bits) // 8 + 1
