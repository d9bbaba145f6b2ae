"""`ecohub sandbox chain deploy-settlement | set-signer | accept-signer | partner`: contracts, and who settles there."""

from pathlib import Path
from typing import Any

import click

from contracts import artifacts, governor, keys, registry, settlement
from contracts.chain import Chain
from contracts.errors import AnchorInvalid, NotEntitled, reverted
from contracts.keys import Address
from ecowire import outputs
from sandbox.chain.cli_governor import proposed
from sandbox.chain.cli_options import CONTRACT, FILE, KEY, PARTNER, Endpoint, endpoint, print_json

ROTATION_SECONDS = 3 * 86400
NO_TERMS = "00" * 32
CHANGES = {
    "suspend": registry.suspend_data,
    "resume": registry.resume_data,
    "cancel": registry.cancel_rotation_data,
}


@click.command("deploy-settlement")
@endpoint
@KEY
@click.option("--governor", "board", help="a governor contract that shall govern both (default: the caller's account)")
@click.option("--broker", required=True, help="the broker's signing account")
@click.option("--arbiter", required=True, help="the arbiter's account; neither party's")
@click.option(
    "--window-seconds",
    type=click.IntRange(1, settlement.WINDOW_SECONDS_MAX),
    required=True,
    help="how long a statement stays open to dispute",
)
@click.option(
    "--rotation-seconds",
    type=click.IntRange(registry.DELAY_SECONDS_MIN, registry.DELAY_SECONDS_MAX),
    default=ROTATION_SECONDS,
    show_default=True,
    help="how long a partner's new signer waits",
)
@click.option("--output", type=FILE, help="also write the JSON to this file")
def deploy_settlement(
    at: Endpoint,
    key: Path,
    board: str | None,
    broker: str,
    arbiter: str,
    window_seconds: int,
    rotation_seconds: int,
    output: Path | None,
) -> None:
    """Deploy the registry of partners and the settlement contract that takes its word, and check the deployed code.

    Under a governor contract the caller, a member, also proposes that the registry serve the new contract: `operation`.
    """
    if output is not None:
        outputs.check_new(output)
    caller = keys.read(key)
    chosen = keys.parse_address(board) if board else caller.address
    parties = keys.parse_address(broker), keys.parse_address(arbiter)
    with at.open() as client:
        arguments = registry.constructor_data(chosen, rotation_seconds)
        partners = client.deploy(artifacts.load(registry.NAME), arguments, caller.secret)
        arguments = settlement.constructor_data(chosen, *parties, window_seconds, partners)
        contract = client.deploy(artifacts.load("Settlement"), arguments, caller.secret)
        found = _deployed(client, contract)
        told = _send(client, found, registry.attach_data(contract), caller)
    value = {
        "contract": contract,
        "registry": found.registrar,
        "chain_id": at.chain_id,
        "governor": found.governor,
        "broker": found.broker,
        "arbiter": found.arbiter,
        "window_seconds": found.window_seconds,
        "rotation_seconds": rotation_seconds,
    }
    print_json(value | ({"operation": told["operation"]} if "operation" in told else {}), output)


@click.command("set-signer")
@endpoint
@KEY
@CONTRACT
@PARTNER
@click.option("--signer", required=True, help="its signing account")
@click.option("--terms", default=NO_TERMS, help="digest of its agreement, 64 hex digits, kept with a new entry")
def set_signer(at: Endpoint, key: Path, contract: str, partner: str, signer: str, terms: str) -> None:
    """Register the account that signs for a new partner, or begin to replace that of a known one.

    The governor registers. A replacement is begun by the governor or the present signer; after the delay the new
    account itself accepts it with `accept-signer`.
    """
    caller, identifier, account = keys.read(key), _word(partner), keys.parse_address(signer)
    with at.open() as client:
        found = _deployed(client, keys.parse_address(contract))
        if account in (found.broker, found.arbiter):
            raise reverted("signer is the broker" if account == found.broker else "arbiter is a party")
        present = registry.partner(client, found.registrar, identifier)
        if present.status == "UNKNOWN":
            data = registry.register_data(identifier, account, _word(terms))
        elif present.signer == account:
            print_json(_shown(client, found, identifier) | {"transaction": None})
            return
        else:
            data = registry.rotate_data(identifier, account)
        told = _send(client, found, data, caller)
        print_json(_shown(client, found, identifier) | told)


@click.command("accept-signer")
@endpoint
@KEY
@CONTRACT
@PARTNER
def accept_signer(at: Endpoint, key: Path, contract: str, partner: str) -> None:
    """The new account accepts to sign for a partner, once the delay is over; the old key counts no longer."""
    identifier = _word(partner)
    _tell(at, key, contract, identifier, registry.accept_rotation_data(identifier))


@click.command("partner")
@endpoint
@click.option("--key", type=FILE, help="the governor's key file, to change the entry")
@CONTRACT
@PARTNER
@click.option("--suspend", "change", flag_value="suspend", help="let it enter no statements; its signer may do it too")
@click.option("--resume", "change", flag_value="resume", help="end the suspension")
@click.option("--cancel-rotation", "change", flag_value="cancel", help="take the change of its signer back")
@click.option("--exit", "until", type=click.DateTime(["%Y-%m"]), help="end it: the last period that accrues, 2026-12")
def partner_entry(at: Endpoint, key: Path | None, contract: str, partner: str, change: str | None, until: Any) -> None:
    """Show a partner's entry in the registry: status, signer, terms, a change of its signer; or change it."""
    identifier = _word(partner)
    if change is not None and until is not None:
        raise click.UsageError("one change at a time")
    if change is not None:
        data = CHANGES[change](identifier)
    elif until is not None:
        data = registry.exit_data(identifier, until.year * 100 + until.month)
    else:
        with at.open() as client:
            print_json(_shown(client, _deployed(client, keys.parse_address(contract)), identifier))
        return
    if key is None:
        raise click.UsageError("a change needs --key")
    _tell(at, key, contract, identifier, data)


def _tell(at: Endpoint, key: Path, contract: str, identifier: bytes, data: bytes) -> None:
    """Send a call to the registry of a settlement contract and show the partner's entry after it."""
    caller = keys.read(key)
    with at.open() as client:
        found = _deployed(client, keys.parse_address(contract))
        told = _send(client, found, data, caller)
        print_json(_shown(client, found, identifier) | told)


def _send(client: Chain, found: settlement.Deployment, data: bytes, caller: keys.Key) -> dict[str, Any]:
    """Send a call to the registry; what a member of its governor contract may not do alone is proposed there."""
    try:
        return {"transaction": client.execute(found.registrar, data, caller.secret).transaction}
    except NotEntitled:
        ruler = registry.deployment(client, found.registrar).governor
        if not client.code(ruler) or caller.address not in governor.membership(client, ruler).members:
            raise
    return {"operation": proposed(client, ruler, found.registrar, data, caller)}


def _deployed(client: Chain, contract: Address) -> settlement.Deployment:
    """A settlement contract that takes a registry's word. Raises CodeDiffers where either is something else."""
    found = settlement.deployment(client, contract)
    registry.deployment(client, found.registrar)
    return found


def _shown(client: Chain, found: settlement.Deployment, identifier: bytes) -> dict[str, Any]:
    entry = registry.partner(client, found.registrar, identifier)
    coming = registry.rotation(client, found.registrar, identifier)
    value: dict[str, Any] = {
        "partner": identifier.hex(),
        "status": entry.status,
        "signer": entry.signer,
        "terms": entry.terms.hex(),
        "until": entry.until or None,
    }
    if coming.effective:
        value["rotation"] = {"signer": coming.signer, "by": coming.by, "effective": coming.effective}
    return value


def _word(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != 32:
        raise AnchorInvalid(why="a partner's identifier and a digest are 64 hex digits")
    return value
