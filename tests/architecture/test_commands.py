"""Every command has help and stands on the page of commands, which is what the commands say of themselves."""

from pathlib import Path

import pytest

from sandbox import reference
from sandbox.cli import RoleUnavailable, ecohub
from sandbox.reference import markdown, walk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def test_every_command_has_help() -> None:
    without = [" ".join(path) for path, command in walk(ecohub, ("ecohub",)) if not (command.help or "").strip()]
    assert not without


def test_every_option_has_help_or_a_name_that_needs_none() -> None:
    plain = {"--help", "--json", "--lang", "--config", "--dir", "--out", "--port", "--yes", "--seed"}
    bare = [
        f"{' '.join(path)} {parameter.opts[0]}"
        for path, command in walk(ecohub, ("ecohub",))
        for parameter in command.params
        if parameter.param_type_name == "option"
        and not getattr(parameter, "help", None)
        and parameter.opts[0] not in plain
    ]
    assert not bare


def test_a_command_that_can_not_be_imported_leaves_the_page_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "cli.md"
    reference.write(page)
    assert page.read_text() == markdown()
    monkeypatch.setitem(ecohub.table, "broken", ("hub.no_such_module:command", "", ""))
    with pytest.raises(RoleUnavailable):
        reference.write(page)
    assert page.read_text().startswith("# Commands")
    assert [found.name for found in tmp_path.iterdir()] == ["cli.md"]


def test_the_page_of_commands_is_fresh() -> None:
    assert PAGE.read_text() == markdown(), "run `make docs`"
