"""Repository over disputes, answers and adjustments of this node; frozen values out, like `store_settlement`."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Signed
from partner_node.settlement_errors import AdjustmentNotHere
from partner_node.tables import OutboxRow
from partner_node.tables_settlement import AdjustmentRow, DisputeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    document: Signed
    answer: Signed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    document: Signed
    decision: Signed | None

    @property
    def approved(self) -> bool:
        return self.decision is not None and self.decision.body["decision"] == "approve"


def keep_dispute(session: Session, document: Signed, now: str) -> None:
    """Keep a dispute once."""
    if session.get(DisputeRow, document.digest) is None:
        statement = str(document.body["statement"])
        row = DisputeRow(digest=document.digest, statement=statement, document=document.encode(), answer=None, time=now)
        session.add(row)


def keep_answer(session: Session, dispute: str, document: Signed) -> None:
    row = session.get(DisputeRow, dispute)
    if row is not None and row.answer is None:
        row.answer = document.encode()


def disputes(session: Session, statement: str) -> list[Dispute]:
    """The disputes of a statement in the order they came."""
    rows = session.scalars(select(DisputeRow).where(DisputeRow.statement == statement).order_by(DisputeRow.time))
    return [
        Dispute(
            document=documents.decode(row.document, kind="dispute"),
            answer=documents.decode(row.answer, kind="answer") if row.answer else None,
        )
        for row in rows
    ]


def keep_adjustment(session: Session, document: Signed, now: str) -> None:
    """Keep an adjustment once."""
    if session.get(AdjustmentRow, document.digest) is None:
        agreement = str(document.body["agreement"])
        row = AdjustmentRow(
            digest=document.digest, agreement=agreement, document=document.encode(), decision=None, time=now
        )
        session.add(row)


def keep_decision(session: Session, adjustment: str, document: Signed) -> None:
    row = session.get(AdjustmentRow, adjustment)
    if row is not None and row.decision is None:
        row.decision = document.encode()


def adjustments(session: Session, agreement: str | None = None) -> list[Adjustment]:
    """Adjustments in the order they came; of one agreement where given."""
    query = select(AdjustmentRow).order_by(AdjustmentRow.time, AdjustmentRow.digest)
    if agreement is not None:
        query = query.where(AdjustmentRow.agreement == agreement)
    return [_adjustment(row) for row in session.scalars(query)]


def adjustment(session: Session, prefix: str) -> Adjustment:
    """The adjustment of a digest or its first 8 digits or more. Raises AdjustmentNotHere."""
    known = len(prefix) >= 8 and not set(prefix) - set("0123456789abcdef")
    query = select(AdjustmentRow).where(AdjustmentRow.digest.startswith(prefix)).limit(2)
    rows = session.scalars(query).all() if known else []
    if len(rows) != 1:
        raise AdjustmentNotHere(adjustment=prefix[:64])
    return _adjustment(rows[0])


def arrived(session: Session, item: Adjustment) -> bool:
    """Whether the hub has taken this node's own part of it: its decision, or as payer the document it was shown."""
    if item.decision is None:
        return False
    sent = session.scalar(select(OutboxRow.state).where(OutboxRow.id == f"adjustment.decide/{item.decision.digest}"))
    return sent in (None, "ANSWERED")


def _adjustment(row: AdjustmentRow) -> Adjustment:
    return Adjustment(
        document=documents.decode(row.document, kind="adjustment"),
        decision=documents.decode(row.decision, kind="adjustment-decision") if row.decision else None,
    )
