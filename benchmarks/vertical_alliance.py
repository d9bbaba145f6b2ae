"""Vertical runs as the product makes them: hub and nodes as processes on loopback, founded by people's commands.

Founding, consents and the alignment (a real match of all clients) come before and are not counted. Neither is the first
run of an alliance, in which every process loads what it needs. A run's seconds are those from the last approval to the
hub's word that it is completed: each party reads its file and looks its consents up, everything is encrypted, signed,
relayed and kept on disk before each answer leaves.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import hub_books, vertical_data
from benchmarks.matching_alliance import UNGUARDED
from benchmarks.vertical_data import CLIENT, LABEL, LABEL_HOLDER
from privacy import canonical
from sandbox.world import PURPOSE, Partner, World
from tests.support import launch_alliance
from tests.support.launch_alliance import ENDS, Alliance, wait

NODES = tuple(vertical_data.COLUMNS)
JOB_SECONDS_MAX = 1200.0
LOOK_SECONDS = 0.02


class RunNotCompleted(RuntimeError):
    """A run of the bench ended otherwise; its reason is in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round as the hub's books have it. bytes: of the envelopes that came in and went out."""

    phases: tuple[str, ...]  # in which the parties were after it, by party
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run cost; cpu and peak by process."""

    seconds: float
    bytes: int  # of all requests and answers at the hub
    rounds: tuple[Round, ...]
    cpu: Mapping[str, float]
    peak: Mapping[str, int]


class Trainers:
    """A running alliance whose nodes have aligned clients."""

    def __init__(self, alliance: Alliance, alignment: str) -> None:
        self.alliance = alliance
        self._alignment = alignment
        self._books = alliance.world.hub_folder / "hub.db"
        configs = {"hub": alliance.world.hub_config, **{name: alliance.world.node_config(name) for name in NODES}}
        self._pids = {name: hub_books.pid_of(config) for name, config in configs.items()}

    def run(self, columns: Mapping[str, int], plan: Mapping[str, Any]) -> Run:
        """The figures of one run over so many columns of each party. Raises RunNotCompleted."""
        digest = self.alliance.propose("data", "train", body(self._alignment, columns, plan))
        *first, last = columns
        self.alliance.approve(digest, first)
        families = {name: hub_books.family(self._pids[name]) for name in ("hub", *columns)}
        for pids in families.values():
            hub_books.forget_peak(*pids)
        spent = {name: hub_books.cpu_seconds(*pids) for name, pids in families.items()}
        begun = time.perf_counter()
        self.alliance.approve(digest, [last])
        self._wait(digest)
        seconds = time.perf_counter() - begun
        ((moved,),) = hub_books.query(
            self._books, "select sum(bytes_down + bytes_up) from task where job = ? and kind = 'flower'", digest
        )
        return Run(
            seconds=seconds,
            bytes=int(moved),
            rounds=self._rounds(digest),
            cpu={name: hub_books.cpu_seconds(*pids) - spent[name] for name, pids in families.items()},
            peak={name: hub_books.memory("VmHWM", *pids) for name, pids in families.items()},
        )

    def completed(self, columns: Mapping[str, int], plan: Mapping[str, Any]) -> str:
        """The digest of a run that was not measured. Raises RunNotCompleted."""
        digest = self.alliance.propose("data", "train", body(self._alignment, columns, plan))
        self.alliance.approve(digest, columns)
        self._wait(digest)
        return digest

    def _wait(self, digest: str) -> None:
        """It looks at the hub's books: a person's command again and again would be part of what is measured."""
        end, state, reason = time.monotonic() + JOB_SECONDS_MAX, "", ""
        while time.monotonic() < end and state not in ENDS:
            time.sleep(LOOK_SECONDS)
            ((state, reason),) = hub_books.query(
                self._books, "select state, reason from proposal where digest = ?", digest
            )
        if state != "COMPLETED":
            raise RunNotCompleted(f"{digest[:12]} is {state}: {reason}")

    def _rounds(self, digest: str) -> tuple[Round, ...]:
        progress = self.alliance.job(digest)["progress"]
        return tuple(
            Round(
                phases=tuple(phase for _, phase in sorted(made["phases"].items())),
                seconds=made["milliseconds"] / 1000,
                bytes=made["bytes"],
            )
            for made in progress["rounds"]
        )


@contextmanager
def trainers(folder: Path, clients: int) -> Iterator[Trainers]:
    """A founded alliance with so many aligned clients. The folder's path must be short (sandbox.world).

    Everything is stopped when the block ends.
    """
    sources = vertical_data.write(folder / "data", clients)
    partners = [
        Partner(id=name, name=name.title(), source=source, classes=_classes(name), matching=UNGUARDED)
        for name, source in sources.items()
    ]
    with Alliance(World(folder / "w", partners, entropy=os.urandom, broker=None)) as alliance:
        alliance.world.found()
        alliance.world.start()
        with sources[LABEL_HOLDER].open() as lines:
            next(lines)
            ids = [line.partition(",")[0].strip('"') for line in lines]
        consents = launch_alliance.write_consents(folder / "consents", ids)
        for name in NODES:
            alliance.node(name, "consent.import", file=str(consents))
            alliance.node(name, "publish")
        wait(lambda: launch_alliance.published(alliance) == set(NODES), "the published assets")
        yield Trainers(alliance, align(alliance))


def align(alliance: Alliance) -> str:
    """The digest of a match in which all nodes learn their common clients' order."""
    digest = alliance.propose("data", "match", launch_alliance.match_body("align", *NODES))
    alliance.approve(digest, NODES)
    alliance.completed(digest, JOB_SECONDS_MAX)
    return digest


def body(alignment: str, columns: Mapping[str, int], plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan over the first columns of these parties. plan: the fields by which a case differs."""
    parties = [
        {
            "partner": name,
            "role": "label_holder" if name == LABEL_HOLDER else "feature_holder",
            "asset": "clients",
            "id_column": CLIENT,
            "columns": vertical_data.names(name, count),
        }
        for name, count in columns.items()
    ]
    return {
        "alignment": alignment, "model": "moments", "parties": parties,
        "label": {"partner": LABEL_HOLDER, "asset": "clients", "column": LABEL},
        "ridge_milli": 1000, "test_ppm": 300_000, "split_salt": split_salt(columns, plan),
        "minimum_rows": 200, "rare_rows": 50, "cell_minimum": 10, "score_step_log2": -4, "bootstrap": 1000,
        "score_budget": 1000, "valid_days": 90,
        "purpose": PURPOSE, "expires": launch_alliance.later(), "nonce": os.urandom(16).hex(),
        "disclosure": [f"the {LABEL_HOLDER} learns moments of the parties' columns and rounded scores"], **plan,
    }  # fmt: skip


def split_salt(columns: Mapping[str, int], plan: Mapping[str, Any]) -> str:
    """One for each case: nodes refuse a second run over the same clients that would tell of a few of them."""
    return canonical.digest("ecohub/bench-split/v1", {"columns": dict(columns), "plan": dict(plan)}).hex()[:32]


def _classes(party: str) -> dict[str, str]:
    label = [LABEL] if party == LABEL_HOLDER else []
    own: Sequence[str] = [*vertical_data.names(party, vertical_data.COLUMNS[party]), *label]
    return dict.fromkeys(own, "C2")
