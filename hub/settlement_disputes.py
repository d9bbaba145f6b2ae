"""Objections line by line, their answers, and the adjustments that both parties agree on.

    statement.dispute   a party objects to a draft, or to what is on the chain with its window open; the other party's
                        node is shown it
    statement.answer    the other party answers every disputed line; until then the period is not closed again
    adjustment          the payer signs an amount for one line of a statement; the referrer's node is shown it
    adjustment.decide   the referrer approves or refuses it; approved, it is a line of the next draft

Each is a signed document in the log, verified under the key that both parties approved in the agreement.
"""

from datetime import datetime

from ecowire.documents import Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from hub import settlement_dispute_chain, tasks
from hub import settlement_terms as terms
from hub.records import Partner
from hub.services import Looked, NodeHandler, Reply, Services, text
from hub.settlement_errors import (
    AdjustmentUnknown,
    AlreadyAnswered,
    AnswerNotOfTheseLines,
    DisputeNotAnswered,
    DisputeUnknown,
    NotInThisRole,
    StatementNotOpen,
)
from hub.store import Transaction
from hub.store_ledger import FAILED, LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from hub.store_statements import Answer, StatementLife
from privacy import canonical
from privacy.ids import PartnerId, parse_digest
from revenue_share import dispute as pure
from revenue_share.agreement import Agreement
from revenue_share.dispute import Adjustment
from revenue_share.statement import State

DISPUTE_FIELDS = {"statement", "reason", "lines", "person", "time"}
ANSWER_FIELDS = {"dispute", "statement", "lines", "person", "time"}
DECISION_FIELDS = {"adjustment", "decision", "person", "time"}
DISPUTE_TASK, ANSWER_TASK = "settlement.dispute", "settlement.answer"
ADJUSTMENT_TASK, DECISION_TASK = "settlement.adjustment", "settlement.adjustment-decision"


def dispute(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """A party objects to a draft: it becomes DISPUTED, the period opens again for reports, `close` makes a new version.

    Of a statement on the chain the document is kept as the party's word, for which its node then signs the contract's
    dispute (`settlement_dispute_chain`); the statement is DISPUTED once the contract has it. Raises StatementUnknown,
    NotInThisRole, BadSignature, StatementNotOpen, DisputeInvalid.
    """
    document = terms.signed_document(message, "dispute", "dispute", partner, DISPUTE_FIELDS)
    record, agreement = terms.signed_statement(tx, document, partner)
    text(document.body, "reason")
    pure.read_lines(document.body["lines"])
    books = SettlementStore(tx.session)
    for known in books.disputes(record.id):
        if known.document.digest == document.digest:
            return Reply(head={"receipt": known.receipt.to_value()})
    under_way = [i for i in LedgerStore(tx.session).intents(statement=record.id) if i.state != FAILED]
    at_contract = settlement_dispute_chain.taken(tx, record)
    if not at_contract and (record.state not in (State.DRAFT.value, State.DISPUTED.value) or under_way):
        raise StatementNotOpen(statement=record.id[:16], state="on its way to the chain" if under_way else record.state)
    terms.require_released(tx, record)
    receipt = _keep(services, tx, agreement, document, record.id, now)
    books.add_dispute(record.id, document, receipt, now)
    _tell(tx, agreement, partner, DISPUTE_TASK, document, now)
    if record.state == State.DRAFT.value:
        terms.move(services, tx, record, State.DISPUTED, now, {"partner": partner.id})
        terms.announce(tx, agreement, record, State.DISPUTED.value, now)
    if at_contract:
        tx.signal(settlement_dispute_chain.SIGNAL, record.id)
    return Reply(head={"receipt": receipt.to_value()})


def answer(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """The other party answers every line of a dispute, once.

    Raises StatementUnknown, NotInThisRole, BadSignature, DisputeUnknown, AlreadyAnswered, AnswerNotOfTheseLines,
    DisputeInvalid.
    """
    document = terms.signed_document(message, "answer", "answer", partner, ANSWER_FIELDS)
    record, agreement = terms.signed_statement(tx, document, partner)
    found = {item.document.digest: item for item in SettlementStore(tx.session).disputes(record.id)}
    disputed = found.get(parse_digest(document.body["dispute"]))
    if disputed is None:
        raise DisputeUnknown(dispute=str(document.body["dispute"])[:16], statement=record.id[:16])
    if disputed.partner == partner.id:
        raise NotInThisRole(partner=partner.id, role="answering party", agreement=agreement.digest[:16])
    life = StatementLife(tx.session)
    known = life.answers(record.id).get(disputed.document.digest)
    if known is not None:
        if known.document.digest != document.digest:
            raise AlreadyAnswered(dispute=disputed.document.digest[:16])
        return Reply(head={"receipt": known.receipt.to_value()})
    answered = {item.line for item in pure.read_answers(document.body["lines"])}
    wanted = {item.line for item in pure.read_lines(disputed.document.body["lines"])}
    if answered != wanted:
        odd = ", ".join(str(line) for line in sorted(answered ^ wanted)[:10])
        raise AnswerNotOfTheseLines(dispute=disputed.document.digest[:16], lines=odd)
    receipt = _keep(services, tx, agreement, document, record.id, now)
    made = Answer(dispute=disputed.document.digest, partner=partner.id, document=document, receipt=receipt)
    life.add_answer(made, now)
    _tell(tx, agreement, partner, ANSWER_TASK, document, now)
    return Reply(head={"receipt": receipt.to_value()})


def adjust(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """The payer signs an adjustment of a statement's line; it counts nowhere until the referrer approves it.

    Raises AgreementUnknown, NotInThisRole, BadSignature, StatementUnknown, DisputeInvalid.
    """
    document = terms.signed_document(message, "adjustment", "adjustment", partner)
    made = Adjustment.from_body(document.body, document.digest)
    agreement = terms.active(tx, made.agreement)
    document.verify(terms.in_role(agreement, partner, "payer").signing)
    life = StatementLife(tx.session)
    if (known := life.adjustment(document.digest)) is not None:
        return Reply(head={"receipt": known.receipt.to_value()})
    record = terms.get(tx, made.statement)
    lines = SettlementStore(tx.session).lines(record.id)
    fits = made.line < len(lines) and lines[made.line][0]["token"] == made.token
    if record.agreement != agreement.digest or not fits or made.currency != agreement.currency:
        raise MalformedMessage(why="an adjustment names a line of a statement of its agreement, in its currency")
    receipt = _keep(services, tx, agreement, document, record.id, now)
    life.add_adjustment(agreement.digest, document, receipt, now)
    _tell(tx, agreement, partner, ADJUSTMENT_TASK, document, now)
    return Reply(head={"receipt": receipt.to_value()})


def decide(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """The referrer approves or refuses an adjustment, once.

    Raises AdjustmentUnknown, NotInThisRole, BadSignature, AlreadyAnswered.
    """
    document = terms.signed_document(message, "decision", "adjustment-decision", partner, DECISION_FIELDS)
    life = StatementLife(tx.session)
    known = life.adjustment(parse_digest(document.body["adjustment"]))
    if known is None:
        raise AdjustmentUnknown(adjustment=str(document.body["adjustment"])[:16])
    agreement = terms.active(tx, known.document.body["agreement"])
    document.verify(terms.in_role(agreement, partner, "referrer").signing)
    if known.decided is not None and known.decided_receipt is not None:
        if known.decided.digest != document.digest:
            raise AlreadyAnswered(dispute=known.document.digest[:16])
        return Reply(head={"receipt": known.decided_receipt.to_value()})
    decision = text(document.body, "decision", longest=20)
    if decision not in ("approve", "refuse"):
        raise MalformedMessage(why="approve or refuse is expected")
    for name in ("person", "time"):
        text(document.body, name, longest=200)
    receipt = _keep(services, tx, agreement, document, known.document.digest, now)
    life.add_decision(known.document.digest, decision, document, receipt, now)
    _tell(tx, agreement, partner, DECISION_TASK, document, now)
    return Reply(head={"receipt": receipt.to_value()})


def require_answered(tx: Transaction, record: StatementRecord) -> None:
    """Raises DisputeNotAnswered while a disputed line of a draft has no answer of the other party."""
    answers = StatementLife(tx.session).answers(record.id)
    for item in SettlementStore(tx.session).disputes(record.id):
        lines = pure.read_lines(item.document.body["lines"])
        if lines and item.document.digest not in answers:
            raise DisputeNotAnswered(
                statement=record.id[:16],
                dispute=item.document.digest[:16],
                lines=", ".join(str(line.line) for line in lines[:10]),
                partner=_other(terms.active(tx, record.agreement), item.partner),
            )


def agreed(tx: Transaction, agreement: Agreement, instead_of: StatementRecord | None) -> tuple[Adjustment, ...]:
    """The approved adjustments that stand in no living statement; `instead_of` is about to be replaced."""
    life = StatementLife(tx.session)
    taken = life.taken(agreement.digest, but=instead_of.id if instead_of else "")
    found = [item for item in life.adjustments(agreement.digest) if item.decision == "approve"]
    open_ = [item.document for item in found if item.document.digest not in taken]
    return tuple(Adjustment.from_body(document.body, document.digest) for document in open_)


def views(tx: Transaction, statement: str) -> list[canonical.Value]:
    """A statement's disputes with their answers, for people."""
    answers = StatementLife(tx.session).answers(statement)
    return [
        {
            "dispute": item.document.digest,
            "document": item.document.to_value(),
            "answer": found.document.to_value() if (found := answers.get(item.document.digest)) else None,
        }
        for item in SettlementStore(tx.session).disputes(statement)
    ]


def _keep(
    services: Services, tx: Transaction, agreement: Agreement, document: Signed, subject: str, now: datetime
) -> Signed:
    receipt = services.log.record(tx, now, document, subject)
    tx.jobs.add_document(agreement.digest, document, now)
    return receipt


def _other(agreement: Agreement, partner: PartnerId) -> PartnerId:
    return next(party.partner for party in agreement.parties if party.partner != partner)


def _tell(tx: Transaction, agreement: Agreement, partner: Partner, kind: str, document: Signed, now: datetime) -> None:
    """Show a document to the other party's node."""
    task_id, node = f"{document.kind}-{document.digest}", _other(agreement, partner.id)
    tasks.post(tx, now, task_id=task_id, node=node, kind=kind, head={"document": document.to_value()})


NODE_REQUESTS: dict[str, NodeHandler] = {
    "statement.dispute": Looked(look=settlement_dispute_chain.look, run=dispute),
    "statement.answer": answer,
    "adjustment": adjust,
    "adjustment.decide": decide,
}
