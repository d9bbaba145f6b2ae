"""Rounds of encrypted training over real processes: a hub and bank nodes on loopback, founded by people's commands.

The banks' rows are few and their training one step, so that a round is what the alliance makes of it: requests and
replies over mutual TLS, durable tasks and keys on disk, encryption, one answer of every holder, the opening, and the
checkpoint. The seconds of a round are those between the ends of two rounds in the hub's own books.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import hub_books
from benchmarks.harness import Row, row
from federation.plan_horizontal import HorizontalPlan
from sandbox import party_files
from sandbox.banks import files
from sandbox.banks.files import Banks, Client, Column
from tests.support import launch_banks
from tests.support.launch_alliance import Alliance

ROWS = 100  # of a bank
COLUMNS = tuple(Column(name=f"N{place:02}", kind=files.NUMBER) for place in range(20))
LABEL, CLASSES = "y", ("0", "1")
HUB_SECONDS, NODE_SECONDS = "processor time of the hub, a round", "processor time of a node, a round"
HUB_MEMORY, NODE_BYTES = "peak memory of the hub", "bytes of a node, a round"
RUN_SECONDS_MAX = 600.0
LOOK_SECONDS = 0.1
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "EXPIRED", "PAUSED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run: so many nodes and rounds of a model of this shape. 20 inputs and a bias without hidden layers."""

    name: str
    nodes: int
    rounds: int
    hidden: tuple[int, ...] = ()


class RunNotCompleted(RuntimeError):
    """A run of the bench ended otherwise; its reason is in the message."""


def measured(cases: tuple[Case, ...]) -> list[Row]:
    """Rows of every case; alliances are founded once for each number of nodes, and stopped whatever happens."""
    rows: list[Row] = []
    for nodes in sorted({case.nodes for case in cases}):
        with tempfile.TemporaryDirectory(prefix="eb") as name:  # short: node sockets have a length limit
            folder = Path(name)
            data = banks(folder / launch_banks.DATA, nodes)
            print(f"an alliance of {nodes} nodes", flush=True)
            with launch_banks.found(folder, data) as alliance:
                for case in cases:
                    if case.nodes == nodes:
                        print(f"  {case.name}", flush=True)
                        rows += _case(alliance, data, case)
    return rows


def banks(folder: Path, nodes: int) -> Banks:
    """Seeded synthetic banks of equal size: a label that follows the first columns."""
    generator = np.random.default_rng(11)
    count = nodes * ROWS
    values = generator.standard_normal((count, len(COLUMNS)))
    label = (values[:, :3].sum(1) + generator.standard_normal(count) > 0).astype(int)
    keys = [str(place) for place in range(count)]
    ids = party_files.client_ids(keys, [40] * count, 2026, "benchmark")
    clients = []
    for place, client in enumerate(ids):
        fields = {column.name: f"{value:.6f}" for column, value in zip(COLUMNS, values[place], strict=True)}
        bank = f"bank-{place % nodes:02}"
        clients.append(Client(client_id=client, bank=bank, values={**fields, LABEL: CLASSES[label[place]]}))
    return files.write(folder, clients, columns=COLUMNS, label=LABEL, classes=CLASSES, origin="synthetic, benchmark")


def _case(alliance: Alliance, data: Banks, case: Case) -> list[Row]:
    body = launch_banks.body(
        data,
        model="mlp" if case.hidden else "logistic",
        training=launch_banks.training(case.rounds, steps=1, hidden=list(case.hidden))
        if case.hidden
        else launch_banks.training(case.rounds, steps=1),
        minimum_rows=10,
        examples_max=ROWS,
    )
    digest = launch_banks.approved(alliance, body)
    read = HorizontalPlan.from_body(alliance.job(digest)["body"])
    books = alliance.world.hub_folder / "hub.db"
    hub, *nodes = (
        hub_books.pid_of(path) for path in (alliance.world.hub_config, *map(alliance.world.node_config, data.names))
    )
    before = _bytes(books)
    launch_banks.start(alliance, digest)
    used = _followed(books, digest, (hub, *nodes))
    seconds = _rounds(books, digest, case.rounds)
    rounds = case.rounds + 2  # statistics and finish are rounds too

    def made(metric: str, unit: str, values: list[float]) -> Row:
        label = f"{case.name}, {case.nodes} nodes"
        return row(label, "EcoHub", read.parameters, values, metric=metric, unit=unit, parties=case.nodes)

    return [
        made("round", "s", seconds),
        made(HUB_SECONDS, "s", [used[hub]]),
        made(NODE_SECONDS, "s", [used[pid] for pid in nodes]),
        made(HUB_MEMORY, "B", [hub_books.memory("VmHWM", hub)]),
        made(NODE_BYTES, "B", [(_bytes(books) - before) / rounds / case.nodes]),
    ]


def _followed(books: Path, digest: str, pids: Sequence[int]) -> Mapping[int, float]:
    """Waits for the end of a run; processor seconds a round of each process, from the first round that was seen.

    It looks at the hub's books: a person's command a second would be part of what is measured.
    """
    end = time.monotonic() + RUN_SECONDS_MAX
    state, reason = "", ""
    seen: list[tuple[int, dict[int, float]]] = []
    while time.monotonic() < end and state not in ENDED:
        time.sleep(LOOK_SECONDS)
        ((state, reason),) = hub_books.query(books, "select state, reason from proposal where digest = ?", digest)
        ((round_,),) = hub_books.query(books, "select coalesce(max(round), 0) from run_round where job = ?", digest)
        if round_ and (not seen or round_ > seen[-1][0]):
            seen.append((round_, {pid: hub_books.cpu_seconds(pid) for pid in pids}))
    if state != "COMPLETED" or len(seen) < 2:
        raise RunNotCompleted(f"{digest[:12]} is {state}: {reason}")
    (first, earlier), (last, later) = seen[0], seen[-1]
    return {pid: (later[pid] - earlier[pid]) / (last - first) for pid in pids}


def _rounds(books: Path, digest: str, rounds: int) -> list[float]:
    """Seconds of the rounds after the first, whose keys are dealt and whose caches are filled."""
    query = "select round, ended_at from run_round where job = ? order by round"
    ends = {number: datetime.fromisoformat(str(at)) for number, at in hub_books.query(books, query, digest)}
    fits = [ends[number] for number in range(1, rounds + 1)]
    return [(after - earlier).total_seconds() for earlier, after in pairwise(fits)]


def _bytes(books: Path) -> float:
    ((moved,),) = hub_books.query(books, "select coalesce(sum(bytes_down + bytes_up), 0) from task")
    return float(moved)
