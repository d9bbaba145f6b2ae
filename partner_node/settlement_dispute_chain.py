"""This party's dispute at the contract: its person says so, then its node signs it for the contract.

a person       objects to a statement on the chain while its window is open; a signed document goes to the hub, which
               asks the chain whether the window is open
the hub        asks for the contract's `dispute`, naming the account's next number; it can't make one up
this node      signs that one call, with the digest of the document as its reason, only for its own person's document
"""

from sqlalchemy.orm import Session

from contracts import settlement as chain_settlement
from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import Message
from partner_node import settlement_transactions, store, store_disputes, store_settlement
from partner_node.node import Answer, Node
from partner_node.settlement_errors import NotDisputed
from partner_node.settlement_terms import approved
from partner_node.store_settlement import StatementRecord
from privacy.ids import Digest, parse_digest

TASK = "settlement.sign-dispute"
REQUEST = "statement.dispute"


def said(node: Node, session: Session, record: StatementRecord) -> frozenset[Digest]:
    """This node's own disputes of a statement on the chain that the hub has taken, or has not answered yet."""
    own = [item.document for item in store_disputes.disputes(session, record.id)]
    return frozenset(
        document.digest
        for document in own
        if document.signer == node.settings.partner and store_settlement.sent(session, _request_id(document.digest))
    )


def say(node: Node, session: Session, record: StatementRecord, body: Body, now: str) -> None:
    """Keep and send the person's word. What this party confirmed stays confirmed: the contract has both.

    Raises AgreementNotHere, OtherRole, OtherContract.
    """
    settlement_transactions.check_role(node, approved(session, record.agreement))
    document = documents.sign("dispute", body, node.settings.partner, node.keys.signing)
    store_disputes.keep_dispute(session, document, now)
    request = Message(id=_request_id(document.digest), kind=REQUEST, head={"dispute": document.to_value()})
    store.enqueue(session, request, now)


def sign(node: Node, request: Message) -> Answer:
    """The signed transaction `dispute`, as hex in the answer's `raw`.

    Raises StatementNotHere, AgreementNotHere, OtherRole, OtherContract, NotDisputed, FeeRefused, MalformedMessage.
    """
    name, digest = parse_digest(request.head.get("statement")), parse_digest(request.head.get("dispute"))
    record = node.database.read(lambda session: store_settlement.statement(session, name))
    agreement = node.database.read(lambda session: approved(session, record.agreement))
    settlement_transactions.check_role(node, agreement)
    if digest not in node.database.read(lambda session: said(node, session, record)):
        raise NotDisputed(statement=name[:16], dispute=digest[:16])
    data = chain_settlement.dispute_data(bytes.fromhex(record.anchor), bytes.fromhex(digest))
    return settlement_transactions.signed(node, agreement, data, request.head, name)


def _request_id(document: Digest) -> str:
    return f"{REQUEST}/{document}"
