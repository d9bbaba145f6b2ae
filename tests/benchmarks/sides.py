"""Sides of matches that are no matches: what a pair of processes measures is known, and what goes wrong in one."""

from benchmarks.peers import channel
from benchmarks.peers.match import RECEIVER, Place

REQUEST, ANSWER = 5_000_000, 300  # more than the buffers of a connection hold


class Exchange:
    """The receiver sends REQUEST bytes and gets ANSWER bytes."""

    def __init__(self, place: Place) -> None:
        self._rank = place.rank
        self._place = place
        self._got = b""

    def connect(self) -> None:
        self._channel = channel.connect(self._place)

    def match(self) -> None:
        if self._rank == RECEIVER:
            self._channel.post(bytes(REQUEST))
        self._got = self._channel.next() or b""
        if self._rank != RECEIVER:
            self._channel.post(bytes(ANSWER))
        self._channel.flush()

    def check(self) -> None:
        assert len(self._got) == (ANSWER if self._rank == RECEIVER else REQUEST)

    def close(self) -> None:
        self._channel.close()


class Vanishing(Exchange):
    """The sender ends in the middle."""

    def match(self) -> None:
        if self._rank != RECEIVER:
            raise RuntimeError("the sender has vanished")
        super().match()


class Wrong(Exchange):
    """The receiver learns what is not so."""

    def check(self) -> None:
        assert self._rank != RECEIVER, "the result is wrong"
