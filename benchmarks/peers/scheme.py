"""One way to sum hidden vectors, as the aggregation benchmark sees it, and one measured round of it.

A scheme plays all parties and the hub in one process, on one core. Uploads are made one after another and added as
they come, as a streaming hub does, so that the process never holds more than one upload and the running sum.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import PHASES

CLIP = 0.125
SIGMA = 0.01  # of the synthetic updates
Values: TypeAlias = NDArray[np.float32]


class Scheme(Protocol):
    """`count`: parameters really processed; figures of a sample are scaled by size / count."""

    count: int
    answers: int  # how many holders answer before the sum opens; 0 where none is asked
    tolerance: float  # the greatest error of one opened coordinate

    def setup(self) -> None:
        """Once a job: keys, public values, tables."""

    def prepare(self) -> tuple[int, int]:
        """Once a round, one party's part of the keys; returns the bytes that it sends and is sent for it."""

    def quantise(self, party: int, values: Values, weight: float) -> Any:
        """The weighted update in the form that is encrypted."""

    def encrypt(self, party: int, quantised: Any) -> Any:
        """One party's upload, hidden."""

    def serialise(self, hidden: Any) -> bytes:
        """The upload's bytes."""

    def add(self, upload: bytes) -> None:
        """The hub: read the upload and add it to the round's sum."""

    def total(self) -> bytes:
        """What the hub hands out once the cohort is fixed: to holders who answer over it, or to parties who open it."""

    def answer(self, holder: int) -> bytes:
        """A holder's one answer."""

    def open(self, answers: list[bytes]) -> NDArray[np.float64]:
        """The weighted sum of all parties, (count,)."""


def updates(count: int, party: int) -> Values:
    """A party's synthetic update: the same in every engine and every run."""
    return np.random.default_rng([7, party]).normal(0, SIGMA, count).astype(np.float32).clip(-CLIP, CLIP)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of a call and its value."""
    begun = time.perf_counter()
    value = action()
    return time.perf_counter() - begun, value


def measure(scheme: Scheme, parties: int) -> dict[str, float]:
    """Seconds of each phase of one round and bytes of one party, not scaled.

    A phase that every party or holder does counts once, as the median over them; `add` is one upload. Raises
    AssertionError where the opened sum is not the sum.
    """
    weights = [(party + 1) / parties for party in range(parties)]
    spent: dict[str, list[float]] = {phase: [] for phase in PHASES}
    reference = np.zeros(scheme.count)
    dealt, uploaded = (0, 0), 0

    def note(phase: str, action: Callable[[], Any]) -> Any:
        seconds, value = timed(action)
        spent[phase].append(seconds)
        return value

    for party, weight in enumerate(weights):
        values = updates(scheme.count, party)
        reference += values.astype(np.float64) * weight
        dealt = note("prepare", scheme.prepare)
        quantised = note("quantise", partial(scheme.quantise, party, values, weight))
        hidden = note("encrypt", partial(scheme.encrypt, party, quantised))
        upload = note("serialise", partial(scheme.serialise, hidden))
        del values, quantised, hidden
        note("add", partial(scheme.add, upload))
        uploaded = len(upload)
        del upload
    handed = len(scheme.total())
    answers = [note("answer", partial(scheme.answer, holder)) for holder in range(scheme.answers)]
    opened = note("open", partial(scheme.open, answers))
    error = float(np.abs(opened - reference).max())
    assert error <= scheme.tolerance, f"the opened sum is off by {error}"
    figures = {phase: float(np.median(values)) if values else 0.0 for phase, values in spent.items()}
    sizes = {"dealt": dealt[0], "received": dealt[1], "upload": uploaded, "handed": handed}
    sizes["answered"] = len(answers[0]) if answers else 0
    return {**figures, **{name: float(size) for name, size in sizes.items()}, "error": error}
