"""The table, the targets and the plot of `make bench NAME=aggregation`, from its rows."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.harness import SECONDS_MIN, Row, Target, short
from benchmarks.peers import PHASES

MILLION = 1_000_000
COLUMNS = {
    "setup, once a job": "setup",
    "prepare": "prepare",
    "quantise": "quantise",
    "encrypt": "encrypt",
    "serialise": "serialise",
    "upload path": "= upload",
    "add": "add",
    "answer": "answer",
    "open": "open",
    "upload a parameter": "B/param.",
    "bytes up": "up",
    "bytes down": "down",
    "peak memory": "peak",
}
COLOURS = ("#c53030", "#b7791f", "#2b6cb0", "#6b46c1", "#2f855a", "#718096")
UPLOAD_SECONDS_MAX = 0.2
FASTER_MIN = 8.0
PARAMETER_BYTES_MAX = 6.1
ANSWER_SECONDS_MAX = 0.005
OPEN_SECONDS_MAX = 0.1
HUB_GROWTH_MAX = 1.05  # memory of the hub: most over least
LABEL_FACTOR = 4.0


def find(rows: Sequence[Row], engine: str, size: int, parties: int, metric: str, case: str = "") -> Row | None:
    """The one row of that name, or None where it was not measured."""
    for r in rows:
        same = (r.engine, r.size, r.parties, r.metric) == (engine, size, parties, metric)
        if same and r.case.startswith(case or f"{size:,} parameters"):
            return r
    return None


def targets(rows: Sequence[Row]) -> list[Target]:
    """The issue's targets for a million parameters; none where that size was not run."""
    judged: list[Target] = []
    for parties in sorted({r.parties for r in rows}):

        def median(metric: str, engine: str = "threshold", parties: int = parties) -> float | None:
            found = find(rows, engine, MILLION, parties, metric)
            return found.median if found else None

        upload, peer = median("upload path"), median("upload path", "TenSEAL CKKS")
        size, answer, opening = median("upload a parameter"), median("answer"), median("open")
        if upload is None or peer is None or size is None or answer is None or opening is None:
            continue
        of = f"1,000,000 parameters, {parties} partners"
        judged += [
            Target(what=f"{of}: upload path", figure=upload, limit=UPLOAD_SECONDS_MAX, unit="s"),
            Target(what=f"{of}: TenSEAL / upload path", figure=peer / upload, limit=FASTER_MIN, unit="x", least=True),
            Target(what=f"{of}: upload a parameter", figure=size, limit=PARAMETER_BYTES_MAX, unit="B"),
            Target(what=f"{of}: answer", figure=answer, limit=ANSWER_SECONDS_MAX, unit="s"),
            Target(what=f"{of}: opening", figure=opening, limit=OPEN_SECONDS_MAX, unit="s"),
        ]
    hub = [r for r in rows if r.case.startswith("hub alone") and r.metric == "peak memory"]
    if hub:
        ratio = max(r.median for r in hub) / min(r.median for r in hub)
        what = "hub's memory, " + " and ".join(str(r.parties) for r in hub) + " partners: most / least"
        judged.append(Target(what=what, figure=ratio, limit=HUB_GROWTH_MAX, unit="x"))
    return judged


def table(rows: Sequence[Row], engines: Sequence[str]) -> Table:
    """One line for each size, number of partners and engine; medians."""
    made = Table(
        title="benchmark aggregation: medians; phases of one party, one upload, one answer; * scaled from a sample",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    for name in ("parameters", "n", "engine", *COLUMNS.values()):
        made.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    for size, parties in sorted({(r.size, r.parties) for r in rows if "parameters" in r.case}):
        for engine in engines:
            cells = [find(rows, engine, size, parties, metric) for metric in COLUMNS]
            sampled = any(r is not None and "scaled" in r.case for r in cells)
            shown = [short(r.median, r.unit) if r else "" for r in cells]
            made.add_row(f"{size:,}", str(parties), engine + ("*" if sampled else ""), *shown)
        made.add_section()
    for parties in sorted({r.parties for r in rows if r.case.startswith("hub alone")}):
        size = next(r.size for r in rows if r.case.startswith("hub alone"))
        found = {m: find(rows, "threshold", size, parties, m, "hub alone") for m in ("add and open", "peak memory")}
        hub = {m: short(r.median, r.unit) for m, r in found.items() if r}
        filled = {"open": hub["add and open"], "peak memory": hub["peak memory"]}
        made.add_row(f"{size:,}", str(parties), "hub, all added", *(filled.get(m, "") for m in COLUMNS))
    return made


def draw(canvas: Any, rows: Sequence[Row], engines: Sequence[str]) -> None:
    """Upload path over the number of parameters; the phases of a round; bytes of an upload."""
    canvas.set_size_inches(16, 5.4)
    upload, phases, sizes = canvas.subplots(1, 3, width_ratios=[1.1, 1.3, 0.8])
    colours = dict(zip(engines, COLOURS, strict=False))
    parties = max(r.parties for r in rows if "parameters" in r.case)
    largest = max(r.size for r in rows)
    scaled = {r.engine for r in rows if "scaled" in r.case}
    labels = {engine: engine + (" (scaled)" if engine in scaled else "") for engine in engines}
    ends = {}
    for engine in engines:
        line = [r for r in rows if (r.engine, r.parties, r.metric) == (engine, parties, "upload path")]
        style = "--" if engine in scaled else "-"
        upload.plot([r.size for r in line], [r.median for r in line], f"o{style}", color=colours[engine])
        ends[labels[engine]] = line[-1].median
    for label, height in _apart(ends).items():
        upload.annotate(label, (largest, height), (8, 0), textcoords="offset points", va="center")
    upload.axhline(UPLOAD_SECONDS_MAX, color="#c53030", linewidth=0.8, linestyle=":")
    upload.set(xscale="log", yscale="log", xlabel="parameters", ylabel="seconds, one core")
    upload.set_xlim(right=largest * 12)
    upload.set_title(f"upload path of a party, {parties} partners (dotted: target)")
    _draw_phases(phases, rows, labels, colours, largest, parties)
    found = {engine: find(rows, engine, largest, parties, "upload a parameter") for engine in engines}
    bars = {engine: r.median for engine, r in found.items() if r}
    drawn = sizes.barh([labels[e] for e in bars], list(bars.values()), color=[colours[e] for e in bars])
    sizes.bar_label(drawn, [f"{value:.3g}" for value in bars.values()], padding=3)
    sizes.axvline(PARAMETER_BYTES_MAX, color="#c53030", linewidth=0.8, linestyle=":")
    sizes.set(xscale="log", xlabel="bytes (logarithmic)")
    sizes.set_xlim(right=max(bars.values()) * 4)
    sizes.invert_yaxis()
    sizes.set_title("upload, bytes a parameter")
    canvas.tight_layout()


def _apart(heights: dict[str, float]) -> dict[str, float]:
    """Heights of labels on a logarithmic axis, moved up where they would lie on one another."""
    placed: dict[str, float] = {}
    lowest = 0.0
    for label, height in sorted(heights.items(), key=lambda item: item[1]):
        placed[label] = lowest = max(height, lowest * LABEL_FACTOR)
    return placed


def _draw_phases(
    axes: Any, rows: Sequence[Row], labels: dict[str, str], colours: dict[str, str], size: int, parties: int
) -> None:
    height = 0.8 / len(labels)
    for place, (engine, label) in enumerate(labels.items()):
        found = [find(rows, engine, size, parties, metric) for metric in PHASES]
        positions = [at + (place - len(labels) / 2 + 0.5) * height for at in range(len(PHASES))]
        values = [r.median if r and r.median > SECONDS_MIN else float("nan") for r in found]
        axes.barh(positions, values, height, color=colours[engine], label=label)
    axes.set_yticks(range(len(PHASES)), PHASES)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="seconds (logarithmic), once a party, an upload or an answer")
    axes.set_title(f"phases, {size:,} parameters, {parties} partners")
    axes.legend(fontsize=8, loc="upper right")
