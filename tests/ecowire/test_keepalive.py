"""An idle stream lives: what one end's pings need, the other end allows. With real servers and clients on loopback."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ecowire import channel  # before grpc, which reads its settings when it is imported

import grpc  # isort: skip
import pytest

FASTER = 10  # so that seconds stand for minutes; gRPC lets no client ping more often than once a second
IDLE_SECONDS = 5.5
KEEPALIVE, INTERVAL = "grpc.keepalive_time_ms", "grpc.http2.min_ping_interval_without_data_ms"
Options = list[tuple[str, Any]]


def hurried(options: Options, name: str) -> Options:
    """These options with one time shortened. The server's own pings stay slow: each puts off the client's next one."""
    return [(key, value // FASTER if key == name else value) for key, value in options]


class Open(grpc.GenericRpcHandler):
    """A stream that says one word and stays open until the client goes."""

    def service(self, _: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(self._stream)

    def _stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        gone = threading.Event()
        assert context.add_callback(gone.set)
        yield b"welcome"
        gone.wait()


@contextmanager
def stream(server_options: Options, client_options: Options) -> Iterator[Any]:
    """The client's call on an open stream."""
    from concurrent.futures import ThreadPoolExecutor

    server = grpc.server(ThreadPoolExecutor(2), options=server_options)
    server.add_generic_rpc_handlers((Open(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    outgoing: queue.Queue[bytes | None] = queue.Queue()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=client_options) as connection:
            call = connection.stream_stream("/test/Connect")(iter(outgoing.get, None))
            assert next(call) == b"welcome"
            yield call
            outgoing.put(None)
            call.cancel()
    finally:
        server.stop(None).wait()


def ended(call: Any, seconds: float) -> str:
    """How the stream ended within this time; empty where it did not."""
    over = threading.Event()
    if not call.add_callback(over.set) or over.wait(seconds):
        return str(call.details())
    return ""


def test_an_idle_stream_is_not_ended_for_its_pings() -> None:
    with stream(hurried(channel.SERVER_OPTIONS, INTERVAL), hurried(channel.CLIENT_OPTIONS, KEEPALIVE)) as call:
        assert ended(call, IDLE_SECONDS) == ""


def test_pings_faster_than_the_server_allows_end_it() -> None:
    """So the test above could fail."""
    with stream(channel.SERVER_OPTIONS, hurried(channel.CLIENT_OPTIONS, KEEPALIVE)) as call:
        assert "Too many pings" in ended(call, IDLE_SECONDS)


def test_both_ends_fit_each_other() -> None:
    server, client = dict(channel.SERVER_OPTIONS), dict(channel.CLIENT_OPTIONS)
    assert client[KEEPALIVE] >= 2 * server[INTERVAL]
    for end in (server, client):
        assert end["grpc.keepalive_permit_without_calls"] == 1, "a server allows one in two hours otherwise"
        assert end["grpc.http2.max_pings_without_data"] == 0, "or pings stop on a stream that carries nothing"
        assert end["grpc.keepalive_timeout_ms"] < end[KEEPALIVE]


@pytest.mark.slow_flow(seconds=55)
def test_an_idle_stream_lives_at_its_real_pace() -> None:
    with stream(channel.SERVER_OPTIONS, channel.CLIENT_OPTIONS) as call:
        assert ended(call, 5.5 * channel.KEEPALIVE_MILLISECONDS / 1000) == ""
