"""A governor of three members, two of whom act together, over a settlement contract."""

from contracts import abi, governor, settlement
from contracts.errors import TransactionReverted
from contracts.governor import Operation
from contracts.keys import Address
from tests.contracts.alliance import PARTNERS, WINDOW, Alliance
from tests.contracts.rig import ACCOUNTS, Done, refused_by

DELAY = 2 * 86400
THRESHOLD = 2
MEMBERS = ("broker", "referrer", "other_partner")


class Governed(Alliance):
    """`contract` is the settlement contract; the governor is its governor and its registrar."""

    def __init__(self) -> None:
        super().__init__()
        accounts = [ACCOUNTS[role] for role in MEMBERS]
        self.governor: Address = self.create("Governor", governor.constructor_data(THRESHOLD, DELAY, accounts))
        self.contract = self.settlement()

    def settlement(self) -> Address:
        """Another settlement contract under the governor."""
        return self.deploy(settlement.constructor_data(self.governor, ACCOUNTS["broker"], ACCOUNTS["arbiter"], WINDOW))

    def tell(self, role: str, data: bytes) -> Done:
        """A transaction to the governor."""
        return self.call(role, self.governor, data)

    def tell_refused(self, role: str, data: bytes, reason: str) -> None:
        refused_by(self, role, self.governor, data, reason)

    def proposed(self, data: bytes, *, by: str = "broker", target: Address | None = None) -> int:
        """A member's proposal, with its own approval; its number."""
        told = self.tell(by, governor.propose_data(target or self.contract, data)).events
        assert [event.name for event in told] == ["OperationProposed", "Approved"]
        number = told[0]["operation"]
        assert isinstance(number, int)
        return number

    def approved(self, data: bytes, *, target: Address | None = None) -> int:
        """An operation that broker and referrer stand behind; its number."""
        number = self.proposed(data, target=target)
        self.tell("referrer", governor.approve_data(number))
        return number

    def ready(self, data: bytes, *, target: Address | None = None) -> int:
        """An operation that the next transaction may execute; its number."""
        number = self.approved(data, target=target)
        self.wait_until(self.operation(number).ready)
        return number

    def executed(self, data: bytes, *, target: Address | None = None) -> None:
        self.carry_out(self.ready(data, target=target))

    def carry_out(self, number: int) -> Done:
        return self.tell("broker", governor.execute_data(number))

    def operation(self, number: int) -> Operation:
        return governor.operation_of(self.ask(self.governor, abi.calldata("operation(uint256)", [number])))

    def members(self) -> list[Address]:
        return list(map(abi.address, abi.dynamic_words(self.ask(self.governor, abi.calldata("allMembers()")))))

    def paused(self) -> bool:
        return abi.boolean(self.read(abi.calldata("paused()")))

    def signer(self) -> Address:
        """Who signs for the referrer in the settlement contract."""
        return abi.address(self.read(abi.calldata("signer(bytes32)", [PARTNERS["referrer"]])))

    def may(self, role: str, data: bytes) -> bool:
        """Whether the governor takes the call."""
        try:
            self.tell(role, data)
        except TransactionReverted:
            return False
        return True


SET_SIGNER = settlement.set_signer_data(PARTNERS["referrer"], ACCOUNTS["referrer"])
