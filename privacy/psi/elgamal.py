"""Additively homomorphic ElGamal over edwards25519, for sums of values that only their holder could decrypt. No I/O.

ElGamal (IEEE Trans. Inf. Theory 31, 1985) with the message in the exponent (Cramer, Gennaro, Schoenmakers, Eurocrypt
1997): a ciphertext of v under the public key X = x·G is (A, B) = (r·G, r·X + v·G). The sum of two is a ciphertext of
the sum; B - x·A = v·G gives v if v is small (`discrete_log`). Secure against chosen plaintext under DDH in the group.

The key's holder encrypts: knowing x, it takes B = (r·x + v)·G, so a ciphertext costs two multiplications of the fixed
base. Every point from outside must have passed `group.check` before it gets here. A sum over checked points may be the
identity (with probability 2^-252 where both sides are honest); a masked one is refused like every identity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
)

from privacy.psi import group
from privacy.psi.group import POINT_BYTES, SCALAR_BYTES, Entropy, Map

CIPHERTEXT_BYTES = 2 * POINT_BYTES
IDENTITY = b"\x01" + bytes(POINT_BYTES - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The decryption key of one job's values."""

    scalar: bytes = field(repr=False)
    public: bytes


def draw_key(entropy: Entropy) -> Key:
    scalar = group.draw_scalar(entropy)
    return Key(scalar=scalar, public=times_base(scalar))


def times_base(scalar: bytes) -> bytes:
    """scalar · G; the identity for zero, which libsodium refuses to compute."""
    if scalar == bytes(SCALAR_BYTES):
        return IDENTITY
    return bytes(crypto_scalarmult_ed25519_base_noclamp(scalar))


def add(first: bytes, second: bytes) -> bytes:
    return bytes(crypto_core_ed25519_add(first, second))


def subtract(first: bytes, second: bytes) -> bytes:
    return bytes(crypto_core_ed25519_sub(first, second))


def small_scalar(value: int) -> bytes:
    return value.to_bytes(SCALAR_BYTES, "little")


def encrypt_all(key: Key, values: Sequence[int], entropy: Entropy) -> list[bytes]:
    """Ciphertexts (64 bytes each) of whole numbers from 0 up, in order; a fresh scalar for each."""
    out = []
    for value in values:
        scalar = group.draw_scalar(entropy)
        shared = crypto_core_ed25519_scalar_mul(scalar, key.scalar)
        sealed = crypto_core_ed25519_scalar_add(shared, small_scalar(value))
        out.append(times_base(scalar) + times_base(bytes(sealed)))
    return out


def total(ciphertexts: Sequence[bytes], map: Map = map) -> bytes:
    """The ciphertext of the sum of all values; of none, a ciphertext of zero that is no secret."""
    firsts = [item[:POINT_BYTES] for item in ciphertexts]
    seconds = [item[POINT_BYTES:] for item in ciphertexts]
    return _sum(firsts, map) + _sum(seconds, map)


def rerandomise(public: bytes, ciphertext: bytes, entropy: Entropy) -> bytes:
    """Another ciphertext of the same value, which cannot be told from a fresh one: plus (s·G, s·X)."""
    scalar = group.draw_scalar(entropy)
    first, second = ciphertext[:POINT_BYTES], ciphertext[POINT_BYTES:]
    return add(first, times_base(scalar)) + add(second, group.multiply(scalar, public))


def blind(ciphertext: bytes, entropy: Entropy) -> tuple[bytes, bytes]:
    """(the ciphertext plus a uniformly random element R in the exponent, R): who decrypts it learns nothing."""
    mask = times_base(group.draw_scalar(entropy))
    return ciphertext[:POINT_BYTES] + add(ciphertext[POINT_BYTES:], mask), mask


def decrypt(key: Key, ciphertext: bytes) -> bytes:
    """v · G. Raises BadPoint if the first half of the ciphertext is no element `group.check` takes."""
    return subtract(ciphertext[POINT_BYTES:], group.multiply(key.scalar, ciphertext[:POINT_BYTES]))


def random_points(count: int, entropy: Entropy) -> list[bytes]:
    """Uniformly random group elements other than the identity."""
    return [times_base(group.draw_scalar(entropy)) for _ in range(count)]


def _sum(points: Sequence[bytes], map: Map) -> bytes:
    batches = (points[start : start + group.BATCH_POINTS] for start in range(0, len(points), group.BATCH_POINTS))
    return _add_batch([subtotal for batch in map(_add_batch, batches) for subtotal in batch])[0]


def _add_batch(points: Sequence[bytes]) -> list[bytes]:
    out = IDENTITY
    for point in points:
        out = add(out, point)
    return [out]
