"""Requests of this node to the hub, until they are answered: durable, idempotent, sent again at each connection."""

import logging

from sqlalchemy.orm import Session

from ecowire import documents, status
from ecowire.stream import FAILURE, Message
from partner_node import store
from partner_node.audit import Witness
from partner_node.node import Node
from privacy.errors import Failure, Kind

log = logging.getLogger(__name__)


class Outbox:
    """Takes the hub's answers and keeps the receipts in them."""

    def __init__(self, node: Node, witness: Witness) -> None:
        self._node = node
        self._witness = witness

    def pending(self) -> list[Message]:
        """Unanswered requests, oldest first."""
        return self._node.database.read(store.open_requests)

    def settle(self, reply: Message) -> None:
        """Record an answer. A refusal and a receipt that is missing or does not hold are both kept for people to see.

        A hub that could not take the request now is asked again later: the request stays open.
        """
        refused = reply.kind == FAILURE
        if refused and reply.head.get("kind") == Kind.UNAVAILABLE.value:
            log.warning("%s: the hub could not take it now (%s)", reply.reply_to, reply.head.get("code"))
            return

        def apply(session: Session) -> None:
            request = store.settle_request(session, reply.reply_to, refused=refused, head=reply.head)
            if request is None or refused:
                return
            try:
                # an "ok" alone proves nothing: a hub that may leave the receipt out could deny the document later
                receipt = self._witness.checked_receipt(reply.head.get("receipt"), document=_document(request))
            except Failure as failure:
                log.error("receipt for %s refused: %s", request.id, failure)
                store.mark_refused(session, request.id, head=status.to_head(failure))
                return
            self._witness.keep(session, receipt)

        self._node.database.write("settle request", apply)


def _document(request: Message) -> str | None:
    """The digest of the signed document that a request carries, if it carries one."""
    for value in request.head.values():
        if isinstance(value, dict) and "signature" in value:
            return documents.parse(value).digest
    return None
