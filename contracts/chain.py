"""`Chain`: the standard JSON-RPC of any EVM endpoint, the sandbox chain or a consortium's, and nothing beyond it.

Transactions are signed here and sent raw with explicit chain id, gas and gas price, so no endpoint needs to hold a key.
Every answer is checked before it becomes a value. Not web3.py: it takes four times as long for each call and half a
second to import (docs/settlement-chain.md has the figures).
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from contracts import abi, transactions
from contracts.artifacts import Artifact
from contracts.errors import (
    ChainRefused,
    ChainUnavailable,
    MalformedChainAnswer,
    MethodNotOffered,
    ReceiptTimeout,
    TransactionReverted,
    TransactionUnknown,
    WrongChain,
    reverted,
)
from contracts.jsonrpc import Client, RpcError, integer, octets, quantity
from contracts.keys import Address, Key, parse_address

RECEIPT_SECONDS_MAX = 60
GAS = 1_000_000  # far over what a settlement call takes (tests/contracts/test_gas.py), far under any block's limit
GAS_DEPLOY = 5_000_000
_POLL_SECONDS = 0.05
_METHOD_NOT_FOUND = -32601
_REVERTED = 3
_TRY_AGAIN = (-32002, -32005, -32603)  # resource unavailable, limit exceeded (EIP-1474), internal error


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One event of a transaction, undecoded."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of a sealed transaction. `contract` is set for a deployment."""

    transaction: str
    succeeded: bool
    block: int
    block_hash: str
    gas_used: int
    sender: Address
    contract: Address | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A sealed block."""

    number: int
    hash: str
    parent: str
    state_root: str
    time: datetime
    transactions: tuple[str, ...]


class Chain:
    """One endpoint of one chain. Every method may raise ChainUnavailable, WrongChain or MalformedChainAnswer."""

    def __init__(
        self,
        endpoint: str,
        chain_id: int,
        *,
        gas_price: int = 0,
        confirmations: int = 0,
        receipt_seconds: float = RECEIPT_SECONDS_MAX,
        timeout_seconds: float = 30,
    ) -> None:
        """endpoint: http(s) URL. gas_price: wei; 0 suits the sandbox and free-gas consortium chains.

        confirmations: how many blocks must follow a transaction's before it counts; 0 where a sealed block is final
        (the sandbox, QBFT). receipt_seconds: how long to wait for that.
        """
        self.chain_id = chain_id
        self._gas_price, self._confirmations, self._receipt_seconds = gas_price, confirmations, receipt_seconds
        self._client = Client(endpoint, timeout_seconds)
        self._checked = False

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self) -> int:
        """Number of the newest final block: the newest sealed one, less the confirmations."""
        return max(0, integer(self._ask("eth_blockNumber")) - self._confirmations)

    def head_time(self) -> datetime:
        """The chain's time now: of the block being built where the endpoint tells it, else of the newest sealed one."""
        try:
            pending = self._ask("eth_getBlockByNumber", "pending", False)
        except ChainRefused:
            pending = None
        found = pending or self._ask("eth_getBlockByNumber", "latest", False)
        return _time(_object(found).get("timestamp"))

    def nonce(self, address: Address, tag: str = "pending") -> int:
        """The number the account's next transaction must carry; with "latest" the number of its sealed ones."""
        return integer(self._ask("eth_getTransactionCount", address, tag))

    def code(self, address: Address) -> bytes:
        """Deployed code; empty where there is none."""
        return octets(self._ask("eth_getCode", address, "latest"))

    def sign(self, to: Address | None, data: bytes, nonce: int, key: bytes, *, gas: int = GAS) -> tuple[bytes, str]:
        """(raw transaction, its hash), without asking the endpoint. to: None deploys. key: 32 bytes."""
        return transactions.sign(
            to=to, data=data, nonce=nonce, chain_id=self.chain_id, gas=gas, gas_price=self._gas_price, key=Key(key)
        )

    def send(self, raw: bytes) -> str:
        """Hand over a signed transaction; returns its hash. Sending the same bytes again is fine, sealed or not.

        Raises ChainRefused where the endpoint does not admit it.
        """
        known = transactions.hash_of(raw)
        try:
            answer = self._ask("eth_sendRawTransaction", "0x" + raw.hex())
        except ChainRefused:
            # "already known", "nonce too low", …: the wording differs between clients, the fact does not
            if self._ask("eth_getTransactionByHash", known) is None:
                raise
            return known
        if answer != known:
            raise MalformedChainAnswer(why="another transaction hash than that of the bytes sent")
        return known

    def lookup(self, transaction: str) -> Receipt | None:
        """The receipt of a transaction, None while it is not sealed. Does not wait, does not judge its status."""
        answer = self._ask("eth_getTransactionReceipt", transaction)
        return None if answer is None else _receipt(transaction, _object(answer))

    def receipt(self, transaction: str, deadline_seconds: float | None = None) -> Receipt:
        """Wait for the final receipt of a transaction that must have succeeded.

        Raises ReceiptTimeout after the deadline, and the contract's reason as TransactionReverted where it failed.
        """
        seconds = self._receipt_seconds if deadline_seconds is None else deadline_seconds
        end = time.monotonic() + seconds
        while (found := self._final(transaction)) is None:
            if time.monotonic() >= end:
                raise ReceiptTimeout(transaction=transaction, seconds=int(seconds))
            time.sleep(_POLL_SECONDS)
        if not found.succeeded:
            raise self._reason(transaction, found)
        return found

    def _final(self, transaction: str) -> Receipt | None:
        """A receipt with its confirmations. A reorganisation may have moved it meanwhile: then it is asked for anew."""
        found = self.lookup(transaction)
        if found is None or not self._confirmations:
            return found
        if self.head() < found.block:
            return None
        return found if self.block(found.block).hash == found.block_hash else None

    def block(self, number: int) -> Block:
        """A sealed block. Raises TransactionUnknown where there is none of that number."""
        answer = self._ask("eth_getBlockByNumber", quantity(number), False)
        if answer is None:
            raise TransactionUnknown(what=f"block {number}")
        found = _object(answer)
        if integer(found.get("number")) != number or not isinstance(found.get("transactions"), list):
            raise MalformedChainAnswer(why="another block than the one asked for")
        return Block(
            number=number,
            hash=_hash(found.get("hash")),
            parent=_hash(found.get("parentHash")),
            state_root=_hash(found.get("stateRoot")),
            time=_time(found.get("timestamp")),
            transactions=tuple(map(_hash, found["transactions"])),
        )

    def call(self, to: Address, data: bytes, block: int | str = "latest", *, sender: Address | None = None) -> bytes:
        """Run a call without a transaction: a read, or a rehearsal at "pending"; "latest" is the newest final one.

        Raises the contract's reason as TransactionReverted.
        """
        if block == "latest" and self._confirmations:
            block = self.head()
        tag = quantity(block) if isinstance(block, int) else block
        request = {"to": to, "data": "0x" + data.hex()} | ({"from": sender} if sender else {})
        return octets(self._ask("eth_call", request, tag))

    def logs(self, address: Address, first: int, last: int, topic: bytes | None = None) -> tuple[Log, ...]:
        """A contract's logs of blocks first..last in chain order; topic: only those with this topic 0."""
        request: dict[str, Any] = {"address": address, "fromBlock": quantity(first), "toBlock": quantity(last)}
        if topic is not None:
            request["topics"] = ["0x" + topic.hex()]
        answer = self._ask("eth_getLogs", request)
        if not isinstance(answer, list):
            raise MalformedChainAnswer(why="logs that are not a list")
        return tuple(map(_log, answer))

    def deploy(self, artifact: Artifact, arguments: bytes, key: bytes) -> Address:
        """Deploy a contract with its encoded constructor arguments and wait; returns its address."""
        nonce = self.nonce(Key(key).address)
        raw, _ = self.sign(None, artifact.bytecode + arguments, nonce, key, gas=GAS_DEPLOY)
        contract = self.receipt(self.send(raw)).contract
        if contract is None:
            raise MalformedChainAnswer(why="a deployment's receipt without a contract address")
        return contract

    def execute(self, to: Address, data: bytes, key: bytes) -> Receipt:
        """Rehearse, sign, send and wait: for people's tools. Roots that must survive a crash store the raw bytes first.

        Raises the contract's reason as TransactionReverted, before anything is sent where the rehearsal fails.
        """
        sender = Key(key).address
        self.call(to, data, "pending", sender=sender)
        raw, _ = self.sign(to, data, self.nonce(sender), key)
        return self.receipt(self.send(raw))

    def advance_time(self, seconds: int) -> datetime:
        """Move the sandbox chain's clock forward; returns the new time.

        Raises ChainRefused where it was not started with --test-clock, MethodNotOffered on another kind of chain.
        """
        return _time(self.ask("sandbox_advanceTime", seconds))

    def ask(self, method: str, *parameters: Any) -> Any:
        """One raw request, for methods beyond the standard ones. Raises MethodNotOffered, ChainRefused."""
        return self._ask(method, *parameters)

    def _ask(self, method: str, *parameters: Any) -> Any:
        if not self._checked:
            found = integer(self._request("eth_chainId"))
            if found != self.chain_id:
                raise WrongChain(found=found, expected=self.chain_id)
            self._checked = True
        return self._request(method, *parameters)

    def _request(self, method: str, *parameters: Any) -> Any:
        try:
            return self._client.request(method, list(parameters))
        except RpcError as error:
            if error.number == _METHOD_NOT_FOUND:
                raise MethodNotOffered(method=method) from None
            if error.number == _REVERTED or error.data[:4] == abi.selector("Error(string)"):
                raise reverted(abi.revert_reason(error.data)) from None
            if error.number in _TRY_AGAIN:
                raise ChainUnavailable(endpoint=self._client.endpoint, why=error.text) from None
            raise ChainRefused(why=error.text) from None

    def _reason(self, transaction: str, receipt: Receipt) -> TransactionReverted:
        """Why a sealed transaction failed: the same call again on its own block's state and time."""
        found = _object(self._ask("eth_getTransactionByHash", transaction))
        if found.get("to") is None:
            return reverted("deployment")
        try:
            data = octets(found.get("input"))
            self.call(parse_address(found["to"]), data, receipt.block, sender=receipt.sender)
        except TransactionReverted as failure:
            return failure
        return reverted("")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedChainAnswer(why="an object is expected")
    return value


def _hash(value: Any) -> str:
    return "0x" + octets(value, 32).hex()


def _time(value: Any) -> datetime:
    try:
        return datetime.fromtimestamp(integer(value), UTC)
    except (OverflowError, ValueError, OSError):
        raise MalformedChainAnswer(why="a time out of range") from None


def _log(value: Any) -> Log:
    found = _object(value)
    topics = found.get("topics")
    if not isinstance(topics, list) or len(topics) > 4:
        raise MalformedChainAnswer(why="a log's topics")
    return Log(
        address=parse_address(found.get("address")),
        topics=tuple(octets(topic, 32) for topic in topics),
        data=octets(found.get("data")),
    )


def _receipt(transaction: str, found: dict[str, Any]) -> Receipt:
    if found.get("transactionHash") != transaction or not isinstance(found.get("logs"), list):
        raise MalformedChainAnswer(why="another receipt than the one asked for")
    contract = found.get("contractAddress")
    return Receipt(
        transaction=transaction,
        succeeded=integer(found.get("status")) == 1,
        block=integer(found.get("blockNumber")),
        block_hash=_hash(found.get("blockHash")),
        gas_used=integer(found.get("gasUsed")),
        sender=parse_address(found.get("from")),
        contract=None if contract is None else parse_address(contract),
        logs=tuple(map(_log, found["logs"])),
    )
