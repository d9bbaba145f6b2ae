"""A full disk, a locked file, a damaged file: a clear error, no half block, and on it goes once the cause is gone."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from contracts.errors import ChainUnavailable
from contracts.keys import checksum
from sandbox.chain import errors, genesis, store
from sandbox.chain.evm import Ledger
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.serve import GENESIS as GENESIS_FILE
from sandbox.chain.serve import LEDGER, opened, reading
from sandbox.chain.store import TABLES, Store
from sandbox.chain.verify import verify
from tests.support.sandbox_chain import GENESIS, KEYS, START, keeper_story, local, run, wishes

SUBMITTER = KEYS["submitter"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "_LOCK_SECONDS", 0.05)
    return tmp_path / "ledger.db"


@pytest.fixture
def one(path: Path) -> Iterator[Sequencer]:
    made = Sequencer(Ledger(Store(path), GENESIS), lambda: START + 100)
    yield made
    made.stop()
    made.ledger.store.close()


def whole(one: Sequencer) -> object:
    kept = one.ledger.store
    return kept.head(), list(kept.data_rows()), list(map(kept.count, TABLES))


@contextmanager
def full(kept: Store, spare: int) -> Iterator[None]:
    """A disk with so many pages left."""
    connection = kept._connection
    pages = connection.execute("pragma page_count").fetchone()[0]
    connection.execute(f"pragma max_page_count = {pages + spare}")
    yield
    connection.execute("pragma max_page_count = 1000000")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program in the middle of a write."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    yield
    other.execute("rollback")
    other.close()


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 5, 8])
def test_a_full_disk_leaves_no_half_block_and_the_same_bytes_go_in_later(one: Sequencer, spare: int) -> None:
    _, raws = keeper_story(range(1, 200))
    one.submit(raws[0])
    sent = 1
    with full(one.ledger.store, spare):
        while True:
            before = whole(one)
            try:
                one.submit(raws[sent])
            except errors.LedgerFull:
                break
            sent += 1
        assert whole(one) == before
        with pytest.raises(errors.LedgerFull, match="make space"):
            one.submit(raws[sent])
        assert one.error is None
        assert one.ledger.store.head().number == sent  # type: ignore[union-attr]
    for raw in raws[sent : sent + 2]:
        one.submit(raw)
    assert verify(one.ledger).transactions == sent + 2


def test_a_block_of_many_is_left_out_as_a_whole_where_the_disk_is_full(one: Sequencer) -> None:
    raws = wishes(40)
    before = whole(one)
    from sandbox.chain.admission import admit

    with full(one.ledger.store, 1), pytest.raises(errors.LedgerFull):
        one.ledger.seal([(raw, admit(raw, GENESIS)) for raw in raws], START + 200)
    assert whole(one) == before
    assert one.ledger.seal([(raw, admit(raw, GENESIS)) for raw in raws], START + 201) == [None] * 40


def test_a_locked_file_is_told_and_the_same_bytes_go_in_later(one: Sequencer, path: Path) -> None:
    raws = wishes(2)
    one.submit(raws[0])
    before = whole(one)
    with locked(path), pytest.raises(errors.LedgerLocked, match="end it"):
        one.submit(raws[1])
    assert whole(one) == before
    one.submit(raws[1])
    assert verify(one.ledger).transactions == 2


def test_a_file_that_another_program_has_for_itself_is_not_opened(path: Path) -> None:
    Store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("pragma locking_mode = exclusive")
    other.execute("insert into meta values ('x', 'y')")
    with pytest.raises(errors.LedgerLocked):
        Store(path)
    other.close()
    assert Ledger(Store(path), GENESIS).head().number == 0


def test_the_clock_that_could_not_be_kept_did_not_move(one: Sequencer, path: Path) -> None:
    before = one.time()
    with locked(path), pytest.raises(errors.LedgerLocked):
        one.advance(1_000)
    assert one.time() == before


def test_a_sender_is_told_to_send_again_and_reads_go_on() -> None:
    with local() as served:
        key = SUBMITTER
        data = b"".join(keccak(bytes([i])) for i in range(256)) * 4  # packed, still more than the free part of a page
        raw, _ = served.chain.sign(key.address, data, 0, key.secret)
        with full(served.ledger.store, 0):
            with pytest.raises(ChainUnavailable, match="disk of the ledger is full"):
                served.chain.send(raw)
            assert served.chain.nonce(SUBMITTER.address) == 0
            assert served.chain.head() == 0
        served.chain.send(raw)
        assert served.chain.nonce(SUBMITTER.address) == 1


def test_a_new_ledger_on_a_full_disk_begins_when_there_is_space(path: Path) -> None:
    kept = Store(path)
    alloc = tuple(sorted((checksum(i.to_bytes(20, "big")), i) for i in range(1, 500)))
    many = replace(GENESIS, alloc=alloc)
    with full(kept, 0), pytest.raises(errors.LedgerFull):
        Ledger(kept, many)
    assert kept.head() is None
    assert Ledger(kept, many).head().number == 0
    kept.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, and long enough to show it" * 30, b"SQLite format 3\0" + b"\xff" * 4_000]
)
def test_a_file_that_is_no_ledger_is_told(tmp_path: Path, content: bytes) -> None:
    genesis.write(GENESIS, tmp_path / GENESIS_FILE)
    (tmp_path / LEDGER).write_bytes(content)
    for use in (opened, reading):
        with pytest.raises(errors.LedgerBroken, match="check the disk"), use(tmp_path):
            raise AssertionError("it was opened")
    done = run("verify", "--dir", str(tmp_path))
    assert (done.returncode, done.stderr.split(":")[0]) == (5, "CHAIN_LEDGER_BROKEN")


def test_a_ledger_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    genesis.write(GENESIS, tmp_path / GENESIS_FILE)
    with pytest.raises(errors.LedgerBroken), reading(tmp_path):
        raise AssertionError("it was opened")
    assert not (tmp_path / LEDGER).exists()


def test_a_reader_does_not_write(path: Path) -> None:
    first = Ledger(Store(path), GENESIS)
    reader = Store(path, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.set_meta("x", "y")
    first.seal((), START + 1)
    assert reader.head() == first.head()
    reader.close()
    first.store.close()


def test_a_committed_block_is_on_disk_before_its_sender_is_answered(path: Path) -> None:
    kept = Store(path)
    settings = [kept._connection.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]  # 2 is FULL: the log is synchronised at each commit
    kept.close()
