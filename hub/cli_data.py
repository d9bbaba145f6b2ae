"""`ecohub data`: match clients, train profiles. Every command is a call under a personal certificate."""

from pathlib import Path

import click

from hub import cli_jobs, drafts
from hub.cli_common import Cli, clock, entropy, options
from hub.cli_train import train


@click.group()
@options
def data(cli: Cli) -> None:
    """Match clients and train profiles with partners."""


@data.command()
@options
def partners(cli: Cli) -> None:
    """The partners, whether their node is connected, and what they publish."""
    found, _ = cli.call("partners")
    rows = []
    for item in found["partners"]:
        assets = item["assets"]["body"]["assets"] if item["assets"] else []
        columns = cli.word("columns", "列")
        offered = "; ".join(f"{a['name']} ({a['rows']}, {len(a['columns'])} {columns})" for a in assets)
        there = cli.value("yes" if item["connected"] else "no")
        rows.append((item["partner"], item["name"], cli.value(item["state"]), there, offered or None))
    cli.show(found, lambda: cli.table(("partner", "name", "state", "connected", "assets"), rows))


@data.command()
@click.option("--kind", type=click.Choice(["match", "train", "agreement"]), help="only these")
@options
def jobs(cli: Cli, kind: str | None) -> None:
    """All jobs, oldest first."""
    found, _ = cli.call("jobs", {"kind": kind} if kind else {})
    rows = [
        (j["digest"][:12], cli.value(j["kind"]), cli.value(j["state"]), ", ".join(j["parties"]), j["purpose"])
        for j in found["jobs"]
    ]
    cli.show(found, lambda: cli.table(("job", "kind", "state", "parties", "purpose"), rows))


@data.group()
def match() -> None:
    """Find shared clients without showing the others."""


@match.command("propose")
@click.option("--leader", help="the partner that leads; in mode count it learns the count")
@click.option("--with", "others", multiple=True, help="another partner (repeat)")
@click.option("--mode", type=click.Choice(["count", "align"]), help="count: how many; align: which, in one order")
@click.option("--purpose", help="what for; clients have consented to purposes")
@click.option("--ids", "id_type", help="identifier type, as published with the assets")
@click.option("--minimum", type=click.IntRange(min=1), help="below it nothing is shown")
@click.option("--expires", help="ISO 8601 instant after which nothing runs any more")
@click.option("--file", "file", type=click.Path(path_type=Path), help="TOML with these and further fields")
@click.option("--key", default="", help="idempotency key: the same key again is the same proposal")
@options
def match_propose(
    cli: Cli,
    leader: str | None,
    others: tuple[str, ...],
    mode: str | None,
    purpose: str | None,
    id_type: str | None,
    minimum: int | None,
    expires: str | None,
    file: Path | None,
    key: str,
) -> None:
    """Propose a match. Each party's people must approve exactly this job."""
    given = cli_jobs.given_in(file, mode=mode, purpose=purpose, id_type=id_type, minimum=minimum, expires=expires)
    if leader or others:
        if not leader or not others:
            raise click.UsageError("--leader and at least one --with go together")
        followers = [{"partner": name, "role": "follower"} for name in others]
        given["parties"] = [{"partner": leader, "role": "leader"}, *followers]
    given = cli.drawn_before(key, given)
    cli_jobs.propose(cli, "match", drafts.match(given, cli_jobs.directory(cli), clock(), entropy), key)


@match.command("status")
@click.argument("job")
@click.option("--follow", is_flag=True, help="until it ends")
@options
def match_status(cli: Cli, job: str, follow: bool) -> None:
    """State, decisions, phases, bytes and time of a match."""
    cli_jobs.status(cli, job, follow)


@match.command("result")
@click.argument("job")
@options
def match_result(cli: Cli, job: str) -> None:
    """What the parties reported: a count, or that it stayed below the minimum. Clients stay at their nodes."""
    found = cli_jobs.job_of(cli, job)
    results = cli_jobs.documents(found, "match-result")
    if found["state"] != "COMPLETED":
        raise cli_jobs.no_result(found)
    rows = [(r["signer"], cli.value(r["body"]["outcome"]), r["body"]["count"]) for r in results]
    document = {"digest": found["digest"], "mode": found["body"]["mode"], "results": results}
    cli.show(document, lambda: cli.table(("partner", "outcome", "common clients"), rows))


@match.command("cancel")
@click.argument("job")
@click.option("--yes", is_flag=True, help="do it")
@options
def match_cancel(cli: Cli, job: str, yes: bool) -> None:
    """End a match that has not ended."""
    cli_jobs.cancel(cli, job, yes)


data.add_command(train)
