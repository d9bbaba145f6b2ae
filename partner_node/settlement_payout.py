"""The payer's node says on the chain that a statement was paid. It signs only what it can check by itself.

That is: its people confirmed the statement, the hub told that it is final, the amount is the statement's, the order is
named by the statement, and the commitment is that of the bank's reference it is shown. It moves no money; the contract
takes one such word for each statement, and each commitment once.
"""

from contracts import settlement as chain_settlement
from contracts import transactions
from contracts.chain import GAS
from contracts.keys import parse_address
from ecowire import codec_payout
from ecowire.codec_payout import Payout
from ecowire.documents import Body
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from partner_node import store_settlement
from partner_node.node import Answer, Node
from partner_node.settlement_errors import OtherContract
from partner_node.settlement_terms import approved, own_party
from partner_node.store_settlement import StatementRecord
from privacy.errors import Failure, Kind
from privacy.ids import parse_digest
from revenue_share import statement
from revenue_share.agreement import Agreement
from revenue_share.statement import State

TASK = "settlement.payout"
CONFIRMED = "confirmed"
GAS_PRICE_MAX = 200 * 10**9  # wei: the fee of a million gas stays below a fifth of a coin
_NAMED = 32  # digits of the statement that its orders begin with


class PaidMarkRefused(Failure):
    code = "PAID_MARK_REFUSED"
    kind = Kind.REFUSED
    en = "this node does not mark the statement {statement} as paid: {why}"
    zh = "本节点不将结算单 {statement} 标记为已付：{why}"


def sign(node: Node, request: Message) -> Answer:
    """The signed transaction markPaid, as hex in the answer's `raw`.

    Raises StatementNotHere, AgreementNotHere, OtherRole, OtherContract, PaidMarkRefused, MalformedMessage.
    """
    head = request.head
    name, payout = parse_digest(head.get("statement")), codec_payout.from_value(head.get("payout"))
    record = node.database.read(lambda session: store_settlement.statement(session, name))
    agreement = node.database.read(lambda session: approved(session, record.agreement))
    check_role(node, agreement, "payer")
    _check(record, payout)
    nonce, gas, price = fee(head, name)
    data = chain_settlement.mark_paid_data(bytes.fromhex(record.anchor), bytes.fromhex(payout.commitment))
    raw, _ = transactions.sign(
        to=parse_address(agreement.contract),
        data=data,
        nonce=nonce,
        chain_id=agreement.chain_id,
        gas=gas,
        gas_price=price,
        key=node.keys.chain,
    )
    return Answer(head={"raw": raw.hex()})


def fee(head: Body, statement_id: str) -> tuple[int, int, int]:
    """(number, gas, price of gas) that a request names. Raises MalformedMessage, PaidMarkRefused over the limits."""
    nonce, gas, price = (_whole(head.get(field)) for field in ("nonce", "gas", "gas_price"))
    if gas > GAS or price > GAS_PRICE_MAX:
        raise PaidMarkRefused(statement=statement_id[:16], why="its fee is beyond this node's limit")
    return nonce, gas, price


def check_role(node: Node, agreement: Agreement, role: str) -> None:
    """Raises OtherRole, OtherContract unless this node has the role and the agreement its chain and contract."""
    own_party(agreement, node, role)
    found, expected = (agreement.chain_id, agreement.contract.lower()), node.settings
    if found != (expected.chain_id, expected.contract.lower()):
        raise OtherContract(found=agreement.contract, expected=expected.contract or "-")


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


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise MalformedMessage(why="a whole number is expected")
    return value
