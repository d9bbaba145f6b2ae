"""Disputes line by line, answers and adjustments at this node: what its people sign, and what it is shown.

Evidence stays here: a file is read once for its SHA-256 digest and its size, which the signed dispute names; whoever
is to see the file gets it on another way and compares.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from partner_node import store, store_disputes, store_settlement, times
from partner_node.arguments import text
from partner_node.errors import CommandInvalid
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.settlement_errors import LineNotThere, NothingToAnswer, OtherRole
from partner_node.settlement_terms import approved, own_party
from partner_node.store_settlement import StatementRecord
from privacy import canonical
from privacy.ids import Digest, parse_client_token
from revenue_share import dispute as pure
from revenue_share.agreement import Agreement
from revenue_share.dispute import Adjustment, AnsweredLine, DisputedLine, Evidence
from revenue_share.money import Money

READ_BYTES = 1 << 20


def lines(arguments: Mapping[str, Any], record: StatementRecord) -> list[canonical.Value]:
    """The disputed lines of a command: numbers, or objects with line, code, reason and a file as evidence.

    Raises LineNotThere, DisputeInvalid, CommandInvalid where a file can't be read.
    """
    listed, found = arguments.get("lines") or [], []
    if not isinstance(listed, list):
        raise CommandInvalid(command="statement.dispute", what="lines")
    for given in listed:
        item = given if isinstance(given, Mapping) else {"line": given, "reason": arguments.get("reason")}
        number = _number(item.get("line"), record)
        evidence = _evidence(item) if item.get("evidence") else None
        value = {"line": number, "code": item.get("code", "OTHER"), "reason": item.get("reason")}
        value["evidence"] = evidence.to_value() if evidence else None
        found.append(value)
    return [line.to_value() for line in pure.read_lines(found)]  # type: ignore[arg-type]


def _number(value: object, record: StatementRecord) -> int:
    if type(value) is not int or not 0 <= value < len(record.lines):
        raise LineNotThere(statement=record.id[:16], line=str(value)[:20], lines=len(record.lines))
    return value


def _evidence(item: Mapping[str, Any]) -> Evidence:
    path, digest, size = Path(str(item["evidence"])), hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while block := stream.read(READ_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise CommandInvalid(command="statement.dispute", what=f"the evidence ({type(error).__name__})") from None
    return Evidence(sha256=digest.hexdigest(), size=size, what=str(item.get("what") or path.name))


def views(session: Session, record: StatementRecord) -> list[canonical.Value]:
    """A statement's disputes with their answers; of this node's own what the hub said to the request, if it was asked.

    `request`: OPEN, ANSWERED or REFUSED with the hub's `failure`.
    """
    asked = {name: (state, reply) for name, state, reply in store.request_outcomes(session, "statement.dispute")}
    shown: list[canonical.Value] = []
    for item in store_disputes.disputes(session, record.id):
        names = (f"statement.dispute/{name}" for name in (item.document.digest, record.id))
        state, reply = next((asked[name] for name in names if name in asked), (None, {}))
        shown.append(
            {
                "dispute": item.document.to_value(),
                "answer": item.answer.to_value() if item.answer else None,
                "request": state,
                "failure": reply if state == store_settlement.REFUSED else None,
            }
        )
    return shown


class Disputes:
    """The commands and requests of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def handlers(self) -> Handlers:
        return {
            "settlement.dispute": self._shown("dispute", _keep_dispute),
            "settlement.answer": self._shown("answer", _keep_answer),
            "settlement.adjustment": self._shown("adjustment", _keep_adjustment),
            "settlement.adjustment-decision": self._shown("adjustment-decision", _keep_decision),
        }

    def commands(self) -> Commands:
        return {
            "statement.answer": self.answer,
            "adjustment.propose": self.propose,
            "adjustment.decide": self.decide,
            "adjustment.list": self.listed,
        }

    def answer(self, arguments: Mapping[str, Any]) -> Body:
        """Answer the other party's open dispute of a statement, line by line.

        Raises StatementNotHere, NothingToAnswer, DisputeInvalid.
        """
        person, now = text(arguments, "person"), times.to_text(self._node.clock())
        given = pure.read_answers(arguments.get("lines") or [])

        def apply(session: Session) -> Body:
            record = store_settlement.statement(session, text(arguments, "statement"))
            me = own_party(approved(session, record.agreement), self._node)
            open_ = [
                item
                for item in store_disputes.disputes(session, record.id)
                if item.answer is None and item.document.signer != me.partner
            ]
            if not open_:
                raise NothingToAnswer(statement=record.id[:16])
            disputed = open_[0].document
            _check_same_lines(pure.read_lines(disputed.body["lines"]), given)
            answered: list[canonical.Value] = [item.to_value() for item in given]
            body: Body = {
                "dispute": disputed.digest, "statement": record.id, "lines": answered, "person": person, "time": now,
            }  # fmt: skip
            document = self._send(session, "answer", "statement.answer", "answer", body, now)
            store_disputes.keep_answer(session, disputed.digest, document)
            return {"statement": record.id, "dispute": disputed.digest, "answered": len(given)}

        return self._node.database.write("answer", apply)

    def propose(self, arguments: Mapping[str, Any]) -> Body:
        """The payer signs an adjustment of one line of a statement.

        Raises StatementNotHere, OtherRole, LineNotThere, AmountMalformed, DisputeInvalid.
        """
        person, now = text(arguments, "person"), times.to_text(self._node.clock())

        def apply(session: Session) -> Body:
            record = store_settlement.statement(session, text(arguments, "statement"))
            agreement = approved(session, record.agreement)
            own_party(agreement, self._node, "payer")
            number = _number(arguments.get("line"), record)
            body: Body = {
                "agreement": agreement.digest,
                "statement": record.id,
                "line": number,
                "token": parse_client_token(record.lines[number].get("token")),
                "currency": agreement.currency,
                "amount_minor": Money.from_text(text(arguments, "amount"), agreement.currency).minor,
                "reason": text(arguments, "reason"),
                "person": person,
                "time": now,
            }
            Adjustment.from_body(body, Digest("0" * 64))
            document = self._send(session, "adjustment", "adjustment", "adjustment", body, now)
            store_disputes.keep_adjustment(session, document, now)
            return {"adjustment": document.digest, **body}

        return self._node.database.write("adjust", apply)

    def decide(self, arguments: Mapping[str, Any]) -> Body:
        """The referrer's people approve or refuse an adjustment. Raises AdjustmentNotHere, OtherRole."""
        person, now = text(arguments, "person"), times.to_text(self._node.clock())
        decision = arguments.get("decision")
        if decision not in ("approve", "refuse"):
            raise CommandInvalid(command="adjustment.decide", what="decision")

        def apply(session: Session) -> Body:
            found = store_disputes.adjustment(session, text(arguments, "adjustment"))
            digest = found.document.digest
            own_party(approved(session, found.document.body["agreement"]), self._node, "referrer")
            if found.decision is None:
                body: Body = {"adjustment": digest, "decision": str(decision), "person": person, "time": now}
                signed = self._send(session, "adjustment-decision", "adjustment.decide", "decision", body, now)
                store_disputes.keep_decision(session, digest, signed)
            return _shown_adjustment(store_disputes.adjustment(session, digest))

        return self._node.database.write("decide adjustment", apply)

    def listed(self, _: Mapping[str, Any]) -> Body:
        """Every adjustment with the referrer's decision."""
        found = self._node.database.read(store_disputes.adjustments)
        return {"adjustments": [_shown_adjustment(item) for item in found]}

    def _shown(self, kind: str, keep: Any) -> Any:
        """A handler of a document that the other party signed."""

        def handle(request: Message) -> Answer:
            document, now = documents.parse(request.head.get("document"), kind=kind), times.to_text(self._node.clock())
            if set(request.head) != {"document"}:
                raise MalformedMessage(why="a document is expected")
            return Answer(write=lambda session: keep(self._node, session, document, now))

        return handle

    def _send(self, session: Session, kind: str, request: str, field: str, body: Body, now: str) -> Signed:
        document = documents.sign(kind, body, self._node.settings.partner, self._node.keys.signing)
        message = Message(id=f"{request}/{document.digest}", kind=request, head={field: document.to_value()})
        store.enqueue(session, message, now)
        return document


def _keep_dispute(node: Node, session: Session, document: Signed, now: str) -> None:
    record = store_settlement.statement(session, str(document.body.get("statement")))
    pure.read_lines(document.body.get("lines"))
    _verify(node, approved(session, record.agreement), document)
    store_disputes.keep_dispute(session, document, now)


def _keep_answer(node: Node, session: Session, document: Signed, now: str) -> None:
    record = store_settlement.statement(session, str(document.body.get("statement")))
    pure.read_answers(document.body.get("lines"))
    _verify(node, approved(session, record.agreement), document)
    store_disputes.keep_answer(session, str(document.body.get("dispute")), document)


def _keep_adjustment(node: Node, session: Session, document: Signed, now: str) -> None:
    made = Adjustment.from_body(document.body, document.digest)
    _verify(node, approved(session, made.agreement), document, "payer")
    store_disputes.keep_adjustment(session, document, now)


def _keep_decision(node: Node, session: Session, document: Signed, now: str) -> None:
    found = store_disputes.adjustment(session, str(document.body.get("adjustment")))
    _verify(node, approved(session, found.document.body["agreement"]), document, "referrer")
    store_disputes.keep_decision(session, found.document.digest, document)


def _verify(node: Node, agreement: Agreement, document: Signed, role: str = "") -> None:
    """Raises OtherRole, BadSignature unless the other party of the agreement signed it."""
    me, party = own_party(agreement, node), agreement.party(document.signer)
    if party is None or party.partner == me.partner or role not in ("", party.role):
        raise OtherRole(partner=document.signer, role=role or "other party", agreement=agreement.digest[:16])
    document.verify(party.signing)


def _check_same_lines(disputed: tuple[DisputedLine, ...], answered: tuple[AnsweredLine, ...]) -> None:
    missing = {item.line for item in disputed} ^ {item.line for item in answered}
    if missing:
        numbers = ", ".join(str(line) for line in sorted(missing)[:10])
        raise CommandInvalid(command="statement.answer", what=f"lines {numbers}: every disputed line once, no other")


def _shown_adjustment(item: store_disputes.Adjustment) -> Body:
    body = item.document.body
    decision = str(item.decision.body["decision"]) if item.decision else None
    return {"adjustment": item.document.digest, "decision": decision, **body}
