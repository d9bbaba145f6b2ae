"""The settlement contract on a ledger of its own with two partners, and statements in every state."""

from dataclasses import replace

from contracts import abi, settlement
from contracts.keys import Address
from contracts.settlement import Anchor
from tests.contracts.rig import CHAIN_ID, GENESIS, KEYS, START, Done, Rig, refused_by

__all__ = ["CHAIN_ID", "GENESIS", "KEYS", "PARTNERS", "PAYOUT", "REASON", "START", "WINDOW", "Alliance", "refused"]

WINDOW = 1_000
PARTNERS = {role: settlement.partner_identifier(role, b"salt") for role in ("referrer", "other_partner")}
REASON = b"\x0d" * 32
PAYOUT = b"\x0e" * 32


class Alliance(Rig):
    """A settlement contract whose registrar is the governor's account, and two partners."""

    def __init__(self) -> None:
        super().__init__()
        self.contract = self.deploy(self.arguments)
        for role, partner in PARTNERS.items():
            self.send("governor", settlement.set_signer_data(partner, KEYS[role].address))

    @property
    def arguments(self) -> bytes:
        """The constructor's."""
        governor, broker, arbiter = (KEYS[role].address for role in ("governor", "broker", "arbiter"))
        return settlement.constructor_data(governor, broker, arbiter, WINDOW)

    def deploy(self, arguments: bytes) -> Address:
        return self.create("Settlement", arguments)

    def send(self, role: str, data: bytes) -> Done:
        """Sign and seal one transaction. Raises the contract's reason as TransactionReverted."""
        return self.call(role, self.contract, data)

    def read(self, data: bytes) -> bytes:
        return self.ask(self.contract, data)

    def state(self, statement: bytes) -> str:
        words = abi.words(self.read(abi.selector("record(bytes32)") + statement), settlement.RECORD_WORDS)
        return settlement.STATES[abi.integer(words[1])]

    def closes(self, statement: bytes) -> int:
        return abi.integer(self.read(abi.selector("closes(bytes32)") + statement))

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
    refused_by(alliance, role, alliance.contract, data, reason)
