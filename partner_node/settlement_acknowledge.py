"""The referrer's word that the money came: its person says so, then its node signs it for the contract.

a person       acknowledges a paid statement; a signed document goes to the hub
the hub        asks for the contract's `ackPaid`, naming the account's next number; it can't make one up
this node      signs that one call, only for a statement that its person acknowledged
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from contracts import settlement as chain_settlement
from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import Message
from partner_node import settlement_transactions, store, store_settlement, times
from partner_node.arguments import text
from partner_node.node import Answer, Node
from partner_node.settlement_errors import NotAcknowledged, NotPaidYet
from partner_node.settlement_terms import approved
from privacy.ids import parse_digest
from revenue_share.statement import State

TASK = "settlement.acknowledge"
REQUEST = "statement.acknowledge"
RECEIVED = (State.PAID.value, State.ACKED.value)


def acknowledge(node: Node, arguments: Mapping[str, Any]) -> Body:
    """A person of the referrer says that the payment of a statement arrived. The same again is fine.

    Raises StatementNotHere, OtherRole, OtherContract, NotPaidYet.
    """
    person, now = text(arguments, "person"), times.to_text(node.clock())

    def apply(session: Session) -> Body:
        record = store_settlement.statement(session, text(arguments, "statement"))
        settlement_transactions.check_role(node, approved(session, record.agreement), "referrer")
        if record.state not in RECEIVED:
            raise NotPaidYet(statement=record.id[:16], state=record.state)
        known = store_settlement.sent(session, _request_id(record.id))
        if known is None:
            body: Body = {"statement": record.id, "person": person, "time": now}
            document = documents.sign("acknowledgement", body, node.settings.partner, node.keys.signing)
            request = Message(id=_request_id(record.id), kind=REQUEST, head={"acknowledgement": document.to_value()})
            store.enqueue(session, request, now)
        return {"statement": record.id, "state": record.state, "acknowledged": True}

    return node.database.write("acknowledge", apply)


def sign(node: Node, request: Message) -> Answer:
    """The signed transaction ackPaid, as hex in the answer's `raw`.

    Raises StatementNotHere, AgreementNotHere, OtherRole, OtherContract, NotAcknowledged, FeeRefused,
    MalformedMessage.
    """
    name = parse_digest(request.head.get("statement"))
    record = node.database.read(lambda session: store_settlement.statement(session, name))
    agreement = node.database.read(lambda session: approved(session, record.agreement))
    settlement_transactions.check_role(node, agreement, "referrer")
    if node.database.read(lambda session: store_settlement.sent(session, _request_id(name))) is None:
        raise NotAcknowledged(statement=name[:16])
    data = chain_settlement.acknowledge_paid_data(bytes.fromhex(record.anchor))
    return settlement_transactions.signed(node, agreement, data, request.head, name)


def _request_id(statement: str) -> str:
    return f"{REQUEST}/{statement}"
