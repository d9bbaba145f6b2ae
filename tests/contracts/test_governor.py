"""Governor.vy: k of n after the delay and not before, one to pause, and nobody past the rules."""

from collections.abc import Callable

import pytest
from eth_hash.auto import keccak

from contracts import abi, governor, settlement
from contracts.chain import GAS
from contracts.governor import EXPIRY_SECONDS, Operation
from contracts.keys import ZERO_ADDRESS, Address, checksum
from tests.contracts.alliance import refused
from tests.contracts.governed import DELAY, MEMBERS, SET_SIGNER, Governed
from tests.contracts.rig import ACCOUNTS, KEYS, fresh, not_deployed, writing

OUTSIDERS = tuple(role for role in KEYS if role not in MEMBERS)
PAUSE, UNPAUSE = settlement.pause_data(), settlement.unpause_data()


@pytest.fixture
def one() -> Governed:
    return fresh(Governed)


def accounts(*roles: str) -> list[Address]:
    return [ACCOUNTS[role] for role in roles]


# --- who may do what --------------------------------------------------------------------------------------------------

CALLERS: list[tuple[str, Callable[[Governed], bytes], str]] = [
    ("propose", lambda a: governor.propose_data(a.contract, PAUSE), "not a member"),
    ("approve", lambda a: governor.approve_data(a.proposed(PAUSE)), "not a member"),
    ("revoke", lambda a: governor.revoke_data(a.proposed(PAUSE, by="referrer")), "not a member"),
    ("cancel", lambda a: governor.cancel_data(a.proposed(PAUSE, by="referrer")), "not a member"),
    ("execute", lambda a: governor.execute_data(a.ready(PAUSE)), "not a member"),
    ("pause", lambda a: governor.pause_data(a.contract), "not a member"),
]


@pytest.mark.parametrize(("prepare", "reason"), [row[1:] for row in CALLERS], ids=[row[0] for row in CALLERS])
def test_only_members_may_call(one: Governed, prepare: Callable[[Governed], bytes], reason: str) -> None:
    data = prepare(one)
    for role in OUTSIDERS:
        one.tell_refused(role, data, reason)
    one.tell("referrer", data)


@pytest.mark.parametrize("role", list(KEYS))
def test_nobody_sets_members_but_the_governor_itself(one: Governed, role: str) -> None:
    data = governor.set_members_data(2, accounts("broker", "stranger"))
    one.tell_refused(role, data, "not the governor itself")


def test_the_tables_name_every_function() -> None:
    assert {row[0] for row in CALLERS} | {"setMembers"} == writing("Governor")


@pytest.mark.parametrize("role", list(KEYS))
def test_no_account_governs_past_the_governor(one: Governed, role: str) -> None:
    refused(one, role, PAUSE, "not the governor")
    refused(one, role, SET_SIGNER, "not the registrar")


# --- from proposal to execution ---------------------------------------------------------------------------------------


def test_a_call_is_proposed_approved_waited_for_and_made(one: Governed) -> None:
    told = one.tell("broker", governor.propose_data(one.contract, SET_SIGNER)).events
    assert dict(told[0].values) == {
        "operation": 1,
        "proposer": ACCOUNTS["broker"],
        "target": one.contract,
        "call_hash": keccak(SET_SIGNER),
    }
    assert dict(told[1].values) == {"operation": 1, "member": ACCOUNTS["broker"], "ready": 0}
    assert abi.dynamic_bytes(one.ask(one.governor, abi.calldata("callData(uint256)", [1]))) == SET_SIGNER
    (told,) = one.tell("referrer", governor.approve_data(1)).events
    assert dict(told.values) == {"operation": 1, "member": ACCOUNTS["referrer"], "ready": one.time + DELAY}
    ready = one.time + DELAY
    assert one.operation(1) == Operation(
        target=one.contract, proposer=ACCOUNTS["broker"], epoch=1, alarm=0, approvals=2, ready=ready, state="OPEN"
    )
    one.wait_until(ready - 1)
    one.tell_refused("other_partner", governor.execute_data(1), "delay running")
    done = one.tell("other_partner", governor.execute_data(1))
    assert one.time == ready
    assert [event.name for event in done.events] == ["Executed"]
    assert [event.name for event in settlement.events(done.logs, one.contract)] == ["PartnerSet"]
    assert one.operation(1).state == "EXECUTED"
    one.propose()


def test_operations_are_counted_from_one(one: Governed) -> None:
    assert [one.proposed(PAUSE), one.proposed(PAUSE)] == [1, 2]
    for unknown in (0, 3):
        assert one.operation(unknown).state == "NONE"
        for data in (governor.approve_data(unknown), governor.execute_data(unknown), governor.revoke_data(unknown)):
            one.tell_refused("broker", data, "not open")


def test_one_member_is_not_two(one: Governed) -> None:
    number = one.proposed(PAUSE)
    one.tell_refused("broker", governor.approve_data(number), "approved before")
    one.wait(DELAY)
    one.tell_refused("broker", governor.execute_data(number), "not enough approvals")


def test_the_delay_begins_with_the_kth_approval(one: Governed) -> None:
    number = one.proposed(PAUSE)
    one.wait(10 * DELAY)
    one.tell("referrer", governor.approve_data(number))
    one.tell_refused("referrer", governor.execute_data(number), "delay running")
    ready = one.operation(number).ready
    one.tell("other_partner", governor.approve_data(number))
    assert one.operation(number).ready == ready  # a further approval changes nothing


def test_an_approval_taken_back_stops_it_and_the_delay_begins_anew(one: Governed) -> None:
    number = one.ready(PAUSE)
    (told,) = one.tell("referrer", governor.revoke_data(number)).events
    assert dict(told.values) == {"operation": number, "member": ACCOUNTS["referrer"]}
    assert (one.operation(number).approvals, one.operation(number).ready) == (1, 0)
    one.tell_refused("broker", governor.execute_data(number), "not enough approvals")
    one.tell_refused("referrer", governor.revoke_data(number), "not approved by you")
    one.tell("referrer", governor.approve_data(number))
    assert one.operation(number).ready == one.time + DELAY
    one.tell_refused("broker", governor.execute_data(number), "delay running")


def test_one_approval_more_than_needed_may_go_without_delay(one: Governed) -> None:
    number = one.approved(PAUSE)
    ready = one.operation(number).ready
    one.tell("other_partner", governor.approve_data(number))
    one.tell("referrer", governor.revoke_data(number))
    assert one.operation(number).ready == ready
    one.wait_until(ready)
    one.tell("broker", governor.execute_data(number))


def test_an_operation_expires(one: Governed) -> None:
    number, other = one.approved(PAUSE), one.approved(SET_SIGNER)
    one.wait_until(one.operation(number).ready + EXPIRY_SECONDS - 1)
    one.tell("broker", governor.execute_data(number))
    one.wait_until(one.operation(other).ready + EXPIRY_SECONDS)
    one.tell_refused("broker", governor.execute_data(other), "expired")


def test_an_operation_is_executed_once(one: Governed) -> None:
    number = one.ready(SET_SIGNER)
    one.tell("broker", governor.execute_data(number))
    for data in (
        governor.execute_data(number),
        governor.approve_data(number),
        governor.revoke_data(number),
        governor.cancel_data(number),
    ):
        one.tell_refused("broker", data, "not open")


def test_its_proposer_cancels_it_for_good(one: Governed) -> None:
    number = one.ready(PAUSE)
    one.tell_refused("referrer", governor.cancel_data(number), "not the proposer")
    (told,) = one.tell("broker", governor.cancel_data(number)).events
    assert (told.name, told["operation"], one.operation(number).state) == ("Cancelled", number, "CANCELLED")
    one.tell_refused("broker", governor.execute_data(number), "not open")
    one.tell_refused("other_partner", governor.approve_data(number), "not open")


def test_a_refusal_of_the_target_is_passed_on_and_the_operation_stays_open(one: Governed) -> None:
    number = one.ready(UNPAUSE)
    one.tell_refused("broker", governor.execute_data(number), "not paused")
    assert one.operation(number).state == "OPEN"


def test_a_target_is_a_contract(one: Governed) -> None:
    one.tell_refused("broker", governor.propose_data(ACCOUNTS["stranger"], PAUSE), "target")


def test_a_call_without_selector_is_one_like_any_other(one: Governed) -> None:
    number = one.ready(b"")
    with pytest.raises(Exception, match="no reason given"):
        one.tell("broker", governor.execute_data(number))


def test_it_governs_what_it_governs_and_nothing_else(one: Governed) -> None:
    foreign = one.deploy(one.arguments)
    number = one.ready(PAUSE, target=foreign)
    one.tell_refused("broker", governor.execute_data(number), "not the governor")


# --- pause and release ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MEMBERS)
def test_any_member_pauses_at_once(one: Governed, member: str) -> None:
    done = one.tell(member, governor.pause_data(one.contract))
    assert [dict(event.values) for event in done.events] == [{"target": one.contract, "member": ACCOUNTS[member]}]
    assert one.paused()
    one.tell_refused(member, governor.pause_data(one.contract), "paused")


def test_a_release_takes_k_members_and_the_delay(one: Governed) -> None:
    one.tell("other_partner", governor.pause_data(one.contract))
    number = one.proposed(UNPAUSE)
    one.wait(DELAY)
    one.tell_refused("broker", governor.execute_data(number), "not enough approvals")
    one.tell("referrer", governor.approve_data(number))
    one.tell_refused("broker", governor.execute_data(number), "delay running")
    one.wait(DELAY)
    one.tell("broker", governor.execute_data(number))
    assert not one.paused()


def test_a_release_decided_before_a_new_pause_does_not_end_it(one: Governed) -> None:
    one.tell("broker", governor.pause_data(one.contract))
    first, second = one.approved(UNPAUSE), one.approved(UNPAUSE)
    one.wait_until(one.operation(second).ready)
    one.tell("broker", governor.execute_data(first))
    one.tell("other_partner", governor.pause_data(one.contract))  # a new reason
    one.tell_refused("broker", governor.execute_data(second), "paused again")
    assert one.paused()
    one.executed(UNPAUSE)
    assert not one.paused()


def test_a_release_with_bytes_behind_it_is_a_release_too(one: Governed) -> None:
    one.tell("broker", governor.pause_data(one.contract))
    first, second = one.approved(UNPAUSE), one.approved(UNPAUSE + bytes(32))
    one.wait_until(one.operation(second).ready)
    one.tell("broker", governor.execute_data(first))
    one.tell("other_partner", governor.pause_data(one.contract))
    one.tell_refused("broker", governor.execute_data(second), "paused again")


def test_a_pause_leaves_other_decisions_and_other_contracts_alone(one: Governed) -> None:
    other = one.settlement()
    one.tell("broker", governor.pause_data(other))
    release = one.approved(UNPAUSE, target=other)
    number = one.approved(SET_SIGNER)
    one.tell("broker", governor.pause_data(one.contract))
    one.wait_until(one.operation(number).ready)
    one.tell("broker", governor.execute_data(release))
    one.tell("broker", governor.execute_data(number))
    assert one.signer() == ACCOUNTS["referrer"]


def test_a_pause_of_a_contract_that_is_not_governed_is_refused(one: Governed) -> None:
    one.tell_refused("broker", governor.pause_data(one.deploy(one.arguments)), "not the governor")


# --- members ----------------------------------------------------------------------------------------------------------


def test_the_members_change_by_their_own_decision(one: Governed) -> None:
    data = governor.set_members_data(3, accounts("referrer", "other_partner", "stranger"))
    number = one.ready(data, target=one.governor)
    told = one.tell("broker", governor.execute_data(number)).events
    assert [event.name for event in told] == ["Executed", "MembersSet"]
    assert dict(told[1].values) == {"epoch": 2, "members": 3, "threshold": 3}
    assert one.members() == accounts("referrer", "other_partner", "stranger")
    one.tell_refused("broker", governor.pause_data(one.contract), "not a member")
    number = one.proposed(PAUSE, by="stranger")
    one.tell("referrer", governor.approve_data(number))
    assert one.operation(number).ready == 0
    one.tell("other_partner", governor.approve_data(number))
    one.wait(DELAY)
    one.tell("stranger", governor.execute_data(number))
    assert one.paused()


def test_what_former_members_decided_is_dead(one: Governed) -> None:
    before = one.approved(SET_SIGNER)
    fresh = one.proposed(PAUSE)
    one.executed(governor.set_members_data(2, accounts("broker", "referrer")), target=one.governor)
    for data in (
        governor.execute_data(before),
        governor.approve_data(fresh),
        governor.revoke_data(before),
        governor.cancel_data(before),
    ):
        one.tell_refused("broker", data, "members changed")


MEMBERSHIPS = [
    ("one key alone", 1, ("broker", "referrer"), "threshold"),
    ("nobody", 0, (), "threshold"),
    ("more than there are", 3, ("broker", "referrer"), "threshold over members"),
    ("nobody's key", 2, ("broker", ""), "member"),
    ("a member twice", 2, ("broker", "referrer", "broker"), "member twice"),
]


@pytest.mark.parametrize(
    ("threshold", "roles", "reason"), [row[1:] for row in MEMBERSHIPS], ids=[row[0] for row in MEMBERSHIPS]
)
def test_a_membership_that_cannot_govern_is_refused(
    one: Governed, threshold: int, roles: tuple[str, ...], reason: str
) -> None:
    chosen = [ACCOUNTS[role] if role else ZERO_ADDRESS for role in roles]
    number = one.ready(governor.set_members_data(threshold, chosen), target=one.governor)
    one.tell_refused("broker", governor.execute_data(number), reason)
    assert one.members() == accounts(*MEMBERS)
    not_deployed(one, "Governor", governor.constructor_data(threshold, DELAY, chosen), reason)


def test_the_largest_membership_fits_into_an_operation(one: Governed) -> None:
    """Also where as many are replaced, within the gas that the client gives a call."""
    for first in (1, 101):
        others = [checksum(number.to_bytes(20, "big")) for number in range(first, first + governor.MEMBERS_MAX - 2)]
        many = [ACCOUNTS["referrer"], ACCOUNTS["broker"], *others]
        data = governor.set_members_data(2, many)
        assert len(data) <= governor.DATA_BYTES_MAX
        assert one.tell("broker", governor.propose_data(one.governor, data)).gas_used < GAS
        assert one.carry_out(one.ready(data, target=one.governor)).gas_used < GAS
        assert one.members() == many


@pytest.mark.parametrize("delay", [governor.DELAY_SECONDS_MIN - 1, governor.DELAY_SECONDS_MAX + 1])
def test_a_governor_without_a_sensible_delay_is_not_deployed(one: Governed, delay: int) -> None:
    not_deployed(one, "Governor", governor.constructor_data(2, delay, accounts(*MEMBERS)), "delay")


@pytest.mark.parametrize("delay", [governor.DELAY_SECONDS_MIN, governor.DELAY_SECONDS_MAX])
def test_the_shortest_and_the_longest_delay_are_deployed(one: Governed, delay: int) -> None:
    made = one.create("Governor", governor.constructor_data(2, delay, accounts(*MEMBERS)))
    assert one.ask(made, abi.calldata("DELAY()")) == abi.word(delay)
