"""Matching at the nodes: a relay passes envelopes between them as the hub would."""

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from ecowire import envelopes
from ecowire.stream import FAILURE, Message
from partner_node import sessions
from privacy import packing
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode


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


class Relay:
    """The hub's part in a match: commitments, then envelopes by recipient. `restart` reopens a node before each step."""

    def __init__(self, nodes: list[TestNode], job: str, approvals: list[Any], *, restart: bool = False) -> None:
        self.nodes = {node.partner: node for node in nodes}
        self.leader = nodes[0].partner
        self.job, self.restart = job, restart
        self.boxes: dict[str, deque[bytes]] = {node.partner: deque() for node in nodes}
        self.steps = dict.fromkeys(self.nodes, 0)
        self.results: dict[str, Any] = {}
        self.commitments = [self._start(node, approvals) for node in nodes]

    def _start(self, node: TestNode, approvals: list[Any]) -> Any:
        head = {"job": self.job, "approvals": approvals}
        reply = node.ask(Message(id=f"{self.job[:16]}-start-{node.partner}", kind="match.start", head=head))
        assert reply.kind != FAILURE, reply.head
        return reply.head["commitment"]

    def request(self, partner: str, body: list[bytes]) -> Message:
        step = self.steps[partner]
        head = {"job": self.job, "commitments": self.commitments, "sequence": step}
        return Message(
            id=f"{self.job[:16]}-step-{step}-{partner}", kind="match.step", head=head, body=packing.pack(list(body))
        )

    def step(self, partner: str) -> Message:
        box = self.boxes[partner]
        request = self.request(partner, list(box))
        box.clear()
        if self.restart:
            self.nodes[partner] = self.nodes[partner].reopened()
        reply = self.nodes[partner].ask(request)
        if reply.kind == FAILURE:
            return reply
        self.steps[partner] += 1
        sealed = packing.unpack(reply.body)
        assert isinstance(sealed, list)
        for envelope in sealed:
            assert isinstance(envelope, bytes)
            self.boxes[envelopes.read_header(envelope).recipient].append(envelope)
        if reply.head["done"]:
            self.results[partner] = reply.head["result"]
        return reply

    def run(self) -> dict[str, Any]:
        self.step(self.leader)
        while waiting := [name for name, box in self.boxes.items() if box]:
            for name in waiting:
                reply = self.step(name)
                assert reply.kind != FAILURE, reply.head
        return self.results


@pytest.mark.parametrize("restart", [False, True])
def test_an_alignment_gives_all_parties_one_order(three: list[TestNode], restart: bool) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job), restart=restart)
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
    results = Relay(pair, job, alliance.approve(pair, job)).run()
    assert results["broker"]["body"]["count"] == len([n for n in range(20, 60) if n % 10])
    assert results["bank"]["body"]["count"] is None
    assert results["broker"]["body"]["transcripts"]["bank"] == results["bank"]["body"]["transcripts"]["broker"]


def test_below_the_minimum_nothing_is_kept(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three, minimum=19))
    results = Relay(three, job, alliance.approve(three, job)).run()
    for node in three:
        assert results[node.partner]["body"]["outcome"] == "below minimum"
        assert results[node.partner]["body"]["count"] is None
        assert node.parts.node.database.read(lambda s: sessions.alignment(s, job)) == []


def test_secrets_go_when_the_match_ends(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job))
    assert all(node.parts.node.database.read(sessions.running) for node in three)
    relay.run()
    assert not any(node.parts.node.database.read(sessions.running) for node in three)


def test_a_repeated_step_gets_the_same_bytes(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job))
    request = relay.request("broker", [])
    first = relay.step("broker")
    again = three[0].reopened().ask(request)
    assert again == first


def test_a_replayed_envelope_ends_the_match_here(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job))
    relay.step("broker")
    relay.boxes["bank"].append(relay.boxes["bank"][0])
    reply = relay.step("bank")
    assert reply.kind == FAILURE
    assert reply.head["code"] == "ENVELOPE_OUT_OF_SEQUENCE"
    assert three[1].parts.node.database.read(sessions.running) == []


def test_a_step_out_of_place_changes_nothing(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job))
    relay.steps["broker"] = 1
    assert relay.step("broker").head["code"] == "STEP_OUT_OF_PLACE"
    relay.steps["broker"] = 0
    assert relay.step("broker").kind == "ok"


def test_consent_withdrawn_during_a_match_stops_it(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job))
    relay.step("broker")
    three[1].command("consent.withdraw", client_id=alliance.resident_id(41))
    assert relay.step("bank").head["code"] == "PSI_IDENTIFIERS_CHANGED"


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
    relay = Relay(three, job, alliance.approve(three, job))
    relay.commitments = [relay.commitments[0], relay.commitments[1], relay.commitments[1]]
    assert relay.step("broker").head["code"] == "COMMITMENTS_DIFFER"


def test_an_altered_commitment_is_refused(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    relay = Relay(three, job, alliance.approve(three, job))
    altered = {**relay.commitments[2], "body": {**relay.commitments[2]["body"], "count": 1}}
    relay.commitments = [relay.commitments[0], relay.commitments[1], altered]
    assert relay.step("broker").head["code"] == "BAD_SIGNATURE"


def test_no_raw_id_passes_the_gate(three: list[TestNode]) -> None:
    job = alliance.propose(three, "match", alliance.match_body(three))
    Relay(three, job, alliance.approve(three, job)).run()
    for node in three:
        assert any(kind == "envelope/match" for kind, _ in node.seen)
        for n in range(100):
            assert not any(alliance.resident_id(n).encode() in plain for _, plain in node.seen)
