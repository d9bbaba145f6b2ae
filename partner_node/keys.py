"""This node's private keys: created once, kept in files that only their owner can read.

tls.key (EC P-256, RFC 5480) and tls.pem (the alliance's certificate for it); signing.key (Ed25519 seed), sealing.key
(X25519 seed), chain.key (secp256k1) and consent.key (HMAC-SHA256) as 64 hex digits. Nothing here is ever sent.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts import keys as chain_keys
from ecowire import documents
from ecowire.documents import Signed
from partner_node.errors import KeyFileMalformed, KeyFileMissing, KeyFileOpen, KeysExist, NotEnrolled
from partner_node.times import Entropy
from privacy import seal
from privacy.ids import PartnerId

MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The node's keys in memory. The repr shows key ids only."""

    signing: seal.SigningKey
    sealing: seal.SealingKey
    chain: chain_keys.Key
    consent: bytes = field(repr=False)
    tls: bytes = field(repr=False)  # PEM

    def card(self, partner: PartnerId, name: str) -> Signed:
        """The partner card: this node's public keys, signed by itself. Others pin it by hand."""
        body: documents.Body = {
            "partner": partner,
            "name": name,
            "signing": self.signing.public.hex(),
            "sealing": self.sealing.public.hex(),
            "chain": self.chain.address,
        }
        return documents.sign("card", body, partner, self.signing)


def create(folder: Path, entropy: Entropy) -> None:
    """Make all keys of a node in an empty folder. Raises KeysExist where any key file is there already."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.glob("*.key")):
        raise KeysExist(folder=str(folder))
    for name in ("signing", "sealing", "consent"):
        write_secret(folder / f"{name}.key", entropy(32).hex().encode() + b"\n")
    chain_keys.generate(entropy).write(folder / "chain.key")
    tls = ec.generate_private_key(ec.SECP256R1())
    pem = tls.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(folder / "tls.key", pem)


def load(folder: Path) -> Keys:
    """The node's keys. Raises KeyFileMissing, KeyFileOpen (readable by others), KeyFileMalformed."""
    signing, sealing, chain, consent = (
        _seed(folder / f"{name}.key") for name in ("signing", "sealing", "chain", "consent")
    )
    return Keys(
        signing=seal.SigningKey(signing),
        sealing=seal.SealingKey(sealing),
        chain=chain_keys.Key(chain),
        consent=consent,
        tls=read_secret(folder / "tls.key"),
    )


def certificate(folder: Path) -> bytes:
    """The PEM certificate the alliance issued. Raises NotEnrolled."""
    try:
        return (folder / "tls.pem").read_bytes()
    except FileNotFoundError:
        raise NotEnrolled from None


def signing_request(tls_key: bytes, partner: PartnerId) -> bytes:
    """A PEM certificate signing request (RFC 2986) whose self-signature proves possession of the TLS key."""
    key = serialization.load_pem_private_key(tls_key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "tls.key is always written as an EC key"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, partner)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """The bytes of a key file. Raises KeyFileMissing, or KeyFileOpen where group or others have any right."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
    except FileNotFoundError:
        raise KeyFileMissing(file=str(path)) from None
    if mode & 0o077:
        raise KeyFileOpen(file=str(path), mode=f"{mode:04o}")
    return data


def _seed(path: Path) -> bytes:
    text = read_secret(path).strip()
    if len(text) != 64 or set(text) - set(b"0123456789abcdef"):
        raise KeyFileMalformed(file=str(path), what="key of 64 hex digits")
    return bytes.fromhex(text.decode())
