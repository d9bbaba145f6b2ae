"""The prime-order subgroup of edwards25519 for Diffie-Hellman matching, through libsodium (PyNaCl). No I/O.

Points are their 32-byte canonical encodings (RFC 8032 section 5.1.2). Every point from outside passes `check` or
`multiply`; both refuse a wrong length, a non-canonical encoding, a point off the curve, of small or mixed order, and
the identity. Points are only ever added after that.

Hashing follows RFC 9380 (expand_message_xmd with SHA-512, hash_to_field, two Elligator 2 maps, sum, cofactor cleared)
with ONE difference, so it does not bear the RFC's suite name: libsodium's `crypto_core_ed25519_from_uniform` lets the
caller choose the sign of the mapped point's x, where the RFC derives that sign from the field element. Here it is the
top bit of the 48 bytes that hash_to_field reduces modulo p.

Why the sum is still indifferentiable from a random oracle. (1) 255 + 128 = 383 bits suffice for hash_to_field at the
128-bit level (RFC 9380 section 5); 48 bytes hold 384, so given the top bit the field element is within 2^-127 of
uniform: element and sign are independent. (2) Let f be the RFC's map and s the random sign. For a character χ of the
group, Σ over u and s of χ(s·f(u)) = 2 Re Σ over u of χ(f(u)), because χ(-P) is the conjugate of χ(P). Elligator 2 is
well-distributed (|Σ χ(f(u))| ≤ c·√p), hence so is the signed map, with the same constant. A sum of two well-distributed
maps of independent uniform inputs is close to uniform (Farashahi, Fouque, Shparlinski, Tibouchi, Voloch:
Indifferentiable deterministic hashing to elliptic and hyperelliptic curves, Math. Comp. 82, 2013): the argument that
RFC 9380 section 10.1 rests on. (3) Clearing the cofactor is a homomorphism onto the subgroup. The tests compare every
intermediate value with the RFC's appendix J.5.1, the points up to their sign.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_from_uniform,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_noclamp,
)

from privacy import canonical
from privacy.psi.errors import BadPoint

POINT_BYTES = 32
SCALAR_BYTES = 32
SUITE = b"ECOHUB-V01-CS01-with-edwards25519_XMD:SHA-512_ELL2-SIGNBIT_RO_"
FIELD_PRIME = 2**255 - 19
BATCH_POINTS = 256  # points of one call of `map`: large enough that a thread pool's overhead vanishes

Entropy: TypeAlias = Callable[[int], bytes]
# the built-in `map`, or an executor's: libsodium releases the GIL, so threads run in parallel
Map: TypeAlias = Callable[[Callable[[Sequence[bytes]], list[bytes]], Iterable[Sequence[bytes]]], Iterable[list[bytes]]]


def domain(context: bytes) -> bytes:
    """The domain separation tag (RFC 9380 section 3.1) of one job: the suite and a digest of the job's context."""
    return SUITE + canonical.digest_bytes("ecohub/psi-context/1", context)


def draw_scalar(entropy: Entropy) -> bytes:
    """A secret scalar in [1, L): 64 random bytes reduced modulo the group order (bias < 2^-259), zero drawn again."""
    while True:
        scalar = bytes(crypto_core_ed25519_scalar_reduce(entropy(64)))
        if scalar != bytes(SCALAR_BYTES):
            return scalar


def expand_message_xmd(message: bytes, tag: bytes, length: int) -> bytes:
    """RFC 9380 section 5.3.1 with SHA-512. tag: at most 255 bytes; length: at most 255 · 64."""
    assert len(tag) <= 255 and length <= 255 * 64, "limits of RFC 9380 section 5.3.1"
    tag_prime = tag + bytes([len(tag)])
    padded = bytes(128) + message + length.to_bytes(2, "big") + b"\x00" + tag_prime
    first = hashlib.sha512(padded).digest()
    block = hashlib.sha512(first + b"\x01" + tag_prime).digest()
    out = block
    mask = int.from_bytes(first, "big")
    for i in range(2, -(-length // 64) + 1):
        mixed = (mask ^ int.from_bytes(block, "big")).to_bytes(64, "big")
        block = hashlib.sha512(mixed + bytes([i]) + tag_prime).digest()
        out += block
    return out[:length]


def hash_to_field(message: bytes, tag: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two (field element, sign) pairs. The elements are RFC 9380 section 5.2's (L = 48, count 2)."""
    uniform = expand_message_xmd(message, tag, 96)
    low, high = int.from_bytes(uniform[:48], "big"), int.from_bytes(uniform[48:], "big")
    return (low % FIELD_PRIME, low >> 383), (high % FIELD_PRIME, high >> 383)


def map_to_group(element: int, sign: int) -> bytes:
    """Elligator 2 (RFC 9380 section 6.7.1) to the subgroup, cofactor cleared; sign chooses the mapped point's sign."""
    return bytes(crypto_core_ed25519_from_uniform((element | sign << 255).to_bytes(32, "little")))


def hash_to_group(message: bytes, tag: bytes) -> bytes:
    """A point of the subgroup nobody knows the discrete logarithm of. tag: from `domain`."""
    first, second = hash_to_field(message, tag)
    return bytes(crypto_core_ed25519_add(map_to_group(*first), map_to_group(*second)))


def check(point: bytes) -> None:
    """Raises BadPoint unless the bytes are the canonical encoding of a subgroup element other than the identity."""
    if len(point) != POINT_BYTES:
        raise BadPoint(why=f"{len(point)} bytes instead of {POINT_BYTES}")
    if not crypto_core_ed25519_is_valid_point(point):
        raise BadPoint(why="not a canonical point of the prime-order subgroup")


def multiply(scalar: bytes, point: bytes) -> bytes:
    """scalar · point. Raises BadPoint for exactly the points that `check` refuses: libsodium checks them first."""
    if len(point) != POINT_BYTES:
        raise BadPoint(why=f"{len(point)} bytes instead of {POINT_BYTES}")
    try:
        return bytes(crypto_scalarmult_ed25519_noclamp(scalar, point))
    except RuntimeError:
        raise BadPoint(why="not a canonical point of the prime-order subgroup") from None


def check_all(points: Sequence[bytes], map: Map = map) -> None:
    """`check` for a list. Raises BadPoint."""
    for _ in map(_check_batch, _batches(points)):
        pass


def multiply_all(scalar: bytes, points: Sequence[bytes], map: Map = map) -> list[bytes]:
    """`multiply` for a list, in order. Raises BadPoint."""
    return [point for batch in map(partial(_multiply_batch, scalar), _batches(points)) for point in batch]


def hash_all(messages: Sequence[bytes], tag: bytes, map: Map = map) -> list[bytes]:
    """`hash_to_group` for a list, in order."""
    return [point for batch in map(partial(_hash_batch, tag), _batches(messages)) for point in batch]


def _batches(items: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (items[start : start + BATCH_POINTS] for start in range(0, len(items), BATCH_POINTS))


def _check_batch(points: Sequence[bytes]) -> list[bytes]:
    for point in points:
        check(point)
    return []


def _multiply_batch(scalar: bytes, points: Sequence[bytes]) -> list[bytes]:
    return [multiply(scalar, point) for point in points]


def _hash_batch(tag: bytes, messages: Sequence[bytes]) -> list[bytes]:
    return [hash_to_group(message, tag) for message in messages]
