"""Who a member is: its own keys, and the others' public keys as its plan has them."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from federation.horizontal import wire
from privacy import canonical, seal
from privacy.ids import PartnerId

IDENTITY_LABEL = b"ecohub/horizontal/sealed/v1\x00"


class Verifier(Protocol):
    """Knows the roster's public signing keys."""

    def verify(self, signer: str, signature: bytes, message: bytes) -> None:
        """Raises BadSignature."""
        ...


class Identity(Verifier, Protocol):
    """A partner's own keys and what it knows of the others' public keys: from the plan, never from the hub."""

    @property
    def me(self) -> PartnerId: ...

    def sign(self, message: bytes) -> bytes:
        """64-byte signature."""
        ...

    def seal(self, recipient: str, plain: bytes, header: canonical.Value) -> bytes:
        """Bytes only `recipient` can open, only under `header`, that show they come from here."""
        ...

    def open(self, sender: str, sealed: bytes, header: canonical.Value) -> bytes:
        """Raises BadSignature unless `sender` sealed it, CannotOpen for another recipient or header."""
        ...


class KeyVerifier:
    """The public signing keys of a roster."""

    def __init__(self, signing: Mapping[str, bytes]) -> None:
        self._signing = dict(signing)

    def verify(self, signer: str, signature: bytes, message: bytes) -> None:
        if signer not in self._signing:
            raise seal.BadSignature(signer=signer[:80], what="message of an aggregation")
        seal.verify(self._signing[signer], signature, message, signer=signer, what="message of an aggregation")


class KeyIdentity(KeyVerifier):
    """An identity on `privacy.seal` keys: HPKE for the recipient, the sender's Ed25519 over header and sealed bytes."""

    def __init__(
        self,
        me: PartnerId,
        signing_key: seal.SigningKey,
        sealing_key: seal.SealingKey,
        signing: Mapping[str, bytes],
        sealing: Mapping[str, bytes],
    ) -> None:
        super().__init__(signing)
        self.me = me
        self._signing_key = signing_key
        self._sealing_key = sealing_key
        self._sealing = dict(sealing)

    def sign(self, message: bytes) -> bytes:
        return self._signing_key.sign(message)

    def seal(self, recipient: str, plain: bytes, header: canonical.Value) -> bytes:
        sealed = seal.seal(plain, header, self._sealing[recipient])
        return sealed + self.sign(_sealed_message(sealed, header))

    def open(self, sender: str, sealed: bytes, header: canonical.Value) -> bytes:
        body, signature = sealed[: -wire.SIGNATURE_BYTES], sealed[-wire.SIGNATURE_BYTES :]
        self.verify(sender, signature, _sealed_message(body, header))
        return self._sealing_key.open(body, header)


def _sealed_message(sealed: bytes, header: canonical.Value) -> bytes:
    return IDENTITY_LABEL + canonical.encode(header) + hashlib.sha256(sealed).digest()
