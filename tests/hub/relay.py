"""Scripted nodes for the hub's job tests: they answer the hub's requests as tasks, without a network.

Envelopes are real (sealed and signed); what is in them is a script, as the hub can't see it anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ecowire import envelopes, status
from ecowire.envelopes import Header
from ecowire.stream import FAILURE, Message
from hub import dispatch, matching
from hub.identity import Caller
from hub.records import Head, Proposal, Task
from privacy import packing
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from privacy.psi.job import MatchJob
from tests.hub.alliance import Hub, match_body

Change = Callable[[str, Message], Message | None]


@dataclass
class Script:
    """A match of scripted nodes. `sends`: what a node says at each of its steps; `change` alters an answer."""

    hub: Hub
    job: Proposal
    sends: dict[str, list[list[str]]]  # per node and step: the recipients of one envelope each
    count: int | None = 50
    order: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)  # where it is neither of the two usual ones
    change: Change = lambda node, message: message
    sequences: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # (kind, node)
    taken: dict[str, list[bytes]] = field(default_factory=dict)

    def run(self, rounds: int = 20) -> Proposal:
        """Answer and advance until nothing is open."""
        matching.advance(self.hub.services, self.job.digest)
        for _ in range(rounds):
            tasks = self.open_tasks()
            if not tasks:
                break
            for task in tasks:
                self.answer(task)
        return self.hub.proposal(self.job.digest)

    def open_tasks(self) -> list[Task]:
        found = self.hub.store.read("open", lambda tx: tx.tasks.of_job(self.job.digest))
        return [task for task in found if task.state == "OPEN" and task.kind in ("match.start", "match.step")]

    def answer(self, task: Task) -> None:
        self.asked.append((task.kind, task.node))
        message = self.change(task.node, self.reply(task))
        if message is None:
            return
        dispatch.take_answer(self.hub.services, {}, caller(self.hub, task.node), message)
        matching.advance(self.hub.services, self.job.digest)

    def reply(self, task: Task) -> Message:
        request = Message(id=task.id, kind=task.kind, head=task.head, body=task.body or b"")
        party = self.hub.parties[task.node]
        if task.kind == "match.start":
            body: Head = {
                "job": self.job.digest,
                "partner": task.node,
                "count": 100,
                "root": "ab" * 32,
                "id_type": "resident_id",
                "normaliser": 2,
            }
            return request.reply("ok", {"commitment": party.sign("match-commitment", body).to_value()})
        incoming = packing.unpack(task.body or b"")
        assert isinstance(incoming, list)
        self.taken.setdefault(task.node, []).extend(item for item in incoming if isinstance(item, bytes))
        step = sum(1 for kind, node in self.asked if (kind, node) == ("match.step", task.node)) - 1
        script = self.sends[task.node]
        done = step + 1 >= len(script)
        out = [self.envelope(task.node, to) for to in (script[step] if step < len(script) else [])]
        result = self.result(task.node) if done else None
        head: Head = {"done": done, "phase": "done" if done else f"step {step}", "result": result}
        return request.reply("ok", head, packing.pack(out))  # type: ignore[arg-type]

    def envelope(self, sender: str, recipient: str, plain: bytes = b"secret", **changes: Any) -> bytes:
        key = (sender, recipient)
        number = self.sequences.get(key, 0)
        self.sequences[key] = number + 1
        header = Header(job=self.job.digest, sender=PartnerId(sender), recipient=PartnerId(recipient), sequence=number)
        header = replace(header, **changes)
        to = self.hub.parties.get(recipient, self.hub.parties[sender])
        return envelopes.make(
            plain, header=header, sealing_public=to.sealing.public, key=self.hub.parties[sender].signing
        )

    def result(self, node: str) -> Any:
        leads = next(p["partner"] for p in self.job.party_bodies if p["role"] == "leader") == node
        mode = self.job.body["mode"]
        entitled = leads or mode not in ("count", "labels", "cached")
        shared = "shared" if self.count is not None else "below minimum"
        body: Head = {
            "job": self.job.digest,
            "mode": mode,
            "outcome": self.outcomes.get(node, shared if entitled else "not entitled"),
            "count": self.count if entitled else None,
            "order": self.order.get(node, "0d" * 32 if mode == "align" else ""),
            "transcripts": dict.fromkeys(MatchJob.from_body(self.job.body).peers(node), "7a" * 32),
            "time": "2026-10-01T08:00:00Z",
        }
        return self.hub.parties[node].sign("match-result", body).to_value()


def caller(hub: Hub, name: str) -> Caller:
    found = [c for c in hub.store.read("c", lambda tx: tx.members.certificates(name)) if c.state == "ACTIVE"]
    return Caller(name=name, role="node", fingerprint=found[-1].fingerprint)


def approved(hub: Hub, leader: str, *followers: str, mode: str = "count", **changes: Any) -> Proposal:
    """A match that everybody approved."""
    made = hub.propose("match", match_body(leader, *followers, mode=mode, **changes), matching.check)
    for name in (leader, *followers):
        hub.decide(name, made.digest, "match")
    return hub.proposal(Digest(made.digest))


def failing(message: Message, failure: Failure) -> Message:
    """The same answer as a failure."""
    return replace(message, kind=FAILURE, head=status.to_head(failure), body=b"")
