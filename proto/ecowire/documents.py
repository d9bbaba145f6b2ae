"""Signed documents: canonical JSON with a kind, a body, a signer and an Ed25519 signature over its labelled digest.

The digest of a document is SHA-256("ecohub/<kind>/v1" ‖ 0x00 ‖ canonical body): what is approved, signed, logged and
carried in the evidence bundle is always this one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecowire.status import MalformedMessage
from privacy import canonical, seal
from privacy.ids import Digest, PartnerId, parse_partner_id

Body = dict[str, canonical.Value]


def digest(kind: str, body: Body) -> Digest:
    """The digest of a document's body, as 64 hex digits."""
    return Digest(canonical.digest(f"ecohub/{kind}/v1", body).hex())


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A document with its signature. `signer` is a partner id, or "hub"."""

    kind: str
    body: Body
    signer: PartnerId
    signature: str  # 128 hex digits

    @property
    def digest(self) -> Digest:
        return digest(self.kind, self.body)

    def to_value(self) -> Body:
        return {"kind": self.kind, "body": self.body, "signer": self.signer, "signature": self.signature}

    def encode(self) -> bytes:
        return canonical.encode(self.to_value())

    def verify(self, public: bytes) -> None:
        """Raises BadSignature unless the signature holds under the signer's 32-byte Ed25519 key."""
        message = bytes.fromhex(self.digest)
        seal.verify(public, bytes.fromhex(self.signature), message, signer=self.signer, what=self.kind)


def sign(kind: str, body: Body, signer: PartnerId, key: seal.SigningKey) -> Signed:
    """Sign a document's digest."""
    signature = key.sign(bytes.fromhex(digest(kind, body))).hex()
    return Signed(kind=kind, body=body, signer=signer, signature=signature)


def parse(value: Any, *, kind: str | None = None) -> Signed:
    """The signed document of a decoded JSON value; its signature is not yet verified.

    Raises MalformedMessage for another form or, where `kind` is given, another kind.
    """
    if not isinstance(value, Mapping) or set(value) != {"kind", "body", "signer", "signature"}:
        raise MalformedMessage(why="not a signed document")
    if not isinstance(value["kind"], str) or not isinstance(value["body"], dict):
        raise MalformedMessage(why="a signed document's kind and body")
    if kind is not None and value["kind"] != kind:
        raise MalformedMessage(why=f"a signed {kind} is expected")
    signature = value["signature"]
    if not isinstance(signature, str) or len(signature) != 128 or set(signature) - set("0123456789abcdef"):
        raise MalformedMessage(why="a signature of 128 hex digits is expected")
    signer = parse_partner_id(value["signer"])
    return Signed(kind=value["kind"], body=value["body"], signer=signer, signature=signature)


def decode(data: bytes, *, kind: str | None = None) -> Signed:
    """The signed document of canonical bytes; its signature is not yet verified."""
    return parse(canonical.decode(data), kind=kind)
