"""Import: an export becomes a ledger in an empty folder, each block run again and compared before it is written.

An interrupted import is marked in the ledger: it cannot be served, and the same file goes on where it stopped.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from contracts.blocks import SealedBlock
from sandbox.chain import archive, genesis
from sandbox.chain.archive import Archive
from sandbox.chain.errors import (
    ExportNotReproduced,
    ExportOfAnotherChain,
    ImportTargetTaken,
    ImportUnfinished,
    LedgerAltered,
)
from sandbox.chain.evm import Ledger
from sandbox.chain.rows import BlockRow, LogRow, TxRow
from sandbox.chain.sequencer import CLOCK_OFFSET
from sandbox.chain.serve import GENESIS, IMPORT, LEDGER, broken, locked
from sandbox.chain.store import Store
from sandbox.chain.verify import seal_again


class Expecting(Store):
    """A store that takes a block only where it is, to the bit, the one that is expected next."""

    expected: SealedBlock | None = None

    def commit(
        self,
        entries: Mapping[bytes, bytes | None],
        older: Mapping[bytes, bytes],
        block: BlockRow,
        txs: Sequence[TxRow],
        logs: Sequence[LogRow],
    ) -> None:
        wanted = self.expected
        if wanted is None or block.number != wanted.number:
            raise ExportNotReproduced(number=block.number, what="transactions that do not make one block")
        if tuple(tx.receipt for tx in txs) != wanted.receipts:
            raise ExportNotReproduced(number=block.number, what="receipts")
        if block.header != wanted.header:
            raise ExportNotReproduced(number=block.number, what="header, its state root with it")
        super().commit(entries, older, block, txs, logs)


def restore(
    source: Path, folder: Path, expected: str | None = None, progress: Callable[[int], None] = lambda number: None
) -> Archive:
    """Make the ledger of an export in a folder that has none, or finish an interrupted import of the same file.

    expected: hex digits that the genesis digest must begin with. Raises what `archive.check` raises,
    ExportOfAnotherChain, ImportTargetTaken, ImportUnfinished (of another file), ExportNotReproduced, BlockInvalid,
    LedgerBusy.
    """
    found = archive.check(source)
    if expected is not None and not found.genesis.digest.startswith(expected.lower()):
        raise ExportOfAnotherChain(found=found.genesis.digest[:16], expected=expected[:16])
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, found)
    with locked(folder), broken():
        store = Expecting(folder / LEDGER)
        try:
            _begin(store, found, folder)
            _run(store, found, source, progress)
            if found.clock_offset_seconds:
                store.set_meta(CLOCK_OFFSET, str(found.clock_offset_seconds))
            store.set_meta(IMPORT, None)
        finally:
            store.close()
    return found


def _claim(folder: Path, found: Archive) -> None:
    if (folder / GENESIS).exists():
        there = genesis.read(folder / GENESIS).digest
        if there != found.genesis.digest:
            raise ExportOfAnotherChain(found=found.genesis.digest[:16], expected=there[:16])
    else:
        genesis.write(found.genesis, folder / GENESIS)


def _begin(store: Store, found: Archive, folder: Path) -> None:
    begun = store.meta(IMPORT)
    if begun is None and store.head() is not None:
        raise ImportTargetTaken(folder=str(folder))
    if begun not in (None, found.sha256):
        raise ImportUnfinished(folder=str(folder), sha256=str(begun)[:16])
    store.set_meta(IMPORT, found.sha256)


def _run(store: Expecting, found: Archive, source: Path, progress: Callable[[int], None]) -> None:
    ledger, last = None, store.head()
    for block, header in archive.sealed(source):
        store.expected = block
        if ledger is None:
            ledger = Ledger(store, found.genesis)
        if last is not None and block.number <= last.number:
            _same(store, block)
        elif block.number:
            try:
                seal_again(ledger, block.transactions, block.number, int(header.time.timestamp()))
            except LedgerAltered as failure:
                raise ExportNotReproduced(number=block.number, what=str(failure.facts["what"])) from None
        progress(block.number)
    head = store.head()
    if head is None or head.hash != found.head:
        raise ExportNotReproduced(number=found.blocks - 1, what="hash at the end")


def _same(store: Store, block: SealedBlock) -> None:
    row = store.block(block.number)
    if row is None or row.header != block.header:
        raise ExportNotReproduced(number=block.number, what="header already imported")
