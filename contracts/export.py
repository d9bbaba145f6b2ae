"""Sealed blocks and block hashes for evidence and checkpoints, from any endpoint.

`export` asks the sandbox chain for its own raw bytes. `export_standard` rebuilds the same bytes from the standard
methods, for other chains; each rebuilt hash is compared, so a field that was lost shows. The caller chooses: neither
falls back to the other.
"""

from typing import Any

import rlp

from contracts import blocks, transactions
from contracts.blocks import SealedBlock
from contracts.chain import Chain
from contracts.errors import MalformedChainAnswer
from contracts.jsonrpc import integer, octets, quantity

PAGE = 500

_HEADER = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", 0),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", None),
)
_SINCE = (  # fields that later forks appended, in order
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)


def genesis(chain: Chain) -> dict[str, Any]:
    """The sandbox chain's genesis document. Raises MethodNotOffered on another kind of chain."""
    found = _object(chain.ask("sandbox_export", {"from": 0, "to": 0})).get("genesis")
    return _object(found)


def export(chain: Chain, first: int, last: int) -> list[SealedBlock]:
    """Blocks first..last of the sandbox chain, each checked. Raises MethodNotOffered on another kind of chain.

    The chain may give fewer blocks than asked for, where they are large; the rest is asked for again.
    """
    found: list[SealedBlock] = []
    while (start := first + len(found)) <= last:
        wanted = {"from": start, "to": min(last, start + PAGE - 1)}
        answer = _object(chain.ask("sandbox_export", wanted)).get("blocks")
        if not isinstance(answer, list) or not answer:
            raise MalformedChainAnswer(why="an export without blocks")
        found += [_sealed(_object(item)) for item in answer]
    return _checked(found, first, last)


def export_standard(chain: Chain, first: int, last: int) -> list[SealedBlock]:
    """Blocks first..last rebuilt from the standard methods, each checked.

    Raises MalformedChainAnswer where a block holds other transactions than legacy ones.
    """
    return _checked([_rebuilt(chain, number) for number in range(first, last + 1)], first, last)


def block_hashes(chain: Chain, first: int, last: int) -> list[bytes]:
    """Hashes of the blocks first..last, from the standard methods: the leaves of a chain checkpoint."""
    return [bytes.fromhex(chain.block(number).hash[2:]) for number in range(first, last + 1)]


def _checked(found: list[SealedBlock], first: int, last: int) -> list[SealedBlock]:
    if [block.number for block in found] != list(range(first, last + 1)):
        raise MalformedChainAnswer(why="other blocks than those asked for")
    parent = None
    for block in found:
        parent = blocks.check(block, parent)
    return found


def _sealed(item: dict[str, Any]) -> SealedBlock:
    raws, receipts = item.get("transactions"), item.get("receipts")
    number = item.get("number")
    if not isinstance(raws, list) or not isinstance(receipts, list) or not isinstance(number, int):
        raise MalformedChainAnswer(why="an exported block")
    return SealedBlock(
        number=number,
        header=octets(item.get("header")),
        transactions=tuple(map(octets, raws)),
        receipts=tuple(map(octets, receipts)),
    )


def _rebuilt(chain: Chain, number: int) -> SealedBlock:
    found = _object(chain.ask("eth_getBlockByNumber", quantity(number), True))
    fields = [_field(found, name, length) for name, length in _HEADER]
    for name, length in _SINCE:
        if found.get(name) is None:
            break
        fields.append(_field(found, name, length))
    header = rlp.encode(fields)
    if blocks.decode_header(header).hash != octets(found.get("hash"), 32):
        raise MalformedChainAnswer(why=f"the header of block {number} cannot be rebuilt")
    listed = found.get("transactions")
    if not isinstance(listed, list):
        raise MalformedChainAnswer(why="a block without transactions")
    raws = [_raw(_object(item)) for item in listed]
    receipts = [_receipt(chain, transactions.hash_of(raw)) for raw in raws]
    return SealedBlock(number=number, header=header, transactions=tuple(raws), receipts=tuple(receipts))


def _raw(item: dict[str, Any]) -> bytes:
    if item.get("type", "0x0") != "0x0":
        raise MalformedChainAnswer(why="a transaction that is not a legacy one cannot be rebuilt")
    to = b"" if item.get("to") is None else octets(item["to"], 20)
    numbers = {name: _shortest(item.get(name)) for name in ("nonce", "gasPrice", "gas", "value", "v", "r", "s")}
    head = [numbers["nonce"], numbers["gasPrice"], numbers["gas"], to, numbers["value"], octets(item.get("input"))]
    raw: bytes = rlp.encode([*head, numbers["v"], numbers["r"], numbers["s"]])
    if transactions.hash_of(raw) != item.get("hash"):
        raise MalformedChainAnswer(why="a transaction cannot be rebuilt")
    return raw


def _receipt(chain: Chain, transaction: str) -> bytes:
    found = _object(chain.ask("eth_getTransactionReceipt", transaction))
    if not isinstance(found.get("logs"), list):
        raise MalformedChainAnswer(why="a receipt without logs")
    logs = [
        [octets(log.get("address"), 20), [octets(topic, 32) for topic in log["topics"]], octets(log.get("data"))]
        for log in map(_object, found["logs"])
    ]
    status, gas = _shortest(found.get("status")), _shortest(found.get("cumulativeGasUsed"))
    raw: bytes = rlp.encode([status, gas, octets(found.get("logsBloom"), 256), logs])
    return raw


def _field(found: dict[str, Any], name: str, length: int | None) -> bytes:
    """A header field: a quantity (None), data of any length (0) or of exactly `length` bytes."""
    if length is None:
        return _shortest(found.get(name))
    return octets(found.get(name), length or None)


def _shortest(value: Any) -> bytes:
    number = integer(value)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedChainAnswer(why="an object is expected")
    return value
