"""`ecohub partner` against a node that runs as a process of its own, joined to a hub in this process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from partner_node.cli import partner
from partner_node.settings import Settings
from privacy.errors import Failure
from tests.partner_node.alliance import resident_id
from tests.partner_node.harbour import Harbour, harbour, prepare, until

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]

ENTRY = [sys.executable, "-P", "-c", "from sandbox.cli import main; main()"]
CLIENT = resident_id(17)


class Running:
    """A node's process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = settings.folder / "node.toml"
        self.log = settings.folder / "node.log"
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        self.settings.socket.unlink(missing_ok=True)
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*ENTRY, "partner", "run", "--config", str(self.config)],
                env={**os.environ, "PYTHONPATH": paths},
                stdout=output,
                stderr=output,
            )
        until(self.settings.socket.exists)
        return self.process

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(partner, [*arguments, "--config", str(self.config)])

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    def refused(self, *arguments: str) -> str:
        """The code of the failure that a command ends with."""
        failure = self.run(*arguments).exception
        assert isinstance(failure, Failure)
        return str(getattr(failure, "remote_code", failure.code))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Harbour]:
    with harbour(tmp_path) as made:
        yield made


@pytest.fixture
def node(hub: Harbour) -> Iterator[Running]:
    running = Running(prepare(hub, "bank"))
    yield running
    if running.process.poll() is None:
        running.stop()


def test_a_node_from_start_to_stop(node: Running, tmp_path: Path) -> None:
    until(lambda: node.json("status")["connected"])
    assert node.json("publish")["assets"][0]["rows"] == "0-99"
    until(lambda: node.json("status")["receipts"] == 1)
    records = tmp_path / "consent.csv"
    records.write_text(f"client_id,purpose,until\n{CLIENT},profile,2099-01-01\n")
    assert node.json("consent", "import", str(records)) == {"imported": 1}
    assert node.json("check-data")["assets"][0]["consents"] == {"profile": 1}
    assert node.json("consent", "show", "--client", CLIENT)["records"][0]["purpose"] == "profile"
    assert node.json("consent", "withdraw", CLIENT) == {"withdrawn": 1}
    assert node.json("jobs") == {"jobs": []}
    quota = node.json("quota")
    assert (quota["matching"]["partners"], quota["score_vectors"]) == ([], [])
    assert "no partner's card is pinned" in node.run("quota").stdout
    assert "尚无告警" in node.run("matching", "records", "--lang", "zh").stdout
    assert node.refused("matching", "clear", "broker", "--reason", "asked them") == "MATCH_NO_ALARM"
    assert node.json("budget") == {"assets": []}
    assert "no asset has a privacy budget" in node.run("budget").stdout
    assert "没有数据资产设有隐私预算" in node.run("budget", "--lang", "zh").stdout
    assert node.json("keys", "show")["partner"] == "bank"
    trust = tmp_path / "bank.toml"
    node.json("trust", "export", "--out", str(trust))
    assert "log_key" in trust.read_text()
    card = tmp_path / "card.json"
    assert node.run("card", "--out", str(card)).exit_code == 0
    assert node.json("pin", str(card))["pinned"][0]["partner"] == "bank"
    assert node.stop() == 0
    assert not node.settings.socket.exists()
    assert node.refused("status") == "NODE_NOT_RUNNING"


def test_a_killed_node_goes_on_where_it_was(node: Running, hub: Harbour) -> None:
    until(lambda: node.json("status")["connected"])
    hub.stop()
    node.json("publish")
    assert node.stop(signal.SIGKILL) == -signal.SIGKILL
    node.start()
    assert node.json("status")["outbox"] == {"OPEN": 1}
    hub.start()
    until(lambda: node.json("status")["receipts"] == 1)
    assert node.stop() == 0


def test_commands_print_tables_for_people_in_their_language(node: Running) -> None:
    assert "clients" in node.run("publish").stdout
    assert "rejected" in node.run("check-data").stdout
    for arguments in (("jobs",), ("quota",), ("budget",), ("status",)):
        assert node.run(*arguments, "--lang", "zh").exit_code == 0


def test_refusals_keep_their_codes(node: Running, tmp_path: Path) -> None:
    assert node.refused("approve", "ab" * 32, "--yes") == "UNKNOWN_JOB"
    assert node.refused("refuse", "short") == "UNKNOWN_JOB"
    assert node.refused("alignment", "export", "ab" * 32, str(tmp_path / "out.csv")) == "UNKNOWN_JOB"
    assert node.refused("check-data", "staff") == "ASSET_UNKNOWN"
    assert node.refused("init") == "KEYS_EXIST"
    assert node.refused("enrol", "no such invite") == "INVITE_UNKNOWN"


def test_a_node_that_is_not_enrolled_does_not_start(node: Running) -> None:
    node.stop()
    (node.settings.keys / "tls.pem").unlink()
    done = subprocess.run(
        [*ENTRY, "partner", "run", "--config", str(node.config)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("NOT_ENROLLED: ")


def test_every_command_has_help_and_the_common_options() -> None:
    def commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, (*path, name))
            else:
                yield (*path, name), command

    found = dict(commands(partner, ()))
    assert len(found) >= 20
    for path, command in found.items():
        assert command.help, path
        assert {"config", "as_json", "lang"} <= {option.name for option in command.params}, path
