"""Repository of payment: details of accounts, payment files, orders.

Made from a transaction's session, like `store_settlement`. Gives frozen values; rows stay here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.records import Head
from hub.store_unit import begins, next_number, to_head, to_text
from hub.tables_payments import PaymentDetailsRow, PaymentFileRow, PaymentOrderRow
from privacy.ids import Digest, PartnerId, Period

PROPOSED, ACTIVE, REPLACED, REFUSED = "PROPOSED", "ACTIVE", "REPLACED", "REFUSED"
ORDERED, SETTLED, RETURNED, RELEASED = "ORDERED", "SETTLED", "RETURNED", "RELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Where a partner is paid, or pays from, in one currency."""

    digest: str
    partner: PartnerId
    currency: str
    body: Head
    state: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFile:
    digest: str
    period: Period
    number: int
    format: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOrder:
    """One attempt to pay a statement; `settled_by`, `ended_by`: the matches that paid it, and took that back."""

    end_to_end_id: str
    statement: Digest
    attempt: int
    file: str
    creditor: PartnerId
    currency: str
    amount_minor: int
    due: date
    account: str = ""
    counterparty: str = ""
    name: str = ""
    details: str | None = None
    state: str = ORDERED
    settled_by: str | None = None
    ended_by: str | None = None
    payout: str | None = None
    payout_salt: str | None = None


class PaymentStore:
    """Where partners are paid, and what was ordered to be paid."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- payment details

    def add_details(self, made: Details) -> None:
        row = PaymentDetailsRow(
            digest=made.digest,
            number=next_number(self._session, PaymentDetailsRow),
            partner=made.partner,
            currency=made.currency,
            body=to_text(made.body),
            state=made.state,
            proposed_by=made.proposed_by,
            proposed_at=made.proposed_at,
        )
        self._session.add(row)
        self._session.flush()

    def details(self, *, partner: str | None = None, states: Sequence[str] = ()) -> tuple[Details, ...]:
        """Details in the order they were proposed."""
        query = select(PaymentDetailsRow).order_by(PaymentDetailsRow.number)
        if partner is not None:
            query = query.where(PaymentDetailsRow.partner == partner)
        if states:
            query = query.where(PaymentDetailsRow.state.in_(states))
        return tuple(_details(row) for row in self._session.scalars(query))

    def find_details(self, prefix: str) -> Details | None:
        """The details of a digest, or of a beginning of at least 8 digits that only one has."""
        row = begins(self._session, PaymentDetailsRow.digest, prefix)
        return _details(row) if row else None

    def active_details(self, partner: str, currency: str) -> Details | None:
        found = [one for one in self.details(partner=partner, states=(ACTIVE,)) if one.currency == currency]
        return found[0] if found else None

    def decide_details(self, made: Details, state: str, person: str, now: datetime) -> None:
        """ACTIVE takes the place of the one before; the caller checked that another person decides."""
        old = self.active_details(made.partner, made.currency)
        if state == ACTIVE and old is not None:
            self._session.get_one(PaymentDetailsRow, old.digest).state = REPLACED
            self._session.flush()
        row = self._session.get_one(PaymentDetailsRow, made.digest)
        row.state, row.decided_by, row.decided_at = state, person, now
        self._session.flush()

    # --- payment files and orders

    def add_payment_file(self, file: PaymentFile, orders: Sequence[PaymentOrder], now: datetime) -> None:
        """Keep a file with what it orders."""
        self._session.add(
            PaymentFileRow(
                digest=file.digest,
                period=file.period,
                number=file.number,
                format=file.format,
                data=file.data,
                created_at=now,
            )
        )
        self._session.flush()
        self._session.add_all(PaymentOrderRow(**_order_row(order)) for order in orders)
        self._session.flush()

    def payment_files(self, period: str) -> tuple[PaymentFile, ...]:
        query = select(PaymentFileRow).where(PaymentFileRow.period == period).order_by(PaymentFileRow.number)
        return tuple(
            PaymentFile(
                digest=row.digest, period=Period(row.period), number=row.number, format=row.format, data=row.data
            )
            for row in self._session.scalars(query)
        )

    def orders(self, *, statement: str | None = None, states: Sequence[str] = ()) -> tuple[PaymentOrder, ...]:
        """Orders by statement and attempt."""
        query = select(PaymentOrderRow).order_by(PaymentOrderRow.statement, PaymentOrderRow.attempt)
        if statement is not None:
            query = query.where(PaymentOrderRow.statement == statement)
        if states:
            query = query.where(PaymentOrderRow.state.in_(states))
        return tuple(_order(row) for row in self._session.scalars(query))

    def order(self, name: str) -> PaymentOrder | None:
        """The order of an EndToEndId, or of a beginning of at least 8 digits that only one has."""
        row = self._session.get(PaymentOrderRow, name) or begins(self._session, PaymentOrderRow.end_to_end_id, name)
        return _order(row) if row else None

    def living(self, statement: str) -> PaymentOrder | None:
        """The order by which a statement is being paid, or was."""
        found = self.orders(statement=statement, states=(ORDERED, SETTLED))
        return found[0] if found else None

    def settle_order(self, order: PaymentOrder, match: str, payout: str, salt: str) -> None:
        row = self._session.get_one(PaymentOrderRow, order.end_to_end_id)
        row.state, row.settled_by, row.payout, row.payout_salt = SETTLED, match, payout, salt
        self._session.flush()

    def end_order(self, order: PaymentOrder, state: str, match: str) -> None:
        """RETURNED or RELEASED: the statement may be ordered again."""
        row = self._session.get_one(PaymentOrderRow, order.end_to_end_id)
        row.state, row.ended_by = state, match
        self._session.flush()


def _details(row: PaymentDetailsRow) -> Details:
    return Details(
        digest=row.digest,
        partner=PartnerId(row.partner),
        currency=row.currency,
        body=to_head(row.body),
        state=row.state,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
    )


_ORDER = tuple(PaymentOrder.__dataclass_fields__)


def _order_row(order: PaymentOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in _ORDER} | {"due": order.due.isoformat()}


def _order(row: PaymentOrderRow) -> PaymentOrder:
    return PaymentOrder(**{name: getattr(row, name) for name in _ORDER} | {"due": date.fromisoformat(row.due)})
