"""Messages over one TCP connection on loopback, for engines that leave the sending to others.

Two threads move the bytes while the process computes, as the transport of a node does; neither side can wait for a
reader that waits for it.
"""

import queue
import socket
import threading
import time

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
    """Frames: the length in eight bytes, then the message. What has come is kept until `next` takes it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._outgoing: queue.Queue[bytes | None] = queue.Queue()
        self._incoming: queue.Queue[bytes | None] = queue.Queue()
        self._broken = False
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._send_all, self._receive_all)]
        for thread in self._threads:
            thread.start()

    def post(self, message: bytes) -> None:
        """Send a message while the caller goes on."""
        self._outgoing.put(message)

    def next(self, wait: bool = True) -> bytes | None:
        """The next message; None where none is here and `wait` is false. Raises PeerVanished."""
        try:
            message = self._incoming.get(wait)
        except queue.Empty:
            return None
        if message is None:
            self._incoming.put(None)  # for the next call
            raise PeerVanished("the other side closed the connection")
        return message

    def flush(self) -> None:
        """Wait until everything has gone to the system. Raises PeerVanished where it could not."""
        self._outgoing.join()
        if self._broken:
            raise PeerVanished("the other side took no more messages")

    def close(self) -> None:
        """End the connection; what was not flushed may be lost."""
        self._outgoing.put(None)
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._broken = True  # the other side has ended it before
        for thread in self._threads:
            thread.join()
        self._connection.close()

    def _send_all(self) -> None:
        while (message := self._outgoing.get()) is not None:
            try:
                if not self._broken:
                    self._connection.sendall(len(message).to_bytes(LENGTH_BYTES, "big"))
                    self._connection.sendall(message)
            except OSError:
                self._broken = True
            finally:
                self._outgoing.task_done()

    def _receive_all(self) -> None:
        try:
            while (length := self._receive(LENGTH_BYTES)) is not None:
                if (message := self._receive(int.from_bytes(length, "big"))) is None:
                    break
                self._incoming.put(message)
        except OSError:
            self._broken = True
        self._incoming.put(None)

    def _receive(self, length: int) -> bytes | None:
        """So many bytes; None where the connection ends before."""
        received = bytearray(length)
        view, filled = memoryview(received), 0
        while filled < length:
            if not (got := self._connection.recv_into(view[filled:])):
                return None
            filled += got
        return bytes(received)
