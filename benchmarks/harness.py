"""Rows, targets, table, plot and file of a benchmark. Figures are medians of several runs; peers run side by side, in
turn. A target is printed beside its figure as met or not met; no test and no exit code depends on it."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path("build/bench")
WIDTH = 176
SECONDS_MIN = 5e-6  # below it the clock's own calls are what is measured
SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
BYTES = ((1e6, "MB"), (1e3, "kB"), (1.0, "B"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `case` says so where a value is scaled from a smaller run."""

    case: str
    engine: str
    size: int
    parties: int
    metric: str
    unit: str
    median: float
    min: float
    max: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A figure of the same run beside what it should be: at most `limit`, or at least where `least`."""

    what: str
    figure: float
    limit: float
    unit: str
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure keeps the limit."""
        return self.figure >= self.limit if self.least else self.figure <= self.limit


def row(case: str, engine: str, size: int, values: Sequence[float], *, metric: str, unit: str, parties: int = 2) -> Row:
    """The row of several measured values."""
    return Row(
        case=case,
        engine=engine,
        size=size,
        parties=parties,
        metric=metric,
        unit=unit,
        median=statistics.median(values),
        min=min(values),
        max=max(values),
        runs=len(values),
    )


def seconds(action: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turn(runs: int, *actions: Callable[[], float]) -> list[list[float]]:
    """Values of several actions measured in turn (A B A B …), so that a drift of the machine meets all alike."""
    values: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for collected, action in zip(values, actions, strict=True):
            collected.append(action())
    return values


def figure(value: float, unit: str) -> str:
    """A value for people: three or four digits, thousands set apart."""
    return f"{value:,.0f} {unit}" if abs(value) >= 1000 else f"{value:.{4 if value >= 1 else 3}g} {unit}"


def short(value: float, unit: str) -> str:
    """A figure in the width of a column: three digits and a unit that fits; what is too short to time is "-"."""
    if unit == "s" and value < SECONDS_MIN:
        return "-"
    steps = SECONDS if unit == "s" else BYTES
    factor, name = next((step for step in steps if value >= step[0]), steps[-1])
    scaled = value / factor
    return f"{scaled:,.0f} {name}" if scaled >= 100 else f"{scaled:.3g} {name}"


def publish(
    name: str,
    rows: Sequence[Row],
    targets: Sequence[Target] = (),
    table: Table | None = None,
    plot: Callable[[Any], None] | None = None,
) -> None:
    """Print the table and the targets; write build/bench/<name>.png and build/bench/<name>.json, a list of rows.

    table: instead of one line a row; plot: draws on a matplotlib figure instead of bars of the rows in seconds.
    """
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps([asdict(r) for r in rows], indent=1, ensure_ascii=False) + "\n")
    console = Console(width=WIDTH)
    console.print(table or _table(name, rows))
    if targets:
        console.print(_judged(targets))
    _draw(name, plot or (lambda canvas: _bars(canvas, name, rows)))
    console.print(f"{OUT / name}.json, {OUT / name}.png")


def _table(name: str, rows: Sequence[Row]) -> Table:
    table = Table(title=f"benchmark {name}", title_justify="left")
    for column in ("case", "engine", "size", "parties", "metric", "median", "min", "max", "runs"):
        numeric = column in ("size", "parties", "median", "min", "max", "runs")
        table.add_column(column, justify="right" if numeric else "left")
    for r in rows:
        figures = [figure(value, r.unit) for value in (r.median, r.min, r.max)]
        table.add_row(r.case, r.engine, f"{r.size:,}", str(r.parties), r.metric, *figures, str(r.runs))
    return table


def _judged(targets: Sequence[Target]) -> Table:
    table = Table(title="targets", title_justify="left")
    for column in ("target", "figure", "limit", ""):
        table.add_column(column, justify="right" if column in ("figure", "limit") else "left")
    for target in targets:
        limit = f"{'≥' if target.least else '≤'} {figure(target.limit, target.unit)}"
        verdict = "[green]met[/green]" if target.met else "[red]not met[/red]"
        table.add_row(target.what, figure(target.figure, target.unit), limit, verdict)
    return table


def _draw(name: str, plot: Callable[[Any], None]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas = pyplot.figure()
    plot(canvas)
    canvas.savefig(OUT / f"{name}.png", dpi=110)
    pyplot.close(canvas)


def _bars(canvas: Any, name: str, rows: Sequence[Row]) -> None:
    """One logarithmic bar for every row in seconds."""
    timed = [r for r in rows if r.unit == "s"]
    canvas.set_size_inches(9, 0.45 * len(timed) + 1.2)
    axes = canvas.subplots()
    axes.barh([f"{r.case}  {r.engine}  {r.metric}" for r in timed], [r.median for r in timed], color="#2b6cb0")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("seconds (median, logarithmic)")
    axes.set_title(f"{name}: {max(r.runs for r in rows)} runs")
    canvas.tight_layout()
