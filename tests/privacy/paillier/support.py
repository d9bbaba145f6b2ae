"""Small keys for tests: 512 bits open in milliseconds and protect nothing."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest

from privacy.aggregation import Adder, Dealing, Lanes, Roster, Slot
from privacy.ids import Digest, PartnerId
from privacy.paillier import Paillier, engine

BITS = 512
SLOT = Slot(job=Digest("5a" * 32), round=1, attempt=0)


def seeded(label: str) -> Callable[[int], bytes]:
    """Entropy that a test can repeat; another label, other bytes."""
    calls = 0

    def draw(count: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{label} {calls}".encode()).digest(count)

    return draw


@contextmanager
def small_keys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_BITS_MIN", BITS)
        yield


def make_roster(size: int, colluders: int | None = None) -> Roster:
    if colluders is None:
        colluders = 0 if size == 2 else 1
    return Roster(partners=tuple(PartnerId(f"bank-{i}") for i in range(size)), colluders=colluders)


def make_engine(size: int, colluders: int | None = None) -> Paillier:
    roster = make_roster(size, colluders)
    with small_keys():
        return Paillier(roster, roster.partners[-1], BITS)


@cache
def dealt(size: int, label: str = "key", colluders: int | None = None) -> tuple[Paillier, Dealing]:
    made = make_engine(size, colluders)
    return made, made.deal(made.dealers[0], seeded(label))


def random_lanes(made: Paillier, count: int, seed: int) -> Lanes:
    return np.random.default_rng(seed).integers(0, 1 << made.value_bits, count)


def hide(made: Paillier, dealing: Dealing, lanes: Lanes, partner: PartnerId, label: str = "upload") -> bytes:
    return made.encrypt(dealing.public, lanes, SLOT, partner, seeded(f"{label} {partner}"))


def adder_of(made: Paillier, dealing: Dealing, count: int) -> Adder:
    return made.adder(count, SLOT, dealing.public)


def total_of(made: Paillier, dealing: Dealing, vectors: list[Lanes]) -> bytes:
    adder = adder_of(made, dealing, len(vectors[0]))
    for partner, lanes in zip(made.roster.partners, vectors, strict=False):
        adder.add(hide(made, dealing, lanes, partner), partner)
    return adder.total()


def answers_of(made: Paillier, dealing: Dealing, total: bytes, partners: list[PartnerId]) -> dict[PartnerId, bytes]:
    return {partner: made.answer([dealing.shares[partner]], total) for partner in partners}
