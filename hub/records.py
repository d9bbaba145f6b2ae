"""What the store gives back: frozen values, one for each table. ORM rows never leave the store."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from ecowire import documents
from privacy import canonical
from privacy.ids import Digest, PartnerId

Head = dict[str, canonical.Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    fingerprint: str
    serial: str
    name: str
    role: str
    public_key: str
    pem: str
    issued_at: datetime
    not_after: datetime
    state: str = "ACTIVE"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    code_hash: str
    partner: PartnerId
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_key: str | None = None
    certificate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A partner as enrolled: the keys of its card, as hex."""

    id: PartnerId
    name: str
    signing: str
    sealing: str
    chain: str
    card: documents.Signed
    state: str
    enrolled_at: datetime

    @property
    def signing_public(self) -> bytes:
        return bytes.fromhex(self.signing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    digest: Digest
    kind: str
    body: Head
    proposer: str
    state: str
    reason: Head
    progress: Head
    created_at: datetime
    expires_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def parties(self) -> tuple[PartnerId, ...]:
        """The partners in the order of the body, which was checked when it was proposed."""
        return tuple(PartnerId(str(party["partner"])) for party in self.party_bodies)

    @property
    def party_bodies(self) -> tuple[Head, ...]:
        listed = self.body["parties"]
        assert isinstance(listed, list)
        return tuple(party for party in listed if isinstance(party, dict))


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    proposal: Digest
    partner: PartnerId
    decision: str
    document: documents.Signed
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A request to a node. Bodies are None once dropped; state FAILED: the node answered with a failure."""

    number: int
    id: str
    node: PartnerId
    job: str
    kind: str
    phase: str
    head: Head
    body: bytes | None
    digest: str
    state: str
    handled: bool
    created_at: datetime
    bytes_down: int
    answered_at: datetime | None = None
    reply_head: Head | None = None
    reply_body: bytes | None = None
    reply_sha256: bytes | None = None  # of the body, where it has just come
    reply_digest: str | None = None
    bytes_up: int = 0
    content: str | None = None  # in the body's place: SHA-256 in hex of a content that many tasks carry


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Content:
    """The body of a request. Many may carry it, so it is hashed once and held in memory once."""

    data: bytes = field(repr=False)
    sha256: bytes

    @classmethod
    def of(cls, data: bytes) -> "Content":
        return cls(data=data, sha256=hashlib.sha256(data).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a node answered; state FAILED: with a failure, WITHDRAWN: nothing, and nobody waits for it any more."""

    node: PartnerId
    state: str
    head: Head
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What went wrong at a partner in one phase of a run. failure: {"code", "kind", "en", "zh"}."""

    round: int
    attempt: int
    phase: str
    partner: str
    failure: Head

    @property
    def code(self) -> str:
        return str(self.failure["code"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    job: Digest
    sender: PartnerId
    recipient: PartnerId
    sequence: int
    arrival: int
    size: int
    digest: str
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    index: int
    time: datetime
    kind: str
    subject: str
    data: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    log: str
    size: int
    root: bytes
    note: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    log: str
    size: int
    partner: PartnerId
    document: documents.Signed
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    job: str
    document: documents.Signed
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command or node request that was carried out, with its answer."""

    actor: str
    key: str
    name: str
    digest: str
    reply_kind: str
    reply_head: Head
    reply_body: bytes
    done_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCost:
    """What one phase of a job took: summed over its tasks."""

    phase: str
    node: PartnerId
    tasks: int
    bytes_down: int
    bytes_up: int
    started_at: datetime
    ended_at: datetime | None
