"""The same client and the same hub on a chain of another make (Foundry's anvil), by nothing but another endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import export, settlement, transactions
from contracts.chain import Chain
from contracts.errors import ChainRefused, MethodNotOffered, ReceiptTimeout, WrongChain
from contracts.keys import parse_address
from hub import settlement_chain
from hub.chain_errors import ChainSetBack
from hub.store_ledger import DONE
from tests.hub.settling import Settling, settling
from tests.hub.test_chain_outbox import chain_events, crash, intents
from tests.support.anvil import anvil
from tests.support.sandbox_chain import CHAIN_ID, KEYS, WINDOW, keeper_story, run, wishes

SUBMITTER = KEYS["submitter"]


@pytest.fixture
def chain() -> Iterator[Chain]:
    with anvil() as endpoint, Chain(endpoint, CHAIN_ID) as one:
        yield one


def test_transactions_receipts_calls_and_logs_are_as_on_the_sandbox_chain(chain: Chain) -> None:
    contract, raws = keeper_story([7, 0, 9])
    sent = [chain.send(raw) for raw in raws]
    assert [chain.send(raw) for raw in raws] == sent  # the same bytes again are fine
    receipts = [chain.receipt(tx) for tx in sent]
    assert receipts[0].contract == contract
    assert [receipt.block for receipt in receipts] == [1, 2, 3, 4]
    assert chain.nonce(SUBMITTER.address) == chain.nonce(SUBMITTER.address, "latest") == 4
    assert [int.from_bytes(chain.call(contract, b"", number), "big") for number in (2, 3, 4)] == [7, 0, 9]
    assert [int.from_bytes(log.topics[0], "big") for log in chain.logs(contract, 0, 4)] == [7, 0, 9]
    other = transactions.sign(
        to=SUBMITTER.address, data=b"", nonce=0, chain_id=CHAIN_ID, gas=50_000, gas_price=0, key=SUBMITTER
    )[0]
    with pytest.raises(ChainRefused):
        chain.send(other)
    with pytest.raises(MethodNotOffered):
        chain.advance_time(1)


def test_another_chain_number_is_refused(chain: Chain) -> None:
    with Chain(chain._client.endpoint, CHAIN_ID + 1) as wrong, pytest.raises(WrongChain):
        wrong.head()


def test_its_blocks_are_rebuilt_to_the_byte(chain: Chain) -> None:
    for raw in keeper_story([1, 2])[1]:
        chain.ask("evm_increaseTime", 5)  # anvil would seal several blocks in one second, which no other chain does
        chain.receipt(chain.send(raw))
    found = export.export_standard(chain, 0, 3)
    assert [len(block.transactions) for block in found] == [0, 1, 1, 1]
    assert found[1].transactions == (keeper_story([])[1][0],)


def test_a_chain_that_charges_takes_the_price_of_the_settings() -> None:
    price = 10**9
    with anvil(gas_price=price) as endpoint:
        with Chain(endpoint, CHAIN_ID) as free, pytest.raises(ChainRefused):
            free.send(wishes(1)[0])
        with Chain(endpoint, CHAIN_ID, gas_price=price) as paying:
            paying.ask("anvil_setBalance", SUBMITTER.address, hex(10**18))
            raw, transaction = paying.sign(SUBMITTER.address, b"", 0, SUBMITTER.secret)
            paying.send(raw)
            assert paying.receipt(transaction).succeeded


def test_the_governors_commands_deploy_on_a_chain_that_charges(tmp_path: Path) -> None:
    price, key = 10**9, tmp_path / "governor.key"
    KEYS["governor"].write(key)
    roles = ("--broker", KEYS["broker"].address, "--arbiter", KEYS["arbiter"].address, "--window-seconds", str(WINDOW))
    with anvil(gas_price=price) as endpoint, Chain(endpoint, CHAIN_ID) as chain:
        chain.ask("anvil_setBalance", KEYS["governor"].address, hex(10**18))
        where = ("--endpoint", endpoint, "--chain-id", str(CHAIN_ID), "--key", str(key))
        refused = run("deploy-settlement", *where, *roles)
        assert refused.stderr.startswith("CHAIN_REFUSED: "), refused.stderr
        done = run("deploy-settlement", *where, "--gas-price", str(price), *roles)
        assert done.returncode == 0, done.stderr
        contract = parse_address(json.loads(done.stdout)["contract"])
        assert settlement.deployment(chain, contract).broker == KEYS["broker"].address


def test_a_transaction_counts_after_its_confirmations() -> None:
    with (
        anvil() as endpoint,
        Chain(endpoint, CHAIN_ID, confirmations=2, receipt_seconds=0.5) as later,
    ):
        transaction = later.send(wishes(1)[0])
        with pytest.raises(ReceiptTimeout):
            later.receipt(transaction)
        later.ask("evm_mine")
        later.ask("evm_mine")
        assert (later.receipt(transaction).block, later.head()) == (1, 1)


@pytest.fixture
def month(tmp_path: Path, chain: Chain) -> Iterator[Settling]:
    """A month agreed on the sandbox chain, whose transactions, the same bytes, were sent to anvil; there it settles."""
    with settling(tmp_path) as made:
        made.report_october()
        store = made.chain.ledger.store
        for number in range(1, made.chain.ledger.head().number + 1):
            for tx in store.txs(number):
                chain.receipt(chain.send(tx.raw))
        sandbox, made.chain.chain = made.chain.chain, chain
        yield made
        made.chain.chain = sandbox


def test_a_statement_is_settled_by_the_hub_on_another_chain(month: Settling, chain: Chain) -> None:
    record = month.confirmed()
    assert month.settle(record) == "PROPOSED"
    chain.ask("evm_increaseTime", WINDOW)
    chain.ask("evm_mine")
    assert month.settle(record) == "FINAL"
    assert chain_events(month) == ["Proposed", "Finalised"]
    assert [i.state for i in intents(month)] == [DONE, DONE]


@pytest.mark.parametrize("place", ["chain.intent", "send", "receipt"])
def test_a_crash_on_another_chain_settles_once(month: Settling, place: str) -> None:
    record = month.confirmed()
    crash(month, record, place, "after")
    settlement_chain.resume(month.services)
    assert chain_events(month) == ["Proposed"]
    assert [i.state for i in intents(month)] == [DONE]


def test_a_chain_that_was_set_back_is_noticed(month: Settling, chain: Chain) -> None:
    record = month.confirmed()
    mark = chain.ask("evm_snapshot")
    month.settle(record)
    assert chain.ask("evm_revert", mark) is True
    with pytest.raises(ChainSetBack):
        month.settle(record)
