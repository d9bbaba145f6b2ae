"""Repositories over the node's tables: inbox, outbox, proposals, decisions, pinned peers, receipts, results.

Each function takes the session of a running transaction and returns frozen values. `sessions` holds what running jobs
keep, `consent` the consent records.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import IdempotencyConflict
from ecowire.stream import Message
from partner_node.database import raw
from partner_node.errors import AmbiguousJob, UnknownJob
from partner_node.outbound import check_size
from partner_node.tables import (
    CosignedRow,
    DecisionRow,
    EndRow,
    OutboxRow,
    PeerRow,
    ProposalRow,
    ReceiptRow,
    ResultRow,
)
from privacy import canonical
from privacy.ids import Digest, PartnerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A job somebody proposed to this node. `digest` was checked against the body on receipt."""

    digest: Digest
    kind: str
    body: Body
    received: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    digest: Digest
    decision: str  # "approve" | "refuse"
    person: str
    time: str
    approval: Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    job: Digest
    kind: str
    document: Signed
    file: str | None
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    log: str
    size: int
    root: bytes
    note: str
    cosignature: Signed


# Every request passes the inbox: its statements go to the driver; the ORM would cost more than all else done here.
STORED = "SELECT digest, reply_kind, reply_head, reply_body FROM inbox WHERE id = ?"
KEEP = (
    "INSERT INTO inbox (id, digest, kind, received, reply_kind, reply_head, reply_body, acked)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 0)"
)
ACKED = "UPDATE inbox SET acked = 1, reply_body = x'' WHERE id = ?"
OPEN = "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'OPEN')"


# --- inbox: one stored reply for each request id


def stored_reply(session: Session, request: Message) -> Message | None:
    """The reply stored for this request id, if any. Raises IdempotencyConflict where the content was another."""
    row = raw(session).execute(STORED, (request.id,)).fetchone()
    if row is None:
        return None
    digest, kind, head, body = row
    if digest != request.digest:
        raise IdempotencyConflict(id=request.id[:80])
    return request.reply(kind, _object(head), body)


def keep_reply(session: Session, request: Message, reply: Message, now: str) -> None:
    head = canonical.encode(reply.head)
    values = (request.id, request.digest, request.kind, now, reply.kind, head, reply.body)
    raw(session).execute(KEEP, values)


def acknowledge(session: Session, reply_ids: Sequence[str]) -> None:
    """The hub has stored these replies: their bodies are no longer needed here.

    They left the house, so whole pages of them need not be overwritten: that would take as long as writing them did.
    """
    if reply_ids:
        driver = raw(session)
        driver.execute("PRAGMA secure_delete=FAST").close()
        try:
            driver.executemany(ACKED, [(reply_id.removesuffix("/r"),) for reply_id in reply_ids])
        finally:
            driver.execute("PRAGMA secure_delete=ON").close()


# --- outbox: requests of this node, until the hub has answered


def enqueue(session: Session, request: Message, now: str) -> None:
    """Put a request into the outbox. The same request again changes nothing.

    Raises IdempotencyConflict, MessageTooLarge.
    """
    check_size(request)
    row = session.scalar(select(OutboxRow).where(OutboxRow.id == request.id))
    if row is not None:
        if _outgoing(row).digest != request.digest:
            raise IdempotencyConflict(id=request.id[:80])
        return
    head = canonical.encode(request.head)
    session.add(OutboxRow(id=request.id, kind=request.kind, head=head, body=request.body, created=now))


def has_open_requests(session: Session) -> bool:
    """Whether the hub has something of this node's still to answer."""
    session.flush()  # what this transaction has put there counts
    (found,) = raw(session).execute(OPEN).fetchone()
    return bool(found)


def open_requests(session: Session) -> list[Message]:
    """What the hub has not answered yet, oldest first."""
    rows = session.scalars(select(OutboxRow).where(OutboxRow.state == "OPEN").order_by(OutboxRow.number))
    return [_outgoing(row) for row in rows]


def settle_request(session: Session, request_id: str, *, refused: bool, head: Body) -> Message | None:
    """Record the hub's answer; the request it answers, or None where it was answered before or is unknown."""
    row = session.scalar(select(OutboxRow).where(OutboxRow.id == request_id, OutboxRow.state == "OPEN"))
    if row is None:
        return None
    request = _outgoing(row)
    row.state = "REFUSED" if refused else "ANSWERED"
    row.reply_head = canonical.encode(head)
    row.body = b""
    return request


def mark_refused(session: Session, request_id: str, *, head: Body) -> None:
    """The hub's answer to this request is not accepted here; `head` says why."""
    values = {"state": "REFUSED", "reply_head": canonical.encode(head)}
    session.execute(update(OutboxRow).where(OutboxRow.id == request_id).values(**values))


def request_outcomes(session: Session, kind: str) -> list[tuple[str, str, Body]]:
    """(id, state, reply head or {}) of this node's requests of one kind, oldest first."""
    rows = session.scalars(select(OutboxRow).where(OutboxRow.kind == kind).order_by(OutboxRow.number))
    return [(row.id, row.state, _object(row.reply_head) if row.reply_head else {}) for row in rows]


def refused_requests(session: Session) -> list[tuple[str, Body]]:
    """(id, failure head) of requests that were refused, oldest first."""
    rows = session.scalars(select(OutboxRow).where(OutboxRow.state == "REFUSED").order_by(OutboxRow.number))
    return [(row.id, _object(row.reply_head) if row.reply_head else {}) for row in rows]


def outbox_counts(session: Session) -> dict[str, int]:
    rows = session.execute(select(OutboxRow.state, func.count()).group_by(OutboxRow.state))
    return {row[0]: row[1] for row in rows}


# --- proposals, decisions, peers


def keep_proposal(session: Session, proposal: Proposal) -> None:
    """Store a proposal; one that is here already stays as it is (its digest is its identity)."""
    if session.get(ProposalRow, proposal.digest) is None:
        session.add(
            ProposalRow(
                digest=proposal.digest,
                kind=proposal.kind,
                body=canonical.encode(proposal.body),
                received=proposal.received,
                expires=proposal.expires,
            )
        )


def proposal(session: Session, job: str) -> Proposal:
    """The proposal with this digest, or the one whose digest begins so (8 digits at least).

    Raises UnknownJob or AmbiguousJob.
    """
    if len(job) < 8 or set(job) - set("0123456789abcdef"):
        raise UnknownJob(job=job[:80])
    rows = session.scalars(select(ProposalRow).where(ProposalRow.digest.startswith(job)).limit(2)).all()
    if not rows:
        raise UnknownJob(job=job[:80])
    if len(rows) > 1:
        raise AmbiguousJob(job=job, count=len(rows))
    return _proposal(rows[0])


def proposals(session: Session) -> list[Proposal]:
    """All proposals, oldest first."""
    return [_proposal(row) for row in session.scalars(select(ProposalRow).order_by(ProposalRow.received))]


def keep_end(session: Session, digest: str, state: str, reason: Body, now: str) -> None:
    """How a job of this node ended; nothing for a job that never came here."""
    if session.get(ProposalRow, digest) is not None:
        session.merge(EndRow(digest=digest, state=state, reason=canonical.encode(reason), time=now))


def end(session: Session, digest: str) -> tuple[str, Body] | None:
    """(state, reason) of a job that has ended as far as this node was told."""
    row = session.get(EndRow, digest)
    return (row.state, _object(row.reason)) if row else None


def keep_decision(session: Session, decision: Decision) -> None:
    session.add(
        DecisionRow(
            digest=decision.digest,
            decision=decision.decision,
            person=decision.person,
            time=decision.time,
            approval=decision.approval.encode(),
        )
    )


def decision(session: Session, digest: str) -> Decision | None:
    row = session.get(DecisionRow, digest)
    if row is None:
        return None
    approval = documents.decode(row.approval, kind="approval")
    return Decision(
        digest=Digest(row.digest), decision=row.decision, person=row.person, time=row.time, approval=approval
    )


def pin(session: Session, card: Signed, now: str) -> None:
    """Pin a card in place of any other of the same partner."""
    session.merge(PeerRow(partner=card.signer, card=card.encode(), pinned=now))


def pinned(session: Session, partner: str) -> Signed | None:
    row = session.get(PeerRow, partner)
    return documents.decode(row.card, kind="card") if row else None


def peers(session: Session) -> list[PartnerId]:
    return [PartnerId(name) for name in session.scalars(select(PeerRow.partner).order_by(PeerRow.partner))]


# --- receipts, results, co-signed checkpoints


def keep_receipt(session: Session, receipt: Signed, now: str) -> None:
    session.merge(ReceiptRow(digest=receipt.digest, document=receipt.encode(), received=now))


def receipts(session: Session) -> list[Signed]:
    rows = session.scalars(select(ReceiptRow.document).order_by(ReceiptRow.received, ReceiptRow.digest))
    return [documents.decode(data, kind="receipt") for data in rows]


def receipt_arrivals(session: Session) -> list[tuple[Signed, str]]:
    """Receipts with the time each came in."""
    rows = session.execute(select(ReceiptRow.document, ReceiptRow.received))
    return [(documents.decode(data, kind="receipt"), received) for data, received in rows]


def keep_result(session: Session, result: Result) -> None:
    session.merge(
        ResultRow(
            job=result.job,
            kind=result.kind,
            document=result.document.encode(),
            file=result.file,
            time=result.time,
        )
    )


def result(session: Session, job: str) -> Result | None:
    row = session.get(ResultRow, job)
    if row is None:
        return None
    document = documents.decode(row.document)
    return Result(job=Digest(row.job), kind=row.kind, document=document, file=row.file, time=row.time)


def last_cosigned(session: Session, log: str) -> Cosigned | None:
    """The largest checkpoint of a log that this node co-signed."""
    query = select(CosignedRow).where(CosignedRow.log == log).order_by(CosignedRow.size.desc()).limit(1)
    row = session.scalar(query)
    if row is None:
        return None
    return Cosigned(
        log=row.log,
        size=row.size,
        root=bytes.fromhex(row.root),
        note=row.note,
        cosignature=documents.decode(row.cosignature, kind="cosignature"),
    )


def keep_cosigned(session: Session, cosigned: Cosigned, now: str) -> None:
    session.merge(
        CosignedRow(
            log=cosigned.log,
            size=cosigned.size,
            root=cosigned.root.hex(),
            note=cosigned.note,
            cosignature=cosigned.cosignature.encode(),
            time=now,
        )
    )


def _proposal(row: ProposalRow) -> Proposal:
    return Proposal(
        digest=Digest(row.digest),
        kind=row.kind,
        body=_object(row.body),
        received=row.received,
        expires=row.expires,
    )


def _outgoing(row: OutboxRow) -> Message:
    return Message(id=row.id, kind=row.kind, head=_object(row.head), body=row.body)


def _object(data: bytes) -> Body:
    value = canonical.decode(data)
    assert isinstance(value, dict), "heads and bodies are stored as objects"
    return value
