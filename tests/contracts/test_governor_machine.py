"""Governor.vy against a Python model on generated sequences: who stands behind what, when it is made, who governs."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts import governor, settlement
from contracts.governor import EXPIRY_SECONDS
from contracts.keys import ZERO_ADDRESS
from tests.contracts.governed import DELAY, MEMBERS, SET_SIGNER, THRESHOLD, Governed
from tests.contracts.rig import ACCOUNTS, fresh
from tests.sandbox.test_chain_replay import assert_equal

OTHERS = ("broker", "other_partner", "submitter", "new_signer")  # the membership that may take over, 3 of 4
CALLER = st.sampled_from([*MEMBERS, *MEMBERS, *OTHERS, "stranger"])
KINDS = ("signer", "pause", "unpause", "unpause", "others", "first")


@dataclass
class Operation:
    """What one proposed call should be."""

    kind: str
    proposer: str
    epoch: int
    alarm: int
    approvals: set[str] = field(default_factory=set)
    ready: int = 0
    state: str = "OPEN"


class GovernorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.one = fresh(Governed)
        self.operations: list[Operation] = []
        self.members, self.threshold, self.epoch = MEMBERS, THRESHOLD, 1
        self.alarms, self.paused, self.named = 0, False, False

    def teardown(self) -> None:
        """The second EVM agrees with every transaction of the run."""
        assert_equal(self.one.ledger)
        self.one.ledger.store.close()

    def attempt(self, role: str, data: bytes, allowed: object) -> bool:
        """Send the call and compare the governor's answer with the model's."""
        assert self.one.may(role, data) == bool(allowed)
        return bool(allowed)

    def call(self, kind: str) -> bytes:
        return {
            "signer": SET_SIGNER,
            "pause": settlement.pause_data(),
            "unpause": settlement.unpause_data(),
            "others": governor.set_members_data(3, [ACCOUNTS[role] for role in OTHERS]),
            "first": governor.set_members_data(THRESHOLD, [ACCOUNTS[role] for role in MEMBERS]),
        }[kind]

    def open(self, number: int) -> bool:
        one = self.operations[number]
        return one.state == "OPEN" and one.epoch == self.epoch

    def stand(self, one: Operation, role: str) -> None:
        one.approvals.add(role)
        if len(one.approvals) == self.threshold:
            one.ready = self.one.time + DELAY

    def number(self, data: st.DataObject) -> int:
        """Mostly an operation that is still open."""
        numbers = [n for n in range(len(self.operations)) if self.open(n)] or list(range(len(self.operations)))
        return data.draw(st.sampled_from(numbers) | st.integers(0, len(self.operations) - 1), label="operation")

    @rule(role=CALLER, kind=st.sampled_from(KINDS))
    def propose(self, role: str, kind: str) -> None:
        target = self.one.governor if kind in ("others", "first") else self.one.contract
        if self.attempt(role, governor.propose_data(target, self.call(kind)), role in self.members):
            alarm = 0 if target == self.one.governor else self.alarms
            made = Operation(kind=kind, proposer=role, epoch=self.epoch, alarm=alarm)
            self.operations.append(made)
            self.stand(made, role)

    @precondition(lambda self: self.operations)
    @rule(role=CALLER, data=st.data())
    def approve(self, role: str, data: st.DataObject) -> None:
        number = self.number(data)
        one = self.operations[number]
        allowed = role in self.members and self.open(number) and role not in one.approvals
        if self.attempt(role, governor.approve_data(number + 1), allowed):
            self.stand(one, role)

    @precondition(lambda self: self.operations)
    @rule(role=CALLER, data=st.data())
    def revoke(self, role: str, data: st.DataObject) -> None:
        number = self.number(data)
        one = self.operations[number]
        allowed = role in self.members and self.open(number) and role in one.approvals
        if self.attempt(role, governor.revoke_data(number + 1), allowed):
            one.approvals.remove(role)
            if len(one.approvals) < self.threshold:
                one.ready = 0

    @precondition(lambda self: self.operations)
    @rule(role=CALLER, data=st.data())
    def cancel(self, role: str, data: st.DataObject) -> None:
        number = self.number(data)
        one = self.operations[number]
        allowed = role in self.members and self.open(number) and role == one.proposer
        if self.attempt(role, governor.cancel_data(number + 1), allowed):
            one.state = "CANCELLED"

    @precondition(lambda self: any(one.ready and self.open(n) for n, one in enumerate(self.operations)))
    @rule(role=CALLER, wait=st.sampled_from(["", "short", "exact", "exact", "exact", "expired"]), data=st.data())
    def execute(self, role: str, wait: str, data: st.DataObject) -> None:
        ripening = [n for n, one in enumerate(self.operations) if one.ready and self.open(n)]
        number = data.draw(st.sampled_from(ripening) | st.integers(0, len(self.operations) - 1), label="operation")
        one = self.operations[number]
        until = {"": 0, "short": one.ready - 1, "exact": one.ready, "expired": one.ready + EXPIRY_SECONDS}[wait]
        if one.ready and until - 1 > self.one.time:
            self.one.wait_until(until)
        now = self.one.time + 1
        ripe = one.ready and one.ready <= now < one.ready + EXPIRY_SECONDS
        takes = {"pause": not self.paused, "unpause": self.paused and one.alarm == self.alarms}.get(one.kind, True)
        allowed = role in self.members and self.open(number) and ripe and takes
        if self.attempt(role, governor.execute_data(number + 1), allowed):
            one.state = "EXECUTED"
            self.make(one.kind)

    def make(self, kind: str) -> None:
        """What an executed call does."""
        if kind == "signer":
            self.named = True
        elif kind in ("pause", "unpause"):
            self.paused = kind == "pause"
        else:
            self.members, self.threshold = (OTHERS, 3) if kind == "others" else (MEMBERS, THRESHOLD)
            self.epoch += 1

    @rule(role=CALLER)
    def pause(self, role: str) -> None:
        allowed = role in self.members and not self.paused
        if self.attempt(role, governor.pause_data(self.one.contract), allowed):
            self.paused = True
            self.alarms += 1

    @invariant()
    def the_governor_is_where_the_model_is(self) -> None:
        assert self.one.members() == [ACCOUNTS[role] for role in self.members]
        assert self.one.paused() == self.paused
        signer = ACCOUNTS["referrer"] if self.named else ZERO_ADDRESS
        assert self.one.signer() == signer
        for number, one in enumerate(self.operations, 1):
            found = self.one.operation(number)
            assert (found.state, found.approvals, found.ready) == (one.state, len(one.approvals), one.ready)
            assert (found.epoch, found.alarm, found.proposer) == (one.epoch, one.alarm, ACCOUNTS[one.proposer])


TestGovernorMachine = GovernorMachine.TestCase
TestGovernorMachine.settings = settings(
    max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.full
class TestGovernorMachineDeep(GovernorMachine.TestCase):  # type: ignore[misc, name-defined]
    """The same machine, longer."""

    settings = settings(
        max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
    )
