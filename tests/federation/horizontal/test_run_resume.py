"""A run goes on: after the hub's death at any step with the same weights, after a pause, without partners that left."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federation.horizontal import checkpoint
from federation.horizontal.checkpoint import Checkpoint, CheckpointUnreadable, RoundFacts
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing
from federation.horizontal.results import RunResult
from federation.plan_parts import EarlyStop
from federation.tabular import Scaling, Statistics
from privacy import packing
from privacy.aggregation import Opened, RoundVoid
from privacy.errors import Failure
from tests.federation import banks
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal import runs
from tests.federation.horizontal.runs import World
from tests.federation.plans import horizontal
from tests.support.plain_engine import PlainEngine

PARTNERS = ("bank-a", "bank-b", "bank-c", "bank-d")
BANKS = banks.synthetic(PARTNERS, rows=200)
SHORT = {"rounds": 3, "steps": 2}


class HubDied(Exception):
    """The hub's process is gone; what it had stored is there."""


def body(**changes: Any) -> dict[str, Any]:
    return horizontal(PARTNERS, training=SHORT, prepare_rounds=2, **changes)


def same(found: RunResult, expected: RunResult) -> bool:
    histories = [[replace(f, milliseconds=0) for f in result.state.history] for result in (found, expected)]
    return (
        found.model.encode() == expected.model.encode()
        and found.record() == expected.record()
        and found.told == expected.told
        and histories[0] == histories[1]
    )


@pytest.mark.parametrize("strategy", [{"name": "fedavg"}, {"name": "fedadam", "server_rate_micro": 100_000}])
def test_a_hub_that_dies_at_every_step_ends_with_the_same_weights(strategy: dict[str, Any]) -> None:
    undisturbed = runs.world(body(strategy=strategy), BANKS, durable=True).run()
    world = runs.world(body(strategy=strategy), BANKS, durable=True)
    seen: list[Event] = []

    def die_at_new(event: Event) -> None:
        if event not in seen:
            seen.append(event)
            raise HubDied

    world.on_event = die_at_new
    deaths = 0
    while True:
        try:
            found = world.run()
            break
        except HubDied:
            deaths += 1
    assert deaths == len(seen) > 20
    assert {event.phase for event in seen} == {"deal", "hold", "statistics", "train", "answer", "finish"}
    assert same(found, undisturbed)


def test_a_hub_that_dies_before_and_after_each_checkpoint_ends_with_the_same_weights() -> None:
    undisturbed = runs.world(body(), BANKS, durable=True).run()
    for after in (True, False):
        world = runs.world(body(), BANKS, durable=True)
        died: set[int] = set()

        def die(state: Checkpoint, world: World = world, died: set[int] = died, after: bool = after) -> None:
            if state.round not in died:
                died.add(state.round)
                if not after:
                    world.saved.pop()
                raise HubDied

        world.on_save = die
        for _ in range(4):
            with pytest.raises(HubDied):
                world.run()
        assert same(world.run(), undisturbed)
        assert died == {0, 1, 2, 3}


class Forgetting(MemoryChannel):
    """Drops what finished rounds were asked and answered, as the hub does with each checkpoint."""

    def drop(self) -> None:
        self._requests.clear()
        self._answers.clear()


def test_a_checkpoint_alone_is_enough_to_go_on_from() -> None:
    undisturbed = runs.world(body(), BANKS, durable=True).run()
    world = runs.world(body(), BANKS)
    world.channel = kept = Forgetting(world.apps)
    died: set[int] = set()

    def die(state: Checkpoint) -> None:
        kept.drop()
        if state.round not in died:
            died.add(state.round)
            raise HubDied

    world.on_save = die
    for _ in range(4):
        with pytest.raises(HubDied):
            world.run()
    assert same(world.run(), undisturbed)
    assert len(set(kept.executed)) == len(kept.executed)  # nothing was computed twice


def channel(world: World) -> MemoryChannel:
    assert world.channel is not None
    return world.channel


class Losing(MemoryChannel):
    """Loses the requests whose ids end so: their partner does not answer in time."""

    lost: tuple[str, ...] = ()

    def collect(self, message_ids: Sequence[str], timeout_seconds: float) -> Mapping[str, bytes | Failure]:
        return super().collect([i for i in message_ids if not i.endswith(self.lost)], timeout_seconds)


@pytest.mark.parametrize(("phase", "summed"), [("deal", 3), ("hold", 4), ("train", 3), ("answer", 4)])
def test_a_partner_that_falls_silent_costs_at_most_its_own_part_and_rejoins(phase: str, summed: int) -> None:
    world = runs.world(body(), BANKS)
    world.channel = Losing(world.apps)
    world.channel.lost = (f"-2.0.{phase}-bank-c",)
    result = world.run()
    cohorts = [facts.cohort for facts in result.state.history]
    assert (len(cohorts[1]), "bank-c" in cohorts[1]) == (summed, summed == 4)
    assert cohorts[0] == cohorts[2] == PARTNERS
    assert [facts.attempts for facts in result.state.history] == [1, 1, 1]
    assert set(result.told) == set(PARTNERS)


def test_a_run_without_a_quorum_pauses_and_goes_on_when_people_resume_it() -> None:
    world = runs.world(body(), BANKS, durable=True)
    world.on_save = lambda state: channel(world).disconnected.update({"bank-b", "bank-c"} if state.round == 1 else ())
    with pytest.raises(QuorumMissing) as caught:
        world.run()
    assert "bank-b" in str(caught.value.facts["missing"])
    assert len(world.saved) == 2
    channel(world).disconnected.clear()
    world.on_save = lambda state: None
    assert same(world.run(resumes=1), runs.world(body(), BANKS, durable=True).run())


@pytest.mark.parametrize("phase", ["deal", "hold", "train", "answer"])
def test_a_run_whose_partners_fell_silent_in_every_attempt_goes_on_with_new_ones(phase: str) -> None:
    world = runs.world(body(), BANKS)
    world.channel = Losing(world.apps)
    world.channel.lost = tuple(f"-2.{n}.{phase}-{partner}" for n in (0, 1) for partner in ("bank-b", "bank-c"))
    with pytest.raises(QuorumMissing):
        world.run()
    world.channel.lost = ("nothing",)
    result = world.run(resumes=1)
    assert [facts.attempts for facts in result.state.history] == [1, 3, 1]
    assert result.model.encode() == runs.world(body(), BANKS).run().model.encode()


class Flaky(PlainEngine):
    """Opens nothing for the first times."""

    void = 0

    def open(self, *args: Any) -> Opened:
        if self.void > 0:
            self.void -= 1
            raise RoundVoid(why="a wrong answer", wrong="bank-c")
        return super().open(*args)


def flaky(void: int) -> World:
    world = runs.plain(body(standardise="none"), BANKS)
    engine = Flaky(world.plan.roster, world.engine.value_bits)
    made = World(plan=world.plan, tables=BANKS, engine=engine)
    made.channel = MemoryChannel(made.apps)
    engine.void = void
    return made


def test_a_void_round_is_tried_again_with_fresh_keys() -> None:
    result = flaky(void=1).run()
    assert [facts.attempts for facts in result.state.history] == [2, 1, 1]
    assert result.record()["void_attempts"] == 1
    assert result.model.encode() == flaky(void=0).run().model.encode()


def test_a_round_that_used_up_its_attempts_gets_as_many_again_when_resumed() -> None:
    world = flaky(void=2)
    with pytest.raises(RoundVoid):
        world.run()
    assert isinstance(world.engine, Flaky)
    world.engine.void = 2  # walked through again: the stored answers lead to the same two voids
    result = world.run(resumes=1)
    assert result.state.history[0].attempts == 3
    assert result.model.encode() == flaky(void=0).run().model.encode()


def state(**changes: Any) -> Checkpoint:
    return Checkpoint(
        round=0,
        statistics=Statistics(rows=(3, 4), scaling=Scaling(means=np.zeros(2), deviations=np.ones(2))),
        parameters=(np.zeros((2, 1)), np.zeros(1)),
        protocol={"inner": {"m_t": None}},
        **changes,
    )


def facts(round_: int, loss: int | None) -> RoundFacts:
    return RoundFacts(
        round=round_,
        cohort=PARTNERS,
        attempts=1,
        examples=7,
        loss_micro=loss,
        clipped=0,
        shortened=0,
        milliseconds=5,
    )


def test_the_best_weights_are_those_with_the_least_loss_by_more_than_the_tolerance() -> None:
    stop = EarlyStop(patience=2, tolerance_ppm=10_000)
    now = state()
    for round_, loss in enumerate([1_000, 995, 900, 891, 950], start=1):
        assert not now.stopped
        now = now.after(facts(round_, loss), (np.full((2, 1), float(round_)), np.zeros(1)), {}, stop)
    assert now.best is not None and now.best.round == 3  # 995 and 891 gain less than a hundredth
    assert now.stopped
    assert now.parameters[0][0, 0] == 2.0  # what round 3 began with


def test_a_checkpoint_is_read_back_whole_or_not_at_all() -> None:
    now = state().after(
        facts(1, 700), (np.ones((2, 1)), np.ones(1)), {"inner": {}}, EarlyStop(patience=1, tolerance_ppm=0)
    )
    data, history = now.encode(), [item.to_value() for item in now.history]
    assert Checkpoint.decode(data, history).encode() == data
    assert Checkpoint.decode(data, history).history == now.history
    assert b"pickle" not in data
    value = packing.unpack(data)
    assert isinstance(value, dict)
    less = {name: part for name, part in value.items() if name != "best"}
    spoilt: list[packing.Packed] = [{**value, "version": checkpoint.VERSION + 1}, less, []]
    for bad in (b"", data[:-1], *map(packing.pack, spoilt)):
        with pytest.raises(CheckpointUnreadable):
            Checkpoint.decode(bad, history)
    for wrong in ([], [{}], [*history, *history], [{**history[0], "round": 2}]):
        with pytest.raises(CheckpointUnreadable):
            Checkpoint.decode(data, wrong)


def test_the_bytes_of_a_checkpoint_do_not_grow_with_the_rounds() -> None:
    now = state()
    sizes = []
    for round_ in range(1, 50):
        now = now.after(facts(round_, 700), (np.ones((2, 1)), np.ones(1)), {}, None)
        sizes.append(len(now.encode()))
    assert max(sizes) - min(sizes) < 4, "one number has two digits later"
