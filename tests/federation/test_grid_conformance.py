"""What a Flower app may rely on, the same over both grids: one suite, run over real ClientApps on each."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdam, FedAvg

from federation import grid, records
from federation.errors import TooFewRows
from federation.grid import AllianceGrid, LocalGrid, node_number
from tests.federation.channel import MemoryChannel
from tests.federation.horizontal.parties import JOB, Parties, roster, vector
from tests.federation.horizontal.parties import start as zeros
from tests.federation.horizontal.test_strategy import wrap

RUN = "cd" * 32
NAMES = ("bank-a", "bank-b", "bank-c")


@dataclass(frozen=True)
class World:
    """A grid over apps, and how often each app really ran."""

    grid: Grid
    runs: dict[str, int]


def counted(apps: dict[str, ClientApp], runs: dict[str, int]) -> dict[str, Any]:
    def wrap_one(name: str, app: ClientApp) -> Callable[..., Message]:
        def run(message: Message, context: Context) -> Message:
            runs[name] = runs.get(name, 0) + 1
            return app(message=message, context=context)

        return run

    return {name: wrap_one(name, app) for name, app in apps.items()}


def local(apps: dict[str, ClientApp]) -> World:
    runs: dict[str, int] = {}
    return World(LocalGrid(counted(apps, runs), RUN), runs)


def alliance(apps: dict[str, ClientApp]) -> World:
    runs: dict[str, int] = {}
    return World(AllianceGrid(MemoryChannel(counted(apps, runs)), RUN), runs)


both = pytest.mark.parametrize("make", [local, alliance])
Maker = Callable[[dict[str, ClientApp]], World]


def app(name: str) -> ClientApp:
    made = ClientApp()

    @made.train()
    def train(message: Message, context: Context) -> Message:
        draw = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
        moved = {
            key: Array(array.numpy() + draw.normal(size=array.shape))
            for key, array in message.content["arrays"].items()
        }
        figures = MetricRecord({"num-examples": len(name) + int(draw.integers(50)), "loss": float(draw.random())})
        return Message(RecordDict({"arrays": ArrayRecord(moved), "metrics": figures}), reply_to=message)

    @made.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        total = float(sum(array.numpy().sum() for array in message.content["arrays"].values()))
        return Message(RecordDict({"m": MetricRecord({"num-examples": 1, "total": total})}), reply_to=message)

    @made.query("echo")
    def echo(message: Message, context: Context) -> Message:
        return Message(RecordDict(dict(message.content)), reply_to=message)

    @made.query("who")
    def who(message: Message, context: Context) -> Message:
        return Message(RecordDict({"who": ConfigRecord({"node": context.node_id})}), reply_to=message)

    @made.query("refuse")
    def refuse(message: Message, context: Context) -> Message:
        raise TooFewRows(count=1, what="train", minimum=2)

    return made


APPS = {name: app(name) for name in NAMES}


def ask(world: World, kind: str, content: RecordDict | None = None, group: str = "3.0.x") -> list[Message]:
    numbers: Iterable[int] = world.grid.get_node_ids()
    messages = [world.grid.create_message(content or RecordDict(), kind, number, group) for number in numbers]
    return list(world.grid.send_and_receive(messages, timeout=5))


def every_value() -> RecordDict:
    scalars = {"b": True, "i": -(2**62), "f": 0.1, "s": "客户", "y": b"\x00\xff"}
    return RecordDict(
        {
            "arrays": ArrayRecord(
                {"f4": Array(np.float32([1.5, -0.0])), "f8": Array(np.zeros((2, 0))), "i8": Array(np.arange(3))}
            ),
            "metrics": MetricRecord({"n": 3, "x": 1e-300, "l": [1.5, 2.5]}),
            "config": ConfigRecord({**scalars, "lb": [True, False], "ls": ["a", ""], "ly": [b"x"], "li": [1, 2]}),
        }
    )


@both
def test_every_kind_of_value_comes_back_as_it_went(make: Maker) -> None:
    for reply in ask(make(APPS), "query.echo", every_value()):
        sent, back = every_value(), reply.content
        assert set(back) == set(sent)
        assert dict(back["config"]) == dict(sent["config"])
        assert dict(back["metrics"]) == dict(sent["metrics"])
        for name, array in sent["arrays"].items():
            there = back["arrays"][name].numpy()
            assert (there.dtype, there.shape) == (array.numpy().dtype, array.numpy().shape)
            assert there.tobytes() == array.numpy().tobytes()


@both
def test_replies_come_from_every_node_in_node_order(make: Maker) -> None:
    replies = ask(make(APPS), "query.who")
    assert [reply.metadata.src_node_id for reply in replies] == sorted(map(node_number, NAMES))
    assert [reply.content["who"]["node"] for reply in replies] == sorted(map(node_number, NAMES))


@both
def test_one_request_is_one_call_of_the_app(make: Maker) -> None:
    world = make(APPS)
    ask(world, "query.who")
    assert world.runs == dict.fromkeys(NAMES, 1)


@both
def test_replies_may_be_read_again(make: Maker) -> None:
    world = make(APPS)
    messages = [world.grid.create_message(every_value(), "query.echo", n, "1") for n in world.grid.get_node_ids()]
    replies = world.grid.send_and_receive(messages, timeout=5)
    first, second = list(replies), list(replies)
    assert [records.encode(one) for one in first] == [records.encode(one) for one in second]
    assert len(first) == 3


@both
def test_a_failure_is_an_error_reply_and_stops_nobody_else(make: Maker) -> None:
    world = make({**APPS, "bank-b": ClientAppThat(TooFewRows(count=1, what="train", minimum=2))})  # type: ignore[dict-item]
    replies = ask(world, "query.who")
    assert [reply.has_error() for reply in replies].count(True) == 1
    failed = next(reply for reply in replies if reply.has_error())
    assert failed.metadata.src_node_id == node_number("bank-b")
    assert grid.read_failure(failed)["code"] == "TOO_FEW_ROWS"


class ClientAppThat:
    """Raises whatever it is asked."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def __call__(self, message: Message, context: Context) -> Message:
        raise self._failure


@both
def test_a_group_of_a_round_an_attempt_and_a_phase_makes_the_id(make: Maker) -> None:
    replies = ask(make(APPS), "query.who", group="7.2.answer")
    assert {reply.metadata.reply_to_message_id for reply in replies} == {f"{RUN[:16]}-7.2.answer-{n}" for n in NAMES}


@both
@pytest.mark.parametrize("strategy", [FedAvg, FedAdam])
def test_flowers_own_loop_runs_on_it(make: Maker, strategy: type[FedAvg]) -> None:
    """Flower's strategies give no group to their messages; a thin wrapper names the round, as our own loop does."""

    class Named(strategy):  # type: ignore[valid-type, misc]
        def configure_train(self, server_round: int, *args: Any) -> Iterable[Message]:
            return named(super().configure_train(server_round, *args), f"{server_round}.0.train")

        def configure_evaluate(self, server_round: int, *args: Any) -> Iterable[Message]:
            return named(super().configure_evaluate(server_round, *args), f"{server_round}.0.evaluate")

    world, found = make(APPS), {}
    server = ServerApp()

    @server.main()
    def main(grid_: Grid, context: Context) -> None:
        found["result"] = Named().start(grid_, zeros(), num_rounds=3)

    server(grid=world.grid, context=Context(1, 1, {}, RecordDict(), {}))
    result = found["result"]
    assert set(result.evaluate_metrics_clientapp) == {1, 2, 3}
    assert vector(result.arrays).tobytes() == EXPECTED.setdefault(strategy, vector(result.arrays).tobytes())


EXPECTED: dict[type, bytes] = {}  # of the first grid; the other gives the same bits


def named(messages: Iterable[Message], group: str) -> list[Message]:
    made: Any = Message
    out = []
    for message in messages:
        known = records.metadata(
            run=grid.FLOWER_RUN,
            source=grid.FLOWER_SERVER,
            target=message.metadata.dst_node_id,
            message_id="",
            kind=message.metadata.message_type,
            group=group,
        )
        out.append(made(content=message.content, metadata=known))
    return out


def test_the_secure_sum_is_the_same_bits_on_both() -> None:
    found = []
    for make in (lambda apps: LocalGrid(apps, JOB), lambda apps: AllianceGrid(MemoryChannel(apps), JOB)):
        parties = Parties(roster(4))
        found.append(vector(wrap(parties).start(make(parties.apps()), zeros(), num_rounds=3).arrays).tobytes())
    assert found[0] == found[1]


# --- the alliance's own: many requests at once, answers one by one, nobody waited for for ever ------------------------


def test_requests_of_a_phase_are_handed_over_in_one_piece() -> None:
    posts: list[int] = []

    class Counting(MemoryChannel):
        def post(self, requests: Any) -> None:
            posts.append(len(requests))
            super().post(requests)

    channel = Counting(APPS)
    ask(World(AllianceGrid(channel, RUN), {}), "query.who", group="5.1.deal")
    assert posts == [3]
    assert channel.heads[0] == {"run": RUN, "round": 5, "attempt": 1, "phase": "deal"}


def test_answers_are_loaded_when_they_are_read() -> None:
    channel = MemoryChannel(APPS)
    made = AllianceGrid(channel, RUN)
    messages = [made.create_message(RecordDict(), "query.who", number, "1") for number in made.get_node_ids()]
    replies = iter(made.send_and_receive(messages, timeout=1))
    assert channel.loaded == []
    next(replies)
    assert len(channel.loaded) == 1
    list(replies)
    assert len(channel.loaded) == 3


def test_only_connected_nodes_are_listed() -> None:
    channel = MemoryChannel(APPS)
    made = AllianceGrid(channel, RUN)
    channel.disconnected = {"bank-a"}
    assert made.get_node_ids() == sorted(map(node_number, ("bank-b", "bank-c")))
    channel.disconnected = set()
    assert made.get_node_ids() == sorted(map(node_number, NAMES))


def test_what_nobody_waits_for_any_more_is_withdrawn_and_stays_so() -> None:
    channel = MemoryChannel(APPS)
    channel.silent = {"bank-c"}
    world = World(AllianceGrid(channel, RUN), {})
    assert len(ask(world, "query.who")) == 2
    channel.silent = set()
    again = ask(World(AllianceGrid(channel, RUN), {}), "query.who")  # the run executed again
    failed = [reply for reply in again if reply.has_error()]
    assert [reply.metadata.src_node_id for reply in failed] == [node_number("bank-c")]
    assert grid.read_failure(failed[0])["code"] == "TEST_REQUEST_WITHDRAWN"
    assert not any(message_id.endswith("bank-c") for message_id in channel.executed)


def test_a_withdrawal_by_hand_keeps_what_was_answered() -> None:
    channel = MemoryChannel(APPS)
    made = AllianceGrid(channel, RUN)
    messages = [made.create_message(RecordDict(), "query.who", number, "1") for number in made.get_node_ids()]
    ids = list(made.push_messages(messages))
    assert len(list(made.pull_messages(ids[:1]))) == 1
    channel.withdraw(ids)
    assert [reply.has_error() for reply in made.pull_messages(ids)] == [True, True]
