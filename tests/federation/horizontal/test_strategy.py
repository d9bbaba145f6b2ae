"""The wrapper around averaging strategies: the same numbers as in the clear, whoever leaves, and no other strategy."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp import strategy as flower_strategies
from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi

from federation.errors import LocalNoiseRequired
from federation.grid import AllianceGrid, LocalGrid
from federation.horizontal.coordinator import Event
from federation.horizontal.errors import QuorumMissing, StrategyNotAveraging
from federation.horizontal.lanes import Update
from federation.horizontal.strategy import HomomorphicStrategy
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal.parties import (
    JOB,
    UPDATE,
    Parties,
    client,
    line,
    plain_rounds,
    roster,
    start,
    vector,
)

AVERAGING: dict[str, Callable[[], FedAvg]] = {
    "FedAvg": lambda: FedAvg(fraction_evaluate=0.0),
    "FedProx": lambda: FedProx(fraction_evaluate=0.0, proximal_mu=0.1),
    "FedAvgM": lambda: FedAvgM(fraction_evaluate=0.0, server_momentum=0.9, server_learning_rate=0.5),
    "FedAdam": lambda: FedAdam(fraction_evaluate=0.0, eta=0.2),
    "FedYogi": lambda: FedYogi(fraction_evaluate=0.0, eta=0.2),
    "FedAdagrad": lambda: FedAdagrad(fraction_evaluate=0.0, eta=0.2),
}


def wrap(parties: Parties, inner: FedAvg | None = None, **options: Any) -> HomomorphicStrategy:
    return HomomorphicStrategy(
        inner or FedAvg(fraction_evaluate=0.0),
        parties.roster,
        parties.engine,
        parties.verifier,
        JOB,
        UPDATE,
        **{"patience_seconds": 0.2, **options},
    )


def local(parties: Parties) -> Grid:
    return LocalGrid(parties.apps(), JOB)


def alliance(parties: Parties) -> Grid:
    return AllianceGrid(MemoryChannel(parties.apps()), JOB)


both = pytest.mark.parametrize("make", [local, alliance])


@both
def test_encrypted_rounds_equal_sums_of_plain_integers_bit_for_bit(make: Callable[[Parties], Grid]) -> None:
    parties = Parties(roster(4))
    result = wrap(parties).start(make(parties), start(), num_rounds=6)
    expected = plain_rounds(parties.roster.partners, 6, UPDATE, parties.engine.value_bits)
    assert (vector(result.arrays) == expected).all()
    assert np.abs(expected - np.array([2.0, -1.0, 0.5])).max() < 0.01
    losses = [result.train_metrics_clientapp[n]["loss"] for n in range(1, 7)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", AVERAGING)
def test_the_inner_strategy_makes_its_own_step(name: str) -> None:
    """As the same Flower strategy on one reply that holds the plain average."""
    parties = Parties(roster(3))
    wrapped = wrap(parties, AVERAGING[name]())
    ours = wrapped.start(local(parties), start(), num_rounds=3)
    plain, arrays = AVERAGING[name](), start()
    grid = LocalGrid({"hub": client(Parties(roster(3)).members["bank-a"], UPDATE, line("bank-a"))}, JOB)
    plain.min_available_nodes = plain.min_train_nodes = 1
    for number in range(1, 4):
        messages = list(plain.configure_train(number, arrays, ConfigRecord(), grid))
        average = averaged(arrays, parties)
        reply = RecordDict({"arrays": average, "metrics": MetricRecord({"num-examples": 5})})
        replied = [Message(reply, reply_to=messages[0])]
        stepped, _ = plain.aggregate_train(number, replied)
        assert stepped is not None
        arrays = stepped
    assert (vector(ours.arrays) == vector(arrays)).all()


def averaged(arrays: ArrayRecord, parties: Parties) -> ArrayRecord:
    weights, lanes = vector(arrays), 0
    for partner in parties.roster.partners:
        given = Message(RecordDict({"arrays": arrays}), dst_node_id=1, message_type="train")
        answer = line(partner)(given, None)  # type: ignore[arg-type]
        figures = answer["metrics"]
        lanes = lanes + UPDATE.encode(
            vector(answer["arrays"]) - weights,
            figures["num-examples"],
            {"loss": figures["loss"]},
            parties.engine.value_bits,
        )
    moved = weights + UPDATE.decode(lanes, parties.roster.size, parties.engine.value_bits).update
    return ArrayRecord({"w": Array(moved[:2]), "b": Array(moved[2:])})


REFUSED: dict[str, Callable[[], Any]] = {
    "FedMedian": lambda: flower_strategies.FedMedian(fraction_evaluate=0.0),
    "FedTrimmedAvg": lambda: flower_strategies.FedTrimmedAvg(fraction_evaluate=0.0),
    "Krum": lambda: flower_strategies.Krum(fraction_evaluate=0.0),
    "MultiKrum": lambda: flower_strategies.MultiKrum(fraction_evaluate=0.0),
    "Bulyan": lambda: flower_strategies.Bulyan(fraction_evaluate=0.0),
    "QFedAvg": lambda: flower_strategies.QFedAvg(fraction_evaluate=0.0, client_learning_rate=0.1),
    "FedXgbBagging": lambda: flower_strategies.FedXgbBagging(fraction_evaluate=0.0),
    "a sample of nodes": lambda: FedAvg(fraction_evaluate=0.0, fraction_train=0.5),
    "figures in clear": lambda: FedAvg(),
    "no strategy": lambda: object(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_strategy_that_must_see_the_parts_is_refused(name: str) -> None:
    with pytest.raises(StrategyNotAveraging):
        wrap(Parties(roster(3)), REFUSED[name]())


def test_an_own_way_to_aggregate_is_refused() -> None:
    class Mine(FedAvg):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
            return super().aggregate_train(server_round, replies)

    with pytest.raises(StrategyNotAveraging, match="Mine"):
        wrap(Parties(roster(3)), Mine(fraction_evaluate=0.0))


def test_different_inputs_for_different_nodes_are_refused() -> None:
    class Unequal(FedAvg):
        def configure_train(self, server_round: int, arrays: Any, config: Any, grid: Any) -> Iterable[Message]:
            for number, message in enumerate(super().configure_train(server_round, arrays, config, grid)):
                message.content = RecordDict({**message.content, "rate": ConfigRecord({"rate": 0.1 * number})})
                yield message

    parties = Parties(roster(3))
    strategy = wrap(parties, Unequal(fraction_evaluate=0.0))
    with pytest.raises(StrategyNotAveraging, match="different inputs"):
        strategy.train_round(local(parties), 1, start(), ConfigRecord())


def test_single_precision_models_stay_so() -> None:
    parties = Parties(roster(3))
    arrays = ArrayRecord({"w": Array(np.zeros(2, np.float32)), "b": Array(np.zeros(1, np.float32))})
    moved, _ = wrap(parties).train_round(local(parties), 1, arrays, ConfigRecord())
    assert {array.dtype for array in moved.values()} == {"float32"}


@both
def test_a_sum_of_whole_numbers_over_a_query(make: Callable[[Parties], Grid]) -> None:
    parties = Parties(roster(4))
    strategy = wrap(parties)
    content = RecordDict({"config": ConfigRecord({"what": "counts"})})
    opened = strategy.sum_over(make(parties), 0, "query.statistics", content, 5)
    assert opened.lanes.tolist() == [100, 104, 108, 112, 116]
    assert opened.cohort == parties.roster.partners
    assert {p: record["name"] for p, record in opened.clear.items()} == {p: p for p in parties.roster.partners}


def test_keys_are_dealt_for_several_rounds_at_once_and_no_further_than_the_last() -> None:
    parties, events = Parties(roster(3)), []
    strategy = wrap(parties, prepare_rounds=4, last_round=6, on_event=events.append)
    strategy.start(local(parties), start(), num_rounds=6)
    dealt = [event.round for event in events if event.phase == "deal" and "asked" in event.states.values()]
    assert dealt == [1, 5]
    assert not [name for store in parties.stores.values() for name in store if name.startswith(("own/", "share/"))]


def test_events_tell_every_phase_with_every_partner() -> None:
    parties, events = Parties(roster(3)), []
    wrap(parties, on_event=events.append).train_round(local(parties), 1, start(), ConfigRecord())
    assert [(event.phase, set(event.states.values())) for event in events] == [
        (phase, {state}) for phase in ("deal", "hold", "train", "answer") for state in ("asked", "ok")
    ]
    assert all(set(event.states) == set(parties.roster.partners) for event in events)


def test_two_partners_need_noise_of_their_own() -> None:
    parties = Parties(roster(2, 0))
    events: list[Event] = []
    with pytest.raises(QuorumMissing, match=LocalNoiseRequired.code):
        wrap(parties, attempts=1, on_event=events.append).train_round(local(parties), 1, start(), ConfigRecord())
    parties = Parties(roster(2, 0))
    quiet = {p: client(parties.members[p], NOISY, silent(p), noise=noise) for p in parties.roster.partners}
    strategy = HomomorphicStrategy(
        FedAvg(fraction_evaluate=0.0), parties.roster, parties.engine, parties.verifier, JOB, NOISY
    )
    strategy.train_round(LocalGrid(quiet, JOB), 1, start(), ConfigRecord())
    assert strategy.last_average is not None
    assert strategy.last_average.clipped == strategy.last_average.shortened == 0


NOISY = Update(clip=4.0, examples_max=1000, bound=64.0, noise_norm=1.0)


def noise(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * 1000 - 900


def silent(partner: str) -> Callable[[Message, Any], RecordDict]:
    """Answers with the update itself and tells no metric."""

    def train(message: Message, context: Any) -> RecordDict:
        given, answer = message.content["arrays"], line(partner)(message, context)
        figures = MetricRecord({"num-examples": answer["metrics"]["num-examples"]})
        moves = {name: Array(array.numpy() - given[name].numpy()) for name, array in answer["arrays"].items()}
        return RecordDict({"update": ArrayRecord(moves), "metrics": figures})

    return train


# --- partners that leave ----------------------------------------------------------------------------------------------


class Leaving(MemoryChannel):
    """bank-d is gone from the moment a phase of round 2 reaches it, and back when a later round begins."""

    def __init__(self, parties: Parties, phase: str, back: int | None) -> None:
        super().__init__(parties.apps())
        self._phase, self._back = phase, back

    def post(self, requests: Any) -> None:
        super().post(requests)
        for request in requests:
            if request.node == "bank-d" and request.head["phase"] == self._phase and request.head["round"] == 2:
                self.disconnected = {"bank-d"}
            if self._back is not None and request.head["round"] == self._back:
                self.disconnected = set()


@pytest.mark.parametrize("phase", ["deal", "hold", "train", "answer"])
def test_a_partner_that_leaves_in_any_phase_does_not_stop_the_rest(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.horizontal.presence.GRACE_SECONDS", 0.05)
    parties = Parties(roster(4))
    channel = Leaving(parties, phase, back=3)
    strategy = wrap(parties, prepare_rounds=1)
    grid, arrays, cohorts = AllianceGrid(channel, JOB), start(), []
    for number in range(1, 6):
        arrays, _ = strategy.train_round(grid, number, arrays, ConfigRecord())
        assert strategy.last_sum is not None
        cohorts.append(len(strategy.last_sum.cohort))
    there = 4 if phase in ("answer", "hold") else 3
    assert cohorts[0] == 4
    assert cohorts[1] in (there, 3)
    assert cohorts[3:] == [4, 4], "it is back"


def test_who_was_waited_for_in_a_phase_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parties, pauses = Parties(roster(4)), []
    channel = Leaving(parties, "train", back=4)
    monkeypatch.setattr("time.sleep", pauses.append)
    strategy, grid, arrays = wrap(parties), AllianceGrid(channel, JOB), start()
    for number in range(1, 6):
        arrays, _ = strategy.train_round(grid, number, arrays, ConfigRecord())
    assert pauses == []


@pytest.mark.parametrize("phase", ["deal", "hold", "train", "answer"])
def test_where_everybody_is_needed_a_lost_reply_costs_an_attempt(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of three must answer. bank-c does its work in round 2, but its reply is lost; it is asked again."""
    monkeypatch.setattr("federation.horizontal.presence.GRACE_SECONDS", 0.05)
    parties = Parties(roster(3))
    lost: list[str] = []

    class Losing(MemoryChannel):
        def collect(self, ids: Any, timeout_seconds: float) -> Any:
            found = dict(super().collect(ids, timeout_seconds))
            for message_id in ids:
                if message_id.endswith(f"2.0.{phase}-bank-c") and not lost:
                    lost.append(message_id)
                    self._answers.pop(message_id)
                    del found[message_id]
            return found

    strategy, arrays = wrap(parties, prepare_rounds=1, attempts=2), start()
    grid = AllianceGrid(Losing(parties.apps()), JOB)
    for number in range(1, 4):
        arrays, _ = strategy.train_round(grid, number, arrays, ConfigRecord())
    assert lost
    assert (vector(arrays) == plain_rounds(parties.roster.partners, 3, UPDATE, parties.engine.value_bits)).all()


def test_too_few_partners_are_named() -> None:
    parties = Parties(roster(4))
    channel = MemoryChannel(parties.apps())
    channel.disconnected = {"bank-b", "bank-d"}
    with pytest.raises(QuorumMissing) as caught:
        wrap(parties).train_round(AllianceGrid(channel, JOB), 1, start(), ConfigRecord())
    assert caught.value.facts["missing"] == "bank-b, bank-d"
    assert (caught.value.facts["needed"], caught.value.facts["have"]) == (3, 2)
    assert "bank-b" in caught.value.message("zh")


def test_a_round_that_was_opened_is_tried_again_with_the_same_partners_only() -> None:
    """Answers left, the sum did not open, and one of the cohort is gone: the run stops and says who is missing."""
    parties = Parties(roster(4))
    channel = MemoryChannel(parties.apps())
    grid = AllianceGrid(channel, JOB)

    def gone(event: Event) -> None:
        if event.phase == "answer" and event.attempt == 0 and "asked" not in event.states.values():
            channel.disconnected = {"bank-c"}

    strategy = wrap(parties, attempts=3, on_event=gone)
    spoil(strategy, attempts=1)
    with pytest.raises(QuorumMissing) as caught:
        strategy.train_round(grid, 1, start(), ConfigRecord())
    assert caught.value.facts["missing"] == "bank-c"
    assert caught.value.facts["needed"] == 4


def test_a_void_round_is_tried_again_with_fresh_keys() -> None:
    parties = Parties(roster(4))
    strategy = wrap(parties, attempts=2)
    spoil(strategy, attempts=1)
    arrays, _ = strategy.train_round(local(parties), 1, start(), ConfigRecord())
    assert (vector(arrays) == plain_rounds(parties.roster.partners, 1, UPDATE, parties.engine.value_bits)).all()
    assert parties.stores["bank-a"]["latest"] == b"1.1"


def spoil(strategy: HomomorphicStrategy, attempts: int) -> None:
    """Make the hub's engine call the first openings void, as a wrong answer does."""
    from privacy.aggregation import RoundVoid

    engine = strategy.coordinator.engine

    class Spoilt:
        left = attempts

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def open(self, *args: Any) -> Any:
            if Spoilt.left:
                Spoilt.left -= 1
                raise RoundVoid(why="a test", wrong="-")
            return engine.open(*args)

    strategy.coordinator.engine = Spoilt()  # type: ignore[assignment]
