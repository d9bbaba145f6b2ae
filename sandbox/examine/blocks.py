"""The chain's blocks as exported: decoded strictly, linked by hash, their roots recomputed from what they carry.

A line of chain/blocks.jsonl is {"number","hash","timestamp","header","transactions","receipts"}: header and receipts as
RLP, transactions as they were sent, all hex with 0x. Header fields by place as in the Yellow Paper (Shanghai: 17
fields); transaction and receipt roots are Merkle Patricia tries over RLP(index).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from eth_hash.auto import keccak
from trie import HexaryTrie

from contracts.chain import Log
from contracts.keys import checksum
from ecowire import documents
from privacy import canonical
from privacy.errors import Failure, Kind
from sandbox.examine.case import Case, Object, records

NAME = "chain/blocks.jsonl"
HEADER_FIELDS = 17
PARENT, STATE_ROOT, TRANSACTIONS_ROOT, RECEIPTS_ROOT, NUMBER, TIMESTAMP, EXTRA = 0, 3, 4, 5, 8, 11, 12
_FIELDS = {"number", "hash", "timestamp", "header", "transactions", "receipts"}


class BlockMalformed(Failure):
    code = "BLOCK_MALFORMED"
    kind = Kind.INTEGRITY
    en = "the block is malformed: {why}"
    zh = "区块格式错误：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block whose parts fit its header. `logs[i]` are the logs of transaction i; `succeeded[i]` its status."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int
    extra: bytes
    transactions: tuple[bytes, ...]
    succeeded: tuple[bool, ...]
    logs: tuple[tuple[Log, ...], ...]


def read(case: Case) -> list[Block]:
    """The blocks in order up to the first that does not hold; that one becomes a finding which names it."""
    found: list[Block] = []
    genesis = case.bundle.entries.get("chain/genesis.json", b"")
    for where, _, value in records(case, NAME):
        if value is None:
            return found
        try:
            block = parse(value)
            _link(found, block, genesis)
        except Failure as failure:
            case.sheet.add("CHAIN_BROKEN", where, why=failure.message())
            return found
        found.append(block)
    case.sheet.holds("blocks", len(found))
    return found


def parse(value: Object) -> Block:
    """The block of an exported line. Raises BlockMalformed where hash, roots or form do not fit."""
    if set(value) != _FIELDS:
        raise BlockMalformed(why=f"exactly {', '.join(sorted(_FIELDS))} are expected")
    header = _hex(value["header"])
    fields = _list(header, "header", HEADER_FIELDS)
    if keccak(header) != _hex(value["hash"]):
        raise BlockMalformed(why="its hash is not that of its header")
    transactions, receipts = _hexes(value["transactions"]), _hexes(value["receipts"])
    if _root(transactions) != fields[TRANSACTIONS_ROOT]:
        raise BlockMalformed(why="its transactions are not those of its header")
    if _root(receipts) != fields[RECEIPTS_ROOT] or len(receipts) != len(transactions):
        raise BlockMalformed(why="its receipts are not those of its header")
    number, timestamp = (int.from_bytes(fields[place], "big") for place in (NUMBER, TIMESTAMP))
    if (number, timestamp) != (value["number"], value["timestamp"]):
        raise BlockMalformed(why="its number or time is not that of its header")
    outcomes = [_receipt(raw) for raw in receipts]
    return Block(
        number=number,
        hash=keccak(header),
        parent=fields[PARENT],
        timestamp=timestamp,
        extra=fields[EXTRA],
        transactions=tuple(transactions),
        succeeded=tuple(succeeded for succeeded, _ in outcomes),
        logs=tuple(logs for _, logs in outcomes),
    )


def _link(before: Sequence[Block], block: Block, genesis: bytes) -> None:
    if block.number != len(before):
        raise BlockMalformed(why=f"block {len(before)} is expected")
    if before:
        if block.parent != before[-1].hash:
            raise BlockMalformed(why="it does not follow the block before it")
        if block.timestamp <= before[-1].timestamp:
            raise BlockMalformed(why="its time is not later than that of the block before it")
    elif block.extra.hex() != genesis_digest(genesis):
        raise BlockMalformed(why="block 0 was not begun with this genesis")


def genesis_digest(data: bytes) -> str:
    """The digest of a genesis document's bytes; empty where they are no object."""
    try:
        body = canonical.decode(data)
    except canonical.NotCanonical:
        return ""
    return documents.digest("chain-genesis", body) if isinstance(body, dict) else ""


def _receipt(raw: bytes) -> tuple[bool, tuple[Log, ...]]:
    status, _, _, logs = _list(raw, "receipt", 4)
    if status not in (b"", b"\x01") or not isinstance(logs, list):
        raise BlockMalformed(why="a receipt's form")
    return status == b"\x01", tuple(_log(item) for item in logs)


def _log(item: object) -> Log:
    if not isinstance(item, list) or len(item) != 3:
        raise BlockMalformed(why="a log's form")
    address, topics, data = item
    if not isinstance(topics, list) or len(address) != 20 or any(len(topic) != 32 for topic in topics):
        raise BlockMalformed(why="a log's form")
    return Log(address=checksum(address), topics=tuple(topics), data=data)


def _root(values: Sequence[bytes]) -> bytes:
    tree = HexaryTrie({})
    for index, value in enumerate(values):
        tree[rlp.encode(index)] = value
    return bytes(tree.root_hash)


def _list(raw: bytes, what: str, count: int) -> list[Any]:
    try:
        value = rlp.decode(raw, strict=True)
    except rlp.exceptions.RLPException:
        raise BlockMalformed(why=f"a {what} that is not RLP") from None
    if not isinstance(value, list) or len(value) != count:
        raise BlockMalformed(why=f"a {what} of another form")
    return value


def _hex(value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise BlockMalformed(why="hex with 0x is expected")
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise BlockMalformed(why="hex with 0x is expected") from None


def _hexes(value: object) -> list[bytes]:
    if not isinstance(value, list):
        raise BlockMalformed(why="a list is expected")
    return [_hex(item) for item in value]
