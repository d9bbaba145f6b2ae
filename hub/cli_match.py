"""`ecohub data match`: propose a match, follow it, read what its parties reported."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hub import cli_epoch, cli_jobs, drafts
from hub.cli_common import Cli, clock, entropy, options
from privacy.noise import CountNoise
from privacy.psi import learns
from privacy.psi.job import (
    ALIGN,
    ALIGN_ALL,
    ALIGN_HIDDEN,
    CACHED,
    COUNT,
    COUNT_THEN_ROWS,
    ECDH,
    LABELS,
    MODES,
    OPRF,
    ROWS,
    SUM,
)

ENGINES = (OPRF, ECDH)
NOISE = re.compile(r"(\d{1,2})(?:\.(\d{1,3}))?(?::(-\d{1,2}))?", re.ASCII)
NOISE_DELTA_LOG10 = -9  # where none is given: a thousand counts fit an asset's delta of 10^-6
MEANS = {
    COUNT: "how many",
    ROWS: "which of its own clients, for the leader or both",
    LABELS: "which of its own clients, with a column of the other for each, for the leader",
    CACHED: "which of its own clients, for the leader, against a list masked once for many jobs",
    COUNT_THEN_ROWS: "how many, then which if both sides' people agree",
    SUM: "how many, and the sum of a column over them",
    ALIGN: "which, in one order for all",
    ALIGN_ALL: "the same for three or more, without pairwise overlaps",
    ALIGN_HIDDEN: "one order of both sides' clients that shows neither what they share",
}


EXACT = ("figures are exact: no noise was added to them", "数字为精确值，未加噪声")


@click.group()
def match() -> None:
    """Find shared clients without showing the others."""


@match.command("propose")
@click.option("--leader", help="the partner that leads: in modes count, rows, labels and cached it gets the result")
@click.option("--with", "others", multiple=True, help="another partner (repeat)")
@click.option("--mode", type=click.Choice([*MODES]), help="; ".join(f"{name}: {said}" for name, said in MEANS.items()))
@click.option("--both", is_flag=True, default=None, help="mode rows: the other party gets its rows too")
@click.option("--engine", type=click.Choice(ENGINES), help="how; the mode's first where none is named")
@click.option("--sum", "values", metavar="PARTNER:COLUMN:BITS", help="mode sum: whose column")
@click.option("--label", metavar="PARTNER:COLUMN:BYTES", help="mode labels: whose column, and its longest text")
@click.option("--noise", metavar="EPSILON[:DELTA_LOG10]", help="mode count: an estimate, booked on a privacy budget")
@cli_epoch.options
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
    both: bool | None,
    engine: str | None,
    values: str | None,
    label: str | None,
    noise: str | None,
    purpose: str | None,
    id_type: str | None,
    minimum: int | None,
    expires: str | None,
    file: Path | None,
    key: str,
    **epoch: Any,
) -> None:
    """Propose a match. Each party's people must approve exactly this job."""
    special = {"both": both, "sum": values and _sum(values), "noise": noise and _noise(noise)}
    special |= {"labels": label and _labels(label), "cached": cli_epoch.field(cli, epoch)}
    chosen = {"mode": mode, "engine": engine, "purpose": purpose, **special}
    given = cli_jobs.given_in(file, **chosen, id_type=id_type, minimum=minimum, expires=expires)
    if leader or others:
        if not leader or not others:
            raise click.UsageError("--leader and at least one --with go together")
        followers = [{"partner": name, "role": "follower"} for name in others]
        given["parties"] = [{"partner": leader, "role": "leader"}, *followers]
    given = cli.drawn_before(key, given)
    cli_jobs.propose(cli, "match", drafts.match(given, cli_jobs.directory(cli), clock(), entropy), key)


def _sum(given: str) -> dict[str, str | int]:
    """Mode sum's field from PARTNER:COLUMN:BITS."""
    return _column(given, "bits", "--sum takes PARTNER:COLUMN:BITS, such as bank:LOANS:32")


def _labels(given: str) -> dict[str, str | int]:
    """Mode labels' field from PARTNER:COLUMN:BYTES."""
    return _column(given, "bytes", "--label takes PARTNER:COLUMN:BYTES, such as bank:SEGMENT:8")


def _column(given: str, size: str, usage: str) -> dict[str, str | int]:
    """Whose column, and a whole number under the name `size`. Raises UsageError."""
    partner, _, rest = given.partition(":")
    column, _, number = rest.rpartition(":")
    if not partner or not column or not number.isascii() or not number.isdecimal():
        raise click.UsageError(usage)
    return {"partner": partner, "column": column, size: int(number)}


def _noise(given: str) -> dict[str, int]:
    """Mode count's field from EPSILON or EPSILON:DELTA_LOG10; epsilon has three decimals at most."""
    found = NOISE.fullmatch(given)
    if found is None:
        raise click.UsageError("--noise takes EPSILON or EPSILON:DELTA_LOG10, such as 0.5 or 0.5:-12")
    whole, decimals, delta = found.groups()
    epsilon_milli = 1000 * int(whole) + int((decimals or "").ljust(3, "0"))
    return {"epsilon_milli": epsilon_milli, "delta_log10": NOISE_DELTA_LOG10 if delta is None else int(delta)}


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
    document = {"digest": found["digest"], "mode": found["body"]["mode"], "results": results}
    adds = "sum" in found["body"]
    rows = [_reported(cli, result["signer"], result["body"], adds) for result in results]
    heads = ("partner", "outcome", "common clients", "sum")
    noise = found["body"].get("noise")
    said = EXACT if noise is None else learns.estimate(CountNoise(**noise))

    def human() -> None:
        cli.table(heads[: 4 if adds else 3], rows)
        cli.say(*said)

    cli.show(document, human)


def _reported(cli: Cli, signer: str, body: Mapping[str, Any], adds: bool) -> tuple[object, ...]:
    return signer, cli.value(body["outcome"]), body["count"], *((body.get("total"),) if adds else ())


@match.command("cancel")
@click.argument("job")
@click.option("--yes", is_flag=True, help="do it")
@options
def match_cancel(cli: Cli, job: str, yes: bool) -> None:
    """End a match that has not ended."""
    cli_jobs.cancel(cli, job, yes)
