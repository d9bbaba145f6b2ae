"""The rows of a ledger: a block, a transaction, a log; and how a transaction's bytes are packed."""

import zlib
from dataclasses import dataclass
from typing import Any

_ZLIB = b"\x78"
_UNPACKED_BYTES_MAX = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A sealed block: `header` is its RLP."""

    number: int
    hash: bytes
    timestamp: int
    header: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TxRow:
    """A sealed transaction: `raw` as it was sent, `receipt` its RLP."""

    hash: bytes
    number: int
    position: int
    sender: bytes
    recipient: bytes | None
    status: int
    gas_used: int
    contract: bytes | None
    raw: bytes
    receipt: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One log; log_index counts within the block. `topics` are 32 bytes each, joined."""

    number: int
    log_index: int
    position: int
    address: bytes
    topic0: bytes | None
    topics: bytes
    data: bytes
    tx: bytes


def values(row: BlockRow | TxRow | LogRow) -> tuple[object, ...]:
    """The row's columns in order."""
    return tuple(getattr(row, name) for name in row.__slots__)


def packed_values(row: TxRow) -> tuple[object, ...]:
    """The columns in order, its bytes and receipt packed."""
    return (*values(row)[:-2], packed(row.raw), packed(row.receipt))


def unpacked_tx(columns: tuple[object, ...]) -> TxRow:
    """The row that `packed_values` was given."""
    found = dict(zip(TxRow.__slots__, columns, strict=True))
    return TxRow(**{**found, "raw": unpacked(found["raw"]), "receipt": unpacked(found["receipt"])})


def packed(data: bytes) -> bytes:
    """A list in RLP, compressed where that is shorter: a receipt's bloom is mostly zeros."""
    shorter = zlib.compress(data)
    return shorter if len(shorter) < len(data) else data


def unpacked(data: Any) -> Any:
    """What `packed` was given. The first byte tells: a list in RLP begins at 0xc0, zlib's form with 0x78."""
    if not isinstance(data, bytes) or data[:1] != _ZLIB:
        return data
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, _UNPACKED_BYTES_MAX)
    except zlib.error:
        return data  # altered by hand: it equals nothing that is expected
    return found if stream.eof and not stream.unused_data else data  # cut, or something stands behind it
