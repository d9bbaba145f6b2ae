"""The JSON-RPC methods: the standard ones a client library needs, and four of our own (`sandbox_…`).

No method holds a key or signs: transactions arrive signed, as on a consortium node. Every historic state is kept, so
any call may name any block.
"""

import threading
from collections.abc import Callable
from typing import Any

from eth_hash.auto import keccak

from ecowire.checkpoints import Checkpoint
from sandbox.chain import answers, checkpoint
from sandbox.chain.errors import ReadOnly, TestClockOff
from sandbox.chain.evm import CALL_GAS
from sandbox.chain.hexes import BadParameters, data, parse_data, parse_quantity, quantity
from sandbox.chain.rows import BlockRow
from sandbox.chain.sequencer import Sequencer

LOGS_MAX = 10_000
LISTED_MAX = 100  # addresses, topics of one place, slots, percentiles: of each a request may name so many
EXPORT_BLOCKS_MAX = 1_000
EXPORT_BYTES_MAX = 16 << 20  # an export ends with the block that reaches it; the caller asks for the rest
_COMPUTING = ("eth_call", "eth_estimateGas")
ADVANCE_SECONDS_MAX = 10 * 366 * 86400
CLIENT = "EcoHub-sandbox-chain/1"


class Reverted(Exception):
    """A call that the contract reverted; JSON-RPC error 3 with its data."""

    def __init__(self, output: bytes) -> None:
        self.output = output
        super().__init__("execution reverted")


class CallFailed(Exception):
    """A request that is well-formed and cannot be answered; JSON-RPC error -32000."""


class UnknownMethod(Exception):
    """JSON-RPC error -32601."""


class Methods:
    """Answers requests over one ledger. read_only: takes no transactions. test_clock: the clock may be moved."""

    def __init__(self, sequencer: Sequencer, *, read_only: bool, test_clock: bool) -> None:
        self._sequencer, self._ledger = sequencer, sequencer.ledger
        self._store = sequencer.ledger.store
        self._read_only, self._test_clock = read_only, test_clock
        self._tree = checkpoint.BlockTree(self._store)
        self._computing = threading.Lock()
        chain_id = self._ledger.genesis.chain_id
        self._table: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: CLIENT,
            "net_version": lambda: str(chain_id),
            "eth_chainId": lambda: quantity(chain_id),
            "eth_syncing": lambda: False,
            "eth_accounts": lambda: [],
            "eth_gasPrice": lambda: "0x0",
            "eth_maxPriorityFeePerGas": lambda: "0x0",
            "eth_feeHistory": self._fee_history,
            "eth_blockNumber": lambda: quantity(self._ledger.head().number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getRawTransactionByHash": self._raw_transaction,
            "eth_getLogs": self._logs,
            "eth_getBalance": lambda a, at="latest": quantity(self._state(at).get_balance(parse_data(a, 20))),
            "eth_getTransactionCount": lambda a, at="latest": quantity(self._state(at).get_nonce(parse_data(a, 20))),
            "eth_getCode": lambda a, at="latest": data(self._state(at).get_code(parse_data(a, 20))),
            "eth_getStorageAt": self._storage,
            "eth_getProof": self._proof,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send,
            "sandbox_export": self._export,
            "sandbox_checkpoint": self._checkpoint,
            "sandbox_consistency": self._consistency,
            "sandbox_advanceTime": self._advance,
        }

    def answer(self, method: str, parameters: list[Any]) -> Any:
        """The result of one request.

        Raises UnknownMethod, BadParameters, Reverted, CallFailed, or the Failure of an admission.
        """
        if (function := self._table.get(method)) is None:
            raise UnknownMethod
        if method == "eth_sendRawTransaction":
            # It waits for the sequencer, which needs the lock.
            return _bound(function, parameters)
        if method in _COMPUTING:
            # Seconds of work on a sealed state: one at a time for each listener, and no block waits for it.
            with self._computing:
                return _bound(function, parameters)
        with self._store.lock:
            return _bound(function, parameters)

    def _send(self, raw: Any) -> str:
        if self._read_only:
            raise ReadOnly
        return self._sequencer.submit(parse_data(raw))

    def _advance(self, seconds: Any) -> str:
        if self._read_only:
            raise ReadOnly
        if not self._test_clock:
            raise TestClockOff
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= ADVANCE_SECONDS_MAX:
            raise BadParameters(f"seconds must be an integer from 1 to {ADVANCE_SECONDS_MAX}")
        return quantity(self._sequencer.advance(seconds))

    def _at(self, tag: Any) -> Any:
        """The header a block tag names; for "pending" the one the next block would begin with."""
        if tag == "pending":
            return self._ledger.pending(self._sequencer.time())
        if (row := self._row(tag)) is None:
            raise CallFailed("header not found")
        return self._ledger.header(row.number)

    def _row(self, tag: Any) -> BlockRow | None:
        if tag in (None, "latest", "safe", "finalized", "pending"):
            return self._ledger.head()
        number = 0 if tag == "earliest" else parse_quantity(tag)
        return self._store.block(number) if number <= self._ledger.head().number else None

    def _state(self, tag: Any) -> Any:
        return self._ledger.state(self._at(tag))

    def _block_by_number(self, tag: Any, full: Any = False) -> Any:
        if tag == "pending":
            return answers.pending_block(self._at(tag))
        return self._block(self._row(tag), full)

    def _block_by_hash(self, block_hash: Any, full: Any = False) -> Any:
        return self._block(self._store.block_by_hash(parse_data(block_hash, 32)), full)

    def _block(self, row: BlockRow | None, full: Any) -> Any:
        if row is None:
            return None
        return answers.block(row, self._store.txs(row.number), full=bool(full))

    def _transaction(self, tx_hash: Any) -> Any:
        if (tx := self._store.tx(parse_data(tx_hash, 32))) is None:
            return None
        return answers.transaction(tx, self._hash_of(tx.number))

    def _raw_transaction(self, tx_hash: Any) -> str | None:
        tx = self._store.tx(parse_data(tx_hash, 32))
        return None if tx is None else data(tx.raw)

    def _receipt(self, tx_hash: Any) -> Any:
        if (tx := self._store.tx(parse_data(tx_hash, 32))) is None:
            return None
        return answers.receipt(tx, self._store.tx_logs(tx.hash), self._hash_of(tx.number))

    def _hash_of(self, number: int) -> bytes:
        row = self._store.block(number)
        assert row is not None, "a transaction stands in a block"
        return row.hash

    def _logs(self, wanted: Any) -> Any:
        first, last, addresses, topics = self._filter(wanted)
        found = self._store.logs(first, last, addresses, topics[0] if topics else [], LOGS_MAX + 1)
        if len(found) > LOGS_MAX:
            raise CallFailed(f"query returns more than {LOGS_MAX} results: ask for fewer blocks")
        return [answers.log(row, self._hash_of(row.number)) for row in found if answers.matches(row.topics, topics)]

    def _filter(self, wanted: Any) -> tuple[int, int, list[bytes], list[list[bytes]]]:
        if not isinstance(wanted, dict) or set(wanted) - {"fromBlock", "toBlock", "blockHash", "address", "topics"}:
            raise BadParameters("a filter of fromBlock, toBlock, blockHash, address and topics is expected")
        if "blockHash" in wanted:
            row = self._store.block_by_hash(parse_data(wanted["blockHash"], 32))
            first = last = row
        else:
            first, last = self._row(wanted.get("fromBlock")), self._row(wanted.get("toBlock"))
            last = last or self._ledger.head()
        if first is None or last is None:
            raise CallFailed("header not found")
        addresses = [parse_data(a, 20) for a in _listed(wanted.get("address"))]
        topics = [[parse_data(t, 32) for t in _listed(place)] for place in _listed(wanted.get("topics"))]
        return first.number, last.number, addresses, topics

    def _storage(self, account: Any, slot: Any, tag: Any = "latest") -> str:
        value = self._state(tag).get_storage(parse_data(account, 20), parse_quantity(slot))
        return data(value.to_bytes(32, "big"))

    def _proof(self, account: Any, slots: Any, tag: Any = "latest") -> Any:
        address, places = parse_data(account, 20), [parse_quantity(slot) for slot in _listed(slots)]
        at = self._at(tag)
        state = self._ledger.state(at)
        found, proofs = self._ledger.proof(address, places, at)
        storage = [
            {
                "key": quantity(slot),
                "value": quantity(state.get_storage(address, slot)),
                "proof": list(map(data, proof)),
            }
            for slot, proof in zip(places, proofs, strict=True)
        ]
        return {
            "address": data(address),
            "accountProof": list(map(data, found)),
            "balance": quantity(state.get_balance(address)),
            "nonce": quantity(state.get_nonce(address)),
            "codeHash": data(keccak(state.get_code(address))),
            "storageHash": data(self._ledger.storage_root(address, at)),
            "storageProof": storage,
        }

    def _call(self, request: Any, tag: Any = "latest") -> str:
        to, payload, sender, gas, value = _request(request)
        result = self._ledger.call(to, payload, sender, self._at(tag), min(gas, self._ledger.call_gas_max), value)
        if result.error == "revert":
            raise Reverted(result.output)
        if result.error:
            raise CallFailed(result.error)
        return data(result.output)

    def _estimate(self, request: Any, tag: Any = "pending") -> str:
        to, payload, sender, _gas, value = _request(request)
        at = self._at(tag)
        if (gas := self._ledger.estimate(to, payload, sender, at, value)) is not None:
            return quantity(gas)
        result = self._ledger.call(to, payload, sender, at, self._ledger.call_gas_max, value)
        raise Reverted(result.output) if result.error == "revert" else CallFailed(result.error)

    def _fee_history(self, count: Any, tag: Any, rewards: Any = None) -> Any:
        last = self._row(tag)
        if last is None:
            raise CallFailed("header not found")
        wanted = count if isinstance(count, int) and not isinstance(count, bool) else parse_quantity(count)
        if wanted < 0:
            raise BadParameters("a number of blocks is expected")
        blocks = min(wanted, 1024, last.number + 1)
        return {
            "oldestBlock": quantity(last.number + 1 - blocks),
            "baseFeePerGas": ["0x0"] * (blocks + 1),
            "gasUsedRatio": [0.0] * blocks,
            "reward": [["0x0"] * len(_listed(rewards))] * blocks,
        }

    def _export(self, wanted: Any) -> Any:
        if not isinstance(wanted, dict) or set(wanted) != {"from", "to"}:
            raise BadParameters("from and to are expected")
        first, last = wanted["from"], wanted["to"]
        if any(not isinstance(n, int) or isinstance(n, bool) for n in (first, last)):
            raise BadParameters("from and to are block numbers")
        if not 0 <= first <= last <= self._ledger.head().number or last - first >= EXPORT_BLOCKS_MAX:
            raise BadParameters(f"from and to name sealed blocks, at most {EXPORT_BLOCKS_MAX}")
        blocks: list[Any] = []
        size = 0
        for number in range(first, last + 1):
            row, txs = self._store.block(number), self._store.txs(number)
            assert row is not None, "it is sealed"
            blocks.append(answers.exported(row, txs))
            size += len(row.header) + sum(len(tx.raw) + len(tx.receipt) for tx in txs)
            if size >= EXPORT_BYTES_MAX:
                break
        return {"genesis": self._ledger.genesis.to_body(), "blocks": blocks}

    def _checkpoint(self, size: Any = None) -> Any:
        size = self._size(self._tree.size() if size is None else size)
        root = self._tree.root(size)
        found = Checkpoint(origin=checkpoint.origin(self._ledger.genesis), size=size, root=root)
        return {"origin": found.origin, "size": size, "root": root.hex(), "note": found.text()}

    def _consistency(self, old: Any, size: Any) -> list[str]:
        return [node.hex() for node in self._tree.consistency(self._size(old), self._size(size))]

    def _size(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= self._tree.size():
            raise BadParameters("a number of sealed blocks is expected")
        return value


def _bound(function: Callable[..., Any], parameters: list[Any]) -> Any:
    try:
        return function(*parameters)
    except TypeError as error:
        # Only a wrong number of parameters; anything raised deeper is a bug and stays one.
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise BadParameters("another number of parameters is expected") from None
        raise


def _listed(value: Any) -> list[Any]:
    """A filter's value as a list: null is none, one is one."""
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    if len(found) > LISTED_MAX:
        raise BadParameters(f"at most {LISTED_MAX} are taken at once")
    return found


def _request(value: Any) -> tuple[bytes | None, bytes, bytes, int, int]:
    """(to, data, sender, gas, value) of a call object."""
    if not isinstance(value, dict):
        raise BadParameters("a call object is expected")
    to = None if value.get("to") is None else parse_data(value["to"], 20)
    payload = parse_data(value.get("input") or value.get("data") or "0x")
    sender = parse_data(value.get("from") or "0x" + "00" * 20, 20)
    gas = parse_quantity(value.get("gas") or quantity(CALL_GAS))
    return to, payload, sender, gas, parse_quantity(value.get("value") or "0x0")
