"""One proof that many points were multiplied by the same committed key: batched equality of discrete logarithms.

The proof of Chaum and Pedersen (Wallet databases with observers, Crypto 1992), made non-interactive by Fiat and Shamir,
over a random linear combination of all pairs: RFC 9497 section 2.2, with these differences:

- The group is that of `privacy.psi.group`, for which the RFC has no suite.
- Each weight depends on ALL pairs, as in Davidson et al., Privacy Pass (PoPETs 2018), section 3.2.1. The RFC derives a
  weight from its own pair; then pairs can be searched for, each by itself, whose errors cancel: a generalised birthday
  problem (Wagner, Crypto 2002), which long batches make easy.
- The prover's nonce is derived from a secret and from what is proven, as in RFC 8032: a session that is taken up again
  after a crash gives the same proof, and no nonce meets two challenges (which would give the key away).

Soundness: if one evaluation is wrong, the combination is right for at most one value of that pair's weight, hence with
probability 2^-252 a try; then a proof is a Schnorr forgery. In the random oracle model; zero knowledge likewise.
"""

import hashlib
from collections.abc import Sequence

from nacl.bindings import (
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_core_ed25519_scalar_sub,
)

from privacy.psi import group
from privacy.psi.elgamal import add, times_base
from privacy.psi.errors import BadPoint
from privacy.psi.group import POINT_BYTES, SCALAR_BYTES, Map

PROOF_BYTES = 2 * SCALAR_BYTES  # challenge, response


def prove(
    key: bytes,
    nonce_key: bytes,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
    context: bytes,
    map: Map = map,
) -> bytes:
    """The proof that evaluated[i] = key · blinded[i] for all i, and that the public key is key · G.

    nonce_key: 32 secret bytes kept with the key. context: enters the proof; the same at the verifier. Raises BadPoint.
    """
    public = times_base(key)
    first = combine(weights(public, blinded, evaluated, context), blinded, map)
    second = group.multiply(key, first)
    nonce = _scalar("nonce", nonce_key, context, public, first, second)
    challenge = _challenge(context, public, first, second, times_base(nonce), group.multiply(nonce, first))
    response = crypto_core_ed25519_scalar_sub(nonce, crypto_core_ed25519_scalar_mul(challenge, key))
    return challenge + bytes(response)


def holds(
    proof: bytes,
    public: bytes,
    blinded: Sequence[bytes],
    evaluated: Sequence[bytes],
    context: bytes,
    map: Map = map,
) -> bool:
    """Whether the proof is right. public: a checked point. Raises BadPoint for a blinded or evaluated point."""
    challenge, response = proof[:SCALAR_BYTES], proof[SCALAR_BYTES:]
    if len(proof) != PROOF_BYTES or not (_is_reduced(challenge) and _is_reduced(response)):
        return False
    factors = weights(public, blinded, evaluated, context)
    first, second = combine(factors, blinded, map), combine(factors, evaluated, map)
    try:
        nonces = (
            add(times_base(response), group.multiply(challenge, public)),
            add(group.multiply(response, first), group.multiply(challenge, second)),
        )
    except BadPoint:  # a zero scalar or the identity, which no honest prover meets but once in 2^250 proofs
        return False
    return challenge == _challenge(context, public, first, second, *nonces)


def weights(public: bytes, blinded: Sequence[bytes], evaluated: Sequence[bytes], context: bytes) -> list[bytes]:
    """A random scalar for each pair, a function of all of them."""
    assert len(blinded) == len(evaluated) >= 1, "an evaluation for each point"
    count = len(blinded).to_bytes(8, "big")
    seed = _hash("seed", _sized(context), public, count, *blinded, *evaluated)
    return [_scalar("weight", seed, i.to_bytes(8, "big")) for i in range(len(blinded))]


def combine(factors: Sequence[bytes], points: Sequence[bytes], map: Map = map) -> bytes:
    """Σ factors[i] · points[i]. Raises BadPoint."""
    terms = [factor + point for factor, point in zip(factors, points, strict=True)]
    batches = (terms[start : start + group.BATCH_POINTS] for start in range(0, len(terms), group.BATCH_POINTS))
    return _sum([subtotal for batch in map(_combine_batch, batches) for subtotal in batch])


def _combine_batch(terms: Sequence[bytes]) -> list[bytes]:
    return [_sum([group.multiply(term[:SCALAR_BYTES], term[SCALAR_BYTES:]) for term in terms])]


def _sum(points: Sequence[bytes]) -> bytes:
    out = points[0]
    for point in points[1:]:
        out = add(out, point)
    return out


def _challenge(context: bytes, *points: bytes) -> bytes:
    assert all(len(point) == POINT_BYTES for point in points), "points have one length"
    return _scalar("challenge", _sized(context), *points)


def _scalar(label: str, *parts: bytes) -> bytes:
    """A scalar of 512 bits of a hash, as RFC 9497's HashToScalar: the bias is below 2^-259."""
    return bytes(crypto_core_ed25519_scalar_reduce(_hash(label, *parts)))


def _hash(label: str, *parts: bytes) -> bytes:
    return hashlib.sha512(b"".join((b"ecohub/cached-dleq/1 ", label.encode(), b"\x00", *parts))).digest()


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def _is_reduced(scalar: bytes) -> bool:
    return bytes(crypto_core_ed25519_scalar_reduce(scalar + bytes(SCALAR_BYTES))) == scalar
