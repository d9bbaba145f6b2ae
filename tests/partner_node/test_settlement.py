"""Settlement at the nodes: reports leave by token, statements are checked by the node itself, people decide."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts import settlement as chain_settlement
from ecowire import codec_settlement, documents
from ecowire.codec_settlement import Disclosure
from ecowire.stream import FAILURE, Message
from hub import settlement_release
from hub.settlement_errors import DisputeNotAnswered
from partner_node.errors import CommandInvalid
from partner_node.settlement_errors import (
    AgreementNotHere,
    AlignmentUnclear,
    EventChanged,
    EventIdRepeated,
    LineNotThere,
    NoReferrals,
    OtherContract,
    OtherRole,
    ReportFileInvalid,
    StatementDecided,
    StatementDiffersHere,
    StatementNotHere,
)
from privacy.ids import Digest, Period
from revenue_share import drawing, statement
from revenue_share.agreement import Agreement
from revenue_share.drawing import Drawn
from revenue_share.payout import payout
from revenue_share.position import Position
from revenue_share.referral import EventReport, ReferralReport
from revenue_share.terms import Terms
from tests.hub.settling import PAYER, REFERRER
from tests.support.entropy import SeededEntropy
from tests.support.revenue import agreement_body
from tests.support.sandbox_chain import CHAIN_ID, WINDOW
from tests.support.settling_nodes import CLIENTS, PERSON, Month, month_of_nodes, refused, token

OCTOBER = Period("2026-10")


@pytest.fixture
def month(tmp_path: Path) -> Iterator[Month]:
    with month_of_nodes(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def referred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """One referral and nothing else, for tests in which nothing is reported."""
    with month_of_nodes(tmp_path_factory.mktemp("referred")) as made:
        made.refer(1)
        yield made


# --- the whole month


def test_a_month_is_reported_checked_signed_and_settled(month: Month) -> None:
    identifier = month.october()
    for name in (PAYER, REFERRER):
        shown = month.state(name, identifier)
        assert (shown["check"], shown["differences"], shown["payable_minor"]) == ("matches", [], 6673)
    assert month.command("statement", statement=identifier).head["checks"] == {PAYER: "matches", REFERRER: "matches"}
    month.confirm(identifier)
    assert month.command("settle", statement=identifier).head["state"] == "PROPOSED"
    month.chain.chain.advance_time(WINDOW)
    assert month.command("settle", statement=identifier).head["state"] == "FINAL"
    month.deliver()
    for name in (PAYER, REFERRER):
        shown = month.state(name, identifier)
        assert (shown["state"], shown["decision"], shown["person"]) == ("FINAL", "confirmed", PERSON)
        assert len(shown["transactions"]) == 2
        on_chain = chain_settlement.state(month.chain.chain, month.contract, bytes.fromhex(shown["anchor"]))
        assert on_chain.state == "FINAL"


def test_the_second_month_is_checked_against_the_first(month: Month) -> None:
    identifier = month.october()
    month.confirm(identifier)
    month.command("settle", statement=identifier)
    month.chain.chain.advance_time(WINDOW)
    month.command("settle", statement=identifier)
    month.deliver()
    month.refer(4, time="2026-11-02T09:00:00+08:00")
    month.earn("4,2026-11-03T14:00:00+08:00,commission,20.00,n1", period="2026-11")
    month.hub.clock.now = month.hub.clock.now.replace(month=12, day=1)
    second = month.close("2026-11")
    for name in (PAYER, REFERRER):
        shown = month.state(name, second)
        assert (shown["check"], shown["body"]["sequence"]) == ("matches", 2)
        assert shown["body"]["previous"] == month.state(name, identifier)["anchor"]


def test_a_dispute_leads_to_a_new_version(month: Month) -> None:
    old = month.october()
    month.nodes[REFERRER].command(
        "statement.dispute", statement=old, reason="client 3 traded", lines=[2], person=PERSON
    )
    month.deliver()
    assert month.state(PAYER, old)["state"] == "DISPUTED"
    with pytest.raises(DisputeNotAnswered, match=f"people of {PAYER}"):
        month.close()
    lines = [{"line": 2, "accepted": True, "reason": "the file was late"}]
    month.nodes[PAYER].command("statement.answer", statement=old, lines=lines, person=PERSON)
    month.deliver()
    month.earn("3,2026-10-07T14:00:00+08:00,commission,10.00,e3")
    new = month.close()
    assert new != old
    assert month.state(REFERRER, new)["check"] == "matches"
    with pytest.raises(StatementDecided):
        month.nodes[PAYER].command("statement.confirm", statement=old, person=PERSON)
    month.confirm(new)
    assert month.command("settle", statement=new).head["state"] == "PROPOSED"


# --- what leaves


def test_only_tokens_times_kinds_and_amounts_leave(month: Month) -> None:
    month.october()
    for node in month.nodes.values():
        everything = b"".join(plain for _, plain in node.seen)
        for client in CLIENTS:
            assert client.encode() not in everything


def test_clients_outside_the_alignment_are_listed_and_not_sent(month: Month) -> None:
    found = month.refer(1, 6, 7, 2)
    assert (found["referrals"], found["unknown_lines"]) == (2, [3, 4])
    (document,) = _documents(month, REFERRER, "referrals")
    report = ReferralReport.from_body(document.body)
    assert [referral.token for referral in report.referrals] == [token(1), token(2)]


def test_malformed_ids_are_listed(month: Month) -> None:
    path = month.file(
        "bad.csv", f"client_id,time\nnot-an-id,2026-10-01T09:00:00+08:00\n{CLIENTS[0]},2026-10-01T09:00:00+08:00\n"
    )
    found = month.nodes[REFERRER].command("referrals.report", file=path, agreement=month.agreement)
    assert (found["malformed_lines"], found["referrals"]) == ([2], 1)


def test_events_of_clients_that_were_not_referred_stay_here(month: Month) -> None:
    month.refer(1)
    found = month.earn(
        "1,2026-10-05T14:00:00+08:00,commission,1.00,e1",
        "2,2026-10-05T14:00:00+08:00,commission,2.00,e2",
        "7,2026-10-05T14:00:00+08:00,commission,3.00,e3",
        "1,2026-11-01T00:00:00+08:00,commission,4.00,e4",
    )
    assert (found["events"], found["not_referred"], found["outside_period"]) == (1, 2, 1)
    (document,) = _documents(month, PAYER, "events")
    assert [event.id for event in EventReport.from_body(document.body).events] == ["e1"]


def test_reporting_again_sends_only_what_is_new(month: Month) -> None:
    month.refer(1, 2)
    again = month.refer(1, 2, 3)
    assert (again["referrals"], again["already_reported"]) == (1, 2)
    month.earn("1,2026-10-05T14:00:00+08:00,commission,1.00,e1")
    more = month.earn(
        "1,2026-10-05T14:00:00+08:00,commission,1.00,e1", "3,2026-10-05T14:00:00+08:00,commission,1.00,e2"
    )
    assert (more["events"], more["already_reported"]) == (1, 1)
    nothing = month.refer(1)
    assert (nothing["reports"], nothing["already_reported"]) == ([], 1)
    assert refused(month, REFERRER) == refused(month, PAYER) == []


def test_what_the_hub_refused_may_be_reported_again(month: Month) -> None:
    month.october()
    late = month.earn("3,2026-10-07T14:00:00+08:00,commission,10.00,e3")
    assert [head["code"] for _, head in refused(month, PAYER)] == ["PERIOD_CLOSED"]
    again = month.earn("3,2026-10-07T14:00:00+08:00,commission,10.00,e3")
    assert again["reports"] == late["reports"]
    assert [head["code"] for _, head in refused(month, PAYER)] == ["PERIOD_CLOSED"] * 2


def test_amounts_are_read_exactly(month: Month) -> None:
    month.refer(1)
    month.earn(
        "1,2026-10-05T14:00:00+08:00,commission,9007199254740.99,e1", "1,2026-10-05T15:00:00+08:00,commission,-0.01,e2"
    )
    (document,) = _documents(month, PAYER, "events")
    assert [e.base_minor for e in EventReport.from_body(document.body).events] == [900719925474099, -1]


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("client_id,date\n", ReportFileInvalid),
        ("client_id,time,kind,amount,event_id\nX,2026-10-05T14:00:00,commission,1.00,e1\n", ReportFileInvalid),
        ("client_id,time,kind,amount,event_id\nX,5 October,commission,1.00,e1\n", ReportFileInvalid),
        ("client_id,time,kind,amount,event_id\nX,2026-10-05T14:00:00.5+08:00,commission,1.00,e1\n", ReportFileInvalid),
        ("client_id,time,kind,amount,event_id\nX,2026-10-05T14:00:00+08:00,commission,1.005,e1\n", ReportFileInvalid),
        ('client_id,time,kind,amount,event_id\nX,2026-10-05T14:00:00+08:00,commission,"1,000",e1\n', ReportFileInvalid),
        ("client_id,time,kind,amount,event_id\nX,2026-10-05T14:00:00+08:00,commission\n", ReportFileInvalid),
        (
            "client_id,time,kind,amount,event_id\nX,2026-10-05T14:00:00+08:00,commission,1.00,e1\n"
            "Y,2026-10-05T14:00:00+08:00,commission,2.00,e1\n",
            EventIdRepeated,
        ),
    ],
)
def test_a_wrong_events_file_reports_nothing(referred: Month, text: str, failure: type[Exception]) -> None:
    month = referred
    path = month.file("events.csv", text)
    with pytest.raises(failure):
        month.nodes[PAYER].command("events.report", file=path, agreement=month.agreement, period="2026-10")
    assert _documents(month, PAYER, "events") == []


def test_an_event_that_changed_is_refused_here(month: Month) -> None:
    month.refer(1)
    month.earn("1,2026-10-05T14:00:00+08:00,commission,1.00,e1")
    with pytest.raises(EventChanged):
        month.earn("1,2026-10-05T14:00:00+08:00,commission,2.00,e1")


def test_a_kind_that_no_report_can_carry(month: Month) -> None:
    month.refer(1)
    with pytest.raises(ReportFileInvalid):
        month.earn("1,2026-10-05T14:00:00+08:00,=HYPERLINK,1.00,e1")


def test_a_missing_file_and_a_wrong_agreement(month: Month) -> None:
    node = month.nodes[REFERRER]
    with pytest.raises(CommandInvalid):
        node.command("referrals.report", file=str(month.folder / "none.csv"), agreement=month.agreement)
    path = month.file("referrals.csv", "client_id,time\n")
    for name in ("00" * 32, "short", "ef" * 32):
        with pytest.raises(AgreementNotHere):
            node.command("referrals.report", file=path, agreement=name)


def test_each_side_reports_only_its_own(month: Month) -> None:
    path = month.file("referrals.csv", "client_id,time\n")
    with pytest.raises(OtherRole):
        month.nodes[PAYER].command("referrals.report", file=path, agreement=month.agreement)
    events = month.file("events.csv", "client_id,time,kind,amount,event_id\n")
    with pytest.raises(OtherRole):
        month.nodes[REFERRER].command("events.report", file=events, agreement=month.agreement, period="2026-10")
    with pytest.raises(NoReferrals):
        month.nodes[PAYER].command("events.report", file=events, agreement=month.agreement, period="2026-10")


def test_a_node_with_two_alignments_asks_which(month: Month) -> None:
    from partner_node import sessions

    other = Digest("aa" * 32)
    node = month.nodes[REFERRER]
    rows = node.parts.node.database.read(lambda s: sessions.alignment(s, "ef" * 32))
    node.parts.node.database.write("align", lambda s: sessions.keep_alignment(s, other, rows))
    with pytest.raises(AlignmentUnclear):
        month.refer(1)
    path = month.folder / "referrals.csv"
    found = node.command("referrals.report", file=str(path), agreement=month.agreement, alignment="ef" * 4)
    assert found["referrals"] == 1


# --- approving


def test_an_agreement_of_another_contract_cannot_be_approved(month: Month) -> None:
    node = month.nodes[PAYER]
    body = dict(month.hub.proposal(month.agreement).body)
    for changed in ({"contract": "0x" + "99" * 20}, {"chain_id": CHAIN_ID + 1}):
        other = {**body, "settlement": {**body["settlement"], **changed}, "nonce": "dd" * 32}
        digest = documents.digest("agreement", other)
        head = {"kind": "agreement", "digest": digest, "body": other}
        assert node.ask(Message(id=f"p-{digest[:8]}", kind="proposal", head=head)).kind == "ok"
        with pytest.raises(OtherContract):
            node.command("approve", job=digest, person=PERSON)
        assert node.command("job", job=digest)["blocked"]["code"] == "OTHER_SETTLEMENT_CONTRACT"


# --- checking what a dishonest hub discloses


class Forger:
    """A hub operator who draws up other statements than the reports give, and seals them as the hub would."""

    def __init__(self, month: Month) -> None:
        self.month, self.disclosed = month, 0
        month.refer(1, 2, 3)
        month.earn(
            "1,2026-10-05T14:00:00+08:00,commission,1234.57,e1", "2,2026-10-06T14:00:00+08:00,commission,100.10,e2"
        )
        self.agreement = Agreement.from_body(month.hub.proposal(month.agreement).body)
        self.referrals = _documents(month, REFERRER, "referrals")
        self.events = _documents(month, PAYER, "events")

    def lines(self, events: Any = None) -> list[Any]:
        """The true lines of the reports, or of other events."""
        return list(self.drawn(events).lines)

    def drawn(self, events: Any = None) -> Drawn:
        referrals = [r for d in self.referrals for r in ReferralReport.from_body(d.body).referrals]
        if events is None:
            events = [e for d in self.events for e in EventReport.from_body(d.body).events]
        return drawing.draw_up(Terms.of(self.agreement), referrals, events, OCTOBER, Position.empty())

    def disclose(self, to: str, change: Callable[[dict[str, Any]], None] = lambda _: None, **parts: Any) -> Message:
        """The sealed task for a node; `change` edits the body, `parts` replace lines, place, events, referrals."""
        lines = parts.pop("lines", None) or self.lines()
        entropy = SeededEntropy(b"forger")
        salts = statement.Salts(lines=tuple(entropy(32) for _ in lines), total=entropy(32))
        place = parts.pop("place", statement.Place())
        paid = payout(self.agreement, sum(line.amount_minor for line in lines), 0)
        step = replace(self.drawn().step, gross_minor=paid.gross_minor, paid_minor=paid.paid_minor)
        body = statement.build(self.agreement, OCTOBER, place, lines, salts, step).body
        change(body)
        disclosure = Disclosure(
            body=body,
            lines=tuple(line.to_value() for line in lines),
            salts=salts,
            events=tuple(parts.pop("events", self.events)),
            referrals=tuple(parts.pop("referrals", self.referrals)),
            opening=Position.empty().to_value(),
        )
        party = self.agreement.party(to)
        assert party is not None and not parts
        head = {"statement": disclosure.id, "agreement": self.agreement.digest}
        sealed = codec_settlement.sealed_for(disclosure, party.partner, party.sealing)
        self.disclosed += 1
        return Message(id=f"s-{self.disclosed}", kind=settlement_release.STATEMENT_TASK, head=head, body=sealed)

    def found(self, to: str, message: Message) -> list[str]:
        """The differences a node finds; it refuses to sign where there is one."""
        node = self.month.nodes[to]
        reply = node.ask(message)
        assert reply.kind == "ok", reply.head
        shown = node.command("statement.show", statement=str(message.head["statement"]))
        assert shown["check"] == reply.head["check"] == ("differs" if shown["differences"] else "matches")
        if shown["differences"]:
            with pytest.raises(StatementDiffersHere):
                node.command("statement.confirm", statement=shown["statement"], person=PERSON)
        return [item["what"] for item in shown["differences"]]


@pytest.fixture(scope="module")
def forger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forger]:
    """One for all tests: none of its statements is signed or comes to the chain."""
    with month_of_nodes(tmp_path_factory.mktemp("forger")) as made:
        yield Forger(made)


@pytest.mark.parametrize("to", [PAYER, REFERRER])
def test_an_honest_disclosure_matches(forger: Forger, to: str) -> None:
    assert forger.found(to, forger.disclose(to)) == []


@pytest.mark.parametrize("to", [PAYER, REFERRER])
def test_one_fen_more_or_less_is_found_on_its_line(forger: Forger, to: str) -> None:
    from dataclasses import replace

    lines = forger.lines()
    lines[0] = replace(lines[0], amount_minor=lines[0].amount_minor - 1)
    message = forger.disclose(to, lines=lines)
    assert set(forger.found(to, message)) == {"LINE", "BODY"}
    shown = forger.month.state(to, str(message.head["statement"]))
    (line,) = [d for d in shown["differences"] if d["what"] == "LINE"]
    assert (line["line"], line["field"], line["stated"], line["computed"]) == (0, "amount_minor", "6172", "6173")


def test_a_token_left_out_is_missed_by_the_referrer(forger: Forger) -> None:
    lines = [line for line in forger.lines() if line.token != token(3)]
    report = ReferralReport.from_body(forger.referrals[0].body)
    less = ReferralReport(agreement=report.agreement, alignment=report.alignment, referrals=report.referrals[:2])
    own = forger.month.nodes[REFERRER].parts.node
    # even a report that the referrer itself would have signed: it is not one that it sent
    signed = documents.sign("referrals", less.to_body(), own.settings.partner, own.keys.signing)
    found = forger.found(REFERRER, forger.disclose(REFERRER, lines=lines, referrals=[signed]))
    assert {"REPORT_UNKNOWN", "REPORT_MISSING", "TOKEN_NOT_ANSWERED"} <= set(found)


def test_an_event_report_left_out_is_missed_by_the_payer(forger: Forger) -> None:
    nothing = forger.disclose(PAYER, lines=forger.lines(events=()), events=())
    assert forger.found(PAYER, nothing) == ["REPORT_MISSING"]


def test_a_report_signed_by_another_key_is_found(forger: Forger) -> None:
    intruder = forger.month.nodes[REFERRER].parts.node
    forged = documents.sign("events", forger.events[0].body, forger.agreement.payer.partner, intruder.keys.signing)
    assert forger.found(REFERRER, forger.disclose(REFERRER, events=[forged])) == ["UNREADABLE"]


def test_a_report_twice_is_found(forger: Forger) -> None:
    twice = forger.disclose(REFERRER, events=[*forger.events, *forger.events])
    assert "REPORT_TWICE" in forger.found(REFERRER, twice)


@pytest.mark.parametrize(
    "place",
    [
        statement.Place(sequence=2, previous="ab" * 32),
        statement.Place(brought_forward_minor=-100),
        statement.Place(replaces="ab" * 32),
    ],
)
def test_another_place_is_found(forger: Forger, place: statement.Place) -> None:
    assert forger.found(REFERRER, forger.disclose(REFERRER, place=place)) == ["PLACE"]


@pytest.mark.parametrize(
    "field", ["total_minor", "payable_minor", "lines_root", "total_commitment", "partner_commitment"]
)
def test_a_body_that_does_not_fit_its_lines_is_found(forger: Forger, field: str) -> None:
    def change(body: dict[str, Any]) -> None:
        body[field] = body[field] + 1 if isinstance(body[field], int) else "ab" * 32

    assert forger.found(REFERRER, forger.disclose(REFERRER, change)) == ["BODY"]


def test_a_statement_sealed_for_the_other_party_does_not_open(forger: Forger) -> None:
    reply = forger.month.nodes[PAYER].ask(forger.disclose(REFERRER))
    assert (reply.kind, reply.head["code"]) == (FAILURE, "CANNOT_OPEN")


def test_a_statement_of_an_agreement_that_was_not_approved(month: Month) -> None:
    parties = [{"partner": PAYER, "role": "payer"}, {"partner": REFERRER, "role": "referrer"}]
    assert parties != agreement_body()["parties"]
    digest = month.propose(nonce="cc" * 32)
    head = {"statement": "00" * 32, "agreement": digest}
    reply = month.nodes[REFERRER].ask(Message(id="s1", kind=settlement_release.STATEMENT_TASK, head=head, body=b"x"))
    assert (reply.kind, reply.head["code"]) == (FAILURE, "AGREEMENT_NOT_HERE")


# --- deciding


def test_confirming_twice_is_one_confirmation(month: Month) -> None:
    identifier = month.october()
    node = month.nodes[REFERRER]
    first = node.command("statement.confirm", statement=identifier[:10], person=PERSON)
    assert node.command("statement.confirm", statement=identifier, person="another") == first
    month.deliver()
    assert refused(month, REFERRER) == []


def test_a_node_whose_settings_name_another_contract_does_not_sign(month: Month) -> None:
    identifier = month.october()
    node = month.nodes[PAYER]
    path = node.folder / "node.toml"
    path.write_text(path.read_text().replace(month.contract, "0x" + "99" * 20))
    month.nodes[PAYER] = node.reopened()
    with pytest.raises(OtherContract):
        month.nodes[PAYER].command("statement.confirm", statement=identifier, person=PERSON)


def test_nothing_is_decided_after_the_statement_is_final(month: Month) -> None:
    identifier = month.october()
    month.confirm(identifier)
    month.command("settle", statement=identifier)
    month.deliver()
    node = month.nodes[REFERRER]
    month.chain.chain.advance_time(WINDOW)
    month.command("settle", statement=identifier)
    month.deliver()
    with pytest.raises(StatementDecided):
        node.command("statement.dispute", statement=identifier, reason="later", person=PERSON)


def test_a_dispute_needs_a_reason_and_line_numbers(month: Month) -> None:
    identifier = month.october()
    node = month.nodes[REFERRER]
    for arguments in ({"reason": ""}, {"reason": "x", "lines": "0"}, {"reason": "x", "lines": [-1]}):
        with pytest.raises((CommandInvalid, LineNotThere)):
            node.command("statement.dispute", statement=identifier, person=PERSON, **arguments)


def test_an_unknown_statement(month: Month) -> None:
    for name in ("00" * 32, "xyz"):
        with pytest.raises(StatementNotHere):
            month.nodes[PAYER].command("statement.show", statement=name)


def _documents(month: Month, name: str, kind: str) -> list[documents.Signed]:
    """The reports that a node has sent, in order."""
    from partner_node import store_settlement

    database = month.nodes[name].parts.node.database
    found: list[documents.Signed] = database.read(
        lambda session: [doc for doc, _ in store_settlement.own_reports(session, month.agreement, kind)]
    )
    return found
