"""`ecohub partner result` and `decide`: what a match told this side, and what its people decide on it."""

import getpass
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from partner_node.cli_common import Cli, options
from privacy.noise import CountNoise
from privacy.psi import learns

REJECTED = {"en": ("reason", "rows"), "zh": ("原因", "行数")}
AGREE, REFUSE = "agree", "refuse"


@click.command()
@click.argument("job")
@click.option("--file", "file", type=click.Path(path_type=Path), help="the row map as a new .csv or .parquet file")
@options
def result(cli: Cli, job: str, file: Path | None) -> None:
    """What the match JOB told this side; with --file, the shared clients (rows, labels). Consent is checked now."""
    if file is not None:
        outputs.check_new(file)
    found = cli.call("match.result", job=job, file=None if file is None else str(file.resolve()))
    cli.show(found, lambda: _show(cli, found))


def _show(cli: Cli, found: dict[str, Any]) -> None:
    count = "-" if found["count"] is None else f"{found['count']:,}"
    rows = [("job", found["job"]), ("mode", found["mode"]), ("outcome", found["outcome"]), ("count", count)]
    cli.table(("", ""), [*rows, *[(name, str(found[name])) for name in ("total", "file") if name in found]])
    if bad := found.get("not_text"):
        cli.say(
            f"{bad:,} labels are no text and stay empty in the file: ask the other side what it entered",
            f"{bad:,} 个标签不是文本，文件中留空：请询问对方所提交的内容",
        )
    if (noise := found.get("noise")) is not None:
        terms = CountNoise(epsilon_milli=noise["epsilon_milli"], delta_log10=noise["delta_log10"])
        cli.say(*learns.estimate(terms))


@click.command()
@click.argument("job")
@click.option("--agree", "decision", flag_value=AGREE, help="the leader gets to know which clients are shared")
@click.option("--refuse", "decision", flag_value=REFUSE, help="nobody does")
@click.option("--person", default=getpass.getuser, help="who decides, in the signed decision (default: login name)")
@click.option("--yes", is_flag=True, help="do it; without it the number is only shown")
@options
def decide(cli: Cli, job: str, decision: str | None, person: str, yes: bool) -> None:
    """Decide on the rows of JOB, a match of mode count-then-rows, after seeing how many clients are shared."""
    found = cli.call("match.decide", job=job, decision=None, person=person)
    if decision is not None:
        cli.confirm(yes, found, lambda: cli.table(("", ""), [*found.items()]))
        found = cli.call("match.decide", job=found["job"], decision=decision, person=person)
    cli.show(found)


@click.command()
@click.argument("name", metavar="ASSET|JOB")
@click.option("--file", "file", type=click.Path(path_type=Path), help="the rows as a new .csv or .parquet file")
@options
def rejected(cli: Cli, name: str, file: Path | None) -> None:
    """Ids of an ASSET, or of this side's asset in a JOB, that are malformed, by reason. None of it is ever sent."""
    if file is not None:
        outputs.check_new(file)
    found = cli.call("rejected", of=name, file=None if file is None else str(file.resolve()))
    none = ("no id is malformed", "没有格式错误的标识")
    cli.show(found, lambda: cli.table(REJECTED[cli.lang], [*found["rejected"].items()], none))


COMMANDS = (result, decide, rejected)
