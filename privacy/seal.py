"""Signatures over digests, messages sealed for one recipient, and keys that two parties share.

Signing: Ed25519 (RFC 8032). Sealing: HPKE base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM;
the header is HPKE's `info`, so a sealed message opens only under the header it was made for. The library draws the
ephemeral key from the operating system.
"""

import hashlib

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import KeyId

SHARED_LABEL = b"ecohub/shared-key/v1\x00"  # keeps these keys apart from those that HPKE derives
SEAL_OVERHEAD_BYTES = 32 + 16  # encapsulated key and tag


class BadSignature(Failure):
    code = "BAD_SIGNATURE"
    kind = Kind.INTEGRITY
    en = "the signature of {signer} on this {what} does not hold"
    zh = "{signer} 对该 {what} 的签名无效"


class CannotOpen(Failure):
    code = "CANNOT_OPEN"
    kind = Kind.INTEGRITY
    en = "the sealed message does not open: it was altered, or made for another recipient or header"
    zh = "密封消息无法打开：内容被改动，或并非发给本方/本任务"


class KeyUnfit(Failure):
    code = "KEY_UNFIT"
    kind = Kind.INTEGRITY
    en = "the sealing key of a partner's card is none that a secret can be shared with; ask for another card"
    zh = "合作方名片中的封装公钥无法用于协商密钥；请更换名片"


class SigningKey:
    """An Ed25519 private key. Its repr shows the key id only."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64-byte signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({key_id(self.public)})"


class SealingKey:
    """An X25519 private key that opens what was sealed for its public key."""

    def __init__(self, seed: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes | memoryview, header: canonical.Value) -> bytes:
        """The plain bytes. Raises CannotOpen for another recipient, another header or any altered byte."""
        try:
            return _suite().decrypt(sealed, self._key, info=canonical.encode(header))
        except (InvalidTag, ValueError):
            raise CannotOpen from None

    def shared_key(self, peer: bytes, context: canonical.Value) -> bytes:
        """32 bytes that only the owners of this key and of `peer`'s can compute, the same for both, for one context.

        X25519 between the two lasting keys (RFC 7748 section 6.1), then HKDF-SHA256 (RFC 5869) whose info has both
        public keys and the context. Whoever gets one private key later can compute it too: it hides what must stay
        hidden for a while, not for ever. Raises KeyUnfit for a public key of small order.
        """
        try:
            secret = self._key.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise KeyUnfit from None
        first, second = sorted((self.public, peer))
        info = SHARED_LABEL + first + second + canonical.encode(context)
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)

    def __repr__(self) -> str:
        return f"SealingKey({key_id(self.public)})"


def seal(plain: bytes, header: canonical.Value, recipient: bytes) -> bytes:
    """Seal bytes for the owner of a 32-byte X25519 public key, bound to a header. 48 bytes longer than the plain."""
    return _suite().encrypt(plain, X25519PublicKey.from_public_bytes(recipient), info=canonical.encode(header))


def verify(public: bytes, signature: bytes, message: bytes, *, signer: str, what: str) -> None:
    """Raises BadSignature unless `signature` over `message` holds under the 32-byte Ed25519 key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise BadSignature(signer=signer, what=what) from None


def key_id(public: bytes) -> KeyId:
    """The first 8 bytes of SHA-256 of a public key, as 16 hex digits."""
    return KeyId(hashlib.sha256(public).hexdigest()[:16])


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
