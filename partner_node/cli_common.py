"""What all `ecohub partner` commands share: options, the call to the running node, output for people or machines.

`--config`, `--json` and `--lang` may stand before or after the command's name. Tables are for people; `--json` prints
one document on one line for machines.
"""

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ecowire import terminal
from ecowire.status import NotConfirmed
from partner_node import local_client
from partner_node import settings as node_settings
from partner_node.settings import Settings
from privacy.printable import printable

F = TypeVar("F", bound=Callable[..., Any])
CONFIG = "node.toml"
ENVIRONMENT = "ECOHUB_NODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """One command's context."""

    config: Path
    as_json: bool
    lang: str

    def settings(self) -> Settings:
        """The node's settings. Raises SettingsInvalid."""
        return node_settings.load(self.config)

    def call(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Run a command on the running node. Raises NodeNotRunning, or the node's own failure."""
        return local_client.call(self.settings().socket, command, arguments)

    def say(self, en: str, zh: str) -> None:
        """A sentence for people; machines read the document instead."""
        if not self.as_json:
            click.echo(zh if self.lang == "zh" else en)

    def show(self, document: Mapping[str, Any], human: Callable[[], None] | None = None) -> None:
        """Print a result: one JSON document, or `human()`, or name and value a line."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False))
        elif human is not None:
            human()
        else:
            for name, value in document.items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                click.echo(printable(f"{name}: {text}"))

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        none: tuple[str, str] = ("nothing there yet", "暂无记录"),
    ) -> None:
        """A table on the terminal; `none` (en, zh) in place of one without rows."""
        if rows:
            terminal.table(columns, rows)
        else:
            self.say(*none)

    def confirm(self, yes: bool, document: Mapping[str, Any], human: Callable[[], None]) -> None:
        """Show what would happen; raises NotConfirmed without --yes."""
        if not yes:
            self.show(document, human)
            raise NotConfirmed


def options(command: F) -> F:
    """Give a command --config, --json and --lang, and a `Cli` as its first argument."""

    @functools.wraps(command)
    def wrapped(config: Path | None, as_json: bool, lang: str | None, **arguments: Any) -> Any:
        ctx = click.get_current_context()
        outer = ctx.find_object(Cli)
        given = config or (outer.config if outer else None) or Path(os.environ.get(ENVIRONMENT, CONFIG))
        language = lang or (outer.lang if outer else None) or os.environ.get("ECOHUB_LANG", "en")
        cli = Cli(config=given.resolve(), as_json=as_json or bool(outer and outer.as_json), lang=language)
        ctx.obj = cli
        return command(cli, **arguments)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), help=f"node.toml (also {ENVIRONMENT})"),
    click.option("--json", "as_json", is_flag=True, help="one JSON document"),
    click.option("--lang", type=click.Choice(["en", "zh"]), help="language of messages (also ECOHUB_LANG)"),
)
