"""`ecohub partner`: a partner's own node. Commands talk to the running node over its local socket.

`init`, `enrol`, `run`, `card`, `keys show` work without it. What only `init`, `enrol` and `run` need is imported there:
a node has Flower, gRPC and a database to load, and the other commands are called often.
"""

import getpass
import json
import logging
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from federation.schema import offer
from partner_node import (
    cli_classes,
    cli_explain,
    cli_labels,
    cli_mapping,
    cli_matching,
    cli_results,
    cli_score,
    cli_settlement,
    keys,
)
from partner_node.cli_common import Cli, options
from privacy import seal

NO_BUDGET = (
    "no asset has a privacy budget, and none gave figures with noise; privacy_budget under its [[asset]] in "
    "node.toml sets one",
    "没有数据资产设有隐私预算，也没有加噪结果的记录；可在 node.toml 的 [[asset]] 下以 privacy_budget 设置",
)
LEVELS = click.Choice(["debug", "info", "warning", "error"])


@click.group()
@options
def partner(cli: Cli) -> None:
    """A partner's own node: enrol, publish, approve, check, sign."""


for _group in (
    *cli_settlement.GROUPS,
    *cli_matching.COMMANDS,
    *cli_results.COMMANDS,
    *cli_mapping.COMMANDS,
    *cli_classes.COMMANDS,
    *cli_explain.COMMANDS,
    *cli_labels.COMMANDS,
    *cli_score.COMMANDS,
):
    partner.add_command(_group)


@partner.command()
@options
def init(cli: Cli) -> None:
    """Make this node's folder and keys."""
    from partner_node import enrolment, wiring

    settings = cli.settings()
    enrolment.init(settings, wiring.entropy)
    card = keys.load(settings.keys).card(settings.partner, settings.name)
    cli.show(
        {"folder": str(settings.folder), "card": card.to_value()},
        lambda: cli.say(
            f"keys of {settings.partner} are in {settings.keys}; next: ecohub partner enrol INVITE",
            f"{settings.partner} 的密钥已生成于 {settings.keys}；下一步：ecohub partner enrol 邀请码",
        ),
    )


@partner.command()
@click.argument("invite")
@options
def enrol(cli: Cli, invite: str) -> None:
    """Get this node's certificate for a one-time INVITE of the operator."""
    from partner_node import enrolment

    member = enrolment.enrol(cli.settings(), invite)
    cli.show(
        {"alliance": member.alliance, "log_key": member.log_key.hex()},
        lambda: cli.say(
            f"enrolled in {member.alliance}; next: ecohub partner run",
            f"已加入 {member.alliance}；下一步：ecohub partner run",
        ),
    )


@partner.command()
@options
def renew(cli: Cli) -> None:
    """Renew this node's certificate before it ends, for the same key. A running node takes it at its next start."""
    from partner_node import enrolment, times

    until = times.to_text(enrolment.renew(cli.settings()))
    cli.show(
        {"expires": until},
        lambda: cli.say(
            f"valid until {until}; restart the node before the old certificate ends",
            f"有效期至 {until}；请在旧证书到期前重启节点",
        ),
    )


@partner.command()
@click.option("--log-level", type=LEVELS, default="info", show_default=True, help="how much to log, on stderr")
@options
def run(cli: Cli, log_level: str) -> None:
    """Run the node until it is told to stop (SIGTERM or Ctrl-C). It dials out and listens on nothing but its socket."""
    from partner_node import wiring

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    wiring.run(cli.settings())


@partner.command()
@options
def status(cli: Cli) -> None:
    """Connection, open requests, running jobs."""
    cli.show(cli.call("status"))


@partner.command()
@options
def publish(cli: Cli) -> None:
    """Publish the data assets of the settings: schema, classes, standard features, bands; never a row."""
    found = cli.call("publish")
    columns = ("asset", "rows", "columns", "standard features", "purposes")
    rows = [
        (a["name"], a["rows"], len(a["columns"]), len(offer.features(a)), ", ".join(a["purposes"]))
        for a in found["assets"]
    ]
    cli.show(found, lambda: cli.table(columns, rows))


@partner.command("check-data")
@click.argument("asset", required=False)
@options
def check_data(cli: Cli, asset: str | None) -> None:
    """Count rows, rejected ids, missing values and consents of ASSET or all assets."""
    found = cli.call("check-data", asset=asset)

    def human() -> None:
        for report in found["assets"]:
            cli.table((report["name"], ""), [(k, _line(v)) for k, v in report.items() if k != "name"])

    cli.show(found, human)


@partner.command()
@click.argument("job", required=False)
@options
def jobs(cli: Cli, job: str | None) -> None:
    """All proposals, or one JOB in full with what stands in the way of approving it."""
    if job is not None:
        found = cli.call("job", job=job)
        cli.show(found, lambda: _describe(cli, found))
        return
    found = cli.call("jobs")
    columns = ("job", "kind", "purpose", "parties", "expires", "decision", "state")
    rows = [
        (j["job"][:16], j["kind"], j["purpose"], ", ".join(j["parties"]), j["expires"], j["decision"], j["state"])
        for j in found["jobs"]
    ]
    cli.show(found, lambda: cli.table(columns, rows))


@partner.command()
@click.argument("job")
@click.option("--person", default=getpass.getuser, help="who approves, in the signed approval (default: login name)")
@click.option("--yes", is_flag=True, help="approve exactly this digest; without it the job is only shown")
@options
def approve(cli: Cli, job: str, person: str, yes: bool) -> None:
    """Approve exactly this JOB (digest, or its first 8 digits or more)."""
    found = cli.call("job", job=job)
    cli.confirm(yes, found, lambda: _describe(cli, found))
    cli.show(cli.call("approve", job=found["job"], person=person))


@partner.command()
@click.argument("job")
@click.option("--person", default=getpass.getuser, help="who refuses, in the signed answer (default: login name)")
@click.option("--reason", default="", help="why, for the other parties")
@options
def refuse(cli: Cli, job: str, person: str, reason: str) -> None:
    """Refuse a JOB."""
    cli.show(cli.call("refuse", job=job, person=person, reason=reason))


@partner.command()
@click.option("--out", type=click.Path(path_type=Path), help="write it to a new file")
@options
def card(cli: Cli, out: Path | None) -> None:
    """This node's card, for the other partners to check and pin."""
    if out is not None:
        outputs.check_new(out)
    settings = cli.settings()
    value = keys.load(settings.keys).card(settings.partner, settings.name).to_value()
    text = json.dumps(value, ensure_ascii=False)
    if out is None:
        click.echo(text)
    else:
        outputs.write_new(out, text.encode() + b"\n")


@partner.command()
@click.argument("cards", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="in place of another card of the same partner")
@options
def pin(cli: Cli, cards: tuple[Path, ...], replace: bool) -> None:
    """Trust the keys in these CARD files, after checking them with their owners over another channel."""
    pinned = []
    for path in cards:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise click.BadParameter(f"{path} is not a card") from None
        pinned.append(cli.call("pin", card=value, replace=replace))
    rows = [(item["partner"], item["name"], item["digest"][:16]) for item in pinned]
    cli.show({"pinned": pinned}, lambda: cli.table(("partner", "name", "card"), rows))


@partner.command()
@options
def budget(cli: Cli) -> None:
    """The privacy budget of each asset: its limit, and what noisy training and counts spent over its lifetime."""
    found = cli.call("budget")
    columns = ("asset", "epsilon", "delta", "spent", "noisy updates", "runs", "noisy counts")
    rows = [
        (
            a["asset"],
            a["epsilon"],
            a["delta_log10"] and f"10^{a['delta_log10']}",
            a["spent"],
            *_updates(a["runs"]),
            len(a["counts"]),
        )
        for a in found["assets"]
    ]
    cli.show(found, lambda: cli.table(columns, rows, NO_BUDGET))


@partner.group()
def consent() -> None:
    """Consent records: client x purpose x until, kept without the client's id."""


@consent.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id-type", default="resident_id", show_default=True, help="how client_id is written in the file")
@options
def consent_import(cli: Cli, file: Path, id_type: str) -> None:
    """Take over records of a CSV FILE (client_id,purpose,until), all or none."""
    cli.show(cli.call("consent.import", file=str(file.resolve()), id_type=id_type))


@consent.command("show")
@click.option("--client", help="one client's records instead of counts")
@click.option("--id-type", default="resident_id", show_default=True, help="how the client id is written")
@options
def consent_show(cli: Cli, client: str | None, id_type: str) -> None:
    """Counts by purpose, or one client's records."""
    cli.show(cli.call("consent.show", client_id=client, id_type=id_type))


@consent.command("withdraw")
@click.argument("client")
@click.option("--purpose", help="only this purpose; without it all of them")
@click.option("--id-type", default="resident_id", show_default=True, help="how the client id is written")
@options
def consent_withdraw(cli: Cli, client: str, purpose: str | None, id_type: str) -> None:
    """End a CLIENT's consent. The client enters no further job; a running match must be proposed again."""
    cli.show(cli.call("consent.withdraw", client_id=client, purpose=purpose, id_type=id_type))


@partner.group("keys")
def keys_group() -> None:
    """This node's keys."""


@keys_group.command("show")
@options
def keys_show(cli: Cli) -> None:
    """Public keys and their ids."""
    settings = cli.settings()
    own = keys.load(settings.keys)
    public = {"signing": own.signing.public, "sealing": own.sealing.public}
    found: dict[str, Any] = {name: {"id": seal.key_id(key), "public": key.hex()} for name, key in public.items()}
    cli.show({"partner": settings.partner, **found, "chain": own.chain.address})


@partner.group()
def trust() -> None:
    """What this party vouches for towards an examiner."""


@trust.command("export")
@click.option("--out", type=click.Path(path_type=Path), help="write it to a new file")
@options
def trust_export(cli: Cli, out: Path | None) -> None:
    """This party's part of trust.toml: own keys, CA, log key, genesis, last co-signed checkpoints."""
    if out is not None:
        outputs.check_new(out)
    found = cli.call("trust.export")
    if out is not None:
        outputs.write_new(out, found["toml"].encode())
    cli.show(found, lambda: click.echo(found["toml"] if out is None else str(out)))


@partner.group()
def alignment() -> None:
    """The common clients of a finished match."""


@alignment.command("export")
@click.argument("job")
@click.argument("file", type=click.Path(path_type=Path))
@options
def alignment_export(cli: Cli, job: str, file: Path) -> None:
    """Write position, token and client id of JOB's common clients to a new CSV FILE on this machine."""
    cli.show(cli.call("alignment.export", job=job, file=str(file.resolve())))


def _describe(cli: Cli, found: dict[str, Any]) -> None:
    """A job as a person must see it before answering: digest, purpose, parties, who learns what.

    "discloses" is what this node says of the body; the proposer's own sentences are marked as such.
    """
    body = found["body"]
    rows: list[tuple[str, object]] = [
        ("job", found["job"]),
        ("kind", found["kind"]),
        ("purpose", body["purpose"]),
        ("expires", found["expires"]),
        ("decision", found["decision"]),
        ("state", f"{found['state']} {_why(cli, found['reason'] or {})}".rstrip()),
    ]
    rows += [(f"party {p['partner']}", ", ".join(_part(p))) for p in body["parties"]]
    rows += [("discloses", sentence[cli.lang]) for sentence in found["discloses"]]
    rows += [("the proposer says", sentence) for sentence in body.get("disclosure", [])]
    if found["blocked"] is not None:
        rows.append(("blocked", f"{found['blocked']['code']}: {found['blocked'][cli.lang]}"))
    cli.table(("", ""), rows)


def _why(cli: Cli, reason: dict[str, Any]) -> str:
    """The party or person that ended a job, and what was said."""
    who = reason.get("partner") or reason.get("person")
    return " ".join(filter(None, [f"({who})" if who else "", reason.get(cli.lang) or reason.get("en") or ""]))


def _part(party: dict[str, Any]) -> list[str]:
    shown = [f"{name} {party[name]}" for name in ("role", "asset", "id_column") if name in party]
    columns = party.get("columns")
    return [*shown, *([f"{len(columns)} columns: {', '.join(map(str, columns))}"] if isinstance(columns, list) else [])]


def _updates(runs: list[dict[str, Any]]) -> tuple[int, str]:
    return sum(run["updates"] for run in runs), ", ".join(dict.fromkeys(run["run"][:16] for run in runs))


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
