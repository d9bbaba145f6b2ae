"""The commands that deploy the contracts and keep the registry of partners, over a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import registry, settlement
from contracts.keys import ZERO_ADDRESS, Address, parse_address
from tests.sandbox.chain_desk import Desk
from tests.support.sandbox_chain import KEYS, PARTNER, WINDOW, Local, local

DELAY = 7200
TERMS = "44" * 32


class Office(Desk):
    """A chain with the contracts that `deploy-settlement` made, and everybody's key file."""

    def __init__(self, served: Local, folder: Path) -> None:
        super().__init__(served, folder)
        parties = ("--broker", KEYS["broker"].address, "--arbiter", KEYS["arbiter"].address)
        times = ("--window-seconds", str(WINDOW), "--rotation-seconds", str(DELAY))
        self.made = self.done("deploy-settlement", *parties, *times, by="governor")
        self.contract = parse_address(self.made["contract"])

    def refusal(self, command: str, *arguments: str, by: str = "") -> str:
        """The code of a refused command on the test partner's entry."""
        return self.failure(command, *self.partner(), *arguments, by=by)

    def held(self) -> tuple[Address, int]:
        """(signer, last period) in the settlement contract."""
        chain = self.served.chain
        return settlement.signer(chain, self.contract, PARTNER), settlement.until(chain, self.contract, PARTNER)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with local() as served:
        yield Office(served, tmp_path)


def test_the_settlement_contract_takes_the_registrys_word(office: Office) -> None:
    found = settlement.deployment(office.served.chain, office.contract)
    assert found.registrar == office.made["registry"]
    assert registry.deployment(office.served.chain, found.registrar).governor == KEYS["governor"].address
    assert (office.made["rotation_seconds"], office.made["window_seconds"]) == (DELAY, WINDOW)


def test_a_signer_is_registered_with_the_terms_and_again_is_no_change(office: Office) -> None:
    account = KEYS["referrer"].address
    made = office.entry("set-signer", "--signer", account, "--terms", TERMS, by="governor")
    assert (made["status"], made["signer"], made["terms"], made["until"]) == ("ACTIVE", account, TERMS, None)
    assert office.held() == (account, settlement.PERIOD_MAX)
    head = office.served.chain.head()
    assert office.entry("set-signer", "--signer", account, by="governor")["transaction"] is None
    assert office.entry("partner") == {name: made[name] for name in made if name != "transaction"}
    assert office.served.chain.head() == head


def test_a_known_partners_signer_is_replaced_in_two_steps(office: Office) -> None:
    old, new = KEYS["referrer"].address, KEYS["submitter"].address
    office.entry("set-signer", "--signer", old, by="governor")
    begun = office.entry("set-signer", "--signer", new, by="referrer")
    assert begun["signer"] == old == office.held()[0]
    assert (begun["rotation"]["signer"], begun["rotation"]["by"]) == (new, old)
    assert office.refusal("accept-signer", by="submitter") == "CHAIN_DELAY_RUNNING"
    office.served.chain.advance_time(DELAY)
    assert office.refusal("accept-signer", by="governor") == "CHAIN_CALLER_NOT_ENTITLED"
    accepted = office.entry("accept-signer", by="submitter")
    assert (accepted["signer"], accepted.get("rotation")) == (new, None)
    assert office.held() == (new, settlement.PERIOD_MAX)


def test_a_replacement_is_taken_back(office: Office) -> None:
    office.entry("set-signer", "--signer", KEYS["referrer"].address, by="governor")
    office.entry("set-signer", "--signer", KEYS["submitter"].address, by="governor")
    assert "rotation" not in office.entry("partner", "--cancel-rotation", by="governor")
    office.served.chain.advance_time(DELAY)
    assert office.refusal("accept-signer", by="submitter") == "PARTNER_STATUS_ON_CHAIN"


def test_a_partner_is_suspended_resumed_and_ended(office: Office) -> None:
    account = KEYS["referrer"].address
    office.entry("set-signer", "--signer", account, by="governor")
    assert office.entry("partner", "--suspend", by="referrer")["status"] == "SUSPENDED"
    assert office.held() == (account, 0)
    assert office.refusal("partner", "--resume", by="referrer") == "CHAIN_CALLER_NOT_ENTITLED"
    assert office.entry("partner", "--resume", by="governor")["status"] == "ACTIVE"
    ended = office.entry("partner", "--exit", "2026-12", by="governor")
    assert (ended["status"], ended["until"], office.held()) == ("EXITED", 202612, (account, 202612))
    assert office.refusal("partner", "--resume", by="governor") == "PARTNER_STATUS_ON_CHAIN"


def test_what_cannot_be_is_refused_before_anything_is_sent(office: Office) -> None:
    head = office.served.chain.head()
    for role in ("broker", "arbiter"):
        refusal = office.refusal("set-signer", "--signer", KEYS[role].address, by="governor")
        assert refusal == "CHAIN_SIGNER_REFUSED"
    assert office.refusal("set-signer", "--signer", ZERO_ADDRESS, by="governor") == "CHAIN_SIGNER_REFUSED"
    assert office.refusal("set-signer", "--signer", ZERO_ADDRESS, by="broker") == "CHAIN_CALLER_NOT_ENTITLED"
    assert office.refusal("partner", "--suspend", by="broker") == "CHAIN_CALLER_NOT_ENTITLED"
    assert office.refusal("partner", "--suspend", "--exit", "2026-12", by="governor")
    assert office.refusal("partner", "--suspend")
    terms = ("--signer", KEYS["referrer"].address, "--terms", "12")
    assert office.refusal("set-signer", *terms, by="governor") == "ANCHOR_INVALID"
    assert office.entry("partner")["status"] == "UNKNOWN"
    assert office.served.chain.head() == head


def test_a_contract_with_another_registrar_is_none_of_theirs(office: Office) -> None:
    office.contract = office.served.deploy_settlement()
    assert office.refusal("partner", "--suspend", by="governor") == "CONTRACT_CODE_DIFFERS"
