"""The endpoint, the options and the printing that several commands of `ecohub sandbox chain` have."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from contracts.chain import Chain
from ecowire import outputs

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
KEY = click.option("--key", type=FILE, required=True, help="the caller's key file: 64 hex digits, mode 0600")
CONTRACT = click.option("--contract", required=True, help="address of the settlement contract")
PARTNER = click.option("--partner", required=True, help="the partner's identifier on chain: 64 hex digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A chain as the command line names it. gas_price: wei."""

    url: str
    chain_id: int
    gas_price: int

    def open(self) -> Chain:
        """A client of it, for a `with` block."""
        return Chain(self.url, self.chain_id, gas_price=self.gas_price)


def endpoint(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that talks to a running chain; the command gets them as its first argument."""

    @click.option("--endpoint", "url", required=True, help="JSON-RPC address, http://127.0.0.1:PORT")
    @click.option("--chain-id", type=int, required=True, help="the chain's number, as in its genesis file")
    @click.option(
        "--gas-price",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="wei; 0 on the sandbox chain and on free-gas networks",
    )
    @functools.wraps(command)
    def wrapped(url: str, chain_id: int, gas_price: int, **arguments: Any) -> None:
        command(Endpoint(url=url, chain_id=chain_id, gas_price=gas_price), **arguments)

    return wrapped


def print_json(value: dict[str, Any], output: Path | None = None) -> None:
    """Print what a command did as one JSON object, and write it to a new file where one is named."""
    text = json.dumps(value, indent=2, sort_keys=True)
    click.echo(text)
    if output is not None:
        outputs.write_new(output, text.encode() + b"\n", mode=0o644)
