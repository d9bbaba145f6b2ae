"""All four contracts as an alliance would run them: the governor over registry, settlement contract and anchor."""

from contracts import anchor, registry, settlement
from contracts.keys import Address
from tests.contracts.governed import Governed
from tests.contracts.registered import PARTNER, TERMS
from tests.contracts.rig import ACCOUNTS
from tests.contracts.test_anchor import ORIGIN

ROTATION = 86400
WINDOW = 1_000


class Consortium(Governed):
    """`contract` is the settlement contract; its registrar is the registry, everything's governor the governor."""

    def __init__(self) -> None:
        super().__init__()
        self.registry: Address = self.create("PartnerRegistry", registry.constructor_data(self.governor, ROTATION))
        self.anchor_contract: Address = self.create("CheckpointAnchor", anchor.constructor_data(self.governor))
        parties = ACCOUNTS["broker"], ACCOUNTS["arbiter"]
        arguments = settlement.constructor_data(self.governor, *parties, WINDOW, self.registry)
        self.contract = self.deploy(arguments)

    @property
    def contracts(self) -> tuple[Address, ...]:
        return self.governor, self.registry, self.contract, self.anchor_contract

    def open(self) -> None:
        """The governor attaches the contract, registers the referrer and names the log's submitter, in one delay."""
        calls = (
            (self.registry, registry.attach_data(self.contract)),
            (self.registry, registry.register_data(PARTNER, ACCOUNTS["referrer"], TERMS)),
            (self.anchor_contract, anchor.set_submitter_data(ORIGIN, ACCOUNTS["submitter"])),
        )
        numbers = [self.approved(data, target=target) for target, data in calls]
        self.wait_until(self.operation(numbers[-1]).ready)
        for number in numbers:
            self.carry_out(number)


def opened() -> Consortium:
    """A consortium whose contracts have been opened."""
    one = Consortium()
    one.open()
    return one
