"""`ecohub hub`: run the hub (on its own machine), and administer it (as an operator, from anywhere)."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from hub import client, person_files, settings
from hub.cli_common import Cli, clock, entropy, options
from hub.records import Head

ENVIRONMENT = "ECOHUB_HUB"
LEVELS = click.Choice(["debug", "info", "warning", "error"])


@click.group()
@options
def hub(cli: Cli) -> None:
    """Run and administer the hub."""


@hub.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="the hub's new folder")
@click.option("--alliance", required=True, help="name of the alliance")
@click.option("--listen", default="127.0.0.1:7443", show_default=True, help="host:port for nodes and people")
@click.option("--enrol", default="127.0.0.1:7444", show_default=True, help="host:port for enrolment")
@click.option("--operator", default="operator", show_default=True, help="name of the first operator")
@click.option("--database", default="", help="SQLAlchemy URL; default: SQLite in the folder")
@click.option("--chain-endpoint", default="", help="JSON-RPC URL of the settlement chain")
@click.option("--chain-id", default=0, type=click.IntRange(min=0), help="number of the settlement chain")
@click.option("--contract", default="", help="address of the settlement contract")
@options
def init(
    cli: Cli,
    folder: Path,
    alliance: str,
    listen: str,
    enrol: str,
    operator: str,
    database: str,
    chain_endpoint: str,
    chain_id: int,
    contract: str,
) -> None:
    """Found a hub: keys, CA, database, and the first operator's certificate."""
    from hub import founding  # the commands of people, who are not on the hub's machine, load no database

    plan = founding.Plan(
        folder=folder,
        alliance=alliance,
        listen=listen,
        enrol=enrol,
        operator=operator,
        database=database,
        chain_endpoint=chain_endpoint,
        chain_id=chain_id,
        contract=contract,
    )
    made = founding.found(plan, clock, entropy)
    cli.show(
        {
            "settings": str(made.settings),
            "authority": str(made.authority),
            "person": str(made.person),
            "submitter": made.submitter,
            "log_key": made.log_key,
        },
        lambda: cli.say(
            f"the hub is in {folder}; next: ecohub hub serve --config {made.settings}\n"
            f"the operator's certificate: {made.person}\n"
            f"give the CA to partners: {made.authority}\n"
            f"the chain must admit this sender: {made.submitter}",
            f"枢纽已建于 {folder}；下一步：ecohub hub serve --config {made.settings}\n"
            f"运营人员证书：{made.person}\n"
            f"请将 CA 证书交给合作伙伴：{made.authority}\n"
            f"链须准许该账户发送交易：{made.submitter}",
        ),
    )


@hub.command()
@click.option("--log-level", type=LEVELS, default="info", show_default=True, help="how much to log, on stderr")
@options
def serve(cli: Cli, log_level: str) -> None:
    """Run the hub until it is told to stop (SIGTERM or Ctrl-C)."""
    from hub import wiring

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    wiring.serve(settings.load(_file(cli)))


@hub.command()
@options
def migrate(cli: Cli) -> None:
    """Bring the hub's database to the schema of this program."""
    from hub.store import migrate as migrate_store

    migrate_store(settings.load(_file(cli)).database)
    cli.show({"migrated": True}, lambda: cli.say("the database is up to date", "数据库已是最新"))


@hub.command()
@click.argument("partner")
@options
def invite(cli: Cli, partner: str) -> None:
    """Make a one-time invite for a partner's node. It is shown once: hand it over on another way."""
    made, _ = cli.call("invite", {"partner": partner})
    text_en = f"invite for {partner}, until {made['expires']}: {made['invite']}"
    cli.show(made, lambda: cli.say(text_en, f"{partner} 的邀请码（有效至 {made['expires']}）：{made['invite']}"))


@hub.command()
@click.argument("name")
@click.argument("role", type=click.Choice(["operator", "data", "finance", "regulator"]))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="the person's new folder")
@options
def certify(cli: Cli, name: str, role: str, out: Path) -> None:
    """Make a person's key and certificate with a role. The key is made here and never leaves this machine."""
    from hub.authority import generate_key, make_request, private_pem

    me = client.load(cli.config)
    person_files.check_folder(out)  # before the certificate is issued
    key = generate_key(entropy)
    made, _ = cli.call("certify", {"name": name, "role": role, "csr": make_request(key, name).decode()})
    path = person_files.write_person(out, me.hub, me.authority, private_pem(key), str(made["certificate"]).encode())
    cli.show({"person": str(path), "role": role, "expires": made["expires"]})


@hub.command()
@options
def renew(cli: Cli) -> None:
    """Renew your own certificate before it ends, whatever your role: same key, same person.toml."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from hub.authority import make_request

    me = client.load(cli.config)
    key = load_pem_private_key(me.key, None)
    assert isinstance(key, EllipticCurvePrivateKey) and me.certificate_file is not None, "as `certify` wrote it"
    name = str(cli.call("whoami")[0]["name"])
    made, _ = cli.call("renew", {"csr": make_request(key, name).decode()})
    person_files.replace_certificate(me.certificate_file, str(made["certificate"]).encode())
    cli.show({"certificate": str(me.certificate_file), "role": made["role"], "expires": made["expires"]})


@hub.command()
@click.option("--active", is_flag=True, help="only those that are valid now")
@options
def certificates(cli: Cli, active: bool) -> None:
    """All certificates of nodes and people, those that end first before the others; a serial is what `revoke` takes."""
    found = [c for c in cli.call("certificates")[0]["certificates"] if not active or c["state"] == "ACTIVE"]
    rows = [
        (c["name"], cli.value(c["role"]), c["expires"], f"{cli.value(c['state'])} {c['reason']}".rstrip(), c["serial"])
        for c in found
    ]
    cli.show({"certificates": found}, lambda: cli.table(("name", "role", "expires", "state", "serial"), rows))


@hub.command()
@click.option("--partner", help="a partner: all its node certificates, and its open jobs end")
@click.option("--serial", help="one certificate by its serial number (hex)")
@click.option("--reason", required=True, help="why; the log keeps it, and the refusal names it")
@click.option("--yes", is_flag=True, help="do it")
@options
def revoke(cli: Cli, partner: str | None, serial: str | None, reason: str, yes: bool) -> None:
    """Revoke a partner or one certificate: refused from the next call on, open streams within two seconds."""
    if (partner is None) == (serial is None):
        raise click.UsageError("give either --partner or --serial")
    head: Head = {"partner": partner} if partner else {"serial": serial}
    cli.confirm(yes, {"would_revoke": partner or serial, "reason": reason})
    made, _ = cli.call("revoke", {**head, "reason": reason})
    cli.show(made)


@hub.command()
@options
def checkpoint(cli: Cli) -> None:
    """Sign both logs as they stand and collect the connected nodes' co-signatures."""
    made, _ = cli.call("checkpoint")
    rows = [
        (c["log"], c["size"], c["root"][:16], ", ".join(c["cosigned"]), _refusals(c["refused"]))
        for c in made["checkpoints"]
    ]
    cli.show(made, lambda: cli.table(("log", "size", "root", "co-signed by", "refused by"), rows))


@hub.command()
@click.argument("period")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="the bundle's file (.zip)")
@options
def bundle(cli: Cli, period: str, out: Path) -> None:
    """Write the evidence bundle of a PERIOD (YYYY-MM) for the regulator."""
    outputs.check_new(out)
    made, body = cli.call("bundle", {"period": period})
    outputs.write_new(out, body, mode=0o644)
    cli.show({"file": str(out), **made})


@hub.command()
@options
def status(cli: Cli) -> None:
    """Who I am to the hub, which nodes are connected, and how far the audit log is anchored on the chain."""
    found = cli.call("whoami")[0]
    cli.show(found, lambda: _status(cli, found))


def _status(cli: Cli, found: Mapping[str, Any]) -> None:
    cli.show({name: value for name, value in found.items() if name != "anchor"})
    if anchor := found.get("anchor"):
        size, records, why = anchor["size"], anchor["records"], anchor["failure"] or "-"
        waits = anchor["since"] or "-"
        cli.say(
            f"anchored on the chain: {size} of {records} records; the next one waits since {waits}; trouble: {why}",
            f"链上锚定：{records} 条记录中的 {size} 条；其后首条自 {waits} 起待锚定；故障：{why}",
        )


def _refusals(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{partner}: {failure['code']}" for partner, failure in found.items())


def _file(cli: Cli) -> Path:
    return cli.config or Path(os.environ.get(ENVIRONMENT, settings.FILE))
