"""The gate outwards: the tap sees every content before it is sealed, and changes nothing."""

import pytest

from ecowire import envelopes
from ecowire.envelopes import Header
from ecowire.stream import Message
from partner_node.outbound import Outbound
from privacy import seal
from privacy.ids import Digest, PartnerId

KEY, RECIPIENT = seal.SigningKey(b"\x01" * 32), seal.SealingKey(b"\x02" * 32)
HEADER = Header(job=Digest("ab" * 32), sender=PartnerId("bank"), recipient=PartnerId("broker"), sequence=0)


def test_the_tap_sees_plain_contents_and_the_wire_sealed_ones() -> None:
    seen: list[tuple[str, bytes]] = []
    outbound = Outbound(signing=KEY, tap=lambda kind, plain: seen.append((kind, plain)))
    sealed = outbound.seal(b"points", kind="match", header=HEADER, sealing_public=RECIPIENT.public)
    request = Message(id="assets/1", kind="assets", head={"a": 1}, body=b"body")
    reply = request.reply("ok", {"b": 2}, b"answer")
    assert outbound.message(request) is request
    assert outbound.message(reply) is reply
    assert outbound.enrolment(b"csr", b"card") == (b"csr", b"card")
    assert seen == [
        ("envelope/match", b"points"),
        ("request/assets", b'{"a":1}body'),
        ("reply/ok", b'{"b":2}answer'),
        ("enrolment", b"csrcard"),
    ]
    assert b"points" not in sealed
    assert envelopes.open_envelope(sealed, expect=HEADER, sender_public=KEY.public, key=RECIPIENT) == b"points"


def test_a_share_is_seen_before_it_is_sealed_under_its_header() -> None:
    seen: list[tuple[str, bytes]] = []
    outbound = Outbound(signing=KEY, tap=lambda kind, plain: seen.append((kind, plain)))
    header = {"dealer": "bank", "holder": "broker", "round": 3}
    sealed = outbound.share(b"a key share", header=header, sealing_public=RECIPIENT.public)
    assert seen == [("envelope/share", b"a key share")]
    assert b"a key share" not in sealed
    assert RECIPIENT.open(sealed, header) == b"a key share"
    with pytest.raises(seal.CannotOpen):
        RECIPIENT.open(sealed, {**header, "round": 4})


def test_without_a_tap_nothing_is_recorded() -> None:
    outbound = Outbound(signing=KEY)
    assert outbound.seal(b"points", kind="match", header=HEADER, sealing_public=RECIPIENT.public)
    assert outbound.tap is None
