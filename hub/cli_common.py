"""What the commands of `hub`, `data` and `finance` share: options, the call to the hub, output for people or machines.

Expected errors are raised; the root command prints them as `CODE: sentence` and gives the exit code of their kind.
"""

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ecowire import terminal
from ecowire.status import NotConfirmed
from hub import client, drafts, words
from hub.records import Head
from privacy.printable import printable

F = TypeVar("F", bound=Callable[..., Any])


def clock() -> datetime:
    """The time now. People's commands are roots; importing `hub.wiring` for it would load the whole hub."""
    return datetime.now(UTC)  # noqa: TID251


def entropy(count: int) -> bytes:
    return os.urandom(count)  # noqa: TID251


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """One command's context. `config`: hub.toml for commands on the hub's machine, person.toml for calls to the hub."""

    config: Path | None
    as_json: bool
    lang: str

    def call(self, command: str, head: Head | None = None, *, key: str = "") -> tuple[dict[str, Any], bytes]:
        """Call the hub as this person. A fresh key is made where the command changes something and none is given."""
        key = key or os.urandom(16).hex()  # noqa: TID251 - a command line is a root
        answer, body = client.call(client.load(self.config), command, head, idempotency_key=key)
        return dict(answer), body

    def drawn_before(self, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is given, with the nonce, salt and expiry that this key's proposal has, where it was made before."""
        earlier = self.call("proposed", {"key": key})[0]["body"] if key else None
        return drafts.given_again(earlier, given)

    def word(self, en: str, zh: str) -> str:
        return zh if self.lang == "zh" else en

    def value(self, text: str) -> str:
        """A state, kind, decision or role in the person's language."""
        return words.value(text, self.lang)

    def say(self, en: str, zh: str) -> None:
        """A sentence for people; machines read the document instead."""
        if not self.as_json:
            click.echo(self.word(en, zh))

    def show(self, document: Mapping[str, Any], human: Callable[[], None] | None = None) -> None:
        """Print a result: one JSON document on one line, or `human()`, or name and value a line."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False))
        elif human is not None:
            human()
        else:
            for name, value in document.items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                click.echo(printable(f"{words.field(name, self.lang)}: {self.value(text)}"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
        """A table on the terminal, its English heads in the person's language; without rows it says so."""
        if rows:
            terminal.table([words.head(name, self.lang) for name in columns], rows, title)
        else:
            click.echo(": ".join(filter(None, [title, self.word("nothing there yet", "暂无记录")])))

    def confirm(self, yes: bool, document: Mapping[str, Any], human: Callable[[], None] | None = None) -> None:
        """Show what would happen. Raises NotConfirmed without --yes."""
        if not yes:
            self.show(document, human)
            raise NotConfirmed


def options(command: F) -> F:
    """Give a command --config, --json and --lang, before or after its name, and a `Cli` as its first argument."""

    @click.option(
        "--config", type=click.Path(path_type=Path), help=f"person.toml (also {client.ENVIRONMENT}), or hub.toml"
    )
    @click.option("--json", "as_json", is_flag=True, help="one JSON document")
    @click.option("--lang", type=click.Choice(["en", "zh"]), help="language of messages (also ECOHUB_LANG)")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(ctx: click.Context, /, config: Path | None, as_json: bool, lang: str | None, **arguments: Any) -> Any:
        outer = ctx.find_object(Cli)
        cli = Cli(
            config=config or (outer.config if outer else None),
            as_json=as_json or bool(outer and outer.as_json),
            lang=lang or (outer.lang if outer else None) or os.environ.get("ECOHUB_LANG", "en"),
        )
        ctx.obj = cli
        return command(cli, **arguments)

    return wrapped  # type: ignore[return-value]
