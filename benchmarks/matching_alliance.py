"""Matches as the product runs them: two nodes and a hub as processes on loopback, founded by people's commands.

Every match is a job that both nodes' people approved. Its seconds are those of the hub's own books, from the first
step's request to the last step's answer: all messages sealed, signed, relayed, kept on disk before each answer leaves.
Before that each node reads its file, normalises, looks consents up and commits to its clients: that is in the seconds
of the whole job. The first match of an alliance is not counted: worker processes start in it.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import hub_books, matching_report
from benchmarks.harness import Row, row
from benchmarks.matching_pair import Match
from benchmarks.peers import traffic
from benchmarks.peers.match import DIGITS, RECEIVER, SCATTER, SENDER, SIDES_APART, Place, check_rows, clients
from privacy import normalise
from sandbox import party_files, world
from sandbox.world import Partner, World
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance, wait

NODES = ("receiver", "sender")
HUB = 2  # after the nodes
START, STEP = "match.start", "match.step"
COLUMN, ID_TYPE = "client_id", "resident_id"
UNSCATTER = pow(SCATTER, -1, 10**DIGITS)
JOB_SECONDS_MAX = 1200.0
MANY = 10**12
# a bench's clients are numbers of a row and its whole file, and matched many times with the same partner
UNGUARDED = {
    "jobs_per_month": MANY,
    "peer_clients": MANY,
    "peer_identifiers_per_month": MANY,
    "peer_identifiers_ever": MANY,
    "overlap_percent": [0, 100],
    "consecutive": MANY,
}
RULES = {
    **UNGUARDED,
    # two nodes and a hub share what cores there are: each node computes in its own process, as an engine's side does
    "executor": "processes:1",
}


class MatchNotCompleted(RuntimeError):
    """A match of the bench ended otherwise; its reason is in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """What a match cost: the nodes with their workers, from the first step on; the hub; the whole job's seconds."""

    match: Match
    job_seconds: float
    hub_cpu: float
    hub_peak: int


class Relay:
    """A running alliance whose nodes have the clients of one case."""

    def __init__(self, alliance: Alliance, sizes: tuple[int, int]) -> None:
        self._alliance = alliance
        self._sizes = sizes
        self._hub = hub_books.pid_of(alliance.world.hub_config)
        self._nodes = [hub_books.pid_of(alliance.world.node_config(name)) for name in NODES]
        self._books = alliance.world.hub_folder / "hub.db"

    def match(self) -> Relayed:
        """The figures of one match. Raises MatchNotCompleted where it did not find as many clients as are shared."""
        digest = self._alliance.propose("data", "match", body())
        received = [traffic.received(node) for node in self._nodes]
        self._alliance.approve(digest, NODES)
        self._until(digest, lambda: self._steps(digest) > 0)
        everybody = self._families()
        hub_books.forget_peak(*(pid for family in everybody for pid in family))
        resident = [hub_books.memory("VmRSS", *family) for family in everybody]
        spent = [hub_books.cpu_seconds(*family) for family in everybody]
        self._until(digest, lambda: False)
        everybody = self._families()
        cpu = [hub_books.cpu_seconds(*family) - before for family, before in zip(everybody, spent, strict=True)]
        peak = [hub_books.memory("VmHWM", *family) for family in everybody]
        counted = [
            traffic.between(before, traffic.received(node)) for before, node in zip(received, self._nodes, strict=True)
        ]
        self._check_count(digest)
        match = Match(
            seconds=self._seconds(digest, STEP),
            cpu=(cpu[RECEIVER], cpu[SENDER]),
            received=(counted[RECEIVER], counted[SENDER]),
            peak=(peak[RECEIVER], peak[SENDER]),
            resident=(resident[RECEIVER], resident[SENDER]),
        )
        return Relayed(
            match=match, job_seconds=self._seconds(digest, START, STEP), hub_cpu=cpu[HUB], hub_peak=peak[HUB]
        )

    def check(self, folder: Path) -> None:
        """Raises AssertionError unless the receiver's people get exactly the shared clients of the last match."""
        jobs = self._alliance.call("data", "jobs", {"kind": "match"})["jobs"]
        file = folder / "rows.csv"
        self._alliance.node(NODES[RECEIVER], "match.result", job=jobs[-1]["digest"], file=str(file))
        with file.open(newline="") as lines:
            found = [int(line["row"]) for line in csv.DictReader(lines)]
        file.unlink()
        _, marks = clients(place(self._sizes, RECEIVER, folder))
        check_rows(found, marks)

    def _families(self) -> list[list[int]]:
        """Each node with its workers, then the hub."""
        return [hub_books.family(pid) for pid in (*self._nodes, self._hub)]

    def _until(self, digest: str, reached: Callable[[], bool]) -> None:
        """Wait for a moment of a match, or its end. It looks at the hub's books: a person's command a tenth of a second
        would be part of what is measured. Raises MatchNotCompleted where it ended otherwise."""
        text = "select state, reason from proposal where digest = ?"

        def look() -> bool:
            ((state, reason),) = hub_books.query(self._books, text, digest)
            if state in launch_alliance.ENDS and state != "COMPLETED":
                raise MatchNotCompleted(f"{digest[:12]} is {state}: {reason}")
            return state == "COMPLETED" or reached()

        wait(look, "the match", JOB_SECONDS_MAX)

    def _steps(self, digest: str) -> int:
        text = "select count(*) from task where job = ? and kind = ?"
        ((count,),) = hub_books.query(self._books, text, digest, STEP)
        return int(count)

    def _check_count(self, digest: str) -> None:
        counts = [
            document["body"]["count"]
            for document in self._alliance.job(digest)["documents"]
            if document["kind"] == "match-result" and document["signer"] == NODES[RECEIVER]
        ]
        if counts != [min(self._sizes) // 2]:
            raise MatchNotCompleted(f"{digest[:12]} found {counts} clients")

    def _seconds(self, digest: str, *kinds: str) -> float:
        """From the first request of these kinds to the last answer."""
        marks = ", ".join("?" for _ in kinds)
        text = f"select min(created_at), max(answered_at) from task where job = ? and kind in ({marks})"  # noqa: S608
        ((begun, ended),) = hub_books.query(self._books, text, digest, *kinds)
        return (datetime.fromisoformat(str(ended)) - datetime.fromisoformat(str(begun))).total_seconds()


@contextmanager
def relay(folder: Path, sizes: tuple[int, int]) -> Iterator[Relay]:
    """A founded alliance whose nodes have consents for all their clients; after a match that nothing is taken from.

    The folder's path must be short (sandbox.world). Everything is stopped when the block ends.
    """
    sources = [write(folder, sizes, rank) for rank in (RECEIVER, SENDER)]
    partners = [
        Partner(id=name, name=name.title(), source=source, id_type=ID_TYPE, matching=RULES)
        for name, source in zip(NODES, sources, strict=True)
    ]
    with Alliance(World(folder / "w", partners, entropy=os.urandom, broker=None)) as alliance:
        alliance.world.found()
        alliance.world.start()
        for name, source in zip(NODES, sources, strict=True):
            with source.open() as lines:
                next(lines)
                consents = launch_alliance.write_consents(folder / f"consent-{name}", map(str.rstrip, lines))
            alliance.node(name, "consent.import", file=str(consents), id_type=ID_TYPE)
            alliance.node(name, "publish")
        wait(lambda: launch_alliance.published(alliance) == set(NODES), "the published assets")
        made = Relay(alliance, sizes)
        made.match()
        yield made


def rows_of(sizes: tuple[int, int], matches: Sequence[Relayed]) -> list[Row]:
    """What only the way through the hub costs, beside the rows that every engine has."""

    def made(metric: str, unit: str, values: Sequence[float]) -> Row:
        return row(matching_report.case(sizes), matching_report.RELAY, max(sizes), values, metric=metric, unit=unit)

    return [
        made("seconds of the whole job", "s", [match.job_seconds for match in matches]),
        made("hub CPU-seconds", "s", [match.hub_cpu for match in matches]),
        made("hub peak memory", "B", [match.hub_peak for match in matches]),
    ]


def write(folder: Path, sizes: tuple[int, int], rank: int) -> Path:
    """A side's clients as a CSV file of one column, in the order of the engine's benchmark."""
    where = place(sizes, rank, folder)
    apart, first = SIDES_APART * (1 + rank), 0 if rank == RECEIVER else sizes[RECEIVER] - where.shared
    everybody = range(sum(sizes) - where.shared)  # the receiver's, then those that only the sender has
    ids = party_files.client_ids([str(key) for key in everybody], [40] * len(everybody), 2026, "benchmark")
    numbers, _ = clients(where)
    file = folder / f"{NODES[rank]}.csv"
    with file.open("w") as lines:
        lines.write(f"{COLUMN}\n")
        for number in numbers:
            index = number * UNSCATTER % 10**DIGITS
            lines.write(f"{ids[index if index < apart else index - apart + first]}\n")
    return file


def place(sizes: tuple[int, int], rank: int, folder: Path) -> Place:
    return Place(rank=rank, sizes=sizes, ports=(0, 0), folder=folder)


def body() -> dict[str, Any]:
    """A job of mode rows as the command proposes it: rows to the leader, engine and its option by default."""
    parties = [
        {"partner": name, "role": role, "asset": "clients", "id_column": COLUMN}
        for name, role in zip(NODES, ("leader", "follower"), strict=True)
    ]
    return {
        "version": 2, "mode": "rows", "engine": "oprf", "normaliser": normalise.VERSION, "id_type": ID_TYPE,
        "minimum": 50, "parties": parties, "purpose": world.PURPOSE, "expires": launch_alliance.later(),
        "nonce": os.urandom(16).hex(), "disclosure": [f"{NODES[RECEIVER]} learns which of its clients are shared"],
    }  # fmt: skip
