"""`ecohub sandbox chain …`: run the chain's process, check a ledger, deploy and govern the settlement contract."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from contracts import artifacts, keys, settlement
from contracts.chain import Chain
from contracts.errors import AnchorInvalid
from ecowire import outputs
from sandbox.chain import cli_ledger, genesis

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), envvar="ECOHUB_LANG", default="en", help="language of messages"
)
@click.pass_context
def chain(context: click.Context, lang: str) -> None:
    """The sandbox chain: serve, verify, export, import, deploy the settlement contract."""
    context.obj = {**(context.obj or {}), "lang": lang}


@chain.command("new-key")
@click.option("--out", type=FILE, required=True, help="the key's new file, mode 0600")
def new_key(out: Path) -> None:
    """Make a chain key, for the governor or the arbiter, and print its account."""
    made = keys.generate(os.urandom)  # noqa: TID251 - a command line is a root
    outputs.write_new(out, made.secret.hex().encode() + b"\n")
    _print({"account": made.address, "file": str(out)})


@chain.command()
@click.option("--dir", "folder", type=FOLDER, required=True, help="folder of the new chain")
@click.option("--chain-id", type=int, required=True, help="number of the new chain; signatures hold on it alone")
@click.option("--sender", "senders", multiple=True, required=True, help="account whose transactions are taken; repeat")
@click.option("--timestamp", type=int, help="Unix seconds of block 0 (default: now)")
@click.option("--gas-limit", type=int, default=genesis.GAS_LIMIT, show_default=True, help="gas of a whole block")
def init(folder: Path, chain_id: int, senders: tuple[str, ...], timestamp: int | None, gas_limit: int) -> None:
    """Write the genesis file of a new chain and print its digest."""
    from sandbox.chain.serve import GENESIS

    begun = genesis.Genesis(
        chain_id=chain_id,
        timestamp=int(time.time()) if timestamp is None else timestamp,  # noqa: TID251
        gas_limit=gas_limit,
        senders=frozenset(keys.parse_address(sender) for sender in senders),
    )
    folder.mkdir(parents=True, exist_ok=True)
    genesis.write(begun, folder / GENESIS)
    _print({"genesis": begun.digest, "file": str(folder / GENESIS)})


@chain.command()
@click.option("--dir", "folder", type=FOLDER, required=True)
@click.option("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes any free one")
@click.option("--read-only-port", type=int, help="second listener that takes no transactions")
@click.option("--test-clock", is_flag=True, help="allow the clock to be moved (tests and demos only)")
@click.option("--batch-seconds", type=click.FloatRange(0, 5), default=0.0, help="let transactions share a block")
def serve(folder: Path, port: int, read_only_port: int | None, test_clock: bool, batch_seconds: float) -> None:
    """Serve a chain on 127.0.0.1 until SIGTERM; says in one JSON line when it is ready."""
    from sandbox.chain.serve import Options, run

    run(
        Options(
            folder=folder,
            port=port,
            read_only_port=read_only_port,
            test_clock=test_clock,
            batch_seconds=batch_seconds,
        )
    )


for command in (cli_ledger.verify, cli_ledger.export, cli_ledger.import_):
    chain.add_command(command)


def _endpoint(command: Command) -> Command:
    """The options of every command that talks to a running chain."""
    for option in (
        click.option("--chain-id", type=int, required=True, help="the chain's number, as in its genesis file"),
        click.option("--endpoint", required=True, help="JSON-RPC address, http://127.0.0.1:PORT"),
    ):
        command = option(command)
    return command


@chain.command()
@_endpoint
@click.argument("seconds", type=int)
def advance(endpoint: str, chain_id: int, seconds: int) -> None:
    """Move the clock of a chain that was started with --test-clock."""
    with Chain(endpoint, chain_id) as client:
        _print({"time": client.advance_time(seconds).isoformat()})


@chain.command("deploy-settlement")
@_endpoint
@click.option("--key", type=FILE, required=True, help="governor's key file: 64 hex digits, mode 0600")
@click.option("--broker", required=True, help="the broker's signing account")
@click.option("--arbiter", required=True, help="the arbiter's account; neither party's")
@click.option(
    "--window-seconds",
    type=click.IntRange(1, settlement.WINDOW_SECONDS_MAX),
    required=True,
    help="how long a statement stays open to dispute",
)
@click.option("--output", type=FILE, help="also write the JSON to this file")
def deploy_settlement(
    endpoint: str, chain_id: int, key: Path, broker: str, arbiter: str, window_seconds: int, output: Path | None
) -> None:
    """Deploy the settlement contract with the governor's key and check the deployed code."""
    if output is not None:
        outputs.check_new(output)
    governor = keys.read(key)
    arguments = settlement.constructor_data(
        governor.address, keys.parse_address(broker), keys.parse_address(arbiter), window_seconds
    )
    with Chain(endpoint, chain_id) as client:
        contract = client.deploy(artifacts.load("Settlement"), arguments, governor.secret)
        found = settlement.deployment(client, contract)
    _print(
        {
            "contract": contract,
            "chain_id": chain_id,
            "governor": found.governor,
            "broker": found.broker,
            "arbiter": found.arbiter,
            "window_seconds": found.window_seconds,
        },
        output,
    )


@chain.command("set-signer")
@_endpoint
@click.option("--key", type=FILE, required=True, help="governor's key file")
@click.option("--contract", required=True, help="address of the settlement contract")
@click.option("--partner", required=True, help="the partner's identifier on chain: 64 hex digits")
@click.option("--signer", required=True, help="its signing account; the zero address stops it from settling")
def set_signer(endpoint: str, chain_id: int, key: Path, contract: str, partner: str, signer: str) -> None:
    """The governor registers the account that signs for a partner."""
    identifier = _identifier(partner)
    data = settlement.set_signer_data(identifier, keys.parse_address(signer))
    with Chain(endpoint, chain_id) as client:
        receipt = client.execute(keys.parse_address(contract), data, keys.read(key).secret)
    _print({"partner": identifier.hex(), "signer": signer, "transaction": receipt.transaction})


def _identifier(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != 32:
        raise AnchorInvalid(why="a partner's identifier is 64 hex digits")
    return value


def _print(value: dict[str, Any], output: Path | None = None) -> None:
    text = json.dumps(value, indent=2, sort_keys=True)
    click.echo(text)
    if output is not None:
        outputs.write_new(output, text.encode() + b"\n", mode=0o644)
