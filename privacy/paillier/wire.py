"""Serialised forms: a 48-byte header, then numbers of fixed width. Every reader says which form and length it expects.

Header, big-endian: magic "EKP" and version 1 (4), kind (1), the holder's place or 0 (1), bits of the modulus (2), lanes
or 0 (4), zero (4), id (32): of a public part the digest of its roster, of everything else the digest of the public
part, which is the key's id. Numbers are little-endian, of n's width or twice that.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from privacy.paillier.gmp import Mpz, gmpy2

MAGIC = b"EKP\x01"
_HEADER = struct.Struct(">4sBBHII32s")
HEADER_BYTES = _HEADER.size
ID_BYTES = 32


class Form(IntEnum):
    PUBLIC = 1
    SHARE = 2
    CIPHERTEXT = 3
    TOTAL = 4
    ANSWER = 5


class Malformed(Exception):
    """Internal: the reader turns it into the failure that names the sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    form: Form
    bits: int
    id: bytes
    holder: int = 0
    lanes: int = 0

    def write(self) -> bytes:
        return _HEADER.pack(MAGIC, self.form, self.holder, self.bits, self.lanes, 0, self.id)


def read(data: bytes, form: Form, bits: int) -> tuple[Header, bytes]:
    """The header of a form and its body. Raises Malformed; the body's length is its reader's."""
    if not isinstance(data, bytes) or len(data) < HEADER_BYTES:
        raise Malformed("it is too short")
    magic, kind, holder, its_bits, lanes, zero, digest = _HEADER.unpack_from(data)
    if magic != MAGIC or zero != 0:
        raise Malformed("another format or version")
    if kind != form:
        raise Malformed(f"it is not of kind {form.name.lower()}")
    if its_bits != bits:
        raise Malformed(f"a key of {bits} bits is expected")
    if (holder != 0) != (form in (Form.SHARE, Form.ANSWER)):
        raise Malformed("its holder is out of range")
    if (lanes != 0) != (form in (Form.CIPHERTEXT, Form.TOTAL, Form.ANSWER)):
        raise Malformed("its number of lanes is out of range")
    return Header(form=form, bits=its_bits, id=digest, holder=holder, lanes=lanes), data[HEADER_BYTES:]


def write_numbers(numbers: Sequence[Mpz], width: int) -> bytes:
    return b"".join(int(number).to_bytes(width, "little") for number in numbers)


def read_numbers(body: bytes, width: int, count: int) -> list[Mpz]:
    """Exactly `count` numbers of `width` bytes. Raises Malformed."""
    if len(body) != width * count:
        raise Malformed(f"{width * count} bytes are expected")
    return [gmpy2.mpz(int.from_bytes(body[at : at + width], "little")) for at in range(0, len(body), width)]
