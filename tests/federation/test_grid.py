"""Both grids keep the same contract; what Flower does not publish is pinned here."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, Metadata, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from federation import grid, records
from federation.errors import FlowerContentMalformed, TooFewRows
from federation.grid import AllianceGrid, LocalGrid, Request, node_number
from tests.federation.channel import MemoryChannel

RUN = "ab" * 32
NAMES = ("platform", "bank", "broker")
Maker = Callable[[dict[str, ClientApp]], Grid]


def local(apps: dict[str, ClientApp]) -> Grid:
    return LocalGrid(apps, RUN)


def alliance(apps: dict[str, ClientApp]) -> Grid:
    return AllianceGrid(MemoryChannel(apps), RUN)


both = pytest.mark.parametrize("make", [local, alliance])


def echo(name: str) -> ClientApp:
    app = ClientApp()

    @app.query("echo")
    def query(message: Message, context: Context) -> Message:
        assert context.node_id == node_number(name)
        content = RecordDict(
            {"who": ConfigRecord({"name": name, "id": message.metadata.message_id}), **message.content}
        )
        return Message(content, reply_to=message)

    @app.query("refuse")
    def refuse(message: Message, context: Context) -> Message:
        raise TooFewRows(count=3, what="train", minimum=200)

    @app.query("error")
    def error(message: Message, context: Context) -> Message:
        return Message(Error(9, "not for other eyes"), reply_to=message)

    return app


APPS = {name: echo(name) for name in NAMES}


def requests(grid_: Grid, kind: str = "query.echo", group: str = "4") -> list[Message]:
    content = RecordDict({"a": ArrayRecord({"w": Array(np.arange(3.0))})})
    return [grid_.create_message(content, kind, number, group) for number in grid_.get_node_ids()]


@both
def test_every_node_answers_in_node_order_under_deterministic_ids(make: Maker) -> None:
    grid_ = make(APPS)
    numbers = sorted(node_number(name) for name in NAMES)
    assert list(grid_.get_node_ids()) == numbers
    replies = list(grid_.send_and_receive(requests(grid_)[::-1], timeout=5))
    assert [reply.metadata.src_node_id for reply in replies] == numbers
    for reply in replies:
        name = reply.content["who"]["name"]
        assert reply.content["who"]["id"] == f"{RUN[:16]}-4-{name}"
        assert reply.metadata.reply_to_message_id == f"{RUN[:16]}-4-{name}"
        assert reply.metadata.dst_node_id == grid.FLOWER_SERVER
        assert (reply.content["a"]["w"].numpy() == np.arange(3.0)).all()


@both
def test_push_and_pull_are_the_two_halves(make: Maker) -> None:
    grid_ = make(APPS)
    ids = list(grid_.push_messages(requests(grid_)))
    assert len(set(ids)) == 3
    assert len(list(grid_.pull_messages(ids[:1]))) == 1
    assert len(list(grid_.pull_messages(ids))) == 2  # what was pulled is gone


@both
def test_an_expected_failure_arrives_with_code_and_both_texts(make: Maker) -> None:
    grid_ = make(APPS)
    for reply in grid_.send_and_receive(requests(grid_, "query.refuse"), timeout=5):
        told = grid.read_failure(reply)
        assert told["code"] == "TOO_FEW_ROWS"
        assert told["kind"] == "refused"
        assert "3 train rows" in told["en"]
        assert "3" in told["zh"]


@both
def test_an_error_of_the_application_is_named_by_its_number_only(make: Maker) -> None:
    grid_ = make(APPS)
    for reply in grid_.send_and_receive(requests(grid_, "query.error"), timeout=5):
        told = grid.read_failure(reply)
        assert told["code"] == "FLOWER_ERROR_9"
        assert "not for other eyes" not in str(told)


@both
def test_a_request_without_a_round_is_a_bug(make: Maker) -> None:
    grid_ = make(APPS)
    with pytest.raises(AssertionError):
        list(grid_.send_and_receive(requests(grid_, group="")))


@both
def test_a_grid_belongs_to_one_run(make: Maker) -> None:
    grid_ = make(APPS)
    with pytest.raises(NotImplementedError):
        grid_.set_run(None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        _ = grid_.run
    assert grid_.node_name(node_number("bank")) == "bank"  # type: ignore[attr-defined]


def test_a_node_that_does_not_answer_in_time_has_no_reply() -> None:
    channel = MemoryChannel(APPS)
    channel.silent = {"bank"}
    grid_ = AllianceGrid(channel, RUN)
    replies = grid_.send_and_receive(requests(grid_), timeout=0.1)
    assert {grid_.node_name(reply.metadata.src_node_id) for reply in replies} == {"broker", "platform"}


def test_a_failure_of_the_way_is_an_error_reply_of_that_node() -> None:
    channel = MemoryChannel(APPS)
    channel.away = {"bank"}
    grid_ = AllianceGrid(channel, RUN)
    failed = [reply for reply in grid_.send_and_receive(requests(grid_), timeout=1) if reply.has_error()]
    assert [grid_.node_name(reply.metadata.src_node_id) for reply in failed] == ["bank"]
    assert grid.read_failure(failed[0])["code"] == "TEST_NODE_AWAY"


def test_stored_answers_are_found_by_a_second_grid() -> None:
    channel = MemoryChannel(APPS)
    first, second = AllianceGrid(channel, RUN), AllianceGrid(channel, RUN)
    answers = [list(one.send_and_receive(requests(one), timeout=1)) for one in (first, second)]
    assert len(channel.executed) == 3
    assert [records.encode(reply) for reply in answers[0]] == [records.encode(reply) for reply in answers[1]]
    assert channel.heads[0] == {"run": RUN, "round": 4, "phase": ""}
    assert first.bytes_sent == second.bytes_sent > 0
    assert first.bytes_received > 0


class Lying(MemoryChannel):
    """Answers with what a test puts in place of the real bytes."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        super().__init__(APPS)
        self._change = change

    def collect(self, message_ids: Any, timeout_seconds: float) -> Any:
        real = super().collect(message_ids, timeout_seconds)
        return {key: self._change(value) for key, value in real.items() if isinstance(value, bytes)}


def redirected(data: bytes) -> bytes:
    parts = records.decode(data)
    known = records.metadata(
        run=1,
        source=parts.metadata.src_node_id,
        target=1,
        message_id="other",
        kind="query.echo",
        group="9",
        reply_to="other",
    )
    make: Any = Message
    return records.encode(make(content=parts.content, metadata=known))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"", redirected])
def test_a_bad_answer_never_reaches_the_application_as_content(change: Callable[[bytes], bytes]) -> None:
    grid_ = AllianceGrid(Lying(change), RUN)
    for reply in grid_.send_and_receive(requests(grid_), timeout=1):
        assert grid.read_failure(reply)["code"] == "FLOWER_CONTENT_MALFORMED"


def test_a_request_that_bears_the_name_of_a_node_is_refused() -> None:
    channel = MemoryChannel(APPS)
    grid_ = AllianceGrid(channel, RUN)
    request = requests(grid_)[0]
    for data in (records.encode(request), records.encode(request, "id")):
        with pytest.raises(FlowerContentMalformed):
            grid.answer(APPS[NAMES[0]], data, NAMES[0], "id")


def test_what_is_one_content_for_all_nodes_is_encoded_once() -> None:
    channel = MemoryChannel(APPS)
    posted: list[Request] = []
    channel.post = posted.extend  # type: ignore[method-assign]
    grid_ = AllianceGrid(channel, RUN)
    content = requests(grid_)[0].content
    grid_.push_messages([grid_.create_message(content, "query.step", n, "1") for n in grid_.get_node_ids()])
    assert len(posted) == len(NAMES) > 1
    assert len({id(request.content) for request in posted}) == 1
    assert len({request.message_id for request in posted}) == len(NAMES)


def test_an_unexpected_exception_is_left_to_the_nodes_edge() -> None:
    app = ClientApp()

    @app.query("echo")
    def broken(message: Message, context: Context) -> Message:
        raise KeyError("bug")

    grid_ = AllianceGrid(MemoryChannel({"bank": app}), RUN)
    with pytest.raises(KeyError):
        list(grid_.send_and_receive(requests(grid_), timeout=1))


# --- names Flower does not publish ------------------------------------------------------------------------------------


def test_flower_is_the_version_this_was_checked_against() -> None:
    assert version("flwr") == "1.41.0"


def test_task_identity_is_set_for_flowers_own_strategies() -> None:
    grid.settle_flower()
    assert (TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id) == (1, 1, 1)
    made = Message(RecordDict(), dst_node_id=5, message_type="train")
    assert (made.metadata.run_id, made.metadata.src_node_id) == (grid.FLOWER_RUN, grid.FLOWER_SERVER)


def test_a_message_can_be_given_its_metadata() -> None:
    known = records.metadata(run=1, source=2, target=3, message_id="m", kind="query.step", group="1")
    make: Any = Message
    made = make(content=RecordDict(), metadata=known)
    assert isinstance(made.metadata, Metadata)
    assert made.metadata is known
    assert made.has_content()
    assert make(error=Error(2, "x"), metadata=known).error.code == 2


def test_flower_is_quiet() -> None:
    import logging
    import os

    assert os.environ["FLWR_TELEMETRY_ENABLED"] == "0"
    assert os.environ["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    grid.settle_flower()
    assert logging.getLogger("flwr").level >= logging.CRITICAL
    from flwr.supercore import telemetry

    assert telemetry.FLWR_TELEMETRY_ENABLED == "0"
