"""The rows, the targets, the table and the plot of `make bench NAME=vertical`."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from benchmarks import paillier
from benchmarks.harness import Row, Target, figure, row, short
from benchmarks.vertical_alliance import Run

ENGINE = "EcoHub"
SECONDS, BYTES, ROUNDS = "seconds", "bytes", "rounds"
ROUND_SECONDS, ROUND_BYTES, SLOWEST = "seconds of a round", "bytes of a round", "seconds of the slowest round"
CPU, PEAK = "CPU-seconds", "peak memory"
PRODUCTS, RATIO = "encrypted products alone", "phe / the whole run"
RATIO_LEAST = 1000.0
COLUMNS = (SECONDS, CPU, BYTES, ROUNDS, ROUND_SECONDS, SLOWEST, ROUND_BYTES)
COLOURS = ("#2b6cb0", "#c53030", "#2f855a", "#b7791f", "#6b46c1", "#1a202c")


def rows_of(case: str, size: int, runs: Sequence[Run]) -> list[Row]:
    """The rows of one case: several runs of one plan."""
    parties = len(runs[0].peak) - 1  # the hub is none

    def made(metric: str, unit: str, values: Sequence[float]) -> Row:
        return row(case, ENGINE, size, values, metric=metric, unit=unit, parties=parties)

    rounds = [round_ for run in runs for round_ in run.rounds]
    rows = [
        made(SECONDS, "s", [run.seconds for run in runs]),
        made(BYTES, "B", [run.bytes for run in runs]),
        made(ROUNDS, "", [len(run.rounds) for run in runs]),
        made(ROUND_SECONDS, "s", [one.seconds for one in rounds]),
        made(ROUND_BYTES, "B", [one.bytes for one in rounds]),
        made(SLOWEST, "s", [max(one.seconds for one in run.rounds) for run in runs]),
        made(CPU, "s", [sum(run.cpu.values()) for run in runs]),
    ]
    for name in runs[0].peak:
        rows.append(made(f"{name} {CPU}", "s", [run.cpu[name] for run in runs]))
        rows.append(made(f"{name} {PEAK}", "B", [run.peak[name] for run in runs]))
    return rows


def rounds_of(case: str, size: int, runs: Sequence[Run]) -> list[Row]:
    """Seconds and bytes of every round by its number, for the file and the plot."""
    rows = []
    for number in range(max(len(run.rounds) for run in runs)):
        found = [run.rounds[number] for run in runs if number < len(run.rounds)]
        metric = f"round {number + 1:03}"
        rows.append(row(case, ENGINE, size, [one.seconds for one in found], metric=f"{metric} {SECONDS}", unit="s"))
        rows.append(row(case, ENGINE, size, [one.bytes for one in found], metric=f"{metric} {BYTES}", unit="B"))
    return rows


def beside(case: str, size: int, products: Sequence[float], runs: Sequence[Run]) -> list[Row]:
    """The same products by per-element Paillier, and how much longer they alone take than the whole run."""
    scaled = f"{case}, {paillier.SAMPLE}"
    ours = statistics.median(run.seconds for run in runs)
    ratios = [seconds / ours for seconds in products]
    return [
        row(scaled, paillier.NAME, size, products, metric=PRODUCTS, unit="s"),
        row(scaled, "ratio", size, ratios, metric=RATIO, unit="x"),
    ]


def find(rows: Sequence[Row], case: str, metric: str) -> float | None:
    """The median of the one row of that case, or None where it was not measured; of the peer's, its case begins so."""
    return next((r.median for r in rows if r.case.startswith(case) and r.metric == metric), None)


def targets(
    rows: Sequence[Row], limits: Mapping[str, float], more: Mapping[tuple[str, str], float] | None = None
) -> list[Target]:
    """limits: seconds by case; more: seconds that the first of two cases takes beyond the second; and for every case
    the ratio to the peer. What was not measured is not judged.
    """
    judged = []
    for case in dict.fromkeys(r.case for r in rows if r.engine == ENGINE):
        seconds, ratio = find(rows, case, SECONDS), find(rows, case, RATIO)
        if seconds is not None and case in limits:
            judged.append(Target(what=f"{case}: seconds", figure=seconds, limit=limits[case], unit="s"))
        if ratio is not None:
            judged.append(Target(what=f"{case}: {RATIO}", figure=ratio, limit=RATIO_LEAST, unit="x", least=True))
    for (case, base), limit in (more or {}).items():
        seconds, without = find(rows, case, SECONDS), find(rows, base, SECONDS)
        if seconds is not None and without is not None:
            what = f"{case}: seconds more than {base}"
            judged.append(Target(what=what, figure=seconds - without, limit=limit, unit="s"))
    return judged


def table(rows: Sequence[Row]) -> Table:
    """One line for each case; medians."""
    made = Table(title="benchmark vertical: whole runs through hub and nodes; medians", title_justify="left")
    made.box = box.SIMPLE_HEAD
    made.add_column("case")
    for name in (*COLUMNS, "most memory of a node", "of the hub", f"{paillier.NAME}, scaled", "ratio", "runs"):
        made.add_column(name, justify="right")
    for case in dict.fromkeys(r.case for r in rows if r.engine == ENGINE):
        found = {r.metric: r for r in rows if (r.case, r.engine) == (case, ENGINE)}
        peaks = {name: r.median for name, r in found.items() if name.endswith(PEAK)}
        hub = peaks.pop(f"hub {PEAK}")
        cells = [short(found[name].median, found[name].unit) if found[name].unit else "" for name in COLUMNS]
        cells[COLUMNS.index(ROUNDS)] = f"{found[ROUNDS].median:.0f}"
        products, ratio = find(rows, case, PRODUCTS), find(rows, case, RATIO)
        peer = [figure(products or 0.0, "s"), figure(ratio or 0.0, "x")] if products else ["", ""]
        made.add_row(case, *cells, short(max(peaks.values()), "B"), short(hub, "B"), *peer, str(found[SECONDS].runs))
    return made


def draw(canvas: Any, rows: Sequence[Row], limits: Mapping[str, float]) -> None:
    """Whole runs with their targets, and how each spends its seconds and bytes over its rounds."""
    cases = list(dict.fromkeys(r.case for r in rows if r.engine == ENGINE))
    canvas.set_size_inches(14, 9)
    panels = canvas.subplots(2, 2)
    _bars(panels[0][0], rows, cases, limits)
    _memory(panels[0][1], rows, cases)
    _over_rounds(panels[1][0], rows, cases, SECONDS, 1.0, "seconds until the end of each round")
    _over_rounds(panels[1][1], rows, cases, BYTES, 1e6, "MB in and out until the end of each round")
    panels[1][0].legend(fontsize=7)
    canvas.suptitle("vertical training through hub and nodes as processes; red: target; synthetic data")
    canvas.tight_layout()


def _bars(axes: Any, rows: Sequence[Row], cases: Sequence[str], limits: Mapping[str, float]) -> None:
    for place, case in enumerate(cases):
        seconds = find(rows, case, SECONDS) or 0.0
        axes.barh(place, seconds, color=COLOURS[0], height=0.6)
        axes.annotate(f"{seconds:.3g} s", (seconds, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
        if case in limits:
            axes.plot([limits[case]] * 2, [place - 0.4, place + 0.4], color="#c53030", linewidth=2)
    axes.set_yticks(range(len(cases)), [case.replace(", ", "\n", 1) for case in cases], fontsize=7)
    axes.invert_yaxis()
    axes.set_title("seconds of a whole run")


def _memory(axes: Any, rows: Sequence[Row], cases: Sequence[str]) -> None:
    names = sorted({r.metric.removesuffix(f" {PEAK}") for r in rows if r.metric.endswith(PEAK)})
    for turn, name in enumerate(names):
        places = [place + (turn - len(names) / 2) * 0.8 / len(names) for place in range(len(cases))]
        values = [(find(rows, case, f"{name} {PEAK}") or 0.0) / 1e6 for case in cases]
        axes.barh(places, values, height=0.8 / len(names), color=COLOURS[turn % len(COLOURS)], label=name)
    axes.set_yticks(range(len(cases)), [case.replace(", ", "\n", 1) for case in cases], fontsize=7)
    axes.invert_yaxis()
    axes.set_title("peak memory of each process, MB")
    axes.legend(fontsize=7)


def _over_rounds(axes: Any, rows: Sequence[Row], cases: Sequence[str], metric: str, unit: float, title: str) -> None:
    for turn, case in enumerate(cases):
        total, line = 0.0, [0.0]
        for r in rows:
            if r.case == case and r.metric.startswith("round ") and r.metric.endswith(f" {metric}"):
                total += r.median / unit
                line.append(total)
        axes.plot(range(len(line)), line, color=COLOURS[turn % len(COLOURS)], label=case)
    axes.set(xlabel="round", title=title)
    axes.grid(alpha=0.3)
