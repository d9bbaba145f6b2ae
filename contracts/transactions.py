"""Replay-protected legacy transactions (EIP-155): build, sign, and decode strictly.

The only kind we send and the only kind the sandbox chain admits: every EVM chain takes it, also at gas price zero. The
decoder recovers the sender and refuses every second form of the same transaction.
"""

from dataclasses import dataclass

import rlp
from eth_hash.auto import keccak

from contracts.errors import BadChainSignature, MalformedTransaction
from contracts.keys import ORDER, Address, Key, checksum, raw_address, recover

BYTES_MAX = 128 << 10  # as geth's pool
_FIELDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A decoded signed transaction. `to` is None for a deployment."""

    hash: str
    sender: Address
    chain_id: int
    nonce: int
    gas_price: int
    gas: int
    to: Address | None
    value: int
    data: bytes
    v: int
    r: int
    s: int


def sign(
    *, to: Address | None, data: bytes, nonce: int, chain_id: int, gas: int, gas_price: int, key: Key
) -> tuple[bytes, str]:
    """(raw bytes, hash "0x…") of a signed transaction that moves no value."""
    fields = [*map(_big, (nonce, gas_price, gas)), raw_address(to) if to else b"", b"", data]
    signature = key.sign_digest(keccak(rlp.encode([*fields, _big(chain_id), b"", b""])))
    v = signature[64] - 27 + 35 + 2 * chain_id  # EIP-155
    r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
    raw: bytes = rlp.encode([*fields, _big(v), _big(r), _big(s)])
    return raw, hash_of(raw)


def hash_of(raw: bytes) -> str:
    """The hash of a raw transaction, "0x" and 64 hex digits."""
    return "0x" + keccak(raw).hex()


def decode(raw: bytes) -> Transaction:
    """The transaction of raw bytes, its sender recovered.

    Raises MalformedTransaction for another type (EIP-2718), RLP that is not canonical, fields out of range, and
    signatures that are not replay-protected or have a high s.
    """
    if len(raw) > BYTES_MAX:
        raise MalformedTransaction(why=f"{len(raw)} bytes, at most {BYTES_MAX} are taken")
    if not raw or raw[0] < 0xC0:
        raise MalformedTransaction(why="only legacy transactions (EIP-155) are taken")
    fields = _fields(raw)
    nonce, gas_price, gas, value, v, r, s = (_integer(fields[i]) for i in (0, 1, 2, 4, 6, 7, 8))
    if v < 37:
        raise MalformedTransaction(why="it is not replay-protected (EIP-155): it names no chain")
    if len(fields[3]) not in (0, 20):
        raise MalformedTransaction(why="the recipient is not 20 bytes")
    if nonce >= 1 << 64 or gas >= 1 << 64 or value >= 1 << 256 or max(r, s) >= ORDER:
        raise MalformedTransaction(why="a field is out of range")
    chain_id, parity = divmod(v - 35, 2)
    digest = keccak(rlp.encode([*fields[:6], _big(chain_id), b"", b""]))
    try:
        sender = recover(digest, r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + parity]))
    except BadChainSignature as error:
        raise MalformedTransaction(why=f"its signature does not hold: {error.facts['why']}") from None
    return Transaction(
        hash=hash_of(raw),
        sender=sender,
        chain_id=chain_id,
        nonce=nonce,
        gas_price=gas_price,
        gas=gas,
        to=checksum(fields[3]) if fields[3] else None,
        value=value,
        data=fields[5],
        v=v,
        r=r,
        s=s,
    )


def _fields(raw: bytes) -> list[bytes]:
    try:
        fields = rlp.decode(raw, strict=True)
    except rlp.DecodingError:
        raise MalformedTransaction(why="it is not RLP") from None
    if not isinstance(fields, list) or len(fields) != _FIELDS or not all(isinstance(f, bytes) for f in fields):
        raise MalformedTransaction(why="it has other fields than a legacy transaction")
    return fields


def _integer(field: bytes) -> int:
    if len(field) > 32 or field[:1] == b"\x00":
        raise MalformedTransaction(why="an integer is not in its shortest form")
    return int.from_bytes(field, "big")


def _big(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
