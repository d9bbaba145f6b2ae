"""The payer's node says on the chain that a statement was paid. It signs only what it can check by itself.

That is: its people confirmed the statement, the hub told that it is final, the amount is the statement's, the order is
named by the statement, and the commitment is that of the bank's reference it is shown. It moves no money; the contract
takes one such word for each statement, and each commitment once.
"""

from contracts import settlement as chain_settlement
from ecowire import codec_payout
from ecowire.codec_payout import Payout
from ecowire.stream import Message
from partner_node import settlement_transactions, store_settlement
from partner_node.node import Answer, Node
from partner_node.settlement_errors import PaidMarkRefused
from partner_node.settlement_terms import approved
from partner_node.store_settlement import StatementRecord
from privacy.ids import parse_digest
from revenue_share import statement
from revenue_share.statement import State

TASK = "settlement.payout"
CONFIRMED = "confirmed"
_NAMED = 32  # digits of the statement that its orders begin with


def sign(node: Node, request: Message) -> Answer:
    """The signed transaction markPaid, as hex in the answer's `raw`.

    Raises StatementNotHere, AgreementNotHere, OtherRole, OtherContract, PaidMarkRefused, FeeRefused, MalformedMessage.
    """
    head = request.head
    name, payout = parse_digest(head.get("statement")), codec_payout.from_value(head.get("payout"))
    record = node.database.read(lambda session: store_settlement.statement(session, name))
    agreement = node.database.read(lambda session: approved(session, record.agreement))
    settlement_transactions.check_role(node, agreement, "payer")
    _check(record, payout)
    data = chain_settlement.mark_paid_data(bytes.fromhex(record.anchor), bytes.fromhex(payout.commitment))
    return settlement_transactions.signed(node, agreement, data, head, name)


def _check(record: StatementRecord, payout: Payout) -> None:
    """Raises PaidMarkRefused unless this payment is the statement's."""
    made = statement.from_body(record.body)
    refusals = (
        (record.decision != CONFIRMED, "its people have not confirmed it"),
        (record.state != State.FINAL.value, f"it is {record.state} here, not final"),
        (payout.currency != made.currency, f"the payment is in {payout.currency}"),
        (payout.amount_minor != made.payable_minor, f"the payment is of {payout.amount_minor} minor units"),
        (payout.end_to_end_id[:_NAMED] != record.id[:_NAMED], "the payment names another statement"),
        (len(payout.salt) != 64, "the commitment is not salted"),
    )
    for refused, why in refusals:
        if refused:
            raise PaidMarkRefused(statement=record.id[:16], why=why)
