"""`make bench NAME=settlement`: a month from signed reports to posted books, the tree of its lines, its contract calls.

Each run is a process of its own (`settlement_books`): agreements of 10,000 events, reported through the hub's intake,
closed and posted in its database, SQLite and PostgreSQL. "priced" is the pure engine alone: rules, sentences, canonical
lines and their leaf hashes, without a database. Memory is the most that the whole process held. A ledger's bytes are
those of settlements that share blocks; gas is that of the three calls of a statement of 1,000 lines.
"""

import json
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

SIZES = (10_000, 100_000, 1_000_000)
LARGEST = SIZES[-1]
SECONDS_MAX, MEMORY_MAX, TREE_SECONDS_MAX = 60.0, 500e6, 10.0
STEPS = {"ingest": "ingested", "close": "priced, drafted, entry pending", "post": "posted"}


def run() -> None:
    rows: list[Row] = []
    targets: list[Target] = []
    for size in SIZES:
        found = _books("sqlite", size, "")
        rows += found
        if size == LARGEST:
            targets += _targets(found)
    rows += _postgres()
    rows += [_priced(size) for size in SIZES[:2]]
    trees = [_tree(size) for size in SIZES]
    targets.append(Target(what=f"tree of {LARGEST:,} lines", figure=trees[-1].median, limit=TREE_SECONDS_MAX, unit="s"))
    chain, judged = measure_chain()
    publish("settlement", [*rows, *trees, *chain], [*targets, *judged])


def _postgres() -> list[Row]:
    if why := postgres.missing():
        Console().print(f"PostgreSQL is not measured: {why}")
        return []
    rows = []
    for size in SIZES:
        with postgres.server() as url:
            rows += _books("postgresql", size, url)
    return rows


def _books(engine: str, size: int, database: str) -> list[Row]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.settlement_books", str(size), *([database] if database else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    found: dict[str, Any] = json.loads(done.stdout)
    made = [_row(engine, size, what, found["wall"][step], "s") for step, what in STEPS.items()]
    made += [_row(engine, size, f"{what}, processor", found["cpu"][step], "s") for step, what in STEPS.items()]
    return [
        *made,
        _row(engine, size, "memory, most held", found["memory"] / 1e6, "MB"),
        _row(engine, size, "database", found["bytes"] / 1e6, "MB"),
    ]


def _row(engine: str, size: int, metric: str, value: float, unit: str) -> Row:
    return row("a month of events", engine, size, [value], metric=metric, unit=unit)


def _targets(rows: list[Row]) -> list[Target]:
    figures = {found.metric: found.median for found in rows}
    booked = figures[STEPS["close"]] + figures[STEPS["post"]]
    what = f"{LARGEST:,} events priced and posted, SQLite"
    return [
        Target(what=what, figure=booked, limit=SECONDS_MAX, unit="s"),
        Target(what=f"{what}: memory", figure=figures["memory, most held"] * 1e6, limit=MEMORY_MAX, unit="B"),
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

    return row("a month of events", "revenue_share", size, [seconds(price)], metric="priced, lines hashed", unit="s")


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

    return row("a statement's tree", "privacy.merkle", size, [seconds(build)], metric="leaves and root", unit="s")
