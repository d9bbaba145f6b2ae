"""What the sandbox prints: tables for people, one JSON document for machines."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

NOTHING_FOUND = {"en": "no findings: everything that was checked holds", "zh": "未发现问题：全部核验通过"}
FINDINGS = {"en": ("finding", "where", "what"), "zh": ("发现", "位置", "说明")}
HELD = {"en": ("checked and holds", "count"), "zh": ("核验通过", "数量")}
STYLE = {"error": "bold red", "warning": "yellow"}


def echo_counts(origin: str, folder: Path, counts: Mapping[str, int], as_json: bool) -> None:
    """Say where an alliance's data was written, what it is, and how many clients each party and overlap has."""
    if as_json:
        click.echo(json.dumps({"origin": origin, "folder": str(folder), "counts": dict(counts)}, sort_keys=True))
        return
    click.echo(f"{origin}\nwritten to {folder}")
    for name, count in counts.items():
        click.echo(f"  {name:<16} {count:>6,} clients")


def held_table(held: Mapping[str, int], lang: str) -> "Table":
    """What was checked and held, with counts."""
    made = table(HELD[lang], numbers=(1,))
    for what, count in sorted(held.items()):
        made.add_row(what, f"{count:,}")
    return made


def findings_table(findings: Iterable[tuple[str, str, str, str]], lang: str) -> "Table | str":
    """Findings as (severity, code, where, sentence), in the order found, or the sentence that there are none."""
    from rich.text import Text

    made = table(FINDINGS[lang])
    for severity, code, where, sentence in findings:
        made.add_row(Text(code, STYLE[severity]), Text(where), Text(sentence))
    return made if made.row_count else NOTHING_FOUND[lang]


def print_tables(*tables: "Table | str") -> None:
    """Print tables and sentences to stdout, without colours where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    for one in tables:
        console.print(one)


def table(headings: tuple[str, ...], numbers: Iterable[int] = ()) -> "Table":
    """An empty table; the columns of `numbers` are right-aligned and never folded."""
    from rich import box
    from rich.table import Table

    made, right = Table(box=box.SIMPLE_HEAD, pad_edge=False), set(numbers)
    for place, heading in enumerate(headings):
        if place in right:
            made.add_column(heading, justify="right", no_wrap=True)
        else:
            made.add_column(heading, overflow="fold")
    return made
