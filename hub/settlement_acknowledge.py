"""After payment: the referrer's signed word that the money came, and the contract's `ackPaid` from its account.

The word is a document that its node brings. The transaction is signed by that node when the hub asks for it with the
account's next number, and goes through the outbox like any other: the hub can hand in, not sign.
"""

from datetime import datetime

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from ecowire.documents import Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from hub import node_signed
from hub import settlement_terms as terms
from hub.chain_outbox import ChainOutbox, Check
from hub.records import Partner
from hub.services import Reply, Services
from hub.settlement_errors import (
    AcknowledgementNotSigned,
    AcknowledgementSignedOtherwise,
    NotAcknowledged,
    StatementNotPaid,
)
from hub.store import Transaction
from hub.store_settlement import StatementRecord
from revenue_share.agreement import Agreement
from revenue_share.statement import State

ACKNOWLEDGE = "acknowledge"
TASK = "settlement.acknowledge"
KIND = "acknowledgement"
FIELDS = {"statement", "person", "time"}


def take(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """The referrer acknowledges the payment; the same document again gets the same receipt.

    Raises StatementUnknown, NotInThisRole, BadSignature, StatementNotPaid.
    """
    document = terms.signed_document(message, KIND, KIND, partner)
    if set(document.body) != FIELDS:
        raise MalformedMessage(why=f"an {KIND} has the fields {sorted(FIELDS)}")
    record, agreement = terms.signed_statement(tx, document, partner)
    terms.in_role(agreement, partner, "referrer")
    if record.state not in (State.PAID.value, State.ACKED.value):
        raise StatementNotPaid(statement=record.id[:16], state=record.state)
    receipt = services.log.record(tx, now, document, record.id)
    tx.jobs.add_document(agreement.digest, document, now)
    return Reply(head={"receipt": receipt.to_value()})


def acknowledgement(tx: Transaction, record: StatementRecord) -> Signed | None:
    """The referrer's document, where it has sent one."""
    found = (item.document for item in tx.jobs.documents(record.agreement, KIND))
    return next((document for document in found if document.body["statement"] == record.id), None)


def hand_in(
    services: Services, outbox: ChainOutbox, chain: Chain, record: StatementRecord, agreement: Agreement, check: Check
) -> None:
    """Hand in what the referrer's node signed; ask it where it has not yet.

    Raises NotAcknowledged, AcknowledgementNotSigned, AcknowledgementSignedOtherwise, and what the outbox raises.
    """
    referrer = agreement.referrer
    if services.store.read("acknowledged", lambda tx: acknowledgement(tx, record)) is None:
        raise NotAcknowledged(statement=record.id[:16], referrer=referrer.partner)
    data = chain_settlement.acknowledge_paid_data(bytes.fromhex(record.anchor))
    call = node_signed.next_call(chain, agreement, referrer, data)
    raw = node_signed.obtain(
        services,
        call,
        TASK,
        f"acknowledge-{record.id[:32]}",
        {"statement": record.id},
        unsigned=lambda why: AcknowledgementNotSigned(statement=record.id[:16], referrer=referrer.partner, why=why),
        otherwise=lambda what: AcknowledgementSignedOtherwise(statement=record.id[:16], what=what),
    )
    outbox.submit_signed(ACKNOWLEDGE, record.id, raw, check)
