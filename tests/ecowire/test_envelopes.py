"""Envelopes: only the named recipient opens them, only unaltered, only once and in order."""

from dataclasses import replace

import pytest

from ecowire import envelopes
from ecowire.envelopes import EnvelopeNotForThis, EnvelopeOutOfSequence, Header
from ecowire.status import MalformedMessage
from privacy import packing, seal
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId

SENDER_KEY = seal.SigningKey(b"\x01" * 32)
OTHER_KEY = seal.SigningKey(b"\x02" * 32)
RECIPIENT_KEY = seal.SealingKey(b"\x03" * 32)
HEADER = Header(job=Digest("ab" * 32), sender=PartnerId("bank"), recipient=PartnerId("broker"), sequence=4)
PLAIN = b"points of one chunk"


def made(header: Header = HEADER) -> bytes:
    return envelopes.make(PLAIN, header=header, sealing_public=RECIPIENT_KEY.public, key=SENDER_KEY)


def opened(envelope: bytes, expect: Header = HEADER, sender: bytes = SENDER_KEY.public) -> bytes:
    return envelopes.open_envelope(envelope, expect=expect, sender_public=sender, key=RECIPIENT_KEY)


def test_the_recipient_opens_what_the_sender_made() -> None:
    envelope = made()
    assert opened(envelope) == PLAIN
    assert envelopes.read_header(envelope) == HEADER
    assert PLAIN not in envelope


def test_two_envelopes_of_one_message_share_no_sealed_bytes() -> None:
    first, second = packing.unpack(made()), packing.unpack(made())
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["sealed"] != second["sealed"]


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"job": "cd" * 32}, EnvelopeNotForThis),
        ({"sender": "platform"}, EnvelopeNotForThis),
        ({"recipient": "platform"}, EnvelopeNotForThis),
        ({"sequence": 3}, EnvelopeOutOfSequence),
        ({"sequence": 5}, EnvelopeOutOfSequence),
    ],
)
def test_an_envelope_serves_one_job_one_pair_one_place(change: dict[str, str | int], failure: type[Failure]) -> None:
    with pytest.raises(failure):
        opened(made(), expect=replace(HEADER, **change))  # type: ignore[arg-type]


def test_another_partners_signature_is_refused() -> None:
    envelope = envelopes.make(PLAIN, header=HEADER, sealing_public=RECIPIENT_KEY.public, key=OTHER_KEY)
    with pytest.raises(seal.BadSignature):
        opened(envelope)


def test_the_relay_cannot_move_sealed_bytes_under_another_header() -> None:
    value = packing.unpack(made())
    assert isinstance(value, dict)
    moved = replace(HEADER, sequence=5)
    with pytest.raises(seal.BadSignature):
        opened(packing.pack({**value, "header": moved.to_value()}), expect=moved)  # type: ignore[dict-item]


def test_another_recipient_cannot_open() -> None:
    envelope = made()
    with pytest.raises(seal.CannotOpen):
        envelopes.open_envelope(
            envelope, expect=HEADER, sender_public=SENDER_KEY.public, key=seal.SealingKey(b"\x09" * 32)
        )


def test_every_altered_byte_is_refused() -> None:
    envelope = made()
    for index in range(len(envelope)):
        altered = bytearray(envelope)
        altered[index] ^= 0x01
        with pytest.raises(Failure):
            opened(bytes(altered))


def test_every_truncation_and_any_tail_is_refused() -> None:
    envelope = made()
    for length in range(len(envelope)):
        with pytest.raises(Failure):
            opened(envelope[:length])
    with pytest.raises(Failure):
        opened(envelope + b"\x00")


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"header": {}, "sealed": b"", "signature": b"\x00" * 64},
        {"header": HEADER.to_value(), "sealed": "text", "signature": b"\x00" * 64},
        {"header": HEADER.to_value(), "sealed": b"", "signature": b"\x00" * 63},
        {"header": {**HEADER.to_value(), "sequence": -1}, "sealed": b"", "signature": b"\x00" * 64},
        {"header": {**HEADER.to_value(), "sequence": True}, "sealed": b"", "signature": b"\x00" * 64},
        {"header": HEADER.to_value(), "sealed": b"", "signature": b"\x00" * 64, "more": 1},
    ],
)
def test_another_form_is_malformed(value: packing.Packed) -> None:
    with pytest.raises(MalformedMessage):
        envelopes.read_header(packing.pack(value))
