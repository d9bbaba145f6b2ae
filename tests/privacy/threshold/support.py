"""A roster of banks, a reproducible source of entropy, and one whole aggregation."""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from privacy.aggregation import Dealing, Lanes, Roster, Slot
from privacy.ids import Digest, PartnerId
from privacy.threshold import Threshold, public_seed

JOB = Digest("5a" * 32)
SLOT = Slot(job=JOB, round=1, attempt=0)


def banks(count: int) -> tuple[PartnerId, ...]:
    return tuple(PartnerId(f"bank-{i}") for i in range(1, count + 1))


def engine(count: int, colluders: int | None = None, job: Digest = JOB) -> Threshold:
    colluders = (0 if count == 2 else 1) if colluders is None else colluders
    return Threshold(Roster(partners=banks(count), colluders=colluders), public_seed(job))


def entropy(label: str) -> Callable[[int], bytes]:
    """Reproducible bytes: SHAKE-256 of a label and the number of the draw."""
    draws = 0

    def draw(count: int) -> bytes:
        nonlocal draws
        draws += 1
        return hashlib.shake_256(f"{label} {draws}".encode()).digest(count)

    return draw


def never(count: int) -> bytes:
    """Entropy where none may be drawn."""
    raise AssertionError(f"{count} bytes of entropy were drawn")


def hide(setup: Threshold, key: bytes, lanes: Lanes, me: str = "bank-1") -> bytes:
    return setup.encrypt(key, lanes, SLOT, me, never)


def random_lanes(setup: Threshold, count: int, label: int = 0) -> Lanes:
    return np.random.default_rng(label).integers(0, 1 << setup.value_bits, count)


class Aggregation:
    """Dealings of all partners and uploads of a cohort; answers and totals of it."""

    def __init__(self, setup: Threshold, cohort: Sequence[PartnerId], vectors: Sequence[Lanes]) -> None:
        self.engine, self.cohort, self.count = setup, tuple(cohort), len(vectors[0])
        self.dealings: dict[PartnerId, Dealing] = {p: setup.deal(p, entropy(f"deal {p}")) for p in self.cohort}
        self.uploads = {
            p: hide(setup, self.dealings[p].secret, vector, p) for p, vector in zip(cohort, vectors, strict=True)
        }
        self.expected = np.sum(np.stack(list(vectors)), axis=0)

    def total(self) -> bytes:
        adder = self.engine.adder(self.count, SLOT)
        for partner, upload in self.uploads.items():
            adder.add(upload, partner)
        return adder.total()

    def answer(self, holder: PartnerId) -> bytes:
        return self.engine.answer([self.dealings[dealer].shares[holder] for dealer in self.cohort], b"")

    def answers(self, holders: Iterable[PartnerId]) -> dict[PartnerId, bytes]:
        return {holder: self.answer(holder) for holder in holders}


def negacyclic(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """The product modulo X^N + 1 over the integers, by Kronecker substitution: one product of two Python integers."""
    degree, slot = len(left), 96  # bits: coefficients of the product stay below 2^95
    offset = sum(1 << (slot * i + slot - 1) for i in range(2 * degree))  # makes every slot non-negative
    x, y = (sum(int(value) << (slot * i) for i, value in enumerate(values)) for values in (left, right))
    raw = (x * y + offset).to_bytes(2 * degree * slot // 8 + 1, "little")
    size = slot // 8
    whole = [int.from_bytes(raw[i * size : (i + 1) * size], "little") - (1 << (slot - 1)) for i in range(2 * degree)]
    return [whole[i] - whole[i + degree] for i in range(degree)]
