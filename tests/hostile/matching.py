"""Matches of small nodes whose people or peers ask for more than they should, with guards that can be taken out."""

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from ecowire.stream import FAILURE, Message
from partner_node import approvals
from partner_node.match_guard import Guard
from partner_node.matching import Matching
from privacy import canonical
from privacy.errors import Failure
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

CLIENTS = random.Random(7).sample(range(1_000_000), 400)  # numbers of people, far apart
# small enough for a test, and no alarm where it is not about alarms
RULES = "minimum = 5\noverlap_percent = [0, 100]"


class Scene:
    """Broker and bank, or a platform too; the broker leads. `numbers`: their clients, all with consent."""

    def __init__(
        self,
        folder: Path,
        broker: list[int],
        bank: list[int],
        rules: dict[str, str] | None = None,
        platform: list[int] | None = None,
    ) -> None:
        self.clock, authority = MovableClock(), TestAuthority()
        self.nodes: list[TestNode] = []
        named = {"broker": broker, "bank": bank} | ({} if platform is None else {"platform": platform})
        for name, numbers in named.items():
            node = alliance.make_node(
                folder,
                name,
                alliance.clients_csv(numbers),
                columns={"SPEND": "C2"},
                clock=self.clock,
                authority=authority,
                matching=(rules or {}).get(name, RULES),
            )
            alliance.consent(node, numbers)
            self.nodes.append(node)
        alliance.pin_all(self.nodes)
        self.broker, self.bank = self.nodes[:2]
        self.jobs = 0

    def enter(self, node: TestNode, numbers: list[int]) -> None:
        """From now on these are the clients in a node's source, all with consent."""
        (node.folder / "clients.csv").write_text(alliance.clients_csv(numbers))
        alliance.consent(node, numbers)

    def add_asset(self, node: TestNode, name: str, numbers: list[int]) -> TestNode:
        """A second asset of a node, as its settings hold it after a restart; the node as it is then."""
        path = node.folder / "node.toml"
        before, rest = path.read_text().split("[[asset]]", 1)
        listed, matching = rest.split("[matching]")
        second = listed.split("[[asset]]")[0].replace('name = "clients"', f'name = "{name}"')
        second = second.replace("clients.csv", f"{name}.csv")
        (node.folder / f"{name}.csv").write_text(alliance.clients_csv(numbers))
        path.write_text(f"{before}[[asset]]{listed}[[asset]]{second}[matching]{matching}")
        return self.reopen(node)

    def reopen(self, node: TestNode) -> TestNode:
        """A node after a restart, in the scene's place of it."""
        opened = node.reopened()
        self.nodes[self.nodes.index(node)] = opened
        self.broker, self.bank = self.nodes[:2]
        return opened

    def propose(self, mode: str = "count", minimum: int = 5, **changes: Any) -> str:
        """A job that both people approved. Raises the failure of a node that refuses the approval."""
        self.jobs += 1
        asset = changes.pop("asset", "clients")  # the broker's
        nodes = self.parties(mode)
        body = alliance.match_body(nodes, mode=mode, minimum=minimum, nonce=f"{self.jobs:032x}", **changes)
        approvals.party(body, "broker")["asset"] = asset
        return alliance.propose(nodes, "match", body)

    def parties(self, mode: str) -> list[TestNode]:
        """Everybody for `align-all`, broker and bank for the other modes."""
        return self.nodes if mode == "align-all" else self.nodes[:2]

    def match(self, mode: str = "count", minimum: int = 5, **changes: Any) -> str | int:
        """The number of shared clients that the broker learns (0: below the minimum), or the code of a refusal."""
        job = self.propose(mode, minimum, **changes)
        try:
            approvals = alliance.approve(self.parties(mode), job)
        except Failure as failure:
            return failure.code
        return self.run(job, approvals, mode=mode)

    def run(
        self, job: str, approvals: list[canonical.Value], mode: str = "count", decision: str = "agree"
    ) -> str | int:
        """As `match`, of a job that was approved. decision: of both people, where they are asked."""
        self.job = job
        try:
            relay = _Relay(self.parties(mode), job, approvals)
            results = relay.run()
            if mode == "count-then-rows":
                for node in relay.nodes.values():
                    node.command("match.decide", job=job, decision=decision, person="privacy officer")
                    relay.more.add(node.partner)
                results = relay.run()
        except Refused as refusal:
            return refusal.code
        return results["broker"]["body"]["count"] or 0

    def shared(self, job: str) -> set[str]:
        """The client ids that the broker's people may list after an alignment."""
        path = self.broker.folder / f"{job[:8]}.csv"
        self.broker.command("alignment.export", job=job, file=str(path))
        with path.open(newline="") as lines:
            return {row["client_id"] for row in csv.DictReader(lines)}


class Refused(Exception):
    """A node answered with a failure."""

    def __init__(self, code: str) -> None:
        self.code = code


class _Relay(MatchRelay):
    """The hub's part; the first refusal ends it."""

    def _start(self, node: TestNode, approvals: list[Any]) -> Any:
        head = {"job": self.job, "approvals": approvals}
        reply = node.ask(Message(id=f"{self.job[:16]}-start-{node.partner}", kind="match.start", head=head))
        if reply.kind == FAILURE:
            raise Refused(str(reply.head["code"]))
        return reply.head["commitment"]

    def step(self, partner: str) -> Message:
        reply = super().step(partner)
        if reply.kind == FAILURE:
            raise Refused(str(reply.head["code"]))
        return reply


def guard_of(node: TestNode) -> Guard:
    """The guard of a running node."""
    matching = node.parts.handlers["match.start"].__self__  # type: ignore[attr-defined]
    assert isinstance(matching, Matching)
    return matching.guard


def take_out(monkeypatch: pytest.MonkeyPatch, node: TestNode, *rules: str) -> None:
    """The node goes on without these rules: what an attack then gains is what they are for."""
    for rule in rules:
        assert callable(getattr(guard_of(node), rule))
        monkeypatch.setattr(guard_of(node), rule, lambda *_, **__: None)


def all_rules_out(monkeypatch: pytest.MonkeyPatch, node: TestNode) -> None:
    """A partner whose software has no guard: what it does to the other is all that counts."""
    rules = [name for name in dir(Guard) if name.startswith("_check_")]
    assert len(rules) == 7
    take_out(monkeypatch, node, "review", *rules)
