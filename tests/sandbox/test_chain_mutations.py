"""No byte of a ledger's file can be altered without `verify` naming it, or without every answer being the same."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.chain import archive, genesis, rows, startup, verify
from sandbox.chain.admission import admit
from sandbox.chain.errors import LedgerAltered, LedgerBroken
from sandbox.chain.evm import Ledger
from sandbox.chain.sequencer import CLOCK_OFFSET
from sandbox.chain.serve import GENESIS as GENESIS_FILE
from sandbox.chain.serve import LEDGER, opened, reading
from sandbox.chain.store import FORM, FORM_ONCE, FORM_WHOLE, Store
from tests.support.sandbox_chain import GENESIS, START, keeper_story

TABLES = ("block", "tx", "log", "kv", "node", "place")
EVERY = 151  # bytes of a column of which one is flipped


def begun(path: Path | None, form: str = FORM, calls: int = 2) -> Ledger:
    """The keeper of a word and calls of it, a block each."""
    made = Ledger(Store(path), GENESIS, form)
    for i, raw in enumerate(keeper_story([1, 2][:calls])[1]):
        made.seal([(raw, admit(raw, GENESIS))], START + 1 + i)
    return made


def altered(value: Any) -> Iterator[Any]:
    """Other values of a column; those that its table does not take are refused by SQLite."""
    yield None
    if isinstance(value, int):
        yield from (value + 1, -value - 1)
    elif isinstance(value, bytes):
        yield from (value + b"\0", value[:-1], value[:-4], b"")
        for i in {*range(0, len(value), EVERY), len(value) - 1} - {-1}:
            yield value[:i] + bytes([value[i] ^ 1]) + value[i + 1 :]
    else:
        yield from (0, b"\0")


@pytest.mark.parametrize("form", [FORM_WHOLE, FORM_ONCE, FORM])
def test_every_altered_column_of_every_row_is_found(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "second_engine", lambda _: None)
    ledger = begun(None, form, calls=1)
    run, missed, tried = ledger.store._connection, [], 0
    run.execute("pragma foreign_keys=OFF")
    for table, column, keys in columns(run):
        where = " and ".join(f"{name} = ?" for name in keys)
        for value, *at in run.execute(f"select {column}, {', '.join(keys)} from {table}").fetchall():
            for other in altered(value):
                if other == value or rows.unpacked(other) == rows.unpacked(value):
                    continue  # deflate writes some values in two ways
                run.execute("begin")
                try:
                    run.execute(f"update {table} set {column} = ? where {where}", (other, *at))
                except sqlite3.IntegrityError:
                    continue  # the table does not take it
                else:
                    tried += 1
                    missed += [] if found(ledger) else [(table, column, at, other)]
                finally:
                    run.execute("rollback")
    assert (missed, tried > 100) == ([], True)
    assert not found(ledger)
    ledger.store.close()


def columns(run: sqlite3.Connection) -> Iterator[tuple[str, str, list[str]]]:
    """(table, column, the table's key) of all columns that there are."""
    for table in TABLES:
        described = run.execute(f"pragma table_info({table})").fetchall()
        keys = [name for _, name, _, _, _, key in described if key] or ["rowid"]
        yield from ((table, name, keys) for _, name, *_ in described)


def found(ledger: Ledger) -> bool:
    try:
        verify.verify(ledger)
    except LedgerAltered:
        return True
    return False


@pytest.mark.parametrize("column", ["raw", "receipt"])
@pytest.mark.parametrize("change", [lambda data: data + b"hidden", lambda data: data[:-1], lambda data: data[:-4]])
def test_a_packed_value_with_something_behind_it_or_without_its_end_is_found(column: str, change: Any) -> None:
    ledger = begun(None)
    connection = ledger.store._connection
    ((stored,),) = connection.execute(f"select {column} from tx where number = 2").fetchall()
    assert stored[:1] == b"\x78"
    connection.execute(f"update tx set {column} = ? where number = 2", (change(stored),))
    with pytest.raises(LedgerAltered, match=r"transaction.* of block 2"):
        verify.verify(ledger)
    ledger.store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger that was stopped, its file whole."""
    genesis.write(GENESIS, tmp_path / GENESIS_FILE)
    ledger = begun(tmp_path / LEDGER)
    ledger.store._connection.execute("pragma wal_checkpoint(truncate)")
    ledger.store.close()
    return tmp_path


def test_an_index_that_does_not_lead_to_its_row_is_found(folder: Path) -> None:
    """Answers by hash or address come from an index: rows that are whole, but are not found, hide a transaction."""
    with opened(folder) as ledger:
        run = ledger.store._connection
        roots = dict(run.execute("select name, rootpage from sqlite_master where type = 'index'").fetchall())
        ((size,),) = run.execute("pragma page_size").fetchall()
        hashes = [tx.hash for number in range(4) for tx in ledger.store.txs(number)]
        ((log,),) = run.execute("select address from log limit 1").fetchall()
    kept = (folder / LEDGER).read_bytes()
    for name, wanted in {
        "sqlite_autoindex_tx_1": hashes[1],
        "log_by_address": log.to_bytes(4, "big", signed=True),
    }.items():
        at = kept.index(wanted, (roots[name] - 1) * size, roots[name] * size)
        (folder / LEDGER).write_bytes(kept[:at] + bytes([kept[at] ^ 0x40]) + kept[at + 1 :])
        with opened(folder) as ledger, pytest.raises(LedgerAltered, match=r"file .*index"):
            verify.verify(ledger)


@pytest.mark.parametrize("value", ["x", "[" * 100_000])
def test_a_genesis_in_the_ledger_that_is_no_document_is_a_broken_ledger(folder: Path, value: str) -> None:
    store = Store(folder / LEDGER)
    store.set_meta("genesis", value)
    store.close()
    with pytest.raises(LedgerBroken, match="genesis"), opened(folder):
        raise AssertionError("it was opened")


def test_a_clock_that_is_no_number_is_a_broken_ledger(folder: Path) -> None:
    store = Store(folder / LEDGER)
    store.set_meta(CLOCK_OFFSET, "soon")
    store.close()
    with opened(folder) as ledger, pytest.raises(LedgerBroken, match=CLOCK_OFFSET):
        startup.check(ledger)
    with reading(folder) as (store, begun_with), pytest.raises(LedgerBroken, match=CLOCK_OFFSET):
        archive.write(store, begun_with, folder / "chain.jsonl")
    assert not (folder / "chain.jsonl").exists()


def test_a_file_cut_anywhere_is_refused_or_found(folder: Path) -> None:
    kept = (folder / LEDGER).read_bytes()
    for size in [*range(4096, len(kept), 4096), *(len(kept) - n for n in (1, 100, 1000))]:
        (folder / LEDGER).write_bytes(kept[:size])
        with pytest.raises((LedgerAltered, LedgerBroken)), opened(folder) as ledger:
            verify.verify(ledger)
