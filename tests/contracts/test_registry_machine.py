"""PartnerRegistry.vy against a Python model on generated sequences; attached settlement contracts hold its word."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts import registry
from contracts.errors import TransactionReverted
from contracts.keys import ZERO_ADDRESS, Address
from contracts.settlement import PERIOD_MAX
from tests.contracts.registered import DELAY, OTHER, PARTNER, TERMS, Registered
from tests.contracts.rig import ACCOUNTS, fresh
from tests.sandbox.test_chain_replay import assert_equal

PARTNERS = st.sampled_from([PARTNER, PARTNER, OTHER])
SIGNERS = ("referrer", "other_partner", "new_signer", "submitter", "broker", "arbiter")
NAMED = st.sampled_from(SIGNERS)
# Mostly the caller is the one a rule asks for: random callers alone hardly ever finish a rotation.
CALLER = st.sampled_from(["", "", "", "governor", "stranger", *SIGNERS])


@dataclass
class Entry:
    """What the registry should hold of one partner."""

    status: str = "UNKNOWN"
    signer: str = ""
    until: int = 0
    coming: str = ""
    by: str = ""
    effective: int = 0

    @property
    def settles(self) -> int:
        return PERIOD_MAX if self.status == "ACTIVE" else self.until


@dataclass
class Model:
    entries: dict[bytes, Entry] = field(default_factory=lambda: {PARTNER: Entry("ACTIVE", "referrer"), OTHER: Entry()})
    # per settlement contract, what it was told of each partner
    told: dict[Address, dict[bytes, tuple[str, int]]] = field(default_factory=dict)
    attached: set[Address] = field(default_factory=set)


class RegistryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.one = fresh(Registered)
        first, second = self.one.contract, self.one.settlement()
        self.model = Model()
        self.model.told = {first: {PARTNER: ("referrer", PERIOD_MAX)}, second: {}}
        self.model.attached = {first}
        self.contracts = st.sampled_from([first, second])

    def teardown(self) -> None:
        """The second EVM agrees with every transaction of the run."""
        assert_equal(self.one.ledger)
        self.one.ledger.store.close()

    @initialize()
    def begin(self) -> None:
        assert self.one.held() == (ACCOUNTS["referrer"], PERIOD_MAX)

    def attempt(self, role: str, data: bytes, allowed: object) -> bool:
        """Send the call and compare the registry's answer with the model's."""
        if allowed:
            self.one.tell(role, data)
        else:
            with pytest.raises(TransactionReverted):
                self.one.tell(role, data)
        return bool(allowed)

    def fits(self, signer: str) -> bool:
        """Whether every attached contract would take the signer."""
        return signer not in ("broker", "arbiter") or not self.model.attached

    def publish(self, partner: bytes) -> None:
        entry = self.model.entries[partner]
        for contract in self.model.attached:
            self.model.told[contract][partner] = (entry.signer, entry.settles)

    @rule(partner=PARTNERS, signer=NAMED, caller=CALLER)
    def register(self, partner: bytes, signer: str, caller: str) -> None:
        role, entry = caller or "governor", self.model.entries[partner]
        allowed = role == "governor" and entry.status == "UNKNOWN" and self.fits(signer)
        if self.attempt(role, registry.register_data(partner, ACCOUNTS[signer], TERMS), allowed):
            entry.status, entry.signer = "ACTIVE", signer
            self.publish(partner)

    @rule(partner=PARTNERS, caller=CALLER, to=st.sampled_from(["SUSPENDED", "ACTIVE", "SUSPENDED", "ACTIVE", "EXITED"]))
    def change_status(self, partner: bytes, caller: str, to: str) -> None:
        role, entry = caller or "governor", self.model.entries[partner]
        entitled = role == "governor" or (to == "SUSPENDED" and role == entry.signer)
        before = {"SUSPENDED": ("ACTIVE",), "ACTIVE": ("SUSPENDED",), "EXITED": ("ACTIVE", "SUSPENDED")}[to]
        data = {
            "SUSPENDED": registry.suspend_data(partner),
            "ACTIVE": registry.resume_data(partner),
            "EXITED": registry.exit_data(partner, 202612),
        }[to]
        keeps = self.fits(entry.signer)
        if self.attempt(role, data, entitled and entry.status in before and keeps):
            entry.status, entry.until = to, 202612 if to == "EXITED" else 0
            self.publish(partner)

    @rule(partner=PARTNERS, signer=NAMED, caller=CALLER)
    def rotate(self, partner: bytes, signer: str, caller: str) -> None:
        entry = self.model.entries[partner]
        role = caller or entry.signer or "governor"
        allowed = entry.signer and role in ("governor", entry.signer) and signer != entry.signer and not entry.coming
        if self.attempt(role, registry.rotate_data(partner, ACCOUNTS[signer]), allowed):
            entry.coming, entry.by, entry.effective = signer, role, self.one.time + DELAY

    @rule(partner=PARTNERS, caller=CALLER)
    def cancel(self, partner: bytes, caller: str) -> None:
        entry = self.model.entries[partner]
        role = caller or entry.by or "governor"
        if self.attempt(role, registry.cancel_rotation_data(partner), entry.coming and role in ("governor", entry.by)):
            entry.coming = entry.by = ""

    @precondition(lambda self: any(entry.coming for entry in self.model.entries.values()))
    @rule(partner=PARTNERS, caller=CALLER, wait=st.sampled_from(["", "short", "exact", "exact"]))
    def accept(self, partner: bytes, caller: str, wait: str) -> None:
        entry = self.model.entries[partner]
        role = caller or entry.coming or "stranger"
        if wait and entry.coming and entry.effective - 1 > self.one.time:
            self.one.wait_until(entry.effective - (wait == "short"))
        ripe = self.one.time + 1 >= entry.effective
        allowed = entry.coming and role == entry.coming and ripe and self.fits(role)
        if self.attempt(role, registry.accept_rotation_data(partner), allowed):
            entry.signer, entry.coming, entry.by = role, "", ""
            self.publish(partner)

    @rule(caller=CALLER, attach=st.booleans(), data=st.data())
    def list_contract(self, caller: str, attach: bool, data: st.DataObject) -> None:
        contract = data.draw(self.contracts, label="contract")
        role, attached = caller or "governor", contract in self.model.attached
        call = registry.attach_data(contract) if attach else registry.detach_data(contract)
        if self.attempt(role, call, role == "governor" and attach != attached):
            (self.model.attached.add if attach else self.model.attached.remove)(contract)

    @rule(partner=PARTNERS, caller=st.sampled_from(["stranger", "referrer"]))
    def hand_on(self, partner: bytes, caller: str) -> None:
        entry = self.model.entries[partner]
        if self.attempt(caller, registry.publish_data(partner), entry.signer and self.fits(entry.signer)):
            self.publish(partner)

    @invariant()
    def the_registry_and_the_contracts_hold_what_the_model_holds(self) -> None:
        for partner, entry in self.model.entries.items():
            found = self.one.entry(partner)
            signer = ACCOUNTS[entry.signer] if entry.signer else ZERO_ADDRESS
            assert (found.status, found.signer, found.until) == (entry.status, signer, entry.until)
            for contract, told in self.model.told.items():
                signer_name, until = told.get(partner, ("", 0))
                account = ACCOUNTS[signer_name] if signer_name else ZERO_ADDRESS
                assert self.one.held(partner, contract) == (account, until)


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.full
class TestRegistryMachineDeep(RegistryMachine.TestCase):  # type: ignore[misc, name-defined]
    """The same machine, longer."""

    settings = settings(
        max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
