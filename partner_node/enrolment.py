"""Joining an alliance: own keys first, then a certificate against a one-time invite.

The certificate authority comes from the operator over another channel, as a file named in the settings; the hub must
show a certificate of it, and must name the same one in its answer. What the answer pins: the alliance's name and the
hub's log key. A later enrolment (an expired certificate) never changes what the first one pinned.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from partner_node import files, keys, rpc
from partner_node.errors import (
    AuthorityDiffers,
    AuthorityMissing,
    CertificateNotOurs,
    KeyFileMalformed,
    MembershipDiffers,
    NotEnrolled,
)
from partner_node.outbound import Outbound
from partner_node.settings import Settings
from partner_node.times import Entropy
from privacy import canonical
from privacy.ids import parse_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What enrolment pinned."""

    alliance: str
    log_key: bytes


def init(settings: Settings, entropy: Entropy) -> None:
    """Make the node's folder and keys. Raises KeysExist."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(settings.folder, 0o700)
    keys.create(settings.keys, entropy)


def enrol(settings: Settings, invite: str) -> Membership:
    """Get this node's certificate. Repeating it with the same invite and keys gives the same certificate.

    Raises the hub's refusal (RemoteFailure), HubUnreachable, AuthorityDiffers, MembershipDiffers, and the failures of
    the key files.
    """
    own = keys.load(settings.keys)
    card = own.card(settings.partner, settings.name).encode()
    request = keys.signing_request(own.tls, settings.partner)
    csr, card = Outbound(signing=own.signing).enrolment(request, card)
    authority = read_authority(settings)
    key = hashlib.sha256(b"ecohub/enrol/v1\x00" + invite.encode() + card).hexdigest()
    reply = rpc.enrol(settings.enrol, authority, invite, csr, card, key)
    if x509.load_pem_x509_certificate(reply.authority) != x509.load_pem_x509_certificate(authority):
        raise AuthorityDiffers(file=str(settings.authority))
    path = settings.keys / "alliance.json"
    member = _parse(reply.alliance, path)
    if path.exists() and membership(settings) != member:
        raise MembershipDiffers(file=str(path))
    files.replace(path, reply.alliance)
    files.replace(settings.keys / "tls.pem", reply.certificate)
    return member


def renew(settings: Settings) -> datetime:
    """Renew this node's certificate before it ends, for the same key; gives the new end. The old one runs out.

    Raises NotEnrolled, the hub's refusal (CERTIFICATE_EXPIRED: enrol again), HubUnreachable, CertificateNotOurs.
    """
    own, authority = keys.load(settings.keys), read_authority(settings)
    identity = rpc.Identity(
        address=settings.hub,
        authority=authority,
        key=own.tls,
        certificate=keys.certificate(settings.keys),
        partner=settings.partner,
    )
    csr = Outbound(signing=own.signing).renewal(keys.signing_request(own.tls, settings.partner))
    pem = rpc.renew(identity, csr)
    try:
        made, held = x509.load_pem_x509_certificate(pem), x509.load_pem_x509_certificate(identity.certificate)
        made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateNotOurs from None
    if made.public_key() != held.public_key() or made.subject != held.subject:
        raise CertificateNotOurs
    files.replace(settings.keys / "tls.pem", pem)
    return made.not_valid_after_utc


def membership(settings: Settings) -> Membership:
    """What enrolment pinned. Raises NotEnrolled, KeyFileMalformed."""
    path = settings.keys / "alliance.json"
    try:
        return _parse(path.read_bytes(), path)
    except FileNotFoundError:
        raise NotEnrolled from None


def read_authority(settings: Settings) -> bytes:
    """The PEM certificate of the alliance's authority. Raises AuthorityMissing."""
    try:
        return settings.authority.read_bytes()
    except OSError:
        raise AuthorityMissing(file=str(settings.authority)) from None


def _parse(data: bytes, path: Path) -> Membership:
    value = canonical.decode(data)
    if not isinstance(value, dict) or not isinstance(value.get("alliance"), str):
        raise KeyFileMalformed(file=str(path), what="membership")
    return Membership(alliance=str(value["alliance"]), log_key=bytes.fromhex(parse_digest(value.get("log_key"))))
