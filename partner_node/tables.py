"""The node's tables. What the node promises (one answer an id, one decision a job) is also a database constraint.

ORM rows never leave `store`, `sessions` and `consent`. Instants are ISO 8601 text in UTC (partner_node.times).
"""

from sqlalchemy import CheckConstraint, LargeBinary, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION = 14

_NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's own declaration form


class Schema(Base):
    __tablename__ = "schema"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]


class InboxRow(Base):
    """A request of the hub and the reply it got. The body goes when the hub has acknowledged it."""

    __tablename__ = "inbox"
    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    kind: Mapped[str]
    received: Mapped[str]
    reply_kind: Mapped[str]
    reply_head: Mapped[bytes]
    reply_body: Mapped[bytes]
    acked: Mapped[bool] = mapped_column(default=False)


class OutboxRow(Base):
    """A request of this node to the hub, kept until it is answered."""

    __tablename__ = "outbox"
    __table_args__ = (CheckConstraint("state IN ('OPEN','ANSWERED','REFUSED')", name="state"),)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    head: Mapped[bytes]
    body: Mapped[bytes]
    created: Mapped[str]
    state: Mapped[str] = mapped_column(default="OPEN")
    reply_head: Mapped[bytes | None]


class ProposalRow(Base):
    __tablename__ = "proposal"
    digest: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    body: Mapped[bytes]
    received: Mapped[str]
    expires: Mapped[str]


class EndRow(Base):
    """How a job ended, as the hub told: shown to people; its session ends with it, nothing else follows."""

    __tablename__ = "job_end"
    digest: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    reason: Mapped[bytes]
    time: Mapped[str]


class DecisionRow(Base):
    """What this node's own person answered; at most one answer a proposal."""

    __tablename__ = "decision"
    __table_args__ = (CheckConstraint("decision IN ('approve','refuse')", name="decision"),)
    digest: Mapped[str] = mapped_column(primary_key=True)
    decision: Mapped[str]
    person: Mapped[str]
    time: Mapped[str]
    approval: Mapped[bytes]  # the Signed document


class PeerRow(Base):
    """A card that this node's people checked and pinned."""

    __tablename__ = "peer"
    partner: Mapped[str] = mapped_column(primary_key=True)
    card: Mapped[bytes]
    pinned: Mapped[str]


class SessionRow(Base):
    """The state of a running job; secrets inside, deleted at the job's end."""

    __tablename__ = "session"
    job: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    step: Mapped[int]
    state: Mapped[bytes]
    updated: Mapped[str]


class SequenceRow(Base):
    """Next envelope number of each (job, peer, direction)."""

    __tablename__ = "sequence"
    job: Mapped[str] = mapped_column(primary_key=True)
    peer: Mapped[str] = mapped_column(primary_key=True)
    outward: Mapped[bool] = mapped_column(primary_key=True)
    next: Mapped[int]


class AlignedRow(Base):
    """One common client of an alignment: place, token, and the keyed hash that finds its row again."""

    __tablename__ = "aligned"
    __table_args__ = (UniqueConstraint("job", "token"),)
    job: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str]
    row_key: Mapped[bytes]


class SharedRow(Base):
    """Rows that a match left in one blob a job: of mode rows the shared clients, of align-hidden the whole union.

    row_keys: 32 bytes each, the keyed hash that finds a row again; zeros where it is not this side's. tokens: 16 bytes
    each, or none.
    """

    __tablename__ = "shared"
    job: Mapped[str] = mapped_column(primary_key=True)
    row_keys: Mapped[bytes]
    tokens: Mapped[bytes]


class LabelsRow(Base):
    """What another party said of the shared clients of a match (mode labels), in the order of their SharedRow.

    length: bytes a label, filled with zero bytes; whoever made them may have entered bytes that are no text.
    """

    __tablename__ = "shared_labels"
    __table_args__ = (CheckConstraint("length > 0", name="length"),)
    job: Mapped[str] = mapped_column(primary_key=True)
    length: Mapped[int]
    labels: Mapped[bytes]


class CountedRow(Base):
    """A match of mode count-then-rows: the number that was counted, and what this node's people decided on the rows."""

    __tablename__ = "counted"
    __table_args__ = (CheckConstraint("decision IN ('agree','refuse')", name="decision"),)
    job: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    decision: Mapped[str | None]
    person: Mapped[str | None]
    time: Mapped[str | None]


class ConsentRow(Base):
    """One client's permission for one purpose. `client` is HMAC-SHA256(local key, normalised id): no id is stored."""

    __tablename__ = "consent"
    client: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[str]
    withdrawn: Mapped[str | None]


class ConsentChangeRow(Base):
    """An import or withdrawal of consent records. The largest number tells whether anything changed since."""

    __tablename__ = "consent_change"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    time: Mapped[str]
    action: Mapped[str]  # "import" | "withdraw"
    purpose: Mapped[str]
    clients: Mapped[int]


class AnswerRow(Base):
    """An answer of the consent desk: who was let read what, or why not."""

    __tablename__ = "answer"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    time: Mapped[str]
    job: Mapped[str]
    purpose: Mapped[str]
    asset: Mapped[str]
    columns: Mapped[str]
    outcome: Mapped[str]  # "GRANTED" or the code of the refusal


class ScoreVectorRow(Base):
    """Score vectors that a run disclosed to a label holder over these columns: a lifetime ledger, booked in advance."""

    __tablename__ = "score_vector"
    run: Mapped[str] = mapped_column(primary_key=True)
    asset: Mapped[str]
    columns: Mapped[bytes]  # canonical JSON list of names, sorted
    label_holder: Mapped[str]
    count: Mapped[int]
    time: Mapped[str]


class RoundKeyRow(Base):
    """What a run keeps between requests under names: a horizontal one keys, shares and what was spent
    (federation.horizontal.keys), a vertical one the pieces of its session that never change (federation.vertical).

    A name is one of its job's; all of a job goes when the job is over. SQLite overwrites a deleted cell, but leaves
    copies of cells it moved before within a page. `room` fills the part of a row that lies in such pages with zeros, so
    that a secret `value`, which must stay the last column, lies in overflow pages alone: these never move, and are
    overwritten as a whole.
    """

    __tablename__ = "round_key"
    job: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    room: Mapped[bytes]
    value: Mapped[bytes]


class ReleaseRow(Base):
    """One upload that carried noise, booked before it left. Never deleted: the budget is over an asset's lifetime."""

    __tablename__ = "privacy_release"
    __table_args__ = (CheckConstraint("multiplier_milli > 0", name="multiplier"),)
    job: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    asset: Mapped[str]
    multiplier_milli: Mapped[int]  # the noise multiplier in thousandths
    time: Mapped[str]


class CountReleaseRow(Base):
    """A match whose count carries noise of this side, booked before its list left. Never deleted, as above."""

    __tablename__ = "count_release"
    __table_args__ = (CheckConstraint("epsilon_milli > 0 AND delta_log10 < 0", name="terms"),)
    job: Mapped[str] = mapped_column(primary_key=True)
    asset: Mapped[str]
    epsilon_milli: Mapped[int]
    delta_log10: Mapped[int]
    time: Mapped[str]


class ResultFileRow(Base):
    """A file of a job's result that is not in the results folder yet (partner_node.result_files)."""

    __tablename__ = "result_file"
    job: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    data: Mapped[bytes]


class ReceiptRow(Base):
    """What the hub confirmed under its log key."""

    __tablename__ = "receipt"
    digest: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[bytes]
    received: Mapped[str]


class CosignedRow(Base):
    """Every checkpoint this node co-signed. Sizes of a log only grow."""

    __tablename__ = "cosigned"
    log: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True)
    root: Mapped[str]
    note: Mapped[str]
    cosignature: Mapped[bytes]
    time: Mapped[str]


class ResultRow(Base):
    """A job's result as this node signed it."""

    __tablename__ = "result"
    job: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    document: Mapped[bytes]
    file: Mapped[str | None]  # what this node wrote for its own people, relative to its results folder
    time: Mapped[str]


class MappingRow(Base):
    """Which columns of an asset are which standard features, as the last mapping file that passed its checks said."""

    __tablename__ = "mapping"
    asset: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[bytes]
    time: Mapped[str]
