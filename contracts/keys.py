"""secp256k1 keys of chain accounts: 32 bytes, addresses, strict recoverable signatures. libsecp256k1 does the work.

Signatures are 65 bytes r ‖ s ‖ v with s in the lower half of the order (EIP-2) and v 27 or 28; libsecp256k1 makes
deterministic nonces (RFC 6979), so signing needs no entropy.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NewType

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from contracts.errors import BadChainSignature, KeyFileInvalid, MalformedAddress

Address = NewType("Address", str)  # "0x" and 40 hex digits in EIP-55 case

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ZERO_ADDRESS = Address("0x" + "00" * 20)


class Key:
    """A secp256k1 private key. Its repr shows the address only."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < ORDER:
            raise KeyFileInvalid(why="a chain key is 32 bytes, not zero and below the curve's order")
        self.secret = secret
        self._key = PrivateKey(secret)
        self.address = _address_of(self._key.public_key)

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r ‖ s ‖ v over a 32-byte digest, v 27 or 28."""
        raw = self._key.sign_recoverable(digest, hasher=None)
        return bytes(raw[:64]) + bytes([27 + raw[64]])

    def write(self, path: Path) -> None:
        """Write the key as hex to a new file of mode 0600. Raises FileExistsError rather than overwrite a key."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.secret.hex() + "\n")

    def __repr__(self) -> str:
        return f"Key({self.address})"


def generate(entropy: Callable[[int], bytes]) -> Key:
    """A new key: draws 32 bytes until they are a scalar of the curve (almost always the first)."""
    while True:
        secret = entropy(32)
        if 0 < int.from_bytes(secret, "big") < ORDER:
            return Key(secret)


def read(path: Path) -> Key:
    """The key of a file with 64 hex digits. Raises KeyFileInvalid; also where others may read the file."""
    try:
        mode, text = path.stat().st_mode, path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise KeyFileInvalid(why=f"{path.name} cannot be read") from None
    if mode & 0o077:
        raise KeyFileInvalid(why=f"{path.name} is open to others: set its mode to 0600")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise KeyFileInvalid(why=f"{path.name} does not hold 64 hex digits")
    return Key(bytes.fromhex(text))


def address(key: bytes) -> Address:
    """The address of a 32-byte private key."""
    return Key(key).address


def recover(digest: bytes, signature: bytes) -> Address:
    """Whose signature over a 32-byte digest this is. Raises BadChainSignature for any but the one strict form."""
    if len(signature) != 65:
        raise BadChainSignature(why=f"{len(signature)} bytes instead of 65")
    s, v = int.from_bytes(signature[32:64], "big"), signature[64]
    if v not in (27, 28):
        raise BadChainSignature(why=f"v is {v}, not 27 or 28")
    if s > ORDER // 2:
        raise BadChainSignature(why="s lies in the upper half of the order")
    try:
        public = PublicKey.from_signature_and_message(signature[:64] + bytes([v - 27]), digest, hasher=None)
    except Exception:  # coincurve raises bare Exception where libsecp256k1 recovers no key
        raise BadChainSignature(why="no key can have made it") from None
    return _address_of(public)


def checksum(raw: bytes) -> Address:
    """The EIP-55 form of a 20-byte address."""
    plain = raw.hex()
    digits = keccak(plain.encode()).hex()
    return Address("0x" + "".join(c.upper() if int(d, 16) > 7 else c for c, d in zip(plain, digits, strict=False)))


def parse_address(value: object) -> Address:
    """An address from outside: "0x" and 40 hex digits; mixed case must be the right EIP-55 case. MalformedAddress."""
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise MalformedAddress(value=str(value)[:50])
    proper = checksum(bytes.fromhex(value[2:]))
    if value not in (proper, value.lower()):
        raise MalformedAddress(value=value)
    return proper


def raw_address(value: Address) -> bytes:
    """The 20 bytes of an address."""
    return bytes.fromhex(value[2:])


def _address_of(public: PublicKey) -> Address:
    return checksum(keccak(public.format(compressed=False)[1:])[12:])
