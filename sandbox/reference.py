"""The command reference, written from the commands themselves: `python -m sandbox.reference docs/cli.md`.

A test compares the page with what this gives, so help, options and page can't say different things.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sandbox.cli import ecohub

HEAD = """# Commands

Written by `make docs` from the commands themselves; a test compares the two. Exit codes: 0 done, 1 findings, 2 wrong
input, 3 refused by policy, role, consent or state, 4 unavailable (try again), 5 a signature, digest or proof does not
hold.
"""


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below and with `command`, groups first, each with its full path."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from walk(found, (*path, name))


def markdown() -> str:
    """The whole page."""
    return HEAD + "".join(_section(path, command) for path, command in walk(ecohub, ("ecohub",)))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(path))
    lines = [f"\n{'#' * min(len(path) + 1, 4)} {' '.join(path)}\n", " ".join((command.help or "").split())]
    if not isinstance(command, click.Group):
        lines.append(f"\n`{' '.join([*path, *command.collect_usage_pieces(context)])}`")
    options = [parameter.get_help_record(context) for parameter in command.params]
    rows = [f"- `{name}` {' '.join(text.split())}".rstrip() for record in options if record for name, text in [record]]
    if rows:
        lines.append("\n" + "\n".join(rows))
    return "\n".join(lines) + "\n"


def write(path: Path) -> None:
    """Put the page in place, whole or not at all: a command that can't be imported leaves the page as it was."""
    page = markdown()
    draft = path.with_name(path.name + ".part")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
