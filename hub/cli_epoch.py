"""Options of `ecohub data match propose --mode cached`: a key epoch in people's words, or that of an earlier job."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from hub import cli_jobs
from hub.cli_common import Cli
from privacy.psi.job import CACHED

F = TypeVar("F", bound=Callable[..., Any])
LATER = re.compile(r"(\d{1,4}):(\d{1,9})", re.ASCII)
OPTIONS = (
    click.option("--epoch", type=click.IntRange(min=1), help="mode cached: number of the key epoch, above all before"),
    click.option("--epoch-of", metavar="JOB", help="mode cached: the epoch of an earlier job, with its terms"),
    click.option("--places", type=click.IntRange(min=1), help="mode cached: clients that the masked list has room for"),
    click.option(
        "--points", type=click.IntRange(min=1), help="mode cached: clients that all jobs of the epoch may ask about"
    ),
    click.option(
        "--later", metavar="LISTS:PLACES", help="mode cached: later lists for clients who come, and their room"
    ),
    click.option("--epoch-ends", help="mode cached: ISO 8601 instant, whole seconds (default: 90 days from today)"),
)


def options(command: F) -> F:
    """The command with these options; it gets their values by name."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def field(cli: Cli, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The body's field as far as options gave it; None without any. given: `OPTIONS` by name. Raises UsageError."""
    chosen = {
        "epoch": given["epoch"],
        "slots": given["places"],
        "points_max": given["points"],
        "ends": given["epoch_ends"],
        **(_later(given["later"]) if given["later"] else {}),
    }
    named = {name: value for name, value in chosen.items() if value is not None}
    if not given["epoch_of"]:
        return named or None
    if named:
        raise click.UsageError("--epoch-of takes the epoch as it was agreed: none of its terms can be given beside it")
    body = cli_jobs.job_of(cli, given["epoch_of"])["body"]
    if body.get("mode") != CACHED:
        raise click.UsageError(f"the job {given['epoch_of']} has no key epoch: its mode is {body.get('mode')}")
    return dict(body["cached"])


def _later(given: str) -> dict[str, int]:
    found = LATER.fullmatch(given)
    if found is None:
        raise click.UsageError("--later takes LISTS:PLACES, such as 12:4096, or 0:1 for none")
    return {"additions_max": int(found[1]), "addition_slots": int(found[2])}
