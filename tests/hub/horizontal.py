"""Horizontal runs against a hub without ports: real partners' applications that answer the hub's tasks as nodes would.

An answer is computed once for a request and kept, as a node keeps it; a node that is away answers nothing.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecowire.stream import Message
from federation import grid
from federation.horizontal.client import make_client_app
from federation.horizontal.identity import KeyIdentity
from federation.horizontal.member import Member
from federation.horizontal.results import PartnerResult
from federation.horizontal.trainer import Trainer
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Rows
from hub import dispatch, drafts_horizontal, training
from hub.drafts import Directory
from hub.identity import Caller
from hub.records import Head, Proposal, Task
from hub.runs import Runs
from hub.services import Services
from privacy.canonical import Value
from privacy.ids import PartnerId
from tests.hub.alliance import START, Hub, Party
from tests.hub.relay import caller
from tests.hub.streams import Stream
from tests.support.entropy import SeededEntropy

BANKS = ("bank-a", "bank-b", "bank-c", "bank-d")
ROWS = 160
WAIT_SECONDS = 60


def directory(*names: str, **more: Any) -> Directory:
    """What banks publish: their columns AGE, MONEY and Y and what is given besides."""
    columns = {"AGE": "C1", "MONEY": "C2", "Y": "C2"}
    asset = {"name": "clients", "id_column": "client_id", "columns": columns, "rows": "100-499", **more}
    return Directory([{"partner": name, "assets": {"body": {"assets": [asset]}}} for name in names])


def plan_body(*names: str, **changes: Any) -> Head:
    """A small plan's body, drafted as the data team's command does."""
    given: dict[str, Any] = {
        "shape": "horizontal",
        "purpose": "joint-profile",
        "parties": [{"partner": name} for name in names],
        "label": "Y",
        "columns": ["AGE", {"name": "MONEY", "transform": "signed_log"}],
        "training": {"rounds": 3},
        "prepare_rounds": 2,
        "minimum_rows": 30,
        "deadline_seconds": 10,
        "expires": "2026-10-02T08:00:00Z",
        "nonce": "00" * 16,
        "split": {"salt": "07" * 16},
        **changes,
    }
    return drafts_horizontal.train(given, directory(*names), START, SeededEntropy(b"draft"))


def table(name: str) -> Rows:
    """A bank's own rows, from a seed: the label follows AGE and MONEY."""
    draw = np.random.default_rng(sum(name.encode()))
    age, money = draw.normal(45, 12, ROWS), draw.lognormal(8, 1, ROWS)
    chance = 1 / (1 + np.exp(-((age - 45) / 12 + np.log(money) - 8)))
    label = (draw.random(ROWS) < chance).astype(int).astype(str)
    keys = tuple(f"{name}/{number}".encode() for number in range(ROWS))
    return Rows(keys=keys, columns={"AGE": age, "MONEY": money}, label=label)


def applications(
    plan: HorizontalPlan, parties: Mapping[str, Party], sign: Callable[[str, Head], Value]
) -> dict[str, Any]:
    """Every partner's installed Flower application, with real keys; `sign` makes what it says of itself at the end."""
    engine = plan.new_engine()
    signing = {p: parties[p].signing.public for p in plan.partners}
    sealing = {p: parties[p].sealing.public for p in plan.partners}

    def application(name: PartnerId) -> Any:
        trainer, entropy = Trainer(plan, name, table(name)), SeededEntropy(b"node/" + name.encode())
        identity = KeyIdentity(name, parties[name].signing, parties[name].sealing, signing, sealing)
        member = Member(plan.roster, engine, identity, {}, plan.digest, entropy)
        return make_client_app(plan, lambda _: trainer, member, entropy, lambda result: sign(name, said(result)))

    def said(result: PartnerResult) -> Head:
        facts: Head = {"job": plan.digest, "partner": result.partner, "role": "trainer", "time": "now"}
        return {**facts, "record": result.record()}

    return {name: application(name) for name in plan.partners}


class Bank(threading.Thread):
    """A bank's node on a real stream: it takes whatever the hub asks, and answers what belongs to its run."""

    def __init__(self, stream: Stream, name: str, application: Any) -> None:
        super().__init__(name=f"bank-{name}", daemon=True)
        self._stream, self._bank, self._application = stream, name, application
        self.start()

    def run(self) -> None:
        with suppress(AssertionError):  # the stream has ended
            while True:
                with suppress(queue.Empty):
                    self._answer(self._stream.message())

    def _answer(self, asked: Message) -> None:
        body = grid.answer(self._application, asked.body, self._bank, asked.id) if asked.kind == "flower" else b""
        self._stream.say(asked.reply("ok", {}, body))


@dataclass
class Nodes:
    """The partners of one run. `away`: who answers nothing; `change` alters an answer's bytes before it leaves."""

    hub: Hub
    job: Proposal
    away: set[str] = field(default_factory=set)
    change: Callable[[Task, bytes], bytes] = lambda task, body: body
    result: Callable[[str, Head], Value] | None = None
    answers: dict[str, Message] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plan = HorizontalPlan.from_body(self.job.body)
        self.apps = applications(self.plan, self.hub.parties, self._signed)
        self.come(*(set(self.plan.partners) - self.away))

    def come(self, *names: str) -> None:
        self.away -= set(names)
        self.hub.connected |= set(names)

    def leave(self, *names: str) -> None:
        self.away |= set(names)
        self.hub.connected -= set(names)

    def _signed(self, name: str, body: Head) -> Value:
        if self.result is not None:
            return self.result(name, body)
        return self.hub.parties[name].sign("train-result", body).to_value()

    def open(self, services: Services) -> list[Task]:
        found = services.store.read("open", lambda tx: tx.tasks.of_job(self.job.digest, kind="flower"))
        return [task for task in found if task.state == "OPEN" and task.node not in self.away]

    def answer(self, services: Services, task: Task) -> None:
        if task.id not in self.answers:
            self.heads[task.id] = task.head
            body = self.change(task, grid.answer(self.apps[task.node], task.body or b"", task.node, task.id))
            self.answers[task.id] = Message(id=task.id, kind=task.kind).reply("ok", {}, body)
        assert self.requests.setdefault(task.id, task.digest) == task.digest, "a request changed over the restart"
        dispatch.take_answer(services, {}, caller(self.hub, task.node), self.answers[task.id])

    def drive(self, services: Services, until: Callable[[], bool] = lambda: False) -> Proposal:
        """Answer until `until()` is true or the run no longer runs."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not until() and self.hub.proposal(self.job.digest).state == "RUNNING":
            assert time.monotonic() < deadline, "the run does not end"
            for task in self.open(services):
                if until():
                    break
                self.answer(services, task)
            time.sleep(0.002)
        return self.hub.proposal(self.job.digest)

    def groups(self) -> list[str]:
        """What was answered so far, once each and in order: "round.attempt.phase"."""
        found = (task_id[17:].removesuffix(f"-{name}") for task_id in self.answers for name in self.plan.partners)
        return list(dict.fromkeys(group for group in found if group[-1].isalpha() and "-" not in group))


def approved(hub: Hub, *names: str, **changes: Any) -> Proposal:
    """A plan that everybody approved; it waits for its start."""
    made = hub.propose("train", plan_body(*names, **changes), training.check)
    for name in names:
        hub.decide(name, made.digest, "train")
    return hub.proposal(made.digest)


def command(hub: Hub, name: str, job: Proposal) -> Head:
    """A person's start, pause or resume."""
    dana = Caller(name="dana", role="data", fingerprint="")
    run = training.COMMANDS[name].run
    assert run is not None
    reply: Any = hub.run(run, dana, hub.now(), {"digest": job.digest})
    head: Head = reply.head
    return head


def wait_for_threads() -> None:
    """Until no run's thread is left."""
    deadline = time.monotonic() + WAIT_SECONDS
    while any(thread.name.startswith("run-") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a run's thread does not end"
        time.sleep(0.01)


def run_through(hub: Hub, job: Proposal, nodes: Nodes) -> Proposal:
    """Start and drive a run until it ends or rests."""
    command(hub, "start", job)
    runs = Runs(hub.services)
    runs.advance(hub.services, job.digest)
    ended = nodes.drive(hub.services)
    wait_for_threads()
    return ended
