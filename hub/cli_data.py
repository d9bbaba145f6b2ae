"""`ecohub data`: match clients, train profiles. Every command is a call under a personal certificate."""

from collections.abc import Mapping
from typing import Any

import click

from federation.schema import offer
from hub.cli_common import Cli, options
from hub.cli_features import features
from hub.cli_match import match
from hub.cli_profile import profile
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
        offered = "; ".join(_asset(cli, asset) for asset in assets)
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


def _asset(cli: Cli, asset: Mapping[str, Any]) -> str:
    """ "clients (1000-4999, 12 columns, 9 standard features)"."""
    columns, standard = cli.word("columns", "列"), cli.word("standard features", "个标准特征")
    mapped = len(offer.features(asset))
    parts = (asset["rows"], f"{len(asset['columns'])} {columns}", *([f"{mapped} {standard}"] if mapped else []))
    return f"{asset['name']} ({', '.join(parts)})"


data.add_command(features)
data.add_command(match)
data.add_command(profile)
data.add_command(train)
