"""Re-execution finds every altered row, and says which block."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from privacy import canonical
from sandbox.chain.admission import admit
from sandbox.chain.errors import EnginesDisagree, LedgerAltered
from sandbox.chain.evm import Ledger
from sandbox.chain.sequencer import Sequencer
from sandbox.chain.store import FORM_ONCE, FORM_WHOLE, Store
from sandbox.chain.verify import verify
from tests.contracts.alliance import Alliance
from tests.support.sandbox_chain import GENESIS, KEYS, START, keeper_story, local, wishes


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    alliance = Alliance()
    alliance.final()
    alliance.disputed("other_partner")
    yield alliance.ledger
    alliance.ledger.store.close()


def test_a_ledger_equals_its_transactions_run_again(ledger: Ledger) -> None:
    seen: list[int] = []
    found = verify(ledger, seen.append)
    assert found.blocks == ledger.head().number + 1 == len(seen)
    assert found.transactions == ledger.store.count("tx")
    assert found.engines == ("py-evm", "revm")


def test_blocks_of_many_transactions_are_run_again_as_such() -> None:
    with local(batch_seconds=0.05) as served:
        for key in KEYS.values():
            for raw in wishes(3, key=key):
                served.chain.send(raw)
        assert verify(served.ledger).blocks == served.ledger.head().number + 1


LOG_COPY = "select number, 9, position, place, address, topic from log where number = 4"
ALTERATIONS = {
    "a transaction's bytes": "update tx set raw = (select raw from tx where number = 3) where number = 4",
    "a transaction's status": "update tx set status = 1 - status where number = 4",
    "a transaction's gas": "update tx set gas_used = gas_used + 1 where number = 4",
    "a transaction's sender": "update tx set sender = zeroblob(20) where number = 4",
    "a transaction's recipient": "update tx set recipient = zeroblob(20) where number = 4",
    "a transaction's receipt": "update tx set receipt = x'c0' where number = 4",
    "a transaction's hash": "update tx set hash = zeroblob(32) where number = 4",
    "a transaction taken out": "delete from tx where number = 4",
    "a log's index": "update log set topic = 7 where number = 4",
    "a log's contract": "update log set address = 7 where number = 4",
    "a log's place": "update log set place = place + 1 where number = 4",
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


def _node(ledger: Ledger, key: bytes, stored: bytes | None) -> None:
    """Alter or take out the row of a trie node by hand."""
    connection = ledger.store._connection
    prefix = int.from_bytes(key[:4], "big", signed=True)
    ((row,),) = connection.execute("select id from place where prefix = ?", (prefix,)).fetchall()
    if stored is None:
        assert connection.execute("delete from node where id = ?", (row,)).rowcount == 1
    else:
        assert connection.execute("update node set stored = ? where id = ?", (stored, row)).rowcount == 1


@pytest.mark.parametrize("value", [b"\x00", None], ids=["altered", "taken out"])
@pytest.mark.parametrize("number", [1, 3, 4])
def test_state_altered_in_one_block_is_named_by_that_block(ledger: Ledger, number: int, value: bytes | None) -> None:
    header = ledger.header(number)
    assert header is not None
    assert header.state_root != ledger.header(number - 1).state_root  # type: ignore[union-attr]
    _node(ledger, header.state_root, value)
    with pytest.raises(LedgerAltered, match="state data") as caught:
        verify(ledger)
    assert caught.value.facts["number"] == number


def test_a_balance_of_the_genesis_altered_in_the_state_is_named_by_block_0() -> None:
    begun = Ledger(Store(None), GENESIS)
    _node(begun, begun.header(0).state_root, b"\x00")  # type: ignore[union-attr]
    with pytest.raises(LedgerAltered, match="state data") as caught:
        verify(begun)
    assert caught.value.facts["number"] == 0
    begun.store.close()


def test_balances_altered_in_genesis_file_and_ledger_alike_are_found_in_block_0(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = Ledger(Store(path), GENESIS)
    first.seal((), START + 5)
    richer = replace(GENESIS, alloc=((KEYS["broker"].address, 10**20),))
    first.store.set_meta("genesis", canonical.encode(richer.to_body()).decode())
    first.store.close()
    again = Ledger(Store(path), richer)
    with pytest.raises(LedgerAltered) as caught:
        verify(again)
    assert caught.value.facts["number"] == 0
    again.store.close()


TX_COPY = "select zeroblob(32), 999, 0, sender, recipient, status, gas_used, contract, raw, receipt from tx limit 1"


@pytest.mark.parametrize(
    "added",
    [
        f"insert into tx {TX_COPY}",
        "insert into log select 999, 0, 0, place, address, topic from log limit 1",
    ],
    ids=["transaction", "log"],
)
def test_a_row_of_no_block_is_found(ledger: Ledger, added: str) -> None:
    connection = ledger.store._connection
    connection.execute("pragma foreign_keys=OFF")
    assert connection.execute(added).rowcount == 1
    with pytest.raises(LedgerAltered, match="no block's"):
        verify(ledger)


def test_a_forged_block_at_the_end_is_found(ledger: Ledger) -> None:
    head = ledger.head().number
    ledger.store._connection.execute(
        "insert into block select number + 1, zeroblob(32), timestamp + 1, header from block where number = ?", (head,)
    )
    with pytest.raises(LedgerAltered) as caught:
        verify(ledger)
    assert caught.value.facts["number"] == head + 1


def test_a_damaged_file_is_an_altered_ledger_not_a_crash(ledger: Ledger) -> None:
    ledger.store._connection.execute("drop table log")
    with pytest.raises(LedgerAltered, match="file"):
        verify(ledger)


def test_engines_that_disagree_are_named(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.chain import replay

    honest = replay.Replay.run

    def turned(self: replay.Replay, block: replay.ReplayBlock) -> list[replay.Replayed]:
        done = honest(self, block)
        return [replace(one, succeeded=not one.succeeded) for one in done] if block.number == 4 else done

    monkeypatch.setattr(replay.Replay, "run", turned)
    with pytest.raises(EnginesDisagree, match=r"status.*block 4"):
        verify(ledger)


def test_without_the_second_engine_the_result_says_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sandbox.chain.replay", raising=False)
    monkeypatch.setitem(sys.modules, "pyrevm", None)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("sandbox.chain"), "replay", None, raising=False)
        assert verify(ledger).engines == ("py-evm",)


def test_a_ledger_of_the_form_before_is_served_verified_and_taken_over(tmp_path: Path) -> None:
    """Ledgers begun by earlier versions hold the EVM's data whole, no form, and receipts that are not packed."""
    raws = keeper_story([1, 2, 3])[1]
    forms = {"new": FORM_ONCE, "old": FORM_WHOLE}
    ledgers = [Ledger(Store(tmp_path / name), GENESIS, form) for name, form in forms.items()]
    for ledger in ledgers:
        for i, raw in enumerate(raws[:3]):
            ledger.seal([(raw, admit(raw, GENESIS))], START + 1 + i)
    new, old = ledgers
    for tx in (tx for number in range(1, 4) for tx in old.store.txs(number)):
        old.store._connection.execute(
            "update tx set raw = ?, receipt = ? where hash = ?", (tx.raw, tx.receipt, tx.hash)
        )
    old.store.set_meta("form", None)
    old.store.close()
    again = Ledger(Store(tmp_path / "old"), GENESIS)
    assert (again.form, new.form) == (FORM_WHOLE, FORM_ONCE)
    again.seal([(raws[3], admit(raws[3], GENESIS))], START + 9)
    new.seal([(raws[3], admit(raws[3], GENESIS))], START + 9)
    assert verify(again) == verify(new)
    assert again.head() == new.head()
    assert again.store.txs(2) == new.store.txs(2)
    assert len(list(again.store.data_rows())) > len(list(new.store.data_rows()))
    again.store.close()
    new.store.close()


def test_a_packed_receipt_that_was_altered_is_found(ledger: Ledger) -> None:
    for receipt in (b"\x78", b"\x78\x9c" + b"\xff" * 20, b""):
        ledger.store._connection.execute("update tx set receipt = ? where number = 3", (receipt,))
        with pytest.raises(LedgerAltered, match="transactions of block 3"):
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
    assert verify(again.ledger).blocks == 2
    again.stop()
    again.ledger.store.close()
