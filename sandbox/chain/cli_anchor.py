"""`ecohub sandbox chain anchor …`: checkpoints of the audit logs kept in a contract."""

from pathlib import Path
from typing import Any

import click

from contracts import anchor as checkpoints
from contracts import artifacts, keys
from contracts.anchor import Checkpoint
from contracts.chain import Chain
from contracts.errors import TransactionUnknown
from contracts.jsonrpc import loads
from contracts.keys import Address
from ecowire import checkpoints as notes
from ecowire.status import MalformedMessage
from sandbox.chain.cli_options import FILE, KEY, Endpoint, endpoint, print_json

ANCHOR = click.option("--anchor", "contract", required=True, help="address of the anchor contract")
ORIGIN = click.option("--origin", required=True, help="the log's name: the first line of its checkpoints")
BYTES_MAX = 1 << 20


@click.group()
def anchor() -> None:
    """The anchor contract: deploy it, name who may anchor a log, anchor its checkpoints."""


@anchor.command()
@endpoint
@KEY
def deploy(at: Endpoint, key: Path) -> None:
    """Deploy an anchor that the caller governs, and check its code."""
    caller = keys.read(key)
    with at.open() as client:
        arguments = checkpoints.constructor_data(caller.address)
        contract = client.deploy(artifacts.load(checkpoints.NAME), arguments, caller.secret)
        print_json({"anchor": contract, "governor": checkpoints.governor(client, contract)})


@anchor.command()
@endpoint
@KEY
@ANCHOR
@ORIGIN
@click.option("--account", required=True, help="who may anchor the log; the zero address stops it")
def submitter(at: Endpoint, key: Path, contract: str, origin: str, account: str) -> None:
    """The governor names the account that may anchor a log."""
    named = keys.parse_address(account)
    data = checkpoints.set_submitter_data(checkpoints.origin_hash(origin), named)
    with at.open() as client:
        receipt = client.execute(_checked(client, contract), data, keys.read(key).secret)
    print_json({"origin": origin, "submitter": named, "transaction": receipt.transaction})


@anchor.command()
@endpoint
@KEY
@ANCHOR
@click.argument("file", type=FILE)
def put(at: Endpoint, key: Path, contract: str, file: Path) -> None:
    """Anchor the checkpoints of a FILE that `ecohub hub checkpoint --json` wrote; what is anchored already is left."""
    caller, found = keys.read(key), _read(file)
    with at.open() as client:
        where = _checked(client, contract)
        print_json({"anchored": [_put(client, where, one, caller) for one in found]})


@anchor.command()
@endpoint
@ANCHOR
@ORIGIN
@click.option("--size", type=click.IntRange(1), help="the root of this size instead of the newest")
def show(at: Endpoint, contract: str, origin: str, size: int | None) -> None:
    """What is anchored of a log."""
    name = checkpoints.origin_hash(origin)
    with at.open() as client:
        where = _checked(client, contract)
        found = checkpoints.newest(client, where, name)
        if size is not None:
            root = checkpoints.root_at(client, where, name, size)
            found = Checkpoint(size=size, root=root) if root else None
        allowed = checkpoints.submitter(client, where, name)
    if found is None:
        raise TransactionUnknown(what=f"anchored checkpoint of {origin}")
    print_json({"origin": origin, "size": found.size, "root": found.root.hex(), "submitter": allowed})


def _put(client: Chain, contract: Address, note: notes.Checkpoint, caller: keys.Key) -> dict[str, Any]:
    name, made = checkpoints.origin_hash(note.origin), Checkpoint(size=note.size, root=note.root)
    value = {"origin": note.origin, "size": note.size, "root": note.root.hex()}
    if checkpoints.root_at(client, contract, name, note.size) == note.root:
        return value | {"transaction": None}
    receipt = client.execute(contract, checkpoints.anchor_data(name, made), caller.secret)
    return value | {"transaction": receipt.transaction}


def _checked(client: Chain, contract: str) -> Address:
    """The anchor's address. Raises CodeDiffers where something else stands there."""
    where = keys.parse_address(contract)
    checkpoints.governor(client, where)
    return where


def _read(file: Path) -> list[notes.Checkpoint]:
    """The checkpoints of the hub's answer, taken from their signed notes. Raises MalformedMessage."""
    try:
        if file.stat().st_size > BYTES_MAX:
            raise ValueError
        value = loads(file.read_bytes())
        return [notes.parse(one["note"]) for one in value["checkpoints"]]
    except (OSError, ValueError, TypeError, KeyError):
        raise MalformedMessage(why="a file of checkpoints, as `ecohub hub checkpoint --json` writes it") from None
