"""Closing a period: reports become accrual lines, lines a statement, the statement a pending entry.

All in one transaction, in the name of the person who closes; another one releases what is drafted here to the
partners (`settlement_release`). A disputed draft is made void by the next close, together with its pending entry; its
replacement takes the same place. A statement that was made void on the chain is followed by its replacement, which
names it.
"""

from datetime import datetime

from contracts import settlement as chain_settlement
from contracts.keys import parse_address
from ecowire import codec_settlement
from hub import settlement_disputes, times
from hub import settlement_terms as terms
from hub.identity import Caller
from hub.line_spool import LineSpool
from hub.records import Head
from hub.services import Reply, Services, only
from hub.settlement_errors import (
    EarlierPeriodOpen,
    EarlierStatementOpen,
    JournalDiffers,
    LaterPeriodClosed,
    NothingToClose,
    PeriodClosed,
    PeriodNotOver,
)
from hub.store import Transaction
from hub.store_ledger import LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from hub.store_statements import Hand, StatementLife
from privacy import canonical
from privacy.ids import Period, parse_period
from revenue_share import ledger, periods, statement
from revenue_share.agreement import Agreement
from revenue_share.dispute import Adjustment
from revenue_share.drawing import Drawn, after_version_1, brought_forward, draw_up
from revenue_share.ledger import EntryState
from revenue_share.position import Position
from revenue_share.referral import EventReport, ReferralReport
from revenue_share.statement import NO_DIGEST, Place, Salts, State, Statement
from revenue_share.terms import Terms

SETTLED = tuple(state.value for state in (State.FINAL, State.PAID, State.ACKED))


def close(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Draft the statements of a period, of one agreement where given.

    Raises PeriodNotOver, PeriodClosed, LaterPeriodClosed, EarlierPeriodOpen, EarlierStatementOpen, AgreementUnknown,
    AgreementNotActive, JournalDiffers, NothingToClose.
    """
    only(head, "period", "agreement")
    period = parse_period(head.get("period"))
    maker = Hand(person=caller.name, certificate=caller.fingerprint, at=now)
    if head.get("agreement"):
        made = [_draft(services, tx, maker, terms.active(tx, head["agreement"]), period)]
    else:
        made = [_draft(services, tx, maker, agreement, period) for agreement in _closable(tx, period)]
    drafted = [record for record in made if record is not None]
    if not drafted:
        for agreement in terms.all_active(tx):
            check_open(tx, agreement.digest, period)
        raise NothingToClose(period=period)
    return Reply(head={"period": period, "statements": [_line(record) for record in drafted]})


def _closable(tx: Transaction, period: Period) -> list[Agreement]:
    """Active agreements of which the period can still be drafted: no living statement, no later one, or disputed."""
    found = []
    for agreement in terms.all_active(tx):
        try:
            check_open(tx, agreement.digest, period)
        except (PeriodClosed, LaterPeriodClosed):
            continue  # another agreement's month may be open; `close` says it where none is
        found.append(agreement)
    return found


def _draft(
    services: Services, tx: Transaction, maker: Hand, agreement: Agreement, period: Period
) -> StatementRecord | None:
    now, end = maker.at, periods.period_bounds(period, agreement.zone)[1]
    if now < end:
        raise PeriodNotOver(period=period, end=times.iso(end))
    old = check_open(tx, agreement.digest, period)
    _require_earlier(tx, agreement, period)
    place, opening = next_place(tx, agreement, period, old)
    if old is not None:
        settlement_disputes.require_answered(tx, old)
    adjusted = settlement_disputes.agreed(tx, agreement, old)
    drawn = _drawn(tx, terms.terms_of(tx, agreement), period, opening, adjusted)
    if not drawn.lines:
        return None
    if old is not None:
        terms.move(services, tx, old, State.VOID, now, {"replaced": True})
        LedgerStore(tx.session).decide(old.id, EntryState.VOIDED, now)
        terms.announce(tx, agreement, old, State.VOID.value, now)
    salts = Salts(lines=tuple(services.entropy(32) for _ in range(len(drawn.lines))), total=services.entropy(32))
    with LineSpool() as spool:
        made = statement.build(agreement, period, place, drawn.lines, salts, drawn.step, spool.add)
        return _keep(services, tx, agreement, made, drawn, salts, spool, maker)


def check_open(tx: Transaction, agreement: str, period: Period) -> StatementRecord | None:
    """Raises PeriodClosed or LaterPeriodClosed unless a month can still be drafted; its disputed draft where one is.

    Months go forward only: a month that was passed over would count what was referred after its end, and nothing
    would bring its balance forward. One that had a statement, which was made void, may be drafted again.
    """
    books = SettlementStore(tx.session)
    living = books.living(agreement, period)
    if living is not None and living.state != State.DISPUTED.value:
        raise PeriodClosed(period=period, statement=living.id[:16], state=living.state)
    if not books.statements(agreement=agreement, period=period):
        for record in books.statements(agreement=agreement):
            if record.period > period and record.state != State.VOID.value:
                raise LaterPeriodClosed(period=period, later=record.period, statement=record.id[:16])
    return living


def _require_earlier(tx: Transaction, agreement: Agreement, period: Period) -> None:
    """A month with events that never had a statement comes first: it could not be closed after this one."""
    books = SettlementStore(tx.session)
    for earlier in books.reported_before(agreement.digest, period):
        if not books.statements(agreement=agreement.digest, period=earlier):
            raise EarlierPeriodOpen(earlier=earlier, period=period)


def _drawn(
    tx: Transaction, terms_: Terms, period: Period, opening: Position, adjusted: tuple[Adjustment, ...]
) -> Drawn:
    """What the reports that are there come to."""
    books, agreement = SettlementStore(tx.session), terms_.digest
    referred, income = books.each_report(agreement, "referrals"), books.each_report(agreement, "events", period)
    referrals = [r for report in referred for r in ReferralReport.from_body(report.document.body).referrals]
    events = [e for report in income for e in EventReport.from_body(report.document.body).events]
    return draw_up(terms_, referrals, events, period, opening, adjusted)


def next_place(
    tx: Transaction, agreement: Agreement, period: Period, drafted: StatementRecord | None
) -> tuple[Place, Position]:
    """The place after the agreement's last statement that the chain knows, and the position that one handed on.

    drafted: this period's own draft, which has no place on the chain. Raises EarlierStatementOpen while another
    period's statement is not settled: its digest and position are not certain.
    """
    last, opening, replaces = None, Position.empty(), NO_DIGEST
    for record in SettlementStore(tx.session).statements(agreement=agreement.digest):
        on_chain = terms.on_chain(tx, record)
        if not on_chain and (record.state == State.VOID.value or record == drafted):
            continue
        if record.state not in SETTLED and record.state != State.VOID.value:
            raise EarlierStatementOpen(statement=record.id[:16], period=record.period, state=record.state)
        last = record
        if record.state != State.VOID.value:
            opening, replaces = closing_of(tx, record), NO_DIGEST
        elif record.period == period:
            replaces = record.anchor
    brought = brought_forward(Terms.of(agreement), opening)
    if last is None:
        return Place(brought_forward_minor=brought), opening
    sequence = terms.value_of(last).place.sequence + 1
    place = Place(sequence=sequence, previous=last.anchor, replaces=replaces, brought_forward_minor=brought)
    return place, opening


def closing_of(tx: Transaction, record: StatementRecord) -> Position:
    """The position that a statement hands on. Its digest is the one in the body, or the database was changed."""
    made = terms.value_of(record)
    if made.step is None:
        return after_version_1(made.currency, made.carried_forward_minor)
    value = StatementLife(tx.session).position(record.id)
    assert value is not None, "a statement with a step was kept with its position"
    position = Position.from_value(canonical.decode(value))
    assert position.digest == made.step.closing, f"the position after {record.id[:16]} is not the one it names"
    return position


def require_points(tx: Transaction, made: Statement) -> None:
    """Raises JournalDiffers unless the journal owes clients the points that a statement brings forward.

    What the statement books then makes them those of its closing position: its body was read or made as such a sum.
    """
    points = made.step.points if made.step is not None else None
    if points is not None and LedgerStore(tx.session).points_owed(made.agreement) != points.brought_forward:
        raise JournalDiffers(statement=made.id[:16])


def _keep(
    services: Services,
    tx: Transaction,
    agreement: Agreement,
    made: Statement,
    drawn: Drawn,
    salts: Salts,
    spool: LineSpool,
    maker: Hand,
) -> StatementRecord:
    books, now = SettlementStore(tx.session), maker.at
    require_points(tx, made)
    anchor = codec_settlement.anchor(made)
    record = StatementRecord(
        id=made.id,
        number=books.next_statement_number(),
        agreement=agreement.digest,
        period=made.period,
        state=State.DRAFT.value,
        body=made.body,
        total_salt=salts.total,
        anchor=chain_settlement.digest(anchor, agreement.chain_id, parse_address(agreement.contract)).hex(),
        closes_at=None,
        created_at=now,
        changed_at=now,
    )
    books.add_statement(record, spool)
    entry = ledger.of_statement(made)
    if entry is not None:
        LedgerStore(tx.session).add_entry(entry, now)
    life = StatementLife(tx.session)
    life.add_position(record.id, drawn.closing.digest, canonical.encode(drawn.closing.to_value()))
    life.add_maker(record.id, maker)
    life.take_adjustments(record.id, drawn.adjusted)
    facts: Head = {
        "agreement": agreement.digest,
        "period": made.period,
        "lines": made.lines,
        "maker": maker.person,
        "certificate": maker.certificate,
    }
    services.log.append(tx, now, "statement", made.id, digest=made.id, facts=facts)
    return record


def _line(record: StatementRecord) -> canonical.Value:
    body = record.body
    return {
        "statement": record.id,
        "agreement": record.agreement,
        "referrer": body["referrer"],
        "state": record.state,
        "lines": body["lines"],
        "currency": body["currency"],
        "total_minor": body["total_minor"],
        "payable_minor": body["payable_minor"],
    }
