"""docs/deploy.md, line by line: every command of the page, run by the party it names, over real processes."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.processes import Done, Process, free_ports, port_open, run
from tests.partner_node.alliance import clients_csv

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow(seconds=30)]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"
PARTNERS = ("broker", "platform")
PEOPLE = {"the operator": "operator", "the governor": "governor", "the arbiter": "arbiter"}
PRINTED = re.compile(r"\b(SUBMITTER|GOVERNOR|ARBITER|BROKER|PLATFORM|GENESIS|CONTRACT|ANCHOR|AGREEMENT|ID|ACCOUNT)\b")
NODE = """[node]
partner = "{partner}"
name = "{partner}"
dir = "."
hub = "127.0.0.1:{hub}"
enrol = "127.0.0.1:{enrol}"
authority = "../operator/hub/keys/ca.pem"
[chain]
chain_id = 20261
contract = "{contract}"
genesis = "{genesis}"
[[asset]]
name = "clients"
source = "clients.csv"
id_column = "client_id"
id_type = "resident_id"
purposes = ["profile"]
[asset.columns]
SPEND = "C2"
"""
TERMS = """title = "first-month commission"
payer = "broker"
referrer = "platform"
valid_from = 2026-08-01
[[rules]]
id = "first-month"
event = "commission"
rate = "1/20"
"""


def blocks() -> list[tuple[str, list[str]]]:
    """(who, commands) of each block of the page, in order."""
    found = []
    for text in re.findall(r"```sh\n# (.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        who, *lines = text.strip().splitlines()
        found.append((who, lines))
    return found


@dataclass
class Founders:
    """The parties with a folder each, what was printed so far, and the processes that keep running."""

    folder: Path
    ports: dict[str, int]
    printed: dict[str, str] = field(default_factory=dict)
    invites: dict[str, str] = field(default_factory=dict)
    running: list[Process] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)

    def home(self, who: str) -> Path:
        made = self.folder / who
        made.mkdir(exist_ok=True)
        return made

    def write_settings(self, partner: str) -> None:
        known = {name: self.printed.get(name.upper(), "") for name in ("contract", "genesis")}
        text = NODE.format(partner=partner, hub=self.ports["7443"], enrol=self.ports["7444"], **known)
        (self.home(partner) / "node.toml").write_text(text)

    def filled(self, line: str, partner: str) -> str:
        """The line with what was printed before, this test's ports, and the partner it is for."""
        for port, ours in self.ports.items():
            line = line.replace(f"0.0.0.0:{port}", f"127.0.0.1:{ours}").replace(port, str(ours))
        cards = " ".join(f"../{other}/card.json" for other in PARTNERS if other != partner)
        line = line.replace("OTHER-CARDS", cards).replace("INVITE", self.invites.get(partner, "INVITE"))
        line = line.replace("PARTNER", partner)
        return PRINTED.sub(lambda found: self.printed[found[0]], line)

    def do(self, who: str, line: str, partner: str = "") -> None:
        words, cwd = shlex.split(self.filled(line, partner)), self.home(who)
        if words[0] != "ecohub":
            subprocess.run(words, cwd=cwd, check=True)
        elif "serve" in words or words[1:3] == ["partner", "run"]:
            self.start(words[1:], cwd)
        else:
            chain = words[1:3] == ["sandbox", "chain"]
            self.learn(words[1:], run(*words[1:], *([] if chain else ["--json"]), cwd=cwd).check(), who, partner)

    def start(self, words: list[str], cwd: Path) -> None:
        ready = {
            "sandbox": lambda: port_open(self.ports["8545"]),
            "hub": (cwd / "hub" / "hub.ready").exists,
            "partner": (cwd / "node.sock").exists,
        }[words[0]]
        name = f"{cwd.name}-{words[0]}"
        process = Process(name, words, self.folder / "logs" / f"{name}.log", ready, cwd)
        process.start()
        self.running.append(process)
        process.wait_ready()

    def learn(self, words: list[str], done: Done, who: str, partner: str) -> None:
        """Remember what the page says a command prints."""
        found = done.json if done.stdout.strip().startswith("{") else {}
        self.told[" ".join(words[:3])] = found
        names = {"submitter": "SUBMITTER", "contract": "CONTRACT", "genesis": "GENESIS", "anchor": "ANCHOR"}
        self.printed |= {name: found[key] for key, name in names.items() if isinstance(found.get(key), str)}
        if words[2:3] == ["new-key"]:
            self.printed[who.upper()] = found["account"]
        elif words[:2] == ["partner", "keys"]:
            self.printed[partner.upper()] = found["chain"]
        elif words[:2] == ["hub", "invite"]:
            self.invites[partner] = found["invite"]
        elif words[:2] == ["finance", "agreement"]:
            self.printed |= {"AGREEMENT": found["digest"]}
            self.printed |= {"ID": found["chain"]["partner"], "ACCOUNT": found["chain"]["signer"]}


@pytest.fixture
def founders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Founders]:
    names = ("7443", "7444", "8545", "8546")
    made = Founders(tmp_path_factory.mktemp("f"), dict(zip(names, free_ports(4), strict=True)))
    for partner in PARTNERS:
        made.write_settings(partner)
        (made.home(partner) / "clients.csv").write_text(clients_csv(range(120)))
    (made.home("operator") / "agreement.toml").write_text(TERMS)
    try:
        yield made
    finally:
        for process in reversed(made.running):
            process.stop()


def test_every_command_of_the_page_works_in_its_order(founders: Founders) -> None:
    lines = 0
    for who, commands in blocks():
        for partner in PARTNERS if who.startswith("each partner") else ():
            founders.write_settings(partner)
        for line in commands:
            lines += 1
            if who.startswith("each partner"):
                for partner in PARTNERS:
                    wait_for_proposal(founders, partner, line)
                    founders.do(partner, line, partner)
            else:
                for partner in PARTNERS if "PARTNER" in line else ("",):
                    founders.do(PEOPLE[who], line, partner)
    assert lines >= 30
    told = founders.told
    assert sorted(told["hub status --config"]["connected"]) == ["broker", "platform"]
    assert told["hub status --config"]["anchor"]["contract"] == founders.printed["ANCHOR"]
    assert told["hub status --config"]["anchor"]["size"] > 0
    assert told["finance contract --config"]["contract"] == founders.printed["CONTRACT"]
    assert told["finance contract --config"]["broker"] == founders.printed["BROKER"]
    assert [c["cosigned"] for c in told["hub checkpoint --config"]["checkpoints"]] == [["broker", "platform"]] * 2
    names = {(c["name"], c["role"], c["state"]) for c in certificates(founders)}
    assert {("broker", "node", "ACTIVE"), ("fei", "finance", "ACTIVE"), ("operator", "operator", "ACTIVE")} <= names
    for name in (*PARTNERS, "fei", "operator"):  # renewed: the old one runs out by itself
        assert len([c for c in certificates(founders) if c["name"] == name and c["state"] == "ACTIVE"]) == 2
    for partner in PARTNERS:  # and the renewed one is taken by the hub
        stopped = next(process for process in founders.running if process.name == f"{partner}-partner")
        stopped.stop()
        run("doctor", cwd=founders.home(partner)).check()


def certificates(founders: Founders) -> list[dict[str, str]]:
    config = founders.home("operator") / "hub" / "people" / "operator" / "person.toml"
    found: list[dict[str, str]] = (
        run("hub", "certificates", "--config", str(config), "--json").check().json["certificates"]
    )
    return found


def wait_for_proposal(founders: Founders, partner: str, line: str) -> None:
    """A proposal takes a moment to a node; people approve what they see."""
    if "approve" not in line:
        return
    for _ in range(100):
        if run("partner", "jobs", founders.printed["AGREEMENT"], cwd=founders.home(partner)).exit_code == 0:
            return
    raise AssertionError("the agreement never came to the node")
