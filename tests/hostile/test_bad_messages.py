"""Bad messages to running processes: lines on a node's socket, frames on the hub's stream, replays, oversize bodies.

Each gets a stable code in English and Chinese, or ends the stream by name; nothing is lost and the next good one works.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from ecowire import channel, limits
from ecowire.stream import FAILURE, Message
from ecowire.v1 import alliance_pb2 as pb
from hub import client
from tests.hub.streams import Stream
from tests.support import launch_alliance, launch_fixtures, launch_once
from tests.support.launch_alliance import Alliance, match_body
from tests.support.launch_refusals import CHINESE, RUNNING, audit_size

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]


@pytest.fixture(scope="module")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    base = launch_once.shared_folder(tmp_path_factory)
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("f") / "w") as made:
        made.start("hub", *RUNNING)
        yield made


# --- lines on a node's socket ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"no json\n", "MALFORMED_MESSAGE"),
        (b"[1, 2]\n", "MALFORMED_MESSAGE"),
        (b'{"command": 5}\n', "MALFORMED_MESSAGE"),
        (b'{"command": "approve"}\n', "COMMAND_INVALID"),
        (b"[" * 100_000 + b"\n", "MALFORMED_MESSAGE"),
        (b'{"command": "' + b"x" * (1 << 20) + b'"}\n', "UNKNOWN_COMMAND"),
    ],
    ids=["no json", "a list", "a number", "no arguments", "nested", "a long name"],
)
def test_a_malformed_line_on_the_nodes_socket(alliance: Alliance, line: bytes, expected: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        connection.connect(str(alliance.world.node_folder("bank") / "node.sock"))
        connection.sendall(line)
        reply = json.loads(connection.makefile("rb").readline())
    assert (reply["ok"], reply["failure"]["code"]) == (False, expected)
    assert CHINESE.search(reply["failure"]["zh"])
    assert alliance.node("bank", "status")["connected"]


# --- messages to the hub, in the bank's place ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def silent(alliance: Alliance) -> Iterator[Alliance]:
    """The alliance with the bank's node stopped: tests speak in its place. Afterwards it works as before."""
    alliance.stop("bank")
    yield alliance
    alliance.start("bank")
    alliance.run_job("data", "match", match_body("count", *RUNNING))


@pytest.fixture
def stream(silent: Alliance) -> Iterator[Stream]:
    """The bank's side of the stream in the test's own hands."""
    keys = silent.world.node_folder("bank") / "keys"
    address, ca = f"127.0.0.1:{silent.world.hub_port}", (silent.world.handed / "ca.pem").read_bytes()
    made = Stream(address, ca, (keys / "tls.key").read_bytes(), (keys / "tls.pem").read_bytes())
    yield made
    made.close()


LARGE = limits.SMALL_BYTES_MAX + 10  # a body that comes in chunks


def begin(**changes: Any) -> pb.Frame:
    fields = {"id": "m", "kind": "assets", "head": b"{}", "size": LARGE, "sha256": bytes(32), **changes}
    return pb.Frame(begin=pb.Begin(**fields))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([begin(size=limits.BODY_BYTES_MAX + 1)], "MESSAGE_TOO_LARGE"),
        ([begin(head=b" " * (limits.HEAD_BYTES_MAX + 1))], "MESSAGE_TOO_LARGE"),
        ([begin(), pb.Frame(chunk=pb.Chunk(id="m", data=b"x" * LARGE))], "MALFORMED_MESSAGE"),
        ([begin(head=b'{"b":1,"a":2}')], "NOT_CANONICAL"),
        ([pb.Frame()], "MALFORMED_MESSAGE"),
    ],
    ids=["body too large", "head too large", "another hash", "head not canonical", "empty frame"],
)
def test_a_bad_frame_ends_the_stream_by_name(stream: Stream, frames: list[pb.Frame], expected: str) -> None:
    stream.hello("bank").welcomed()
    stream.send(*frames)
    stream.ended()
    assert stream.refusal == expected


def test_bytes_that_are_no_frames_end_the_stream(alliance: Alliance) -> None:
    keys = alliance.world.node_folder("insurer") / "keys"
    person = client.load(alliance.world.person_config("data"))
    chain = (keys / "tls.key").read_bytes(), (keys / "tls.pem").read_bytes()
    with channel.client(person.hub, person.authority, *chain, "hub") as connection:
        call = connection.stream_stream("/ecowire.v1.Alliance/Connect")
        with pytest.raises(grpc.RpcError):
            list(call(iter([b"\xff" * 100]), timeout=5))
        unary = connection.unary_stream("/ecowire.v1.Alliance/Call")
        with pytest.raises(grpc.RpcError) as caught:
            list(unary(b"x" * (limits.UNARY_BYTES_MAX + (1 << 20)), timeout=5))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert alliance.call("data", "whoami")["role"] == "data"


def test_a_replayed_request_gets_the_first_answer_and_no_second_effect(alliance: Alliance, stream: Stream) -> None:
    published = next(p for p in alliance.call("data", "partners")["partners"] if p["partner"] == "bank")["assets"]
    request = Message(id=f"assets/{'ab' * 32}", kind="assets", head={"assets": published})
    stream.hello("bank").welcomed()
    stream.say(request)
    first = stream.message()
    assert first.kind == "ok"
    leaves = audit_size(alliance)
    stream.say(request)
    assert stream.message() == first
    assert audit_size(alliance) == leaves
    stream.say(Message(id=request.id, kind="assets", head={"assets": {**published, "signature": "00" * 64}}))
    conflict = stream.message()
    assert (conflict.kind, conflict.head["code"]) == (FAILURE, "IDEMPOTENCY_CONFLICT")
    assert CHINESE.search(str(conflict.head["zh"]))


def test_answers_nobody_asked_for_change_nothing(alliance: Alliance, stream: Stream) -> None:
    before = [(j["digest"], j["state"]) for j in alliance.call("data", "jobs")["jobs"]]
    stream.hello("bank").welcomed()
    stream.say(Message(id="ghost/r", reply_to="ghost", kind="ok"))
    assert stream.acknowledged() == "ghost/r", "acknowledged, or a node would offer it for ever"
    assert [(j["digest"], j["state"]) for j in alliance.call("data", "jobs")["jobs"]] == before
