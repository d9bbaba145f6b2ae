"""The forms of a ledger's file: each is served, verified and exported as it began, and all hold the same chain."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak

from benchmarks import chain_ledger
from sandbox.chain import archive, genesis, nodes, states
from sandbox.chain.errors import LedgerAltered, LedgerBroken
from sandbox.chain.evm import Ledger
from sandbox.chain.logs import IndexedLogs
from sandbox.chain.restore import restore
from sandbox.chain.rows import LogRow
from sandbox.chain.serve import GENESIS as GENESIS_FILE
from sandbox.chain.serve import LEDGER, opened, reading
from sandbox.chain.store import FORM, FORM_ONCE, FORM_WHOLE, Store
from sandbox.chain.verify import seal_again, verify
from tests.contracts.alliance import Alliance
from tests.contracts.rig import GENESIS

OLDER = (FORM_WHOLE, FORM_ONCE)
Alter = Callable[[Any], Any]


@pytest.fixture(scope="module")
def source() -> Iterator[Ledger]:
    """A settlement contract with statements in several states, in the present form."""
    alliance = Alliance()
    alliance.final()
    alliance.disputed("other_partner")
    yield alliance.ledger
    alliance.ledger.store.close()


def again(source: Ledger, form: str, path: Path | None = None) -> Ledger:
    """The same blocks in a ledger of this form."""
    made = Ledger(Store(path), source.genesis, form)
    for number in range(1, source.head().number + 1):
        block = source.store.block(number)
        assert block is not None
        seal_again(made, [tx.raw for tx in source.store.txs(number)], number, block.timestamp)
    return made


@pytest.fixture
def ledger(source: Ledger) -> Iterator[Ledger]:
    made = again(source, FORM)
    yield made
    made.store.close()


# --- the same chain ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", OLDER)
def test_every_form_gives_the_same_answers(source: Ledger, form: str) -> None:
    other = again(source, form)
    assert (other.form, source.form) == (form, FORM)
    contract = source.store.txs(1)[0].contract
    assert contract is not None
    for number in range(source.head().number + 1):
        assert other.store.block(number) == source.store.block(number)
        assert other.store.txs(number) == source.store.txs(number)
        assert other.store.block_logs(number) == source.store.block_logs(number)
        at = source.header(number)
        assert other.proof(contract, range(12), at) == source.proof(contract, range(12), at)
        for tx in source.store.txs(number):
            assert other.store.tx_logs(tx.hash) == source.store.tx_logs(tx.hash)
    assert asked(other) == asked(source)
    assert any(asked(source))
    other.store.close()


def asked(ledger: Ledger) -> list[list[LogRow]]:
    """Logs by address and first topic, one of them unknown, and no more than some."""
    head, all_logs = ledger.head().number, ledger.store.logs(0, 1_000, (), (), 1_000)
    address, topics = all_logs[0].address, sorted({log.topic0 for log in all_logs if log.topic0})
    questions: list[tuple[int, int, tuple, tuple, int]] = [
        (0, head, (address,), (), 1_000),
        (0, head, (address, bytes(20)), (topics[0],), 1_000),
        (0, head, (), tuple(topics[:2]), 1_000),
        (0, head, (bytes(20),), (), 1_000),
        (2, head - 1, (address,), (topics[-1], bytes(32)), 1_000),
        (0, head, (), (), 3),
        (0, head, (address,), tuple(topics), 2),
    ]
    return [all_logs, *(ledger.store.logs(*question) for question in questions)]


@pytest.mark.parametrize("form", OLDER)
def test_an_older_ledger_is_opened_in_its_form_goes_on_and_holds(source: Ledger, form: str, tmp_path: Path) -> None:
    again(source, form, tmp_path / LEDGER).store.close()
    genesis.write(GENESIS, tmp_path / GENESIS_FILE)
    with opened(tmp_path) as ledger:
        assert ledger.form == form
        ledger.seal((), ledger.head().timestamp + 1)
        assert verify(ledger).transactions == source.store.count("tx")
    with reading(tmp_path) as (store, begun):
        archive.write(store, begun, tmp_path / "chain.jsonl")
    restore(tmp_path / "chain.jsonl", tmp_path / "taken")
    with opened(tmp_path / "taken") as taken, opened(tmp_path) as ledger:
        assert taken.form == FORM
        assert taken.head() == ledger.head()
        assert verify(taken) == verify(ledger)


@pytest.mark.parametrize("form", OLDER)
@pytest.mark.parametrize(
    "sql",
    [
        "update log set topic0 = zeroblob(32) where number = 4",
        "update log set data = cast(x'00' || data as blob) where number = 4",
        "update log set tx = zeroblob(32) where number = 4",
    ],
)
def test_an_altered_log_of_an_older_ledger_is_found(source: Ledger, form: str, sql: str) -> None:
    ledger = again(source, form)
    assert ledger.store._connection.execute(sql).rowcount == 1
    with pytest.raises(LedgerAltered, match="logs of block 4"):
        verify(ledger)
    ledger.store.close()


@pytest.mark.parametrize(
    "sql",
    [
        "update kv set value = cast(value || x'00' as blob) where key = (select max(key) from kv)",
        "insert into kv values(x'00ff00', x'01')",
        "insert into kv values(x'', x'01')",
        "delete from kv where key = (select max(key) from kv)",
    ],
    ids=["altered", "added", "added without a key", "taken out"],
)
def test_altered_data_of_an_older_ledger_is_found(source: Ledger, sql: str) -> None:
    ledger = again(source, FORM_ONCE)
    assert ledger.store._connection.execute(sql).rowcount == 1
    with pytest.raises(LedgerAltered, match="state data"):
        verify(ledger)
    ledger.store.close()


def test_a_form_that_is_not_known_is_not_opened(tmp_path: Path) -> None:
    first = Store(tmp_path / LEDGER)
    Ledger(first, GENESIS)
    first.set_meta("form", "99")
    first.close()
    again = Store(tmp_path / LEDGER)
    with pytest.raises(LedgerBroken, match="form 99"):
        Ledger(again, GENESIS)
    again.close()


def test_a_start_that_was_interrupted_in_an_older_form_begins_in_the_present_one() -> None:
    store = Store(None)
    store.begin(FORM_ONCE)
    assert Ledger(store, GENESIS).form == FORM
    store.close()


def test_data_without_a_block_is_not_begun_over(ledger: Ledger) -> None:
    connection = ledger.store._connection
    connection.execute("pragma foreign_keys=OFF")
    for table in ("log", "tx", "block"):
        connection.execute(f"delete from {table}")
    before = list(ledger.store.data_rows())
    with pytest.raises(LedgerBroken, match="no block"):
        Ledger(ledger.store, GENESIS)
    assert list(ledger.store.data_rows()) == before


# --- differences ------------------------------------------------------------------------------------------------------


def stored(ledger: Ledger) -> dict[int, bytes]:
    return dict(ledger.store._connection.execute("select id, stored from node"))


def newest_difference(ledger: Ledger) -> int:
    return max(row for row, form in stored(ledger).items() if form[0])


def put(ledger: Ledger, row: int, form: bytes | None) -> None:
    connection = ledger.store._connection
    if form is None:
        done = connection.execute("delete from node where id = ?", (row,))
    else:
        done = connection.execute("update node set stored = ? where id = ?", (form, row))
    assert done.rowcount == 1


def test_two_ledgers_of_the_same_blocks_have_equal_rows(source: Ledger, ledger: Ledger) -> None:
    assert list(ledger.store.data_rows()) == list(source.store.data_rows())


def test_no_byte_of_a_stored_difference_can_be_altered_and_read(ledger: Ledger) -> None:
    row = newest_difference(ledger)
    kept = stored(ledger)[row]
    key = keccak(nodes.decode(row, stored(ledger).get))
    assert ledger.store.on_disk(key) is not None
    for place in range(len(kept)):
        put(ledger, row, kept[:place] + bytes([kept[place] ^ 0x41]) + kept[place + 1 :])
        assert ledger.store.on_disk(key) is None


def _base(ledger: Ledger) -> int:
    row = newest_difference(ledger)
    return row - int.from_bytes(stored(ledger)[row][1:4], "big")


ALTERED: dict[str, Callable[[Ledger], None]] = {
    "a difference's last byte": lambda ledger: put(
        ledger, newest_difference(ledger), stored(ledger)[newest_difference(ledger)][:-1] + b"\xaa"
    ),
    "a difference to itself": lambda ledger: put(
        ledger, newest_difference(ledger), b"\1\0\0\0" + stored(ledger)[newest_difference(ledger)][4:]
    ),
    "a difference whose base is gone": lambda ledger: put(ledger, _base(ledger), None),
    "a difference kept whole": lambda ledger: put(
        ledger,
        newest_difference(ledger),
        b"\0" + nodes.decode(newest_difference(ledger), stored(ledger).get),
    ),
}
SQL = {
    "a row of no block": "insert into node select max(id) + 1, stored from node",
    "a place of no row": "insert into place values(0, 1000000)",
    "a second place of a row": "insert into place select prefix - 1, id from place order by id limit 1",
    "a place taken out": "delete from place where id = (select max(id) from place)",
    "a setting of py-evm's": "update kv set value = cast(value || x'00' as blob) where key = (select max(key) from kv)",
    "a key added": "insert into kv values(x'', x'01')",
}


@pytest.mark.parametrize("name", list(ALTERED))
def test_an_altered_difference_is_found(ledger: Ledger, name: str) -> None:
    ALTERED[name](ledger)
    with pytest.raises(LedgerAltered, match="state data"):
        verify(ledger)


@pytest.mark.parametrize("name", list(SQL))
def test_an_altered_row_of_the_data_is_found(ledger: Ledger, name: str) -> None:
    assert ledger.store._connection.execute(SQL[name]).rowcount == 1
    with pytest.raises(LedgerAltered, match="state data"):
        verify(ledger)


@pytest.mark.parametrize(
    "sql",
    [
        "update log set address = address - 1 where number = 4",
        "update log set topic = null where number = 4",
        "update log set place = place + 1 where number = 4",
        "update log set position = position + 1 where number = 4",
    ],
)
def test_an_altered_index_of_a_log_is_found(ledger: Ledger, sql: str) -> None:
    assert ledger.store._connection.execute(sql).rowcount == 1
    with pytest.raises(LedgerAltered, match="logs of block 4"):
        verify(ledger)


@pytest.mark.parametrize("sql", ["update log set place = 9", "update tx set receipt = x'c0'"])
def test_a_log_that_its_receipt_has_not_is_told_by_its_block(ledger: Ledger, sql: str) -> None:
    assert ledger.store._connection.execute(sql + " where number = 4").rowcount == 1
    with pytest.raises(LedgerAltered, match="logs of block 4"):
        ledger.store.block_logs(4)


def test_hashes_that_begin_alike_are_told_apart(source: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_prefix", lambda key: key[0] & 1)
    ledger = again(source, FORM)
    assert ledger.store._connection.execute("select count(distinct prefix) from place").fetchone() == (2,)
    assert verify(ledger).blocks == source.head().number + 1
    ledger.store.close()


def test_logs_whose_addresses_and_topics_have_equal_checksums_are_told_apart(
    source: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asked(source)
    monkeypatch.setattr(IndexedLogs, "_key", staticmethod(lambda value: 0))
    ledger = again(source, FORM)
    assert asked(ledger) == expected
    ledger.store.close()


def test_the_states_of_settlements_take_less_than_half_of_the_form_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_ledger, "PARTNERS", 6)
    chain_ledger.settled(tmp_path / "made", rounds=8)
    with opened(tmp_path / "made") as ledger:
        before = again(ledger, FORM_ONCE)
        assert data_bytes(ledger) < 0.5 * data_bytes(before)
        before.store.close()
        assert max(form[0] for form in stored(ledger).values()) == nodes.STEPS_MAX


def data_bytes(ledger: Ledger) -> int:
    return sum(len(value) for row in ledger.store.data_rows() for value in row[1:] if isinstance(value, bytes))
