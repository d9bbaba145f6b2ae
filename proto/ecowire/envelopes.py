"""Envelopes: what one node sends another through the hub, which can relay but neither read nor alter it.

An envelope is the packed dict {"header", "sealed", "signature"}. `sealed` is HPKE-sealed (RFC 9180) to the recipient's
pinned sealing key with the canonical header as `info`; `signature` is Ed25519 (RFC 8032) by the sender's pinned signing
key over the label, the SHA-256 of the sealed bytes and the canonical header: Ed25519 would read millions of sealed
bytes twice, with SHA-512. The hub routes by the header, so the header is in clear: job digest, sender, recipient and a
sequence number that counts each (job, sender, recipient) from 0 without gaps. The sequence is compared with `expect`;
keeping the counters durably is the caller's duty.
"""

import hashlib
from dataclasses import dataclass

from ecowire.status import MalformedMessage
from privacy import canonical, packing, seal
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId, parse_digest, parse_partner_id

LABEL = b"ecohub/envelope/v2\x00"  # keeps these signatures apart from those over documents' digests
FIELDS = {"header", "sealed", "signature"}


class EnvelopeNotForThis(Failure):
    code = "ENVELOPE_NOT_FOR_THIS"
    kind = Kind.INTEGRITY
    en = "the envelope's {what} is {found}, expected {expected}"
    zh = "信封的 {what} 为 {found}，应为 {expected}"


class EnvelopeOutOfSequence(Failure):
    code = "ENVELOPE_OUT_OF_SEQUENCE"
    kind = Kind.INTEGRITY
    en = "the envelope of {sender} has sequence number {found}, expected {expected}: it was repeated, lost or reordered"
    zh = "{sender} 的信封序号为 {found}，应为 {expected}：消息被重放、丢失或乱序"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the relay may read. `sequence` counts from 0 for each (job, sender, recipient)."""

    job: Digest
    sender: PartnerId
    recipient: PartnerId
    sequence: int

    def to_value(self) -> dict[str, canonical.Value]:
        return {"job": self.job, "sender": self.sender, "recipient": self.recipient, "sequence": self.sequence}


def make(plain: bytes, *, header: Header, sealing_public: bytes, key: seal.SigningKey) -> bytes:
    """Seal `plain` for the owner of the 32-byte X25519 key and sign it. The HPKE key is fresh at every call."""
    sealed = seal.seal(plain, header.to_value(), sealing_public)
    signature = key.sign(_signed(header, sealed))
    head: packing.Packed = {**header.to_value()}  # type: ignore[dict-item]
    return packing.pack({"header": head, "sealed": sealed, "signature": signature})


def read_header(envelope: bytes | memoryview) -> Header:
    """The clear header, for routing only: nothing is verified. Raises NotPacked or MalformedMessage."""
    return _parse(envelope)[0]


def open_envelope(envelope: bytes | memoryview, *, expect: Header, sender_public: bytes, key: seal.SealingKey) -> bytes:
    """The plain bytes.

    Raises NotPacked or MalformedMessage for another form, EnvelopeNotForThis for another job, sender or recipient,
    BadSignature, EnvelopeOutOfSequence for a repeat or a gap, CannotOpen.
    """
    header, sealed, signature = _parse(envelope)
    for what in ("job", "sender", "recipient"):
        found, expected = getattr(header, what), getattr(expect, what)
        if found != expected:
            raise EnvelopeNotForThis(what=what, found=found, expected=expected)
    seal.verify(sender_public, signature, _signed(header, sealed), signer=header.sender, what="envelope")
    if header.sequence != expect.sequence:
        raise EnvelopeOutOfSequence(sender=header.sender, found=header.sequence, expected=expect.sequence)
    return key.open(sealed, header.to_value())


def _signed(header: Header, sealed: bytes | memoryview) -> bytes:
    return LABEL + hashlib.sha256(sealed).digest() + canonical.encode(header.to_value())


def _parse(envelope: bytes | memoryview) -> tuple[Header, memoryview, bytes]:
    value = packing.unpack(envelope, views=True)
    if not isinstance(value, dict) or set(value) != FIELDS:
        raise MalformedMessage(why="not an envelope")
    head, sealed, signature = value["header"], value["sealed"], value["signature"]
    if not isinstance(head, dict) or set(head) != {"job", "sender", "recipient", "sequence"}:
        raise MalformedMessage(why="an envelope's header")
    if not isinstance(sealed, memoryview) or not isinstance(signature, memoryview) or len(signature) != 64:
        raise MalformedMessage(why="an envelope's content")
    sequence = head["sequence"]
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 0:
        raise MalformedMessage(why="an envelope's sequence number")
    header = Header(
        job=parse_digest(head["job"]),
        sender=parse_partner_id(head["sender"]),
        recipient=parse_partner_id(head["recipient"]),
        sequence=sequence,
    )
    return header, sealed, bytes(signature)
