"""Matching at the nodes: a relay passes envelopes between them as the hub would."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ecowire.documents import Signed
from ecowire.stream import FAILURE, Message
from partner_node import match_result, sessions, store
from partner_node.node import Node
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay


@pytest.fixture
def three(tmp_path: Path) -> list[TestNode]:
    """Broker (clients 0-59), bank (20-79) and platform (40-99), with consent of all but multiples of ten."""
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for name, numbers in (("broker", range(60)), ("bank", range(20, 80)), ("platform", range(40, 100))):
        csv = alliance.clients_csv(numbers)
        node = alliance.make_node(tmp_path, name, csv, columns={"SPEND": "C2"}, clock=clock, authority=authority)
        alliance.consent(node, [n for n in numbers if n % 10])
        nodes.append(node)
    alliance.pin_all(nodes)
    return nodes


@pytest.mark.parametrize("restart", [False, True])
def test_an_alignment_gives_all_parties_one_order(three: list[TestNode], restart: bool) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job), restart=restart)
    results = relay.run()
    shared = [n for n in range(40, 60) if n % 10]
    assert {result["body"]["count"] for result in results.values()} == {len(shared)}
    assert len({result["body"]["order"] for result in results.values()}) == 1
    exported = []
    for node in relay.nodes.values():
        path = node.folder / "alignment.csv"
        node.command("alignment.export", job=job, file=str(path))
        exported.append(path.read_text())
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(exported)) == 1
    for n in range(100):
        assert (alliance.resident_id(n) in exported[0]) == (n in shared)


def test_a_count_tells_the_leader_alone(three: list[TestNode]) -> None:
    broker, bank, _ = three
    pair = [broker, bank]
    job = alliance.propose(pair, "match", alliance.match_body(pair, mode="count"))
    results = MatchRelay(pair, job, alliance.approve(pair, job)).run()
    assert results["broker"]["body"]["count"] == len([n for n in range(20, 60) if n % 10])
    assert results["bank"]["body"]["count"] is None
    assert results["broker"]["body"]["transcripts"]["bank"] == results["bank"]["body"]["transcripts"]["broker"]


def test_below_the_minimum_nothing_is_kept(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three, minimum=19))
    results = MatchRelay(three, job, alliance.approve(three, job)).run()
    for node in three:
        assert results[node.partner]["body"]["outcome"] == "below minimum"
        assert results[node.partner]["body"]["count"] is None
        assert node.parts.node.database.read(lambda s: sessions.alignment(s, job)) == []


def test_secrets_go_when_the_match_ends(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    assert all(node.parts.node.database.read(sessions.running) for node in three)
    relay.run()
    assert not any(node.parts.node.database.read(sessions.running) for node in three)


def test_a_repeated_step_gets_the_same_bytes(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    request = relay.request("broker", [])
    first = relay.step("broker")
    again = three[0].reopened().ask(request)
    assert again == first


def test_a_replayed_envelope_ends_the_match_here(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    relay.step("broker")
    relay.boxes["bank"].append(relay.boxes["bank"][0])
    reply = relay.step("bank")
    assert reply.kind == FAILURE
    assert reply.head["code"] == "ENVELOPE_OUT_OF_SEQUENCE"
    assert three[1].parts.node.database.read(sessions.running) == []


def test_a_step_out_of_place_changes_nothing(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    relay.steps["broker"] = 1
    assert relay.step("broker").head["code"] == "STEP_OUT_OF_PLACE"
    relay.steps["broker"] = 0
    assert relay.step("broker").kind == "ok"


def test_consent_withdrawn_during_a_match_stops_it(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    relay.step("broker")
    three[1].command("consent.withdraw", client_id=alliance.resident_id(41))
    assert relay.step("bank").head["code"] == "PSI_IDENTIFIERS_CHANGED"


@pytest.mark.parametrize("whose", ["broker", "bank"])
def test_a_consent_that_ends_during_a_match_stops_it(three: list[TestNode], whose: str) -> None:
    """The broker has a session in memory then, the bank the ids it committed to: neither is used any longer."""
    pair = three[:2]
    alliance.consent(next(node for node in pair if node.partner == whose), [41], until="2026-10-03")
    job = alliance.propose(pair, "match", alliance.match_body(pair, mode="count"))
    relay = MatchRelay(pair, job, alliance.approve(pair, job))
    relay.step("broker")
    if whose == "broker":
        relay.step("bank")
    pair[0].clock.now += timedelta(days=3)
    assert relay.step(whose).head["code"] == "PSI_IDENTIFIERS_CHANGED"


def test_without_consent_nobody_enters(three: list[TestNode]) -> None:
    body = alliance.match_body(three)
    job = alliance.propose(three, "match", body)
    approvals = alliance.approve(three, job)
    for n in range(20, 80):
        if n % 10:
            three[1].command("consent.withdraw", client_id=alliance.resident_id(n))
    head = {"job": job, "approvals": approvals}
    assert three[1].ask(Message(id="start", kind="match.start", head=head)).head["code"] == "NO_CONSENT"


def test_commitments_must_be_one_of_each_party(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    relay.commitments = [relay.commitments[0], relay.commitments[1], relay.commitments[1]]
    assert relay.step("broker").head["code"] == "COMMITMENTS_DIFFER"


def test_an_altered_commitment_is_refused(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = MatchRelay(three, job, alliance.approve(three, job))
    altered = {**relay.commitments[2], "body": {**relay.commitments[2]["body"], "count": 1}}
    relay.commitments = [relay.commitments[0], relay.commitments[1], altered]
    assert relay.step("broker").head["code"] == "BAD_SIGNATURE"


def test_no_raw_id_passes_the_gate(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    MatchRelay(three, job, alliance.approve(three, job)).run()
    for node in three:
        assert any(kind == "envelope/match" for kind, _ in node.seen)
        for n in range(100):
            assert not any(alliance.resident_id(n).encode() in plain for _, plain in node.seen)


def test_a_match_that_ended_does_not_begin_again(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    approvals = alliance.approve(three, job)
    MatchRelay(three, job, approvals).run()
    head = {"job": job, "approvals": approvals}
    reply = three[0].ask(Message(id="a new id", kind="match.start", head=head))
    assert reply.head["code"] == "JOB_OVER"


def test_a_match_that_ends_while_its_last_step_is_computed_leaves_no_result(
    three: list[TestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, bank, _ = three
    pair = [broker, bank]
    job = alliance.propose(pair, "match", alliance.match_body(pair, mode="count"))
    relay = MatchRelay(pair, job, alliance.approve(pair, job))
    sign = match_result.sign

    def late(node: Node, *arguments: Any) -> Signed:
        node.database.write("upkeep", lambda session: sessions.end(session, job, "now"))
        return sign(node, *arguments)

    monkeypatch.setattr(match_result, "sign", late)
    replies = [relay.step("broker"), relay.step("bank")]
    while replies[-1].kind != FAILURE:
        replies.append(relay.step("broker" if len(replies) % 2 == 0 else "bank"))
    assert (replies[-1].head["code"], replies[-1].body) == ("JOB_OVER", b"")
    for node in pair:
        assert node.parts.node.database.read(lambda session: store.result(session, job)) is None
