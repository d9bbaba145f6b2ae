"""A small alliance over real processes for flows: chain, hub and four nodes, set up by people's commands, then driven.

Setting one up takes many command lines, so it is done once a run, stopped, and copied: an institution's folder is
all it has, and a copy with other ports is that alliance restored from a backup. People's calls are made over the real
port and sockets from the test's own process, which saves an interpreter for each.
"""

import csv
import gzip
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hub import client
from partner_node import local_client
from privacy.errors import Failure
from sandbox import party_files, synthetic, world
from sandbox.processes import port_open
from sandbox.world import Partner, World
from tests.support import launch
from tests.support.launch import Launched, Plan

HOUSEHOLDS = 1200
PARTNERS = ("broker", "bank", "platform", "insurer")
ENDS = ("COMPLETED", "FAILED", "REFUSED", "EXPIRED", "CANCELLED")
WAIT_SECONDS = 90.0
POLL_SECONDS = 0.1
Found = TypeVar("Found")


class Alliance:
    """One running alliance. Use it as a context: whatever happens, its processes are stopped."""

    def __init__(self, made: World) -> None:
        self.world = made
        made.processes = {name: self._launched(process) for name, process in made.processes.items()}

    @property
    def folder(self) -> Path:
        return self.world.folder

    def __enter__(self) -> "Alliance":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    # --- processes ---------------------------------------------------------------------------------------------------

    def process(self, name: str) -> Launched:
        found = self.world.processes[name]
        assert isinstance(found, Launched)
        return found

    def start(self, *names: str, plans: Mapping[str, Plan] | None = None) -> None:
        """Start processes, all of them by default, under the plans given; ready when this returns."""
        chosen = names or tuple(self.world.processes)  # a chain, where there is one, then the hub, then nodes
        for name in chosen:
            self.process(name).plan = (plans or {}).get(name, launch.PLAIN)
        for name in chosen:
            self.process(name).start()
        for name in chosen:
            self.process(name).wait_ready()
        if self.process("hub").alive:
            self.wait_connected()

    def wait_connected(self) -> None:
        """Until every node that runs has its stream to the hub."""
        running = {name for name in self.world.partners if self.process(name).alive}
        wait(lambda: running <= set(self.call("operator", "whoami")["connected"]), f"{sorted(running)} to connect")

    def nurse(
        self, job: str, lives: Mapping[str, Sequence[Plan]], last: Mapping[str, Plan], at_death: Callable[[str], None]
    ) -> Any:
        """The job once it is COMPLETED and every process has died at each of its planned faults and lived again.

        lives: the plans of the lives after the present one, by process; `last` is the plan of the life in which a
        process sees the end. A job that ends otherwise, or a process that ends elsewhere than at its fault, fails the
        test. `at_death` is called with a process's name while it is dead.
        """
        left = {name: [*plans, last[name]] for name, plans in lives.items()}

        def look() -> Any:
            for name in [name for name in left if left[name] and not self.process(name).alive]:
                self.process(name).wait_killed()
                at_death(name)
                self.process(name).plan = left[name].pop(0)
                self.process(name).start()
            found = self.job(job)
            assert found["state"] not in ENDS or found["state"] == "COMPLETED", found["reason"]
            return found if found["state"] == "COMPLETED" and not any(left.values()) else None

        return wait(look, "the job's end after all planned deaths", 2 * WAIT_SECONDS)

    def stop(self, *names: str) -> None:
        """Stop processes at the same time."""
        world.parallel(names, lambda name: self.process(name).stop())

    def stop_all(self) -> None:
        """Everything: nodes, then hub, then chain, so that none complains about another's absence."""
        self.stop(*self.world.partners)
        self.stop("hub")
        if "chain" in self.world.processes:
            self.stop("chain")

    def restart(self, name: str, plan: Plan = launch.PLAIN) -> None:
        """Stop in order, if it runs, and start again."""
        self.process(name).stop()
        self.start(name, plans={name: plan})

    def _launched(self, process: Any) -> Launched:
        name = process.name
        if name == "chain":
            ready: Callable[[], bool] = lambda: port_open(self.world.chain_port)  # noqa: E731
        elif name == "hub":
            ready = lambda: port_open(self.world.hub_port) and port_open(self.world.enrol_port)  # noqa: E731
        else:
            ready = lambda: launch.answers(self.world.node_folder(name) / "node.sock")  # noqa: E731
        return Launched(name, process.arguments, process.log, ready)

    # --- people ------------------------------------------------------------------------------------------------------

    def call(self, role: str, command: str, head: Mapping[str, Any] | None = None, *, key: str = "") -> Any:
        """A person's call to the hub; the answer's head. Raises the hub's failure."""
        return self.call_body(role, command, head, key=key)[0]

    def call_body(
        self, role: str, command: str, head: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> tuple[Any, bytes]:
        person = client.load(self.world.person_config(role))
        return client.call(person, command, dict(head or {}), idempotency_key=key or os.urandom(8).hex())

    def node(self, partner: str, command: str, **arguments: Any) -> Any:
        """A command of a node's own people on its socket. Raises the node's failure."""
        return local_client.call(self.world.node_folder(partner) / "node.sock", command, arguments)

    # --- jobs --------------------------------------------------------------------------------------------------------

    def propose(self, role: str, kind: str, body: Mapping[str, Any]) -> str:
        return str(self.call(role, "propose", {"kind": kind, "body": dict(body)})["digest"])

    def approve(self, digest: str, partners: Iterable[str]) -> None:
        """Each node's person approves exactly this digest, once the node has it."""
        for partner in partners:
            wait(lambda partner=partner: self._knows(partner, digest), f"{partner} to hear of the job")
            self.node(partner, "approve", job=digest, person=f"person of {partner}")

    def job(self, digest: str) -> Any:
        return self.call("data", "job", {"digest": digest})

    def finished(self, digest: str, seconds: float = WAIT_SECONDS) -> Any:
        """The job once it has ended, whichever way."""
        return wait(lambda: ended if (ended := self.job(digest))["state"] in ENDS else None, "the job's end", seconds)

    def completed(self, digest: str, seconds: float = WAIT_SECONDS) -> Any:
        """The job, which must end COMPLETED."""
        job = self.finished(digest, seconds)
        assert job["state"] == "COMPLETED", f"{job['kind']} ended {job['state']}: {job['reason']}"
        return job

    def run_job(self, role: str, kind: str, body: Mapping[str, Any]) -> Any:
        """Propose, approve by every party, wait for its completion."""
        digest = self.propose(role, kind, body)
        self.approve(digest, [party["partner"] for party in body["parties"]])
        return self.completed(digest)

    def aligned(self, partner: str, job: str) -> dict[str, str]:
        """token -> client id of an alignment, in order, as this partner's own people may see it."""
        path = self.folder / f"alignment-{partner}-{os.urandom(4).hex()}.csv"
        self.node(partner, "alignment.export", job=job, file=str(path))
        with path.open(newline="") as lines:
            return {row["token"]: row["client_id"] for row in csv.DictReader(lines)}

    def _knows(self, partner: str, digest: str) -> bool:
        return any(job["job"] == digest for job in self.node(partner, "jobs")["jobs"])


# --- bodies ----------------------------------------------------------------------------------------------------------


def match_body(mode: str, leader: str, *followers: str, **changes: Any) -> dict[str, Any]:
    """A match job's body; the hub fills in the parties' keys."""
    parties = [
        {"partner": name, "role": "leader" if name == leader else "follower", "asset": "clients",
         "id_column": "client_id"}
        for name in (leader, *followers)
    ]  # fmt: skip
    return {
        "mode": mode, "engine": "ecdh", "normaliser": 2, "id_type": "resident_id", "minimum": 50, "parties": parties,
        "purpose": world.PURPOSE, "expires": later(), "nonce": os.urandom(16).hex(),
        "disclosure": [f"{leader} learns its overlap with each other party"], **changes,
    }  # fmt: skip


def train_body(alignment: str, **changes: Any) -> dict[str, Any]:
    """A training plan of broker (label), bank and platform over an alignment.

    The finest scores that a plan may ask for, and columns so frequent that no cell of a few hundred rows is suppressed:
    then the result must equal the pooled one up to the rounding of scores.
    """
    parties = [
        {"partner": name, "role": "label_holder" if name == "broker" else "feature_holder", "asset": "clients",
         "id_column": "client_id", "columns": list(party_files.COLUMNS[name])}
        for name in ("broker", "bank", "platform")
    ]  # fmt: skip
    return {
        "alignment": alignment, "model": "moments", "parties": parties,
        "label": {"partner": "broker", "asset": "clients", "column": "y_direct"},
        "ridge_milli": 1000, "test_ppm": 300_000, "split_salt": "5a" * 16, "minimum_rows": 300, "rare_rows": 100,
        "cell_minimum": 5, "score_step_log2": -6, "bootstrap": 200, "score_budget": 100, "valid_days": 90,
        "purpose": world.PURPOSE, "expires": later(), "nonce": os.urandom(16).hex(),
        "disclosure": ["the broker learns moments of the parties' columns and rounded scores"], **changes,
    }  # fmt: skip


def later() -> str:
    """A day from now."""
    return (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- founding and copying --------------------------------------------------------------------------------------------


def make_data(folder: Path) -> dict[str, Path]:
    """Party files of a small synthetic alliance, and a consent file that grants the demo's 97 % of all clients."""
    synthetic.generate(folder, households=HOUSEHOLDS)
    for name, source in sources(folder).items():
        write_consents(folder / f"consent-{name}", [client for client in rows(source) if world.consents(client)])
    return sources(folder)


def sources(folder: Path) -> dict[str, Path]:
    """The party files in a folder of data."""
    return {name: folder / f"party_{name}.csv.gz" for name in PARTNERS}


def write_consents(place: Path, granted: Iterable[str]) -> Path:
    """A consent file of these clients, for a year: `place` with .csv."""
    until = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = ["client_id,purpose,until", *(f"{client},{world.PURPOSE},{until}" for client in granted)]
    file = place.with_suffix(".csv")
    file.write_text("\n".join(lines) + "\n")
    return file


def rows(source: Path) -> dict[str, dict[str, str]]:
    """A party file's rows by client id, as text."""
    with gzip.open(source, "rt", newline="") as lines:
        return {row["client_id"]: row for row in csv.DictReader(lines)}


def partners(files: Mapping[str, Path]) -> list[Partner]:
    """The four partners with every column classified."""
    made = []
    for name, source in files.items():
        columns = (*party_files.COLUMNS[name], *party_files.EXTRA[name])
        made.append(Partner(id=name, name=name.title(), source=source, classes=dict.fromkeys(columns, "C2")))
    return made


def found(folder: Path) -> Alliance:
    """A founded, enrolled, running alliance: cards pinned, consent imported, assets published."""
    made = Alliance(World(folder, partners(make_data(folder / "data")), entropy=os.urandom))
    try:
        made.world.found()
        made.world.start()
        for name in PARTNERS:
            made.node(name, "consent.import", file=str(folder / "data" / f"consent-{name}.csv"))
            made.node(name, "publish")
        wait(lambda: published(made) == set(PARTNERS), "the published assets")
    except BaseException:
        made.stop_all()
        raise
    return made


def copy(stopped: Alliance, folder: Path) -> Alliance:
    """The same alliance in another folder on other ports. Nothing of it is started."""
    old = stopped.world
    assert not any(process.alive for process in old.processes.values()), "a copy of running databases is torn"
    shutil.copytree(old.folder, folder, ignore=shutil.ignore_patterns("node.sock", "logs", "hub.ready"))
    new = World(
        folder,
        [_moved(partner, old.folder, folder) for partner in old.partners.values()],
        entropy=os.urandom,
        broker=old.broker,
    )
    new.contract, new.genesis = old.contract, old.genesis
    changes = {str(old.folder): str(folder)}
    for name in ("chain_port", "read_port", "hub_port", "enrol_port"):
        changes[f"127.0.0.1:{getattr(old, name)}"] = f"127.0.0.1:{getattr(new, name)}"
    for path in folder.rglob("*.toml"):
        text = path.read_text()
        for before, after in changes.items():
            text = text.replace(before, after)
        path.write_text(text)
    return Alliance(new)


def _moved(partner: Partner, before: Path, after: Path) -> Partner:
    """A source inside the alliance's folder moves with it; one outside stays where it is."""
    inside = partner.source.is_relative_to(before)
    return replace(partner, source=after / partner.source.relative_to(before)) if inside else partner


def wait(look: Callable[[], Found | None], what: str, seconds: float = WAIT_SECONDS) -> Found:
    """What `look` finds once that is something. An unreachable process is looked for again until the time is over."""
    end = time.monotonic() + seconds
    last: Failure | None = None
    while time.monotonic() < end:
        try:
            if found_ := look():
                return found_
        except Failure as failure:
            last = failure
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"waited {seconds:.0f} s for {what}" + (f"; at last: {last}" if last else ""))


def published(made: Alliance) -> set[str]:
    """Partners whose assets the hub has."""
    listed = made.call("operator", "partners")["partners"]
    return {partner["partner"] for partner in listed if partner["assets"] is not None}
