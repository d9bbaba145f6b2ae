"""Repository of jobs: proposals with their approvals, relayed envelopes, result documents."""

import hashlib
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, delete, func, select, update

from ecowire import documents
from hub.records import Approval, Document, Envelope, Head, Proposal
from hub.store_unit import Repository
from hub.tables import ApprovalRow, DocumentRow, EnvelopeRow, ProposalRow
from privacy import canonical
from privacy.ids import Digest, PartnerId

_columns = ProposalRow.__table__.columns
STATE = select(_columns.state).where(_columns.digest == bindparam("digest"))  # asked at every step of a run

PROGRESS = update(ProposalRow).where(_columns.digest == bindparam("job")).values(progress=bindparam("shown"))


class JobStore(Repository):
    """What was proposed, who agreed, what came of it."""

    def proposal(self, digest: str) -> Proposal | None:
        row = self._session.get(ProposalRow, digest)
        return _proposal(row) if row else None

    def state(self, digest: str) -> str | None:
        """A proposal's state alone."""
        return self._connection.scalars(STATE, {"digest": digest}).one_or_none()

    def find(self, prefix: str) -> tuple[Digest, ...]:
        """Up to two digests that begin with `prefix`: two mean that it is ambiguous."""
        query = select(ProposalRow.digest).where(ProposalRow.digest.startswith(prefix, autoescape=True)).limit(2)
        return tuple(Digest(found) for found in self._session.scalars(query))

    def proposals(
        self, *, kind: str | None = None, states: tuple[str, ...] = (), expired_at: datetime | None = None
    ) -> tuple[Proposal, ...]:
        """Proposals, oldest first; of one kind, in some states, due to expire by an instant, where given."""
        query = select(ProposalRow).order_by(ProposalRow.created_at, ProposalRow.digest)
        if kind is not None:
            query = query.where(ProposalRow.kind == kind)
        if states:
            query = query.where(ProposalRow.state.in_(states))
        if expired_at is not None:
            query = query.where(ProposalRow.expires_at <= expired_at)
        return tuple(_proposal(row) for row in self._session.scalars(query))

    def add_proposal(self, proposal: Proposal) -> None:
        row = ProposalRow(
            digest=proposal.digest,
            kind=proposal.kind,
            body=canonical.encode(proposal.body).decode(),
            proposer=proposal.proposer,
            state=proposal.state,
            reason=canonical.encode(proposal.reason).decode(),
            progress=canonical.encode(proposal.progress).decode(),
            created_at=proposal.created_at,
            expires_at=proposal.expires_at,
        )
        self._session.add(row)
        self._session.flush()

    def move(self, proposal: Proposal, state: str, now: datetime, reason: Head | None = None) -> Proposal:
        """Write a state that the caller has checked against the transitions; gives the proposal as it is now."""
        row = self._session.get_one(ProposalRow, proposal.digest)
        assert row.state == proposal.state, "the proposal changed inside this transaction"
        row.state = state
        row.reason = canonical.encode(reason or {}).decode()
        if state == "RUNNING":
            row.started_at = row.started_at or now  # a resumed run keeps its beginning
        if state not in ("PROPOSED", "APPROVED", "RUNNING", "PAUSED"):
            row.ended_at = now
        self._session.flush()
        return _proposal(row)

    def set_progress(self, proposal: Proposal, progress: Head) -> Proposal:
        row = self._session.get_one(ProposalRow, proposal.digest)
        row.progress = canonical.encode(progress).decode()
        self._session.flush()
        return replace(proposal, progress=progress)

    def show_progress(self, digest: str, progress: Head) -> None:
        """The same of a proposal that this transaction has not read: its body is large, and rounds may be many."""
        self._connection.execute(PROGRESS, {"job": digest, "shown": canonical.encode(progress).decode()})

    def add_approval(self, approval: Approval) -> None:
        row = ApprovalRow(
            proposal=approval.proposal,
            partner=approval.partner,
            decision=approval.decision,
            document=approval.document.encode().decode(),
            received_at=approval.received_at,
        )
        self._session.add(row)
        self._session.flush()

    def approvals(self, proposal: str) -> tuple[Approval, ...]:
        """The decisions on a proposal, by partner."""
        query = select(ApprovalRow).where(ApprovalRow.proposal == proposal).order_by(ApprovalRow.partner)
        return tuple(_approval(row) for row in self._session.scalars(query))

    def add_envelope(self, envelope: Envelope) -> None:
        self._session.add(
            EnvelopeRow(
                job=envelope.job,
                sender=envelope.sender,
                recipient=envelope.recipient,
                sequence=envelope.sequence,
                arrival=envelope.arrival,
                size=envelope.size,
                digest=envelope.digest,
                data=envelope.data,
            )
        )
        self._session.flush()

    def next_sequence(self, job: str, sender: str, recipient: str) -> int:
        """The sequence number that the sender's next envelope to this recipient must bear."""
        query = select(func.count()).where(
            EnvelopeRow.job == job, EnvelopeRow.sender == sender, EnvelopeRow.recipient == recipient
        )
        return int(self._session.scalars(query).one())

    def envelopes(self, job: str) -> int:
        """How many envelopes the job has seen."""
        return int(self._session.scalars(select(func.count()).where(EnvelopeRow.job == job)).one())

    def waiting_envelopes(self, job: str, recipient: str, bytes_max: int) -> tuple[Envelope, ...]:
        """The recipient's undelivered envelopes in the order of arrival, as many as fit (at least one)."""
        query = (
            select(EnvelopeRow.sender, EnvelopeRow.sequence, EnvelopeRow.size)
            .where(EnvelopeRow.job == job, EnvelopeRow.recipient == recipient, EnvelopeRow.data.is_not(None))
            .order_by(EnvelopeRow.arrival)
        )
        chosen: list[Envelope] = []
        total = 0
        for sender, sequence, size in self._session.execute(query).all():
            if chosen and total + size > bytes_max:
                break
            total += size
            row = self._session.get_one(EnvelopeRow, (job, sender, recipient, sequence))
            chosen.append(_envelope(row))
        return tuple(chosen)

    def drop_envelope_data(self, envelopes: tuple[Envelope, ...]) -> None:
        """Forget the bytes; sizes and digests stay as the transcript."""
        for item in envelopes:
            key = (item.job, item.sender, item.recipient, item.sequence)
            self._session.get_one(EnvelopeRow, key).data = None
        self._session.flush()

    def transcript(self, job: str) -> Head:
        """Number, bytes and a digest over the digests of a job's envelopes, in the order they came."""
        query = select(EnvelopeRow.digest, EnvelopeRow.size).where(EnvelopeRow.job == job).order_by(EnvelopeRow.arrival)
        found = self._session.execute(query).all()
        whole = hashlib.sha256("".join(digest for digest, _ in found).encode()).hexdigest()
        return {"envelopes": len(found), "bytes": sum(size for _, size in found), "transcript": whole}

    def delete_envelopes(self, job: str) -> None:
        self._session.execute(update(EnvelopeRow).where(EnvelopeRow.job == job).values(data=None))
        self._session.execute(delete(EnvelopeRow).where(EnvelopeRow.job == job))

    def add_document(self, job: str, document: documents.Signed, now: datetime) -> bool:
        """Keep a signed document; False where it was kept before."""
        key = (document.digest, document.signer)
        if self._session.get(DocumentRow, key) is not None:
            return False
        text = document.encode().decode()
        row = DocumentRow(digest=key[0], signer=key[1], job=job, kind=document.kind, document=text, received_at=now)
        self._session.add(row)
        self._session.flush()
        return True

    def documents(self, job: str | None = None, kind: str | None = None) -> tuple[Document, ...]:
        """Documents in the order they came, then by digest; of one job or kind where given."""
        query = select(DocumentRow).order_by(DocumentRow.received_at, DocumentRow.digest)
        if job is not None:
            query = query.where(DocumentRow.job == job)
        if kind is not None:
            query = query.where(DocumentRow.kind == kind)
        return tuple(
            Document(job=row.job, document=documents.decode(row.document.encode()), received_at=row.received_at)
            for row in self._session.scalars(query)
        )


def _head(text: str) -> Head:
    value = canonical.decode(text.encode())
    assert isinstance(value, dict)
    return value


def _proposal(row: ProposalRow) -> Proposal:
    return Proposal(
        digest=Digest(row.digest),
        kind=row.kind,
        body=_head(row.body),
        proposer=row.proposer,
        state=row.state,
        reason=_head(row.reason or "{}"),
        progress=_head(row.progress),
        created_at=row.created_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _approval(row: ApprovalRow) -> Approval:
    return Approval(
        proposal=Digest(row.proposal),
        partner=PartnerId(row.partner),
        decision=row.decision,
        document=documents.decode(row.document.encode(), kind="approval"),
        received_at=row.received_at,
    )


def _envelope(row: EnvelopeRow) -> Envelope:
    return Envelope(
        job=Digest(row.job),
        sender=PartnerId(row.sender),
        recipient=PartnerId(row.recipient),
        sequence=row.sequence,
        arrival=row.arrival,
        size=row.size,
        digest=row.digest,
        data=row.data,
    )
