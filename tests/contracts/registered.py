"""A registry of partners, governed by one account, with a settlement contract that takes its word."""

from contracts import abi, registry, settlement
from contracts.keys import Address
from contracts.registry import Partner
from contracts.settlement import Anchor
from tests.contracts.alliance import PARTNERS, WINDOW, Alliance
from tests.contracts.rig import ACCOUNTS, Done, refused_by

DELAY = 3 * 86400
TERMS = b"\x33" * 32
PARTNER, OTHER = PARTNERS["referrer"], PARTNERS["other_partner"]


class Registered(Alliance):
    """`contract` is the settlement contract, `registry` its registrar; the partner "referrer" is registered."""

    def __init__(self) -> None:
        super().__init__()
        self.registry: Address = self.create("PartnerRegistry", registry.constructor_data(ACCOUNTS["governor"], DELAY))
        self.contract = self.settlement()
        self.tell("governor", registry.attach_data(self.contract))
        self.tell("governor", registry.register_data(PARTNER, ACCOUNTS["referrer"], TERMS))

    def settlement(self) -> Address:
        """Another settlement contract whose registrar is the registry."""
        accounts = [ACCOUNTS[role] for role in ("governor", "broker", "arbiter")]
        return self.deploy(settlement.constructor_data(*accounts, WINDOW, self.registry))

    def tell(self, role: str, data: bytes) -> Done:
        """A transaction to the registry."""
        return self.call(role, self.registry, data)

    def tell_refused(self, role: str, data: bytes, reason: str) -> None:
        refused_by(self, role, self.registry, data, reason)

    def entry(self, partner: bytes = PARTNER) -> Partner:
        return registry.partner_of(self.ask(self.registry, abi.calldata("partner(bytes32)", [partner])))

    def held(self, partner: bytes = PARTNER, contract: Address | None = None) -> tuple[Address, int]:
        """(signer, last period) that a settlement contract holds of a partner."""
        where = contract or self.contract
        signer = self.ask(where, abi.calldata("signer(bytes32)", [partner]))
        return abi.address(signer), abi.integer(self.ask(where, abi.calldata("until(bytes32)", [partner])))

    def settles(self, role: str = "referrer", **changes: object) -> Anchor:
        """The partner's next statement is entered, signed by this role; the statement."""
        anchor = self.anchor("referrer", **changes)
        self.send("stranger", self.proposal(anchor, role))
        return anchor
