"""`ecohub data train report` of a horizontal run: on the terminal, as a page, as a picture."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ecowire import outputs
from hub import plots, run_report
from hub.cli_common import Cli
from hub.run_report import Report
from privacy.errors import Failure, Kind
from privacy.printable import printable


class PlotsMissing(Failure):
    code = "PLOTS_MISSING"
    kind = Kind.UNAVAILABLE
    en = "PNG needs matplotlib: install ecohub[plots], or take --html, which needs nothing"
    zh = "生成 PNG 需要 matplotlib：请安装 ecohub[plots]，或使用无需额外依赖的 --html"


def report(cli: Cli, found: Mapping[str, Any], html: Path | None, png: Path | None) -> None:
    """Show a completed run; write the page and the picture where asked. Raises PlotsMissing, OutputExists."""
    made = run_report.read(found)
    files = write({html: lambda: run_report.html(made, cli.lang).encode(), png: lambda: _png(made)})
    kinds = ("train-result", "model-record")
    documents = [document for document in found["documents"] if document["kind"] in kinds]
    document = {
        "digest": found["digest"],
        "history": found["run"]["history"],
        "troubles": found["run"]["troubles"],
        "documents": documents,
        "bytes": found["bytes"],
        "milliseconds": found["milliseconds"],
        "files": [str(path) for path in files],
    }
    cli.show(document, lambda: _show(cli, made, files))


def write(wanted: Mapping[Path | None, Callable[[], bytes]]) -> list[Path]:
    """Make and write the files that were asked for, all or none; a None was not. Raises OutputExists, PlotsMissing."""
    files = [path for path in wanted if path]
    outputs.check_new(*files)
    contents = {path: wanted[path]() for path in files}
    for path, content in contents.items():
        outputs.write_new(path, content, mode=0o644)
    return files


def canvas() -> Any:
    """matplotlib's pyplot, drawing to files. English labels only: the library has no Chinese letters."""
    try:
        import matplotlib
    except ImportError:
        raise PlotsMissing from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def picture(pyplot: Any, figure: Any) -> bytes:
    """The figure as PNG; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    pyplot.close(figure)
    return buffer.getvalue()


def _show(cli: Cli, made: Report, files: list[Path]) -> None:
    click.echo(printable(f"{made.title}  {made.digest}"))
    for line in plots.curve([loss for _, loss in made.losses]):
        click.echo(line)
    cli.table(("", ""), [(cli.word(en, zh), value) for en, zh, value in made.facts])
    cli.table(run_report.FIGURES, run_report.rows(made))
    cli.table(run_report.COUNTS, run_report.counts(made))
    if made.troubles:
        cli.table(run_report.TROUBLES, run_report.troubles(made.troubles, cli.lang))
    for note in run_report.notes(made):
        click.echo(printable(cli.word(*note)))
    for path in files:
        cli.say(f"written: {path}", f"已写入：{path}")


def _png(made: Report) -> bytes:
    """The loss curve and the partners' AUC side by side."""
    pyplot = canvas()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.plot([number for number, _ in made.losses], [loss for _, loss in made.losses], marker=".")
    left.set(xlabel="round", ylabel="validation loss", title=made.digest[:16])
    for variant in run_report.VARIANTS:
        points = [(line.auc[variant], line.partner) for line in made.partners if line.auc[variant] is not None]
        right.plot([x for x, _ in points], [name for _, name in points], "o", label=variant)
    right.set(xlabel="AUC, own test rows", title="before and after")
    right.legend()
    return picture(pyplot, figure)
