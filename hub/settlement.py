"""Settlement: from reports to a paid statement. This module is the list of what people and nodes can ask for.

    intake   the nodes' signed reports, confirmations, disputes          hub.settlement_intake
    close    a period's statements and their pending entries             hub.settlement_close
    release  a second person's check; the sealed disclosure to both       hub.settlement_release
    settle   propose and finalise on the chain, post the journal         hub.settlement_chain, hub.chain_outbox
    pay      payment files, bank files, reconciliation                   hub.payments

Here are the views, and the registries that `wiring` joins.
"""

import logging
from datetime import datetime

from ecowire import codec_settlement
from ecowire.status import MalformedMessage
from hub import books as journal
from hub import (
    payment_file,
    payments,
    settlement_case,
    settlement_chain,
    settlement_close,
    settlement_dispute_chain,
    settlement_disputes,
    settlement_intake,
    settlement_release,
    times,
)
from hub import settlement_terms as terms
from hub.dispatch import AnswerHandler
from hub.identity import Caller
from hub.records import Head, Task
from hub.services import FINANCE, REGULATOR, Command, NodeHandler, Reply, Services, only, text
from hub.store import Transaction
from hub.store_ledger import LedgerStore
from hub.store_payments import PaymentStore
from hub.store_settlement import SettlementStore, StatementRecord
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import parse_period

log = logging.getLogger(__name__)

KIND = terms.KIND  # of proposals: what hub.jobs knows of agreements
CHECKS = ("matches", "differs")


def statements(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """All statements in the order they were drafted; of one period where given."""
    only(head, "period")
    period = parse_period(head["period"]) if head.get("period") else None
    found = SettlementStore(tx.session).statements(period=period)
    return Reply(head={"statements": [_line(tx, record) for record in found]})


def statement(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """One statement in full: body, lines, checks, confirmations, disputes, chain transactions, journal entries.

    The lines are the answer's body (canonical JSON list): a million of them fit no head.
    """
    only(head, "statement")
    record = terms.get(tx, head.get("statement"))
    books = SettlementStore(tx.session)
    lines: list[canonical.Value] = [line for line, _ in books.lines(record.id)]
    shown: Head = {
        **_line(tx, record),
        "body": record.body,
        "anchor": codec_settlement.anchor_value(terms.value_of(record)),
        "disputes": settlement_disputes.views(tx, record.id),
        "transactions": [
            {"kind": i.kind, "transaction": i.transaction, "state": i.state, "block": i.block, "error": i.error}
            for i in LedgerStore(tx.session).intents(statement=record.id)
        ],
        "entries": [entry.to_value() for entry in LedgerStore(tx.session).entries(record.id)],
        "payment_file": _paid_by(tx, record),
        "payments": [payment_file.order_value(one) for one in PaymentStore(tx.session).orders(statement=record.id)],
    }
    return Reply(head=shown, body=canonical.encode(lines))


def checked(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """A node answered what its own computation says of a statement: a leaf of it."""
    check = text(task.reply_head or {}, "check", longest=20)
    if check not in CHECKS:
        raise MalformedMessage(why="a statement's check is matches or differs")
    services.log.append(
        tx, now, "statement.checked", str(task.head["statement"]), facts={"partner": task.node, "check": check}
    )


def resume_at_start(services: Services) -> None:
    """Go on with chain transactions that a crash interrupted. Where that fails now, the next `settle` goes on."""
    try:
        if count := settlement_chain.resume(services):
            log.info("resumed %d chain transactions", count)
    except Failure as failure:
        log.warning("chain transactions are still open: %s", failure)


def _line(tx: Transaction, record: StatementRecord) -> Head:
    body = record.body
    parties = (str(body["payer"]), str(body["referrer"]))
    return {
        "statement": record.id,
        "period": record.period,
        "agreement": record.agreement,
        "payer": body["payer"],
        "referrer": body["referrer"],
        "state": record.state,
        "hands": settlement_release.hands(tx, record),
        "lines": body["lines"],
        "currency": body["currency"],
        "total_minor": body["total_minor"],
        "payable_minor": body["payable_minor"],
        "checks": {partner: _check(tx, record, partner) for partner in parties},
        "confirmed": [item.partner for item in SettlementStore(tx.session).confirmations(record.id)],
        "closes": times.iso(record.closes_at) if record.closes_at else None,
        "created": times.iso(record.created_at),
    }


def _paid_by(tx: Transaction, record: StatementRecord) -> str | None:
    """The digest of the payment file by which a statement is being paid, or was."""
    order = PaymentStore(tx.session).living(record.id)
    return order.file if order else None


def _check(tx: Transaction, record: StatementRecord, partner: str) -> canonical.Value:
    """What a party's node answered to the statement: "matches", "differs", a failure's code, or None so far."""
    task = tx.tasks.get(settlement_release.task_id(record, partner))
    if task is None or task.reply_head is None:
        return None
    return task.reply_head.get("check") or task.reply_head.get("code")


COMMANDS = {
    "contract": Command(roles=(FINANCE, REGULATOR), call=settlement_case.contract, changes=False),
    "terms": Command(roles=(FINANCE, REGULATOR), run=terms.view, changes=False),
    "close": Command(roles=(FINANCE,), run=settlement_close.close),
    "release": Command(roles=(FINANCE,), run=settlement_release.release),
    "reject": Command(roles=(FINANCE,), run=settlement_release.reject),
    "statements": Command(roles=(FINANCE, REGULATOR), run=statements, changes=False),
    "statement": Command(roles=(FINANCE, REGULATOR), run=statement, changes=False),
    "settle": Command(roles=(FINANCE,), call=settlement_chain.settle),
    **payments.COMMANDS,
    "ledger": Command(roles=(FINANCE, REGULATOR), run=journal.ledger, changes=False),
    "lock": Command(roles=(FINANCE,), run=journal.lock),
}
NODE_REQUESTS: dict[str, NodeHandler] = settlement_intake.NODE_REQUESTS
ANSWERS: dict[str, AnswerHandler] = {
    settlement_release.STATEMENT_TASK: checked,
    settlement_dispute_chain.TASK: settlement_dispute_chain.answered,
}
