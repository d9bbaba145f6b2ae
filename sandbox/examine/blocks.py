"""The chain's blocks as exported in the bundle, each checked by `contracts.blocks` against its own header.

A line of chain/blocks.jsonl is {"number","hash","timestamp","header","transactions","receipts"}: header and receipts as
RLP, transactions as they were sent, all hex with 0x.
"""

from dataclasses import dataclass

from contracts import blocks
from contracts.blocks import Header, SealedBlock, SealedReceipt
from contracts.errors import MalformedChainAnswer
from contracts.jsonrpc import octets
from ecowire import documents
from ecowire.status import MalformedMessage
from privacy import canonical
from privacy.errors import Failure
from sandbox.examine.case import Case, Object, records

NAME = "chain/blocks.jsonl"
GENESIS_KIND = "chain-genesis"
_FIELDS = {"number", "hash", "timestamp", "header", "transactions", "receipts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that holds: its checked header, its raw transactions and what each of them did."""

    header: Header
    transactions: tuple[bytes, ...]
    receipts: tuple[SealedReceipt, ...]

    @property
    def where(self) -> str:
        return f"{NAME} record {self.header.number}"


def read(case: Case) -> list[Block]:
    """The blocks in order up to the first that does not hold; that one becomes a finding which names it."""
    found: list[Block] = []
    for where, _, value in records(case, NAME):
        if value is None:
            return found
        try:
            block = _block(value, found[-1].header if found else None)
            if not found:
                _check_first(block.header, case.trust.genesis)
        except Failure as failure:
            case.sheet.add("CHAIN_BROKEN", where, why=failure.message())
            return found
        found.append(block)
    case.sheet.holds("blocks", len(found))
    return found


def genesis_digest(data: bytes) -> str:
    """The digest of a genesis document's bytes; empty where they are no object."""
    try:
        body = canonical.decode(data)
    except canonical.NotCanonical:
        return ""
    return documents.digest(GENESIS_KIND, body) if isinstance(body, dict) else ""


def _block(value: Object, parent: Header | None) -> Block:
    """Raises MalformedMessage, MalformedChainAnswer or BlockInvalid."""
    number = value.get("number")
    if set(value) != _FIELDS or type(number) is not int:
        raise MalformedMessage(why=f"a block has exactly the fields {', '.join(sorted(_FIELDS))}")
    sealed = SealedBlock(
        number=number,
        header=octets(value["header"]),
        transactions=_listed(value["transactions"]),
        receipts=_listed(value["receipts"]),
    )
    header = blocks.check(sealed, parent)
    if canonical.encode(value) != canonical.encode(_value(sealed, header)):
        raise MalformedMessage(why="a block's hash or time is not that of its header, or its hex has another form")
    outcomes = tuple(blocks.decode_receipt(raw) for raw in sealed.receipts)
    return Block(header=header, transactions=sealed.transactions, receipts=outcomes)


def _value(sealed: SealedBlock, header: Header) -> Object:
    """The one record of a block."""
    return {
        "number": header.number,
        "hash": "0x" + header.hash.hex(),
        "timestamp": int(header.time.timestamp()),
        "header": "0x" + sealed.header.hex(),
        "transactions": ["0x" + raw.hex() for raw in sealed.transactions],
        "receipts": ["0x" + raw.hex() for raw in sealed.receipts],
    }


def _check_first(header: Header, genesis: str) -> None:
    if header.number != 0 or header.extra_data.hex() != genesis:
        raise MalformedMessage(why="block 0 was not begun with the genesis that the parties name")


def _listed(value: canonical.Value) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise MalformedChainAnswer(why="a list of hex strings is expected")
    return tuple(octets(item) for item in value)
