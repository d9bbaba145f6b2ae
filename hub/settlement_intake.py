"""What the parties' nodes bring: reports of referrals and events, confirmations and disputes of statements.

Each is one signed document, verified under the signing key that both parties approved in the agreement (not the hub's
directory), and taken once: the same document again gets the same receipt.
"""

from collections.abc import Sequence
from datetime import datetime

from contracts import settlement as chain_settlement
from contracts.keys import parse_address
from ecowire.documents import Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from hub import settlement_acknowledge, settlement_close, settlement_disputes, tasks
from hub import settlement_terms as terms
from hub.records import Head, Partner
from hub.services import NodeHandler, Reply, Services
from hub.settlement_errors import (
    AlreadyConfirmed,
    PeriodClosed,
    ReportRepeats,
    StatementNotOpen,
    TokensNotReferred,
)
from hub.store import Transaction
from hub.store_settlement import SettlementStore
from revenue_share.agreement import Agreement
from revenue_share.errors import ReportInvalid
from revenue_share.referral import NO_CLIENT, EventReport, ReferralReport
from revenue_share.statement import State

REFERRALS_TASK = "settlement.referrals"
CONFIRMATION_FIELDS = {"statement", "signature", "person", "time"}


def referrals(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """The referrer reports tokens. The payer's node is told which tokens it has to answer for.

    Raises AgreementUnknown, AgreementNotActive, NotInThisRole, BadSignature, ReportInvalid, ReportRepeats.
    """
    document = terms.signed_document(message, "report", "referrals", partner)
    report = ReferralReport.from_body(document.body)
    agreement = terms.active(tx, report.agreement)
    document.verify(terms.in_role(agreement, partner, "referrer").signing)
    books = SettlementStore(tx.session)
    if (known := books.report(document.digest)) is not None:
        return _taken(known.receipt, len(report.referrals))
    tokens = [referral.token for referral in report.referrals]
    if repeated := books.known(agreement.digest, "referrals", tokens):
        raise ReportRepeats(count=len(repeated), what="tokens")
    receipt = _keep(services, tx, agreement, "", document, tokens, now)
    head: Head = {"report": document.to_value()}
    task_id = f"referrals-{document.digest}"
    tasks.post(tx, now, task_id=task_id, node=agreement.payer.partner, kind=REFERRALS_TASK, head=head)
    return _taken(receipt, len(tokens))


def events(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """The payer reports events of one period, only of tokens that were referred, or of no client.

    Raises as `referrals`, and PeriodClosed, LaterPeriodClosed, TokensNotReferred.
    """
    document = terms.signed_document(message, "report", "events", partner)
    report = EventReport.from_body(document.body)
    agreement = terms.active(tx, report.agreement)
    document.verify(terms.in_role(agreement, partner, "payer").signing)
    books = SettlementStore(tx.session)
    if (known := books.report(document.digest)) is not None:
        return _taken(known.receipt, len(report.events))
    if report.currency != agreement.currency:
        raise ReportInvalid(report="events", field="currency", why=f"the agreement's is {agreement.currency}")
    living = settlement_close.check_open(tx, agreement.digest, report.period)
    if living is not None and terms.on_chain(tx, living):
        # in dispute there, it may still become final as it stands: what came now would count nowhere
        raise PeriodClosed(period=report.period, statement=living.id[:16], state=living.state)
    tokens = {event.token for event in report.events} - {NO_CLIENT}
    if strangers := tokens - books.known(agreement.digest, "referrals", sorted(tokens)):
        raise TokensNotReferred(count=sum(event.token in strangers for event in report.events))
    names = [event.id for event in report.events]
    if repeated := books.known(agreement.digest, "events", names):
        raise ReportRepeats(count=len(repeated), what="event ids")
    return _taken(_keep(services, tx, agreement, report.period, document, names, now), len(names))


def confirm(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """A party's person confirmed: its EIP-712 signature over the statement's anchor.

    Raises StatementUnknown, NotInThisRole, BadSignature, BadChainSignature, StatementNotOpen, AlreadyConfirmed.
    """
    document = terms.signed_document(message, "confirmation", "confirmation", partner, CONFIRMATION_FIELDS)
    record, agreement = terms.signed_statement(tx, document, partner)
    books = SettlementStore(tx.session)
    for known in books.confirmations(record.id):
        if known.partner == partner.id:
            if known.document.digest != document.digest:
                raise AlreadyConfirmed(partner=partner.id, statement=record.id[:16])
            return Reply(head={"receipt": known.receipt.to_value()})
    if record.state != State.DRAFT.value:
        raise StatementNotOpen(statement=record.id[:16], state=record.state)
    terms.require_released(tx, record)
    signature = _signature(document.body.get("signature"))
    party = agreement.party(partner.id)
    assert party is not None
    address = parse_address(party.chain)
    contract = parse_address(agreement.contract)
    chain_settlement.verify(terms.anchor_of(record), agreement.chain_id, contract, signature, address)
    receipt = services.log.record(tx, now, document, record.id)
    tx.jobs.add_document(agreement.digest, document, now)
    books.add_confirmation(record.id, "0x" + signature.hex(), document, receipt, now)
    return Reply(head={"receipt": receipt.to_value()})


def _signature(value: object) -> bytes:
    try:
        signature = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else b""
    except ValueError:
        signature = b""
    if len(signature) != 65:
        raise MalformedMessage(why="a signature of 65 bytes in hex is expected")
    return signature


def _keep(
    services: Services,
    tx: Transaction,
    agreement: Agreement,
    period: str,
    document: Signed,
    names: Sequence[str],
    now: datetime,
) -> Signed:
    facts: Head = {"rows": len(names)}
    receipt = services.log.record(tx, now, document, agreement.digest, facts)
    SettlementStore(tx.session).add_report(agreement.digest, period, document, receipt, names, now)
    return receipt


def _taken(receipt: Signed, count: int) -> Reply:
    return Reply(head={"receipt": receipt.to_value(), "accepted": count})


NODE_REQUESTS: dict[str, NodeHandler] = {
    "referrals": referrals,
    "events": events,
    "statement.confirm": confirm,
    **settlement_disputes.NODE_REQUESTS,
    "statement.acknowledge": settlement_acknowledge.take,
}
