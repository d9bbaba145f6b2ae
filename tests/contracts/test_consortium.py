"""The four contracts together: a month under the governor, any sequence of calls equal in both EVMs, no way past it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import abi, anchor, governor, registry, settlement
from contracts.anchor import Checkpoint
from contracts.errors import TransactionReverted
from contracts.keys import Address
from tests.contracts.alliance import PAYOUT, REASON, refused
from tests.contracts.consortium import ROTATION, Consortium, opened
from tests.contracts.governed import DELAY, MEMBERS
from tests.contracts.registered import PARTNER, TERMS
from tests.contracts.rig import ACCOUNTS, KEYS, fresh, refused_by
from tests.contracts.test_anchor import ORIGIN
from tests.sandbox.test_chain_replay import assert_equal


def test_a_month_under_the_governor() -> None:
    one = fresh(opened)
    statement = one.propose()
    one.tell("other_partner", governor.pause_data(one.contract))  # an alarm, which proves false
    refused(one, "stranger", settlement.finalise_data(statement), "paused")
    one.executed(settlement.unpause_data())
    one.wait_until(one.closes(statement))
    one.send("stranger", settlement.finalise_data(statement))
    one.send("broker", settlement.mark_paid_data(statement, PAYOUT))
    one.call("submitter", one.anchor_contract, anchor.anchor_data(ORIGIN, Checkpoint(size=9, root=REASON)))
    # the partner's key is lost: the governor names another, which accepts
    one.executed(registry.rotate_data(PARTNER, ACCOUNTS["new_signer"]), target=one.registry)
    one.wait(ROTATION)
    one.call("new_signer", one.registry, registry.accept_rotation_data(PARTNER))
    one.send("new_signer", settlement.acknowledge_paid_data(statement))
    assert one.state(statement) == "ACKED"
    # and it leaves: nothing after its last period, corrections before it
    one.executed(registry.exit_data(PARTNER, 202610), target=one.registry)
    refused(one, "stranger", one.proposal(one.anchor(period=202611), "new_signer"), "partner period")
    one.send("stranger", one.proposal(one.anchor(period=202610), "new_signer"))
    assert_equal(one.ledger)


def test_the_whole_alliance_moves_to_a_new_contract_by_one_decision_each() -> None:
    one = fresh(opened)
    old, open_one = one.contract, one.propose()
    parties = ACCOUNTS["broker"], ACCOUNTS["arbiter"]
    heir = one.deploy(settlement.constructor_data(one.governor, *parties, 500, one.registry))
    attach = one.approved(registry.attach_data(heir), target=one.registry)
    succeed = one.approved(settlement.set_successor_data(heir))
    one.wait_until(one.operation(succeed).ready)
    one.carry_out(attach)
    one.call("stranger", one.registry, registry.publish_data(PARTNER))
    one.carry_out(succeed)
    refused(one, "stranger", one.proposal(one.anchor()), "succeeded")
    one.send("stranger", settlement.finalise_data(open_one))
    one.contract = heir
    one.propose()
    assert abi.address(one.ask(old, abi.calldata("successor()"))) == heir
    assert_equal(one.ledger)


@pytest.mark.parametrize("role", list(KEYS))
def test_no_single_key_changes_anything_but_by_a_pause(role: str) -> None:
    one = fresh(opened)
    for target, data, reason in (
        (one.contract, settlement.pause_data(), "not the governor"),
        (one.contract, settlement.set_successor_data(one.registry), "not the governor"),
        (one.contract, settlement.set_signer_data(PARTNER, ACCOUNTS[role]), "not the registrar"),
        (one.registry, registry.register_data(REASON, ACCOUNTS[role], TERMS), "not the governor"),
        (one.registry, registry.attach_data(one.governor), "not the governor"),
        (one.anchor_contract, anchor.set_submitter_data(ORIGIN, ACCOUNTS[role]), "not the governor"),
        (one.governor, governor.set_members_data(2, [ACCOUNTS[role], ACCOUNTS["stranger"]]), "not the governor itself"),
    ):
        refused_by(one, role, target, data, reason)
    if role in MEMBERS:
        number = one.proposed(settlement.set_successor_data(one.registry), by=role)
        one.wait(2 * DELAY)
        refused_by(one, role, one.governor, governor.execute_data(number), "not enough approvals")


# --- both EVMs --------------------------------------------------------------------------------------------------------

NUMBER = st.integers(0, 8)
WORD = st.sampled_from([PARTNER, ORIGIN, REASON, PAYOUT, bytes(32)])
ACCOUNT = st.sampled_from(list(ACCOUNTS.values()))
SIZE = st.sampled_from([0, 1, 2, 7, 202610, 202612, 2**64, 2**255])


def calls(one: Consortium) -> st.SearchStrategy[tuple[Address, bytes]]:
    """A call of any contract, mostly well formed; the statements' own calls come from `statements`."""
    places = st.sampled_from(one.contracts)
    of_registry = st.one_of(
        st.builds(registry.register_data, WORD, ACCOUNT, WORD),
        st.builds(registry.suspend_data, WORD),
        st.builds(registry.resume_data, WORD),
        st.builds(registry.exit_data, WORD, SIZE),
        st.builds(registry.rotate_data, WORD, ACCOUNT),
        st.builds(registry.cancel_rotation_data, WORD),
        st.builds(registry.accept_rotation_data, WORD),
        st.builds(registry.publish_data, WORD),
        st.builds(registry.attach_data, places),
        st.builds(registry.detach_data, places),
        st.builds(registry.set_terms_data, WORD, WORD),
    )
    of_anchor = st.one_of(
        st.builds(anchor.anchor_data, WORD, st.builds(Checkpoint, size=SIZE, root=WORD)),
        st.builds(anchor.set_submitter_data, WORD, ACCOUNT),
    )
    release = settlement.unpause_data()
    of_settlement = st.sampled_from([settlement.pause_data(), *[release] * 4]) | st.builds(
        settlement.set_signer_data, WORD, ACCOUNT, SIZE
    )
    target = st.one_of(
        st.tuples(st.just(one.registry), of_registry),
        st.tuples(st.just(one.anchor_contract), of_anchor),
        st.tuples(st.just(one.contract), of_settlement),
        st.tuples(
            st.just(one.governor),
            st.builds(governor.set_members_data, st.integers(0, 3), st.lists(ACCOUNT, max_size=4)),
        ),
    )
    of_governor = st.one_of(
        target.map(lambda call: governor.propose_data(*call)),
        *(
            st.builds(make, NUMBER)
            for make in (governor.approve_data, governor.revoke_data, governor.cancel_data, governor.execute_data)
        ),
        st.builds(governor.pause_data, places),
    )
    return st.tuples(st.just(one.governor), of_governor) | target | st.tuples(places, st.binary(max_size=40))


KINDS = ("propose", "decision", *["statement", "call"] * 3, "wait", "wait")


def step(one: Consortium, entered: list[bytes], data: st.DataObject) -> bool:
    """One drawn transaction; whether the contract took it."""
    role = data.draw(st.sampled_from([*MEMBERS, *KEYS]), label="role")
    kind = data.draw(st.sampled_from(KINDS), label="kind")
    try:
        if kind == "propose":
            entered.append(one.propose())
        elif kind == "statement" and entered:
            entitled, call = data.draw(statements(one, entered), label="statement")
            one.send(data.draw(st.sampled_from([entitled, entitled, entitled, role]), label="caller"), call)
        elif kind == "decision":
            target, call = data.draw(calls(one), label="decision")
            number = one.approved(call, target=target)
            if (ready := one.operation(number).ready) > one.time:  # 0 where the members and k are others by now
                one.wait_until(ready)
            one.carry_out(number)
        elif kind == "wait":
            one.ledger.seal((), one.time + data.draw(st.sampled_from([1, 1_000, DELAY]), label="seconds"))
        else:
            target, call = data.draw(calls(one), label="call")
            one.call(role, target, call)
    except TransactionReverted:
        return False
    return True


def statements(one: Consortium, entered: list[bytes]) -> st.SearchStrategy[tuple[str, bytes]]:
    """What can be done with one of the last statements and who may; mostly what its state allows."""
    payout = st.binary(min_size=32, max_size=32) | WORD

    def of(digest: bytes) -> st.SearchStrategy[tuple[str, bytes]]:
        dispute = st.tuples(st.just("referrer"), st.builds(settlement.dispute_data, st.just(digest), WORD))
        resolve = st.builds(settlement.resolve_data, st.just(digest), st.booleans(), WORD)
        finalise = st.just(("stranger", settlement.finalise_data(digest)))
        pay = st.tuples(st.just("broker"), st.builds(settlement.mark_paid_data, st.just(digest), payout))
        acknowledge = st.just(("referrer", settlement.acknowledge_paid_data(digest)))
        every = st.one_of(dispute, finalise, st.tuples(st.just("arbiter"), resolve), pay, acknowledge)
        fitting = {
            "PROPOSED": dispute | finalise,
            "DISPUTED": st.tuples(st.just("arbiter"), resolve),
            "FINAL": pay,
            "PAID": acknowledge,
        }
        return fitting.get(one.state(digest), every) | every

    return st.sampled_from(entered[-3:]).flatmap(of)


def reads(one: Consortium, entered: list[bytes]) -> list[tuple[Address, bytes]]:
    """Questions whose answers both EVMs must give alike."""
    asked = [(one.contract, abi.calldata(name, [PARTNER])) for name in ("signer(bytes32)", "until(bytes32)")]
    asked += [(one.contract, abi.calldata(name, [digest])) for name in ("record(bytes32)",) for digest in entered]
    asked += [(one.registry, abi.calldata(name, [PARTNER])) for name in ("partner(bytes32)", "rotation(bytes32)")]
    asked += [(one.governor, abi.calldata("allMembers()")), (one.governor, abi.calldata("operations()"))]
    asked += [(one.governor, abi.calldata(name, [3])) for name in ("operation(uint256)", "callData(uint256)")]
    return [*asked, (one.anchor_contract, abi.calldata("size(bytes32)", [ORIGIN]))]


def same_in_both(data: st.DataObject, steps: int) -> None:
    one, entered = fresh(opened), list[bytes]()
    for _ in range(steps):
        step(one, entered, data)
    other = assert_equal(one.ledger)  # every status and every log
    for contract, question in reads(one, entered):
        assert other.call(contract, question) == one.ask(contract, question)
    one.ledger.store.close()


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_sequence_of_calls_gives_the_same_in_both_machines(data: st.DataObject) -> None:
    same_in_both(data, 30)


@pytest.mark.full
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_long_sequence_of_calls_gives_the_same_in_both_machines(data: st.DataObject) -> None:
    same_in_both(data, 80)
