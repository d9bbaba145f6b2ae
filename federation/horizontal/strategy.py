"""A Flower Strategy around another that averages: the same rounds, on sums that nobody sees the parts of.

    strategy = HomomorphicStrategy(FedAvg(fraction_evaluate=0.0), roster, engine, verifier, job, Update(clip=…, …))
    strategy.start(grid, initial_arrays, num_rounds=5)

It deals keys ahead, sends one input to all, adds what comes back encrypted, opens the sum of the fixed cohort and hands
the inner strategy one reply: the model moved by the average update, with the examples of the whole cohort. So the inner
strategy does what it does (FedAvg, server momentum, Adam …) and never sees a partner's update. For a run that goes on
after a crash, drive it round by round: `configure_train`, `send_and_receive`, `aggregate_train`, or `train_round`; keep
`state()` beside the arrays and pass a durable `decide`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy

from federation.grid import read_failure
from federation.horizontal import flower, keys, wire
from federation.horizontal.coordinator import (
    ASKED,
    Coordinator,
    Decide,
    Event,
    Exchange,
    Gathered,
    Reply,
    decide_now,
    ignore,
)
from federation.horizontal.errors import PartnerRefused, QuorumMissing
from federation.horizontal.identity import Verifier
from federation.horizontal.inner import Inner
from federation.horizontal.lanes import Average, Update
from federation.horizontal.presence import Names, Presence
from federation.horizontal.wire import Upload
from privacy.aggregation import Engine, Lanes, Roster, RoundVoid, Slot
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from privacy.packing import Packed

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """An opened sum. lanes: int64 (count,); cohort: whose lanes are in it; clear: what partners sent beside them;
    wrong: answerers found wrong."""

    lanes: Lanes = field(repr=False)
    cohort: tuple[PartnerId, ...]
    clear: Mapping[PartnerId, ConfigRecord]
    wrong: tuple[PartnerId, ...]


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One slot on its way: what was asked of whom."""

    slot: Slot
    message_type: str
    content: RecordDict
    asked: tuple[PartnerId, ...]
    given: wire.Input
    clear: dict[PartnerId, ConfigRecord] = field(default_factory=dict)


class HomomorphicStrategy(Strategy):
    """See the module. engine: the job's, the same parameters as at every partner; job: its digest.

    attempts: how often a round may be tried, each time with fresh keys; a run that goes on after a pause walks through
    the attempts it has made, so it is given more. prepare_rounds: for how many rounds, up to last_round, keys are dealt
    at a time. deadline_seconds: for each phase.
    patience_seconds: how long a slot waits for a quorum of connected partners. names: Flower's node numbers by partner,
    for a grid that doesn't know partners by name. Raises StrategyNotAveraging for an inner strategy that needs to see
    the parts.
    """

    def __init__(
        self,
        inner: FedAvg,
        roster: Roster,
        engine: Engine,
        verifier: Verifier,
        job: Digest,
        update: Update,
        *,
        attempts: int = 2,
        prepare_rounds: int = 8,
        last_round: int = keys.ROUNDS_MAX,
        deadline_seconds: float = 20.0,
        patience_seconds: float = 20.0,
        names: Names | None = None,
        decide: Decide = decide_now,
        on_event: Callable[[Event], None] = ignore,
    ) -> None:
        assert attempts >= 1
        self.inner, self.update, self.job = Inner(inner), update, job
        self.coordinator = Coordinator(
            roster,
            engine,
            verifier,
            job,
            prepare_rounds=prepare_rounds,
            last_round=last_round,
            decide=decide,
            on_event=on_event,
        )
        self.last_sum: Sum | None = None
        self.last_average: Average | None = None
        self._engine = engine
        self._attempts = attempts
        self._deadline_seconds = deadline_seconds
        self._presence = Presence(self.coordinator, names, patience_seconds, time.monotonic, time.sleep)
        self._open: tuple[Grid, _Attempt] | None = None

    # --- Flower's own steps -------------------------------------------------------------------------------------------

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Have keys dealt where they are wanting; the one input for all. Raises QuorumMissing, StrategyNotAveraging."""
        content = self.inner.input(server_round, arrays, config)
        attempt = self._begin(grid, server_round, 0, flower.TRAIN, content)
        self._open = (grid, attempt)
        return self._messages(grid, attempt)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Open the cohort's sum (again from the start with fresh keys while attempts are left) and step the inner
        strategy. Raises RoundVoid, QuorumMissing when no attempt is left."""
        assert self._open is not None, "configure_train comes first"
        grid, attempt = self._open
        self._open = None
        _, arrays = flower.only_arrays(attempt.content)
        count = self.update.count(sum(array.numpy().size for array in arrays.values()))

        def average(opened: Sum) -> Average:
            return self.update.decode(opened.lanes, len(opened.cohort), self._engine.value_bits)

        opened, made = self._finish(grid, attempt, replies, count, average)
        self.last_sum, self.last_average = opened, made
        return self.inner.step(server_round, flower.moved(arrays, made.update), made.examples, made.metrics)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Nothing: a partner's own figures would come in clear. They travel as metrics of training."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        return None

    def summary(self) -> None:
        self.inner.strategy.summary()

    # --- our own loop -------------------------------------------------------------------------------------------------

    def train_round(
        self, grid: Grid, server_round: int, arrays: ArrayRecord, config: ConfigRecord
    ) -> tuple[ArrayRecord, MetricRecord]:
        """One round: the new arrays and the cohort's metrics. Raises RoundVoid, QuorumMissing."""
        messages = self.configure_train(server_round, arrays, config, grid)
        replies = grid.send_and_receive(messages, timeout=self._deadline_seconds)
        moved, metrics = self.aggregate_train(server_round, replies)
        assert moved is not None and metrics is not None, "one reply is always averaged"
        return moved, metrics

    def sum_over(self, grid: Grid, round_: int, message_type: str, content: RecordDict, count: int) -> Sum:
        """The sum of `count` lanes of each partner, for a query of the same content to all ("query.<phase>").

        Raises RoundVoid, QuorumMissing when no attempt is left.
        """
        assert message_type.startswith(flower.QUERY), "sums are asked for by queries"
        attempt = self._begin(grid, round_, 0, message_type, content)
        replies = grid.send_and_receive(self._messages(grid, attempt), timeout=self._deadline_seconds)
        return self._finish(grid, attempt, replies, count, lambda opened: None)[0]

    def state(self) -> dict[str, Packed]:
        """What a resumed run needs besides the arrays, for `privacy.packing`; taken between two rounds."""
        return {
            "coordinator": self.coordinator.state(),
            "presence": self._presence.state(),
            "inner": self.inner.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take `state()` of the run that was left; with its arrays the run goes on bit by bit the same."""
        self.coordinator.restore(state["coordinator"])
        self._presence.restore(state["presence"])
        self.inner.restore(state["inner"])

    # --- one slot -----------------------------------------------------------------------------------------------------

    def _begin(self, grid: Grid, round_: int, number: int, message_type: str, content: RecordDict) -> _Attempt:
        """The next attempt, from `number` on, for which enough partners are there and have keys."""
        while True:
            slot = Slot(job=self.job, round=round_, attempt=number)
            given = flower.read_input(slot, message_type, content)
            connected = self._presence.decide(grid, slot, self.coordinator.bound_cohort(given.body))
            try:
                asked = self.coordinator.prepare(slot, connected, self._exchange(grid))
            except QuorumMissing:
                number += 1
                if number >= self._attempts:
                    raise
                continue
            return _Attempt(slot=slot, message_type=message_type, content=content, asked=asked, given=given)

    def _messages(self, grid: Grid, attempt: _Attempt) -> list[Message]:
        content = flower.input_content(attempt.slot, attempt.content)
        phase = flower.phase_of(attempt.message_type)
        self.coordinator.tell(attempt.slot, phase, dict.fromkeys(attempt.asked, ASKED))
        numbers = self._presence.numbers(grid)
        return [
            grid.create_message(content, attempt.message_type, numbers[p], flower.group(attempt.slot, phase))
            for p in attempt.asked
        ]

    def _finish(
        self, grid: Grid, attempt: _Attempt, replies: Iterable[Message], count: int, read: Callable[[Sum], Read]
    ) -> tuple[Sum, Read]:
        while True:
            try:
                opened = self._opened(grid, attempt, replies, count)
                return opened, read(opened)
            except (RoundVoid, QuorumMissing):
                number = attempt.slot.attempt + 1
                if number >= self._attempts:
                    raise
            attempt = self._begin(grid, attempt.slot.round, number, attempt.message_type, attempt.content)
            replies = grid.send_and_receive(self._messages(grid, attempt), timeout=self._deadline_seconds)

    def _opened(self, grid: Grid, attempt: _Attempt, replies: Iterable[Message], count: int) -> Sum:
        phase = flower.phase_of(attempt.message_type)
        uploads = self._uploads(grid, attempt, replies)
        gathered: Gathered = self.coordinator.gather(attempt.slot, attempt.given, attempt.asked, uploads, count, phase)
        opened = self.coordinator.open(gathered, attempt.asked, self._exchange(grid))
        clear = {p: attempt.clear[p] for p in gathered.partners if p in attempt.clear}
        return Sum(lanes=opened.lanes, cohort=gathered.partners, clear=clear, wrong=opened.wrong)

    def _uploads(
        self, grid: Grid, attempt: _Attempt, replies: Iterable[Message]
    ) -> Iterable[tuple[PartnerId, Upload | Failure]]:
        for partner, reply in self._named(grid, replies):
            try:
                if reply.has_error():
                    raise _refusal(partner, reply)
                upload, clear = flower.read_upload(reply.content)
            except Failure as failure:
                yield partner, failure
                continue
            if clear is not None:
                attempt.clear[partner] = clear
            yield partner, upload

    def _exchange(self, grid: Grid) -> Exchange:
        def exchange(phase: str, slot: Slot, requests: Mapping[PartnerId, bytes]) -> Iterable[Reply]:
            numbers, group = self._presence.numbers(grid), flower.group(slot, phase)
            messages = [
                grid.create_message(flower.body_content(data), flower.QUERY + phase, numbers[partner], group)
                for partner, data in requests.items()
            ]
            for partner, reply in self._named(grid, grid.send_and_receive(messages, timeout=self._deadline_seconds)):
                try:
                    yield partner, _refusal(partner, reply) if reply.has_error() else flower.read_body(reply)
                except Failure as failure:
                    yield partner, failure

        return exchange

    def _named(self, grid: Grid, replies: Iterable[Message]) -> Iterable[tuple[PartnerId, Message]]:
        partners = {number: partner for partner, number in self._presence.numbers(grid).items()}
        for reply in replies:
            if reply.metadata.src_node_id in partners:
                yield partners[reply.metadata.src_node_id], reply


def _refusal(partner: PartnerId, reply: Message) -> PartnerRefused:
    told = read_failure(reply)
    said = {f"party_{name}": text for name, text in told.items()}
    return PartnerRefused(partner=partner, **said)
