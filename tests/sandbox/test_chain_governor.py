"""The commands of the governor contract, and of the registry under it, over a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import settlement
from contracts.keys import Address, parse_address
from tests.sandbox.chain_desk import Desk
from tests.support.sandbox_chain import KEYS, PARTNER, WINDOW, Local, local

DELAY = 7200
MEMBERS = ("broker", "referrer", "governor")


class Board(Desk):
    """A governor of three members, two together, over a settlement contract and its registry."""

    def __init__(self, served: Local, folder: Path) -> None:
        super().__init__(served, folder)
        members = [option for role in MEMBERS for option in ("--member", KEYS[role].address)]
        self.made = self.done(
            "governor", "deploy", "--threshold", "2", "--delay-seconds", str(DELAY), *members, by="broker"
        )
        self.governor: Address = parse_address(self.made["governor"])
        parties = ("--broker", KEYS["broker"].address, "--arbiter", KEYS["arbiter"].address)
        options = ("--window-seconds", str(WINDOW), "--governor", self.governor, *parties)
        self.deployed = self.done("deploy-settlement", *options, by="broker")
        self.contract = parse_address(self.deployed["contract"])

    def board(self, command: str, *arguments: str, by: str = "") -> dict:
        return self.done("governor", command, "--governor", self.governor, *arguments, by=by)

    def decide(self, operation: int) -> dict:
        """The second approval, the delay, and the execution."""
        self.board("approve", str(operation), by="referrer")
        self.served.chain.advance_time(DELAY)
        return self.board("execute", str(operation), by="governor")


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Board]:
    with local() as served:
        yield Board(served, tmp_path)


def test_the_members_and_what_they_decided_are_shown(one: Board) -> None:
    members = [KEYS[role].address for role in MEMBERS]
    assert one.made == {"governor": one.governor, "threshold": 2, "members": members, "delay_seconds": DELAY}
    assert one.board("show") == one.made
    assert one.deployed["governor"] == one.governor
    shown = one.board("show", str(one.deployed["operation"]))
    assert (shown["state"], shown["target"], shown["approvals"]) == ("OPEN", one.deployed["registry"], 1)
    assert shown["proposer"] == KEYS["broker"].address
    assert shown["ready"] is None
    assert one.board("show", "9")["state"] == "NONE"


def test_a_partner_is_registered_by_k_members_after_the_delay(one: Board) -> None:
    assert one.decide(one.deployed["operation"])["state"] == "EXECUTED"
    account = KEYS["submitter"].address
    asked = one.entry("set-signer", "--signer", account, by="broker")
    assert (asked["status"], asked["operation"]) == ("UNKNOWN", 2)
    assert (
        one.failure("governor", "execute", "--governor", one.governor, "2", by="broker") == "GOVERNOR_OPERATION_CLOSED"
    )
    one.board("approve", "2", by="referrer")
    assert one.failure("governor", "execute", "--governor", one.governor, "2", by="broker") == "CHAIN_DELAY_RUNNING"
    one.served.chain.advance_time(DELAY)
    one.board("execute", "2", by="governor")
    assert one.entry("partner")["signer"] == account
    assert settlement.signer(one.served.chain, one.contract, PARTNER) == account


def test_a_signer_does_alone_what_a_signer_may_and_proposes_the_rest(one: Board) -> None:
    one.decide(one.deployed["operation"])
    one.decide(one.entry("set-signer", "--signer", KEYS["referrer"].address, by="broker")["operation"])
    suspended = one.entry("partner", "--suspend", by="referrer")  # member and signer: at once
    assert (suspended["status"], "operation" in suspended) == ("SUSPENDED", False)
    assert one.entry("partner", "--resume", by="referrer")["operation"] == 3
    assert one.failure("partner", *one.partner(), "--resume", by="arbiter") == "CHAIN_CALLER_NOT_ENTITLED"


def test_any_member_pauses_and_a_release_is_proposed_as_a_call(one: Board) -> None:
    chain = one.served.chain
    assert one.failure("governor", "pause", "--governor", one.governor, "--target", one.contract, by="arbiter") == (
        "CHAIN_CALLER_NOT_ENTITLED"
    )
    one.board("pause", "--target", one.contract, by="referrer")
    assert settlement.paused(chain, one.contract)
    release = ("--target", one.contract, "--data", "0x" + settlement.unpause_data().hex())
    made = one.board("propose", *release, by="broker")
    assert (made["data"], made["target"]) == ("0x" + settlement.unpause_data().hex(), one.contract)
    assert one.decide(made["operation"])["state"] == "EXECUTED"
    assert not settlement.paused(chain, one.contract)


def test_approvals_are_taken_back_and_proposals_cancelled(one: Board) -> None:
    number = str(one.deployed["operation"])
    assert one.board("approve", number, by="referrer")["ready"] is not None
    revoked = one.board("revoke", number, by="referrer")
    assert (revoked["approvals"], revoked["ready"]) == (1, None)
    assert one.failure("governor", "cancel", "--governor", one.governor, number, by="referrer") == (
        "CHAIN_CALLER_NOT_ENTITLED"
    )
    assert one.board("cancel", number, by="broker")["state"] == "CANCELLED"


def test_what_is_no_governor_or_no_call_is_refused(one: Board) -> None:
    assert one.failure("governor", "show", "--governor", one.contract) == "CONTRACT_CODE_DIFFERS"
    wrong = ("--governor", one.governor, "--target", one.contract, "--data", "0xzz")
    assert one.failure("governor", "propose", *wrong, by="broker") == "ANCHOR_INVALID"
