"""Runs a ledger again from its genesis and raw transactions, and compares everything stored with the result.

It finds any row that was altered and the others not; a history that was rewritten as a whole has other block hashes,
which the checkpoints that partners co-signed give away.
"""

import sqlite3
from collections.abc import Callable, Sequence

from privacy.errors import Failure
from sandbox.chain import admission
from sandbox.chain.errors import LedgerAltered
from sandbox.chain.evm import Ledger
from sandbox.chain.store import BlockRow, LogRow, Store, TxRow


def verify(ledger: Ledger, progress: Callable[[int], None] = lambda number: None) -> int:
    """Re-execute all blocks; returns their number. Raises LedgerAltered at the first difference."""
    again = Ledger(Store(None), ledger.genesis)
    try:
        return _verify(ledger, again, progress)
    except sqlite3.DatabaseError as error:
        raise LedgerAltered(what=f"file ({error})", number=again.head().number) from None
    finally:
        again.store.close()


def _verify(ledger: Ledger, again: Ledger, progress: Callable[[int], None]) -> int:
    stored = ledger.store
    end = ledger.head().number
    for number in range(end + 1):
        row = stored.block(number)
        if row is None:
            raise LedgerAltered(what="row (missing)", number=number)
        if number:
            _seal_again(again, stored.txs(number), row)
        _compare(again.store, stored, number)
        progress(number)
    _compare_entries(again.store.entries(), stored.entries(), end)
    return end + 1


def _seal_again(again: Ledger, txs: Sequence[TxRow], row: BlockRow) -> None:
    if row.timestamp <= again.head().timestamp:
        raise LedgerAltered(what="timestamp", number=row.number)
    try:
        batch = [(tx.raw, admission.admit(tx.raw, again.genesis)) for tx in txs]
    except Failure as failure:
        raise LedgerAltered(what=f"transaction ({failure.code})", number=row.number) from None
    if any(again.seal(batch, row.timestamp)):
        raise LedgerAltered(what="transaction order", number=row.number)


def _compare(again: Store, stored: Store, number: int) -> None:
    found: Sequence[tuple[str, Sequence[BlockRow | TxRow | LogRow | None], Sequence[BlockRow | TxRow | LogRow | None]]]
    found = [
        ("transactions", again.txs(number), stored.txs(number)),
        ("logs", again.block_logs(number), stored.block_logs(number)),
        ("hash, time or header", [again.block(number)], [stored.block(number)]),
    ]
    for what, expected, actual in found:
        if list(expected) != list(actual):
            raise LedgerAltered(what=what, number=number)


def _compare_entries(again: dict[bytes, bytes], stored: dict[bytes, bytes], number: int) -> None:
    if again != stored:
        raise LedgerAltered(what="state data up to the end", number=number)
