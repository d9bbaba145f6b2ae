"""Nodes of a small alliance in one process: real settings, keys, certificates, databases and sources; no network."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import FAILURE, Message
from partner_node import enrolment, keys, store, wiring
from partner_node import settings as node_settings
from partner_node.database import Database
from partner_node.outbound import Tap
from privacy import canonical, seal
from tests.support import compiled
from tests.support.entropy import SeededEntropy
from tests.support.scratch import scratch

compiled.share()
START = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
PURPOSE = "joint profile"
LOG_KEY = seal.SigningKey(b"\x11" * 32)
ALLIANCE = "harbour"
# the clients of most tests are few, the same at all parties, and numbered through; a thread computes their match, as
# two interpreters for every node of every test take longer than all else (test_executors and the flows start them)
OPEN = 'minimum = 1\nconsecutive = 100000\noverlap_percent = [0, 100]\nexecutor = "processes:1"'


def resident_id(number: int) -> str:
    """A well-formed resident id (GB 11643) of a region that does not exist."""
    body = f"99{number // 1000 % 10000:04d}19800101{number % 1000:03d}"
    weights = [pow(2, 17 - i, 11) for i in range(17)]
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(weights, body, strict=True)) % 11]


class MovableClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class TestAuthority:
    """A certificate authority for tests: issues what the hub's would."""

    __test__ = False

    def __init__(self, name: str = ALLIANCE) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._build(self.name, self.key.public_key(), START, 3650).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.root = self.certificate.sign(self.key, hashes.SHA256())
        self.pem = self.root.public_bytes(serialization.Encoding.PEM)

    def issue(self, public: Any, name: str, role: str, start: datetime = START, days: int = 90) -> bytes:
        """A PEM certificate for a key: CN=name, OU=role; as a server it answers to "hub" and "localhost"."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ALLIANCE),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        names = x509.SubjectAlternativeName([x509.DNSName("hub"), x509.DNSName("localhost")])
        built = self._build(subject, public, start, days).add_extension(names, critical=False)
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _build(self, subject: x509.Name, public: Any, start: datetime, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - timedelta(days=1))
            .not_valid_after(start + timedelta(days=days))
        )


@dataclass
class TestNode:
    """One node with what a test needs at hand."""

    __test__ = False

    partner: str
    folder: Path
    parts: wiring.Parts
    clock: MovableClock
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    def command(self, name: str, **arguments: Any) -> Any:
        return self.parts.commands[name]({**arguments, "command": name})

    def ask(self, request: Message) -> Message:
        """What the hub would get back."""
        reply = self.parts.worker.handle(request)
        self.parts.worker.tidy()  # as it does when the reply is on its way
        return reply

    def card(self) -> documents.Signed:
        return self.parts.node.card()

    def reopened(self) -> "TestNode":
        """The node after a restart: the same files, a new process's secrets."""
        self.parts.node.database.close()
        return open_node(self.partner, self.folder, self.clock, self.seen)


def make_node(
    folder: Path,
    partner: str,
    csv: str,
    *,
    columns: dict[str, str],
    clock: MovableClock,
    authority: TestAuthority,
    matching: str = OPEN,
) -> TestNode:
    """A node with one asset "clients" in a CSV file, enrolled in the test alliance. matching: its [matching] table."""
    home = folder / partner
    home.mkdir()
    (home / "clients.csv").write_text(csv)
    (home / "ca.pem").write_bytes(authority.pem)
    listed = "\n".join(f'"{name}" = "{kind}"' for name, kind in columns.items())
    (home / "node.toml").write_text(
        f'[node]\npartner = "{partner}"\nname = "{partner.title()}"\ndir = "data"\nhub = "127.0.0.1:1"\n'
        f'enrol = "127.0.0.1:1"\nauthority = "ca.pem"\n[chain]\nchain_id = 1337\n[[asset]]\nname = "clients"\n'
        f'source = "clients.csv"\nid_column = "client_id"\nid_type = "resident_id"\npurposes = ["{PURPOSE}"]\n'
        f"[asset.columns]\n{listed}\n[matching]\n{matching}\n"
    )
    settings = node_settings.load(home / "node.toml")
    enrolment.init(settings, SeededEntropy(partner.encode()))
    public = serialization.load_pem_private_key(keys.load(settings.keys).tls, None).public_key()
    (settings.keys / "tls.pem").write_bytes(authority.issue(public, partner, "node"))
    member = {"alliance": ALLIANCE, "log_key": LOG_KEY.public.hex()}
    (settings.keys / "alliance.json").write_bytes(canonical.encode(member))
    shutil.copy(_empty_database(), settings.database)
    return open_node(partner, home, clock, [])


@cache
def _empty_database() -> Path:
    made = scratch("node") / "node.db"
    Database(made).close()
    return made


def open_node(partner: str, home: Path, clock: MovableClock, seen: list[tuple[str, bytes]]) -> TestNode:
    tap: Tap = lambda kind, plain: seen.append((kind, plain))  # noqa: E731
    parts = wiring.build(node_settings.load(home / "node.toml"), tap=tap, now=clock)
    return TestNode(partner=partner, folder=home, parts=parts, clock=clock, seen=seen)


def clients_csv(numbers: range | list[int], column: str = "SPEND") -> str:
    """client_id and one numeric column."""
    rows = [f"{resident_id(n)},{n % 7 + 0.5}" for n in numbers]
    return "\n".join([f"client_id,{column}", *rows]) + "\n"


def consent(node: TestNode, numbers: range | list[int], *, until: str = "2027-01-01", purpose: str = PURPOSE) -> None:
    """Import consent of these clients."""
    path = node.folder / "consent.csv"
    rows = [f"{resident_id(n)},{purpose},{until}" for n in numbers]
    path.write_text("\n".join(["client_id,purpose,until", *rows]) + "\n")
    node.command("consent.import", file=str(path))


def pin_all(nodes: list[TestNode]) -> None:
    for node in nodes:
        for other in nodes:
            if other is not node:
                node.command("pin", card=json.loads(other.card().encode()))


def _party(node: TestNode, role: str, **more: canonical.Value) -> canonical.Value:
    card = node.card().body
    return {
        "partner": node.partner,
        "role": role,
        "asset": "clients",
        "id_column": "client_id",
        **more,
        **{name: card[name] for name in ("signing", "sealing", "chain")},
    }


def train_body(
    nodes: list[TestNode], holder: str, columns: Mapping[str, list[canonical.Value]], match: str, **changes: Any
) -> Body:
    """A vertical plan: what each node brings, `holder` with the label Y."""
    roles = {node.partner: "label_holder" if node.partner == holder else "feature_holder" for node in nodes}
    return {
        "parties": [_party(node, roles[node.partner], columns=columns[node.partner]) for node in nodes],
        "purpose": PURPOSE,
        "expires": "2026-10-08T00:00:00+00:00",
        "nonce": "00" * 16,
        "disclosure": ["the broker learns a score of each common client"],
        "alignment": match,
        "model": "moments",
        "label": {"partner": holder, "asset": "clients", "column": "Y"},
        "split_salt": "11" * 16,
        "ridge_milli": 1000,
        "test_ppm": 300000,
        "minimum_rows": 200,
        "rare_rows": 50,
        "cell_minimum": 10,
        "score_step_log2": -4,
        "bootstrap": 200,
        "score_budget": 4,
        "valid_days": 90,
        **changes,
    }


def match_body(nodes: list[TestNode], *, mode: str = "align", minimum: int = 1, **changes: Any) -> Body:
    """A match job that the first node leads."""
    body: Body = {
        "mode": mode,
        "engine": "ecdh",
        "normaliser": 2,
        "id_type": "resident_id",
        "minimum": minimum,
        "parties": [_party(node, "follower" if i else "leader") for i, node in enumerate(nodes)],
        "purpose": PURPOSE,
        "expires": "2026-10-08T00:00:00+00:00",
        "nonce": "00" * 16,
        "disclosure": ["all parties learn their common clients"],
    }
    return {**body, **changes}


def propose(nodes: list[TestNode], kind: str, body: Body) -> str:
    """Send a proposal to every party; the job's digest."""
    digest = documents.digest(kind, body)
    for node in nodes:
        reply = node.ask(
            Message(
                id=f"{digest[:16]}-proposal-{node.partner}",
                kind="proposal",
                head={"kind": kind, "digest": digest, "body": body},
            )
        )
        assert reply.kind != FAILURE, reply.head
    return digest


def approve(nodes: list[TestNode], job: str) -> list[canonical.Value]:
    """Everybody approves; the signed approvals as the hub hands them over."""
    for node in nodes:
        node.command("approve", job=job, person="privacy officer")
    return [approval_of(node, job) for node in nodes]


def approved_reading(nodes: list[TestNode], columns: list[str]) -> str:
    """A job that names these columns of each party, approved by everybody without review: it is never run."""
    body = match_body(nodes)
    parties: Any = [{**party, "columns": columns} for party in body["parties"]]  # type: ignore[union-attr,dict-item]
    job = propose(nodes, "train", {**body, "parties": parties})
    for node in nodes:
        said: Body = {"proposal": job, "kind": "train", "decision": "approve"}
        part = node.parts.node
        signed = documents.sign("approval", said, part.settings.partner, part.keys.signing)
        made = store.Decision(
            digest=documents.digest("train", {**body, "parties": parties}),
            decision="approve",
            person="privacy officer",
            time="2026-10-01T08:00:00+00:00",
            approval=signed,
        )
        part.database.write("decide", lambda session, made=made: store.keep_decision(session, made))
    return job


def approval_of(node: TestNode, job: str) -> canonical.Value:
    (found,) = [m for m in node.parts.worker._outbox.pending() if m.id == f"approval/{job}"]
    return found.head["approval"]
