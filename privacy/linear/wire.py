"""Messages of the encrypted product: one fixed header and a body of exact length.

Header (big-endian): magic "ELP1", kind (1 byte), binding (32), sequence (8), count (4), body length (8), and SHA-256 of
all that and the body (32). The binding is a digest of parameters, joint seed and the caller's context; for a holder's
own messages also of its name, and after the hint of the hint: a message of another training, seed, shape, holder or
hint is refused. Nothing here is a signature: messages travel in sealed and signed envelopes, and the digest only finds
accidents.
"""

import hashlib
import struct
from enum import IntEnum

import numpy as np

from privacy import canonical
from privacy.linear.errors import BadNonce, ForeignProductMessage, MalformedProductMessage
from privacy.linear.parameters import Parameters
from privacy.ring import SEED_BYTES, Ints

MAGIC = b"ELP1"
FIELDS = struct.Struct(">4sB32sQIQ")
HEADER = struct.Struct(">4sB32sQIQ32s")  # the fields and the digest
NONCE_BYTES = 32
SALT_BYTES = 32
SEQUENCE_MAX = 1 << 53


class MessageKind(IntEnum):
    HINT = 1  # holder -> encryptor, once
    ZERO = 2  # encryptor -> holders: encryptions of zero
    PRODUCT = 3  # encryptor -> holders: encrypted vectors
    ZERO_REPLY = 4  # holder -> encryptor: masked products and a commitment to the pads' top bits
    REPLY = 5  # holder -> encryptor: masked products
    ZERO_OPENED = 6  # encryptor -> holder: what it decrypted, still under the pads
    OPENED = 7  # encryptor -> holder: what it decrypted, still under the pads
    ZERO_PROOF = 8  # holder -> encryptor: the pads' top bits of a zero test


def commit(nonce: bytes) -> bytes:
    """A 32-byte commitment to a nonce of 32 fresh random bytes, to be sent before any nonce is shown."""
    _check_nonce(nonce)
    return canonical.digest_bytes("ecohub linear nonce v1", nonce)


def verify_commitment(commitment: bytes, nonce: bytes) -> None:
    """Raises BadNonce unless `nonce` is what `commitment` was made for."""
    if commit(nonce) != commitment:
        raise BadNonce(why="a shown nonce is not the committed one; stop, and start again with fresh nonces")


def joint_seed(nonces: list[bytes] | tuple[bytes, ...]) -> bytes:
    """The 32-byte public seed of a_i and p from every party's nonce, in the agreed order of the parties.

    Each party commits first and shows second, so nobody chooses the result. Raises BadNonce for fewer than two nonces,
    another length, or a repeated nonce.
    """
    for nonce in nonces:
        _check_nonce(nonce)
    if len(nonces) < 2 or len(set(nonces)) != len(nonces):
        raise BadNonce(why="every party gives a nonce of its own, and there are at least two")
    return canonical.digest_bytes("ecohub linear joint seed v1", b"".join(nonces))


def binding(parameters: Parameters, seed: bytes, context: bytes) -> bytes:
    """The 32 bytes that tie messages to parameters, joint seed and the caller's context (order digest, run, …)."""
    assert len(seed) == SEED_BYTES, "a joint seed has 32 bytes"
    value: canonical.Value = {
        "parameters": parameters.agreed(),
        "seed": hashlib.sha256(seed).hexdigest(),
        "context": hashlib.sha256(context).hexdigest(),
    }
    return canonical.digest("ecohub linear binding v1", value)


def holder_binding(common: bytes, holder: str) -> bytes:
    """The binding of one holder's hint."""
    value: canonical.Value = {"binding": common.hex(), "holder": holder}
    return canonical.digest("ecohub linear holder v1", value)


def after_hint(hint_bound: bytes, hint: bytes) -> bytes:
    """The binding of everything between one holder and the encryptor after the hint: both must hold the same one."""
    return canonical.digest_bytes("ecohub linear after hint v1", hint_bound + hashlib.sha256(hint).digest())


def frame(kind: MessageKind, bound: bytes, sequence: int, count: int, body: bytes) -> bytes:
    """A whole message."""
    fields = FIELDS.pack(MAGIC, kind, bound, sequence, count, len(body))
    return fields + _digest(fields, body) + body


def read(message: bytes, kinds: tuple[MessageKind, ...], bound: bytes) -> tuple[MessageKind, int, int, memoryview]:
    """kind, sequence, count and body of a message of one of `kinds` under this binding.

    Raises MalformedProductMessage for another form or length, ForeignProductMessage for another kind or binding. The
    body's length against its count is checked by `expect`.
    """
    if len(message) < HEADER.size:
        raise MalformedProductMessage(why="shorter than its header")
    magic, kind, found, sequence, count, length, digest = HEADER.unpack_from(message)
    if magic != MAGIC or kind not in MessageKind._value2member_map_:
        raise MalformedProductMessage(why="not a message of this protocol")
    if kind not in kinds:
        raise ForeignProductMessage(why=f"kind {MessageKind(kind).name} where another is due")
    if found != bound:
        raise ForeignProductMessage(why="its binding differs")
    body = memoryview(message)[HEADER.size :]
    if sequence > SEQUENCE_MAX or count < 1 or length != len(body):
        raise MalformedProductMessage(why="header numbers")
    if _digest(message[: FIELDS.size], body) != digest:
        raise MalformedProductMessage(why="its digest is another")
    return MessageKind(kind), sequence, count, body


def expect(body: memoryview, length: int) -> None:
    """Raises MalformedProductMessage unless the body has exactly this length."""
    if len(body) != length:
        raise MalformedProductMessage(why=f"a body of {len(body)} bytes where {length} are due")


def pack_plain(values: Ints) -> bytes:
    """Residues modulo t as 8 little-endian bytes each."""
    return values.astype("<i8").tobytes()


def unpack_plain(body: memoryview, shape: tuple[int, int], plain_bits: int) -> Ints:
    """Residues modulo 2^plain_bits. Raises MalformedProductMessage for another length or a value outside."""
    expect(body, 8 * shape[0] * shape[1])
    values = np.frombuffer(body, "<i8").astype(np.int64).reshape(shape)
    if ((values < 0) | (values >> plain_bits != 0)).any():
        raise MalformedProductMessage(why="a value outside the plain modulus")
    return values


def pad_commitment(bound: bytes, sequence: int, salt: bytes, tops: bytes) -> bytes:
    """The salted commitment of a zero test to the top bits of the pads: 32 bytes."""
    return canonical.digest_bytes("ecohub linear pads v1", bound + sequence.to_bytes(8, "big") + salt + tops)


def _digest(fields: bytes, body: bytes | memoryview) -> bytes:
    state = hashlib.sha256(fields)
    state.update(body)
    return state.digest()


def _check_nonce(nonce: bytes) -> None:
    if len(nonce) != NONCE_BYTES:
        raise BadNonce(why=f"a nonce has {NONCE_BYTES} bytes")
