"""CheckpointAnchor.vy against a Python model on generated call sequences: same answers, same sizes, same roots."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contracts import anchor
from contracts.anchor import Checkpoint
from contracts.errors import TransactionReverted
from contracts.keys import ZERO_ADDRESS
from contracts.settlement import ZERO
from tests.contracts.rig import ACCOUNTS, fresh
from tests.contracts.test_anchor import ORIGIN, OTHER, Anchored
from tests.sandbox.test_chain_replay import assert_equal

ORIGINS = st.sampled_from([ORIGIN, OTHER])
ROLES = st.sampled_from(["submitter", "broker", "submitter", "governor"])


class AnchorMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.anchored = fresh(Anchored)
        self.submitters = {ORIGIN: "submitter", OTHER: "broker"}
        self.roots: dict[bytes, dict[int, bytes]] = {ORIGIN: {}, OTHER: {}}

    def teardown(self) -> None:
        """The second EVM agrees with every transaction of the run."""
        assert_equal(self.anchored.ledger)
        self.anchored.ledger.store.close()

    def taken(self, role: str, data: bytes) -> bool:
        try:
            self.anchored.call(role, self.anchored.contract, data)
        except TransactionReverted:
            return False
        return True

    @rule(origin=ORIGINS, role=ROLES, step=st.integers(-2, 3), root=st.sampled_from([b"\x01" * 32, b"\x02" * 32, ZERO]))
    def anchor(self, origin: bytes, role: str, step: int, root: bytes) -> None:
        newest = max(self.roots[origin], default=0)
        size = max(0, newest + step)
        allowed = role == self.submitters[origin] and size > newest and root != ZERO
        data = anchor.anchor_data(origin, Checkpoint(size=size, root=root))
        assert self.taken(role, data) == allowed
        if allowed:
            self.roots[origin][size] = root

    @rule(origin=ORIGINS, role=ROLES, named=st.sampled_from(["submitter", "broker", ""]))
    def name(self, origin: bytes, role: str, named: str) -> None:
        allowed = role == "governor"
        data = anchor.set_submitter_data(origin, ACCOUNTS[named] if named else ZERO_ADDRESS)
        assert self.taken(role, data) == allowed
        if allowed:
            self.submitters[origin] = named

    @invariant()
    def the_contract_holds_what_the_model_holds(self) -> None:
        for origin, roots in self.roots.items():
            newest = max(roots, default=0)
            assert self.anchored.size(origin) == newest
            assert [self.anchored.root(size, origin) for size in range(newest + 2)] == [
                roots.get(size, ZERO) for size in range(newest + 2)
            ]


TestAnchorMachine = AnchorMachine.TestCase
TestAnchorMachine.settings = settings(
    max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
