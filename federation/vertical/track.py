"""Where the rounds of refinement of one variant stand at one party."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federation.metrics import Floats
from federation.models import refine
from federation.models.refine import Block, Pace, Position
from federation.plan_variants import Coalition
from federation.vertical.results import Refinement
from privacy.packing import Packed

PPM = 1_000_000


def _none() -> Floats:
    return np.zeros(0)


@dataclass(slots=True, kw_only=True)
class Track:
    """A variant under way: the fields of all parties, then those of feature holders, then the label holder's."""

    holders: Coalition
    place: int  # among the variants that are refined, the full one first
    points: Floats = field(default_factory=lambda: np.zeros((0, 0)))  # (rounds, own weights): what each was scored at
    behind: Floats = field(default_factory=_none)  # (own weights,): the newest without momentum
    momentum: int = 0  # steps since it began
    said: bytes = b""  # digest of all that the label holder said of this variant since it announced weights
    pace: list[int] = field(default_factory=list)  # (divisor, anew) of the step whose residual is being multiplied
    kept: int = 0  # the round whose weights stay, from 1; 0 before the end
    losses: Floats = field(default_factory=_none)  # (rounds,): train log-loss
    divisor: int = 1
    ended: str = ""  # why the rounds ended; empty before
    train: Floats = field(default_factory=_none)  # (train rows,): the score of the best round so far

    def begin(self, weights: Floats) -> None:
        self.points, self.behind, self.momentum = np.array([weights]), weights, 0

    def step(self, block: Block, pull: Floats, pace: Pace) -> None:
        """From the newest point to the next; pull: (own weights,), Xᵀ(y − σ(score)) there."""
        made = block.step(Position(point=self.points[-1], weights=self.behind, steps=self.momentum), pull, pace)
        self.points = np.vstack([self.points, made.point])
        self.behind, self.momentum = made.weights, made.steps

    @property
    def weights(self) -> Floats:
        """(own weights,) that are kept. Only once the rounds have ended."""
        assert self.kept, "the rounds have ended"
        return np.asarray(self.points[self.kept - 1])

    def refinement(self) -> Refinement:
        """How the rounds went, at the label holder. Only once they have ended."""
        return Refinement(
            losses_ppm=tuple(round(float(loss) * PPM) for loss in self.losses),
            kept=refine.best(self.losses.tolist()),
            ended=self.ended,
            divided=self.divisor > 1,
        )

    def pack(self) -> Packed:
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in self.__slots__
        }

    @classmethod
    def unpack(cls, value: Mapping[str, Any]) -> "Track":
        """Of this side's own store."""
        return cls(**{**value, "holders": tuple(value["holders"]), "pace": list(value["pace"])})
