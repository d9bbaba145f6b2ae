"""Repository of a statement's life: its maker and checker, answers to disputes, adjustments, its closing position.

Made from a transaction's session, like `store_settlement`. Everything here only grows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Signed
from hub.store_unit import next_number
from hub.tables_settlement import DisputeRow, StatementRow
from hub.tables_statements import (
    AdjustedRow,
    AdjustmentDecisionRow,
    AdjustmentRow,
    AnswerRow,
    CheckRow,
    MakerRow,
    PositionRow,
)
from privacy.ids import PartnerId

RELEASED, REJECTED = "released", "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """A person who did something to a statement: name, SHA-256 of the personal certificate, when, and what."""

    person: str
    certificate: str
    at: datetime
    decision: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    dispute: str
    partner: PartnerId
    document: Signed
    receipt: Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """`decision` is "approve", "refuse" or empty; `decided` the referrer's document with the hub's receipt for it."""

    document: Signed
    receipt: Signed
    decision: str = ""
    decided: Signed | None = None
    decided_receipt: Signed | None = None


class StatementLife:
    """Who did what to a statement."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- maker and checker

    def add_maker(self, statement: str, hand: Hand) -> None:
        self._session.add(
            MakerRow(statement=statement, person=hand.person, certificate=hand.certificate, made_at=hand.at)
        )
        self._session.flush()

    def maker(self, statement: str) -> Hand | None:
        """Who closed the period; None for a statement that was made before hubs wrote it down."""
        row = self._session.get(MakerRow, statement)
        return Hand(person=row.person, certificate=row.certificate, at=row.made_at) if row else None

    def add_check(self, statement: str, maker: Hand, hand: Hand) -> None:
        self._session.add(
            CheckRow(
                statement=statement,
                decision=hand.decision,
                maker=maker.person,
                person=hand.person,
                certificate=hand.certificate,
                reason=hand.reason,
                checked_at=hand.at,
            )
        )
        self._session.flush()

    def check(self, statement: str) -> Hand | None:
        """Who released or rejected it."""
        row = self._session.get(CheckRow, statement)
        if row is None:
            return None
        return Hand(
            person=row.person, certificate=row.certificate, at=row.checked_at, decision=row.decision, reason=row.reason
        )

    # --- answers to disputes

    def add_answer(self, answer: Answer, now: datetime) -> None:
        self._session.add(
            AnswerRow(
                dispute=answer.dispute,
                partner=answer.partner,
                document=answer.document.encode().decode(),
                receipt=answer.receipt.encode().decode(),
                received_at=now,
            )
        )
        self._session.flush()

    def answers(self, statement: str) -> dict[str, Answer]:
        """The answers to a statement's disputes, by the dispute's digest."""
        query = select(AnswerRow).join(DisputeRow, DisputeRow.digest == AnswerRow.dispute)
        rows = self._session.scalars(query.where(DisputeRow.statement == statement))
        return {
            row.dispute: Answer(
                dispute=row.dispute,
                partner=PartnerId(row.partner),
                document=documents.decode(row.document.encode()),
                receipt=documents.decode(row.receipt.encode()),
            )
            for row in rows
        }

    # --- adjustments

    def add_adjustment(self, agreement: str, document: Signed, receipt: Signed, now: datetime) -> None:
        self._session.add(
            AdjustmentRow(
                digest=document.digest,
                number=next_number(self._session, AdjustmentRow),
                agreement=agreement,
                document=document.encode().decode(),
                receipt=receipt.encode().decode(),
                received_at=now,
            )
        )
        self._session.flush()

    def add_decision(self, adjustment: str, decision: str, document: Signed, receipt: Signed, now: datetime) -> None:
        self._session.add(
            AdjustmentDecisionRow(
                adjustment=adjustment,
                decision=decision,
                document=document.encode().decode(),
                receipt=receipt.encode().decode(),
                received_at=now,
            )
        )
        self._session.flush()

    def adjustment(self, digest: str) -> Adjustment | None:
        return next(iter(self._adjustments(AdjustmentRow.digest == digest)), None)

    def adjustments(self, agreement: str) -> tuple[Adjustment, ...]:
        """The adjustments of an agreement in the order they came."""
        return self._adjustments(AdjustmentRow.agreement == agreement)

    def take_adjustments(self, statement: str, digests: Iterable[str]) -> None:
        """Note that these stand in a statement."""
        self._session.add_all(AdjustedRow(statement=statement, adjustment=digest) for digest in digests)
        self._session.flush()

    def taken(self, agreement: str, but: str = "") -> frozenset[str]:
        """Adjustments of an agreement that stand in a statement that is not void, nor `but`."""
        query = select(AdjustedRow.adjustment).join(StatementRow, StatementRow.id == AdjustedRow.statement)
        living = StatementRow.state != "VOID"
        of_agreement = (StatementRow.agreement == agreement, StatementRow.id != but, living)
        return frozenset(self._session.scalars(query.where(*of_agreement)))

    def of_statement(self, statement: str) -> tuple[Adjustment, ...]:
        """The adjustments that stand in a statement, in the order they came."""
        inside = select(AdjustedRow.adjustment).where(AdjustedRow.statement == statement)
        return self._adjustments(AdjustmentRow.digest.in_(inside))

    def _adjustments(self, which: ColumnElement[bool]) -> tuple[Adjustment, ...]:
        """Adjustments with the word on each, in the order they came."""
        decided = AdjustmentDecisionRow.adjustment == AdjustmentRow.digest
        query = select(AdjustmentRow, AdjustmentDecisionRow).outerjoin(AdjustmentDecisionRow, decided).where(which)
        rows = self._session.execute(query.order_by(AdjustmentRow.number))
        return tuple(_adjustment(row, decision) for row, decision in rows)

    # --- positions

    def add_position(self, statement: str, digest: str, value: bytes) -> None:
        """Keep a statement's closing position, canonical JSON."""
        self._session.add(PositionRow(statement=statement, digest=digest, value=value.decode()))
        self._session.flush()

    def position(self, statement: str) -> bytes | None:
        """The closing position of a statement; None for one of version 1."""
        row = self._session.get(PositionRow, statement)
        return row.value.encode() if row else None


def _adjustment(row: AdjustmentRow, decided: AdjustmentDecisionRow | None) -> Adjustment:
    return Adjustment(
        document=documents.decode(row.document.encode()),
        receipt=documents.decode(row.receipt.encode()),
        decision=decided.decision if decided else "",
        decided=documents.decode(decided.document.encode()) if decided else None,
        decided_receipt=documents.decode(decided.receipt.encode()) if decided else None,
    )
