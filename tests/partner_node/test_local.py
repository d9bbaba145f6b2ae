"""The local socket: private, one command a connection, failures as values."""

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ecowire import status
from ecowire.status import RemoteFailure
from partner_node import errors, local_client
from partner_node.local import LocalServer
from partner_node.node import Commands
from tests.partner_node.alliance import TestNode
from tests.partner_node.conftest import MakeNode
from tests.partner_node.harbour import until


@contextmanager
def serving(node: TestNode, commands: Commands, after: Callable[[], None]) -> Iterator[Path]:
    """A node's socket while it serves these commands."""
    path = node.folder / "n.sock"
    server = LocalServer(path, commands, node.parts.node.entropy, after)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    yield path
    server.shutdown()
    server.server_close()
    thread.join(5)
    assert not path.exists()


@pytest.fixture
def served(make_node: MakeNode, tmp_path: Path) -> Iterator[tuple[TestNode, Path, list[str]]]:
    """A node whose commands are served; what was called after commands."""
    node, after = make_node("bank"), list[str]()
    commands = {**node.parts.commands, "crash": lambda _: {"a": 1 // 0}}
    with serving(node, commands, lambda: after.append("woken")) as path:
        yield node, path, after


def raw(path: Path, data: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as lines:
            reply: dict[str, object] = json.loads(lines.readline())
            return reply


def test_only_the_owner_may_connect(served: tuple[TestNode, Path, list[str]]) -> None:
    mode = served[1].stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_command_runs_and_wakes_the_worker(served: tuple[TestNode, Path, list[str]]) -> None:
    node, path, after = served
    assert local_client.call(path, "status", {})["partner"] == "bank"
    assert local_client.call(path, "card", {})["signer"] == node.partner
    assert after == ["woken", "woken"]


def test_failures_come_back_as_they_are(served: tuple[TestNode, Path, list[str]]) -> None:
    with pytest.raises(RemoteFailure) as raised:
        local_client.call(served[1], "approve", {"job": "ab" * 32, "person": "p"})
    assert status.code_of(raised.value) == "UNKNOWN_JOB"
    assert served[2] == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json\n", "MALFORMED_MESSAGE"),
        (b"[]\n", "MALFORMED_MESSAGE"),
        (b"{}\n", "MALFORMED_MESSAGE"),
        (b"\n", "MALFORMED_MESSAGE"),
        (b"", "MALFORMED_MESSAGE"),
        (b"[" * 5_000 + b"\n", "MALFORMED_MESSAGE"),
        (b'{"command": "dance"}\n', "UNKNOWN_COMMAND"),
        (b'{"command": "approve"}\n', "COMMAND_INVALID"),
        (b'{"command": "approve", "job": 7}\n', "COMMAND_INVALID"),
        (b'{"command": "pin", "card": null}\n', "MALFORMED_MESSAGE"),
        (b'{"command": "consent.import", "file": "/no/such/file"}\n', "COMMAND_INVALID"),
        (b'{"command": "crash"}\n', "INTERNAL"),
    ],
)
def test_malformed_commands_are_refused(served: tuple[TestNode, Path, list[str]], line: bytes, code: str) -> None:
    reply = raw(served[1], line)
    failure = reply["failure"]
    assert isinstance(failure, dict)
    assert (reply["ok"], failure["code"]) == (False, code)
    assert local_client.call(served[1], "status", {})["partner"] == "bank"


def test_a_caller_that_hangs_up_leaves_a_line_in_the_log_and_no_traceback(
    make_node: MakeNode, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    node, hung_up = make_node("bank"), threading.Event()
    commands = {**node.parts.commands, "slow": lambda _: {"waited": hung_up.wait(10)}}
    with serving(node, commands, lambda: None) as path:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b'{"command": "slow"}\n')
        hung_up.set()
        until(lambda: "was gone before its answer (BrokenPipeError)" in caplog.text)
        assert local_client.call(path, "status", {})["partner"] == "bank"
    assert capfd.readouterr().err == ""


def test_no_node_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(errors.NodeNotRunning):
        local_client.call(tmp_path / "n.sock", "status", {})


def test_a_killed_nodes_socket_is_replaced(make_node: MakeNode, tmp_path: Path) -> None:
    node = make_node("bank")
    path = node.folder / "n.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(errors.NodeNotRunning):
        local_client.call(path, "status", {})
    server = LocalServer(path, node.parts.commands, node.parts.node.entropy, lambda: None)
    server.server_close()


def test_a_long_path_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 100) / "n.sock"
    with pytest.raises(errors.SocketPathTooLong):
        local_client.call(path, "status", {})
    assert len(os.fsencode(path)) > local_client.PATH_BYTES_MAX
