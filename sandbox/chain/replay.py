"""The chain's transactions run again in a second EVM (revm): the same statuses and logs, or the ledger is wrong.

Input is the genesis document and the raw transactions by block; nothing of the first EVM's results is used. The only
module that knows pyrevm. Gas is not compared: revm keeps slots warm between the transactions of one instance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyrevm
from eth_hash.auto import keccak

from contracts import transactions
from contracts.chain import Log
from contracts.keys import Address, checksum, parse_address
from contracts.transactions import Transaction
from privacy.errors import Failure, Kind
from sandbox.chain.genesis import Genesis

SPECIFICATION = "SHANGHAI"
_PADDING_BYTES_MAX = 64
_NOBODY = "0x" + "00" * 20


class ReplayRefused(Failure):
    code = "CHAIN_REPLAY_REFUSED"
    kind = Kind.INTEGRITY
    en = "transaction {position} of block {number} cannot stand in this ledger: {why}"
    zh = "区块 {number} 的第 {position} 笔交易不应出现在本账本中：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayBlock:
    """What a block was made of: its number, its time and its transactions as they were sent."""

    number: int
    time: datetime
    transactions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a transaction did in the second EVM. `contract` is set for a deployment that succeeded."""

    block: int
    transaction: str
    sender: Address
    succeeded: bool
    contract: Address | None
    logs: tuple[Log, ...]


class Replay:
    """A second EVM on one genesis: `run` the blocks in order, then `call` to read contracts in the final state."""

    def __init__(self, begun: Genesis) -> None:
        self._genesis = begun
        environment = pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=begun.chain_id))
        self._evm = pyrevm.EVM(env=environment, gas_limit=begun.gas_limit, spec_id=SPECIFICATION)
        self._nonces: dict[Address, int] = {}
        self._number = 0
        for account, wei in begun.alloc:
            self._evm.set_balance(account, wei)

    def run(self, block: ReplayBlock) -> list[Replayed]:
        """Run one block's transactions. Blocks must come in order from 1.

        Raises MalformedTransaction, or ReplayRefused for what the chain's admission would not have let in.
        """
        if block.number != self._number + 1:
            raise ReplayRefused(number=block.number, position=0, why=f"block {self._number + 1} is expected")
        self._number = block.number
        self._evm.set_block_env(
            pyrevm.BlockEnv(
                number=block.number,
                timestamp=int(block.time.timestamp()),
                coinbase=_NOBODY,
                basefee=0,
                gas_limit=self._genesis.gas_limit,
                prevrandao=bytes(32),
            )
        )
        return [self._transaction(block.number, i, raw) for i, raw in enumerate(block.transactions)]

    def call(self, to: Address, data: bytes) -> bytes:
        """The answer of a contract's view function in the state reached so far. Raises ReplayRefused on a revert."""
        mark = self._evm.snapshot()
        try:
            return bytes(self._evm.message_call(_NOBODY, to, data, is_static=True))
        except RuntimeError:
            raise ReplayRefused(number=self._number, position=0, why="a reading call reverted") from None
        finally:
            self._evm.revert(mark)

    def code(self, account: Address) -> bytes:
        """The code at an address in the state reached so far; empty where there is none."""
        found = self._evm.basic(account)
        padded = bytes(found.code or b"")
        # revm pads analysed code with zero bytes; the account's code hash tells where it ends
        lengths = range(len(padded), max(-1, len(padded) - _PADDING_BYTES_MAX - 1), -1)
        return next((padded[:n] for n in lengths if keccak(padded[:n]) == found.code_hash), b"")

    def _transaction(self, number: int, position: int, raw: bytes) -> Replayed:
        found = transactions.decode(raw)
        if found.chain_id != self._genesis.chain_id:
            raise ReplayRefused(number=number, position=position, why=f"it names chain {found.chain_id}")
        if found.sender not in self._genesis.senders:
            raise ReplayRefused(number=number, position=position, why="its sender is not in the genesis")
        if found.nonce != (expected := self._nonces.get(found.sender, 0)):
            raise ReplayRefused(number=number, position=position, why=f"its nonce is not {expected}")
        if found.gas_price or found.gas > self._genesis.transaction_gas_max:
            raise ReplayRefused(number=number, position=position, why="its fee or gas limit")
        self._nonces[found.sender] = found.nonce + 1
        contract = self._execute(found)
        result = self._evm.result
        if result is None:
            raise ReplayRefused(number=number, position=position, why="the second EVM does not take it")
        return Replayed(
            block=number,
            transaction=found.hash,
            sender=found.sender,
            succeeded=result.is_success,
            contract=contract,
            logs=tuple(map(_log, result.logs)) if result.is_success else (),
        )

    def _execute(self, found: Transaction) -> Address | None:
        # revm counts nonces for deployments only, where they make the new address
        balance = self._evm.get_balance(found.sender)
        self._evm.insert_account_info(found.sender, pyrevm.AccountInfo(nonce=found.nonce))
        self._evm.set_balance(found.sender, balance)
        try:
            if found.to is None:
                return parse_address(self._evm.deploy(found.sender, found.data, value=found.value, gas=found.gas))
            self._evm.message_call(found.sender, found.to, found.data, value=found.value, gas=found.gas)
        except RuntimeError:
            return None  # `result` tells a revert from a refusal
        return None


def replay(begun: Genesis, blocks: Sequence[ReplayBlock]) -> tuple[list[Replayed], Replay]:
    """Run all blocks; what each transaction did, and the EVM in its final state for reads."""
    evm = Replay(begun)
    done = [replayed for block in blocks for replayed in evm.run(block)]
    return done, evm


def _log(log: pyrevm.Log) -> Log:
    topics = tuple(bytes.fromhex(topic[2:]) for topic in log.topics)
    return Log(address=checksum(bytes.fromhex(log.address[2:])), topics=topics, data=bytes(log.data[1]))
