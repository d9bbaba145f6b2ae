"""`make bench NAME=settlement`: a month from signed reports to posted books, the tree of its lines, its contract calls.

Each run is a process of its own (`settlement_books`): agreements of 10,000 events, reported through the hub's intake,
closed and posted in its database, SQLite and PostgreSQL in turn. "priced" is the pure engine alone: rules, sentences,
canonical lines and their leaf hashes, without a database. Memory is the most that the whole process held. A ledger's
bytes are those of settlements that share blocks; gas is that of the three calls of a statement of 1,000 lines.

ECOHUB_BENCH_SIZES=10000,100000 are the events, ECOHUB_BENCH_RUNS=3 the runs of each. What is left out is not judged.
"""

import json
import os
import subprocess
import sys
from typing import Any

from rich.console import Console

from benchmarks import postgres, settlement_books
from benchmarks.harness import Row, Target, publish, row, seconds
from benchmarks.settlement_books import LINES
from benchmarks.settlement_chain import measure as measure_chain
from hub.drafts_finance import agreement as draft
from privacy import canonical, merkle
from revenue_share.agreement import Agreement
from revenue_share.allocation import allocate
from revenue_share.position import Position
from revenue_share.statement import leaf_data
from revenue_share.terms import Terms
from sandbox.retail_hub import CONTRACT, PAYER, REFERRER
from tests.support.entropy import SeededEntropy
from tests.support.revenue import party_value

SIZES = "10000,100000,1000000"
LARGEST = 1_000_000
RUNS = int(os.environ.get("ECOHUB_BENCH_RUNS", "3"))
SECONDS_MAX, MEMORY_MAX, TREE_SECONDS_MAX = 60.0, 500.0, 10.0
STEPS = {"ingest": "ingested", "close": "priced, drafted, entry pending", "post": "posted"}


def run() -> None:
    sizes = [int(size) for size in os.environ.get("ECOHUB_BENCH_SIZES", SIZES).split(",")]
    rows: list[Row] = []
    targets: list[Target] = []
    for size in sizes:
        found = _books(size)
        rows += found
        if size == LARGEST:
            targets += _targets([one for one in found if one.engine == "sqlite"])
    rows += [_priced(size) for size in sizes if size < LARGEST]
    trees = [_tree(size) for size in sizes]
    if LARGEST in sizes:
        tree = trees[sizes.index(LARGEST)].median
        targets.append(Target(what=f"tree of {LARGEST:,} lines", figure=tree, limit=TREE_SECONDS_MAX, unit="s"))
    chain, judged = measure_chain()
    publish("settlement", [*rows, *trees, *chain], [*targets, *judged])


def _books(size: int) -> list[Row]:
    """A month of so many events, the databases in turn."""
    measured: dict[str, list[dict[str, Any]]] = {"sqlite": [], "postgresql": []}
    why = postgres.missing()
    if why:
        Console().print(f"PostgreSQL is not measured: {why}")
    for turn in range(RUNS):
        measured["sqlite"].append(_once(size, ""))
        if not why:
            with postgres.server() as url:
                measured["postgresql"].append(_once(size, url))
        for engine, runs in measured.items():
            if runs:
                steps = ", ".join(f"{what} {runs[-1]['wall'][step]:.1f} s" for step, what in STEPS.items())
                print(f"{size:,} events, {engine}, {turn + 1} of {RUNS}: {steps}", flush=True)
    return [one for engine, runs in measured.items() if runs for one in _rows(engine, size, runs)]


def _once(size: int, database: str) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.settlement_books", str(size), *([database] if database else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _rows(engine: str, size: int, runs: list[dict[str, Any]]) -> list[Row]:
    def of(metric: str, values: list[float], unit: str) -> Row:
        return row("a month of events", engine, size, values, metric=metric, unit=unit)

    return [
        *(of(what, [one["wall"][step] for one in runs], "s") for step, what in STEPS.items()),
        *(of(f"{what}, processor", [one["cpu"][step] for one in runs], "s") for step, what in STEPS.items()),
        of("memory, most held", [one["memory"] / 1e6 for one in runs], "MB"),
        of("database", [one["bytes"] / 1e6 for one in runs], "MB"),
    ]


def _targets(rows: list[Row]) -> list[Target]:
    figures = {found.metric: found.median for found in rows}
    booked = figures[STEPS["close"]] + figures[STEPS["post"]]
    what = f"{LARGEST:,} events priced and posted, SQLite"
    return [
        Target(what=what, figure=booked, limit=SECONDS_MAX, unit="s"),
        Target(what=f"{what}: memory", figure=figures["memory, most held"], limit=MEMORY_MAX, unit="MB"),
    ]


def _terms() -> Terms:
    roles = ((PAYER, "payer", "0x" + "11" * 20), (REFERRER, "referrer", "0x" + "22" * 20))
    parties = [party_value(*role) for role in roles]
    given = {**settlement_books.TERMS, "parties": parties}
    return Terms.of(Agreement.from_body(draft(given, CONTRACT, settlement_books.BEGIN, SeededEntropy(b"terms"))))


def _priced(size: int) -> Row:
    """The pure engine: from referrals and events to canonical lines with their leaf hashes."""
    terms, salt = _terms(), bytes(32)
    months = [(settlement_books.referrals(n, LINES), settlement_books.events(n, LINES)) for n in range(size // LINES)]

    def price() -> None:
        for referred, reported in months:
            made = allocate(terms, referred, reported, settlement_books.PERIOD, Position.empty())
            merkle.root([merkle.leaf_hash(leaf_data(line, salt)) for line in made.lines])

    taken = [seconds(price) for _ in range(RUNS)]
    return row("a month of events", "revenue_share", size, taken, metric="priced, lines hashed", unit="s")


def _tree(size: int) -> Row:
    """The Merkle tree of lines that are there: leaf hashes of salt and canonical line, and the root."""
    terms = _terms()
    made = allocate(
        terms, settlement_books.referrals(0, 1000), settlement_books.events(0, 1000), settlement_books.PERIOD,
        Position.empty(),
    )  # fmt: skip
    lines = [canonical.encode(line.to_value()) for line in made.lines]

    def build() -> None:
        leaves = [merkle.leaf_hash(i.to_bytes(32, "big") + lines[i % len(lines)]) for i in range(size)]
        merkle.root(leaves)

    taken = [seconds(build) for _ in range(RUNS)]
    return row("a statement's tree", "privacy.merkle", size, taken, metric="leaves and root", unit="s")
