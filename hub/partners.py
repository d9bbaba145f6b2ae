"""Members of the alliance: invites, enrolment, people's certificates, revocation, the directory, published assets.

An invite is a one-time code that the operator hands over outside this system; only its hash is kept. Enrolment binds
the invite, the TLS key (by the request's own signature) and the partner card (by the card's own signature) in one
transaction.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from contracts import keys as chain_keys
from contracts.errors import MalformedAddress
from ecowire import documents
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation.schema import offer
from federation.schema.errors import OfferInvalid
from hub import authority, proposals, times
from hub.audit import Log
from hub.identity import Caller
from hub.records import Certificate, Head, Invite, Partner
from hub.services import ANY, OPERATOR, Command, Entropy, HeadInvalid, NodeHandler, Reply, Services, only, text
from hub.settings import Settings
from hub.store import Transaction
from privacy import canonical, seal
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId, parse_partner_id

INVITE_BYTES = 20
CARD_FIELDS = {"partner", "name", "signing", "sealing", "chain"}
COLUMN_CLASSES = ("C1", "C2", "C3")
ASSETS_MAX = 100
RESERVED = {"hub"}


class InviteUnknown(Failure):
    code = "INVITE_UNKNOWN"
    kind = Kind.REFUSED
    en = "the hub gave out no such invite; ask the operator for a new one"
    zh = "枢纽未签发该邀请码；请向运营方索取新的邀请码"


class InviteExpired(Failure):
    code = "INVITE_EXPIRED"
    kind = Kind.REFUSED
    en = "the invite expired at {expires}; ask the operator for a new one"
    zh = "邀请码已于 {expires} 到期；请向运营方索取新的邀请码"


class InviteUsed(Failure):
    code = "INVITE_USED"
    kind = Kind.REFUSED
    en = "the invite was used before with another key; ask the operator for a new one, and why this happened"
    zh = "该邀请码已被另一密钥使用；请向运营方索取新的邀请码并查明原因"


class CardNotValid(Failure):
    code = "CARD_NOT_VALID"
    kind = Kind.INVALID
    en = "the partner card is not valid: {why}"
    zh = "伙伴名片无效：{why}"


class CardOfOther(Failure):
    code = "CARD_OF_OTHER_PARTNER"
    kind = Kind.REFUSED
    en = "the invite is for {invited}, the card is of {found}"
    zh = "邀请码属于 {invited}，名片却是 {found}"


class MemberUnknown(Failure):
    code = "MEMBER_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no certificate of {who}"
    zh = "不存在 {who} 的证书"


class PartnerRevoked(Failure):
    code = "PARTNER_REVOKED"
    kind = Kind.REFUSED
    en = "the partner {partner} was revoked ({reason})"
    zh = "伙伴 {partner} 已被吊销（{reason}）"


class AssetsNotValid(Failure):
    code = "ASSETS_NOT_VALID"
    kind = Kind.INVALID
    en = "the published assets are not valid: {why}"
    zh = "发布的数据资产无效：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    certificate: bytes
    authority: bytes
    alliance: Head


def invite(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A new one-time invite for a partner id. The code is in this answer and nowhere else."""
    only(head, "partner")
    partner = parse_partner_id(head.get("partner"))
    if partner in RESERVED:
        raise HeadInvalid(field="partner", why="this name is reserved")
    code = base64.b32encode(services.entropy(INVITE_BYTES)).decode().lower()
    expires = now + timedelta(seconds=services.settings.invite_seconds)
    tx.members.add_invite(Invite(code_hash=_code_hash(code), partner=partner, created_at=now, expires_at=expires))
    services.log.append(tx, now, "invite", partner, facts={"by": caller.name, "expires": times.iso(expires)})
    return Reply(head={"partner": partner, "invite": code, "expires": times.iso(expires)})


def enrol(services: Services, tx: Transaction, now: datetime, code: str, csr: bytes, card_bytes: bytes) -> Enrolled:
    """Admit a node: certificate for the request's key, card into the directory. The same key again: the same answer.

    Raises InviteUnknown, InviteExpired, InviteUsed, RequestNotValid, CardNotValid, CardOfOther.
    """
    found = tx.members.invite(_code_hash(code))
    if found is None:
        raise InviteUnknown
    public = authority.parse_request(csr, found.partner)
    card = parse_card(card_bytes)
    if card.signer != found.partner:
        raise CardOfOther(invited=found.partner, found=card.signer)
    key = authority.key_digest(public)
    if found.used_at is not None:
        certificate = tx.members.certificate(found.certificate or "")
        partner = tx.members.partner(found.partner)
        if certificate is None or found.used_key != key or partner is None or partner.card.digest != card.digest:
            raise InviteUsed
        return _enrolled(services, certificate)
    if now >= found.expires_at:
        raise InviteExpired(expires=times.iso(found.expires_at))
    seconds = services.settings.node_certificate_seconds
    certificate = services.authority.issue(public, found.partner, "node", now, seconds, services.entropy)
    for old in tx.members.certificates(found.partner):
        if old.role == "node" and old.state == "ACTIVE":
            tx.members.revoke_certificate(old.fingerprint, "replaced at a new enrolment")
    tx.members.add_certificate(certificate)
    tx.members.put_partner(_partner(card, now))
    tx.jobs.add_document("", card, now)  # a later card replaces it in the directory, not in the evidence
    tx.members.use_invite(found.code_hash, now, key, certificate.fingerprint)
    facts: Head = {"certificate": certificate.fingerprint, "signing": str(card.body["signing"])}
    services.log.append(tx, now, "card", found.partner, digest=card.digest, facts=facts)
    return _enrolled(services, certificate)


def parse_card(data: bytes) -> documents.Signed:
    """A partner card, checked in full: its own signature shows that the sender holds the signing key. CardNotValid."""
    try:
        card = documents.decode(data, kind="card")
    except Failure as failure:
        raise CardNotValid(why=failure.message()) from None
    body = card.body
    if set(body) != CARD_FIELDS or body["partner"] != card.signer:
        raise CardNotValid(why="its fields")
    if not isinstance(body["name"], str) or not 0 < len(body["name"]) <= 200:
        raise CardNotValid(why="its name")
    for name in ("signing", "sealing"):
        if not isinstance(body[name], str) or not re.fullmatch(r"[0-9a-f]{64}", str(body[name])):
            raise CardNotValid(why=f"its {name} key")
    try:
        if chain_keys.parse_address(body["chain"]) != body["chain"]:
            raise CardNotValid(why="its chain address is not in EIP-55 case")
        card.verify(bytes.fromhex(str(body["signing"])))
    except (seal.BadSignature, MalformedAddress) as failure:
        raise CardNotValid(why=failure.message()) from None
    return card


def certify(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A certificate for a person with a role, for the key of its request."""
    only(head, "name", "role", "csr")
    role = text(head, "role")
    if role not in ANY:
        raise HeadInvalid(field="role", why="one of " + ", ".join(ANY))
    name = check_person(text(head, "name", longest=64))
    public = authority.parse_request(text(head, "csr", longest=authority.CSR_BYTES_MAX).encode(), name)
    certificate = issue_person(
        tx,
        services.log,
        services.authority,
        services.settings,
        now,
        services.entropy,
        public_key=public,
        name=name,
        role=role,
        by=caller.name,
    )
    return Reply(head={"certificate": certificate.pem, "expires": times.iso(certificate.not_after), "role": role})


def issue_person(
    tx: Transaction,
    log: Log,
    ca: authority.Authority,
    settings: Settings,
    now: datetime,
    entropy: Entropy,
    *,
    public_key: EllipticCurvePublicKey,
    name: str,
    role: str,
    by: str,
) -> Certificate:
    """Issue and record a person's certificate."""
    certificate = ca.issue(public_key, name, role, now, settings.person_certificate_seconds, entropy)
    tx.members.add_certificate(certificate)
    log.append(tx, now, "person", name, facts={"role": role, "certificate": certificate.fingerprint, "by": by})
    return certificate


def check_person(name: str) -> str:
    """A person's name for a certificate: letters of any script, digits, space . _ -. Raises HeadInvalid."""
    if not re.fullmatch(r"\w[\w .-]{0,62}", name) or name != name.strip():
        raise HeadInvalid(field="name", why="1-63 letters, digits, space, dot, _ or - are expected")
    return name


def revoke(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Revoke a partner (all its node certificates; its open jobs end), or the key of the certificate with a serial."""
    only(head, "partner", "serial", "reason")
    reason = text(head, "reason", longest=200)
    if ("partner" in head) == ("serial" in head):
        raise HeadInvalid(field="partner", why="give either a partner or a serial")
    if "serial" in head:
        who = text(head, "serial", longest=40)
        named = {(c.name, c.public_key) for c in tx.members.certificates(serial=who)}
        # renewals hold the same key: whoever is to stay outside must not come back with a later certificate
        found = tuple(c for c in tx.members.certificates() if (c.name, c.public_key) in named)
    else:
        who = parse_partner_id(head["partner"])
        found = tuple(c for c in tx.members.certificates(who) if c.role == "node")
    if not found:
        raise MemberUnknown(who=who)
    for certificate in found:
        if certificate.state == "ACTIVE":
            tx.members.revoke_certificate(certificate.fingerprint, reason)
        tx.signal("certificate", certificate.fingerprint)
    if "partner" in head:
        _end_membership(services, tx, PartnerId(who), now, reason)
    serials: list[canonical.Value] = [certificate.serial for certificate in found]
    services.log.append(tx, now, "revoke", who, facts={"by": caller.name, "reason": reason, "serials": serials})
    return Reply(head={"revoked": serials})


def directory(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """All partners with their cards and published assets."""
    only(head)
    connected = services.connected()
    listed: list[canonical.Value] = []
    for partner in tx.members.partners():
        assets = tx.members.assets(partner.id)
        active = [c for c in tx.members.certificates(partner.id) if c.state == "ACTIVE" and c.role == "node"]
        listed.append(
            {
                "partner": partner.id,
                "name": partner.name,
                "state": partner.state,
                "connected": partner.id in connected,
                "card": partner.card.to_value(),
                "assets": assets.to_value() if assets else None,
                "certificate_expires": times.iso(active[-1].not_after) if active else None,
            }
        )
    return Reply(head={"partners": listed})


def publish(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """A node's signed list of data assets: names, columns with classes, bands and purposes."""
    only(message.head, "assets")
    document = documents.parse(message.head.get("assets"), kind="assets")
    if document.signer != partner.id:
        raise AssetsNotValid(why=f"signed by {document.signer}")
    document.verify(partner.signing_public)
    _check_assets(document.body)
    tx.members.put_assets(document, now)
    receipt = services.log.record(tx, now, document, partner.id)
    tx.jobs.add_document("", document, now)
    return Reply(head={"receipt": receipt.to_value()})


def _check_assets(body: Head) -> None:
    listed = body.get("assets")
    if not isinstance(listed, list) or len(listed) > ASSETS_MAX:
        raise AssetsNotValid(why=f"at most {ASSETS_MAX} assets are expected")
    names: set[str] = set()
    for asset in listed:
        if not isinstance(asset, dict) or not isinstance(asset.get("name"), str) or not asset["name"]:
            raise AssetsNotValid(why="an asset needs a name")
        if str(asset["name"]) in names:
            raise AssetsNotValid(why="an asset is named twice")
        names.add(str(asset["name"]))
        columns = asset.get("columns")
        if not isinstance(columns, dict):
            raise AssetsNotValid(why="an asset needs its columns")
        # JR/T 0171-2020: a column without a class must not be offered
        if any(not isinstance(cls, str) or cls not in COLUMN_CLASSES for cls in columns.values()):
            raise AssetsNotValid(why="each column needs its class C1, C2 or C3")
        try:
            offer.check(asset)
        except OfferInvalid as failure:
            raise AssetsNotValid(why=failure.message()) from None


def _end_membership(services: Services, tx: Transaction, partner: PartnerId, now: datetime, reason: str) -> None:
    if tx.members.partner(partner) is None:
        return
    tx.members.set_partner_state(partner, "REVOKED")
    for job in tx.jobs.proposals(states=proposals.OPEN_STATES):
        if partner in job.parties and (job.kind != proposals.AGREEMENT or job.state == proposals.PROPOSED):
            proposals.fail(services, tx, job, now, PartnerRevoked(partner=partner, reason=reason), by=partner)


def _enrolled(services: Services, certificate: Certificate) -> Enrolled:
    alliance: Head = {"alliance": services.settings.alliance, "log_key": services.log.key.public.hex()}
    return Enrolled(certificate=certificate.pem.encode(), authority=services.authority.pem, alliance=alliance)


def _partner(card: documents.Signed, now: datetime) -> Partner:
    body = card.body
    return Partner(
        id=card.signer,
        name=str(body["name"]),
        signing=str(body["signing"]),
        sealing=str(body["sealing"]),
        chain=str(body["chain"]),
        card=card,
        state="ACTIVE",
        enrolled_at=now,
    )


def _code_hash(code: str) -> str:
    if len(code) > 100:
        raise MalformedMessage(why="an invite of this length")
    return hashlib.sha256(b"ecohub/invite/v1\x00" + code.strip().lower().encode()).hexdigest()


def whoami(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """What the caller's certificate says, and which hub this is."""
    only(head)
    certificate = tx.members.certificate(caller.fingerprint)
    assert certificate is not None, "it was checked at the door"
    anchor = services.settings.chain.anchor
    return Reply(
        head={
            "alliance": services.settings.alliance,
            "name": caller.name,
            "role": caller.role,
            "expires": times.iso(certificate.not_after),
            "connected": [*sorted(services.connected())],
            **({"anchor": services.anchoring.view(tx, anchor)} if anchor else {}),
        }
    )


COMMANDS = {
    "whoami": Command(roles=ANY, run=whoami, changes=False),
    "invite": Command(roles=(OPERATOR,), run=invite, secret=True),
    "certify": Command(roles=(OPERATOR,), run=certify),
    "revoke": Command(roles=(OPERATOR,), run=revoke),
    "partners": Command(roles=ANY, run=directory, changes=False),
}
NODE_REQUESTS: dict[str, NodeHandler] = {"assets": publish}
