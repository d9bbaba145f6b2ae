"""The ledger: admission, order, time, history, proofs, and that a failed write leaves nothing behind."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
import rlp
from eth_account import Account
from eth_hash.auto import keccak
from trie import HexaryTrie

from contracts import artifacts, settlement, transactions
from contracts.errors import MalformedTransaction
from contracts.keys import ORDER, Key, checksum, raw_address
from privacy.errors import Failure
from sandbox.chain import errors
from sandbox.chain.admission import admit
from sandbox.chain.evm import Ledger
from sandbox.chain.store import Store
from tests.support.sandbox_chain import CHAIN_ID, GENESIS, KEYS, OUTSIDER, START, WINDOW

SUBMITTER, GOVERNOR = KEYS["submitter"], KEYS["governor"]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    one = Ledger(Store(None), GENESIS)
    yield one
    one.store.close()


def raw(key: Key = SUBMITTER, **changes: object) -> bytes:
    fields = {"to": SUBMITTER.address, "data": b"", "nonce": 0, "chain_id": CHAIN_ID, "gas": 100_000, "gas_price": 0}
    return transactions.sign(**{**fields, **changes}, key=key)[0]  # type: ignore[arg-type]


def paying(value: int, key: Key = GOVERNOR, nonce: int = 0) -> bytes:
    fields = {"nonce": nonce, "gasPrice": 0, "gas": 21_000, "value": value, "data": b"", "chainId": CHAIN_ID}
    return bytes(Account.sign_transaction(fields | {"to": SUBMITTER.address}, key.secret).raw_transaction)


def seal(ledger: Ledger, *raws: bytes, after: int = 1) -> list[Failure | None]:
    batch = [(one, admit(one, GENESIS)) for one in raws]
    return ledger.seal(batch, ledger.head().timestamp + after)


# --- admission --------------------------------------------------------------------------------------------------------


def _high_s() -> bytes:
    fields = rlp.decode(raw())
    v = int.from_bytes(fields[6], "big")
    fields[6] = (v + 1 if v % 2 else v - 1).to_bytes(2, "big")
    fields[8] = (ORDER - int.from_bytes(fields[8], "big")).to_bytes(32, "big")
    return rlp.encode(fields)


def _unprotected() -> bytes:
    fields = {"nonce": 0, "gasPrice": 0, "gas": 21_000, "value": 0, "data": b"", "to": SUBMITTER.address}
    return bytes(Account.sign_transaction(fields, SUBMITTER.secret).raw_transaction)


def _fee_market(chain_id: int) -> bytes:
    fields = {"nonce": 0, "gas": 21_000, "value": 0, "data": b"", "to": SUBMITTER.address, "chainId": chain_id}
    fees = {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "type": 2}
    return bytes(Account.sign_transaction(fields | fees, SUBMITTER.secret).raw_transaction)


def _altered(changes: dict[int, bytes]) -> bytes:
    """A transaction with other fields of its RLP; its signature is not made again."""
    return rlp.encode([changes.get(i, field) for i, field in enumerate(rlp.decode(raw()))])


def _access_list(chain_id: int) -> bytes:
    fields = {"nonce": 0, "gas": 21_000, "gasPrice": 0, "value": 0, "data": b"", "to": SUBMITTER.address}
    typed = fields | {"chainId": chain_id, "accessList": [], "type": 1}
    return bytes(Account.sign_transaction(typed, SUBMITTER.secret).raw_transaction)


REFUSED: dict[str, tuple[bytes, type[Failure]]] = {
    "signed for another chain": (raw(chain_id=CHAIN_ID + 1), errors.ForeignChain),
    "signed for the main network": (raw(chain_id=1), errors.ForeignChain),
    "not replay-protected": (_unprotected(), MalformedTransaction),
    "typed, this chain": (_fee_market(CHAIN_ID), MalformedTransaction),
    "typed, another chain": (_fee_market(1), MalformedTransaction),
    "with an access list": (_access_list(CHAIN_ID), MalformedTransaction),
    "a blob's type": (b"\x03" + raw(), MalformedTransaction),
    "signed for no chain": (_altered({6: (35).to_bytes(1, "big")}), MalformedTransaction),
    "signed for a chain without end": (_altered({6: b"\xff" * 32}), errors.ForeignChain),
    "no signature": (_altered({7: b"", 8: b""}), MalformedTransaction),
    "r of the order": (_altered({7: ORDER.to_bytes(32, "big")}), MalformedTransaction),
    "r that is on no curve": (_altered({7: b"\x05"}), MalformedTransaction),
    "another's signature": (_altered({5: b"\x01"}), errors.SenderNotAllowed),
    "a recipient of 19 bytes": (_altered({3: b"\x01" * 19}), MalformedTransaction),
    "a number with a zero before it": (_altered({0: b"\x00\x01"}), MalformedTransaction),
    "a nonce over 64 bits": (_altered({0: b"\x01" + bytes(8)}), MalformedTransaction),
    "a list for a field": (rlp.encode([[], *rlp.decode(raw())[1:]]), MalformedTransaction),
    "a field more": (rlp.encode([*rlp.decode(raw()), b""]), MalformedTransaction),
    "high s": (_high_s(), MalformedTransaction),
    "unknown sender": (raw(OUTSIDER), errors.SenderNotAllowed),
    "a fee": (raw(gas_price=1), errors.FeeNotZero),
    "gas under the intrinsic gas": (raw(gas=20_999), errors.GasOutOfRange),
    "gas for a call without its data": (raw(data=b"\x01" * 100, gas=22_599), errors.GasOutOfRange),
    "gas for a deployment without it": (raw(to=None, gas=52_999), errors.GasOutOfRange),
    "gas over half a block": (raw(gas=GENESIS.gas_limit // 2 + 1), errors.GasOutOfRange),
    "a deployment over EIP-3860": (raw(to=None, data=bytes(49_153), gas=5_000_000), errors.NotAdmitted),
    "oversized": (raw(data=bytes(transactions.BYTES_MAX), gas=20_000_000), MalformedTransaction),
    "not RLP": (b"\xff\xff\xff", MalformedTransaction),
    "cut": (raw()[:-2], MalformedTransaction),
    "followed by more": (raw() + b"\x00", MalformedTransaction),
    "empty": (b"", MalformedTransaction),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_the_chain_does_not_take(name: str) -> None:
    transaction, failure = REFUSED[name]
    with pytest.raises(failure):
        admit(transaction, GENESIS)


@pytest.mark.parametrize(
    "changes",
    [
        {"gas": 21_000},
        {"data": b"\x01" * 100, "gas": 22_600},
        {"to": None, "gas": 53_000},
        {"gas": GENESIS.gas_limit // 2},
    ],
    ids=str,
)
def test_the_edges_of_gas_are_inside(ledger: Ledger, changes: dict) -> None:
    assert seal(ledger, raw(**changes)) == [None]
    assert ledger.store.txs(1)[0].gas_used <= changes["gas"]


def test_the_intrinsic_gas_is_the_evms_own(ledger: Ledger) -> None:
    seal(ledger, raw(data=bytes(7) + b"\x01" * 13, gas=50_000))
    assert ledger.store.txs(1)[0].gas_used == 21_000 + 7 * 4 + 13 * 16


def test_calldata_up_to_the_limit_is_taken(ledger: Ledger) -> None:
    overhead = len(raw(data=bytes(100_000), gas=5_000_000)) - 100_000
    largest = raw(data=bytes(transactions.BYTES_MAX - overhead), gas=5_000_000)
    assert len(largest) == transactions.BYTES_MAX
    assert seal(ledger, largest) == [None]
    with pytest.raises(MalformedTransaction, match="at most"):
        admit(raw(data=bytes(transactions.BYTES_MAX - overhead + 1), gas=5_000_000), GENESIS)


@pytest.mark.parametrize(("size", "status"), [(24_576, 1), (24_577, 0)])
def test_deployed_code_over_eip_170_fails(ledger: Ledger, size: int, status: int) -> None:
    returns = bytes.fromhex("62") + size.to_bytes(3, "big") + bytes.fromhex("5ff3")  # PUSH3 size, PUSH0, RETURN
    assert seal(ledger, raw(to=None, data=returns, gas=10_000_000)) == [None]
    (tx,) = ledger.store.txs(1)
    assert tx.status == status
    assert tx.contract is not None
    assert len(ledger.state(ledger.header(1)).get_code(tx.contract)) == (size if status else 0)


@pytest.mark.parametrize(("nonce", "why"), [(1, "too high"), (5, "too high")])
def test_a_gap_in_the_nonces_is_refused(ledger: Ledger, nonce: int, why: str) -> None:
    (failure,) = seal(ledger, raw(nonce=nonce))
    assert isinstance(failure, errors.NonceOutOfOrder)
    assert why in str(failure)
    assert ledger.head().number == 0


def test_a_used_nonce_is_refused(ledger: Ledger) -> None:
    seal(ledger, raw())
    (failure,) = seal(ledger, raw(data=b"\x01"))
    assert isinstance(failure, errors.NonceOutOfOrder)
    assert "nonce too low" in str(failure)


def test_nobody_sends_more_than_he_has(ledger: Ledger) -> None:
    assert seal(ledger, paying(10**18 - 1), paying(1, nonce=1), paying(1, nonce=2))[2].__class__ is (
        errors.InsufficientFunds
    )
    state = ledger.state(ledger.header(1))
    assert (state.get_balance(raw_address(SUBMITTER.address)), state.get_balance(raw_address(GOVERNOR.address))) == (
        10**18,
        0,
    )


def test_one_wrong_transaction_does_not_keep_out_the_others(ledger: Ledger) -> None:
    outcome = seal(ledger, raw(), raw(nonce=7), raw(nonce=1), raw(GOVERNOR, nonce=0))
    assert [failure is None for failure in outcome] == [True, False, True, True]
    assert [tx.position for tx in ledger.store.txs(1)] == [0, 1, 2]


def test_a_transaction_the_evm_refuses_is_found_among_the_others(ledger: Ledger) -> None:
    refused = raw(GOVERNOR, to=None, data=bytes(49_153), gas=5_000_000)  # past admission, which knows EIP-3860 too
    batch = [(one, transactions.decode(one)) for one in (raw(), refused, raw(nonce=1))]
    outcome = ledger.seal(batch, START + 1)
    assert [failure is None for failure in outcome] == [True, False, True]
    assert isinstance(outcome[1], errors.NotAdmitted)
    assert ledger.head().number == 2
    assert seal(ledger, raw(nonce=2)) == [None]


# --- time, blocks, history --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [0, -1, -1_000])
def test_time_never_stands_still_or_goes_back(ledger: Ledger, back: int) -> None:
    with pytest.raises(AssertionError, match="strictly"):
        ledger.seal((), START + back)


def test_an_empty_block_is_sealed(ledger: Ledger) -> None:
    assert ledger.seal((), START + 9) == []
    assert (ledger.head().number, ledger.head().timestamp) == (1, START + 9)


def test_full_blocks_leave_the_base_fee_at_zero() -> None:
    small = replace(GENESIS, gas_limit=2_000_000)
    ledger = Ledger(Store(None), small)
    burner = transactions.sign(  # JUMPDEST, PUSH1 0, JUMP: runs until its gas is gone
        to=None,
        data=bytes.fromhex("5b600056"),
        nonce=0,
        chain_id=CHAIN_ID,
        gas=small.transaction_gas_max,
        gas_price=0,
        key=SUBMITTER,
    )[0]
    assert seal(ledger, burner) == [None]
    header = ledger.header(1)
    assert header is not None
    assert header.gas_used == small.gas_limit // 2
    assert seal(ledger, raw(nonce=1)) == [None]
    assert ledger.header(2).base_fee_per_gas == 0  # type: ignore[union-attr]
    ledger.store.close()


def deployed(ledger: Ledger) -> bytes:
    arguments = settlement.constructor_data(GOVERNOR.address, KEYS["broker"].address, KEYS["arbiter"].address, WINDOW)
    seal(ledger, raw(to=None, data=artifacts.load("Settlement").bytecode + arguments, gas=5_000_000))
    contract = ledger.store.txs(ledger.head().number)[0].contract
    assert contract is not None
    return contract


def test_any_call_may_name_any_block(ledger: Ledger) -> None:
    contract = deployed(ledger)
    to = checksum(contract)
    for nonce, data in enumerate((settlement.pause_data(), settlement.unpause_data(), settlement.pause_data())):
        assert seal(ledger, raw(GOVERNOR, to=to, data=data, nonce=nonce)) == [None]
    from contracts import abi

    answers = [
        ledger.call(contract, abi.selector("paused()"), bytes(20), ledger.header(number), 10**6, 0).output[-1:]
        for number in range(5)
    ]
    assert answers == [b"", b"\x00", b"\x01", b"\x00", b"\x01"]


def test_a_call_leaves_no_trace(ledger: Ledger) -> None:
    contract = deployed(ledger)
    head, entries = ledger.head(), list(ledger.store.data_rows())
    for _ in range(2):
        result = ledger.call(
            contract, settlement.pause_data(), raw_address(GOVERNOR.address), ledger.header(1), 10**6, 0
        )
        assert result.error == ""
    assert ledger.head() == head
    assert list(ledger.store.data_rows()) == entries


def test_the_estimate_is_enough_and_one_less_is_not(ledger: Ledger) -> None:
    contract = deployed(ledger)
    governor = raw_address(GOVERNOR.address)
    at = ledger.pending(START + 50)
    gas = ledger.estimate(contract, settlement.pause_data(), governor, at, 0)
    assert gas is not None
    assert ledger.call(contract, settlement.pause_data(), governor, at, gas, 0).error == ""
    assert ledger.call(contract, settlement.pause_data(), governor, at, gas - 1, 0).error
    assert ledger.estimate(contract, settlement.pause_data(), bytes(20), at, 0) is None


def test_account_and_storage_are_proved_from_the_state_root(ledger: Ledger) -> None:
    contract = deployed(ledger)
    at = ledger.header(1)
    assert at is not None
    slots = list(range(8))
    account, storage = ledger.proof(contract, slots, at)
    leaf = HexaryTrie.get_from_proof(at.state_root, keccak(contract), [rlp.decode(node) for node in account])
    nonce, balance, storage_root, code_hash = rlp.decode(leaf)
    assert code_hash == keccak(ledger.state(at).get_code(contract))
    assert storage_root == ledger.storage_root(contract, at)
    assert (nonce, balance) == (b"\x01", b"")
    for slot, proof in zip(slots, storage, strict=True):
        key = keccak(slot.to_bytes(32, "big"))
        nodes = [rlp.decode(node) for node in proof]
        found = HexaryTrie.get_from_proof(storage_root, key, nodes) if nodes else b""
        value = rlp.decode(found) if found else b""
        assert int.from_bytes(value, "big") == ledger.state(at).get_storage(contract, slot)


# --- the store --------------------------------------------------------------------------------------------------------


def test_a_block_whose_write_fails_never_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(ledger, raw())
    before = (ledger.head(), list(ledger.store.data_rows()))

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.store, "commit", full)
        with pytest.raises(sqlite3.OperationalError):
            seal(ledger, raw(nonce=1))
    assert (ledger.head(), list(ledger.store.data_rows())) == before
    assert seal(ledger, raw(nonce=1)) == [None]
    assert ledger.state(ledger.header(2)).get_nonce(raw_address(SUBMITTER.address)) == 2


def test_a_failing_row_takes_the_whole_block_back(ledger: Ledger) -> None:
    seal(ledger, raw())
    before = list(ledger.store.data_rows())
    ledger.store._connection.execute("create trigger stop before insert on tx begin select raise(abort, 'no'); end")
    with pytest.raises(sqlite3.IntegrityError):
        seal(ledger, raw(nonce=1))
    assert list(ledger.store.data_rows()) == before
    assert ledger.head().number == 1
    ledger.store._connection.execute("drop trigger stop")
    assert seal(ledger, raw(nonce=1)) == [None]


def test_a_ledger_of_another_genesis_is_not_opened(ledger: Ledger) -> None:
    with pytest.raises(errors.GenesisDiffers):
        Ledger(ledger.store, replace(GENESIS, gas_limit=50_000_000))
    assert Ledger(ledger.store, GENESIS).head() == ledger.head()
