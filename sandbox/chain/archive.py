"""An export: one file from which a ledger can be made again, and its form checked in one pass.

Canonical JSON, a document a line: the chain (genesis, clock), its blocks in order (header and receipts as RLP,
transactions as they were sent), and an end with the number of blocks, the newest block's hash and the SHA-256 of
everything before it. One line is in memory at a time.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from contracts import blocks
from contracts.blocks import Header, SealedBlock
from contracts.errors import BlockInvalid
from ecowire import outputs
from privacy import canonical
from privacy.errors import Failure
from sandbox.chain import genesis
from sandbox.chain.errors import ExportAltered, ExportInvalid, ExportTruncated
from sandbox.chain.genesis import Genesis
from sandbox.chain.hexes import BadParameters, data, parse_data
from sandbox.chain.sequencer import clock_offset
from sandbox.chain.store import Store

KIND, END, VERSION = "chain-export", "end", 1
LINE_BYTES_MAX = 64 << 20
DEPTH_MAX = 8
_BLOCK = {"header", "number", "receipts", "transactions"}
_END = {"blocks", "head", "kind", "sha256"}
_CHAIN = {"clock_offset_seconds", "genesis", "kind", "version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What an export says of itself. head: hash of the newest block; sha256: of all lines but the last, hex."""

    genesis: Genesis
    clock_offset_seconds: int
    blocks: int
    head: bytes
    sha256: str


def write(store: Store, begun: Genesis, path: Path, progress: Callable[[int], None] = lambda number: None) -> Archive:
    """Write the blocks up to the present head; a chain that is being served may go on meanwhile.

    Raises OutputExists, OutputNotWritable, and BlockInvalid where a stored block does not hold: then there is no file.
    """
    outputs.check_new(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("xb") as file:
            made = _write(store, begun, file, progress)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError as error:
        raise outputs.OutputExists(path=str(error.filename2 or error.filename)) from None
    except OSError as error:
        raise outputs.OutputNotWritable(path=str(path), why=error.strerror or type(error).__name__) from None
    finally:
        part.unlink(missing_ok=True)
    return made


def _write(store: Store, begun: Genesis, file: BinaryIO, progress: Callable[[int], None]) -> Archive:
    sha256, parent = hashlib.sha256(), None
    head = store.head()
    assert head is not None, "a ledger has a genesis block"
    offset = clock_offset(store)

    def line(value: canonical.Value) -> None:
        text = canonical.encode(value) + b"\n"
        sha256.update(text)
        file.write(text)

    line({"clock_offset_seconds": offset, "genesis": begun.to_body(), "kind": KIND, "version": VERSION})
    for number in range(head.number + 1):
        block = stored(store, number)
        parent = blocks.check(block, parent)
        line(_value(block))
        progress(number)
    made = Archive(
        genesis=begun,
        clock_offset_seconds=offset,
        blocks=head.number + 1,
        head=head.hash,
        sha256=sha256.hexdigest(),
    )
    line({"blocks": made.blocks, "head": data(made.head), "kind": END, "sha256": made.sha256})
    return made


def _value(block: SealedBlock) -> canonical.Value:
    return {
        "header": data(block.header),
        "number": block.number,
        "receipts": [data(raw) for raw in block.receipts],
        "transactions": [data(raw) for raw in block.transactions],
    }


def stored(store: Store, number: int) -> SealedBlock:
    """A block of a store as evidence. Raises BlockInvalid where there is no such row."""
    row = store.block(number)
    if row is None:
        raise BlockInvalid(number=number, why="its row is missing")
    txs = store.txs(number)
    return SealedBlock(
        number=number,
        header=row.header,
        transactions=tuple(tx.raw for tx in txs),
        receipts=tuple(tx.receipt for tx in txs),
    )


def check(path: Path) -> Archive:
    """Read the whole file before anything is made of it: form, order, end, SHA-256.

    Raises ExportTruncated, ExportInvalid, and ExportAltered, which names the first block that does not hold.
    """
    sha256, count, first, end = hashlib.sha256(), 0, None, None
    for number, raw in _lines(path):
        if end is not None:
            raise ExportInvalid(line=number, why="something follows the end")
        value = _object(raw, number)
        if first is None:
            first = _chain(value, number)
        elif value.get("kind") == END:
            end = (number, value)
            continue
        else:
            if value.get("number") != count:
                raise ExportInvalid(line=number, why=f"block {count} is expected here")
            count += 1
        sha256.update(raw)
    if first is None or end is None:
        raise ExportTruncated(file=path.name, blocks=count)
    number, value = end
    if set(value) != _END or value["blocks"] != count or not count:
        raise ExportInvalid(line=number, why="the end does not fit the blocks before it")
    if value["sha256"] != sha256.hexdigest():
        raise ExportAltered(file=path.name, where=_first_wrong(path))
    head = _octets(value["head"], number)
    return Archive(genesis=first[0], clock_offset_seconds=first[1], blocks=count, head=head, sha256=sha256.hexdigest())


def sealed(path: Path) -> Iterator[tuple[SealedBlock, Header]]:
    """The blocks of an export in order, each checked against its own header and the one before.

    Raises ExportInvalid, BlockInvalid.
    """
    parent = None
    for number, raw in _lines(path):
        value = _object(raw, number)
        if "header" not in value:
            continue
        block = _block(value, number)
        parent = blocks.check(block, parent)
        yield block, parent


def _first_wrong(path: Path) -> str:
    try:
        for _ in sealed(path):
            continue
    except Failure as failure:
        return failure.message("en")
    return "the first or the last line"


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(raw) > LINE_BYTES_MAX:
                    raise ExportInvalid(line=number, why=f"it is longer than {LINE_BYTES_MAX} bytes")
                if not raw.endswith(b"\n"):
                    raise ExportTruncated(file=path.name, blocks=max(0, number - 2))
                yield number, raw
    except OSError as error:
        raise ExportInvalid(line=0, why=error.strerror or type(error).__name__) from None


def _object(raw: bytes, number: int) -> dict[str, Any]:
    try:
        value = canonical.parse_json(raw, DEPTH_MAX)
    except ValueError:
        raise ExportInvalid(line=number, why="it is not JSON") from None
    if not isinstance(value, dict):
        raise ExportInvalid(line=number, why="an object is expected")
    return value


def _chain(value: dict[str, Any], number: int) -> tuple[Genesis, int]:
    if set(value) != _CHAIN or value["kind"] != KIND or value["version"] != VERSION:
        raise ExportInvalid(line=number, why=f"it is no export of version {VERSION}")
    offset = value["clock_offset_seconds"]
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset < 1 << 40:
        raise ExportInvalid(line=number, why="the clock's offset")
    return genesis.from_body(value["genesis"]), offset


def _block(value: dict[str, Any], number: int) -> SealedBlock:
    if set(value) != _BLOCK or not isinstance(value["number"], int):
        raise ExportInvalid(line=number, why="it is no block")
    raws, receipts = value["transactions"], value["receipts"]
    if not isinstance(raws, list) or not isinstance(receipts, list):
        raise ExportInvalid(line=number, why="it is no block")
    return SealedBlock(
        number=value["number"],
        header=_octets(value["header"], number),
        transactions=tuple(_octets(raw, number) for raw in raws),
        receipts=tuple(_octets(raw, number) for raw in receipts),
    )


def _octets(value: Any, number: int) -> bytes:
    try:
        return parse_data(value)
    except BadParameters:
        raise ExportInvalid(line=number, why="hex data is expected") from None
