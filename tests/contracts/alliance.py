"""The settlement contract on an in-process ledger, a key per role: every test step is a real signed transaction."""

from dataclasses import dataclass, replace

import pytest

from contracts import abi, artifacts, settlement, transactions
from contracts.chain import Log
from contracts.errors import REASONS, TransactionReverted, reverted
from contracts.keys import Address, Key, checksum, raw_address
from contracts.settlement import Anchor, Event
from sandbox.chain.admission import admit
from sandbox.chain.evm import Ledger
from sandbox.chain.genesis import Genesis
from sandbox.chain.store import Store

CHAIN_ID = 20261
START = 1_790_000_000
WINDOW = 1_000
ROLES = ("governor", "broker", "arbiter", "referrer", "other_partner", "stranger")
KEYS = {role: Key(bytes([0x11 + i]) * 32) for i, role in enumerate(ROLES)}
PARTNERS = {role: settlement.partner_identifier(role, b"salt") for role in ("referrer", "other_partner")}
REASON = b"\x0d" * 32
PAYOUT = b"\x0e" * 32
GENESIS = Genesis(
    chain_id=CHAIN_ID,
    timestamp=START,
    gas_limit=60_000_000,
    senders=frozenset(key.address for key in KEYS.values()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a transaction did."""

    events: tuple[Event, ...]
    gas_used: int


class Alliance:
    """A ledger with a settlement contract and two partners. `time` is the head's; `send` seals one second later."""

    def __init__(self, artifact: artifacts.Artifact | None = None, *, window: int = WINDOW) -> None:
        self.ledger = Ledger(Store(None), GENESIS)
        broker, arbiter = KEYS["broker"].address, KEYS["arbiter"].address
        arguments = settlement.constructor_data(KEYS["governor"].address, broker, arbiter, window)
        self.artifact = artifact or artifacts.load("Settlement")
        self.contract = self.deploy(arguments)
        for role, partner in PARTNERS.items():
            self.send("governor", settlement.set_signer_data(partner, KEYS[role].address))

    @property
    def time(self) -> int:
        return self.ledger.head().timestamp

    def wait_until(self, timestamp: int) -> None:
        """The next transaction is sealed exactly at this time."""
        if timestamp - 1 > self.time:
            self.ledger.seal((), timestamp - 1)
        assert self.time == timestamp - 1

    def deploy(self, arguments: bytes) -> Address:
        row = self._seal("stranger", None, self.artifact.bytecode + arguments)
        assert row.contract is not None
        return checksum(row.contract)

    def send(self, role: str, data: bytes) -> Done:
        """Sign and seal one transaction. Raises the contract's reason as TransactionReverted."""
        row = self._seal(role, self.contract, data)
        logs = [
            Log(
                address=checksum(log.address),
                topics=tuple(log.topics[i : i + 32] for i in range(0, len(log.topics), 32)),
                data=log.data,
            )
            for log in self.ledger.store.tx_logs(row.hash)
        ]
        return Done(events=settlement.events(logs, self.contract), gas_used=row.gas_used)

    def read(self, data: bytes) -> bytes:
        head = self.ledger.header(self.ledger.head().number)
        result = self.ledger.call(raw_address(self.contract), data, bytes(20), head, 30_000_000, 0)
        if result.error:
            raise reverted(abi.revert_reason(result.output))
        return result.output

    def state(self, statement: bytes) -> str:
        words = abi.words(self.read(abi.selector("record(bytes32)") + statement), 5)
        return settlement.STATES[abi.integer(words[1])]

    def closes(self, statement: bytes) -> int:
        return abi.integer(self.read(abi.selector("closes(bytes32)") + statement))

    def _seal(self, role: str, to: Address | None, data: bytes):
        key = KEYS[role]
        head = self.ledger.header(self.ledger.head().number)
        nonce = self.ledger.state(head).get_nonce(raw_address(key.address))
        raw, tx_hash = transactions.sign(
            to=to, data=data, nonce=nonce, chain_id=CHAIN_ID, gas=5_000_000, gas_price=0, key=key
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
        result = self.ledger.call(target, data, raw_address(key.address), head, 5_000_000, 0)
        return reverted(abi.revert_reason(result.output))

    # --- statements ---------------------------------------------------------------------------------------------------

    def anchor(self, role: str = "referrer", /, **changes: object) -> Anchor:
        """The partner's next statement, correct unless changed."""
        identifier = PARTNERS[role]
        count = abi.integer(self.read(abi.selector("sequence(bytes32)") + identifier))
        plain = Anchor(
            partner=identifier,
            sequence=count + 1,
            period=202610,
            previous=self.read(abi.selector("last(bytes32)") + identifier),
            root=bytes([count + 1]) * 32,
            lines=3,
            total=b"\x22" * 32,
            terms=b"\x33" * 32,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def digest(self, anchor: Anchor) -> bytes:
        return settlement.digest(anchor, CHAIN_ID, self.contract)

    def sign(self, anchor: Anchor, role: str) -> bytes:
        return settlement.sign(anchor, CHAIN_ID, self.contract, KEYS[role].secret)

    def proposal(self, anchor: Anchor, partner: str = "referrer") -> bytes:
        """The calldata of a statement both parties signed."""
        return settlement.propose_data(anchor, self.sign(anchor, "broker"), self.sign(anchor, partner))

    def propose(self, partner: str = "referrer", **changes: object) -> bytes:
        """Enter the partner's next statement; its digest."""
        anchor = self.anchor(partner, **changes)
        self.send("stranger", self.proposal(anchor, partner))
        return self.digest(anchor)

    def final(self, partner: str = "referrer") -> bytes:
        """A statement that has become final; its digest."""
        statement = self.propose(partner)
        self.wait_until(self.closes(statement))
        self.send("stranger", settlement.finalise_data(statement))
        return statement

    def disputed(self, partner: str = "referrer") -> bytes:
        """A statement the partner disputes; its digest."""
        statement = self.propose(partner)
        self.send(partner, settlement.dispute_data(statement, REASON))
        return statement

    def paid(self, partner: str = "referrer") -> bytes:
        """A statement that was paid with the reference PAYOUT; its digest."""
        statement = self.final(partner)
        self.send("broker", settlement.mark_paid_data(statement, PAYOUT))
        return statement


def refused(alliance: Alliance, role: str, data: bytes, reason: str) -> None:
    """The contract refuses the call for exactly this reason."""
    with pytest.raises(TransactionReverted) as caught:
        alliance.send(role, data)
    assert caught.value.facts["reason"] == reason
    assert type(caught.value) is REASONS[reason]
