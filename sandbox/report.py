"""What the sandbox prints: tables for people, one JSON document for machines."""

import json
from collections.abc import Mapping
from pathlib import Path

import click


def echo_counts(origin: str, folder: Path, counts: Mapping[str, int], as_json: bool) -> None:
    """Say where an alliance's data was written, what it is, and how many clients each party and overlap has."""
    if as_json:
        click.echo(json.dumps({"origin": origin, "folder": str(folder), "counts": dict(counts)}, sort_keys=True))
        return
    click.echo(f"{origin}\nwritten to {folder}")
    for name, count in counts.items():
        click.echo(f"  {name:<16} {count:>6,} clients")
