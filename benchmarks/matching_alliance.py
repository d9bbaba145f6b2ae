"""Matches as the product runs them: two nodes and a hub as processes on loopback, founded by people's commands.

Every match is a job that both nodes' people approved. Its seconds are those of the hub's own books, from the first
step's request to the last step's answer: all messages sealed, signed, relayed, kept on disk before each answer leaves.
Before that each node reads its file, normalises, looks consents up and commits to its clients: that is in the seconds
of the whole job. The first match of an alliance is not counted: worker processes start in it.
"""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import hub_books
from benchmarks.matching_pair import Match
from benchmarks.peers import traffic
from benchmarks.peers.match import DIGITS, RECEIVER, SENDER, Place, check_rows, clients
from privacy import normalise
from sandbox import world
from sandbox.world import Partner, World
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance, wait

NODES = ("receiver", "sender")
COLUMN, ID_TYPE = "client_id", "account"
LETTER = "C"  # before the digits: an account of zeros alone would be refused as a placeholder
JOB_SECONDS_MAX = 1200.0
MANY = 10**12
# the bench's clients are every second number of a row, and matched many times with the same partner
RULES = {
    "jobs_per_month": MANY,
    "peer_clients": MANY,
    "peer_identifiers_per_month": MANY,
    "peer_identifiers_ever": MANY,
    "overlap_percent": [0, 100],
    "consecutive": MANY,
}


class MatchNotCompleted(RuntimeError):
    """A match of the bench ended otherwise; its reason is in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """What a match cost the two nodes with their workers, and the hub; the whole job's seconds."""

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
        families = [hub_books.family(node) for node in self._nodes]
        everybody = [self._hub, *families[RECEIVER], *families[SENDER]]
        hub_books.forget_peak(*everybody)
        resident = [hub_books.memory("VmRSS", *family) for family in families]
        received = [traffic.received(node) for node in self._nodes]
        spent = [hub_books.cpu_seconds(*family) for family in (*families, [self._hub])]
        self._alliance.approve(digest, NODES)
        self._end(digest)
        families = [hub_books.family(node) for node in self._nodes]
        cpu = [
            hub_books.cpu_seconds(*family) - before
            for family, before in zip((*families, [self._hub]), spent, strict=True)
        ]
        peak = [hub_books.memory("VmHWM", *family) for family in families]
        counted = [
            traffic.between(before, traffic.received(node)) for before, node in zip(received, self._nodes, strict=True)
        ]
        match = Match(
            seconds=self._seconds(digest, "match.step"),
            cpu=(cpu[RECEIVER], cpu[SENDER]),
            received=(counted[RECEIVER], counted[SENDER]),
            peak=(peak[RECEIVER], peak[SENDER]),
            resident=(resident[RECEIVER], resident[SENDER]),
        )
        return Relayed(
            match=match,
            job_seconds=self._seconds(digest, "match.start", "match.step"),
            hub_cpu=cpu[2],
            hub_peak=hub_books.memory("VmHWM", self._hub),
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

    def _end(self, digest: str) -> None:
        """Wait for the end at the hub's books: a person's command a second would be part of what is measured."""

        def look() -> tuple[str, str] | None:
            ((state, reason),) = hub_books.query(
                self._books, "select state, reason from proposal where digest = ?", digest
            )
            return (state, reason) if state in launch_alliance.ENDS else None

        state, reason = wait(look, "the match's end", JOB_SECONDS_MAX)
        counts = [
            document["body"]["count"]
            for document in self._alliance.job(digest)["documents"]
            if document["kind"] == "match-result" and document["signer"] == NODES[RECEIVER]
        ]
        if state != "COMPLETED" or counts != [min(self._sizes) // 2]:
            raise MatchNotCompleted(f"{digest[:12]} is {state} with {counts} clients: {reason}")

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


def write(folder: Path, sizes: tuple[int, int], rank: int) -> Path:
    """A side's clients as a CSV file of one column, in the order of the engine's benchmark."""
    numbers, _ = clients(place(sizes, rank, folder))
    file = folder / f"{NODES[rank]}.csv"
    with file.open("w") as lines:
        lines.write(f"{COLUMN}\n")
        lines.writelines(f"{LETTER}{number:0{DIGITS}}\n" for number in numbers)
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
