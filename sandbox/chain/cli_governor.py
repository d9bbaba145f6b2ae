"""`ecohub sandbox chain governor …`: k of n members govern the contracts together, any one of them pauses."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from contracts import artifacts, keys
from contracts import governor as board
from contracts.chain import Chain
from contracts.errors import AnchorInvalid
from contracts.keys import Address
from sandbox.chain.cli_options import KEY, Endpoint, endpoint, print_json

GOVERNOR = click.option("--governor", "contract", required=True, help="address of the governor contract")


@click.group()
def governor() -> None:
    """The governor contract: deploy it, propose, approve and execute calls, pause."""


@governor.command()
@endpoint
@KEY
@click.option("--member", "members", multiple=True, required=True, help="a member's account; repeat, at most 16")
@click.option("--threshold", type=click.IntRange(2, board.MEMBERS_MAX), required=True, help="k: how many act together")
@click.option(
    "--delay-seconds",
    type=click.IntRange(board.DELAY_SECONDS_MIN, board.DELAY_SECONDS_MAX),
    required=True,
    help="how long a decision of k members waits",
)
def deploy(at: Endpoint, key: Path, members: tuple[str, ...], threshold: int, delay_seconds: int) -> None:
    """Deploy a governor and check its code; name it as --governor of deploy-settlement."""
    accounts = [keys.parse_address(member) for member in members]
    arguments = board.constructor_data(threshold, delay_seconds, accounts)
    with at.open() as client:
        contract = client.deploy(artifacts.load(board.NAME), arguments, keys.read(key).secret)
        _show_board(client, contract)


@governor.command()
@endpoint
@GOVERNOR
@click.argument("operation", type=click.IntRange(1), required=False)
def show(at: Endpoint, contract: str, operation: int | None) -> None:
    """The members and k; or an OPERATION with the call it makes, as members read it before they approve."""
    with at.open() as client:
        if operation is None:
            _show_board(client, keys.parse_address(contract))
        else:
            _show(client, _checked(client, contract), operation)


@governor.command()
@endpoint
@KEY
@GOVERNOR
@click.option("--target", required=True, help="the contract to be called")
@click.option("--data", required=True, help="the call: hex digits")
def propose(at: Endpoint, key: Path, contract: str, target: str, data: str) -> None:
    """A member proposes a call and approves it; prints the operation's number."""
    try:
        call = bytes.fromhex(data.removeprefix("0x"))
    except ValueError:
        raise AnchorInvalid(why="a call is hex digits") from None
    with at.open() as client:
        where = _checked(client, contract)
        _show(client, where, proposed(client, where, keys.parse_address(target), call, keys.read(key)))


def _step(name: str, does: str, make: Callable[[int], bytes]) -> None:
    """One command that a member gives about an operation."""

    @governor.command(name, help=does)
    @endpoint
    @KEY
    @GOVERNOR
    @click.argument("operation", type=click.IntRange(1))
    def step(at: Endpoint, key: Path, contract: str, operation: int) -> None:
        with at.open() as client:
            where = _checked(client, contract)
            client.execute(where, make(operation), keys.read(key).secret)
            _show(client, where, operation)


_step("approve", "A member stands behind an OPERATION; with the k-th approval the delay begins.", board.approve_data)
_step("revoke", "A member takes its approval of an OPERATION back.", board.revoke_data)
_step("cancel", "Its proposer ends an OPERATION for good.", board.cancel_data)
_step("execute", "A member carries an OPERATION out, after the delay.", board.execute_data)


@governor.command()
@endpoint
@KEY
@GOVERNOR
@click.option("--target", required=True, help="the settlement contract")
def pause(at: Endpoint, key: Path, contract: str, target: str) -> None:
    """Any member pauses a governed contract at once; to release it takes k members and the delay."""
    paused = keys.parse_address(target)
    with at.open() as client:
        receipt = client.execute(keys.parse_address(contract), board.pause_data(paused), keys.read(key).secret)
    print_json({"paused": paused, "transaction": receipt.transaction})


def proposed(client: Chain, contract: Address, target: Address, data: bytes, member: keys.Key) -> int:
    """A member's proposal of a call; the operation's number."""
    receipt = client.execute(contract, board.propose_data(target, data), member.secret)
    number = board.events(receipt.logs, contract)[0]["operation"]
    assert isinstance(number, int), "the ABI gives numbers as integers"
    return number


def _checked(client: Chain, contract: str) -> Address:
    """The governor's address. Raises CodeDiffers where something else stands there."""
    where = keys.parse_address(contract)
    board.delay_seconds(client, where)
    return where


def _show_board(client: Chain, contract: Address) -> None:
    delay, found = board.delay_seconds(client, contract), board.membership(client, contract)
    members = list(found.members)
    print_json({"governor": contract, "threshold": found.threshold, "members": members, "delay_seconds": delay})


def _show(client: Chain, contract: Address, number: int) -> None:
    found = board.operation(client, contract, number)
    value: dict[str, Any] = {
        "operation": number,
        "state": found.state,
        "target": found.target,
        "data": "0x" + board.call_data(client, contract, number).hex(),
        "proposer": found.proposer,
        "approvals": found.approvals,
        "ready": datetime.fromtimestamp(found.ready, UTC).isoformat() if found.ready else None,
    }
    print_json(value)
