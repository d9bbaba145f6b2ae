"""`ecohub sandbox chain …`: run the chain's process, check a ledger, deploy and govern the settlement contract."""

import os
import time
from pathlib import Path

import click

from contracts import keys
from ecowire import outputs
from sandbox.chain import cli_anchor, cli_arbiter, cli_contracts, cli_governor, cli_ledger, genesis
from sandbox.chain.cli_options import FILE, FOLDER, Endpoint, endpoint, print_json


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
    print_json({"account": made.address, "file": str(out)})


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
    print_json({"genesis": begun.digest, "file": str(folder / GENESIS)})


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


@chain.command()
@endpoint
@click.argument("seconds", type=int)
def advance(at: Endpoint, seconds: int) -> None:
    """Move the clock of a chain that was started with --test-clock."""
    with at.open() as client:
        print_json({"time": client.advance_time(seconds).isoformat()})


for command in (
    cli_contracts.deploy_settlement,
    cli_contracts.set_signer,
    cli_contracts.accept_signer,
    cli_contracts.partner_entry,
    cli_arbiter.resolve,
    cli_governor.governor,
    cli_anchor.anchor,
):
    chain.add_command(command)
