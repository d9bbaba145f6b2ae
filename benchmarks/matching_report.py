"""The table, the targets and the plot of `make bench NAME=matching`, from its rows."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.harness import Row, Target, short

OURS, FILES, COUNT, FASTEST_PEER = "oprf, rows", "oprf, CSV", "ecdh, count", "spu RR22"
RELAY, RELAYED = "oprf, relay", "oprf, listed"  # the product, and the engine alone with the option that it takes
MILLION, MIDDLE = (1 << 20, 1 << 20), (1 << 16, 1 << 16)
RELAY_SIZES = (MIDDLE, (1 << 18, 1 << 18), MILLION)
RELAY_FACTOR_MAX = 1.2
MILLION_SECONDS_MAX = 10.0
MIDDLE_SECONDS_MAX = 1.5
COUNT_SECONDS_MAX = 20.0
MEMORY_MAX = 300e6
WIRE_MAX = 100e6
COLUMNS = {
    "seconds": "seconds",
    "receiver CPU-seconds": "CPU receiver",
    "sender CPU-seconds": "CPU sender",
    "to receiver": "to receiver",
    "to sender": "to sender",
    "wire": "both ways",
    "receiver peak memory": "peak receiver",
    "sender peak memory": "peak sender",
}
COLOURS = ("#c53030", "#dd6b20", "#f6ad55", "#d53f8c", "#2b6cb0", "#2f855a", "#b7791f", "#6b46c1", "#1a202c")
SCALE = {"s": 1.0, "B": 1e6}


def case(sizes: tuple[int, int]) -> str:
    """A case's name: the receiver's number of clients and the sender's."""
    return f"{sizes[0]:,} x {sizes[1]:,}"


def find(rows: Sequence[Row], engine: str, sizes: tuple[int, int], metric: str) -> Row | None:
    """The one row of that name, or None where it was not measured."""
    wanted = (engine, case(sizes), metric)
    return next((r for r in rows if (r.engine, r.case, r.metric) == wanted), None)


def targets(rows: Sequence[Row]) -> list[Target]:
    """The issue's targets, each where its case was measured."""
    judged: list[Target] = []

    def judge(what: str, engine: str, sizes: tuple[int, int], metric: str, limit: float) -> None:
        if found := find(rows, engine, sizes, metric):
            what = f"{engine}, {case(sizes)}: {what}"
            scaled = SCALE[found.unit]
            unit = "MB" if found.unit == "B" else "s"
            judged.append(Target(what=what, figure=found.median / scaled, limit=limit / scaled, unit=unit))

    judge("seconds", OURS, MILLION, "seconds", MILLION_SECONDS_MAX)
    for engine in (OURS, FILES):
        ours, peer = (find(rows, one, MILLION, "seconds") for one in (engine, FASTEST_PEER))
        if ours and peer:
            what = f"{case(MILLION)}: seconds of {FASTEST_PEER} / {engine}"
            judged.append(Target(what=what, figure=peer.median / ours.median, limit=1.0, unit="x", least=True))
    judge("receiver's memory", OURS, MILLION, "receiver peak memory", MEMORY_MAX)
    judge("sender's memory", OURS, MILLION, "sender peak memory", MEMORY_MAX)
    judge("on the wire", OURS, MILLION, "wire", WIRE_MAX)
    judge("seconds", OURS, MIDDLE, "seconds", MIDDLE_SECONDS_MAX)
    for sizes in RELAY_SIZES:
        relay, alone = (find(rows, one, sizes, "seconds") for one in (RELAY, RELAYED))
        if relay and alone:
            what = f"{case(sizes)}: seconds of {RELAY} / {RELAYED}"
            judged.append(Target(what=what, figure=relay.median / alone.median, limit=RELAY_FACTOR_MAX, unit="x"))
    judge("seconds", COUNT, MIDDLE, "seconds", COUNT_SECONDS_MAX)
    return judged


def table(rows: Sequence[Row], engines: Sequence[str]) -> Table:
    """One line for each case and engine; medians."""
    made = Table(
        title="benchmark matching, receiver x sender: engines alone, and the product through its relay; medians",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    for name in ("clients", "engine", *COLUMNS.values(), "runs"):
        made.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    for name in dict.fromkeys(r.case for r in rows):
        for engine in engines:
            found = {r.metric: r for r in rows if (r.case, r.engine) == (name, engine)}
            cells = [short(found[metric].median, found[metric].unit) for metric in COLUMNS]
            made.add_row(name, engine, *cells, str(found["seconds"].runs))
        made.add_section()
    return made


def draw(canvas: Any, rows: Sequence[Row], engines: Sequence[str]) -> None:
    """Seconds, processor time, bytes and memory over the number of clients, where both sides have as many."""
    canvas.set_size_inches(13, 9)
    panels = canvas.subplots(2, 2)
    _lines(panels[0][0], rows, engines, ("seconds",), "seconds", "seconds from begin to result")
    _lines(panels[0][1], rows, engines, ("CPU-seconds",), "seconds", "processor time of both sides")
    _lines(panels[1][0], rows, engines, ("wire",), "MB", "payload bytes, both ways")
    sides = ("receiver peak memory", "sender peak memory")
    _lines(panels[1][1], rows, engines, sides, "MB", "peak memory, the larger side")
    for panel, sizes, metric, limit in (
        (panels[0][0], MILLION, "seconds", MILLION_SECONDS_MAX),
        (panels[0][0], MIDDLE, "seconds", MIDDLE_SECONDS_MAX),
        (panels[1][0], MILLION, "wire", WIRE_MAX / SCALE["B"]),
        (panels[1][1], MILLION, "sender peak memory", MEMORY_MAX / SCALE["B"]),
    ):
        if find(rows, OURS, sizes, metric):
            panel.plot(sizes[0], limit, "v", color="black", zorder=3)
    panels[0][0].legend(fontsize=8)
    runs = f"median of {max(r.runs for r in rows)} runs"
    canvas.suptitle(f"matching, {runs}; triangles: targets of {OURS}")
    canvas.tight_layout()


def _lines(
    axes: Any, rows: Sequence[Row], engines: Sequence[str], metrics: Sequence[str], unit: str, title: str
) -> None:
    """A logarithmic line for every engine; of several metrics the largest."""
    for engine, colour in zip(engines, COLOURS, strict=False):
        found: dict[int, float] = {}
        for r in rows:
            if r.engine == engine and r.metric in metrics and r.case == case((r.size, r.size)):
                found[r.size] = max(found.get(r.size, 0.0), r.median / SCALE[r.unit])
        sizes = sorted(found)
        axes.plot(sizes, [found[size] for size in sizes], "o-", color=colour, label=engine)
    axes.set(xscale="log", yscale="log", xlabel="clients of each side", ylabel=unit)
    axes.set_xscale("log", base=2)
    axes.set_title(title)
    axes.grid(alpha=0.3)
