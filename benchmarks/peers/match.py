"""One side of a match as the matching benchmark sees it, and the clients that both sides have.

Rank 0 is the receiver, who learns the result; rank 1 the sender. Half of the smaller side's clients are shared.
"""

import random
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

RECEIVER, SENDER = 0, 1
SCATTER = 618_033_988_749_894_849  # prime to 10, so that it permutes the numbers of 18 digits
DIGITS = 18
SIDES_APART = 10**12  # between the numbers that only one side has


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a side stands: its rank, both sides' numbers of clients, both ports on loopback, a folder of its own."""

    rank: int
    sizes: tuple[int, int]
    ports: tuple[int, int]
    folder: Path

    @property
    def shared(self) -> int:
        """How many clients both sides have."""
        return min(self.sizes) // 2


class Side(Protocol):
    """Made with its clients in the form that the engine takes. Only `match` is measured."""

    def connect(self) -> None:
        """Wait until the other side is connected."""

    def match(self) -> None:
        """The whole match, from the clients to the result; back when nothing of it is left to send."""

    def check(self) -> None:
        """Raises AssertionError where this side did not learn what it should, and exactly that."""

    def close(self) -> None:
        """End the connection."""


def clients(place: Place) -> tuple[Iterator[int], bytes]:
    """A side's clients as numbers of 18 digits in an order of its own, and for each 1 where the other has it too.

    Numbers come one by one, so that the process holds no more than the engine's own form of them.
    """
    indices = array("q", range(place.sizes[place.rank]))
    random.Random(place.rank).shuffle(indices)  # noqa: S311 - an order of test data
    apart = SIDES_APART * (1 + place.rank)
    shared = place.shared
    marks = bytes(i < shared for i in indices)
    return ((i if i < shared else i + apart) * SCATTER % 10**DIGITS for i in indices), marks


def check_rows(found: Collection[int], shared: bytes) -> None:
    """Raises AssertionError unless these positions, each once, are those of the shared clients."""
    wrong = len(found) - sum(shared[row] for row in found)
    assert wrong == 0, f"{wrong} clients found that the other side has not"
    assert len(set(found)) == len(found) == sum(shared), f"{len(found)} clients found of {sum(shared)}"
