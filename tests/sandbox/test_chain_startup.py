"""Before a chain serves, the end of its ledger must hold: what a crash or a hand may have left is found then."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.chain import startup
from sandbox.chain.admission import admit
from sandbox.chain.errors import LedgerAltered
from sandbox.chain.evm import Ledger
from sandbox.chain.store import Store
from tests.support.sandbox_chain import GENESIS, START, keeper_story, process, run


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(Store(tmp_path / "ledger.db"), GENESIS)
    for i, raw in enumerate(keeper_story([1, 2, 3, 4])[1]):
        assert made.seal([(raw, admit(raw, GENESIS))], START + 1 + i) == [None]
    yield made
    made.store.close()


def again(ledger: Ledger, sql: str) -> Ledger:
    """The ledger opened anew after a change by hand."""
    connection = ledger.store._connection
    connection.execute("pragma foreign_keys=OFF")
    assert connection.execute(sql).rowcount == 1
    ledger.store._cache.clear()
    return Ledger(ledger.store, GENESIS)


def test_a_ledger_that_holds_is_served(ledger: Ledger) -> None:
    startup.check(Ledger(ledger.store, GENESIS))


HAND = {
    "a block taken out": ("delete from block where number = 2", 5),
    "the newest block taken out": ("delete from block where number = 5", 4),
    "a block's header": ("update block set header = (select header from block where number = 1) where number = 3", 3),
    "a block's hash": ("update block set hash = zeroblob(32) where number = 3", 3),
    "a block's time": ("update block set timestamp = timestamp + 1 where number = 5", 5),
    "a transaction taken out": ("delete from tx where number = 4", 4),
    "a transaction's bytes": ("update tx set raw = (select raw from tx where number = 1) where number = 4", 4),
    "a receipt": ("update tx set receipt = (select receipt from tx where number = 1) where number = 4", 4),
}


@pytest.mark.parametrize("name", list(HAND))
def test_a_change_by_hand_is_found(ledger: Ledger, name: str) -> None:
    sql, number = HAND[name]
    with pytest.raises(LedgerAltered) as caught:
        startup.check(again(ledger, sql))
    assert caught.value.facts["number"] == number


ROOT_ROW = "id in (select id from place where prefix = {})"


def row_of(root: bytes) -> str:
    return ROOT_ROW.format(int.from_bytes(root[:4], "big", signed=True))


@pytest.mark.parametrize("value", ["x'00'", "x'c0'", "zeroblob(32)"])
def test_state_that_cannot_be_read_is_found(ledger: Ledger, value: str) -> None:
    root = ledger.header(5).state_root  # type: ignore[union-attr]
    with pytest.raises(LedgerAltered, match="state data of block 5"):
        startup.check(again(ledger, f"update node set stored = {value} where {row_of(root)}"))


def test_state_that_is_gone_is_found(ledger: Ledger) -> None:
    root = ledger.header(5).state_root  # type: ignore[union-attr]
    with pytest.raises(LedgerAltered, match="state data"):
        startup.check(again(ledger, f"delete from node where {row_of(root)}"))


def test_only_the_newest_blocks_are_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = again(ledger, HAND["a receipt"][0])
    monkeypatch.setattr(startup, "BLOCKS", 2)  # 4 and 5
    with pytest.raises(LedgerAltered):
        startup.check(altered)
    monkeypatch.setattr(startup, "BLOCKS", 1)
    startup.check(altered)


def test_a_chain_that_does_not_hold_is_not_served(ledger: Ledger, tmp_path: Path) -> None:
    from sandbox.chain import genesis

    genesis.write(GENESIS, tmp_path / "genesis.json")
    with process(tmp_path) as (_, ready):
        assert ready["head"] == 5
    again(ledger, HAND["a receipt"][0])
    done = run("serve", "--dir", str(tmp_path), "--port", "0")
    assert (done.returncode, done.stderr.split(":")[0]) == (5, "CHAIN_LEDGER_ALTERED")
    assert "block 4" in done.stderr
    assert "Traceback" not in done.stderr
