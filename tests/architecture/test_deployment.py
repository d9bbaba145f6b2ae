"""docker-compose.yml and the Dockerfile name only what exists: commands, options, ports, volumes, environment names."""

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sandbox.cli import ecohub

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("ecohub:")}
LIBPQ = {"PGPASSFILE"}  # read by the PostgreSQL client library
POSTGRES_IMAGE = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}  # the image's documented names


def test_the_alliance_of_four_its_hub_its_chain_and_its_database_are_there() -> None:
    assert set(COMPOSE["services"]) == {"postgres", "hub", "chain", "broker", "bank", "platform", "insurer"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_and_option_exists(name: str) -> None:
    words = list(OURS[name]["command"])
    command: click.Command = ecohub
    context = click.Context(ecohub)
    while words:
        options = {option for parameter in command.params for option in parameter.opts}
        if words[0].startswith("--"):
            assert words[0] in options, f"{command.name} has no {words[0]}"
            words = words[2:]
            continue
        assert isinstance(command, click.Group), f"{words[0]} is no option of {command.name}"
        found = command.get_command(context, words.pop(0))
        assert found is not None, f"{command.name} has no such command"
        command = found
    assert not isinstance(command, click.Group)


def test_the_hubs_published_ports_are_the_defaults_of_hub_init() -> None:
    hub = ecohub.get_command(click.Context(ecohub), "hub")
    assert isinstance(hub, click.Group)
    defaults = {p.name: str(p.default) for p in hub.commands["init"].params}
    inside = {defaults[name].rsplit(":")[-1] for name in ("listen", "enrol")}
    assert {port.split(":")[1] for port in OURS["hub"]["ports"]} == inside


def test_every_volume_and_secret_is_declared_and_used() -> None:
    used = {
        v.split(":")[0] for s in COMPOSE["services"].values() for v in s.get("volumes", []) if not v.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])
    assert {name for s in COMPOSE["services"].values() for name in s.get("secrets", [])} == set(COMPOSE["secrets"])


def test_every_environment_name_is_read_by_somebody() -> None:
    rooms = ("privacy", "federation", "contracts", "proto", "hub", "partner_node", "sandbox")
    text = "".join(path.read_text() for room in rooms for path in (ROOT / room).rglob("*.py"))
    for name, service in COMPOSE["services"].items():
        known = LIBPQ | POSTGRES_IMAGE if name in ("postgres", "hub") else set()
        for variable in service.get("environment", {}):
            assert variable in known or variable in text, f"{name}: nobody reads {variable}"
    for variable in re.findall(r"(\w+)=\S+", re.findall(r"^ENV (.*)$", (ROOT / "Dockerfile").read_text(), re.M)[0]):
        assert variable in ("PATH", "PYTHONUNBUFFERED") or variable in text, f"nobody reads {variable}"


def test_what_the_dockerfile_copies_exists_and_its_entry_point_is_a_script() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.M):
        assert (ROOT / source).exists(), source
    assert "[project.scripts]\necohub = " in (ROOT / "pyproject.toml").read_text()
    assert 'ENTRYPOINT ["ecohub"]' in text
