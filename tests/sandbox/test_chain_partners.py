"""The commands that deploy the contracts and keep the registry of partners, over a real socket."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts import registry, settlement
from contracts.keys import ZERO_ADDRESS, Address, parse_address
from tests.support.sandbox_chain import CHAIN_ID, KEYS, PARTNER, WINDOW, Local, local, run

DELAY = 7200
ROLES = ("governor", "broker", "arbiter", "referrer", "submitter")
TERMS = "44" * 32


class Office:
    """A chain with the contracts that `deploy-settlement` made, and everybody's key file."""

    def __init__(self, served: Local, folder: Path) -> None:
        self.served, self.folder = served, folder
        for role in ROLES:
            KEYS[role].write(folder / f"{role}.key")
        parties = ("--broker", KEYS["broker"].address, "--arbiter", KEYS["arbiter"].address)
        times = ("--window-seconds", str(WINDOW), "--rotation-seconds", str(DELAY))
        self.made = self.done("deploy-settlement", "--key", self.key("governor"), *parties, *times)
        self.contract: Address = parse_address(self.made["contract"])

    def key(self, role: str) -> str:
        return str(self.folder / f"{role}.key")

    def done(self, command: str, *arguments: str) -> dict:
        found = run(command, "--endpoint", self.served.server.endpoint, "--chain-id", str(CHAIN_ID), *arguments)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    def entry(self, command: str, *arguments: str, key: str = "") -> dict:
        """A command on the test partner's entry, by the holder of a role's key."""
        caller = ("--key", self.key(key)) if key else ()
        return self.done(command, "--contract", self.contract, "--partner", PARTNER.hex(), *caller, *arguments)

    def failure(self, command: str, *arguments: str, key: str = "") -> str:
        """The code of a refused command."""
        caller = ("--key", self.key(key)) if key else ()
        place = ("--endpoint", self.served.server.endpoint, "--chain-id", str(CHAIN_ID), "--contract", self.contract)
        found = run(command, *place, "--partner", PARTNER.hex(), *caller, *arguments)
        assert found.returncode != 0
        return found.stderr.partition(":")[0]

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
    made = office.entry("set-signer", "--signer", account, "--terms", TERMS, key="governor")
    assert (made["status"], made["signer"], made["terms"], made["until"]) == ("ACTIVE", account, TERMS, None)
    assert office.held() == (account, settlement.PERIOD_MAX)
    head = office.served.chain.head()
    assert office.entry("set-signer", "--signer", account, key="governor")["transaction"] is None
    assert office.entry("partner") == {name: made[name] for name in made if name != "transaction"}
    assert office.served.chain.head() == head


def test_a_known_partners_signer_is_replaced_in_two_steps(office: Office) -> None:
    old, new = KEYS["referrer"].address, KEYS["submitter"].address
    office.entry("set-signer", "--signer", old, key="governor")
    begun = office.entry("set-signer", "--signer", new, key="referrer")
    assert begun["signer"] == old == office.held()[0]
    assert (begun["rotation"]["signer"], begun["rotation"]["by"]) == (new, old)
    assert office.failure("accept-signer", key="submitter") == "CHAIN_DELAY_RUNNING"
    office.served.chain.advance_time(DELAY)
    assert office.failure("accept-signer", key="governor") == "CHAIN_CALLER_NOT_ENTITLED"
    accepted = office.entry("accept-signer", key="submitter")
    assert (accepted["signer"], accepted.get("rotation")) == (new, None)
    assert office.held() == (new, settlement.PERIOD_MAX)


def test_a_replacement_is_taken_back(office: Office) -> None:
    office.entry("set-signer", "--signer", KEYS["referrer"].address, key="governor")
    office.entry("set-signer", "--signer", KEYS["submitter"].address, key="governor")
    assert "rotation" not in office.entry("partner", "--cancel-rotation", key="governor")
    office.served.chain.advance_time(DELAY)
    assert office.failure("accept-signer", key="submitter") == "PARTNER_STATUS_ON_CHAIN"


def test_a_partner_is_suspended_resumed_and_ended(office: Office) -> None:
    account = KEYS["referrer"].address
    office.entry("set-signer", "--signer", account, key="governor")
    assert office.entry("partner", "--suspend", key="referrer")["status"] == "SUSPENDED"
    assert office.held() == (account, 0)
    assert office.failure("partner", "--resume", key="referrer") == "CHAIN_CALLER_NOT_ENTITLED"
    assert office.entry("partner", "--resume", key="governor")["status"] == "ACTIVE"
    ended = office.entry("partner", "--exit", "2026-12", key="governor")
    assert (ended["status"], ended["until"], office.held()) == ("EXITED", 202612, (account, 202612))
    assert office.failure("partner", "--resume", key="governor") == "PARTNER_STATUS_ON_CHAIN"


def test_what_cannot_be_is_refused_before_anything_is_sent(office: Office) -> None:
    head = office.served.chain.head()
    for role in ("broker", "arbiter"):
        refusal = office.failure("set-signer", "--signer", KEYS[role].address, key="governor")
        assert refusal == "CHAIN_SIGNER_REFUSED"
    assert office.failure("set-signer", "--signer", ZERO_ADDRESS, key="governor") == "CHAIN_SIGNER_REFUSED"
    assert office.failure("set-signer", "--signer", ZERO_ADDRESS, key="broker") == "CHAIN_CALLER_NOT_ENTITLED"
    assert office.failure("partner", "--suspend", key="broker") == "CHAIN_CALLER_NOT_ENTITLED"
    assert office.failure("partner", "--suspend", "--exit", "2026-12", key="governor")
    assert office.failure("partner", "--suspend")
    terms = ("--signer", KEYS["referrer"].address, "--terms", "12")
    assert office.failure("set-signer", *terms, key="governor") == "ANCHOR_INVALID"
    assert office.entry("partner")["status"] == "UNKNOWN"
    assert office.served.chain.head() == head


def test_a_contract_with_another_registrar_is_none_of_theirs(office: Office) -> None:
    office.contract = office.served.deploy_settlement()
    assert office.failure("partner", "--suspend", key="governor") == "CONTRACT_CODE_DIFFERS"
