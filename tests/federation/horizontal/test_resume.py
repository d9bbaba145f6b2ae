"""A hub that is killed anywhere goes on to the same weights; so does one that starts from a checkpoint."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from federation.grid import AllianceGrid
from federation.horizontal.coordinator import Event, ignore
from federation.horizontal.strategy import HomomorphicStrategy
from privacy import packing
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal.parties import JOB, UPDATE, Parties, roster, start, vector
from tests.federation.horizontal.test_strategy import AVERAGING

pytestmark = pytest.mark.slow_flow  # among the longest: they run with the flows

ROUNDS = 4


class HubKilledError(Exception):
    """Stands for kill -9 of the hub's process."""


class Decisions:
    """The first value is kept, as the hub's table does."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def __call__(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]


class Run:
    """What survives the hub: requests and answers, decisions, the last checkpoint. The nodes live on."""

    def __init__(self, inner: Callable[[], FedAvg], checkpoints: bool) -> None:
        self.parties = Parties(roster(4))
        self.channel = MemoryChannel(self.parties.apps())
        self.decide = Decisions()
        self._inner = inner
        self._checkpoints = checkpoints
        self._saved: tuple[int, bytes, ArrayRecord] | None = None

    def process(self, on_event: Callable[[Event], None] = ignore) -> np.ndarray:
        """One life of the hub's process: it starts from the checkpoint and the stored answers."""
        strategy = HomomorphicStrategy(
            self._inner(),
            self.parties.roster,
            self.parties.engine,
            self.parties.verifier,
            JOB,
            UPDATE,
            prepare_rounds=3,
            decide=self.decide,
            on_event=on_event,
        )
        grid, arrays, first = AllianceGrid(self.channel, JOB), start(), 1
        if self._saved is not None:
            first, state, arrays = self._saved
            restored = packing.unpack(state)
            assert isinstance(restored, dict)
            strategy.restore(restored)
        else:
            strategy.sum_over(grid, 0, "query.statistics", RecordDict({"c": ConfigRecord()}), 5)
        for number in range(first, ROUNDS + 1):
            arrays, _ = strategy.train_round(grid, number, arrays, ConfigRecord())
            if self._checkpoints:
                self._saved = (number + 1, packing.pack(strategy.state()), arrays)
        return vector(arrays)


@pytest.mark.parametrize("name", AVERAGING)
def test_from_a_checkpoint_every_strategy_goes_on_bit_by_bit(name: str) -> None:
    undisturbed = Run(AVERAGING[name], checkpoints=True).process()
    run = Run(AVERAGING[name], checkpoints=True)

    def die(event: Event) -> None:
        if (event.round, event.phase) == (3, "train"):
            raise HubKilledError

    with pytest.raises(HubKilledError):
        run.process(die)
    executed = list(run.channel.executed)
    assert (run.process() == undisturbed).all()
    assert run.channel.executed[: len(executed)] == executed
    assert len(set(run.channel.executed)) == len(run.channel.executed)  # nobody was asked twice for anything


@pytest.mark.parametrize("checkpoints", [True, False])
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("phase", ["deal", "hold", "train", "answer", "statistics"])
def test_a_hub_killed_in_any_phase_reaches_the_same_weights(phase: str, done: bool, checkpoints: bool) -> None:
    undisturbed = Run(AVERAGING["FedAdam"], checkpoints=False).process()
    run = Run(AVERAGING["FedAdam"], checkpoints)
    killed = 0

    def die(event: Event) -> None:
        nonlocal killed
        if event.phase == phase and ("asked" not in event.states.values()) == done and killed < 3:
            killed += 1
            if killed != 2:
                raise HubKilledError

    for _ in range(3):
        try:
            result = run.process(die)
            break
        except HubKilledError:
            continue
    else:
        result = run.process()
    assert killed
    assert (result == undisturbed).all()
    assert len(set(run.channel.executed)) == len(run.channel.executed)


def test_who_is_asked_is_decided_once() -> None:
    """After the restart all are connected again, or none is yet: the round goes on with those it had asked."""
    run = Run(AVERAGING["FedAvg"], checkpoints=False)
    run.channel.disconnected = {"bank-d"}

    def die(event: Event) -> None:
        if (event.round, event.phase) == (2, "answer"):
            raise HubKilledError

    with pytest.raises(HubKilledError):
        run.process(die)
    asked = {name: value for name, value in run.decide.kept.items() if name.endswith("asked")}
    assert set(asked) == {"0.0.asked", "1.0.asked", "2.0.asked"}
    assert all("bank-d" not in names for names in asked.values())
    run.channel.disconnected = set()
    run.process()
    assert {name: run.decide.kept[name] for name in asked} == asked
    assert "bank-d" in run.decide.kept["3.0.asked"]
