"""Repository of settlement: reports, statements, confirmations, disputes.

Made from a transaction's session: `SettlementStore(tx.session)`. Gives frozen values; ORM rows stay here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Signed
from hub.records import Head
from hub.store_unit import next_number
from hub.tables_settlement import (
    ConfirmationRow,
    DisputeRow,
    LineRow,
    ReferredRow,
    ReportedEventRow,
    ReportRow,
    StatementRow,
)
from privacy import canonical
from privacy.ids import Digest, PartnerId, Period

LIVING = ("DRAFT", "PROPOSED", "DISPUTED", "FINAL", "PAID", "ACKED")
_BATCH = 500  # values in one IN list
_REPORTS = 16  # documents read at once: each may have 256 KiB
ROWS_AT_ONCE = 2_000  # of one INSERT: a statement of a million lines is never all in memory
LINE = LineRow.metadata.tables[LineRow.__tablename__]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    number: int
    kind: str
    period: str
    document: Signed
    receipt: Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRecord:
    """A statement as stored: `anchor` is its EIP-712 digest (64 hex digits), `closes_at` the window's end."""

    id: Digest
    number: int
    agreement: Digest
    period: Period
    state: str
    body: Head
    total_salt: bytes
    anchor: str
    closes_at: datetime | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    partner: PartnerId
    signature: str
    document: Signed
    receipt: Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    partner: PartnerId
    document: Signed
    receipt: Signed
    received_at: datetime


class SettlementStore:
    """What was reported, computed, confirmed and disputed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- reports

    def report(self, digest: str) -> Report | None:
        row = self._session.get(ReportRow, digest)
        return _report(row) if row else None

    def add_report(
        self, agreement: str, period: str, document: Signed, receipt: Signed, names: Sequence[str], now: datetime
    ) -> None:
        """Keep a report with its tokens (referrals) or event ids (events), which the caller checked with `known`."""
        digest = document.digest
        row = ReportRow(
            digest=digest,
            number=next_number(self._session, ReportRow),
            kind=document.kind,
            agreement=agreement,
            partner=document.signer,
            period=period,
            document=document.encode().decode(),
            receipt=receipt.encode().decode(),
            received_at=now,
        )
        self._session.add(row)
        self._session.flush()
        table: Any = ReferredRow if document.kind == "referrals" else ReportedEventRow
        column = "token" if document.kind == "referrals" else "event"
        rows = [{"agreement": agreement, column: name, "report": digest} for name in names]
        self._session.execute(insert(table.__table__), rows)

    def known(self, agreement: str, kind: str, names: Sequence[str]) -> frozenset[str]:
        """Which of these tokens (kind "referrals") or event ids (kind "events") were reported under the agreement."""
        table: Any = ReferredRow if kind == "referrals" else ReportedEventRow
        column = ReferredRow.token if kind == "referrals" else ReportedEventRow.event
        found: set[str] = set()
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            found |= set(self._session.scalars(select(column).where(table.agreement == agreement, column.in_(batch))))
        return frozenset(found)

    def reports(self, agreement: str, kind: str, period: str | None = None) -> tuple[Report, ...]:
        """Reports in the order they came; events of one period where given."""
        return tuple(self.each_report(agreement, kind, period))

    def each_report(self, agreement: str, kind: str, period: str | None = None) -> Iterator[Report]:
        """The same one by one, for whoever needs each of many documents once."""
        query = select(ReportRow).where(ReportRow.agreement == agreement, ReportRow.kind == kind)
        if period is not None:
            query = query.where(ReportRow.period == period)
        found = self._session.scalars(query.order_by(ReportRow.number).execution_options(yield_per=_REPORTS))
        return (_report(row) for row in found)

    def reported_before(self, agreement: str, period: str) -> tuple[str, ...]:
        """The earlier periods of which events were reported, ascending."""
        query = select(ReportRow.period).where(ReportRow.agreement == agreement, ReportRow.kind == "events")
        return tuple(
            self._session.scalars(query.where(ReportRow.period < period).distinct().order_by(ReportRow.period))
        )

    # --- statements

    def add_statement(self, record: StatementRecord, lines: Iterable[tuple[str, str]]) -> None:
        """Keep a draft with its lines as (canonical JSON, salt as hex), which are read as they are stored."""
        self._session.add(
            StatementRow(
                id=record.id,
                number=record.number,
                agreement=record.agreement,
                period=record.period,
                state=record.state,
                body=canonical.encode(record.body).decode(),
                total_salt=record.total_salt.hex(),
                anchor=record.anchor,
                closes_at=record.closes_at,
                created_at=record.created_at,
                changed_at=record.changed_at,
            )
        )
        self._session.flush()
        rows = (
            {"statement": record.id, "line_index": index, "line": line, "salt": salt}
            for index, (line, salt) in enumerate(lines)
        )
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            self._session.execute(insert(LINE), batch)

    def next_statement_number(self) -> int:
        return next_number(self._session, StatementRow)

    def statement(self, statement_id: str) -> StatementRecord | None:
        row = self._session.get(StatementRow, statement_id)
        return _statement(row) if row else None

    def find(self, prefix: str) -> tuple[Digest, ...]:
        """Up to two statement ids that begin with `prefix`."""
        query = select(StatementRow.id).where(StatementRow.id.startswith(prefix, autoescape=True)).limit(2)
        return tuple(Digest(found) for found in self._session.scalars(query))

    def statements(
        self, *, agreement: str | None = None, period: str | None = None, states: Sequence[str] = ()
    ) -> tuple[StatementRecord, ...]:
        """Statements in the order they were drafted."""
        query = select(StatementRow).order_by(StatementRow.number)
        if agreement is not None:
            query = query.where(StatementRow.agreement == agreement)
        if period is not None:
            query = query.where(StatementRow.period == period)
        if states:
            query = query.where(StatementRow.state.in_(states))
        return tuple(_statement(row) for row in self._session.scalars(query))

    def living(self, agreement: str, period: str) -> StatementRecord | None:
        """The statement of an agreement and period that is neither void nor reversed."""
        found = self.statements(agreement=agreement, period=period, states=LIVING)
        assert len(found) <= 1, "two living statements for one agreement and period"
        return found[0] if found else None

    def set_state(self, record: StatementRecord, state: str, now: datetime, closes_at: datetime | None = None) -> None:
        """Write a state that the caller has checked against `revenue_share.statement.TRANSITIONS`."""
        row = self._session.get_one(StatementRow, record.id)
        assert row.state == record.state, "the statement changed inside this transaction"
        row.state, row.changed_at = state, now
        row.closes_at = closes_at or row.closes_at
        self._session.flush()

    def lines(self, statement_id: str) -> tuple[tuple[Head, bytes], ...]:
        """(line, salt) in order."""
        query = select(LineRow.line, LineRow.salt).where(LineRow.statement == statement_id).order_by(LineRow.index)
        return tuple((_head(line), bytes.fromhex(salt)) for line, salt in self._session.execute(query).all())

    # --- confirmations and disputes

    def add_confirmation(
        self, statement_id: str, signature: str, document: Signed, receipt: Signed, now: datetime
    ) -> None:
        self._session.add(
            ConfirmationRow(
                statement=statement_id,
                partner=document.signer,
                signature=signature,
                document=document.encode().decode(),
                receipt=receipt.encode().decode(),
                received_at=now,
            )
        )
        self._session.flush()

    def confirmations(self, statement_id: str) -> tuple[Confirmation, ...]:
        query = select(ConfirmationRow).where(ConfirmationRow.statement == statement_id)
        return tuple(
            Confirmation(
                partner=PartnerId(row.partner),
                signature=row.signature,
                document=documents.decode(row.document.encode()),
                receipt=documents.decode(row.receipt.encode()),
            )
            for row in self._session.scalars(query.order_by(ConfirmationRow.partner))
        )

    def add_dispute(self, statement_id: str, document: Signed, receipt: Signed, now: datetime) -> None:
        self._session.add(
            DisputeRow(
                digest=document.digest,
                statement=statement_id,
                partner=document.signer,
                document=document.encode().decode(),
                receipt=receipt.encode().decode(),
                received_at=now,
            )
        )
        self._session.flush()

    def disputes(self, statement_id: str) -> tuple[Dispute, ...]:
        query = select(DisputeRow).where(DisputeRow.statement == statement_id)
        return tuple(
            Dispute(
                partner=PartnerId(row.partner),
                document=documents.decode(row.document.encode()),
                receipt=documents.decode(row.receipt.encode()),
                received_at=row.received_at,
            )
            for row in self._session.scalars(query.order_by(DisputeRow.received_at, DisputeRow.digest))
        )


def _report(row: ReportRow) -> Report:
    return Report(
        number=row.number,
        kind=row.kind,
        period=row.period,
        document=documents.decode(row.document.encode(), kind=row.kind),
        receipt=documents.decode(row.receipt.encode(), kind="receipt"),
    )


def _statement(row: StatementRow) -> StatementRecord:
    return StatementRecord(
        id=Digest(row.id),
        number=row.number,
        agreement=Digest(row.agreement),
        period=Period(row.period),
        state=row.state,
        body=_head(row.body),
        total_salt=bytes.fromhex(row.total_salt),
        anchor=row.anchor,
        closes_at=row.closes_at,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def _head(text: str) -> Head:
    value = canonical.decode(text.encode())
    assert isinstance(value, dict)
    return value
