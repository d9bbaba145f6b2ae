"""Damage on the way: every byte of a message changed, and cuts of it."""

from collections.abc import Iterable
from typing import Protocol

import pytest

from privacy.errors import Failure


class Receiving(Protocol):
    """What sessions of every engine have."""

    def receive(self, sender: str, message: bytes) -> object: ...
    def dump(self) -> bytes: ...


def flipped(message: bytes, masks: Iterable[int] = (0x01, 0x80)) -> Iterable[bytes]:
    """The message with each of these masks on each of its bytes."""
    listed = tuple(masks)
    for position in range(len(message)):
        for mask in listed:
            yield message[:position] + bytes([message[position] ^ mask]) + message[position + 1 :]


def sampled(message: bytes) -> Iterable[bytes]:
    """A large message with one bit changed: in each of its first bytes, then in every so many."""
    positions = [*range(1200), *range(1200, len(message), max(1, len(message) // 2500))]
    for position in (position for position in positions if position < len(message)):
        damaged = bytearray(message)
        damaged[position] ^= 0x01 if position % 2 else 0x80
        yield bytes(damaged)


def assert_refused(session: Receiving, sender: str, message: bytes, damaged: Iterable[bytes]) -> None:
    """All of `damaged` and every cut of the message are named failures, and change nothing."""
    before = session.dump()
    cuts = (b"", message[:-1], message + b"\x00", message[: len(message) // 2], message * 2)
    for wrong in (*damaged, *cuts):
        with pytest.raises(Failure):
            session.receive(sender, wrong)
    assert session.dump() == before
