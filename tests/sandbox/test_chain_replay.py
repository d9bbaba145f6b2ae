"""Two EVMs, one truth: revm gives the statuses and logs that py-evm sealed; what admission refuses is refused again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contracts import abi, artifacts, blocks, settlement, transactions
from contracts.chain import Log
from contracts.errors import MalformedTransaction
from contracts.keys import ZERO_ADDRESS, checksum
from sandbox.chain.evm import Ledger
from sandbox.chain.genesis import Genesis
from sandbox.chain.replay import Replay, ReplayBlock, ReplayRefused, replay
from tests.contracts.alliance import GENESIS, KEYS, PARTNERS, Alliance
from tests.sandbox.test_chain_ledger import paying
from tests.support.sandbox_chain import GENESIS as FUNDED


def blocks_of(ledger: Ledger) -> list[ReplayBlock]:
    """What a bundle holds of each block."""
    found = []
    for number in range(1, ledger.head().number + 1):
        row = ledger.store.block(number)
        assert row is not None
        raws = tuple(tx.raw for tx in ledger.store.txs(number))
        found.append(ReplayBlock(number=number, time=datetime.fromtimestamp(row.timestamp, UTC), transactions=raws))
    return found


def assert_equal(ledger: Ledger) -> Replay:
    """Replay a ledger and compare every transaction's status, logs and new contract; the second EVM's final state."""
    done, evm = replay(ledger.genesis, blocks_of(ledger))
    sealed = [tx for number in range(ledger.head().number + 1) for tx in ledger.store.txs(number)]
    assert len(done) == len(sealed)
    for ours, theirs in zip(sealed, done, strict=True):
        receipt = blocks.decode_receipt(ours.receipt)
        assert (theirs.block, theirs.transaction) == (ours.number, "0x" + ours.hash.hex())
        assert (theirs.succeeded, theirs.logs) == (receipt.succeeded, receipt.logs)
        contract = ours.contract if receipt.succeeded else None
        assert theirs.contract == (None if contract is None else checksum(contract))
    return evm


@pytest.fixture
def alliance() -> Iterator[Alliance]:
    one = Alliance()
    yield one
    one.ledger.store.close()


def test_a_settled_ledger_replays_equal_and_its_contract_reads_equal(alliance: Alliance) -> None:
    final, disputed = alliance.final(), alliance.disputed("other_partner")
    for role, data in (
        ("broker", settlement.mark_paid_data(final, b"\x0e" * 32)),
        ("arbiter", settlement.resolve_data(disputed, True, b"\x0d" * 32)),
    ):
        alliance.send(role, data)
    with pytest.raises(Exception, match="not the governor"):
        alliance.send("stranger", settlement.pause_data())
    evm = assert_equal(alliance.ledger)
    for statement, state in ((final, "PAID"), (disputed, "VOID")):
        words = abi.words(
            evm.call(alliance.contract, abi.selector("record(bytes32)") + statement), settlement.RECORD_WORDS
        )
        assert settlement.STATES[abi.integer(words[1])] == alliance.state(statement) == state
    last = abi.selector("last(bytes32)") + PARTNERS["referrer"]
    assert evm.call(alliance.contract, last) == alliance.read(last)
    artifacts.load("Settlement").check_code(evm.code(alliance.contract), len(settlement.IMMUTABLES))
    assert evm.code(KEYS["broker"].address) == b""


def test_deployments_by_one_account_get_the_same_addresses(alliance: Alliance) -> None:
    broker, arbiter = KEYS["broker"].address, KEYS["arbiter"].address
    for governor in (KEYS["governor"].address, ZERO_ADDRESS, KEYS["governor"].address):  # the second one fails
        arguments = settlement.constructor_data(governor, broker, arbiter, 50)
        if governor == ZERO_ADDRESS:
            with pytest.raises(Exception, match="governor"):
                alliance.deploy(arguments)
        else:
            alliance.deploy(arguments)
    assert_equal(alliance.ledger)


def test_value_failed_calls_and_calls_out_of_gas_replay_equal() -> None:
    from sandbox.chain.admission import admit
    from sandbox.chain.store import Store
    from tests.sandbox.test_chain_ledger import CHAIN_ID, GOVERNOR, SUBMITTER

    ledger = Ledger(Store(None), FUNDED)

    def raw(to: str | None, data: bytes, nonce: int, gas: int = 200_000) -> bytes:
        return transactions.sign(
            to=to,
            data=data,
            nonce=nonce,
            chain_id=CHAIN_ID,
            gas=gas,
            gas_price=0,
            key=SUBMITTER,  # type: ignore[arg-type]
        )[0]

    reverts, loops = bytes.fromhex("60006000fd"), bytes.fromhex("5b600056")
    runtime = bytes.fromhex("6005600c60003960056000f3") + reverts
    batch = [paying(5), paying(7, nonce=1), raw(None, runtime, 0), raw(None, loops, 1), raw(None, reverts, 2)]
    contract = checksum(abi.keccak(b"\xd6\x94" + bytes.fromhex(SUBMITTER.address[2:]) + b"\x80")[12:])
    batch += [raw(contract, b"", 3), raw(GOVERNOR.address, b"\x01", 4), raw(contract, b"", 5, gas=21_001)]
    assert ledger.seal([(one, admit(one, FUNDED)) for one in batch], FUNDED.timestamp + 5) == [None] * len(batch)
    statuses = [tx.status for tx in ledger.store.txs(1)]
    assert statuses == [1, 1, 1, 0, 0, 0, 1, 0]
    assert_equal(ledger)
    ledger.store.close()


def test_reading_changes_nothing(alliance: Alliance) -> None:
    statement = alliance.propose()
    done, evm = replay(GENESIS, blocks_of(alliance.ledger)[:-1])
    data = abi.selector("record(bytes32)") + statement
    before = [evm.call(alliance.contract, data) for _ in range(3)]
    assert before == [bytes(32 * settlement.RECORD_WORDS)] * 3
    with pytest.raises(ReplayRefused):
        evm.call(alliance.contract, settlement.pause_data())
    (last,) = evm.run(blocks_of(alliance.ledger)[-1])
    assert last.succeeded
    assert evm.call(alliance.contract, data) == alliance.read(data)
    assert len(done) == 3


def _altered(ledger: Ledger, **changes: object) -> list[ReplayBlock]:
    found = blocks_of(ledger)
    return [*found[:-1], replace(found[-1], **changes)]  # type: ignore[arg-type]


def test_another_time_gives_another_outcome(alliance: Alliance) -> None:
    alliance.final()
    last = blocks_of(alliance.ledger)[-1]
    done, _ = replay(GENESIS, blocks_of(alliance.ledger))
    early = datetime.fromtimestamp(alliance.time - 1, UTC)
    other, _ = replay(GENESIS, _altered(alliance.ledger, time=early))
    assert (done[-1].succeeded, other[-1].succeeded) == (True, False)
    assert last.transactions


def _sign(role: str, nonce: int, **changes: object) -> bytes:
    fields = {"to": ZERO_ADDRESS, "data": b"", "chain_id": GENESIS.chain_id, "gas": 50_000, "gas_price": 0}
    return transactions.sign(**{**fields, **changes}, nonce=nonce, key=KEYS[role])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (_sign("broker", 0, chain_id=1), "chain 1"),
        (_sign("broker", 1), "nonce"),
        (_sign("broker", 0, gas=40_000_000), "gas limit"),
        (_sign("broker", 0, gas_price=1), "fee"),
        (_sign("broker", 0, gas=20_000), "does not take"),
    ],
)
def test_what_the_chain_would_not_have_let_in_is_refused(alliance: Alliance, raw: bytes, why: str) -> None:
    with pytest.raises(ReplayRefused, match=why):
        replay(GENESIS, _altered(alliance.ledger, transactions=(raw,)))


def test_a_sender_outside_the_genesis_is_refused(alliance: Alliance) -> None:
    narrow: Genesis = replace(GENESIS, senders=GENESIS.senders - {KEYS["governor"].address})
    with pytest.raises(ReplayRefused, match="sender"):
        replay(narrow, blocks_of(alliance.ledger))


def test_a_transaction_twice_or_malformed_is_refused(alliance: Alliance) -> None:
    last = blocks_of(alliance.ledger)[-1].transactions[0]
    with pytest.raises(ReplayRefused, match="nonce"):
        replay(GENESIS, _altered(alliance.ledger, transactions=(last, last)))
    with pytest.raises(MalformedTransaction):
        replay(GENESIS, _altered(alliance.ledger, transactions=(last + b"\x00",)))


def test_blocks_come_in_order(alliance: Alliance) -> None:
    with pytest.raises(ReplayRefused, match="expected"):
        replay(GENESIS, blocks_of(alliance.ledger)[1:])


def test_another_genesis_gives_another_ledger() -> None:
    raw = paying(5)
    at = datetime.fromtimestamp(FUNDED.timestamp + 5, UTC)
    block = ReplayBlock(number=1, time=at, transactions=(raw,))
    done, _ = replay(FUNDED, [block])
    assert done[0].succeeded
    with pytest.raises(ReplayRefused, match="does not take"):
        replay(replace(FUNDED, alloc=()), [block])


def test_logs_are_values_of_the_client(alliance: Alliance) -> None:
    done, _ = replay(GENESIS, blocks_of(alliance.ledger))
    (event,) = settlement.events(done[-1].logs, alliance.contract)
    assert event.name == "PartnerSet"
    assert all(isinstance(log, Log) for log in done[-1].logs)
