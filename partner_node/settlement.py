"""Statements at this node: check what the hub discloses, let a person confirm or dispute it, follow what becomes of it.

A confirmation is this node's EIP-712 signature over the statement's anchor. It is made only by a person's command, only
where this node's own computation gave the same statement, and only for the chain and contract of this node's settings.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from contracts import settlement as chain_settlement
from contracts.keys import parse_address
from ecowire import codec_settlement, documents
from ecowire.codec_settlement import Disclosure
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from partner_node import (
    settlement_acknowledge,
    settlement_check,
    settlement_dispute_chain,
    settlement_disputes,
    settlement_payout,
    settlement_positions,
    settlement_terms,
    store,
    store_disputes,
    store_settlement,
    times,
)
from partner_node.arguments import text
from partner_node.grants import Gate
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.settlement_check import Difference, Held
from partner_node.settlement_errors import (
    PlaceConfirmed,
    StatementDecided,
    StatementDiffersHere,
    StatementTurnedBack,
)
from partner_node.settlement_reports import Reports
from partner_node.settlement_terms import approved, check_contract, own_party
from partner_node.store_settlement import ACCEPTED, StatementRecord
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest, Period, parse_digest
from revenue_share import statement
from revenue_share.agreement import Agreement
from revenue_share.position import Position
from revenue_share.statement import State
from revenue_share.terms import check_amendment

MATCHES, DIFFERS = "matches", "differs"
CONFIRMED, DISPUTED = "confirmed", "disputed"
DRAFT = State.DRAFT.value
ENDED = {State.DISPUTED.value, State.VOID.value}
TRANSACTIONS_MAX = 16


class Settlement:
    """The settlement of one node."""

    def __init__(self, node: Node, gate: Gate) -> None:
        self._node = node
        self._reports = Reports(node, gate)
        self._disputes = settlement_disputes.Disputes(node)

    def handlers(self) -> Handlers:
        own = {
            "settlement.statement": self.receive,
            "settlement.final": self.follow,
            settlement_payout.TASK: self.payout,
            settlement_acknowledge.TASK: lambda request: settlement_acknowledge.sign(self._node, request),
            settlement_dispute_chain.TASK: lambda request: settlement_dispute_chain.sign(self._node, request),
        }
        return {**own, **self._reports.handlers(), **self._disputes.handlers()}

    def commands(self) -> Commands:
        own = {
            "statement.list": self.listed,
            "statement.show": self.show,
            "statement.confirm": self.confirm,
            "statement.dispute": self.dispute,
            "statement.acknowledge": lambda arguments: settlement_acknowledge.acknowledge(self._node, arguments),
        }
        return {**own, **self._reports.commands(), **self._disputes.commands()}

    def review(self, body: Body) -> None:
        """Check an agreement before a person approves it.

        Raises AgreementInvalid, RuleKindUnknown, OtherRole, OtherContract; of a later version AgreementNotHere,
        AmendmentInvalid.
        """
        agreement = Agreement.from_body(body)
        own_party(agreement, self._node)
        check_contract(agreement, self._node)
        if agreement.amends is not None:
            self._node.database.read(
                lambda session: check_amendment(settlement_terms.before(session, agreement), agreement)
            )

    def receive(self, request: Message) -> Answer:
        """Open, check and keep a statement; tells the hub only whether it matches.

        Raises AgreementNotHere, OtherRole, CannotOpen, MalformedMessage and the like where there is nothing to check.
        """
        node, now = self._node, times.to_text(self._node.clock())
        name = parse_digest(request.head.get("statement"))
        agreement = node.database.read(lambda session: approved(session, request.head.get("agreement")))
        me = own_party(agreement, node)
        disclosure = codec_settlement.open_disclosure(request.body, name, me.partner, node.keys.sealing)
        if disclosure.body.get("agreement") != agreement.digest:
            raise MalformedMessage(why="a statement under another agreement than it was announced with")
        held = node.database.read(lambda session: self._held(session, agreement, disclosure))
        checked = settlement_check.check(agreement, me, disclosure, held)
        record = _record(agreement, name, disclosure, checked.differences, now)

        def keep(session: Session) -> None:
            store_settlement.keep_statement(session, record)
            if record.verdict == MATCHES and checked.closing is not None:
                _keep_grounds(session, disclosure, agreement, checked.closing, now)

        return Answer(head={"check": record.verdict}, write=keep)

    def follow(self, request: Message) -> Answer:
        """Take note of a statement's new state and chain transactions.

        The hub is believed about the chain, but not when it contradicts what it said before: the place and the amount
        brought forward of the next statement follow from this. Raises StatementNotHere, StatementTurnedBack,
        MalformedMessage.
        """
        head = request.head
        name, state, transactions = parse_digest(head.get("statement")), head.get("state"), head.get("transactions")
        if not isinstance(state, str) or state not in {known.value for known in State}:
            raise MalformedMessage(why="a statement's state")
        if not isinstance(transactions, list) or len(transactions) > TRANSACTIONS_MAX:
            raise MalformedMessage(why="a list of transactions")
        sealed = tuple("0x" + parse_digest(str(item).removeprefix("0x")) for item in transactions)
        _check_follows(self._node.database.read(lambda s: store_settlement.statement(s, name)), state, sealed)
        return Answer(write=lambda session: store_settlement.set_state(session, name, state, sealed))

    def payout(self, request: Message) -> Answer:
        """The payer's word on the chain that a statement was paid. Raises as `settlement_payout.sign`."""
        return settlement_payout.sign(self._node, request)

    def listed(self, _: Mapping[str, Any]) -> Body:
        """Every statement with this node's check and its person's decision."""
        found = self._node.database.read(store_settlement.statements)
        return {"statements": [_line(record) for record in found]}

    def show(self, arguments: Mapping[str, Any]) -> Body:
        """One statement in full: body, lines, differences line by line, decision."""
        name = text(arguments, "statement")
        record = self._node.database.read(lambda session: store_settlement.statement(session, name))
        disputes = self._node.database.read(lambda session: settlement_disputes.views(session, record))
        return {
            **_line(record),
            "disputes": disputes,
            "body": record.body,
            "anchor": record.anchor,
            "differences": [*record.differences],
            "line_values": [*record.lines],
            "document": record.document.to_value() if record.document else None,
        }

    def confirm(self, arguments: Mapping[str, Any]) -> Body:
        """A person confirms: this node signs the statement's anchor with its chain key. The same again is fine.

        Raises StatementNotHere, StatementDiffersHere, StatementDecided, PlaceConfirmed, OtherContract.
        """
        node, now = self._node, times.to_text(self._node.clock())
        person = text(arguments, "person")

        def apply(session: Session) -> StatementRecord:
            record = store_settlement.statement(session, text(arguments, "statement"))
            if record.decision == CONFIRMED:
                return record
            if record.verdict != MATCHES:
                raise StatementDiffersHere(statement=record.id[:16], count=len(record.differences))
            if record.decision or record.state != DRAFT:
                raise StatementDecided(
                    statement=record.id[:16], state=record.decision or record.state, wanted=CONFIRMED
                )
            _check_place_free(session, record)
            agreement = approved(session, record.agreement)
            check_contract(agreement, node)
            made = codec_settlement.anchor(statement.from_body(record.body))
            digest = chain_settlement.digest(made, agreement.chain_id, parse_address(agreement.contract))
            signature = "0x" + node.keys.chain.sign_digest(digest).hex()
            body: Body = {"statement": record.id, "signature": signature, "person": person, "time": now}
            self._decide(session, record, CONFIRMED, person, body, "statement.confirm", now)
            return store_settlement.statement(session, record.id)

        return _line(node.database.write("confirm", apply))

    def dispute(self, arguments: Mapping[str, Any]) -> Body:
        """A person objects, giving a reason and, where lines are meant, of each one number and code.

        To a draft; or to what is on the chain: this node then signs the contract's dispute when the hub asks for it.
        Raises StatementNotHere, StatementDecided, LineNotThere, DisputeInvalid, CommandInvalid; on the chain OtherRole,
        OtherContract.
        """
        node, now = self._node, times.to_text(self._node.clock())
        person, reason = text(arguments, "person"), text(arguments, "reason")

        def apply(session: Session) -> StatementRecord:
            record = store_settlement.statement(session, text(arguments, "statement"))
            if record.decision == DISPUTED:
                return record
            on_chain = record.state == State.PROPOSED.value
            if on_chain and settlement_dispute_chain.said(node, session, record):
                return record
            if record.state != DRAFT and not on_chain:
                raise StatementDecided(statement=record.id[:16], state=record.state, wanted=DISPUTED)
            lines = settlement_disputes.lines(arguments, record)
            body: Body = {"statement": record.id, "reason": reason, "lines": lines, "person": person, "time": now}
            if on_chain:
                settlement_dispute_chain.say(node, session, record, body, now)
                return record
            document = self._decide(session, record, DISPUTED, person, body, "statement.dispute", now)
            store_disputes.keep_dispute(session, document, now)
            return store_settlement.statement(session, record.id)

        return _line(node.database.write("dispute", apply))

    def _decide(
        self, session: Session, record: StatementRecord, decision: str, person: str, body: Body, kind: str, now: str
    ) -> Signed:
        node, name = self._node, {CONFIRMED: "confirmation", DISPUTED: "dispute"}[decision]
        document = documents.sign(name, body, node.settings.partner, node.keys.signing)
        store_settlement.decide(session, record.id, decision, person, document, now)
        request = Message(id=f"{kind}/{record.id}", kind=kind, head={name: document.to_value()})
        store.enqueue(session, request, now)
        return document

    def _held(self, session: Session, agreement: Agreement, disclosure: Disclosure) -> Held:
        """What this node knows by itself of the disclosed period. A malformed period leaves nothing to compare with."""
        try:
            period = statement.read_place(disclosure.body)[0]
        except Failure:
            period = Period("2000-01")
        me = own_party(agreement, self._node)
        kind = "referrals" if me.role == "referrer" else "events"
        own = store_settlement.own_reports(session, agreement.digest, kind)
        of_period = [(doc, state) for doc, state in own if kind == "referrals" or doc.body["period"] == period]
        accepted = [doc for doc, state in of_period if state == ACCEPTED]
        referred = store_settlement.reports(session, agreement.digest, "referrals")
        known = [*[doc for doc, _ in of_period], *referred]
        if me.role == "payer":
            tokens = settlement_check.own_tokens(referred, agreement, period)
        else:
            tokens = settlement_check.own_tokens(accepted, agreement, period)
        taken = [item for item in store_settlement.statements(session, agreement.digest) if item.on_chain]
        terms = settlement_terms.terms_of(session, agreement)
        return Held(
            accepted=frozenset(doc.digest for doc in accepted),
            known=frozenset(doc.digest for doc in known),
            tokens=tokens,
            place=settlement_check.next_place([(item.body, item.anchor, item.state) for item in taken], period),
            terms=terms,
            opening=settlement_positions.opening(session, terms, taken, disclosure.opening),
            adjusted=_adjusted(session, agreement, taken),
            version=settlement_check.least_version(item.body for item in taken),
        )


def _record(
    agreement: Agreement, name: Digest, disclosure: Disclosure, found: tuple[Difference, ...], now: str
) -> StatementRecord:
    sequence, anchor, period = 0, "", ""
    try:
        made = statement.from_body(disclosure.body)
        sequence, period = made.place.sequence, made.period
        contract = parse_address(agreement.contract)
        anchor = chain_settlement.digest(codec_settlement.anchor(made), agreement.chain_id, contract).hex()
    except Failure as failure:
        found = (*found, Difference(what="ANCHOR", stated=failure.code, computed=failure.message()))
    return StatementRecord(
        id=name,
        agreement=agreement.digest,
        period=period,
        sequence=sequence,
        anchor=anchor,
        body=disclosure.body,
        lines=disclosure.lines,
        verdict=DIFFERS if found else MATCHES,
        differences=tuple(item.to_value() for item in found),
        decision="",
        person="",
        decided="",
        document=None,
        state=DRAFT,
        transactions=(),
        received=now,
    )


def _adjusted(session: Session, agreement: Agreement, taken: list[StatementRecord]) -> frozenset[str]:
    """Adjustments that both parties approved, the hub knows, and no statement on the chain holds."""
    found = store_disputes.adjustments(session, agreement.digest)
    approved_ = {item.document.digest for item in found if item.approved and store_disputes.arrived(session, item)}
    held = {str(line.get("event")) for record in taken if record.state != State.VOID.value for line in record.lines}
    return frozenset(approved_ - held)


def _keep_grounds(session: Session, disclosure: Disclosure, agreement: Agreement, closing: Position, now: str) -> None:
    """Keep what a matched statement was computed from and hands on: the next one starts there."""
    for document in (*disclosure.referrals, *disclosure.events):
        period = str(document.body["period"]) if document.kind == "events" else ""
        store_settlement.keep_report(session, document, agreement.digest, period, now)
    store_settlement.keep_position(session, disclosure.id, canonical.encode(closing.to_value()))


def _check_follows(record: StatementRecord, state: str, transactions: tuple[str, ...]) -> None:
    """Raises StatementTurnedBack unless the state can be reached from the one known here and no transaction is gone."""
    reached, frontier = {State(record.state)}, [State(record.state)]
    while frontier:
        fresh = statement.TRANSITIONS[frontier.pop()] - reached
        reached |= fresh
        frontier += fresh
    if State(state) not in reached:
        raise StatementTurnedBack(statement=record.id[:16], state=record.state, found=state)
    if not set(record.transactions) <= set(transactions):
        raise StatementTurnedBack(statement=record.id[:16], state=record.state, found=f"{state}, off the chain")


def _check_place_free(session: Session, record: StatementRecord) -> None:
    """Raises PlaceConfirmed where this node's signature stands under another living statement of the same place."""
    for other in store_settlement.statements(session, record.agreement):
        rival = other.id != record.id and other.sequence == record.sequence and other.decision == CONFIRMED
        if rival and other.state not in ENDED:
            raise PlaceConfirmed(other=other.id[:16])


def _line(record: StatementRecord) -> Body:
    body = record.body
    return {
        "statement": record.id,
        "agreement": record.agreement,
        "period": record.period,
        "lines": len(record.lines),
        "currency": body.get("currency"),
        "total_minor": body.get("total_minor"),
        "payable_minor": body.get("payable_minor"),
        "check": record.verdict,
        "differs": len(record.differences),
        "decision": record.decision,
        "person": record.person,
        "decided": record.decided,
        "state": record.state,
        "transactions": [*record.transactions],
        "received": record.received,
    }
