"""Which identifiers stand in a list of an epoch, and in which order its masks travel. No I/O.

The sender knows a list by the fingerprints of its identifiers (8 bytes under a key of the epoch), pinned when the list
is made: masks of one list are made from the same set whenever they are made, in an order that the fingerprints and the
padding's random keys give, so places say nothing about identifiers or rows, and padding stands anywhere. Masks of one
message ascend.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from privacy.psi.cached.terms import MASK_BYTES
from privacy.psi.errors import BadIdentifiers
from privacy.psi.oprf.bucket import shared

FINGERPRINT_BYTES = 8
_BLOCK = 1 << 14

Fingerprints: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Standing: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Masks: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]  # n × MASK_BYTES


def fingerprints(ids: Sequence[bytes], key: bytes) -> Fingerprints:
    """BLAKE2b with a key, 8 bytes of each identifier, in order.

    Two of n identifiers have one fingerprint with probability below n² · 2^-65: then a list is refused as one with a
    repeated identifier, or an added identifier is taken to stand there already.
    """
    out = np.empty(len(ids), np.uint64)
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        whole = b"".join(hashlib.blake2b(item, key=key, digest_size=FINGERPRINT_BYTES).digest() for item in block)
        out[start : start + len(block)] = np.frombuffer(whole, np.dtype("<u8"))
    return out


def ascending(prints: Fingerprints) -> Fingerprints:
    """The fingerprints of a list as they are kept. Raises BadIdentifiers if one stands there twice."""
    kept = np.sort(prints)
    if (kept[1:] == kept[:-1]).any():
        raise BadIdentifiers(why="one stands there twice")
    return kept


def order(prints: Fingerprints, slots: int, stream: Callable[[int], bytes]) -> Places:
    """For each place of a list the index of its fingerprint, or a number from len(prints) on: padding."""
    padding = np.frombuffer(stream(FINGERPRINT_BYTES * (slots - len(prints))), np.dtype("<u8"))
    return np.argsort(np.concatenate([prints, padding]), kind="stable").astype(np.int64)


def find(wanted: Fingerprints, prints: Fingerprints) -> Places:
    """The position in `prints` of each wanted fingerprint, -1 where it is missing."""
    if not len(prints):
        return np.full(len(wanted), -1, np.int64)
    by_value = np.argsort(prints, kind="stable")
    at = np.minimum(np.searchsorted(prints, wanted, sorter=by_value), len(prints) - 1)
    found = by_value[at]
    return np.where(prints[found] == wanted, found, -1).astype(np.int64)


def to_message(masks: Sequence[bytes], padding: bytes) -> bytes:
    """The masks of one message and its padding, in their byte order."""
    return b"".join(sorted([*masks, *(padding[i : i + MASK_BYTES] for i in range(0, len(padding), MASK_BYTES))]))


def to_masks(masks: Sequence[bytes]) -> Masks:
    return np.frombuffer(b"".join(masks), np.uint8).reshape(-1, MASK_BYTES)


def look_up(own: Masks, messages: Sequence[bytes]) -> Places:
    """Positions of the own masks that stand in any message, ascending. Raises TagsMalformed."""
    found = np.zeros(len(own), np.bool_)
    for message in messages:
        found[shared(own, message)] = True
    return np.flatnonzero(found).astype(np.int64)


def check(message: bytes) -> None:
    """Raises TagsMalformed unless the masks of a message ascend."""
    shared(np.empty((0, MASK_BYTES), np.uint8), message)
