"""What the hub does for running jobs, between nodes of one process: relays envelopes and rounds, stores nothing."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from ecowire import envelopes, status
from ecowire.stream import FAILURE, Message
from federation.grid import Request
from privacy import canonical, packing
from privacy.errors import Failure
from tests.partner_node.alliance import TestNode


class MatchRelay:
    """The hub's part in a match: commitments, then envelopes by recipient. `restart`: nodes reopen before each step."""

    def __init__(self, nodes: list[TestNode], job: str, approvals: list[Any], *, restart: bool = False) -> None:
        self.nodes = {node.partner: node for node in nodes}
        self.leader = nodes[0].partner
        self.job, self.restart = job, restart
        self.boxes: dict[str, deque[bytes]] = {node.partner: deque() for node in nodes}
        self.steps = dict.fromkeys(self.nodes, 0)
        self.results: dict[str, Any] = {}
        self.more: set[str] = set()  # parties that have more to work on
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
        """One request to a party, with all envelopes that wait for it."""
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
        (self.more.add if reply.head["more"] else self.more.discard)(partner)
        if reply.head["done"]:
            self.results[partner] = reply.head["result"]
        return reply

    def run(self) -> dict[str, Any]:
        """The signed results by party."""
        if not any(self.steps.values()):
            self.step(self.leader)
        while waiting := [name for name, box in self.boxes.items() if box or name in self.more]:
            for name in waiting:
                reply = self.step(name)
                assert reply.kind != FAILURE, reply.head
        told = {name: result["body"]["transcripts"] for name, result in self.results.items()}
        if set(told) == set(self.nodes):  # the hub refuses what differs
            assert all(told[peer][name] == digest for name, own in told.items() for peer, digest in own.items())
        return self.results


class DirectChannel:
    """federation.grid.RoundChannel that asks the nodes at once. `restart`: nodes reopen before each request."""

    def __init__(self, nodes: Sequence[TestNode], approvals: list[canonical.Value], *, restart: bool = False) -> None:
        self.by_name = {node.partner: node for node in nodes}
        self.approvals = approvals
        self.restart = restart
        self.requests: list[tuple[str, Message]] = []
        self.answers: dict[str, bytes | Failure] = {}

    def nodes(self) -> tuple[str, ...]:
        return tuple(self.by_name)

    def connected(self) -> tuple[str, ...]:
        return tuple(self.by_name)

    def post(self, requests: Sequence[Request]) -> None:
        for asked in requests:
            self._ask(asked)

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> Mapping[str, bytes | Failure]:
        return {message_id: self.answers[message_id] for message_id in message_ids if message_id in self.answers}

    def withdraw(self, message_ids: Sequence[str]) -> None:
        assert not set(message_ids) & set(self.answers), "every request is answered at once here"

    def _ask(self, asked: Request) -> None:
        first = asked.head["round"] == 1 or asked.head["phase"] in ("deal", "hold")
        head = {**asked.head, "approvals": self.approvals} if first else {**asked.head}
        request = Message(id=asked.message_id, kind="flower", head=head, body=asked.content)
        self.requests.append((asked.node, request))
        if self.restart:
            self.by_name[asked.node] = self.by_name[asked.node].reopened()
        reply = self.by_name[asked.node].ask(request)
        self.answers[asked.message_id] = status.from_head(reply.head) if reply.kind == FAILURE else reply.body
