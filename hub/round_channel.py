"""Flower's requests as durable tasks: what a run asks its nodes, and how long it waits for one that is away.

A run is executed again from its start, or from its checkpoint, after a restart. Its message ids name run, round and
node, so it finds the answers that were stored before and goes on where it stopped.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ecowire import status
from hub import proposals, tasks
from hub.records import Answer, Content, Proposal
from hub.services import Services
from hub.store import Transaction
from hub.store_tasks import FAILED, WITHDRAWN
from hub.tasks import FLOWER
from hub.waiters import Wait
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId

if TYPE_CHECKING:
    from federation.grid import Request

PHASE_CHARACTERS_MAX = 64
SMALL_BYTES = 64 << 10  # answers up to this are read at once with the others of their phase
BEGINS = ("deal", "hold")  # where only one partner deals, the others' session begins with what they hold


class RunInterrupted(Failure):
    """The hub stops while a run waits: the thread ends, the run stays RUNNING and is resumed at the next start."""

    code = "RUN_INTERRUPTED"
    kind = Kind.UNAVAILABLE
    en = "the hub is stopping; the run goes on at its next start"
    zh = "枢纽正在停止；训练将在下次启动后继续"


class RunEnded(Failure):
    """The run was paused, was cancelled, expired or failed while its thread was waiting."""

    code = "RUN_ENDED"
    kind = Kind.CONFLICT
    en = "the run has ended or rests meanwhile"
    zh = "训练任务已在此期间结束或暂停"


class RequestWithdrawn(Failure):
    code = "REQUEST_WITHDRAWN"
    kind = Kind.UNAVAILABLE
    en = "{node} did not answer in time; nobody waits for this request any more"
    zh = "{node} 未及时应答；该请求已撤回"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a run waits for nodes that are not connected. A connected node has the phase's deadline."""

    grace_seconds: float = 2.0  # after its stream has closed
    start_seconds: float = 10.0  # after the hub's own start, when every node has to find it again


class Notes(Protocol):
    """What a run wants written before its next requests can be seen."""

    def write_decisions(self, tx: Transaction) -> None: ...

    def written(self) -> None: ...


class Presence:
    """Which nodes are there, and which have been away for longer than anybody waits."""

    def __init__(self, names: Sequence[str], connected: Callable[[], frozenset[str]], patience: Patience) -> None:
        self._names = names
        self._connected = connected
        self._grace = patience.grace_seconds
        since = time.monotonic() + patience.start_seconds - patience.grace_seconds
        self._away = dict.fromkeys(names, since)  # since when each is away; a start counts as if they left later

    def there(self) -> tuple[str, ...]:
        """The nodes connected now."""
        connected, now = self._connected(), time.monotonic()
        for name in self._names:
            if name in connected:
                self._away.pop(name, None)
            else:
                self._away.setdefault(name, now)
        return tuple(name for name in self._names if name in connected)

    def gone(self, names: Collection[str]) -> bool:
        """Whether all of these have been away for longer than the grace."""
        there, now = self.there(), time.monotonic()
        return all(name not in there and now - self._away[name] >= self._grace for name in names)


class TaskChannel:
    """federation.grid.RoundChannel on durable tasks: posting again finds the stored request and its answer.

    patience None: every node is waited for until the deadline, connected or not.
    """

    def __init__(
        self,
        services: Services,
        job: Proposal,
        approvals: list[canonical.Value],
        patience: Patience | None = None,
        notes: Notes | None = None,
    ) -> None:
        self._services = services
        self._job = job
        self._approvals = approvals
        self._notes = notes
        self._shared: dict[int, Content] = {}  # of the newest requests: held for the nodes' streams
        self._nodes: dict[str, str] = {}  # of the requests this channel has posted
        self._expected: Wait | None = None  # for the newest of them, where all were new
        self._presence = Presence(job.parties, services.connected, patience) if patience else None

    def nodes(self) -> tuple[str, ...]:
        return self._job.parties

    def connected(self) -> tuple[str, ...]:
        """The nodes that are there now. Raises RunInterrupted, RunEnded where one is away: who waits asks again."""
        there = self._services.connected()
        found = tuple(name for name in self.nodes() if name in there)
        if found != self.nodes():
            self._running()
        return found

    def assemble(self) -> None:
        """Wait until every node is there, or is taken for gone: a hub that starts finds all of them away.

        Raises RunInterrupted, RunEnded.
        """
        presence = self._presence
        assert presence is not None, "a run without patience waits for every node anyway"

        def assembled() -> bool:
            missing = set(self.nodes()) - set(presence.there())
            return not missing or presence.gone(missing)

        while not self._services.waiters.hold(assembled):
            self._running()
        self._running()

    def post(self, requests: "Sequence[Request]") -> None:
        """Ask nodes, all in one transaction.

        Raises RunEnded where the run is over, NotRepeatable for another content under a known id.
        """
        now = self._services.clock()
        self._shared = shared = _shared(requests)
        for content in shared.values():
            self._services.store.contents[content.sha256.hex()] = content

        ids = [request.message_id for request in requests]

        def body(tx: Transaction) -> bool:
            if state_of(tx, self._job.digest) != proposals.RUNNING:
                raise RunEnded
            if self._notes is not None:
                self._notes.write_decisions(tx)
            known = tx.tasks.known(ids)
            for content in shared.values():
                tx.tasks.keep_content(self._job.digest, content)
            for request in requests:
                self._post(tx, request, now, known)
            return not known

        self._forget()
        self._expected = self._services.waiters.expect(ids)  # before anybody can answer
        if not self._services.store.run("training.post", body):
            self._forget()  # some may have been answered before: the database knows
        if self._notes is not None:
            self._notes.written()
        self._nodes.update((request.message_id, request.node) for request in requests)

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> "Mapping[str, bytes | Failure]":
        """Answers and failures of those that came in time, each read when it is asked for.

        Raises RunInterrupted, RunEnded.
        """
        presence = self._presence

        def given_up(missing: Collection[str]) -> bool:
            return presence is not None and presence.gone({self._nodes[message_id] for message_id in missing})

        wait = self._expected
        if wait is not None and wait.ids != frozenset(message_ids):
            wait = None
        settled = self._services.waiters.settle(message_ids, timeout_seconds, until=given_up, wait=wait)

        def body(tx: Transaction) -> tuple[str, dict[str, Answer]]:
            return state_of(tx, self._job.digest), tx.tasks.answers(sorted(settled), SMALL_BYTES)

        state, small = self._services.store.read("training.collect", body)
        self._check(state)
        return Answers(self._services, [i for i in message_ids if i in settled], small)

    def withdraw(self, message_ids: Sequence[str]) -> None:
        """Nobody waits for these any more; what was answered stays answered."""
        self._services.store.run("training.withdraw", lambda tx: tx.tasks.withdraw_ids(message_ids))

    def _post(
        self, tx: Transaction, request: "Request", now: datetime, known: Mapping[str, tuple[str, str, str]]
    ) -> None:
        head = dict(request.head)
        if ("attempt" not in head and head.get("round") == 1) or head.get("phase") in BEGINS:
            head["approvals"] = self._approvals  # a node's session begins with them
        tasks.post(
            tx,
            now,
            task_id=request.message_id,
            node=PartnerId(request.node),
            kind=FLOWER,
            head=head,
            body=request.content,
            content=self._shared.get(id(request.content)),
            job=self._job.digest,
            phase=str(head.get("phase") or "round")[:PHASE_CHARACTERS_MAX],
            known=known,
        )

    def _forget(self) -> None:
        if self._expected is not None:
            self._services.waiters.forget(self._expected)
            self._expected = None

    def _running(self) -> None:
        self._check(self._services.store.read("training.state", lambda tx: state_of(tx, self._job.digest)))

    def _check(self, state: str) -> None:
        """Raises RunInterrupted where the hub stops, RunEnded where the run does not go on."""
        if self._services.waiters.closed:
            raise RunInterrupted
        if state != proposals.RUNNING:
            raise RunEnded


class Answers(Mapping[str, "bytes | Failure"]):
    """What nodes answered. Small answers are here already; large ones are in memory one at a time."""

    def __init__(self, services: Services, ids: Sequence[str], small: Mapping[str, Answer]) -> None:
        self._services = services
        self._ids = ids
        self._small = small

    def __getitem__(self, message_id: str) -> "bytes | Failure":
        if message_id not in self._ids:
            raise KeyError(message_id)
        answer = self._small.get(message_id)
        if answer is None:
            answer = self._services.store.read("training.answer", lambda tx: tx.tasks.answers([message_id])[message_id])
        return _told(answer)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._ids  # without loading it

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _shared(requests: "Sequence[Request]") -> dict[int, Content]:
    """What several requests carry, by the identity of the bytes."""
    counts = Counter(id(request.content) for request in requests)
    many = {id(request.content): request.content for request in requests if counts[id(request.content)] > 1}
    return {place: Content.of(data) for place, data in many.items()}


def state_of(tx: Transaction, digest: str) -> str:
    """A run's state; empty where there is none."""
    return tx.jobs.state(digest) or ""


def _told(answer: Answer) -> bytes | Failure:
    if answer.state == WITHDRAWN:
        return RequestWithdrawn(node=answer.node)
    return status.from_head(answer.head) if answer.state == FAILED else answer.body
