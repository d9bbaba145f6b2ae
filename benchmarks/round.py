"""`make bench NAME=round`: the seconds of a round over real processes, beside stock Flower on the same machine.

EcoHub's rounds are encrypted, signed, durable and over mutual TLS; stock Flower's are plain, without TLS, and are
started and ended by the bench (one SuperLink and three SuperNodes as Flower ships them). Rows besides: fifty nodes in
one process, twenty nodes as processes, and the hub's memory with three and ten nodes. ECOHUB_BENCH_RUNS=2 makes a
shorter run.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich import box
from rich.table import Table

from benchmarks import round_alliance, round_local
from benchmarks.harness import Row, Target, figure, publish, row, short
from benchmarks.peers import environment
from benchmarks.round_alliance import Case

RUNS = int(os.environ.get("ECOHUB_BENCH_RUNS", "5"))
TINY, MILLION = "tiny payload", "a million parameters"
MILLION_UNITS = (989, 989)  # 20 inputs, two hidden layers: 1,000,869 parameters
STOCK = "stock Flower"
STOCK_SIZES = {TINY: 21, MILLION: 1_000_000}
TINY_SECONDS_MAX, MILLION_SECONDS_MAX, LOCAL_SECONDS_MAX = 0.025, 0.8, 10.0
TIMED = ("round", "whole run")
BESIDE = {
    round_alliance.HUB_SECONDS: "hub's CPU",
    round_alliance.NODE_SECONDS: "a node's CPU",
    round_alliance.HUB_MEMORY: "hub's peak",
    round_alliance.NODE_BYTES: "a node's bytes",
}
UNITS = ("s", "s", "B", "B")
UPLOAD_BYTES = 6.1  # of a parameter, as the benchmark aggregation measures them
# of the hub's process for each node more: sums are streamed, but uploads that come at the same moment are in transit
GROWTH_BYTES_MAX = 2 * UPLOAD_BYTES * 1_000_869
FEW, MANY = 3, 10  # nodes between which it is taken


def run() -> None:
    peers = environment.python()
    cases = (
        Case(name=TINY, nodes=3, rounds=20 * RUNS + 1),
        Case(name=MILLION, nodes=FEW, rounds=2 * RUNS + 1, hidden=MILLION_UNITS),
        Case(name=MILLION, nodes=MANY, rounds=3, hidden=MILLION_UNITS),
        Case(name="10,000 parameters", nodes=20, rounds=4, hidden=(90, 89)),
    )
    rows = round_alliance.measured(cases)
    rows += round_local.rows(RUNS)
    for name, size in STOCK_SIZES.items():
        print(f"stock Flower, {name}", flush=True)
        rows.append(_stock(peers, name, size))
    rows += _ratios(rows)
    publish("round", rows, targets(rows), table(rows), partial(draw, rows=rows))


def _stock(peers: os.PathLike[str], name: str, size: int) -> Row:
    """Rounds of stock Flower's FedAvg over a float32 vector, three nodes."""
    command = [str(peers), "-P", "-m", "benchmarks.peers.flower_stock", str(size), str(RUNS), "3"]
    variables = environment.variables(environment.ROOT)
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    values = json.loads(done.stdout.splitlines()[-1])
    return row(f"{name}, 3 nodes", STOCK, size, values, metric="round", unit="s", parties=3)


def _ratios(rows: Sequence[Row]) -> list[Row]:
    """Stock Flower's median over ours."""
    made = []
    for name in STOCK_SIZES:
        ours, peer = (_median(rows, f"{name}, 3 nodes", engine) for engine in ("EcoHub", STOCK))
        size = STOCK_SIZES[name]
        made.append(
            row(f"{name}, 3 nodes", f"{STOCK} / EcoHub", size, [peer / ours], metric="ratio", unit="x", parties=3)
        )
    return made


def _median(rows: Sequence[Row], case: str, engine: str = "EcoHub", metric: str = "round") -> float:
    return next(r.median for r in rows if (r.case, r.engine, r.metric) == (case, engine, metric))


def targets(rows: Sequence[Row]) -> list[Target]:
    """The issue's targets."""
    memory = [_median(rows, f"{MILLION}, {nodes} nodes", metric=round_alliance.HUB_MEMORY) for nodes in (FEW, MANY)]
    local = next(r for r in rows if r.case.startswith("LocalGrid"))
    tiny, million = (_median(rows, f"{name}, 3 nodes") for name in (TINY, MILLION))
    return [
        Target(what=f"{TINY}, 3 nodes: a round", figure=tiny, limit=TINY_SECONDS_MAX, unit="s"),
        Target(what=f"{MILLION}, encrypted, 3 nodes: a round", figure=million, limit=MILLION_SECONDS_MAX, unit="s"),
        Target(what=f"{local.case}: the whole run", figure=local.median, limit=LOCAL_SECONDS_MAX, unit="s"),
        Target(
            what=f"the hub's memory for each node more, {FEW} to {MANY}: two uploads",
            figure=(memory[1] - memory[0]) / (MANY - FEW),
            limit=GROWTH_BYTES_MAX,
            unit="B",
        ),
    ]


def table(rows: Sequence[Row]) -> Table:
    """One line for each case and engine."""
    made = Table(title="benchmark round", title_justify="left", box=box.SIMPLE_HEAD)
    made.add_column("case")
    made.add_column("engine")
    for name in ("parameters", "median", "least", "most", "rounds", *BESIDE.values()):
        made.add_column(name, justify="right")
    for r in rows:
        if r.metric not in TIMED:
            continue
        beside = {o.metric: o.median for o in rows if (o.case, o.engine) == (r.case, r.engine)}
        seconds = [figure(value, "s") for value in (r.median, r.min, r.max)]
        shown = [
            short(beside[metric], unit) if metric in beside else "" for metric, unit in zip(BESIDE, UNITS, strict=True)
        ]
        made.add_row(r.case, r.engine, f"{r.size:,}", *seconds, str(r.runs), *shown)
    return made


def draw(canvas: Any, rows: Sequence[Row]) -> None:
    """Medians of a round with least and most, ours beside stock Flower's, targets as lines across their bars."""
    timed = [r for r in rows if r.metric in TIMED]
    canvas.set_size_inches(10, 0.55 * len(timed) + 1.4)
    axes = canvas.subplots()
    limits = {f"{TINY}, 3 nodes": TINY_SECONDS_MAX, f"{MILLION}, 3 nodes": MILLION_SECONDS_MAX}
    for place, r in enumerate(timed):
        colour = "#b7791f" if r.engine == STOCK else "#2b6cb0"
        axes.barh(place, r.median, color=colour, height=0.6)
        axes.plot([r.min, r.max], [place, place], color="black", linewidth=1)
        axes.annotate(f"{r.median:.3g} s", (r.max, place), (5, 0), textcoords="offset points", va="center", fontsize=9)
        limit = LOCAL_SECONDS_MAX if r.case.startswith("LocalGrid") else limits.get(r.case)
        if limit and r.engine != STOCK:
            axes.plot([limit, limit], [place - 0.4, place + 0.4], color="#c53030", linewidth=2)
    axes.set_yticks(range(len(timed)), [f"{r.case}\n{r.engine}, {r.metric}" for r in timed], fontsize=8)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="seconds (median, least and most; logarithmic); red: target")
    axes.set_xlim(right=max(r.max for r in timed) * 3)
    axes.set_title("a round of horizontal training, real processes on one machine")
    canvas.tight_layout()
