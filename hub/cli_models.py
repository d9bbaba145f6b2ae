"""`ecohub data profile`, the registry: which models there are, releasing one, taking a name back, and its card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hub import card_page, cli_jobs, cli_report, model_card
from hub.cli_common import Cli, options
from hub.records import Head
from privacy.printable import printable

REASON = click.option("--reason", required=True, help="why; it is signed with the step and stays on record")


@click.command("register")
@click.argument("job")
@options
def register(cli: Cli, job: str) -> None:
    """Enter a vertical run that was completed before there was a registry; later ones are entered by themselves."""
    made, _ = cli.call("model.register", {"job": job})
    cli.show(made, lambda: _models(cli, [made]))


@click.command("models")
@options
def models(cli: Cli) -> None:
    """All registered models, by name: state, the share of clients each serves, and until when it is valid."""
    found, _ = cli.call("models")
    cli.show(found, lambda: _models(cli, found["models"]))


@click.command("release")
@click.argument("job")
@click.option(
    "--share-ppm",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="of the clients, in millionths; raised by releasing again, clients who are in stay in",
)
@REASON
@click.option("--accept-no-uplift", is_flag=True, help="though its AUC shows no measurable uplift; the reason says why")
@options
def release(cli: Cli, job: str, share_ppm: int, reason: str, accept_no_uplift: bool) -> None:
    """Release the model of JOB to a share of the clients. Refused, with the reasons on record, above the plan's
    fairness limits, after its validity, or without measurable uplift."""
    head: Head = {"job": job, "share_ppm": share_ppm, "reason": reason, "accept_no_uplift": accept_no_uplift}
    made, _ = cli.call("model.release", head)
    cli.show(made, lambda: _models(cli, [made]))


@click.command("rollback")
@click.argument("name")
@REASON
@options
def rollback(cli: Cli, name: str, reason: str) -> None:
    """Take the newest release of NAME back: one for a share ends; after one for all, the one before serves all."""
    _changed(cli, "model.rollback", name, reason)


@click.command("retire")
@click.argument("name")
@REASON
@options
def retire(cli: Cli, name: str, reason: str) -> None:
    """End all releases of NAME: its clients get no labels any more."""
    _changed(cli, "model.retire", name, reason)


@click.command("card")
@click.argument("job")
@click.option("--html", type=click.Path(path_type=Path), help="write the card as a page that needs nothing else")
@click.option("--md", type=click.Path(path_type=Path), help="write the card as Markdown")
@options
def card(cli: Cli, job: str, html: Path | None, md: Path | None) -> None:
    """The model card of JOB: purpose, parties, data, evaluation, fairness, stability, limits, approvals, releases."""
    found = cli_jobs.job_of(cli, job)
    model, _ = cli.call("model", {"job": found["digest"]})
    made = model_card.read(model, found)
    wanted = {
        html: lambda: card_page.html(made, cli.lang).encode(),
        md: lambda: card_page.markdown(made, cli.lang).encode(),
    }
    files = cli_report.write(wanted)
    cli.show({**model, "files": [str(path) for path in files]}, lambda: _card(cli, made, files))


def _changed(cli: Cli, command: str, name: str, reason: str) -> None:
    made, _ = cli.call(command, {"name": name, "reason": reason})
    cli.show(made, lambda: _models(cli, made["serving"]))


def _models(cli: Cli, listed: list[Mapping[str, Any]]) -> None:
    rows = [
        (
            f"{one['name']} {one['number']}",
            one["job"][:12],
            cli.value(one["state"]),
            model_card.percent(one["share_ppm"]) if one["share_ppm"] else None,
            one["label_holder"],
            one["valid_until"],
        )
        for one in listed
    ]
    cli.table(("model", "job", "state", "share of clients", "label holder", "valid until"), rows)


def _card(cli: Cli, made: model_card.Card, files: list[Path]) -> None:
    zh = cli.lang == "zh"
    for section in model_card.sections(made, cli.lang):
        click.echo(f"\n{printable(section.title[zh])}")
        for note in section.notes:
            click.echo(printable(note[zh]))
        for table in section.tables:
            cli.table(table.heads, [tuple(printable(cell) for cell in row) for row in table.rows])
    for path in files:
        cli.say(f"written: {path}", f"已写入：{path}")


COMMANDS = (register, models, release, rollback, retire, card)
