"""Jobs of mode cached between two nodes: proposed, approved and run through the nodes' real request handlers."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ecowire.documents import Body
from ecowire.stream import FAILURE, Message
from partner_node import match_epoch_store
from partner_node.match_epoch_store import Epoch
from privacy.psi.cached import agreed
from tests.partner_node import alliance
from tests.partner_node.alliance import MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

EPOCH: dict[str, Any] = {
    "epoch": 1,
    "slots": 256,
    "addition_slots": 32,
    "additions_max": 2,
    "points_max": 1000,
    "ends": "2026-12-01T00:00:00+00:00",
}


BROKER, BANK = range(40), range(20, 200)  # numbers of the clients of each


def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of few masks and points, so that there is a middle."""
    monkeypatch.setattr(agreed, "MASKS_PER_MESSAGE", 64)
    monkeypatch.setattr(agreed, "POINTS_PER_MESSAGE", 8)


class Refused(Exception):
    """A node answered with a failure."""

    def __init__(self, partner: str, code: str, said: str) -> None:
        super().__init__(f"{partner}: {code}: {said}")
        self.partner, self.code, self.said = partner, code, said


class Relay(MatchRelay):
    """The hub's part; the first refusal ends it. `bytes`: what went between the nodes."""

    bytes = 0

    def _start(self, node: TestNode, approvals: list[Any]) -> Any:
        head = {"job": self.job, "approvals": approvals}
        reply = node.ask(Message(id=f"{self.job[:16]}-start-{node.partner}", kind="match.start", head=head))
        return checked(node.partner, reply).head["commitment"]

    def step(self, partner: str) -> Message:
        reply = checked(partner, super().step(partner))
        self.bytes += len(reply.body)
        return reply


def checked(partner: str, reply: Message) -> Message:
    if reply.kind == FAILURE:
        raise Refused(partner, str(reply.head["code"]), str(reply.head))
    return reply


class Pair:
    """Broker, the small side, leads; the bank has the long list."""

    def __init__(
        self, folder: Path, broker: Sequence[int], bank: Sequence[int], rules: dict[str, str] | None = None
    ) -> None:
        self.clock, authority = MovableClock(), TestAuthority()
        self.jobs = 0
        self.nodes: dict[str, TestNode] = {}
        for name, numbers in (("broker", broker), ("bank", bank)):
            self.nodes[name] = alliance.make_node(
                folder,
                name,
                alliance.clients_csv([*numbers]),
                columns={"SPEND": "C2"},
                clock=self.clock,
                authority=authority,
                matching=(rules or {}).get(name, alliance.OPEN),
            )
            alliance.consent(self.nodes[name], [*numbers])
        alliance.pin_all([*self.nodes.values()])

    def enter(self, name: str, numbers: Sequence[int]) -> None:
        """From now on these are the clients in a node's source, all with consent."""
        (self.nodes[name].folder / "clients.csv").write_text(alliance.clients_csv([*numbers]))
        alliance.consent(self.nodes[name], [*numbers])

    def propose(self, minimum: int = 1, **changes: Any) -> str:
        """changes: of the epoch's terms."""
        self.jobs += 1
        body = alliance.match_body(
            [*self.nodes.values()],
            mode="cached",
            version=2,
            minimum=minimum,
            cached=EPOCH | changes,
            nonce=f"{self.jobs:032x}",
        )
        return alliance.propose([*self.nodes.values()], "match", body)

    def start(self, restart: bool = False, **changes: Any) -> Relay:
        job = self.propose(**changes)
        nodes = [*self.nodes.values()]
        approvals = alliance.approve(nodes, job)
        try:
            return Relay(nodes, job, approvals, restart=restart)
        except Refused:
            self.end(job)
            raise

    def run(self, restart: bool = False, **changes: Any) -> Relay:
        """A job that ended. Raises Refused."""
        relay = self.start(restart, **changes)
        self.finish(relay)
        return relay

    def finish(self, relay: Relay) -> None:
        try:
            relay.run()
        except Refused:
            self.nodes = dict(relay.nodes)
            self.end(relay.job)
            raise
        self.nodes = dict(relay.nodes)

    def end(self, job: str) -> None:
        """The hub tells everybody that a job has failed."""
        head: Body = {"job": job, "state": "FAILED", "reason": {}}
        for name, node in self.nodes.items():
            checked(name, node.ask(Message(id=f"{job[:16]}-end-{name}", kind="job.ended", head=head)))

    def shared(self, restart: bool = False, **changes: Any) -> set[int]:
        """The numbers of the clients that the broker may list after a job."""
        relay = self.run(restart, **changes)
        if relay.results["broker"]["body"]["count"] is None:
            return set()
        broker = self.nodes["broker"]
        path = broker.folder / f"{relay.job[:8]}.csv"
        broker.command("match.result", job=relay.job, file=str(path))
        with path.open(newline="") as lines:
            return {number_of(row["client_id"]) for row in csv.DictReader(lines)}

    def epochs(self, name: str) -> list[Epoch]:
        return self.nodes[name].parts.node.database.read(match_epoch_store.listed)

    def masks(self, name: str) -> int:
        (epoch,) = self.epochs(name)
        read = self.nodes[name].parts.node.database.read
        return read(lambda s: match_epoch_store.held(s, epoch.place.line, epoch.place.number))


def number_of(client: str) -> int:
    return int(client[2:6]) * 1000 + int(client[14:17])
