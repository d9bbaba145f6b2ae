"""Re-execution finds every altered row, and says which block."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.chain.errors import LedgerAltered
from sandbox.chain.evm import Ledger
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.store import Store
from sandbox.chain.verify import verify
from tests.contracts.alliance import Alliance
from tests.support.sandbox_chain import GENESIS, KEYS, START, local, wishes


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    alliance = Alliance()
    alliance.final()
    alliance.disputed("other_partner")
    yield alliance.ledger
    alliance.ledger.store.close()


def test_a_ledger_equals_its_transactions_run_again(ledger: Ledger) -> None:
    seen: list[int] = []
    assert verify(ledger, seen.append) == ledger.head().number + 1 == len(seen)


def test_blocks_of_many_transactions_are_run_again_as_such() -> None:
    with local(batch_seconds=0.05) as served:
        for key in KEYS.values():
            for raw in wishes(3, key=key):
                served.chain.send(raw)
        assert verify(served.ledger) == served.ledger.head().number + 1


LOG_COPY = "select number, 9, position, address, topic0, topics, data, tx from log where number = 4"
ALTERATIONS = {
    "a transaction's bytes": "update tx set raw = (select raw from tx where number = 3) where number = 4",
    "a transaction's status": "update tx set status = 1 - status where number = 4",
    "a transaction's gas": "update tx set gas_used = gas_used + 1 where number = 4",
    "a transaction's sender": "update tx set sender = zeroblob(20) where number = 4",
    "a transaction's recipient": "update tx set recipient = zeroblob(20) where number = 4",
    "a transaction's receipt": "update tx set receipt = x'c0' where number = 4",
    "a transaction's hash": "update tx set hash = zeroblob(32) where number = 4",
    "a transaction taken out": "delete from tx where number = 4",
    "a log's data": "update log set data = cast(x'00' || data as blob) where number = 4",
    "a log's topics": "update log set topics = zeroblob(length(topics)) where number = 4",
    "a log's index": "update log set topic0 = zeroblob(32) where number = 4",
    "a log's contract": "update log set address = zeroblob(20) where number = 4",
    "a log taken out": "delete from log where number = 4",
    "a log added": f"insert into log {LOG_COPY}",
    "a block's time": "update block set timestamp = timestamp + 1 where number = 4",
    "a block's hash": "update block set hash = zeroblob(32) where number = 4",
    "a block's header": "update block set header = (select header from block where number = 3) where number = 4",
    "a block taken out": "delete from block where number = 4",
}


@pytest.mark.parametrize("name", list(ALTERATIONS))
def test_an_altered_row_is_found(ledger: Ledger, name: str) -> None:
    connection = ledger.store._connection
    connection.execute("pragma foreign_keys=OFF")
    assert connection.execute(ALTERATIONS[name]).rowcount == 1
    with pytest.raises(LedgerAltered) as caught:
        verify(ledger)
    assert caught.value.facts["number"] == 4


def test_altered_state_is_found(ledger: Ledger) -> None:
    connection = ledger.store._connection
    connection.execute("update kv set value = cast(value || x'00' as blob) where key = (select max(key) from kv)")
    with pytest.raises(LedgerAltered, match="state data"):
        verify(ledger)


def test_added_state_is_found(ledger: Ledger) -> None:
    ledger.store._connection.execute("insert into kv values(x'00ff00', x'01')")
    with pytest.raises(LedgerAltered, match="state data"):
        verify(ledger)


def test_history_cut_at_the_end_runs_again_but_the_state_gives_it_away(ledger: Ledger) -> None:
    head = ledger.head().number
    connection = ledger.store._connection
    for table in ("log", "tx", "block"):
        connection.execute(f"delete from {table} where number = ?", (head,))
    with pytest.raises(LedgerAltered):
        verify(ledger)


def test_the_clock_runs_through_a_reopened_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = Sequencer(Ledger(Store(path), GENESIS), lambda: START + 10)
    assert first.advance(1_000) == START + 1_010
    first.stop()
    first.ledger.store.close()
    again = Sequencer(Ledger(Store(path), GENESIS), lambda: START + 20)
    assert again.time() == START + 1_020
    assert verify(again.ledger) == 2
    again.stop()
    again.ledger.store.close()
