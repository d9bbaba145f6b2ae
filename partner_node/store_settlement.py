"""Repository over the node's settlement tables; frozen values out, like `store`."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from partner_node.settlement_errors import StatementAmbiguous, StatementNotHere
from partner_node.tables import AlignedRow, OutboxRow
from partner_node.tables_settlement import PositionRow, ReportRow, StatementRow
from privacy import canonical
from privacy.ids import Digest

ACCEPTED, REFUSED = "ANSWERED", "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRecord:
    """One checked statement. `differences` is empty where the verdict is "matches"."""

    id: Digest
    agreement: Digest
    period: str
    sequence: int
    anchor: str
    body: Body
    lines: tuple[Body, ...]
    verdict: str
    differences: tuple[Body, ...]
    decision: str
    person: str
    decided: str
    document: Signed | None
    state: str
    transactions: tuple[str, ...]
    received: str

    @property
    def on_chain(self) -> bool:
        return bool(self.transactions)


def keep_report(session: Session, document: Signed, agreement: str, period: str, now: str) -> None:
    """Keep a report once."""
    if session.scalar(select(ReportRow.number).where(ReportRow.digest == document.digest)) is None:
        session.add(
            ReportRow(
                digest=document.digest,
                kind=document.kind,
                agreement=agreement,
                period=period,
                document=document.encode(),
                time=now,
            )
        )


def reports(session: Session, agreement: str, kind: str) -> list[Signed]:
    """Reports of an agreement in the order they were made or came."""
    query = select(ReportRow).where(ReportRow.agreement == agreement, ReportRow.kind == kind)
    rows = session.scalars(query.order_by(ReportRow.number))
    return [documents.decode(row.document, kind=kind) for row in rows]


def own_reports(session: Session, agreement: str, kind: str) -> list[tuple[Signed, str]]:
    """This node's reports with the state of each one's latest request: OPEN, ANSWERED or REFUSED."""
    states: dict[str, str] = {}
    query = select(OutboxRow.id, OutboxRow.state).where(OutboxRow.kind == kind).order_by(OutboxRow.number)
    for request_id, state in session.execute(query):
        states[request_id.split("/")[1]] = state
    return [(doc, states[doc.digest]) for doc in reports(session, agreement, kind) if doc.digest in states]


def sent(session: Session, request_id: str) -> str | None:
    """The state of a request to the hub; None where it was never made, or refused."""
    state = session.scalar(select(OutboxRow.state).where(OutboxRow.id == request_id))
    return None if state == REFUSED else state


def attempts(session: Session, kind: str, digest: str) -> int:
    """How often a report with this digest has been sent."""
    query = select(OutboxRow.id).where(OutboxRow.kind == kind, OutboxRow.id.startswith(f"{kind}/{digest}/"))
    return len(session.scalars(query).all())


def alignments(session: Session) -> list[Digest]:
    """The match jobs whose alignment this node holds."""
    return [Digest(job) for job in session.scalars(select(AlignedRow.job).distinct().order_by(AlignedRow.job))]


def keep_statement(session: Session, record: StatementRecord) -> None:
    """Keep a statement. One that came before is checked anew until a person has decided on it: what this node knows
    grows, and a first disclosure that came too early, or with other lines, must not spoil the true one for good."""
    known = session.get(StatementRow, record.id)
    if known is not None:
        if not known.decision:
            known.lines, known.verdict = canonical.encode(list(record.lines)), record.verdict
            known.differences = canonical.encode(list(record.differences))
        return
    session.add(
        StatementRow(
            id=record.id,
            agreement=record.agreement,
            period=record.period,
            sequence=record.sequence,
            anchor=record.anchor,
            body=canonical.encode(record.body),
            lines=canonical.encode(list(record.lines)),
            verdict=record.verdict,
            differences=canonical.encode(list(record.differences)),
            document=None,
            state=record.state,
            transactions=canonical.encode(list(record.transactions)),
            received=record.received,
        )
    )


def statement(session: Session, prefix: str) -> StatementRecord:
    """The statement of an id or its first 8 digits or more. Raises StatementNotHere, StatementAmbiguous."""
    if len(prefix) < 8 or set(prefix) - set("0123456789abcdef"):
        raise StatementNotHere(statement=prefix[:64])
    rows = session.scalars(select(StatementRow).where(StatementRow.id.startswith(prefix)).limit(2)).all()
    if not rows:
        raise StatementNotHere(statement=prefix[:64])
    if len(rows) > 1:
        raise StatementAmbiguous(statement=prefix)
    return _record(rows[0])


def statements(session: Session, agreement: str | None = None) -> list[StatementRecord]:
    """Statements in the order they came."""
    query = select(StatementRow).order_by(StatementRow.received, StatementRow.sequence, StatementRow.id)
    if agreement is not None:
        query = query.where(StatementRow.agreement == agreement)
    return [_record(row) for row in session.scalars(query)]


def decide(session: Session, statement_id: str, decision: str, person: str, document: Signed, now: str) -> None:
    row = session.get_one(StatementRow, statement_id)
    row.decision, row.person, row.decided, row.document = decision, person, now, document.encode()


def keep_position(session: Session, statement_id: str, value: bytes) -> None:
    """Keep the position that a matched statement hands on, once: it does not change."""
    if session.get(PositionRow, statement_id) is None:
        session.flush()  # the statement's own row comes first
        session.add(PositionRow(statement=statement_id, value=value))


def position(session: Session, statement_id: str) -> bytes | None:
    """The position that a statement hands on; None where this node has none of it."""
    row = session.get(PositionRow, statement_id)
    return row.value if row else None


def set_state(session: Session, statement_id: str, state: str, transactions: tuple[str, ...]) -> None:
    """What the hub told became of a statement."""
    row = session.get_one(StatementRow, statement_id)
    row.state, row.transactions = state, canonical.encode(list(transactions))


def _record(row: StatementRow) -> StatementRecord:
    body = canonical.decode(row.body)
    assert isinstance(body, dict), "bodies are stored as objects"
    return StatementRecord(
        id=Digest(row.id),
        agreement=Digest(row.agreement),
        period=row.period,
        sequence=row.sequence,
        anchor=row.anchor,
        body=body,
        lines=tuple(_objects(row.lines)),
        verdict=row.verdict,
        differences=tuple(_objects(row.differences)),
        decision=row.decision,
        person=row.person,
        decided=row.decided,
        document=documents.decode(row.document) if row.document else None,
        state=row.state,
        transactions=tuple(_texts(row.transactions)),
        received=row.received,
    )


def _objects(data: bytes) -> list[Body]:
    value = canonical.decode(data)
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, dict)]


def _texts(data: bytes) -> list[str]:
    value = canonical.decode(data)
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, str)]
