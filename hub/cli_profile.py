"""`ecohub data profile`: the joint profile that a vertical run made, on the terminal, as a page, as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hub import cli_jobs, cli_models, cli_report, contribution_report, profile_record, profile_report, profile_rounds
from hub.cli_common import Cli, options
from hub.profile_record import Profile
from privacy.printable import printable


@click.group()
def profile() -> None:
    """The joint profile over the same clients: what it is worth, and by whom."""


profile.add_command(contribution_report.contribution)
for command in cli_models.COMMANDS:
    profile.add_command(command)


@profile.command("report")
@click.argument("job")
@click.option("--html", type=click.Path(path_type=Path), help="also write a page that needs nothing else")
@click.option("--png", type=click.Path(path_type=Path), help="also draw the curves as PNG (needs an extra)")
@options
def profile_command(cli: Cli, job: str, html: Path | None, png: Path | None) -> None:
    """Every scorecard of a vertical run on held-out clients, the label holder alone beside each partner added and all:
    measures with 95 % intervals, the uplift of each or that none can be measured, calibration and lift."""
    found = cli_jobs.job_of(cli, job)
    if found["kind"] != "train" or "run" in found:
        raise click.UsageError("it is no vertical run; `ecohub data train report` shows a horizontal one")
    if found["state"] != "COMPLETED":
        raise cli_jobs.no_result(found)
    show(cli, found, html, png)


def show(cli: Cli, found: Mapping[str, Any], html: Path | None, png: Path | None) -> None:
    """Show a completed vertical run; write the page and the picture where asked.

    Raises ReportUnreadable, PlotsMissing, OutputExists.
    """
    made = profile_record.read(found)
    files = cli_report.write(
        {html: lambda: profile_report.html(made, cli.lang).encode(), png: lambda: _png(made)},
    )
    results = cli_jobs.documents(found, "train-result")
    holder = next(result for result in results if result["body"]["role"] == "label_holder")
    document = {
        "digest": found["digest"],
        "record": holder["body"]["record"],
        "uplifts": [dict(zip(("en", "zh"), note, strict=True)) for note in profile_report.uplifts(made)],
        "results": results,
        "model": cli_jobs.documents(found, "model-record"),
        "files": [str(path) for path in files],
    }
    cli.show(document, lambda: _show(cli, made, files))


def _show(cli: Cli, made: Profile, files: list[Path]) -> None:
    click.echo(printable(f"{made.title}  {made.digest}  {made.label}  {made.model} {made.model_digest[:16]}"))
    for note in profile_report.uplifts(made):
        click.echo(printable(cli.word(*note)))
    cli.table(profile_report.COLUMNS, profile_report.columns(made))
    cli.table(profile_report.RANKS, profile_report.ranks(made))
    cli.table(profile_report.CHANCES, profile_report.chances(made, cli.lang))
    for names, lines in profile_report.fold_tables(made):
        cli.table(names, lines)
    if made.rounds:
        cli.table(profile_rounds.COLUMNS, profile_rounds.lines(made.rounds))
    for card in profile_report.shown_in_bands(made):
        cli.table(profile_report.BANDS, profile_report.bands(made, card), title=printable(made.name(card)))
    for note in profile_report.notes(made):
        click.echo(printable(f"- {cli.word(*note)}"))
    for path in files:
        cli.say(f"written: {path}", f"已写入：{path}")


def _png(made: Profile) -> bytes:
    """AUC with intervals, calibration, and positives found, side by side."""
    pyplot = cli_report.canvas()
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4), layout="constrained")
    for card in made.cards:
        interval = card.figures["auc"]
        assert interval is not None, "a record without AUC is not read"
        low, value, high = interval.parts
        left.errorbar([value], [made.name(card)], xerr=[[value - low], [high - value]], fmt="o", capsize=3)
    left.set(xlabel="AUC, held-out clients", title=made.digest[:16])
    drawn = (
        (middle, profile_report.calibration_points(made), "mean predicted chance", "observed rate"),
        (right, profile_report.gain_points(made), "share of clients, best first", "share of positives found"),
    )
    for axes, lines, across, up in drawn:
        axes.axline((0, 0), slope=1, color="#bbb")
        for name, points in lines.items():
            axes.plot([x for x, _ in points], [y for _, y in points], marker=".", label=name)
        axes.set(xlabel=across, ylabel=up)
        if lines:
            axes.legend()
    return cli_report.picture(pyplot, figure)
