"""Runs a ledger again from its genesis and raw transactions, and compares everything stored with the result.

Headers, receipts, logs and the index's columns are compared block by block, and with them every entry of the EVM's data
that the block wrote and that its own hash names (trie nodes, code). What later blocks overwrite, rows that belong to no
block, and the file's indexes are compared at the end. The second EVM, where it is installed, must reach the same
statuses and logs.

It finds any row that was altered and the others not; a history that was rewritten as a whole has other block hashes,
which the checkpoints that partners co-signed give away.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from contracts.keys import checksum
from privacy.errors import Failure
from sandbox.chain import admission
from sandbox.chain.errors import EnginesDisagree, LedgerAltered
from sandbox.chain.evm import Ledger
from sandbox.chain.genesis import Genesis
from sandbox.chain.rows import BlockRow, LogRow, TxRow
from sandbox.chain.store import TABLES, Store

if TYPE_CHECKING:
    from sandbox.chain.replay import Replay

Row = BlockRow | TxRow | tuple[object, ...] | None
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What held. `engines`: the EVMs that agree."""

    blocks: int
    transactions: int
    engines: tuple[str, ...]


class Recording(Store):
    """A store that remembers what its last block wrote."""

    written: Mapping[bytes, bytes | None]

    def commit(
        self,
        entries: Mapping[bytes, bytes | None],
        older: Mapping[bytes, bytes],
        block: BlockRow,
        txs: Sequence[TxRow],
        logs: Sequence[LogRow],
    ) -> None:
        super().commit(entries, older, block, txs, logs)
        self.written = entries


def verify(ledger: Ledger, progress: Progress = lambda number: None) -> Verified:
    """Re-execute all blocks and compare. Raises LedgerAltered or EnginesDisagree at the first difference.

    Memory is bounded: the second copy is a temporary file as large as the ledger's.
    """
    done = -1

    def told(number: int) -> None:
        nonlocal done
        done = number
        progress(number)

    with rerun(ledger) as again:
        try:
            return _verify(ledger, again, second_engine(ledger.genesis), told)
        except sqlite3.DatabaseError as error:
            raise LedgerAltered(what=f"file ({error})", number=done + 1) from None


@contextmanager
def rerun(ledger: Ledger) -> Iterator[Ledger]:
    """A fresh ledger of the same genesis and form in a temporary file; its store is a `Recording`."""
    with tempfile.TemporaryDirectory(prefix="ecohub-chain-") as folder:
        store = Recording(Path(folder) / "again.db", durable=False)
        try:
            yield Ledger(store, ledger.genesis, ledger.form)
        finally:
            store.close()


def second_engine(begun: Genesis) -> "Replay | None":
    """The second EVM; None where its package is not installed, which `Verified.engines` shows."""
    try:
        from sandbox.chain.replay import Replay
    except ModuleNotFoundError as error:
        if error.name != "pyrevm":
            raise
        return None
    return Replay(begun)


def _verify(ledger: Ledger, again: Ledger, second: "Replay | None", progress: Progress) -> Verified:
    stored, end, count = ledger.store, ledger.head().number, 0
    for number in range(end + 1):
        row = stored.block(number)
        if row is None:
            raise LedgerAltered(what="row (missing)", number=number)
        txs = stored.txs(number)
        if number:
            seal_again(again, [tx.raw for tx in txs], row.number, row.timestamp)
        _compare(again.store, stored, number)
        if number and second is not None:
            compare_engines(second, again.store, number)
        count += len(txs)
        progress(number)
    _compare_rest(again.store, stored, end)
    return Verified(blocks=end + 1, transactions=count, engines=("py-evm", "revm") if second else ("py-evm",))


def seal_again(again: Ledger, raws: Sequence[bytes], number: int, timestamp: int) -> None:
    """Seal raw transactions as block `number`. Raises LedgerAltered where the chain would not have taken them."""
    if timestamp <= again.head().timestamp:
        raise LedgerAltered(what="timestamp", number=number)
    try:
        batch = [(raw, admission.admit(raw, again.genesis)) for raw in raws]
    except Failure as failure:
        raise LedgerAltered(what=f"transaction ({failure.code})", number=number) from None
    if any(again.seal(batch, timestamp)):
        raise LedgerAltered(what="transaction order", number=number)


def compare_engines(second: "Replay", first: Store, number: int) -> None:
    """Run a block in the second EVM too. Raises EnginesDisagree unless status, contract and logs are the same."""
    from sandbox.chain.replay import ReplayBlock

    row, txs = first.block(number), first.txs(number)
    assert row is not None, "the block was just run"
    time = datetime.fromtimestamp(row.timestamp, UTC)
    block = ReplayBlock(number=number, time=time, transactions=tuple(tx.raw for tx in txs))
    for position, (tx, replayed) in enumerate(zip(txs, second.run(block), strict=True)):
        contract = checksum(tx.contract) if tx.contract and tx.status else None
        logs = [(checksum(log.address), log.topics, log.data) for log in first.tx_logs(tx.hash)]
        found = [(log.address, b"".join(log.topics), log.data) for log in replayed.logs]
        pairs = {
            "status": (replayed.succeeded, bool(tx.status)),
            "contract": (replayed.contract, contract),
            "logs": (found, logs),
        }
        for what, (theirs, ours) in pairs.items():
            if theirs != ours:
                raise EnginesDisagree(what=what, position=position, number=number)


def _compare(again: Store, stored: Store, number: int) -> None:
    assert isinstance(again, Recording)
    found: Sequence[tuple[str, Sequence[Row], Sequence[Row]]] = [
        ("transactions", again.txs(number), stored.txs(number)),
        ("logs", again.log_rows(number), stored.log_rows(number)),
        ("hash, time or header", [again.block(number)], [stored.block(number)]),
    ]
    for what, expected, actual in found:
        if list(expected) != list(actual):
            raise LedgerAltered(what=what, number=number)
    for key, value in again.written.items():
        if value is not None and key == keccak(value) and stored.on_disk(key) != value:
            raise LedgerAltered(what="state data", number=number)


def _compare_rest(again: Store, stored: Store, end: int) -> None:
    for expected, actual in zip_longest(again.data_rows(), stored.data_rows()):
        if expected != actual:
            raise LedgerAltered(what="state data up to the end", number=end)
    for table in TABLES:
        if stored.count(table) != again.count(table):
            raise LedgerAltered(what=f"rows of table {table} that are no block's, up to the end", number=end)
    if found := stored.unsound():  # rows are read above by number alone: who asks by hash or address reads an index
        raise LedgerAltered(what=f"file ({found}), up to the end", number=end)
