"""Where a horizontal run can go on: everything after its newest finished round, as bytes that hold nothing executable.

A run continued from here makes the same requests and ends with the same weights, bit for bit. The figures of finished
rounds are not in the bytes, which are written anew after every round: whoever keeps a run keeps these beside them, a
round at a time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from federation.models.network import Parameters
from federation.plan_parts import EarlyStop
from federation.tabular import Scaling, Statistics
from privacy import packing
from privacy.canonical import Value
from privacy.errors import Failure, Kind
from privacy.packing import Packed

VERSION = 2
READABLE = (1, VERSION)  # the first version also held the figures of finished rounds
PPM = 1_000_000


class CheckpointUnreadable(Failure):
    code = "CHECKPOINT_UNREADABLE"
    kind = Kind.INTEGRITY
    en = "the stored state of the run cannot be continued: {why}"
    zh = "已保存的训练状态无法继续：{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFacts:
    """One finished round, from its sum. loss_micro: of the weights it began with, None where it isn't measured.

    examples: train rows behind the sum; clipped: coordinates cut to their bound; shortened: updates cut to the norm;
    attempts: how many it took; cohort: whose updates are in the sum.
    """

    round: int
    cohort: tuple[str, ...]
    attempts: int
    examples: int
    loss_micro: int | None
    clipped: int
    shortened: int
    milliseconds: int

    def to_value(self) -> dict[str, Value]:
        return {
            "round": self.round,
            "cohort": [*self.cohort],
            "attempts": self.attempts,
            "examples": self.examples,
            "loss_micro": self.loss_micro,
            "clipped": self.clipped,
            "shortened": self.shortened,
            "milliseconds": self.milliseconds,
        }

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> "RoundFacts":
        """The figures of `to_value`. Raises KeyError, TypeError for others."""
        return cls(**{**value, "cohort": tuple(value["cohort"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The weights with the least loss so far: those that `round` began with."""

    round: int
    loss_micro: int
    parameters: Parameters = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state after `round`: 0 after the statistics. protocol: what strategy and aggregation keep (opaque here)."""

    round: int
    statistics: Statistics
    parameters: Parameters = field(repr=False)
    protocol: Mapping[str, Packed] = field(repr=False)
    history: tuple[RoundFacts, ...] = ()
    best: Best | None = None
    stopped: bool = False  # early: the best weights are the final ones

    def after(
        self, facts: RoundFacts, parameters: Parameters, protocol: Mapping[str, Packed], stop: EarlyStop | None
    ) -> "Checkpoint":
        """The state after one more round that ended with `parameters`."""
        best = self.best
        loss = facts.loss_micro
        if stop is not None and loss is not None and (best is None or _gains(loss, best.loss_micro, stop)):
            best = Best(round=facts.round, loss_micro=loss, parameters=self.parameters)
        stopped = stop is not None and best is not None and facts.round - best.round >= stop.patience
        return replace(
            self,
            round=facts.round,
            parameters=best.parameters if stopped and best is not None else parameters,
            protocol=protocol,
            history=(*self.history, facts),
            best=best,
            stopped=stopped,
        )

    def encode(self) -> bytes:
        """All but the history, for `decode`."""
        best: Packed = None
        if self.best is not None:
            best = {
                "round": self.best.round,
                "loss_micro": self.best.loss_micro,
                "parameters": list(self.best.parameters),
            }
        return packing.pack(
            {
                "version": VERSION,
                "round": self.round,
                "rows": list(self.statistics.rows),
                "means": self.statistics.scaling.means,
                "deviations": self.statistics.scaling.deviations,
                "parameters": list(self.parameters),
                "protocol": dict(self.protocol),
                "best": best,
                "stopped": self.stopped,
            }
        )

    @classmethod
    def decode(cls, data: bytes, history: Iterable[Mapping[str, Any]]) -> "Checkpoint":
        """The state of `encode`'s bytes, with the figures (`RoundFacts.to_value`) of every round up to it.

        Raises CheckpointUnreadable.
        """
        try:
            value: Any = packing.unpack(data)
            if value["version"] not in READABLE:
                raise CheckpointUnreadable(why="its version")
            best = value["best"]
            made = cls(
                round=value["round"],
                statistics=Statistics(
                    rows=tuple(value["rows"]),
                    scaling=Scaling(means=value["means"], deviations=value["deviations"]),
                ),
                parameters=tuple(value["parameters"]),
                protocol=value["protocol"],
                history=tuple(map(RoundFacts.from_value, history)),
                best=None if best is None else Best(**{**best, "parameters": tuple(best["parameters"])}),
                stopped=value["stopped"],
            )
        except (packing.NotPacked, KeyError, TypeError) as error:
            raise CheckpointUnreadable(why=type(error).__name__) from None
        if [facts.round for facts in made.history] != list(range(1, made.round + 1)):
            raise CheckpointUnreadable(why="the figures of its rounds")
        return made


def _gains(loss_micro: int, best_micro: int, stop: EarlyStop) -> bool:
    return loss_micro * PPM < best_micro * (PPM - stop.tolerance_ppm)
