"""An alliance for the hub's tests: a hub in this process, with or without its ports, and parties that hold real keys.

The clock is a value that tests move; entropy is seeded but for the library's own draws.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from contracts import keys as chain_keys
from ecowire import documents
from ecowire.documents import Signed
from hub import authority, founding, partners, proposals, wiring
from hub.audit import Log
from hub.identity import Caller
from hub.records import Head, Partner, Task
from hub.services import Services
from hub.settings import Settings, load
from hub.store import Store
from hub.waiters import Waiters
from privacy import seal
from privacy.ids import Digest, PartnerId
from tests.hub.ledgers import lay
from tests.support.entropy import SeededEntropy
from tests.support.scratch import scratch

ALLIANCE = "test-alliance"
START = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
OPERATOR = Caller(name="oda", role="operator", fingerprint="")


class MovableClock:
    """`clock()` is the instant; `clock.forward(seconds)` moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            return self.now

    def forward(self, seconds: float) -> None:
        with self._lock:
            self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Party:
    """A partner institution: its keys and card; its TLS key and certificate once enrolled."""

    id: PartnerId
    signing: seal.SigningKey
    sealing: seal.SealingKey
    chain: chain_keys.Key
    tls: Any
    certificate: bytes = b""

    @property
    def card(self) -> Signed:
        body: Head = {
            "partner": self.id,
            "name": f"The {self.id}",
            "signing": self.signing.public.hex(),
            "sealing": self.sealing.public.hex(),
            "chain": self.chain.address,
        }
        return self.sign("card", body)

    def sign(self, kind: str, body: Head) -> Signed:
        return documents.sign(kind, body, self.id, self.signing)

    def csr(self, name: str | None = None) -> bytes:
        return authority.make_request(self.tls, name or self.id)

    def approval(self, digest: str, kind: str, decision: str = "approve", **changes: Any) -> Signed:
        body: Head = {
            "proposal": digest,
            "kind": kind,
            "partner": self.id,
            "decision": decision,
            "reason": "",
            "person": f"somebody at the {self.id}",
            "time": "2026-10-01T08:00:00.000Z",
            **changes,
        }
        return self.sign("approval", body)


def party(name: str, seed: bytes = b"") -> Party:
    """A partner with keys from a seed."""
    entropy = SeededEntropy(b"party/" + name.encode() + seed)
    return Party(
        id=PartnerId(name),
        signing=seal.SigningKey(entropy(32)),
        sealing=seal.SealingKey(entropy(32)),
        chain=chain_keys.Key(entropy(32)),
        tls=authority.generate_key(entropy),
    )


@dataclass
class Hub:
    """A hub without ports: its services over a real database."""

    services: Services
    clock: MovableClock
    settings: Settings
    parties: dict[str, Party] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)

    @property
    def store(self) -> Store:
        return self.services.store

    def run(self, body: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Run `body(services, tx, …)` in one transaction."""
        return self.store.run("test", lambda tx: body(self.services, tx, *arguments, **named))

    def now(self) -> datetime:
        return self.clock()

    def invite(self, name: str) -> str:
        return str(self.run(partners.invite, OPERATOR, self.now(), {"partner": name}).head["invite"])

    def enrol(self, who: Party) -> Party:
        """Invite and enrol a party; the party with its certificate."""
        made = self.run(partners.enrol, self.now(), self.invite(who.id), who.csr(), who.card.encode())
        enrolled = replace(who, certificate=made.certificate)
        self.parties[who.id] = enrolled
        return enrolled

    def partner(self, name: str) -> Partner:
        found = self.store.read("test", lambda tx: tx.members.partner(name))
        assert found is not None
        return found

    def propose(self, kind: str, body: Head, check: proposals.Check) -> proposals.Proposal:
        made: proposals.Proposal = self.run(proposals.propose, self.now(), "dana", kind, body, check)
        return made

    def decide(self, name: str, digest: str, kind: str, decision: str = "approve", **changes: Any) -> Signed:
        approval = self.parties[name].approval(digest, kind, decision, **changes)
        receipt: Signed = self.run(proposals.decide, self.partner(name), self.now(), approval)
        return receipt

    def proposal(self, digest: Digest) -> proposals.Proposal:
        found = self.store.read("test", lambda tx: tx.jobs.proposal(digest))
        assert found is not None
        return found

    def open_tasks(self, node: str) -> list[Task]:
        """What a node would be sent at its next connection, oldest first."""
        found: list[Task] = []
        more = True
        while more:
            after = found[-1].number if found else 0
            task, more = self.store.read("open", lambda tx, n=after: tx.tasks.next_open(node, n))
            found += [task] if task else []
        return found

    def leaves(self) -> list[tuple[str, str]]:
        """(kind, subject) of all leaves."""
        return [(leaf.kind, leaf.subject) for leaf in self.store.read("test", lambda tx: tx.evidence.leaves())]


def found_hub(folder: Path, clock: MovableClock, **changes: str | int) -> Settings:
    """A hub's folder with free ports; settings from `changes` are appended to its [hub] table."""
    plan = founding.Plan(
        folder=folder,
        alliance=ALLIANCE,
        listen="127.0.0.1:0",
        enrol="127.0.0.1:0",
        operator="oda",
        database=str(changes.pop("database", "")),
    )
    if not plan.database:
        lay(folder)
    made = founding.found(plan, clock, SeededEntropy(b"hub"))
    if changes:
        lines = [
            f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in changes.items()
        ]
        made.settings.write_text(made.settings.read_text().replace("\n[chain]", "\n".join(["", *lines, "", "[chain]"])))
    return load(made.settings)


@contextmanager
def hub_without_ports(folder: Path, *names: str, **changes: str | int) -> Iterator[Hub]:
    """A hub with these parties enrolled: a copy of one that is founded once for all tests that want the same."""
    begin = _template.__wrapped__ if changes.get("database") else _template  # a server's database is not copied
    template, parties = begin(names, tuple(sorted(changes.items())))
    shutil.copytree(template, folder / "hub")
    with opened(load(folder / "hub" / "hub.toml"), b"copy") as made:
        made.parties.update(parties)
        yield made


@cache
def _template(names: tuple[str, ...], changes: tuple[tuple[str, str | int], ...]) -> tuple[Path, dict[str, Party]]:
    folder = scratch("hub")
    with opened(found_hub(folder / "hub", MovableClock(), **dict(changes)), b"template") as made:
        for name in names:
            made.enrol(party(name))
    return folder / "hub", made.parties


@contextmanager
def opened(settings: Settings, seed: bytes) -> Iterator[Hub]:
    clock, store = MovableClock(), Store(settings.database)
    connected: set[str] = set()
    services = Services(
        settings=settings,
        store=store,
        log=Log(settings.alliance, wiring.load_log_key(settings)),
        authority=wiring.load_authority(settings),
        clock=clock,
        entropy=SeededEntropy(seed),
        connected=lambda: frozenset(connected),
        waiters=Waiters(store),
        chain=lambda: wiring.open_chain(settings),
        submitter=lambda: chain_keys.read(settings.keys / "submitter.key"),
    )
    try:
        yield Hub(services=services, clock=clock, settings=settings, connected=connected)
    finally:
        services.waiters.close()
        store.close()


def match_body(leader: str, *followers: str, mode: str = "count", **changes: Any) -> Head:
    """A valid match job's body without keys."""
    listed: list[Any] = [
        {"partner": name, "role": role, "asset": "clients", "id_column": "client_id"}
        for name, role in [(leader, "leader"), *((name, "follower") for name in followers)]
    ]
    return {
        "mode": mode,
        "engine": "ecdh",
        "normaliser": 2,
        "id_type": "resident_id",
        "minimum": 10,
        "parties": listed,
        "purpose": "profile",
        "expires": "2026-10-02T08:00:00Z",
        "nonce": "00" * 16,
        "disclosure": ["the leader learns how many clients are shared"],
        **changes,
    }
