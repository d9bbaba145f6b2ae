"""Contracts on an in-process ledger, a key per role: every test step is a real signed transaction."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Self, TypeVar

import pytest

from contracts import abi, artifacts, events, transactions
from contracts.chain import Log
from contracts.errors import REASONS, TransactionReverted, reverted
from contracts.events import Event
from contracts.keys import Address, Key, checksum, raw_address
from sandbox.chain.admission import admit
from sandbox.chain.evm import Ledger
from sandbox.chain.genesis import Genesis
from sandbox.chain.store import Store, TxRow
from tests.support.sandbox_chain import copied

CHAIN_ID = 20261
START = 1_790_000_000
GAS = 5_000_000
ROLES = (
    "governor",
    "broker",
    "arbiter",
    "referrer",
    "other_partner",
    "stranger",
    "submitter",
    "new_signer",
)
KEYS = {role: Key(bytes([0x11 + i]) * 32) for i, role in enumerate(ROLES)}
ACCOUNTS = {role: key.address for role, key in KEYS.items()}
GENESIS = Genesis(
    chain_id=CHAIN_ID,
    timestamp=START,
    gas_limit=60_000_000,
    senders=frozenset(key.address for key in KEYS.values()),
)


def artifact(name: str) -> artifacts.Artifact:
    """The committed contract, or the mutant of it that tests/contracts/mutants.py names in the environment."""
    mutant = os.environ.get("ECOHUB_MUTANT", "")
    if mutant.partition(":")[0] != name:
        return artifacts.load(name)
    from tests.contracts.mutants import artifact_of

    return artifact_of(mutant)


def writing(name: str) -> set[str]:
    """The functions of a contract that change something."""
    functions = [entry for entry in artifacts.load(name).abi if entry["type"] == "function"]
    assert {entry["stateMutability"] for entry in functions} <= {"view", "nonpayable"}, "a function takes value"
    return {entry["name"] for entry in functions if entry["stateMutability"] == "nonpayable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a transaction did: the events of the contract it called, and of others it made write."""

    events: tuple[Event, ...]
    logs: tuple[Log, ...]
    gas_used: int


class Rig:
    """A ledger and the contracts on it. `time` is the head's; `send` seals one second later."""

    def __init__(self) -> None:
        self.ledger = Ledger(Store(None), GENESIS)
        self.names: dict[Address, str] = {}

    def copied(self) -> Self:
        """The same contracts at the same addresses, on a ledger of their own."""
        other = copy.copy(self)
        other.ledger, other.names = Ledger(copied(self.ledger), GENESIS), dict(self.names)
        return other

    @property
    def time(self) -> int:
        return self.ledger.head().timestamp

    def wait_until(self, timestamp: int) -> None:
        """The next transaction is sealed exactly at this time."""
        if timestamp - 1 > self.time:
            self.ledger.seal((), timestamp - 1)
        assert self.time == timestamp - 1

    def wait(self, seconds: int) -> None:
        """The next transaction is sealed this many seconds after the head."""
        self.wait_until(self.time + seconds)

    def create(self, name: str, arguments: bytes) -> Address:
        """Deploy a contract by the stranger, whom no contract knows."""
        row = self._seal("stranger", None, artifact(name).bytecode + arguments)
        assert row.contract is not None
        made = checksum(row.contract)
        self.names[made] = name
        return made

    def call(self, role: str, contract: Address, data: bytes) -> Done:
        """Sign and seal one transaction. Raises the contract's reason as TransactionReverted."""
        row = self._seal(role, contract, data)
        logs = tuple(
            Log(
                address=checksum(log.address),
                topics=tuple(log.topics[i : i + 32] for i in range(0, len(log.topics), 32)),
                data=log.data,
            )
            for log in self.ledger.store.tx_logs(row.hash)
        )
        return Done(events=events.decode(self.names[contract], logs, contract), logs=logs, gas_used=row.gas_used)

    def ask(self, contract: Address, data: bytes) -> bytes:
        """The answer of a reading function at the head. Raises TransactionReverted."""
        head = self.ledger.header(self.ledger.head().number)
        result = self.ledger.call(raw_address(contract), data, bytes(20), head, 30_000_000, 0)
        if result.error:
            raise reverted(abi.revert_reason(result.output))
        return bytes(result.output)

    def _seal(self, role: str, to: Address | None, data: bytes) -> TxRow:
        key = KEYS[role]
        head = self.ledger.header(self.ledger.head().number)
        nonce = self.ledger.state(head).get_nonce(raw_address(key.address))
        raw, tx_hash = transactions.sign(
            to=to, data=data, nonce=nonce, chain_id=CHAIN_ID, gas=GAS, gas_price=0, key=key
        )
        outcome = self.ledger.seal([(raw, admit(raw, GENESIS))], self.time + 1)
        assert outcome == [None], outcome
        row = self.ledger.store.tx(bytes.fromhex(tx_hash[2:]))
        assert row is not None
        if not row.status:
            raise self._reason(to, data, key)
        return row

    def _reason(self, to: Address | None, data: bytes, key: Key) -> TransactionReverted:
        head = self.ledger.header(self.ledger.head().number)
        target = None if to is None else raw_address(to)
        result = self.ledger.call(target, data, raw_address(key.address), head, GAS, 0)
        return reverted(abi.revert_reason(result.output))


Made = TypeVar("Made", bound=Rig)


def fresh(make: Callable[[], Made]) -> Made:
    """A rig of its own as `make` makes it: done once in this process, then copied. All that it does must be fixed."""
    return _made(make, os.environ.get("ECOHUB_MUTANT", "")).copied()


@cache
def _made(make: Callable[[], Made], mutant: str) -> Made:
    return make()


def refused_by(rig: Rig, role: str, contract: Address, data: bytes, reason: str) -> None:
    """The contract refuses the call for exactly this reason."""
    with pytest.raises(TransactionReverted) as caught:
        rig.call(role, contract, data)
    assert caught.value.facts["reason"] == reason
    assert type(caught.value) is REASONS[reason]


def not_deployed(rig: Rig, name: str, arguments: bytes, reason: str) -> None:
    """The constructor refuses for exactly this reason."""
    with pytest.raises(TransactionReverted) as caught:
        rig.create(name, arguments)
    assert caught.value.facts["reason"] == reason
