"""`make bench NAME=vertical`: joint training over the same clients, end to end through a hub and nodes as processes.

A case is a plan over so many clients: 60 columns in all, one or two feature holders beside the label holder. Beside it
stand the same encrypted products by per-element Paillier (phe), measured on a sample, scaled, and marked so.

ECOHUB_BENCH_SIZES=5000,30000 are the clients, ECOHUB_BENCH_CASES=scorecard-2,trees-2 the plans, ECOHUB_BENCH_RUNS=3
the runs of each. What is left out is not judged. An alliance is founded once for each number of clients.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import vertical_alliance, vertical_report, vertical_scores
from benchmarks.harness import Row, publish, short
from benchmarks.paillier import Paillier
from benchmarks.vertical_alliance import Run, Trainers

SIZES = "5000,30000,100000"
RUNS = int(os.environ.get("ECOHUB_BENCH_RUNS", "3"))
VALUE_MAX = 2047  # of the peer's sample: what the product's own quantised columns reach
TEST_SHARE = 0.3  # of the clients: no product is made over these
ONE, TWO = {"broker": 20, "bank": 40}, {"broker": 20, "bank": 20, "platform": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A plan: the parties' columns, the label holder first, and what its body has beyond a scorecard's."""

    key: str
    name: str
    columns: Mapping[str, int]
    plan: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 0  # of refinement: each is one more vector over all feature holders' columns
    seconds_max: Mapping[int, float] = field(default_factory=dict)  # targets, by number of clients
    more_max: Mapping[int, float] = field(default_factory=dict)  # of what it takes more than the scorecard

    def at(self, clients: int) -> str:
        """What a row of this case is called."""
        return f"{self.name}, {clients:,} x {sum(self.columns.values())}, {len(self.columns)} parties"

    def shapes(self) -> list[tuple[int, int]]:
        """(vectors, columns) of each party's encrypted products: the label and the own columns of each, times the
        columns of all that come after it; then the rounds' residuals. None of trees: no peer stands beside those."""
        counts = list(self.columns.values())
        if "trees" in self.plan:
            return []
        vectors = [1 + counts[0], *counts[1:]]
        scorecard = [(vectors[place], sum(counts[place + 1 :])) for place in range(len(counts) - 1)]
        return scorecard + [(self.rounds, sum(counts[1:]))] * (self.rounds > 0)


ROUNDS = 6  # of refinement; the first score vector is the scorecard's own
LOGISTIC = {"model": "logistic", "logistic": {"rounds": ROUNDS + 1, "plateau_ppm": 0}}
GROWN = {
    "trees": 20, "depth": 4, "rate_milli": 300, "leaf_rows": 20,
    "sample_ppm": 1_000_000, "columns_ppm": 1_000_000, "patience": 0,
}  # fmt: skip
TREES = {"model": "trees", "bins": 16, "trees": GROWN | {"variants": "full"}}
COMPARED = {**TREES, "trees": GROWN | {"variants": "partners"}}
CASES = (
    Case(key="scorecard-1", name="scorecard", columns=ONE),
    Case(key="scorecard-2", name="scorecard", columns=TWO, seconds_max={30_000: 10.0, 100_000: 20.0}),
    Case(
        key="logistic-2",
        name=f"{ROUNDS} logistic rounds",
        columns=TWO,
        plan=LOGISTIC,
        rounds=ROUNDS,
        more_max={30_000: 3.0},
    ),
    Case(key="trees-1", name="20 trees of depth 4", columns=ONE, plan=TREES),
    Case(key="trees-2", name="20 trees of depth 4", columns=TWO, plan=TREES, seconds_max={30_000: 90.0}),
    Case(key="trees-partners", name="20 trees of depth 4, each partner too", columns=TWO, plan=COMPARED),
)


def run() -> None:
    sizes, cases = asked_sizes(), asked_cases()
    peer = Paillier()
    rows: list[Row] = []
    for clients in sizes:
        with tempfile.TemporaryDirectory(prefix="eb") as folder:  # short: node sockets have a length limit
            print(f"an alliance of three nodes with {clients:,} aligned clients", flush=True)
            with vertical_alliance.trainers(Path(folder), clients) as trainers:
                for case, runs in measured(trainers, cases, clients).items():
                    name = cases[case].at(clients)
                    rows += vertical_report.rows_of(name, clients, runs)
                    rows += vertical_report.rounds_of(name, clients, runs)
                    if cases[case].shapes():
                        rows += vertical_report.beside(name, clients, by_phe(peer, cases[case], clients), runs)
                rows += vertical_scores.measure(trainers, clients, TWO, {})
                rows += vertical_scores.measure(trainers, clients, TWO, TREES, "20 trees of depth 4")
    limits = {case.at(clients): limit for case in CASES for clients, limit in case.seconds_max.items()}
    base = next(case for case in CASES if case.columns == TWO)
    more = {(case.at(clients), base.at(clients)): limit for case in CASES for clients, limit in case.more_max.items()}
    shown = vertical_report.table(rows)
    draw = partial(vertical_report.draw, rows=rows, limits=limits)
    judged = [*vertical_report.targets(rows, limits, more), *vertical_scores.targets(rows)]
    publish("vertical", rows, judged, shown, draw)


def measured(trainers: Trainers, cases: Mapping[str, Case], clients: int) -> dict[str, list[Run]]:
    """The runs of every case, in turn, after one that is not counted."""
    found: dict[str, list[Run]] = {key: [] for key in cases}
    trainers.run(TWO, {})
    for turn in range(RUNS):
        for key, case in cases.items():
            made = trainers.run(case.columns, case.plan)
            found[key].append(made)
            spent, moved = short(sum(made.cpu.values()), "s"), short(made.bytes, "B")
            line = f"{short(made.seconds, 's')}, CPU {spent}, {moved}, {len(made.rounds)} rounds"
            print(f"{case.at(clients)}, {turn + 1} of {RUNS}: {line}", flush=True)
    return found


def by_phe(peer: Paillier, case: Case, clients: int) -> list[float]:
    """Seconds of a case's products by the peer, from as many samples as there are runs."""
    generator = np.random.default_rng(1)
    found = []
    for _ in range(RUNS):
        matrix = generator.integers(-VALUE_MAX, VALUE_MAX + 1, (100, max(case.columns.values())))
        vector = generator.integers(-VALUE_MAX, VALUE_MAX + 1, 100)
        costs, train = peer.costs(matrix, vector), round(clients * (1 - TEST_SHARE))
        found.append(sum(costs.product(train, columns, vectors) for vectors, columns in case.shapes()))
    return found


def asked_sizes() -> list[int]:
    """Raises ValueError."""
    return [int(text) for text in os.environ.get("ECOHUB_BENCH_SIZES", SIZES).split(",")]


def asked_cases() -> dict[str, Case]:
    """Raises ValueError for a name that no case has."""
    known = {case.key: case for case in CASES}
    keys = os.environ.get("ECOHUB_BENCH_CASES", ",".join(known)).split(",")
    if unknown := set(keys) - known.keys():
        raise ValueError(f"no case is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return {key: known[key] for key in keys}
