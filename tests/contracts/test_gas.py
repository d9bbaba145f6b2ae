"""Gas of every call, exactly: gas is deterministic, so a difference is a change of the contracts' cost."""

from collections.abc import Callable

import pytest

from contracts import anchor, governor, registry, settlement
from contracts.anchor import Checkpoint
from tests.contracts.alliance import KEYS, PARTNERS, REASON, Alliance
from tests.contracts.governed import SET_SIGNER, Governed
from tests.contracts.registered import DELAY, OTHER, PARTNER, TERMS, Registered
from tests.contracts.rig import ACCOUNTS
from tests.contracts.test_anchor import ORIGIN, Anchored

SETTLEMENT = {
    "setPartner": 28_730,
    "propose, a partner's first": 162_602,
    "propose": 128_796,
    "dispute": 40_132,
    "propose, replacing": 160_382,
    "resolve, upheld": 29_311,
    "resolve, dismissed": 38_698,
    "finalise": 34_708,
    "markPaid": 75_423,
    "ackPaid": 32_367,
    "pause": 66_466,
    "unpause": 46_749,
}
REGISTRY = {
    "register": 147_228,
    "setTerms": 30_916,
    "suspend": 45_022,
    "resume": 64_176,
    "publish": 40_131,
    "rotate": 93_172,
    "cancelRotation": 30_827,
    "exit": 70_002,
    "acceptRotation": 50_124,
    "attach": 55_018,
    "suspend, two contracts": 76_328,
    "detach": 33_061,
}
ANCHOR = {
    "setSubmitter": 45_849,
    "anchor, a log's first": 70_903,
    "anchor": 53_803,
}
GOVERNOR = {
    "propose": 309_800,
    "approve, the k-th": 84_123,
    "approve, one more": 63_880,
    "revoke": 39_473,
    "execute setPartner": 105_627,
    "pause": 95_660,
    "cancel": 36_368,
    "execute setMembers": 137_428,
}
STATEMENT = ("propose", "finalise", "markPaid")
PER_LINE_MAX = 260  # of a statement of 1,000 lines


def of_settlement() -> dict[str, int]:
    alliance = Alliance()
    gas = {}

    def send(name: str, role: str, data: bytes) -> None:
        gas[name] = alliance.send(role, data).gas_used

    send("setPartner", "governor", settlement.set_signer_data(PARTNERS["referrer"], KEYS["referrer"].address))
    first = alliance.anchor()
    send("propose, a partner's first", "stranger", alliance.proposal(first))
    second = alliance.anchor()
    send("propose", "stranger", alliance.proposal(second))
    send("dispute", "referrer", settlement.dispute_data(alliance.digest(second), REASON))
    send("propose, replacing", "stranger", alliance.proposal(alliance.anchor(replaces=alliance.digest(second))))
    third = alliance.disputed()
    send("resolve, upheld", "arbiter", settlement.resolve_data(third, True, REASON))
    fourth = alliance.disputed()
    send("resolve, dismissed", "arbiter", settlement.resolve_data(fourth, False, REASON))
    statement = alliance.digest(first)
    alliance.wait_until(alliance.closes(statement))
    send("finalise", "stranger", settlement.finalise_data(statement))
    send("markPaid", "broker", settlement.mark_paid_data(statement, REASON))
    send("ackPaid", "referrer", settlement.acknowledge_paid_data(statement))
    send("pause", "governor", settlement.pause_data())
    send("unpause", "governor", settlement.unpause_data())
    return gas


def of_registry() -> dict[str, int]:
    one = Registered()
    calls = {
        "register": ("governor", registry.register_data(OTHER, ACCOUNTS["stranger"], TERMS)),
        "setTerms": ("governor", registry.set_terms_data(OTHER, REASON)),
        "suspend": ("referrer", registry.suspend_data(PARTNER)),
        "resume": ("governor", registry.resume_data(PARTNER)),
        "publish": ("stranger", registry.publish_data(PARTNER)),
        "rotate": ("referrer", registry.rotate_data(PARTNER, ACCOUNTS["new_signer"])),
        "cancelRotation": ("referrer", registry.cancel_rotation_data(PARTNER)),
        "exit": ("governor", registry.exit_data(OTHER, 202612)),
    }
    gas = {name: one.tell(role, data).gas_used for name, (role, data) in calls.items()}
    one.tell("governor", registry.rotate_data(PARTNER, ACCOUNTS["new_signer"]))
    one.wait(DELAY)
    gas["acceptRotation"] = one.tell("new_signer", registry.accept_rotation_data(PARTNER)).gas_used
    heir = one.settlement()
    gas["attach"] = one.tell("governor", registry.attach_data(heir)).gas_used
    gas["suspend, two contracts"] = one.tell("governor", registry.suspend_data(PARTNER)).gas_used
    gas["detach"] = one.tell("governor", registry.detach_data(heir)).gas_used
    return gas


def of_anchor() -> dict[str, int]:
    one = Anchored()

    def send(role: str, data: bytes) -> int:
        return one.call(role, one.contract, data).gas_used

    return {
        "setSubmitter": send("governor", anchor.set_submitter_data(REASON, ACCOUNTS["submitter"])),
        "anchor, a log's first": send("submitter", anchor.anchor_data(ORIGIN, Checkpoint(size=1, root=REASON))),
        "anchor": send("submitter", anchor.anchor_data(ORIGIN, Checkpoint(size=2, root=REASON))),
    }


def of_governor() -> dict[str, int]:
    one = Governed()
    gas = {
        "propose": one.tell("broker", governor.propose_data(one.contract, SET_SIGNER)).gas_used,
        "approve, the k-th": one.tell("referrer", governor.approve_data(1)).gas_used,
        "approve, one more": one.tell("other_partner", governor.approve_data(1)).gas_used,
        "revoke": one.tell("other_partner", governor.revoke_data(1)).gas_used,
    }
    one.wait_until(one.operation(1).ready)
    gas["execute setPartner"] = one.tell("broker", governor.execute_data(1)).gas_used
    gas["pause"] = one.tell("other_partner", governor.pause_data(one.contract)).gas_used
    number = one.proposed(settlement.unpause_data())
    gas["cancel"] = one.tell("broker", governor.cancel_data(number)).gas_used
    members = governor.set_members_data(3, [ACCOUNTS[role] for role in ("referrer", "stranger", "submitter")])
    gas["execute setMembers"] = one.carry_out(one.ready(members, target=one.governor)).gas_used
    return gas


@pytest.mark.parametrize(
    ("measure", "snapshot"),
    [(of_settlement, SETTLEMENT), (of_registry, REGISTRY), (of_anchor, ANCHOR), (of_governor, GOVERNOR)],
    ids=["settlement", "registry", "anchor", "governor"],
)
def test_gas_is_what_it_was(measure: Callable[[], dict[str, int]], snapshot: dict[str, int]) -> None:
    assert measure() == snapshot


def test_a_line_of_a_thousand_costs_little() -> None:
    assert sum(SETTLEMENT[name] for name in STATEMENT) <= PER_LINE_MAX * 1_000
