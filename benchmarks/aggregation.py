"""`make bench NAME=aggregation`: sums that nobody opens alone, beside what others use, in the same run.

Every engine sums the same updates of 3 and of 10 partners, each case in a worker process of its own on one core; the
workers of one size measure their rounds in turn. Engines that take tens of milliseconds a value are measured on a
sample and scaled by the number of parameters: their case says so. ECOHUB_BENCH_SIZES=10000,100000 and
ECOHUB_BENCH_RUNS=2 make a shorter run, whose targets for a million parameters are then not judged.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import aggregation_hub, aggregation_report
from benchmarks.harness import Row, publish, row
from benchmarks.peers import PHASES, environment
from benchmarks.workers import Figures, Worker, started

SIZES = [int(size) for size in os.environ.get("ECOHUB_BENCH_SIZES", "10000,100000,1000000").split(",")]
RUNS = int(os.environ.get("ECOHUB_BENCH_RUNS", "5"))
PARTIES = (3, 10)
FLOAT32 = 4  # bytes of a parameter of the opened model


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is measured. `down`: what the hub hands every party besides key material: "model" where the hub opens,
    "sum" where parties open the encrypted sum, "uploads" where holders check the whole cohort before they answer."""

    name: str
    entry: str
    ours: bool
    down: str
    sampled: bool = False


ENGINES = (
    Engine(name="threshold", entry="benchmarks.aggregation_engines:threshold", ours=True, down="model"),
    Engine(name="paillier", entry="benchmarks.aggregation_engines:paillier", ours=True, down="uploads", sampled=True),
    Engine(name="TenSEAL CKKS", entry="benchmarks.peers.ckks:scheme", ours=False, down="sum"),
    Engine(name="phe naive", entry="benchmarks.peers.phe_naive:scheme", ours=False, down="sum", sampled=True),
    Engine(name="masks", entry="benchmarks.peers.masks:scheme", ours=False, down="model"),
    Engine(name="plain", entry="benchmarks.peers.plain:scheme", ours=False, down="model"),
)


def run() -> None:
    peers = environment.python()
    rows: list[Row] = []
    for parties in PARTIES:
        sampled = [engine for engine in ENGINES if engine.sampled]
        for engine, setup, rounds in _measured(peers, sampled, 0, parties):
            rows += [r for size in SIZES for r in _rows(engine, size, parties, setup, rounds)]
        for size in SIZES:
            print(f"{size:,} parameters, {parties} partners", flush=True)
            whole = [engine for engine in ENGINES if not engine.sampled]
            for engine, setup, rounds in _measured(peers, whole, size, parties):
                rows += _rows(engine, size, parties, setup, rounds)
    rows += aggregation_hub.rows(max(SIZES), RUNS)
    publish(
        "aggregation",
        rows,
        aggregation_report.targets(rows),
        aggregation_report.table(rows, [engine.name for engine in ENGINES]),
        partial(aggregation_report.draw, rows=rows, engines=[engine.name for engine in ENGINES]),
    )


def _measured(
    peers: Path, engines: Sequence[Engine], size: int, parties: int
) -> list[tuple[Engine, Figures, list[Figures]]]:
    """Setup and rounds of each engine; one round before them warms plans and caches and is not counted."""
    with started(partial(_worker, peers, engine, size, parties) for engine in engines) as workers:
        setups = [worker.ready() for worker in workers]
        for worker in workers:
            worker.round()
        rounds: list[list[Figures]] = [[] for _ in workers]
        for _ in range(RUNS):
            for collected, worker in zip(rounds, workers, strict=True):
                collected.append(worker.round())
    return list(zip(engines, setups, rounds, strict=True))


def _worker(peers: Path, engine: Engine, size: int, parties: int) -> Worker:
    root = environment.ROOT
    if engine.ours:
        return Worker(Path(sys.executable), engine.entry, size, parties, environment.variables(root, root / "proto"))
    return Worker(peers, engine.entry, size, parties, environment.variables(root))


def _rows(engine: Engine, size: int, parties: int, setup: Figures, rounds: Sequence[Figures]) -> list[Row]:
    """The rows of one case. What grows with the parameters is scaled from a sample; keys and shares are not."""
    factor = size / setup["count"]
    case = f"{size:,} parameters" + (f", scaled from {setup['count']:.0f}" if factor != 1 else "")

    def made(metric: str, unit: str, values: Sequence[float]) -> Row:
        return row(case, engine.name, size, values, metric=metric, unit=unit, parties=parties)

    def scaled(figures: Figures, *names: str) -> float:
        return factor * sum(figures[name] for name in names)

    rows = [made("setup, once a job", "s", [setup["setup"]])]
    for phase in PHASES:
        rows.append(made(phase, "s", [r[phase] * (1 if phase == "prepare" else factor) for r in rounds]))
    rows += [
        made("upload path", "s", [scaled(r, "quantise", "encrypt", "serialise") for r in rounds]),
        made("upload a parameter", "B", [scaled(r, "upload") / size for r in rounds]),
        made("bytes up", "B", [r["dealt"] + scaled(r, "upload") + _answered(engine, r, factor) for r in rounds]),
        made("bytes down", "B", [r["received"] + _down(engine, r, size, parties, factor) for r in rounds]),
        made("answer's bytes", "B", [_answered(engine, r, factor) for r in rounds]),
        made("peak memory", "B", [r["peak"] for r in rounds]),
    ]
    return rows


def _answered(engine: Engine, figures: Mapping[str, float], factor: float) -> float:
    """An answer over keys has one length; an answer over the sum grows with it."""
    return figures["answered"] * (factor if engine.down == "uploads" else 1)


def _down(engine: Engine, figures: Figures, size: int, parties: int, factor: float) -> float:
    if engine.down == "sum":
        return factor * figures["handed"]
    return FLOAT32 * size + (factor * parties * figures["upload"] if engine.down == "uploads" else 0)
