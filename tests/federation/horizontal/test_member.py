"""The smaller duties of a member; its rules against attacks are in tests/hostile/test_attack_aggregation*."""

from dataclasses import replace

import pytest

from federation.horizontal import keys, wire
from federation.horizontal.errors import InputNotGiven, KeyMissing
from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.member import Member
from federation.horizontal.wire import Dealing
from privacy.aggregation import RosterInvalid
from privacy.ids import PartnerId
from privacy.seal import BadSignature, CannotOpen
from tests.federation.horizontal.parties import JOB, Parties, roster
from tests.hostile.aggregation import Hub, given, slot, total, update_of

A, B, C = map(PartnerId, ("bank-a", "bank-b", "bank-c"))


def test_a_member_is_of_the_roster() -> None:
    parties = Parties(roster(4))
    with pytest.raises(RosterInvalid):
        Member(roster(3), parties.engine, parties.identity(PartnerId("bank-d")), {}, JOB, bytes)


def packet(hub: Hub, dealer: PartnerId = A, holder: PartnerId = C) -> Dealing:
    one = hub.dealt[dealer]
    return Dealing(dealer=dealer, publics=one.publics, sealed=one.sealed[holder])


def codes(hub: Hub, dealing: Dealing) -> list[str]:
    return [complaint.code for complaint in hub.members[C].hold([dealing])]


def test_a_member_takes_no_share_from_itself_or_from_a_stranger() -> None:
    hub = Hub(4)
    hub.deal(slot(1))
    for dealer in (C, PartnerId("bank-z")):
        assert codes(hub, replace(packet(hub), dealer=dealer)) == ["SHARE_FOREIGN"]


def sealed(hub: Hub, publics: dict[str, bytes], shares: dict[str, bytes]) -> Dealing:
    """What bank-a would send, had it sealed these shares for these keys."""
    header = wire.share_header(JOB, A, C, publics)
    data = hub.parties.identity(A).seal(C, wire.encode_shares(shares), header)
    return Dealing(dealer=A, publics=publics, sealed=data)


def test_a_packet_holds_the_shares_of_its_keys_and_no_others() -> None:
    hub = Hub(4)
    made = hub.engine.deal(A, hub.members[A]._entropy)
    share, public = made.shares[C], made.public
    assert codes(hub, sealed(hub, {"1.0": public}, {"1.0": share})) == []
    assert codes(hub, sealed(hub, {"2.0": public}, {"3.0": share})) == ["SHARE_FOREIGN"]
    assert codes(hub, sealed(hub, {"2.0": public, "3.0": public}, {"2.0": share})) == ["SHARE_FOREIGN"] * 2
    assert codes(hub, sealed(hub, {keys.JOB_KEY: public}, {keys.JOB_KEY: share})) == ["SHARE_FOREIGN"]
    assert codes(hub, sealed(hub, {"2.0": public}, {"2.0": share[:-1]})) == ["SHARE_WRONG"]
    assert [name for name in hub.parties.stores[C] if name.startswith("share/")] == ["share/1.0/bank-a"]


def test_shares_for_a_slot_that_is_over_are_neither_kept_nor_complained_about() -> None:
    hub = Hub(4)
    hub.deal(slot(1))
    hub.members[C].take(slot(2), given("w", slot(2)))
    assert codes(hub, packet(hub)) == []
    assert not [name for name in hub.parties.stores[C] if name.startswith("share/")]


def test_without_a_key_nothing_is_uploaded() -> None:
    hub = Hub(4)
    member = hub.members[A]
    with pytest.raises(InputNotGiven):
        member.upload(slot(1), update_of(A))
    member.take(slot(1), given("w", slot(1)))
    with pytest.raises(KeyMissing):
        member.upload(slot(1), update_of(A))


def test_a_member_whose_training_failed_can_still_answer_and_its_key_is_gone_then() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = []
    for partner, member in hub.members.items():
        member.take(slot(1), given("w", slot(1)))
        if partner != A:
            uploads.append(member.upload(slot(1), update_of(partner)))
    assert keys.own("1.0") in hub.parties.stores[A]
    answers, refused = hub.ask_all(slot(1), uploads)
    assert not refused
    assert keys.own("1.0") not in hub.parties.stores[A]
    assert (hub.open(uploads, answers) == total([p for p in hub.partners if p != A])).all()


def test_an_answer_is_small_and_signed() -> None:
    hub = Hub(4)
    hub.prepare(slot(1))
    uploads = list(hub.upload(slot(1)).values())
    made = hub.ask(A, slot(1), uploads)
    assert len(wire.encode_answer(made)) <= 8_500
    cohort = wire.cohort_digest([upload.header for upload in uploads])
    hub.parties.verifier.verify(A, made.signature, wire.answer_message(slot(1), A, cohort, made.answer))
    with pytest.raises(BadSignature):
        hub.parties.verifier.verify(B, made.signature, wire.answer_message(slot(1), A, cohort, made.answer))


def test_an_identity_opens_what_its_sender_sealed_for_it() -> None:
    parties = Parties(roster(3))
    a, b, c = (parties.identity(p) for p in (A, B, C))
    data = a.seal(B, b"plain", {"for": "this"})
    assert b.open(A, data, {"for": "this"}) == b"plain"
    with pytest.raises(BadSignature):
        b.open(A, data, {"for": "that"})
    with pytest.raises(BadSignature):
        b.open(C, data, {"for": "this"})
    with pytest.raises(CannotOpen):
        c.open(A, data, {"for": "this"})
    for bad in (b"", data[:40], data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(BadSignature):
            b.open(A, bad, {"for": "this"})
    assert isinstance(a, KeyIdentity)
    with pytest.raises(BadSignature):
        KeyVerifier({}).verify("bank-a", bytes(64), b"message")


def test_secrets_are_in_no_repr() -> None:
    hub = Hub(3)
    dealt = hub.deal(slot(1))[A]
    hub.hold()
    uploads = hub.upload(slot(1))
    shown = repr(dealt) + repr(packet(hub)) + repr(uploads[A]) + repr(hub.ask(A, slot(1), uploads.values()))
    assert not [name for name in ("sealed=b", "ciphertext=b", "answer=b", "secret=b") if name in shown]
