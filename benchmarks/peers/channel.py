"""Messages over one TCP connection on loopback, for engines that leave the sending to others.

Nothing moves while the process computes but what fits the system's buffers, and neither side can wait for a
reader that waits for it: `next` sends while it waits.
"""

import selectors
import socket
import time
from collections import deque

from benchmarks.peers.match import RECEIVER, Place

LENGTH_BYTES = 8
CONNECT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.02


class PeerVanished(RuntimeError):
    """The connection ended in the middle of a match."""


def connect(place: Place) -> "Channel":
    """The connection of the two sides: the receiver listens."""
    if place.rank == RECEIVER:
        with socket.create_server(("127.0.0.1", place.ports[RECEIVER])) as server:
            server.settimeout(CONNECT_SECONDS_MAX)
            return Channel(server.accept()[0])
    end = time.monotonic() + CONNECT_SECONDS_MAX
    while True:
        try:
            return Channel(socket.create_connection(("127.0.0.1", place.ports[RECEIVER])))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(POLL_SECONDS)  # the other side does not listen yet


class Channel:
    """Frames: the length in eight bytes, then the message."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        self._waiting: deque[memoryview] = deque()
        self._frame = bytearray(LENGTH_BYTES)
        self._filled = 0
        self._has_length = False

    def post(self, message: bytes) -> None:
        """Send a message as far as that goes without waiting; the rest goes with the next call of any method."""
        self._waiting += [memoryview(len(message).to_bytes(LENGTH_BYTES, "big")), memoryview(message)]
        self._write()

    def next(self, wait: bool = True) -> bytearray | None:
        """The next whole message; None where none is here and `wait` is false. Raises PeerVanished."""
        while True:
            self._write()
            if (message := self._read()) is not None:
                return message
            if not wait:
                return None
            self._pause(selectors.EVENT_READ | (selectors.EVENT_WRITE if self._waiting else 0))

    def flush(self) -> None:
        """Wait until everything has gone to the system."""
        while self._waiting:
            self._write()
            if self._waiting:
                self._pause(selectors.EVENT_WRITE)

    def close(self) -> None:
        self._selector.close()
        self._connection.close()

    def _pause(self, events: int) -> None:
        self._selector.modify(self._connection, events)
        self._selector.select()

    def _write(self) -> None:
        while self._waiting:
            try:
                sent = self._connection.send(self._waiting[0])
            except BlockingIOError:
                return
            rest = self._waiting.popleft()[sent:]
            if rest:
                self._waiting.appendleft(rest)

    def _read(self) -> bytearray | None:
        """Read on; a message where it is whole."""
        while True:
            if self._filled == len(self._frame):
                whole, self._filled = self._frame, 0
                self._has_length = not self._has_length
                self._frame = bytearray(int.from_bytes(whole, "big") if self._has_length else LENGTH_BYTES)
                if not self._has_length:
                    return whole
                continue
            try:
                got = self._connection.recv_into(memoryview(self._frame)[self._filled :])
            except BlockingIOError:
                return None
            if not got:
                raise PeerVanished("the other side closed the connection")
            self._filled += got
