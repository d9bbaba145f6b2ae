"""Four eyes on a draft: who closes a period makes its statements, another person of finance releases each to the
partners.

Until then nobody outside sees a draft, no node is asked to sign it, and it may be rejected: it becomes void and the
period is open again. Released, it goes out sealed to each party with everything needed to compute it again: the
reports that stood in the log before it, so that what has come in since changes nothing of it.
"""

from datetime import datetime

from ecowire import codec_settlement
from ecowire.codec_settlement import Disclosure
from ecowire.documents import Signed
from hub import settlement_close, tasks
from hub import settlement_terms as terms
from hub.identity import Caller
from hub.records import Head
from hub.services import Reply, Services, only, text
from hub.settlement_errors import (
    MakerIsChecker,
    StatementNotOpen,
    StatementRejected,
    StatementReleased,
)
from hub.store import Transaction
from hub.store_ledger import LedgerStore
from hub.store_settlement import Report, SettlementStore, StatementRecord
from hub.store_statements import REJECTED, RELEASED, Hand, StatementLife
from revenue_share.ledger import EntryState
from revenue_share.statement import Salts, State

STATEMENT_TASK = "settlement.statement"
REASON_CHARACTERS_MAX = 500


def release(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """The checker's word: a draft goes out to both parties.

    Raises StatementUnknown, StatementNotOpen, StatementReleased, StatementRejected, MakerIsChecker.
    """
    only(head, "statement")
    record, maker = _unchecked(tx, head)
    if caller.name == maker.person or caller.fingerprint == maker.certificate:
        raise MakerIsChecker(statement=record.id[:16], maker=maker.person)
    _checked(services, tx, record, maker, caller, now, RELEASED)
    send(tx, record, now)
    return Reply(head=hands(tx, record))


def reject(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A draft that was not released is void, its period open again. Its maker may do this too. Raises as `release`."""
    only(head, "statement", "reason")
    reason = text(head, "reason", longest=REASON_CHARACTERS_MAX)
    record, maker = _unchecked(tx, head)
    _checked(services, tx, record, maker, caller, now, REJECTED, reason)
    terms.move(services, tx, record, State.VOID, now, {"rejected": True})
    LedgerStore(tx.session).decide(record.id, EntryState.VOIDED, now)
    return Reply(head=hands(tx, record))


def hands(tx: Transaction, record: StatementRecord) -> Head:
    """Who made a statement, who released or rejected it and why; for views."""
    life = StatementLife(tx.session)
    maker, checker = life.maker(record.id), life.check(record.id)
    return {
        "statement": record.id,
        "made_by": maker.person if maker else None,
        "checked_by": checker.person if checker else None,
        "check": checker.decision if checker else None,
        "check_reason": checker.reason if checker else None,
    }


def send(tx: Transaction, record: StatementRecord, now: datetime) -> None:
    """Post the sealed disclosure to both parties' nodes."""
    agreement = terms.active(tx, record.agreement)
    disclosure = _disclosure(tx, record)
    for party in agreement.parties:
        tasks.post(
            tx,
            now,
            task_id=task_id(record, party.partner),
            node=party.partner,
            kind=STATEMENT_TASK,
            head={"statement": record.id, "agreement": agreement.digest},
            body=codec_settlement.sealed_for(disclosure, party.partner, party.sealing),
        )


def task_id(record: StatementRecord, partner: str) -> str:
    """The id of the request that brings a statement to a party's node."""
    return f"statement-{record.id}-{partner}"


def _disclosure(tx: Transaction, record: StatementRecord) -> Disclosure:
    lines = SettlementStore(tx.session).lines(record.id)
    _, opening = settlement_close.next_place(tx, terms.active(tx, record.agreement), record.period, record)
    assert record.body["opening"] == opening.digest, f"the draft {record.id[:16]} opens with another position"
    return Disclosure(
        body=record.body,
        lines=tuple(line for line, _ in lines),
        salts=Salts(lines=tuple(salt for _, salt in lines), total=record.total_salt),
        events=tuple(report.document for report in grounds(tx, record, "events", record.period)),
        referrals=tuple(report.document for report in grounds(tx, record, "referrals")),
        opening=opening.to_value(),
        adjustments=_adjustments(tx, record),
    )


def _adjustments(tx: Transaction, record: StatementRecord) -> tuple[Signed, ...]:
    """Of each adjustment in the statement the payer's document and the referrer's approval."""
    found: list[Signed] = []
    for item in StatementLife(tx.session).of_statement(record.id):
        assert item.decided is not None, "what stands in a statement was approved"
        found += [item.document, item.decided]
    return tuple(found)


def grounds(tx: Transaction, record: StatementRecord, kind: str, period: str | None = None) -> tuple[Report, ...]:
    """The reports of a kind that a statement was made from: those whose leaf stands before its own."""
    (leaf, *_) = tx.evidence.leaves(kind="statement", subject=record.id)
    reports = SettlementStore(tx.session).reports(record.agreement, kind, period)
    return tuple(report for report in reports if _index(report) < leaf.index)


def _index(report: Report) -> int:
    index = report.receipt.body["index"]
    assert isinstance(index, int), "the hub's own receipt"
    return index


def _unchecked(tx: Transaction, head: Head) -> tuple[StatementRecord, Hand]:
    record = terms.get(tx, head.get("statement"))
    life = StatementLife(tx.session)
    maker, checker = life.maker(record.id), life.check(record.id)
    if checker is not None:
        kind = StatementReleased if checker.decision == RELEASED else StatementRejected
        raise kind(statement=record.id[:16], checker=checker.person)
    if maker is None or record.state != State.DRAFT.value:
        raise StatementNotOpen(statement=record.id[:16], state=record.state)
    return record, maker


def _checked(
    services: Services,
    tx: Transaction,
    record: StatementRecord,
    maker: Hand,
    caller: Caller,
    now: datetime,
    decision: str,
    reason: str = "",
) -> None:
    hand = Hand(person=caller.name, certificate=caller.fingerprint, at=now, decision=decision, reason=reason)
    StatementLife(tx.session).add_check(record.id, maker, hand)
    facts: Head = {"maker": maker.person, "person": caller.name, "certificate": caller.fingerprint}
    services.log.append(tx, now, f"statement.{decision}", record.id, facts=facts)
