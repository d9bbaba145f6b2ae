"""Sealed blocks as evidence: headers, transactions and receipts as RLP, checked against the header's own roots.

A header's hash fixes the parent, the transactions, the receipts and the state (Yellow Paper section 4.3). What is not
checked here is whether the state follows from the transactions: that takes an EVM (sandbox.chain.replay).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import rlp
from eth_hash.auto import keccak

from contracts.chain import Log
from contracts.errors import BlockInvalid
from contracts.keys import checksum
from contracts.ordered_trie import ordered_root

_FIELDS_MIN, _FIELDS_MAX = 16, 21  # London to Prague
_EXTRA, _MIX = 12, 13  # places of extra data and mix hash in a header
BFT_MIX = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
"""The mix hash by which a header says that its extra data carries QBFT's validators, round and seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a block header says; `hash` is computed from its bytes (QBFT: without the round and the seals)."""

    hash: bytes
    parent: bytes
    number: int
    time: datetime
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    gas_used: int
    extra_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedReceipt:
    """A receipt as the header commits to it."""

    succeeded: bool
    cumulative_gas: int
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBlock:
    """A block for the evidence bundle: raw bytes, as they are hashed."""

    number: int
    header: bytes
    transactions: tuple[bytes, ...]
    receipts: tuple[bytes, ...]


def decode_header(raw: bytes) -> Header:
    """The header of RLP bytes. Raises BlockInvalid."""
    try:
        fields = rlp.decode(raw, strict=True)
    except rlp.DecodingError:
        raise BlockInvalid(number="?", why="the header is not RLP") from None
    if not isinstance(fields, list) or not all(isinstance(field, bytes) for field in fields):
        raise BlockInvalid(number="?", why="the header's form")
    if not _FIELDS_MIN <= len(fields) <= _FIELDS_MAX or any(len(fields[i]) != 32 for i in (0, 3, 4, 5)):
        raise BlockInvalid(number="?", why="the header's fields")
    if max(len(fields[i]) for i in (8, 10, 11)) > 5:
        raise BlockInvalid(number="?", why="a number of the header is out of range")
    return Header(
        hash=_hash(raw, fields),
        parent=fields[0],
        number=_integer(fields[8]),
        time=datetime.fromtimestamp(_integer(fields[11]), UTC),
        state_root=fields[3],
        transactions_root=fields[4],
        receipts_root=fields[5],
        gas_used=_integer(fields[10]),
        extra_data=fields[12],
    )


def _hash(raw: bytes, fields: list[bytes]) -> bytes:
    """The hash by which the chain names a block.

    Clique's extra data is hashed as it stands. QBFT validators seal a block after they agreed on its hash, so round and
    seals are left out of it, except in block 0 (Hyperledger Besu, BftBlockHashing.calculateHashOfBftBlockOnChain).
    """
    if fields[_MIX] != BFT_MIX or not _integer(fields[8]):
        return bytes(keccak(raw))
    try:
        vanity, validators, vote, _round, _seals = rlp.decode(fields[_EXTRA], strict=True)
    except (rlp.DecodingError, ValueError, TypeError):
        raise BlockInvalid(number=_integer(fields[8]), why="its extra data is not QBFT's") from None
    agreed = rlp.encode([vanity, validators, vote, b"", []])
    return bytes(keccak(rlp.encode([*fields[:_EXTRA], agreed, *fields[_MIX:]])))


def decode_receipt(raw: bytes) -> SealedReceipt:
    """The receipt of RLP bytes, after the type byte of EIP-2718 where there is one. Raises BlockInvalid."""
    try:
        fields = rlp.decode(raw if raw[:1] >= b"\xc0" else raw[1:], strict=True)
        status, gas, _, logs = fields
        found = tuple(Log(address=checksum(a), topics=tuple(topics), data=data) for a, topics, data in logs)
    except (rlp.DecodingError, ValueError, TypeError, AttributeError):
        raise BlockInvalid(number="?", why="a receipt's form") from None
    if status not in (b"", b"\x01") or any(len(topic) != 32 for log in found for topic in log.topics):
        raise BlockInvalid(number="?", why="a receipt's fields")
    return SealedReceipt(succeeded=status == b"\x01", cumulative_gas=_integer(gas), logs=found)


def check(block: SealedBlock, parent: Header | None) -> Header:
    """The header of a block whose parts fit it and that follows `parent` (None: the first given block).

    Raises BlockInvalid and says which part differs. The newest block's own hash is fixed by nothing that follows it:
    compare it with a checkpoint.
    """
    header = decode_header(block.header)
    if header.number != block.number:
        raise BlockInvalid(number=block.number, why=f"its header says {header.number}")
    if parent is not None and (header.number != parent.number + 1 or header.parent != parent.hash):
        raise BlockInvalid(number=block.number, why="it does not follow the block before")
    if parent is not None and header.time <= parent.time:
        raise BlockInvalid(number=block.number, why="its time is not later than the block's before")
    if len(block.receipts) != len(block.transactions):
        raise BlockInvalid(number=block.number, why="another number of receipts than of transactions")
    if ordered_root(block.transactions) != header.transactions_root:
        raise BlockInvalid(number=block.number, why="its transactions are not those of its header")
    if ordered_root(block.receipts) != header.receipts_root:
        raise BlockInvalid(number=block.number, why="its receipts are not those of its header")
    return header


def _integer(field: bytes) -> int:
    return int.from_bytes(field, "big")
