"""Repository of the journal and of the chain intents: the two records that must always agree.

Made from a transaction's session, like `store_settlement`. The journal is kept as transfers, which can't be out of
balance; `trial_balance` of what is read back is computed by the pure ledger.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.tables_settlement import EntryRow, IntentRow, TransferRow
from privacy.ids import Digest
from revenue_share import ledger
from revenue_share.ledger import EntryState, JournalEntry, Transfer

OPEN, DONE, FAILED = "OPEN", "DONE", "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A chain transaction that was decided: `raw` are the signed bytes, the same at every sending."""

    number: int
    kind: str
    statement: Digest
    sender: str
    nonce: int
    raw: bytes
    transaction: str
    state: str = OPEN
    error: str = ""
    block: int | None = None


class LedgerStore:
    """Journal entries by their subject, and intents by their order."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_entry(self, entry: JournalEntry, now: datetime) -> None:
        number = int(self._session.scalars(select(func.coalesce(func.max(EntryRow.number), 0))).one()) + 1
        self._session.add(
            EntryRow(
                id=entry.id,
                number=number,
                subject=entry.subject,
                memo=entry.memo,
                state=entry.state.value,
                reverses=entry.reverses or None,
                created_at=now,
            )
        )
        self._session.flush()
        self._session.add_all(
            TransferRow(
                entry=entry.id,
                index=index,
                debit=move.debit,
                credit=move.credit,
                asset=move.asset,
                amount_minor=move.amount_minor,
            )
            for index, move in enumerate(ledger.transfers(entry))
        )
        self._session.flush()

    def entries(self, subject: str | None = None) -> tuple[JournalEntry, ...]:
        """The journal in its order; of one statement where given."""
        query = select(EntryRow).order_by(EntryRow.number)
        moves = select(TransferRow).order_by(TransferRow.entry, TransferRow.index)
        if subject is not None:
            query = query.where(EntryRow.subject == subject)
            moves = moves.join(EntryRow, EntryRow.id == TransferRow.entry).where(EntryRow.subject == subject)
        by_entry: dict[str, list[Transfer]] = {}
        for row in self._session.scalars(moves):
            move = Transfer(debit=row.debit, credit=row.credit, asset=row.asset, amount_minor=row.amount_minor)
            by_entry.setdefault(row.entry, []).append(move)
        return tuple(
            JournalEntry(
                id=row.id,
                subject=row.subject,
                memo=row.memo,
                postings=ledger.from_transfers(by_entry[row.id]),
                state=EntryState(row.state),
                reverses=row.reverses or "",
            )
            for row in self._session.scalars(query)
        )

    def decide(self, subject: str, state: EntryState, now: datetime) -> tuple[JournalEntry, ...]:
        """Post or void every pending entry of a statement; gives them as they are now."""
        decided = []
        for entry in self.entries(subject):
            if entry.state is EntryState.PENDING:
                made = entry.become(state)
                row = self._session.get_one(EntryRow, entry.id)
                row.state, row.decided_at = made.state.value, now
                decided.append(made)
        self._session.flush()
        return tuple(decided)

    # --- chain intents

    def add_intent(self, intent: Intent, now: datetime) -> None:
        self._session.add(
            IntentRow(
                number=intent.number,
                kind=intent.kind,
                statement=intent.statement,
                sender=intent.sender,
                nonce=intent.nonce,
                raw=intent.raw,
                transaction=intent.transaction,
                state=OPEN,
                created_at=now,
            )
        )
        self._session.flush()

    def next_intent_number(self) -> int:
        return int(self._session.scalars(select(func.coalesce(func.max(IntentRow.number), 0))).one()) + 1

    def intents(self, *, statement: str | None = None, state: str | None = None) -> tuple[Intent, ...]:
        """Intents in the order they were decided."""
        query = select(IntentRow).order_by(IntentRow.number)
        if statement is not None:
            query = query.where(IntentRow.statement == statement)
        if state is not None:
            query = query.where(IntentRow.state == state)
        return tuple(_intent(row) for row in self._session.scalars(query))

    def end_intent(self, number: int, state: str, now: datetime, *, block: int | None = None, error: str = "") -> bool:
        """Close an open intent; False where it was closed before."""
        row = self._session.get_one(IntentRow, number)
        if row.state != OPEN:
            return False
        row.state, row.ended_at, row.block, row.error = state, now, block, error
        self._session.flush()
        return True


def _intent(row: IntentRow) -> Intent:
    return Intent(
        number=row.number,
        kind=row.kind,
        statement=Digest(row.statement),
        sender=row.sender,
        nonce=row.nonce,
        raw=row.raw,
        transaction=row.transaction,
        state=row.state,
        error=row.error,
        block=row.block,
    )
