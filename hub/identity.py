"""Who is calling: the check of the TLS peer on every RPC, and again every two seconds on open streams.

gRPC's Python server has no revocation lists, so what the handshake proved (a certificate of our CA, not expired then)
is looked up here: known, active, not expired now, role allowed.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from hub.authority import fingerprint
from hub.records import Certificate
from hub.store import Transaction
from privacy.errors import Failure, Kind

RECHECK_SECONDS = 2.0
TLS = "TLSv1.3"


class CertificateUnknown(Failure):
    code = "CERTIFICATE_UNKNOWN"
    kind = Kind.REFUSED
    en = "the hub knows no such certificate; enrol with a new invite of the operator"
    zh = "枢纽未登记该证书；请凭运营方的新邀请码重新准入"


class CertificateRevoked(Failure):
    code = "CERTIFICATE_REVOKED"
    kind = Kind.REFUSED
    en = "the certificate of {name} was revoked ({reason}); ask the operator"
    zh = "{name} 的证书已被吊销（{reason}），请联系运营方"


class CertificateExpired(Failure):
    code = "CERTIFICATE_EXPIRED"
    kind = Kind.REFUSED
    en = "the certificate of {name} expired at {not_after}; enrol again with a new invite"
    zh = "{name} 的证书已于 {not_after} 到期；请凭新邀请码重新准入"


class CertificateOfOther(Failure):
    code = "CERTIFICATE_OF_OTHER_PARTNER"
    kind = Kind.REFUSED
    en = "the certificate is that of {name}; it can't speak for {partner}"
    zh = "该证书属于 {name}，不能代表 {partner}"


class RoleNotAllowed(Failure):
    code = "ROLE_NOT_ALLOWED"
    kind = Kind.REFUSED
    en = "the role {role} may not do {what}; it takes {allowed}"
    zh = "角色 {role} 无权执行 {what}，需要 {allowed}"


class TlsTooOld(Failure):
    code = "TLS_TOO_OLD"
    kind = Kind.REFUSED
    en = "the connection uses {version}; TLS 1.3 is needed"
    zh = "连接使用 {version}；必须使用 TLS 1.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who the certificate says is calling. For a node `name` is the partner id."""

    name: str
    role: str
    fingerprint: str


def of_peer(pem: bytes, tls_version: str) -> str:
    """The fingerprint of the peer's certificate. Raises TlsTooOld or CertificateUnknown."""
    if tls_version != TLS:
        raise TlsTooOld(version=tls_version or "no TLS")
    try:
        return fingerprint(x509.load_pem_x509_certificate(pem))
    except ValueError:
        raise CertificateUnknown from None


def check(tx: Transaction, found: str, now: datetime) -> Caller:
    """The caller with this certificate fingerprint.

    Raises CertificateUnknown, CertificateRevoked or CertificateExpired.
    """
    certificate = tx.members.certificate(found)
    if certificate is None:
        raise CertificateUnknown
    return check_certificate(certificate, now)


def check_certificate(certificate: Certificate, now: datetime) -> Caller:
    """As `check`, for a certificate that was read already."""
    if certificate.state != "ACTIVE":
        raise CertificateRevoked(name=certificate.name, reason=certificate.reason)
    if now >= certificate.not_after:
        raise CertificateExpired(name=certificate.name, not_after=certificate.not_after.isoformat())
    return Caller(name=certificate.name, role=certificate.role, fingerprint=certificate.fingerprint)


def require_role(caller: Caller, allowed: tuple[str, ...], what: str) -> None:
    """Raises RoleNotAllowed unless the caller has one of the roles."""
    if caller.role not in allowed:
        raise RoleNotAllowed(role=caller.role, what=what, allowed=" or ".join(allowed))
