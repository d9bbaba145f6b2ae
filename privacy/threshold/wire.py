"""Serialised forms: a 32-byte header, then a body of exact length. Every reader says which form it expects.

Header, big-endian: magic "EKS" and version 1 (4), kind (1), parameter set (1), the holder's place or 0 (1), zero (1),
the dealers whose keys are inside as a bit mask, place 1 lowest (8), lanes or 0 (4), context (12): the first bytes of
the digest of roster, seed and parameter set. Bodies are little-endian words. Slot, job and signatures are the
caller's: they stand in the signed headers around these forms.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from privacy.aggregation import PARTNERS_MAX
from privacy.threshold.parameters import LANES_MAX

MAGIC = b"EKS\x01"
_HEADER = struct.Struct(">4sBBBBQI12s")
HEADER_BYTES = _HEADER.size
CONTEXT_BYTES = 12


class Form(IntEnum):
    SECRET = 1
    PUBLIC = 2
    SHARE = 3
    CIPHERTEXT = 4
    TOTAL = 5
    ANSWER = 6


class Malformed(Exception):
    """Internal: the reader turns it into the failure that names the sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    form: Form
    members: int  # bit mask of dealers
    holder: int = 0
    lanes: int = 0


def places(members: int) -> tuple[int, ...]:
    """The places in a bit mask, ascending."""
    return tuple(place for place in range(1, PARTNERS_MAX + 1) if members >> (place - 1) & 1)


def bit(place: int) -> int:
    return 1 << (place - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Writes and reads headers of one roster, seed and parameter set."""

    parameter_set: int
    context: bytes
    size: int  # partners of the roster

    def write(self, header: Header) -> bytes:
        assert 0 < header.members < 1 << self.size and 0 <= header.holder <= self.size, "places are in the roster"
        return _HEADER.pack(
            MAGIC, header.form, self.parameter_set, header.holder, 0, header.members, header.lanes,
            self.context[:CONTEXT_BYTES],
        )  # fmt: skip

    def read(self, data: bytes, form: Form, body_bytes: int) -> Header:
        """The header of a form whose body has `body_bytes` bytes. Raises Malformed."""
        if not isinstance(data, bytes) or len(data) != HEADER_BYTES + body_bytes:
            raise Malformed(f"{HEADER_BYTES + body_bytes} bytes are expected")
        magic, kind, parameter_set, holder, zero, members, lanes, context = _HEADER.unpack_from(data)
        if magic != MAGIC or zero != 0:
            raise Malformed("another format or version")
        if kind != form:
            raise Malformed(f"it is not of kind {form.name.lower()}")
        if parameter_set != self.parameter_set or context != self.context[:CONTEXT_BYTES]:
            raise Malformed("made for another job, roster or parameter set")
        if not 0 < members < 1 << self.size:
            raise Malformed("its dealers are not in the roster")
        one_dealer = form not in (Form.TOTAL, Form.ANSWER)
        if one_dealer and members & (members - 1):
            raise Malformed("it belongs to one dealer")
        has_holder = form in (Form.SHARE, Form.ANSWER)
        if not has_holder <= holder <= has_holder * self.size:
            raise Malformed("its holder is not in the roster")
        has_lanes = form in (Form.CIPHERTEXT, Form.TOTAL)
        if not has_lanes <= lanes <= has_lanes * LANES_MAX:
            raise Malformed("its number of lanes is out of range")
        return Header(form=form, members=members, holder=holder, lanes=lanes)
