"""`ecohub regulator`: examine evidence without the hub, and merge what the parties vouch for. Imports no Flower.

`examine` and `trust merge` need neither network nor a certificate.
"""

from pathlib import Path

import click

from sandbox.examine import trust as trusts
from sandbox.examine.__main__ import command as examine


@click.group()
def regulator() -> None:
    """The regulator's own tools: examine evidence bundles without trusting the hub."""


regulator.add_command(examine, "examine")


@regulator.group()
def trust() -> None:
    """What the parties say themselves: the only thing an examination believes."""


@trust.command()
@click.argument("parts", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="trust.toml to write")
def merge(parts: tuple[Path, ...], out: Path) -> None:
    """Merge the PARTS that each node exported (`ecohub partner trust export`); parts that contradict are refused."""
    merged = trusts.merge(part.read_text(encoding="utf-8") for part in parts)
    with out.open("x", encoding="utf-8") as file:
        file.write(trusts.dump(merged))
    click.echo(
        f"{len(parts)} parts, {len(merged.signers)} signers, {len(merged.cosigned)} co-signed checkpoints: {out}"
    )
