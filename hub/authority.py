"""The alliance's certificate authority: EC P-256 certificates for the hub, the nodes and the people (RFC 5280).

Subject: O = alliance, OU = role, CN = partner id, person or "hub". Times are parameters; the serial number is drawn
from the given entropy. Private keys of nodes and people never come here: they send a request (PKCS #10, RFC 2986).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.records import Certificate
from privacy.errors import Failure, Kind

Entropy = Callable[[int], bytes]

ROLES = ("node", "operator", "data", "finance", "regulator")
SKEW = timedelta(minutes=5)  # clocks of partners may be behind
HUB_NAMES = ("hub", "localhost")
CSR_BYTES_MAX = 16 << 10


class RequestNotValid(Failure):
    code = "CERTIFICATE_REQUEST_NOT_VALID"
    kind = Kind.INVALID
    en = "the certificate request is not valid: {why}"
    zh = "证书请求无效：{why}"


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA's key and certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def alliance(self) -> str:
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)

    def issue(
        self, public: ec.EllipticCurvePublicKey, name: str, role: str, now: datetime, seconds: int, entropy: Entropy
    ) -> Certificate:
        """A client certificate for a node or person, valid `seconds` from now."""
        assert role in ROLES, f"no such role: {role}"
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        built = _builder(self.alliance, role, name, public, self.certificate, now, seconds, entropy)
        built = built.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = built.sign(self.key, hashes.SHA256())
        return Certificate(
            fingerprint=fingerprint(certificate),
            serial=f"{certificate.serial_number:x}",
            name=name,
            role=role,
            public_key=key_digest(public),
            pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
            issued_at=now,
            not_after=certificate.not_valid_after_utc,
        )

    def issue_server(self, public: ec.EllipticCurvePublicKey, now: datetime, seconds: int, entropy: Entropy) -> bytes:
        """The hub's own server certificate (PEM), for the names "hub" and "localhost"."""
        built = _builder(self.alliance, "hub", "hub", public, self.certificate, now, seconds, entropy)
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in HUB_NAMES])
        built = built.add_extension(names, critical=False)
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def generate_key(entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """A P-256 key from entropy: 48 bytes reduced to 1 … n-1 (FIPS 186-5, A.2.1: extra random bits)."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return ec.derive_private_key(int.from_bytes(entropy(48), "big") % (order - 1) + 1, ec.SECP256R1())


def create(alliance: str, key: ec.EllipticCurvePrivateKey, now: datetime, years: int, entropy: Entropy) -> Authority:
    """A new self-signed alliance CA."""
    subject = _name(alliance, "authority", f"{alliance} CA")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(_serial(entropy))
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def parse_request(pem: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """The public key of a PKCS #10 request for `name` (its CN); its self-signature proves possession of the key.

    Raises RequestNotValid.
    """
    if len(pem) > CSR_BYTES_MAX:
        raise RequestNotValid(why=f"more than {CSR_BYTES_MAX} bytes")
    try:
        request = x509.load_pem_x509_csr(pem)
        holds = request.is_signature_valid
        public = request.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, TypeError):
        raise RequestNotValid(why="it is not a PKCS #10 request in PEM") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise RequestNotValid(why="the key is not on P-256")
    if not holds:
        raise RequestNotValid(why="its signature doesn't hold: the sender has not shown the private key")
    names = [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name]:
        raise RequestNotValid(why=f"it is made out to {', '.join(names)[:64] or 'nobody'}, not to {name}")
    return public


def make_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A PKCS #10 request for `name` in PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key in PEM (PKCS #8, unencrypted: the file's mode guards it)."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(key_pem: bytes, certificate_pem: bytes) -> Authority:
    """The CA of its two PEM files."""
    key = serialization.load_pem_private_key(key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the alliance CA's key is on P-256"
    return Authority(key, x509.load_pem_x509_certificate(certificate_pem))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER form, as hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_digest(public: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, as hex."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _builder(
    alliance: str,
    role: str,
    name: str,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate,
    now: datetime,
    seconds: int,
    entropy: Entropy,
) -> x509.CertificateBuilder:
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(alliance, role, name))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(_serial(entropy))
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(authority_key, critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(alliance: str, role: str, name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, alliance),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _serial(entropy: Entropy) -> int:
    # RFC 5280 section 4.1.2.2: positive, at most 20 octets
    return int.from_bytes(entropy(16), "big") | 1 << 126
