"""Settlement.vy against a Python model on generated call sequences: same answers, same states, same order."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts import abi, settlement
from contracts.errors import TransactionReverted
from contracts.settlement import ZERO
from revenue_share import statement
from tests.contracts.alliance import KEYS, PARTNERS, REASON, WINDOW, Alliance
from tests.contracts.rig import fresh
from tests.sandbox.test_chain_replay import assert_equal

CALLERS = st.sampled_from(list(KEYS))
PARTNER = st.sampled_from(list(PARTNERS))
# Mostly nothing is wrong, so that sequences get deep: a machine of arbitrary calls almost never pays a statement.
WRONG = st.sampled_from(["", "", "", "", "", "caller", "statement", "sequence", "previous", "period"])


@dataclass
class Model:
    """What one statement should be. `left` is the window still open; it runs only while the contract is not paused."""

    partner: str
    left: int
    state: str = "PROPOSED"
    replaced: bool = False

    def move(self, state: str) -> None:
        """Every step of the contract is an arrow of the table that the books follow."""
        statement.check_transition(statement.State(self.state), statement.State(state))
        self.state = state


class SettlementMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.alliance = fresh(Alliance)
        self.time = self.alliance.time
        self.statements: dict[bytes, Model] = {}
        self.last = {role: [0, ZERO] for role in PARTNERS}
        self.until = dict.fromkeys(PARTNERS, settlement.PERIOD_MAX)
        self.paused = False
        self.succeeded = False
        self.payouts: set[bytes] = set()

    def teardown(self) -> None:
        """The second EVM agrees with every transaction of the run."""
        assert_equal(self.alliance.ledger)
        self.alliance.ledger.store.close()

    def attempt(self, role: str, data: bytes, allowed: object) -> bool:
        """Send at the next second and compare the contract's answer with the model's."""
        self.tick()
        if allowed:
            self.alliance.send(role, data)
        else:
            with pytest.raises(TransactionReverted):
                self.alliance.send(role, data)
        return bool(allowed)

    def tick(self, seconds: int = 1) -> None:
        """The model's windows after the next transaction's block time."""
        self.time += seconds
        if not self.paused:
            for one in self.statements.values():
                one.left = max(0, one.left - seconds)

    @rule(role=PARTNER, wrong=WRONG, data=st.data())
    def propose(self, role: str, wrong: str, data: st.DataObject) -> None:
        count, last = self.last[role]
        sequence = count + 2 if wrong == "sequence" else count + 1
        named = b"\x55" * 32 if sequence > 1 and (wrong == "previous" or last == ZERO) else last
        signer = data.draw(CALLERS, label="signer") if wrong == "caller" else role
        worth = [d for d, one in self.statements.items() if one.state in ("DISPUTED", "VOID") and not one.replaced]
        choice = list(self.statements) if wrong == "statement" else worth
        replaces = data.draw(st.sampled_from([ZERO, *choice]), label="replaces")
        period = 202611 if wrong == "period" else 202610
        anchor = self.alliance.anchor(role, sequence=sequence, previous=named, replaces=replaces, period=period)
        old = self.statements.get(replaces)
        allowed = (
            not self.paused
            and not self.succeeded
            and period <= self.until[role]
            and sequence == count + 1
            and named == last
            and signer == role
            and (old is None or (old.partner == role and replaces in worth))
        )
        if self.attempt("stranger", self.alliance.proposal(anchor, signer), allowed):
            digest = self.alliance.digest(anchor)
            self.statements[digest] = Model(partner=role, left=WINDOW)
            self.last[role] = [sequence, digest]
            if old is not None:
                if old.state == "DISPUTED":
                    old.move("VOID")
                old.replaced = True

    @precondition(lambda self: self.statements)
    @rule(party=st.booleans(), wrong=WRONG, data=st.data())
    def dispute(self, party: bool, wrong: str, data: st.DataObject) -> None:
        digest, one = self.draw(data, wrong, "PROPOSED")
        caller = self.caller(data, wrong, one.partner if party else "broker")
        allowed = one.state == "PROPOSED" and self.left_next(one) > 0 and caller in ("broker", one.partner)
        if self.attempt(caller, settlement.dispute_data(digest, REASON), allowed):
            one.move("DISPUTED")

    @precondition(lambda self: self.in_state("DISPUTED"))
    @rule(upheld=st.booleans(), wrong=WRONG, data=st.data())
    def resolve(self, upheld: bool, wrong: str, data: st.DataObject) -> None:
        digest, one = self.draw(data, wrong, "DISPUTED")
        caller = self.caller(data, wrong, "arbiter")
        allowed = one.state == "DISPUTED" and caller == "arbiter"
        if self.attempt(caller, settlement.resolve_data(digest, upheld, REASON), allowed):
            one.move("VOID" if upheld else "PROPOSED")
            one.left = one.left if upheld else 0

    @precondition(lambda self: self.statements)
    @rule(caller=CALLERS, wait=st.booleans(), wrong=WRONG, data=st.data())
    def finalise(self, caller: str, wait: bool, wrong: str, data: st.DataObject) -> None:
        digest, one = self.draw(data, wrong, "PROPOSED")
        if wait and one.left > 1:
            self.wait(one.left - 1)  # the next transaction stands exactly at the end of the window
        allowed = one.state == "PROPOSED" and self.left_next(one) == 0 and not self.paused
        if self.attempt(caller, settlement.finalise_data(digest), allowed):
            one.move("FINAL")

    @precondition(lambda self: self.in_state("FINAL"))
    @rule(number=st.integers(0, 3), wrong=WRONG, data=st.data())
    def pay(self, number: int, wrong: str, data: st.DataObject) -> None:
        digest, one = self.draw(data, wrong, "FINAL")
        caller = self.caller(data, wrong, "broker")
        payout = bytes([number]) * 32  # 0: no reference
        fresh = payout != ZERO and payout not in self.payouts
        allowed = one.state == "FINAL" and caller == "broker" and not self.paused and fresh
        if self.attempt(caller, settlement.mark_paid_data(digest, payout), allowed):
            one.move("PAID")
            self.payouts.add(payout)

    @precondition(lambda self: self.in_state("PAID"))
    @rule(wrong=WRONG, data=st.data())
    def acknowledge(self, wrong: str, data: st.DataObject) -> None:
        digest, one = self.draw(data, wrong, "PAID")
        caller = self.caller(data, wrong, one.partner)
        if self.attempt(
            caller, settlement.acknowledge_paid_data(digest), one.state == "PAID" and caller == one.partner
        ):
            one.move("ACKED")

    @rule(wrong=WRONG, data=st.data())
    def pause_or_release(self, wrong: str, data: st.DataObject) -> None:
        pause = self.paused if wrong == "statement" else not self.paused
        caller = self.caller(data, wrong, "governor")
        call = settlement.pause_data() if pause else settlement.unpause_data()
        if self.attempt(caller, call, caller == "governor" and pause != self.paused):
            self.paused = pause

    @rule(
        role=PARTNER,
        until=st.sampled_from([0, 202609, 202610, *[settlement.PERIOD_MAX] * 3]),
        wrong=WRONG,
        data=st.data(),
    )
    def limit(self, role: str, until: int, wrong: str, data: st.DataObject) -> None:
        caller = self.caller(data, wrong, "governor")  # the registrar is the governor's account here
        call = settlement.set_signer_data(PARTNERS[role], KEYS[role].address, until)
        if self.attempt(caller, call, caller == "governor"):
            self.until[role] = until

    @precondition(lambda self: len(self.statements) > 4)
    @rule(wrong=WRONG, data=st.data())
    def succeed(self, wrong: str, data: st.DataObject) -> None:
        caller = self.caller(data, wrong, "governor")
        heir = self.alliance.deploy(self.alliance.arguments)
        self.tick()
        allowed = caller == "governor" and not self.succeeded
        if self.attempt(caller, settlement.set_successor_data(heir), allowed):
            self.succeeded = True

    @rule(seconds=st.sampled_from([1, WINDOW - 1, WINDOW, 5 * WINDOW]))
    def wait(self, seconds: int) -> None:
        self.tick(seconds)
        self.alliance.ledger.seal((), self.time)

    def in_state(self, state: str) -> list[bytes]:
        return [digest for digest, one in self.statements.items() if one.state == state]

    def draw(self, data: st.DataObject, wrong: str, state: str) -> tuple[bytes, Model]:
        """A statement in the right state where there is one, or any where the statement shall be wrong."""
        choice = list(self.statements) if wrong == "statement" else self.in_state(state)
        digest = data.draw(st.sampled_from(choice or list(self.statements)), label="statement")
        return digest, self.statements[digest]

    def caller(self, data: st.DataObject, wrong: str, right: str) -> str:
        return data.draw(CALLERS, label="caller") if wrong == "caller" else right

    def left_next(self, one: Model) -> int:
        """The open window at the time of the next transaction."""
        return one.left if self.paused else max(0, one.left - 1)

    @invariant()
    def the_contract_is_where_the_model_is(self) -> None:
        assert self.alliance.time == self.time
        for digest, one in self.statements.items():
            assert self.alliance.state(digest) == one.state
            if one.state == "PROPOSED":
                assert max(0, self.alliance.closes(digest) - self.time) == one.left
        for role, (count, digest) in self.last.items():
            assert self.alliance.read(abi.selector("sequence(bytes32)") + PARTNERS[role]) == abi.word(count)
            assert self.alliance.read(abi.selector("last(bytes32)") + PARTNERS[role]) == digest


TestSettlementMachine = SettlementMachine.TestCase
TestSettlementMachine.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.full
class TestSettlementMachineDeep(SettlementMachine.TestCase):  # type: ignore[misc, name-defined]
    """The same machine, longer."""

    settings = settings(
        max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
