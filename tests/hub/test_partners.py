"""Members: an invite works once for one key, a certificate says who it is, a revoked one says nothing any more."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ecowire.stream import Message
from hub import authority, identity, matching, partners
from hub.authority import RequestNotValid
from hub.identity import Caller, CertificateExpired, CertificateRevoked, CertificateUnknown
from hub.partners import (
    AssetsNotValid,
    CardNotValid,
    CardOfOther,
    InviteExpired,
    InviteUnknown,
    InviteUsed,
    MemberUnknown,
)
from hub.records import Head
from hub.services import HeadInvalid
from privacy.errors import Failure
from tests.hub.alliance import OPERATOR, Hub, Party, match_body, party
from tests.support.entropy import SeededEntropy


def enrol(hub: Hub, who: Party, code: str, **changes: bytes) -> partners.Enrolled:
    given = {"csr": who.csr(), "card": who.card.encode(), **changes}
    made: partners.Enrolled = hub.run(partners.enrol, hub.now(), code, given["csr"], given["card"])
    return made


def fingerprint(pem: bytes) -> str:
    return authority.fingerprint(x509.load_pem_x509_certificate(pem))


def test_an_enrolled_node_has_a_certificate_of_the_alliance_for_its_own_key(hub: Hub) -> None:
    who = party("platform")
    made = enrol(hub, who, hub.invite("platform"))
    certificate = x509.load_pem_x509_certificate(made.certificate)
    ca = x509.load_pem_x509_certificate(made.authority)
    certificate.verify_directly_issued_by(ca)
    assert certificate.public_key() == who.tls.public_key()
    names = {a.oid: a.value for a in certificate.subject}
    assert names == {
        NameOID.ORGANIZATION_NAME: "test-alliance",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "node",
        NameOID.COMMON_NAME: "platform",
    }
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    lifetime = certificate.not_valid_after_utc - hub.now()
    assert lifetime.days == 30
    caller = hub.store.read("check", lambda tx: identity.check(tx, fingerprint(made.certificate), hub.now()))
    assert (caller.name, caller.role) == ("platform", "node")
    assert made.alliance == {"alliance": "test-alliance", "log_key": hub.services.log.key.public.hex()}


def test_the_invite_code_is_not_in_the_database(hub: Hub) -> None:
    code = hub.invite("platform")
    raw = (hub.settings.dir / "hub.db").read_bytes() + (hub.settings.dir / "hub.db-wal").read_bytes()
    assert code.encode() not in raw
    assert b"invite" in raw


def test_enrolling_again_with_the_same_key_gives_the_same_certificate(hub: Hub) -> None:
    who, code = party("platform"), hub.invite("platform")
    first = enrol(hub, who, code)
    leaves = hub.leaves()
    hub.clock.forward(10 * 86_400)  # even after the invite's own time
    assert enrol(hub, who, code) == first
    assert hub.leaves() == leaves


def test_a_used_invite_is_no_use_to_anybody_else(hub: Hub) -> None:
    who, code = party("platform"), hub.invite("platform")
    enrol(hub, who, code)
    other = replace(who, tls=authority.generate_key(SeededEntropy(b"thief")))
    with pytest.raises(InviteUsed):
        enrol(hub, other, code)
    with pytest.raises(InviteUsed):
        enrol(hub, replace(party("platform", b"other keys"), tls=who.tls), code)


def test_an_invite_expires_and_an_unknown_one_is_nothing(hub: Hub) -> None:
    code = hub.invite("platform")
    with pytest.raises(InviteUnknown):
        enrol(hub, party("platform"), code[:-1])
    with pytest.raises(InviteUnknown):
        enrol(hub, party("platform"), "")
    hub.clock.forward(3 * 86_400)
    with pytest.raises(InviteExpired):
        enrol(hub, party("platform"), code)


def bad_requests() -> dict[str, bytes]:
    who = party("platform")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    form = serialization.Encoding.PEM
    good = x509.load_pem_x509_csr(who.csr())
    other_curve = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()).public_bytes(form)
    weak = builder.sign(rsa.generate_private_key(65537, 2048), hashes.SHA256()).public_bytes(form)
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    der[-3] ^= 1
    broken = x509.load_der_x509_csr(bytes(der)).public_bytes(form)
    return {
        "for another partner": who.csr("broker"),
        "another curve": other_curve,
        "an RSA key": weak,
        "a signature that does not hold": broken,
        "no request": b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "nothing": b"",
        "too large": b"x" * 20_000,
    }


@pytest.mark.parametrize("case", sorted(bad_requests()))
def test_a_request_that_does_not_prove_its_key_is_refused(hub: Hub, case: str) -> None:
    code = hub.invite("platform")
    with pytest.raises(RequestNotValid):
        enrol(hub, party("platform"), code, csr=bad_requests()[case])
    assert hub.store.read("p", lambda tx: tx.members.partner("platform")) is None
    enrol(hub, party("platform"), code)  # the invite was not used up


def bad_cards() -> dict[str, tuple[bytes, type[Failure]]]:
    who, other = party("platform"), party("platform", b"other")

    def card(**changes: object) -> bytes:
        return who.sign("card", {**who.card.body, **changes}).encode()  # type: ignore[dict-item]

    return {
        "of another partner": (party("broker").card.encode(), CardOfOther),
        "signed by another key": (other.sign("card", who.card.body).encode(), CardNotValid),
        "no card": (who.sign("assets", who.card.body).encode(), CardNotValid),
        "a short key": (card(sealing="ab"), CardNotValid),
        "no address": (card(chain="0x1234"), CardNotValid),
        "an address in another case": (card(chain=who.chain.address.lower()), CardNotValid),
        "a field too many": (card(admin=True), CardNotValid),
        "no name": (card(name=""), CardNotValid),
        "not canonical": (who.card.encode() + b" ", CardNotValid),
    }


@pytest.mark.parametrize("case", sorted(bad_cards()))
def test_a_card_that_does_not_hold_is_refused(hub: Hub, case: str) -> None:
    card, failure = bad_cards()[case]
    code = hub.invite("platform")
    with pytest.raises(failure):
        enrol(hub, party("platform"), code, card=card)
    assert hub.store.read("p", lambda tx: tx.members.partner("platform")) is None


def test_a_new_enrolment_revokes_the_old_certificate(hub: Hub) -> None:
    old = hub.parties["bank"].certificate
    new = hub.enrol(replace(party("bank"), tls=authority.generate_key(SeededEntropy(b"renewed")))).certificate
    with pytest.raises(CertificateRevoked):
        hub.store.read("check", lambda tx: identity.check(tx, fingerprint(old), hub.now()))
    hub.store.read("check", lambda tx: identity.check(tx, fingerprint(new), hub.now()))


def test_certificates_end_by_time_by_revocation_and_if_unknown(hub: Hub) -> None:
    pem = hub.parties["bank"].certificate
    with pytest.raises(CertificateUnknown):
        hub.store.read("check", lambda tx: identity.check(tx, "00" * 32, hub.now()))
    hub.run(partners.revoke, OPERATOR, hub.now(), {"partner": "bank", "reason": "left"})
    with pytest.raises(CertificateRevoked, match="left"):
        hub.store.read("check", lambda tx: identity.check(tx, fingerprint(pem), hub.now()))
    pem = hub.parties["broker"].certificate
    hub.clock.forward(30 * 86_400)
    with pytest.raises(CertificateExpired):
        hub.store.read("check", lambda tx: identity.check(tx, fingerprint(pem), hub.now()))


def test_revoking_a_partner_ends_its_open_jobs_and_no_others(hub: Hub) -> None:
    with_bank = hub.propose("match", match_body("broker", "bank"), matching.check)
    without = hub.propose("match", match_body("broker", "insurer"), matching.check)
    hub.run(partners.revoke, OPERATOR, hub.now(), {"partner": "bank", "reason": "left"})
    ended = hub.proposal(with_bank.digest)
    assert (ended.state, ended.reason["code"]) == ("FAILED", "PARTNER_REVOKED")
    assert hub.proposal(without.digest).state == "PROPOSED"
    assert hub.partner("bank").state == "REVOKED"


@pytest.mark.parametrize("head", [{}, {"partner": "bank", "serial": "1"}, {"partner": "bank"}, {"x": 1}])
def test_a_revocation_names_one_thing_and_a_reason(hub: Hub, head: Head) -> None:
    with pytest.raises(HeadInvalid):
        hub.run(partners.revoke, OPERATOR, hub.now(), head)


def test_a_revocation_of_nobody_is_named(hub: Hub) -> None:
    with pytest.raises(MemberUnknown):
        hub.run(partners.revoke, OPERATOR, hub.now(), {"serial": "abc", "reason": "x"})


def test_a_person_gets_a_certificate_with_a_role(hub: Hub) -> None:
    key = authority.generate_key(SeededEntropy(b"ming"))
    head: Head = {"name": "明 Ming", "role": "finance", "csr": authority.make_request(key, "明 Ming").decode()}
    made = hub.run(partners.certify, OPERATOR, hub.now(), head)
    found = fingerprint(made.head["certificate"].encode())
    caller = hub.store.read("check", lambda tx: identity.check(tx, found, hub.now()))
    assert caller == Caller(name="明 Ming", role="finance", fingerprint=found)


@pytest.mark.parametrize("head", [{"role": "node"}, {"role": "root"}, {"name": "a/b"}, {"name": " x"}, {"extra": "1"}])
def test_a_person_is_not_certified_as_anything(hub: Hub, head: Head) -> None:
    key = authority.generate_key(SeededEntropy(b"ming"))
    whole: Head = {"name": "ming", "role": "data", "csr": authority.make_request(key, "ming").decode(), **head}
    with pytest.raises(HeadInvalid):
        hub.run(partners.certify, OPERATOR, hub.now(), whole)


@pytest.mark.parametrize("name", ["hub", "Broker", "x", "a b", "", None, "a" * 40])
def test_an_invite_needs_a_partner_id(hub: Hub, name: object) -> None:
    with pytest.raises(Failure):
        hub.run(partners.invite, OPERATOR, hub.now(), {"partner": name})


ASSET: Head = {"name": "clients", "columns": {"AGE": "C1", "RENT": "C2"}, "rows": "1000-4999"}
OFFER: Head = {"column": "AGE", "class": "C1", "purposes": ["joint-profile"]}
PROFILE: Head = {"catalogue": 1, "digest": "ab" * 32, "features": {"client_age": OFFER}}
MAPPED: Head = {**ASSET, "purposes": ["joint-profile"], "profile": PROFILE}
ASSETS: list[tuple[Head, bool]] = [
    ({"partner": "bank", "assets": [MAPPED]}, True),
    ({"partner": "bank", "assets": [{**MAPPED, "profile": {**PROFILE, "median": 3}}]}, False),
    ({"partner": "bank", "assets": [{**MAPPED, "purposes": ["marketing"]}]}, False),
    ({"partner": "bank", "assets": [ASSET]}, True),
    ({"partner": "bank", "assets": [{**ASSET, "columns": {}}]}, True),
    ({"partner": "bank", "assets": [{**ASSET, "columns": {"AGE": "C4"}}]}, False),
    ({"partner": "bank", "assets": [{**ASSET, "columns": {"AGE": None}}]}, False),
    ({"partner": "bank", "assets": [{**ASSET, "columns": ["AGE"]}]}, False),
    ({"partner": "bank", "assets": [ASSET, ASSET]}, False),
    ({"partner": "bank", "assets": [{"columns": {}}]}, False),
    ({"partner": "bank", "assets": "clients"}, False),
]


@pytest.mark.parametrize(("body", "valid"), ASSETS)
def test_assets_are_published_only_with_their_classes(hub: Hub, body: Head, valid: bool) -> None:
    document = hub.parties["bank"].sign("assets", body)
    message = Message(id="assets/1", kind="assets", head={"assets": document.to_value()})
    if valid:
        reply = hub.run(partners.publish, hub.partner("bank"), hub.now(), message)
        assert reply.head["receipt"]["body"]["document"] == document.digest
        listed = hub.run(partners.directory, OPERATOR, hub.now(), {}).head["partners"]
        (bank,) = [item for item in listed if item["partner"] == "bank"]
        assert bank["assets"] == document.to_value()
    else:
        with pytest.raises(AssetsNotValid):
            hub.run(partners.publish, hub.partner("bank"), hub.now(), message)


def test_assets_of_somebody_else_are_refused(hub: Hub) -> None:
    document = hub.parties["broker"].sign("assets", {"partner": "broker", "assets": [ASSET]})
    message = Message(id="assets/1", kind="assets", head={"assets": document.to_value()})
    with pytest.raises(AssetsNotValid):
        hub.run(partners.publish, hub.partner("bank"), hub.now(), message)
