"""`make bench NAME=matching`: the clients that two parties share, our engines beside SecretFlow and OpenMined.

The engine alone: two processes, one connection on loopback, nothing of hub and nodes. Every match is made by two fresh
processes, the engines of a case in turn; the receiver's result is compared with the true one each time. In turn with
them the product: two nodes through a hub (benchmarks/matching_alliance.py), founded once for each case.

ECOHUB_BENCH_SIZES=4096,1024x1048576 are the cases (receiver x sender, one number for both), ECOHUB_BENCH_RUNS=1 the
runs, ECOHUB_BENCH_ENGINES=relay,listed the engines. What is left out is not judged. All of it takes one to two hours.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import matching_alliance, matching_report
from benchmarks.harness import Row, publish, row, short
from benchmarks.matching_alliance import Relayed
from benchmarks.matching_pair import Match, Pair
from benchmarks.peers import environment
from benchmarks.peers.match import RECEIVER, SENDER

SIZES = "4096,65536,262144,1048576,1024x1048576"
RUNS = int(os.environ.get("ECOHUB_BENCH_RUNS", "3"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is measured, and by which name a run is asked for it."""

    key: str
    name: str
    entry: str
    ours: bool


ENGINES = (
    Engine(key="oprf", name="oprf, rows", entry="benchmarks.matching_engines:oprf_rows", ours=True),
    Engine(key="listed", name="oprf, listed", entry="benchmarks.matching_engines:oprf_checked_listed", ours=True),
    Engine(key="unlisted", name="oprf, unlisted", entry="benchmarks.matching_engines:oprf_checked_unlisted", ours=True),
    Engine(key="relay", name=matching_report.RELAY, entry="", ours=True),
    Engine(key="oprf-csv", name="oprf, CSV", entry="benchmarks.matching_engines:oprf_files", ours=True),
    Engine(key="ecdh", name="ecdh, count", entry="benchmarks.matching_engines:ecdh_count", ours=True),
    Engine(key="rr22", name="spu RR22", entry="benchmarks.peers.spu:rr22", ours=False),
    Engine(key="kkrt", name="spu KKRT", entry="benchmarks.peers.spu:kkrt", ours=False),
    Engine(key="openmined", name="openmined-psi", entry="benchmarks.peers.openmined:side", ours=False),
)


def run() -> None:
    cases, engines = asked_cases(), asked_engines()
    peers = Path(sys.executable) if all(engine.ours for engine in engines) else environment.python(bare=True)
    rows: list[Row] = []
    for sizes in cases:
        rows += _case(sizes, engines, peers)
    names = [engine.name for engine in engines]
    publish(
        "matching",
        rows,
        matching_report.targets(rows),
        matching_report.table(rows, names),
        partial(matching_report.draw, rows=rows, engines=names),
    )


def _case(sizes: tuple[int, int], engines: Sequence[Engine], peers: Path) -> list[Row]:
    """The rows of one case, its engines measured in turn."""
    matches: dict[str, list[Match]] = {engine.name: [] for engine in engines}
    relayed: list[Relayed] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eb")))  # short: node sockets
        relay = None
        if any(engine.key == "relay" for engine in engines):
            print(f"an alliance of two nodes with {sizes[0]:,} and {sizes[1]:,} clients", flush=True)
            relay = stack.enter_context(matching_alliance.relay(folder, sizes))
        for turn in range(RUNS):
            for engine in engines:
                if relay is not None and engine.key == "relay":
                    relayed.append(relay.match())
                    match = relayed[-1].match
                else:
                    match = measured(peers, engine, sizes)
                matches[engine.name].append(match)
                print(f"{sizes[0]:,} x {sizes[1]:,}, {turn + 1} of {RUNS}, {_line(engine, match)}", flush=True)
        if relay is not None:
            relay.check(folder)
    rows = [row for name, found in matches.items() for row in rows_of(name, sizes, found)]
    return rows + (matching_alliance.rows_of(sizes, relayed) if relayed else [])


def asked_cases() -> list[tuple[int, int]]:
    """(receiver's, sender's clients) of every case. Raises ValueError."""
    cases = []
    for text in os.environ.get("ECOHUB_BENCH_SIZES", SIZES).split(","):
        receiver, _, sender = text.partition("x")
        cases.append((int(receiver), int(sender or receiver)))
    return cases


def asked_engines() -> list[Engine]:
    """Raises ValueError for a name that no engine has."""
    known = {engine.key: engine for engine in ENGINES}
    keys = os.environ.get("ECOHUB_BENCH_ENGINES", ",".join(known)).split(",")
    if unknown := set(keys) - known.keys():
        raise ValueError(f"no engine is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[key] for key in keys]


def measured(peers: Path, engine: Engine, sizes: tuple[int, int]) -> Match:
    """One match. Raises PartyFailed."""
    interpreter = Path(sys.executable) if engine.ours else peers
    variables = environment.variables(environment.ROOT)
    with (
        tempfile.TemporaryDirectory() as folder,
        Pair(interpreter, engine.entry, sizes, variables, Path(folder)) as pair,
    ):
        return pair.match()


def rows_of(name: str, sizes: tuple[int, int], matches: Sequence[Match]) -> list[Row]:
    """The rows of one engine and case."""
    case = matching_report.case(sizes)

    def made(metric: str, unit: str, values: Sequence[float]) -> Row:
        return row(case, name, max(sizes), values, metric=metric, unit=unit)

    rows = [
        made("seconds", "s", [match.seconds for match in matches]),
        made("wire", "B", [sum(match.received) for match in matches]),
        made("CPU-seconds", "s", [sum(match.cpu) for match in matches]),
    ]
    for rank, side in ((RECEIVER, "receiver"), (SENDER, "sender")):
        rows += [
            made(f"{side} CPU-seconds", "s", [match.cpu[rank] for match in matches]),
            made(f"to {side}", "B", [match.received[rank] for match in matches]),
            made(f"{side} peak memory", "B", [match.peak[rank] for match in matches]),
            made(f"{side} memory before", "B", [match.resident[rank] for match in matches]),
        ]
    return rows


def _line(engine: Engine, match: Match) -> str:
    cpu, wire, peak = sum(match.cpu), sum(match.received), max(match.peak)
    return f"{engine.name}: {short(match.seconds, 's')}, CPU {short(cpu, 's')}, {short(wire, 'B')}, {short(peak, 'B')}"
