"""Gas of every call, exactly: gas is deterministic, so a difference is a change of the contract's cost."""

from contracts import settlement
from tests.contracts.alliance import KEYS, PARTNERS, REASON, Alliance

SNAPSHOT = {
    "setPartner": 28_730,
    "propose, a partner's first": 162_572,
    "propose": 128_766,
    "dispute": 40_132,
    "propose, replacing": 160_352,
    "resolve, upheld": 29_311,
    "resolve, dismissed": 38_698,
    "finalise": 34_708,
    "markPaid": 75_423,
    "ackPaid": 32_367,
    "pause": 66_466,
    "unpause": 46_749,
}


def measure() -> dict[str, int]:
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


def test_gas_is_what_it_was() -> None:
    assert measure() == SNAPSHOT
