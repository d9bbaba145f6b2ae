"""Repository of the journal and of the chain intents: the two records that must always agree.

Made from a transaction's session, like `store_settlement`. The journal is kept as transfers, which can't be out of
balance; balances are summed by the database, and `revenue_share.ledger` computes the same from the entries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, or_, select, true, union_all, update
from sqlalchemy.orm import Session

from hub.ledger_errors import PeriodLocked, PeriodPending
from hub.store_unit import next_number
from hub.tables_ledger import AccountRow, EntryRow, PeriodLockRow, TransferRow
from hub.tables_settlement import IntentRow, StatementRow
from privacy.ids import Digest, Period
from revenue_share import accounts, ledger
from revenue_share.ledger import Balance, Dated, EntryState, JournalEntry, Transfer

OPEN, DONE, FAILED = "OPEN", "DONE", "FAILED"
ACCOUNT, ENTRY, TRANSFER, LOCK = (
    AccountRow.metadata.tables[row.__tablename__] for row in (AccountRow, EntryRow, TransferRow, PeriodLockRow)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which part of the journal is asked for.

    `instant`: as it stood then (now where None); `first`, `last`: periods, both included; `account`: this account, or
    all of this class.
    """

    instant: datetime | None = None
    first: Period | None = None
    last: Period | None = None
    account: str | None = None


EVERYTHING = View()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A chain transaction that was decided: `raw` are the signed bytes, the same at every sending.

    It is a step of a `statement`, or hands in a `checkpoint` (log and size); the other is None.
    """

    number: int
    kind: str
    statement: Digest | None
    sender: str
    nonce: int
    raw: bytes
    transaction: str
    state: str = OPEN
    error: str = ""
    block: int | None = None
    checkpoint: tuple[str, int] | None = None

    @property
    def subject(self) -> str:
        """What it is about, for people: a statement's first digits, or log/size."""
        if self.statement is not None:
            return self.statement[:16]
        assert self.checkpoint is not None, "the table's check"
        return "/".join(map(str, self.checkpoint))


class LedgerStore:
    """Journal entries by their subject, balances, period locks; and intents by their order."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- entries

    def add_entry(self, entry: JournalEntry, now: datetime) -> None:
        """Keep a pending entry. Raises PeriodLocked."""
        self.add_entries((entry,), now)

    def add_entries(self, entries: Sequence[JournalEntry], now: datetime) -> None:
        """Keep pending entries, in their order, by one statement a table. Raises PeriodLocked."""
        if not entries:
            return
        self._check_open(min(entry.period for entry in entries))
        first = next_number(self._session, EntryRow)
        rows = [_entry_row(entry, first + place, now) for place, entry in enumerate(entries)]
        moves = [_transfer_row(entry.id, i, m) for entry in entries for i, m in enumerate(ledger.transfers(entry))]
        self._open_accounts({(move[side], move["asset"]) for move in moves for side in ("debit", "credit")})
        self._session.execute(insert(ENTRY), rows)
        self._session.execute(insert(TRANSFER), moves)

    def post(self, entry: JournalEntry, now: datetime) -> JournalEntry:
        """Keep an entry and post it at once. Raises PeriodLocked."""
        self.add_entry(entry, now)
        return self.decide_entry(entry, EntryState.POSTED, now)

    def post_all(self, entries: Sequence[JournalEntry], now: datetime) -> None:
        """Keep entries and post them at once, by one statement a table and step. Raises PeriodLocked."""
        self.add_entries(entries, now)
        if entries:
            where = ENTRY.c.id == bindparam("entry")
            posted = update(ENTRY).where(where).values(state=EntryState.POSTED.value, decided_at=now)
            self._session.execute(posted, [{"entry": entry.id} for entry in entries])

    def decide(self, subject: str, state: EntryState, now: datetime) -> tuple[JournalEntry, ...]:
        """Post or void every pending entry of a subject; gives them as they are now. Raises PeriodLocked."""
        pending = [entry for entry in self.entries(subject) if entry.state is EntryState.PENDING]
        return tuple(self.decide_entry(entry, state, now) for entry in pending)

    def decide_entry(self, entry: JournalEntry, state: EntryState, now: datetime) -> JournalEntry:
        """Post or void one pending entry. Raises EntryTransition, PeriodLocked."""
        made = entry.become(state)
        if state is EntryState.POSTED:
            self._check_open(entry.period)
        values = {"state": made.state.value, "decided_at": now}
        done: Any = self._session.execute(update(ENTRY).where(ENTRY.c.id == entry.id).values(values))
        assert done.rowcount == 1, "an entry that is decided is in the journal"
        return made

    def entries(self, subject: str | None = None) -> tuple[JournalEntry, ...]:
        """The journal in its order; of one subject where given."""
        where = EntryRow.subject == subject if subject is not None else true()
        return tuple(dated.entry for dated in self._dated(where))

    def journal(self, view: View = EVERYTHING, newest: int | None = None) -> tuple[Dated, ...]:
        """The entries of a view in their order, with their times; only the newest so many where given."""
        return self._dated(_in_view(view), newest)

    def count(self, view: View = EVERYTHING) -> int:
        """How many entries a view has."""
        return int(self._session.scalars(select(func.count()).select_from(EntryRow).where(_in_view(view))).one())

    def balances(self, view: View = EVERYTHING, state: EntryState = EntryState.POSTED) -> tuple[Balance, ...]:
        """Sums by (account, asset) over the view's entries in the state, pending or posted, made by the database."""
        wanted = and_(_in_view(view), _stood(state, view.instant))
        debits, credits = (
            select(column.label("account"), TRANSFER.c.asset, debit.label("debit"), credit.label("credit"))
            .select_from(TRANSFER)
            .join(ENTRY, ENTRY.c.id == TRANSFER.c.entry)
            .where(wanted)
            for column, debit, credit in (
                (TRANSFER.c.debit, TRANSFER.c.amount_minor, TRANSFER.c.amount_minor * 0),
                (TRANSFER.c.credit, TRANSFER.c.amount_minor * 0, TRANSFER.c.amount_minor),
            )
        )
        sides = union_all(debits, credits).subquery()
        sums = (sides.c.account, sides.c.asset, func.sum(sides.c.debit), func.sum(sides.c.credit))
        query = select(*sums).group_by(sides.c.account, sides.c.asset).order_by(sides.c.account, sides.c.asset)
        found = self._session.execute(query.where(_named(sides.c.account, view.account))).all()
        return tuple(
            Balance(account=account, asset=asset, debit_minor=int(debit), credit_minor=int(credit))
            for account, asset, debit, credit in found
        )

    def points_owed(self, agreement: str) -> int:
        """The points that posted entries of an agreement's statements leave owed to clients."""
        of_agreement = ENTRY.c.subject.in_(select(StatementRow.id).where(StatementRow.agreement == agreement))
        posted = and_(of_agreement, ENTRY.c.state == EntryState.POSTED.value)
        sums = [
            select(func.coalesce(func.sum(TRANSFER.c.amount_minor), 0))
            .join(ENTRY, ENTRY.c.id == TRANSFER.c.entry)
            .where(posted, side == accounts.POINTS_LIABILITY)
            for side in (TRANSFER.c.credit, TRANSFER.c.debit)
        ]
        owed, gone = (int(self._session.scalars(query).one()) for query in sums)
        return owed - gone

    # --- period locks

    def locked(self) -> Period | None:
        """The newest locked period; it and all before are closed."""
        found = self._session.scalars(select(func.max(PeriodLockRow.period))).one()
        return Period(found) if found else None

    def lock(self, period: Period, person: str, now: datetime) -> None:
        """Lock the books up to and with a period. Raises PeriodLocked, PeriodPending."""
        self._check_open(period)
        pending = and_(EntryRow.state == EntryState.PENDING.value, EntryRow.period <= period)
        found = self._session.scalars(select(EntryRow.id).where(pending).order_by(EntryRow.number)).all()
        if found:
            raise PeriodPending(period=period, count=len(found), entry=found[0][:40])
        self._session.execute(insert(LOCK), [{"period": period, "person": person, "locked_at": now}])

    def _check_open(self, period: Period) -> None:
        locked = self.locked()
        if locked is not None and period <= locked:
            raise PeriodLocked(period=period, locked=locked)

    def _open_accounts(self, named: set[tuple[str, str]]) -> None:
        """Make the rows of accounts that no entry named before."""
        known = {(name, asset) for name, asset in self._session.execute(select(ACCOUNT.c.name, ACCOUNT.c.asset))}
        if new := sorted(named - known):
            self._session.execute(insert(ACCOUNT), [{"name": name, "asset": asset} for name, asset in new])

    def _dated(self, where: ColumnElement[bool], newest: int | None = None) -> tuple[Dated, ...]:
        query = select(ENTRY).where(where).order_by(ENTRY.c.number.desc()).limit(newest)
        rows = self._session.execute(query).all()[::-1]
        moves: dict[str, list[Transfer]] = {}
        query = select(TRANSFER).join(ENTRY, ENTRY.c.id == TRANSFER.c.entry).where(where)
        if rows and newest is not None:
            query = query.where(ENTRY.c.number >= rows[0].number)
        for row in self._session.execute(query.order_by(TRANSFER.c.transfer_index)):
            moves.setdefault(row.entry, []).append(
                Transfer(debit=row.debit, credit=row.credit, asset=row.asset, amount_minor=row.amount_minor)
            )
        return tuple(_dated(row, moves[row.id]) for row in rows)

    # --- chain intents

    def add_intent(self, intent: Intent, now: datetime) -> None:
        log, size = intent.checkpoint or (None, None)
        self._session.add(
            IntentRow(
                number=intent.number,
                kind=intent.kind,
                statement=intent.statement,
                log=log,
                size=size,
                sender=intent.sender,
                nonce=intent.nonce,
                raw=intent.raw,
                transaction=intent.transaction,
                state=OPEN,
                created_at=now,
            )
        )
        self._session.flush()

    def again(self, intent: Intent) -> Intent | None:
        """Open the failed intent of the very same bytes again, and give it; None where there is none.

        What a chain did not admit, for want of a fee or of a place, it may admit later: the same call under the same
        number and key is the same transaction.
        """
        ours = (IntentRow.transaction == intent.transaction) & (IntentRow.state == FAILED)
        opened = update(IntentRow).where(ours).values(state=OPEN, error="", ended_at=None)
        done: Any = self._session.execute(opened)
        if not done.rowcount:
            return None
        known = IntentRow.transaction == intent.transaction
        return _intent(self._session.scalars(select(IntentRow).where(known)).one())

    def next_intent_number(self) -> int:
        return next_number(self._session, IntentRow)

    def intents(self, *, statement: str | None = None, state: str | None = None) -> tuple[Intent, ...]:
        """Intents in the order they were decided."""
        query = select(IntentRow).order_by(IntentRow.number)
        if statement is not None:
            query = query.where(IntentRow.statement == statement)
        if state is not None:
            query = query.where(IntentRow.state == state)
        return tuple(_intent(row) for row in self._session.scalars(query))

    def newest_done(self, sender: str) -> Intent | None:
        """An account's newest transaction that the books hold as sealed."""
        mine = (IntentRow.sender == sender) & (IntentRow.state == DONE)
        row = self._session.scalars(select(IntentRow).where(mine).order_by(IntentRow.nonce.desc()).limit(1)).first()
        return None if row is None else _intent(row)

    def newest_anchored(self) -> Intent | None:
        """The newest transaction that handed in a checkpoint and was sealed, whatever the contract."""
        anchored = IntentRow.log.is_not(None) & (IntentRow.state == DONE)
        newest = select(IntentRow).where(anchored).order_by(IntentRow.number.desc()).limit(1)
        row = self._session.scalars(newest).first()
        return None if row is None else _intent(row)

    def end_intent(self, number: int, state: str, now: datetime, *, block: int | None = None, error: str = "") -> bool:
        """Close an open intent; False where it was closed before."""
        row = self._session.get_one(IntentRow, number)
        if row.state != OPEN:
            return False
        row.state, row.ended_at, row.block, row.error = state, now, block, error
        self._session.flush()
        return True


def _entry_row(entry: JournalEntry, number: int, now: datetime) -> dict[str, Any]:
    assert entry.state is EntryState.PENDING, "an entry begins pending"
    return {
        "id": entry.id,
        "number": number,
        "subject": entry.subject,
        "memo": entry.memo,
        "period": entry.period,
        "state": entry.state.value,
        "reverses": entry.reverses or None,
        "created_at": now,
    }


def _transfer_row(entry: str, index: int, move: Transfer) -> dict[str, Any]:
    return {
        "entry": entry,
        "transfer_index": index,
        "debit": move.debit,
        "credit": move.credit,
        "asset": move.asset,
        "amount_minor": move.amount_minor,
    }


def _dated(row: Any, moves: Iterable[Transfer]) -> Dated:
    made = JournalEntry(
        id=row.id,
        subject=row.subject,
        memo=row.memo,
        period=Period(row.period),
        postings=ledger.from_transfers(moves),
        state=EntryState(row.state),
        reverses=row.reverses or "",
    )
    return Dated(entry=made, recorded_at=row.created_at, decided_at=row.decided_at)


def _in_view(view: View) -> ColumnElement[bool]:
    """SQL: whether an entry of the journal belongs to a view."""
    wanted = [ENTRY.c.created_at <= view.instant] if view.instant is not None else []
    if view.first is not None:
        wanted.append(ENTRY.c.period >= view.first)
    if view.last is not None:
        wanted.append(ENTRY.c.period <= view.last)
    if view.account is not None:
        sides = or_(_named(TRANSFER.c.debit, view.account), _named(TRANSFER.c.credit, view.account))
        wanted.append(ENTRY.c.id.in_(select(TRANSFER.c.entry).where(sides)))
    return and_(true(), *wanted)


def _named(column: ColumnElement[str], account: str | None) -> ColumnElement[bool]:
    """SQL: whether a column names the account, or one of its class."""
    if account is None:
        return true()
    return or_(column == account, func.substr(column, 1, len(account) + 1) == account + ":")


def _stood(state: EntryState, instant: datetime | None) -> ColumnElement[bool]:
    """SQL: whether an entry stood pending or posted at an instant, now where None."""
    if instant is None:
        return ENTRY.c.state == state.value
    if state is EntryState.PENDING:
        return or_(ENTRY.c.decided_at.is_(None), ENTRY.c.decided_at > instant)
    return and_(ENTRY.c.state == state.value, ENTRY.c.decided_at <= instant)


def _intent(row: IntentRow) -> Intent:
    return Intent(
        number=row.number,
        kind=row.kind,
        statement=None if row.statement is None else Digest(row.statement),
        sender=row.sender,
        nonce=row.nonce,
        raw=row.raw,
        transaction=row.transaction,
        state=row.state,
        error=row.error,
        block=row.block,
        checkpoint=None if row.log is None or row.size is None else (row.log, row.size),
    )
