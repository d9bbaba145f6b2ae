"""Single scores between nodes of one process: what the hub does for an ask, and nodes after a run with `scoring`."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet

from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import FAILURE, Message
from partner_node import store, store_scores
from partner_node.database import Database
from privacy import packing
from tests.partner_node import alliance, test_training
from tests.partner_node.alliance import LOG_KEY, MovableClock, TestAuthority, TestNode
from tests.partner_node.relay import MatchRelay

NAMES = ("broker", "bank", "platform")
PER_DAY = 5
Change = Callable[[Message], Message]


def same(message: Message) -> Message:
    return message


@dataclass
class Alliance:
    """Broker, bank and platform after a run; `scored` plays the hub."""

    nodes: list[TestNode]
    job: str
    released: str  # digest of the step that releases the run's model to all
    clock: MovableClock
    requests: list[Message] = field(default_factory=list)  # of the broker to the hub
    given: dict[str, Message] = field(default_factory=dict)  # of the last ask: by holder
    answers: int = 0

    def __getitem__(self, name: str) -> TestNode:
        return next(node for node in self.nodes if node.partner == name)

    def holders(self) -> tuple[str, ...]:
        return tuple(name for name in NAMES[1:] if any(node.partner == name for node in self.nodes))

    def begin(self, client: str, **arguments: Any) -> tuple[threading.Thread, dict[str, Any]]:
        """The command in a thread of its own, as a person's; its outcome once that has ended."""
        outcome: dict[str, Any] = {}

        def run() -> None:
            try:
                outcome["found"] = self["broker"].command(
                    "score", job=self.job, client=client, person="a clerk", **arguments
                )
            except Exception as error:
                outcome["error"] = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, outcome

    def request(self, thread: threading.Thread) -> Message | None:
        """The broker's ask on its way to the hub; None where the command ended without one."""
        seen = {message.id for message in self.requests}
        while thread.is_alive():
            for message in self["broker"].parts.worker._outbox.pending():
                if message.kind == "score.ask" and message.id not in seen:
                    self.requests.append(message)
                    return message
            time.sleep(0.005)
        return None

    def ask(self, request: Message, holder: str, *, change: Change = same, again: str = "") -> Message:
        """What a holder answers to its part of an ask."""
        said = request.head["ask"]["body"]  # type: ignore[index,call-overload]
        sealed: Any = packing.unpack(request.body)
        head: Body = {"run": said["run"], "ask": said["ask"]}  # type: ignore[index,call-overload]
        made = Message(id=f"score-{said['ask']}-{holder}{again}", kind="score", head=head, body=sealed[holder])  # type: ignore[index,call-overload]
        return self[holder].ask(change(made))

    def tell(self, request: Message, replies: Mapping[str, Message], *, change: Change = same) -> Message:
        """The answers on their way back: all, or the first refusal."""
        said: Any = request.head["ask"]
        head: Body = {"run": said["body"]["run"], "ask": said["body"]["ask"]}
        body = b""
        refused = next(((name, reply) for name, reply in replies.items() if reply.kind == FAILURE), None)
        if refused is not None:
            head |= {"partner": refused[0], "failure": refused[1].head}
        else:
            body = packing.pack({name: bytes.fromhex(str(reply.head["envelope"])) for name, reply in replies.items()})
        self.answers += 1
        message = Message(id=f"answer-{self.answers}", kind="score.answer", head=head, body=body)
        return self["broker"].ask(change(message))

    def settle(self, request: Message) -> None:
        """The hub's receipt for an ask."""
        document = documents.parse(request.head["ask"])
        receipt = documents.sign("receipt", {"document": document.digest}, "hub", LOG_KEY)  # type: ignore[arg-type]
        reply = request.reply("ok", {"receipt": receipt.to_value()})
        self["broker"].parts.worker._outbox.settle(reply)

    def scored(self, client: str, *, change: Mapping[str, Change] | None = None, **arguments: Any) -> Any:
        """A whole ask; what the person is told. Raises what the person is refused."""
        thread, outcome = self.begin(client, **arguments)
        request = self.request(thread)
        if request is not None:
            self.settle(request)
            changes = change or {}
            self.given = {name: self.ask(request, name, change=changes.get(name, same)) for name in self.holders()}
            self.tell(request, self.given, change=changes.get("broker", same))
        thread.join(30)
        assert not thread.is_alive()
        if "error" in outcome:
            raise outcome["error"]
        return outcome["found"]

    def reopen(self, name: str) -> None:
        self.nodes[[node.partner for node in self.nodes].index(name)] = self[name].reopened()

    def alignment(self) -> str:
        """The digest of the match that the run is over."""
        body = self.database("broker").read(lambda session: store.proposal(session, self.job)).body
        return str(body["alignment"])

    def matrix(self) -> dict[str, dict[str, Any]]:
        """The broker's label matrix by client."""
        (file,) = self["broker"].parts.node.settings.results.glob("label-matrix-*.parquet")
        return {row["client_id"]: row for row in pyarrow.parquet.read_table(file).to_pylist()}

    def database(self, name: str) -> Database:
        return self[name].parts.node.database

    def booked(self, name: str, day: str = "2026-10-01") -> int:
        return self.database(name).read(lambda session: store_scores.booked(session, self.job, day))

    def rewrite(self, name: str, column: str, client: str, value: str) -> None:
        """Change one value in a party's file."""
        path = self[name].folder / "clients.csv"
        head, *rows = path.read_text().splitlines()
        place = head.split(",").index(column)
        cells = [row.split(",") for row in rows]
        for row in cells:
            if row[0] == client:
                row[place] = value
        path.write_text("\n".join([head, *(",".join(row) for row in cells)]) + "\n")


def plan_body(nodes: list[TestNode], match: str, **changes: Any) -> Body:
    return test_training.plan_body(nodes, match, **{"scoring": {"clients_per_day": PER_DAY}, **changes})


def trained(nodes: list[TestNode], match: str, **changes: Any) -> str:
    """A run that ended COMPLETED everywhere; its digest."""
    body = plan_body(nodes, match, **changes)
    test_training.run(nodes, body)
    job = documents.digest("train", body)
    ended(nodes, job)
    return job


def ended(nodes: list[TestNode], job: str, state: str = "COMPLETED") -> None:
    for node in nodes:
        head: Body = {"job": job, "state": state, "reason": {}}
        reply = node.ask(Message(id=f"{job[:32]}-ended-{node.partner}", kind="job.ended", head=head))
        assert reply.kind != FAILURE, reply.head


ALL = 1_000_000
UNTIL = "2026-12-30T08:00:00.000Z"


def step(made: TestNode, job: str, *shares: int, number: int = 1, before: str | None = None) -> str:
    """Tell the label holder's node the hub's step after which the run's model serves this share of the clients."""
    model = "ab" * 32
    serving: list[Any] = [
        {"job": job, "model_digest": model, "share_ppm": share, "salt": "5a" * 16, "valid_until": UNTIL}
        for share in shares
    ]
    body: Body = {
        "name": f"{alliance.PURPOSE}/broker/Y",
        "number": number,
        "previous": before,
        "label_holder": "broker",
        "job": job,
        "model_digest": model,
        "action": "release",
        "person": "dana",
        "reason": "reviewed",
        "accepted": [],
        "against": [],
        "serving": serving,
        "time": "2026-10-01T08:00:00.000Z",
    }
    signed = documents.sign("model-step", body, "hub", LOG_KEY)  # type: ignore[arg-type]
    head: Body = {"step": signed.to_value()}
    reply = made.ask(Message(id=f"{signed.digest[:32]}-model-step", kind="model.step", head=head))
    assert reply.kind != FAILURE, reply.head
    return signed.digest


def finished(folder: Path, **changes: Any) -> tuple[Path, str, str]:
    """Folders of closed nodes after an alignment and a released run; the run's digest, the step's."""
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for name, columns in test_training.COLUMNS.items():
        text, classes = test_training.table(name), dict.fromkeys(columns, "C2")
        node = alliance.make_node(folder, name, text, columns=classes, clock=clock, authority=authority)
        alliance.consent(node, range(test_training.CLIENTS))
        nodes.append(node)
    alliance.pin_all(nodes)
    match = alliance.propose(nodes, "match", alliance.match_body(nodes))
    MatchRelay(nodes, match, alliance.approve(nodes, match)).run()
    job = trained(nodes, match, **changes)
    released = step(nodes[0], job, ALL)
    for node in nodes:
        node.parts.node.database.close()
    return folder, job, released


def opened(folder: Path, to: Path, job: str, released: str) -> Alliance:
    """A copy of nodes that are closed."""
    clock, nodes = MovableClock(), []
    for name in NAMES:
        shutil.copytree(folder / name, to / name)
        nodes.append(alliance.open_node(name, to / name, clock, []))
    return Alliance(nodes=nodes, job=job, released=released, clock=clock)
