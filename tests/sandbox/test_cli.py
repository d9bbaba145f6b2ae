"""The root command: a table of roles, loaded only when used; failures become a code, a sentence and an exit code."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from privacy.errors import Failure, Kind
from sandbox import cli

ROOT = Path(__file__).resolve().parents[2]


def fresh(code: str) -> str:
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_no_role() -> None:
    code = "import sys; from sandbox import cli; code = cli.run(['--help']); print(code, sorted(sys.modules))"
    out = fresh(code)
    for role in cli.ROLES:
        assert role in out
    loaded = out[out.rindex("[") :]
    for module in ("flwr", "grpc", "sqlalchemy", "web3", "numpy", "'hub", "'partner_node", "sandbox.chain"):
        assert module not in loaded


def test_the_regulator_loads_no_flower_hub_or_node() -> None:
    code = (
        "import sys; from sandbox import cli; cli.run(['regulator', 'examine', '--help']); print(sorted(sys.modules))"
    )
    loaded = fresh(code).rsplit("[", 1)[1]
    for module in ("flwr", "'hub", "'partner_node", "sqlalchemy"):
        assert module not in loaded


@pytest.mark.parametrize("table", [cli.ROLES, cli.SANDBOX], ids=["roles", "sandbox"])
def test_every_row_of_a_table_names_a_command_with_help(table: dict[str, tuple[str, str, str]]) -> None:
    group = cli.LazyGroup("test", table=table)
    for name, (_, english, chinese) in table.items():
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert command.help, name
        assert english.isascii()
        assert not chinese.isascii()


class DoorClosed(Failure):
    code = "TEST_DOOR_CLOSED"
    kind = Kind.REFUSED
    en = "door {number} is closed"
    zh = "{number} 号门已关闭"


@pytest.fixture
def closed_door(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.option("--lang")
    @click.option("--how", default="failure")
    def door(lang: str | None, how: str) -> None:
        """A command that ends in each way a command can end."""
        if how == "failure":
            raise DoorClosed(number=7)
        if how == "findings":
            click.get_current_context().exit(1)
        if how == "bug":
            raise ZeroDivisionError("client 990001195207070400")

    monkeypatch.setattr(cli, "door", door, raising=False)
    monkeypatch.setitem(cli.ROLES, "door", ("sandbox.cli:door", "test", "测试"))


@pytest.mark.usefixtures("closed_door")
def test_a_failure_is_one_line_with_its_code_in_the_language_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["door"]) == 3
    assert capsys.readouterr().err == "TEST_DOOR_CLOSED: door 7 is closed\n"
    assert cli.run(["door", "--lang", "zh"]) == 3
    assert capsys.readouterr().err == "TEST_DOOR_CLOSED: 7 号门已关闭\n"


@pytest.mark.usefixtures("closed_door")
def test_exit_codes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cli.DEBUG, raising=False)
    assert cli.run(["door", "--how", "well"]) == 0
    assert cli.run(["door", "--how", "findings"]) == 1
    assert cli.run(["no-such-role"]) == 2
    capsys.readouterr()
    assert cli.run(["door", "--how", "bug"]) == 4
    shown = capsys.readouterr().err
    assert shown.startswith("INTERNAL: unexpected ZeroDivisionError")
    assert "990001195207070400" not in shown


def test_a_role_whose_packages_are_missing_says_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.ROLES, "absent", ("sandbox.no_such_module:x", "test", "测试"))
    assert cli.run(["absent"]) == 4
    assert "ROLE_UNAVAILABLE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "en"),
        ([], {"ECOHUB_LANG": "zh"}, "zh"),
        (["x", "--lang", "en"], {"ECOHUB_LANG": "zh"}, "en"),
        (["--lang=zh"], {}, "zh"),
        (["--lang"], {}, "en"),
        ([], {"ECOHUB_LANG": "fr"}, "en"),
    ],
)
def test_language(arguments: list[str], environment: dict[str, str], expected: str) -> None:
    assert cli.language(arguments, environment) == expected
