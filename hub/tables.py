"""The hub's tables. What the life cycles rely on is also a constraint here.

Documents are kept as the canonical bytes that were signed, so that what is verified, logged and exported is one thing.
Owner E's settlement tables share `Base` from `hub.tables_settlement`. Only the store imports this module.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcTime(TypeDecorator[datetime]):
    """An aware instant in UTC. SQLite has no zone to keep, so what is read back is marked UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        assert value is None or value.tzinfo is not None, "an instant without a time zone"
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcTime, str: Text, bytes: LargeBinary}  # noqa: RUF012


DIGEST = String(64)
PARTNER = String(32)
STATE = String(16)
PROPOSAL_STATES = (
    *("PROPOSED", "APPROVED", "RUNNING", "PAUSED"),
    *("COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED"),
)


def one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class CertificateRow(Base):
    __tablename__ = "certificate"
    fingerprint: Mapped[str] = mapped_column(DIGEST, primary_key=True)  # SHA-256 of the DER
    serial: Mapped[str] = mapped_column(String(40), unique=True)  # hex
    name: Mapped[str] = mapped_column(String(64), index=True)
    role: Mapped[str] = mapped_column(STATE)
    public_key: Mapped[str] = mapped_column(DIGEST)  # SHA-256 of the SubjectPublicKeyInfo
    pem: Mapped[str]
    issued_at: Mapped[datetime]
    not_after: Mapped[datetime]
    state: Mapped[str] = mapped_column(STATE)
    reason: Mapped[str] = mapped_column(default="")
    __table_args__ = (
        one_of("role", "node", "operator", "data", "finance", "regulator"),
        one_of("state", "ACTIVE", "REVOKED"),
    )


class InviteRow(Base):
    __tablename__ = "invite"
    code_hash: Mapped[str] = mapped_column(DIGEST, primary_key=True)  # the code itself is never stored
    partner: Mapped[str] = mapped_column(PARTNER)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_key: Mapped[str | None] = mapped_column(DIGEST)  # SHA-256 of the TLS public key that enrolled
    certificate: Mapped[str | None] = mapped_column(DIGEST, ForeignKey("certificate.fingerprint"))


class PartnerRow(Base):
    __tablename__ = "partner"
    id: Mapped[str] = mapped_column(PARTNER, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    signing: Mapped[str] = mapped_column(DIGEST)
    sealing: Mapped[str] = mapped_column(DIGEST)
    chain: Mapped[str] = mapped_column(String(42))
    card: Mapped[str]
    state: Mapped[str] = mapped_column(STATE)
    enrolled_at: Mapped[datetime]
    __table_args__ = (one_of("state", "ACTIVE", "REVOKED"),)


class AssetsRow(Base):
    """A partner's latest signed list of data assets: schema, classes, bands; never a row."""

    __tablename__ = "asset"
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(DIGEST)
    document: Mapped[str]
    published_at: Mapped[datetime]


class ProposalRow(Base):
    __tablename__ = "proposal"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    kind: Mapped[str] = mapped_column(STATE)
    body: Mapped[str]
    proposer: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(STATE, index=True)
    reason: Mapped[str] = mapped_column(default="")  # canonical failure head where the end is not a success
    progress: Mapped[str] = mapped_column(default="{}")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("kind", "match", "train", "agreement"),
        one_of("state", *PROPOSAL_STATES),
    )


class ApprovalRow(Base):
    __tablename__ = "approval"
    proposal: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"), primary_key=True)
    decision: Mapped[str] = mapped_column(STATE)
    document: Mapped[str]
    received_at: Mapped[datetime]
    __table_args__ = (one_of("decision", "approve", "refuse"),)


class TaskRow(Base):
    """A request of the hub to a node, and its answer. Bodies are dropped once nobody needs them; sizes stay."""

    __tablename__ = "task"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(200), unique=True)
    node: Mapped[str] = mapped_column(PARTNER)
    job: Mapped[str] = mapped_column(DIGEST, index=True)  # a proposal's digest, or "" outside jobs
    kind: Mapped[str] = mapped_column(String(64))
    phase: Mapped[str] = mapped_column(String(64))
    head: Mapped[str]
    body: Mapped[bytes | None]
    content: Mapped[str | None] = mapped_column(DIGEST)  # in the body's place: SHA-256 of a `RunContentRow`
    digest: Mapped[str] = mapped_column(DIGEST)
    state: Mapped[str] = mapped_column(STATE)
    handled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    bytes_down: Mapped[int]
    answered_at: Mapped[datetime | None]
    reply_head: Mapped[str | None]
    reply_body: Mapped[bytes | None]
    reply_digest: Mapped[str | None] = mapped_column(DIGEST)
    bytes_up: Mapped[int] = mapped_column(default=0)
    __table_args__ = (
        one_of("state", "OPEN", "ANSWERED", "FAILED", "WITHDRAWN"),
        Index(None, "node", "state", "number"),
    )


class RunContentRow(Base):
    """The body of requests that are the same for many nodes, kept once until the round is over."""

    __tablename__ = "run_content"
    job: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    sha256: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    body: Mapped[bytes]


class EnvelopeRow(Base):
    """A sealed message between nodes. The bytes are dropped when they move into the recipient's next task."""

    __tablename__ = "envelope"
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    sender: Mapped[str] = mapped_column(PARTNER, primary_key=True)
    recipient: Mapped[str] = mapped_column(PARTNER, primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    arrival: Mapped[int]  # order within the job
    size: Mapped[int]
    digest: Mapped[str] = mapped_column(DIGEST)
    data: Mapped[bytes | None]


class RunCheckpointRow(Base):
    """Where a horizontal run can go on: the state after its newest finished round. The body is opaque here."""

    __tablename__ = "run_checkpoint"
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    round: Mapped[int]
    body: Mapped[bytes]
    saved_at: Mapped[datetime]


class RunDecisionRow(Base):
    """What a run decided once and must decide again alike when it is executed again: which nodes are a cohort."""

    __tablename__ = "run_decision"
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str]  # canonical JSON
    decided_at: Mapped[datetime]


class RunRoundRow(Base):
    """What one finished round of a run came to, for people who follow it: figures of the sum, or phases and bytes."""

    __tablename__ = "run_round"
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    facts: Mapped[str]  # canonical JSON
    ended_at: Mapped[datetime]


class RunTroubleRow(Base):
    """What went wrong at a partner in one round of a horizontal run, the newest of it; the healthy leave no row."""

    __tablename__ = "run_trouble"
    job: Mapped[str] = mapped_column(DIGEST, ForeignKey("proposal.digest"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    partner: Mapped[str] = mapped_column(PARTNER, primary_key=True)
    attempt: Mapped[int]
    phase: Mapped[str] = mapped_column(String(64))
    failure: Mapped[str]  # canonical JSON
    told_at: Mapped[datetime]


class LeafRow(Base):
    __tablename__ = "leaf"
    index: Mapped[int] = mapped_column("leaf_index", primary_key=True, autoincrement=False)
    time: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200))
    data: Mapped[str]  # canonical JSON: the bytes that are hashed
    hash: Mapped[str] = mapped_column(DIGEST)


class CheckpointRow(Base):
    __tablename__ = "checkpoint"
    log: Mapped[str] = mapped_column(STATE, primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[str] = mapped_column(DIGEST)
    note: Mapped[str]
    time: Mapped[datetime]
    __table_args__ = (one_of("log", "audit", "chain"),)


class CosignatureRow(Base):
    __tablename__ = "cosignature"
    log: Mapped[str] = mapped_column(STATE, primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    partner: Mapped[str] = mapped_column(PARTNER, ForeignKey("partner.id"), primary_key=True)
    document: Mapped[str]
    received_at: Mapped[datetime]


class BlockRow(Base):
    """The chain's block hashes as first seen: a chain that rewrites one is found out."""

    __tablename__ = "block"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(DIGEST)


class DocumentRow(Base):
    """Signed results and commitments of jobs, and the model records."""

    __tablename__ = "document"
    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    signer: Mapped[str] = mapped_column(PARTNER, primary_key=True)
    job: Mapped[str] = mapped_column(DIGEST, index=True)
    kind: Mapped[str] = mapped_column(String(64))
    document: Mapped[str]
    received_at: Mapped[datetime]


class CommandRow(Base):
    """Commands and node requests that were carried out: the same key again gets the same answer again."""

    __tablename__ = "command"
    actor: Mapped[str] = mapped_column(String(80), primary_key=True)  # "person/<name>" or "node/<partner>"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(DIGEST)
    reply_kind: Mapped[str] = mapped_column(String(64))
    reply_head: Mapped[str]
    reply_body: Mapped[bytes]
    done_at: Mapped[datetime]
