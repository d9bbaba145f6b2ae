"""`ecohub partner result`: what a match told this side, for its own people."""

from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from partner_node.cli_common import Cli, options


@click.command()
@click.argument("job")
@click.option("--file", "file", type=click.Path(path_type=Path), help="the row map as a new .csv or .parquet file")
@options
def result(cli: Cli, job: str, file: Path | None) -> None:
    """What the match JOB told this side; with --file, the shared clients with their rows. Consent is checked now."""
    if file is not None:
        outputs.check_new(file)
    found = cli.call("match.result", job=job, file=None if file is None else str(file.resolve()))
    cli.show(found, lambda: _show(cli, found))


def _show(cli: Cli, found: dict[str, Any]) -> None:
    count = "-" if found["count"] is None else f"{found['count']:,}"
    rows = [("job", found["job"]), ("mode", found["mode"]), ("outcome", found["outcome"]), ("count", count)]
    cli.table(("", ""), [*rows, *([("file", found["file"])] if "file" in found else [])])


COMMANDS = (result,)
