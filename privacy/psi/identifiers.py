"""What a side enters into a job: the check of its identifiers, and the commitment to them."""

import hmac
from collections.abc import Sequence

from privacy import merkle
from privacy.psi.errors import BadIdentifiers, BadValues

IDENTIFIER_BYTES_MAX = 256
SALT_BYTES_MIN = 16


def check_identifiers(ids: Sequence[bytes], committed: int) -> None:
    """Raises BadIdentifiers for an id that is empty, over 256 bytes or repeated, or for another number of ids."""
    if len(ids) != committed:
        raise BadIdentifiers(why=f"{len(ids)} identifiers, {committed} were committed to")
    if any(not isinstance(item, bytes) or not 1 <= len(item) <= IDENTIFIER_BYTES_MAX for item in ids):
        raise BadIdentifiers(why=f"each must have 1 to {IDENTIFIER_BYTES_MAX} bytes")
    if len(set(ids)) != len(ids):
        raise BadIdentifiers(why="one stands there twice")


def check_values(values: Sequence[int], committed: int, bits: int) -> None:
    """Raises BadValues unless there are as many whole numbers from 0 to 2^bits - 1."""
    if len(values) != committed:
        raise BadValues(why=f"{len(values)} values for {committed} identifiers")
    if any(type(value) is not int or not 0 <= value < 1 << bits for value in values):
        raise BadValues(why=f"each must be a whole number from 0 to 2^{bits} - 1")


def commitment(ids: Sequence[bytes], salt: bytes) -> bytes:
    """The Merkle root (RFC 6962) over this side's salted identifiers: binds the side to a set before the job runs.

    Leaves stand in the identifiers' byte order, so row order is not bound. Each has its own salt, HMAC-SHA256(salt,
    position): opening one identifier to an auditor gives no way to guess another. salt: at least 16 secret bytes; keep
    it. The commitment serves audit; the protocol itself does not prove that the committed set was used.
    """
    assert len(salt) >= SALT_BYTES_MIN, "a commitment's salt has at least 16 bytes"
    check_identifiers(ids, len(ids))
    keyed, leaf = hmac.digest, merkle.leaf_hash
    return merkle.root(
        [leaf(keyed(salt, place.to_bytes(8, "big"), "sha256") + item) for place, item in enumerate(sorted(ids))]
    )
