"""The oblivious function F(x) = H2(x, k·H1(x)), cut to 12 bytes, and its three steps between two parties. No I/O.

2HashDH (Jarecki, Kiayias, Krawczyk, Asiacrypt 2014), the verifiable mode of RFC 9497 in the group of
`privacy.psi.group`. The receiver sends r·H1(x) with a fresh r for each x, which is a uniformly random point whatever x
is; the sender multiplies by k; the receiver multiplies by 1/r. Under the one-more gap Diffie-Hellman assumption, with
H1 and H2 as random oracles, whoever got q evaluations knows F at no more than q places, however it chose its points.
H1 and H2 depend on the epoch, so nothing of two epochs compares.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from nacl.bindings import crypto_core_ed25519_scalar_invert

from privacy.psi import group
from privacy.psi.cached.terms import MASK_BYTES
from privacy.psi.elgamal import times_base
from privacy.psi.group import SCALAR_BYTES, Map


def masks_of(key: bytes, epoch: bytes, ids: Sequence[bytes], map: Map = map) -> list[bytes]:
    """F of each identifier, by the key's holder. epoch: digest of its terms."""
    work = partial(_mask_batch, key, group.domain(epoch), epoch)
    return [mask for batch in map(work, _batches(ids)) for mask in batch]


def draw_blinds(count: int, stream: Callable[[int], bytes]) -> list[bytes]:
    """Secret scalars, one for each point."""
    return [group.draw_scalar(stream) for _ in range(count)]


def blind(epoch: bytes, ids: Sequence[bytes], blinds: Sequence[bytes], map: Map = map) -> list[bytes]:
    """A uniformly random point for each blind: of an identifier while there are some, of nothing after that."""
    hashed = group.hash_all(ids, group.domain(epoch), map)
    padding = [times_base(scalar) for scalar in blinds[len(ids) :]]
    return _multiply_each(blinds[: len(ids)], hashed, map) + padding


def evaluate(key: bytes, points: Sequence[bytes], map: Map = map) -> list[bytes]:
    """key · point for each. Raises BadPoint."""
    return group.multiply_all(key, points, map)


def unblind(
    epoch: bytes, ids: Sequence[bytes], blinds: Sequence[bytes], evaluated: Sequence[bytes], map: Map = map
) -> list[bytes]:
    """F of each identifier, from the first evaluations. Raises BadPoint."""
    inverses = [bytes(crypto_core_ed25519_scalar_invert(scalar)) for scalar in blinds[: len(ids)]]
    points = _multiply_each(inverses, evaluated[: len(ids)], map)
    return [_mask(epoch, item, point) for item, point in zip(ids, points, strict=True)]


def _multiply_each(scalars: Sequence[bytes], points: Sequence[bytes], map: Map) -> list[bytes]:
    pairs = [scalar + point for scalar, point in zip(scalars, points, strict=True)]
    return [point for batch in map(_multiply_batch, _batches(pairs)) for point in batch]


def _multiply_batch(pairs: Sequence[bytes]) -> list[bytes]:
    return [group.multiply(pair[:SCALAR_BYTES], pair[SCALAR_BYTES:]) for pair in pairs]


def _mask_batch(key: bytes, tag: bytes, epoch: bytes, ids: Sequence[bytes]) -> list[bytes]:
    return [_mask(epoch, item, group.multiply(key, group.hash_to_group(item, tag))) for item in ids]


def _mask(epoch: bytes, item: bytes, point: bytes) -> bytes:
    """H2, as `Finalize` of RFC 9497 section 3.3.1: the input itself is hashed too."""
    parts = b"ecohub/cached-mask/1\x00", epoch, len(item).to_bytes(2, "big"), item, point
    return hashlib.sha256(b"".join(parts)).digest()[:MASK_BYTES]


def _batches(items: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [items[start : start + group.BATCH_POINTS] for start in range(0, len(items), group.BATCH_POINTS)]
