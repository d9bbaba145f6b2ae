"""The score of one client through the nodes: seconds from the command on the label holder's socket to its answer.

The run has two feature holders and is released by a person's command; each ask is of another client. The first one, for
which every node reads its file, is not counted. Everything is on disk before it leaves, as in any use.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet

from benchmarks.harness import Row, Target, row
from benchmarks.vertical_alliance import Trainers
from benchmarks.vertical_data import LABEL_HOLDER
from privacy.errors import Failure

ASKS = 200
CASE, ENGINE, METRIC = "score one client", "EcoHub, one client", "seconds of an ask"
SECONDS_MAX = 0.2
FIRST_SECONDS_MAX = 60.0
SCORING = {"scoring": {"clients_per_day": ASKS + 1}}


def measure(
    trainers: Trainers, clients: int, columns: Mapping[str, int], plan: Mapping[str, Any], model: str = ""
) -> list[Row]:
    """The row of so many asks of a run over these columns. model: what the case says of it, if anything."""
    alliance, run = trainers.alliance, trainers.completed(columns, {**plan, **SCORING})
    alliance.call(
        "data",
        "model.release",
        {"job": run, "share_ppm": 1_000_000, "reason": "benchmark", "accept_no_uplift": True},
    )
    file = alliance.world.node_folder(LABEL_HOLDER) / "results" / f"label-matrix-{run[:16]}.parquet"
    ids = pyarrow.parquet.read_table(file, columns=["client_id"])["client_id"].to_pylist()
    first, *drawn = np.random.default_rng(1).choice(ids, ASKS + 1, replace=False).tolist()

    def ask(client: str) -> float:
        begun = time.perf_counter()
        alliance.node(LABEL_HOLDER, "score", job=run, client=client, person="benchmark")
        return time.perf_counter() - begun

    _until_served(ask, first)
    found = [ask(client) for client in drawn]
    case = f"{CASE}, {clients:,}, two feature holders{', ' * bool(model)}{model}"
    made = row(case, ENGINE, clients, found, metric=METRIC, unit="s", parties=3)
    millis = " / ".join(f"{1000 * value:.0f}" for value in (made.median, made.min, made.max))
    print(f"{made.case}: {millis} ms, median / least / most of {ASKS} asks", flush=True)
    return [made]


def targets(rows: Sequence[Row]) -> list[Target]:
    return [
        Target(what=f"{one.case}: median seconds", figure=one.median, limit=SECONDS_MAX, unit="s")
        for one in rows
        if one.engine == ENGINE
    ]


def _until_served(ask: Callable[[str], float], client: str) -> None:
    """The release reaches the node a moment after the person's command. Raises its last refusal."""
    end = time.monotonic() + FIRST_SECONDS_MAX
    while True:
        try:
            ask(client)
            return
        except Failure:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
