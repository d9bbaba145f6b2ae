"""Rows, table, plot and file of a benchmark. Figures are medians of several runs; peers run side by side, in turn."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Path("build/bench")


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


def publish(name: str, rows: Sequence[Row]) -> None:
    """Print the table, draw build/bench/<name>.png, write build/bench/<name>.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    table = Table(title=f"benchmark {name}", title_justify="left")
    for column in ("case", "engine", "size", "metric", "median", "min", "max", "runs"):
        table.add_column(column, justify="right" if column in ("size", "median", "min", "max", "runs") else "left")
    for r in rows:
        figures = [
            f"{value:,.0f} {r.unit}" if value >= 1000 else f"{value:.3g} {r.unit}" for value in (r.median, r.min, r.max)
        ]
        table.add_row(r.case, r.engine, f"{r.size:,}", r.metric, *figures, str(r.runs))
    Console(width=132).print(table)
    _plot(name, rows)


def _plot(name: str, rows: Sequence[Row]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    timed = [r for r in rows if r.unit == "s"]
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(timed) + 1.2))
    labels = [f"{r.case}  {r.engine}  {r.metric}" for r in timed]
    axes.barh(labels, [r.median for r in timed], color="#2b6cb0")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("seconds (median, logarithmic)")
    axes.set_title(f"{name}: {max(r.runs for r in rows)} runs")
    figure.tight_layout()
    figure.savefig(OUT / f"{name}.png", dpi=110)
