"""What this node reports: as referrer its referrals, as payer the events of referred clients; and what it is told.

Only tokens, times, kinds and amounts leave; a client who is in no alignment or was not referred is counted here and not
sent. A report is signed, kept and queued in one transaction. What was reported before is left out, unless the hub
refused it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.stream import Message
from partner_node import sessions, settlement_files, settlement_terms, store, store_settlement, times
from partner_node.approvals import parties
from partner_node.arguments import optional_text, text
from partner_node.errors import AlignmentMissing
from partner_node.grants import Gate
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.settlement_errors import (
    AlignmentOfOthers,
    AlignmentUnclear,
    EventChanged,
    NoReferrals,
    OtherRole,
    ReportFileInvalid,
)
from partner_node.settlement_files import EventLine
from partner_node.settlement_terms import approved, find_agreement, own_party
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import ClientToken, Digest, Period, parse_period
from revenue_share import periods
from revenue_share.agreement import Agreement
from revenue_share.qualification import booking_start
from revenue_share.referral import NO_CLIENT, REPORT_ROWS_MAX, EventReport, Referral, ReferralReport, RevenueEvent

LISTED_MAX = 1000
T = TypeVar("T")


class Reports:
    """`gate` finds a client's row key; it reads no source."""

    def __init__(self, node: Node, gate: Gate) -> None:
        self._node = node
        self._gate = gate

    def handlers(self) -> Handlers:
        return {"settlement.referrals": self.receive}

    def commands(self) -> Commands:
        return {"referrals.report": self.report_referrals, "events.report": self.report_events}

    def receive(self, request: Message) -> Answer:
        """At the payer's node: keep the referrer's report, which says for whose events it has to answer.

        Raises MalformedMessage, AgreementNotHere, OtherRole, BadSignature, ReportInvalid, AlignmentOfOthers.
        """
        document = documents.parse(request.head.get("report"), kind="referrals")
        report = ReferralReport.from_body(document.body)
        now = times.to_text(self._node.clock())
        agreement = self._node.database.read(lambda session: approved(session, report.agreement))
        own_party(agreement, self._node, "payer")
        if document.signer != agreement.referrer.partner:
            raise OtherRole(partner=document.signer, role="referrer", agreement=agreement.digest[:16])
        document.verify(agreement.referrer.signing)
        self._node.database.read(lambda session: _check_alignment(session, report.alignment, agreement))
        return Answer(write=lambda session: store_settlement.keep_report(session, document, agreement.digest, "", now))

    def report_referrals(self, arguments: Mapping[str, Any]) -> Body:
        """Report the referrals of a CSV file under an agreement, by the tokens of an alignment.

        The answer lists the lines whose client is not in the alignment or whose id is malformed; they are not sent.
        Raises AgreementNotHere, OtherRole, AlignmentUnclear, AlignmentMissing, AlignmentOfOthers, ReportFileInvalid.
        """
        node = self._node
        lines = settlement_files.referrals(Path(text(arguments, "file")), _id_type(arguments))

        def apply(session: Session) -> Body:
            agreement = find_agreement(session, text(arguments, "agreement"))
            own_party(agreement, node, "referrer")
            alignment = _alignment(session, optional_text(arguments, "alignment"))
            _check_alignment(session, alignment, agreement)
            tokens = _tokens(session, alignment)
            known = _reported_tokens(session, agreement)
            fresh: dict[ClientToken, Referral] = {}
            unknown: list[int] = []
            malformed: list[int] = []
            repeated = 0
            for line, key in zip(lines, self._keys([line.client for line in lines]), strict=True):
                token = tokens.get(key) if key is not None else None
                if token is None:
                    (malformed if key is None else unknown).append(line.line)
                elif token in known or token in fresh:
                    repeated += 1
                    if token in fresh and line.time < fresh[token].time:
                        fresh[token] = Referral(token=token, time=line.time)
                else:
                    fresh[token] = Referral(token=token, time=line.time)
            made = [
                ReferralReport(agreement=agreement.digest, alignment=alignment, referrals=batch).to_body()
                for batch in _batches(sorted(fresh.values(), key=lambda item: item.token))
            ]
            digests = [self._send(session, "referrals", agreement, "", body) for body in made]
            return {
                "agreement": agreement.digest,
                "reports": [*digests],
                "referrals": len(fresh),
                "already_reported": repeated,
                "unknown_lines": _listed(unknown),
                "malformed_lines": _listed(malformed),
            }

        return node.database.write("report referrals", apply)

    def report_events(self, arguments: Mapping[str, Any]) -> Body:
        """Report a period's events of referred clients from a CSV file; everybody else's are counted and stay here.

        Raises AgreementNotHere, OtherRole, NoReferrals, ReportFileInvalid, EventIdRepeated, EventChanged.
        """
        node = self._node
        period = parse_period(arguments.get("period"))
        path, id_type = Path(text(arguments, "file")), _id_type(arguments)

        def apply(session: Session) -> Body:
            agreement = find_agreement(session, text(arguments, "agreement"))
            own_party(agreement, node, "payer")
            lines = settlement_files.events(path, id_type, agreement.currency)
            without = bool(lines) and all(line.nobody for line in lines)
            tokens = {} if without else _referred(session, agreement)
            known = _reported_events(session, agreement)
            start, end = periods.period_bounds(period, agreement.zone)
            # an event of an earlier month that was reported too late for it is booked in this one, as long as it may be
            start = booking_start(settlement_terms.terms_of(session, agreement).closing(period), start)
            fresh: list[RevenueEvent] = []
            counts = {"not_referred": 0, "malformed": 0, "outside_period": 0, "already_reported": 0}
            clients, friends = [line.client for line in lines], [line.friend for line in lines]
            for line, key, friend_key in zip(lines, self._keys(clients), self._keys(friends), strict=True):
                token = NO_CLIENT if line.nobody else tokens.get(key or b"")
                friend = tokens.get(friend_key) if friend_key is not None else None
                if token is None or (line.friend is not None and friend is None):
                    counts["malformed" if key is None else "not_referred"] += 1
                elif not start <= line.time < end:
                    counts["outside_period"] += 1
                elif line.event_id in known:
                    _same(line, line.event(token, friend), known[line.event_id])
                    counts["already_reported"] += 1
                else:
                    fresh.append(line.event(token, friend))
            digests = [
                self._send(session, "events", agreement, period, _event_body(agreement, period, batch))
                for batch in _batches(sorted(fresh, key=lambda event: (event.token, event.time, event.id)))
            ]
            return {"agreement": agreement.digest, "reports": [*digests], "events": len(fresh), **counts}

        return node.database.write("report events", apply)

    def _keys(self, clients: Sequence[bytes | None]) -> list[bytes | None]:
        keys = iter(self._gate.row_keys([client for client in clients if client is not None]))
        return [None if client is None else next(keys) for client in clients]

    def _send(self, session: Session, kind: str, agreement: Agreement, period: str, body: Body) -> canonical.Value:
        """Sign, keep and queue one report; gives its digest. One that was refused before goes as a new request."""
        node, now = self._node, times.to_text(self._node.clock())
        document = documents.sign(kind, body, node.settings.partner, node.keys.signing)
        attempt = store_settlement.attempts(session, kind, document.digest)
        store_settlement.keep_report(session, document, agreement.digest, period, now)
        request_id = f"{kind}/{document.digest}/{attempt}"
        store.enqueue(session, Message(id=request_id, kind=kind, head={"report": document.to_value()}), now)
        return document.digest


def _event_body(agreement: Agreement, period: Period, batch: tuple[RevenueEvent, ...]) -> Body:
    report = EventReport(agreement=agreement.digest, period=period, currency=agreement.currency, events=batch)
    try:
        EventReport.from_body(report.to_body())  # kinds and event ids come from the file as they are
    except Failure as failure:
        raise ReportFileInvalid(line=0, why=failure.message()) from None
    return report.to_body()


def _alignment(session: Session, name: str | None) -> Digest:
    held = store_settlement.alignments(session)
    if name is None:
        if len(held) != 1:
            raise AlignmentUnclear(count=len(held))
        return held[0]
    found = [job for job in held if job.startswith(name)] if len(name) >= 8 else []
    if len(found) != 1:
        raise AlignmentMissing(job=name[:16])
    return found[0]


def _check_alignment(session: Session, alignment: Digest, agreement: Agreement) -> None:
    """Raises AlignmentOfOthers unless both parties of the agreement took part in the alignment.

    The hub reads every reported token. With a referrer's signature it could claim the clients of another partner.
    """
    match = store.proposal(session, alignment)
    took_part = {item["partner"] for item in parties(match.body)}
    for party in agreement.parties:
        if match.kind != "match" or party.partner not in took_part:
            raise AlignmentOfOthers(partner=party.partner, alignment=alignment[:16])


def _tokens(session: Session, alignment: Digest) -> dict[bytes, ClientToken]:
    """Token by row key."""
    return {row.row_key: row.token for row in sessions.alignment(session, alignment)}


def _reported_tokens(session: Session, agreement: Agreement) -> frozenset[ClientToken]:
    sent = _standing(session, agreement, "referrals")
    return frozenset(r.token for document in sent for r in ReferralReport.from_body(document.body).referrals)


def _reported_events(session: Session, agreement: Agreement) -> dict[str, RevenueEvent]:
    sent = _standing(session, agreement, "events")
    return {event.id: event for document in sent for event in EventReport.from_body(document.body).events}


def _standing(session: Session, agreement: Agreement, kind: str) -> list[Signed]:
    """Own reports that the hub has not refused."""
    found = store_settlement.own_reports(session, agreement.digest, kind)
    return [document for document, state in found if state != store_settlement.REFUSED]


def _referred(session: Session, agreement: Agreement) -> dict[bytes, ClientToken]:
    """Token by row key of the clients that the referrer reported. Raises NoReferrals."""
    received = store_settlement.reports(session, agreement.digest, "referrals")
    if not received:
        raise NoReferrals(agreement=agreement.digest[:16])
    found: dict[bytes, ClientToken] = {}
    for document in received:
        report = ReferralReport.from_body(document.body)
        wanted = {referral.token for referral in report.referrals}
        aligned = _tokens(session, report.alignment)
        found |= {key: token for key, token in aligned.items() if token in wanted}
    return found


def _same(line: EventLine, event: RevenueEvent, known: RevenueEvent) -> None:
    if event != known:
        raise EventChanged(line=line.line, event=line.event_id[:64])


def _batches(items: Sequence[T]) -> Iterable[tuple[T, ...]]:
    for start in range(0, len(items), REPORT_ROWS_MAX):
        yield tuple(items[start : start + REPORT_ROWS_MAX])


def _listed(lines: Sequence[int]) -> list[canonical.Value]:
    return [*lines[:LISTED_MAX]]


def _id_type(arguments: Mapping[str, Any]) -> str:
    return optional_text(arguments, "id_type") or "resident_id"
