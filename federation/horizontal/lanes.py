"""An update as lanes: how its values, its weight, its figures and its counts stand in the vector that is summed.

| lanes | what | form |
|---|---|---|
| first d | the update x_i - x, cut to norm `clip`, times w_i = n_i / examples_max | fixed point over `bound` |
| one a metric | the metric times w_i | fixed point over the metric's own bound |
| 1 | n_i, the examples (at most examples_max) | whole number |
| 1 | coordinates and metrics that lay beyond their bounds | whole number |
| 1 | 1 where the whole update was shortened to `clip` | whole number |

The average over the cohort is (sum of w_i u_i) * examples_max / (sum of n_i): weights go in before rounding, so the
integer sum is the weighted sum, and nobody's n_i is seen.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation.horizontal.errors import UpdateRefused
from privacy.aggregation import Lanes, RoundVoid
from privacy.quantize import Codec, TotalOutOfRange, clip_norm

Noise: TypeAlias = Callable[[int], Lanes]  # count -> whole lanes of noise, int64 (count,)

COUNTS = ("examples", "clipped", "shortened")
ROUNDING = 1e-9  # relative, of the float64 steps between an update's norm and the average's


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """What a cohort's lanes say. update: float64 (d,); metrics: weighted by examples; counts over the whole cohort."""

    update: NDArray[np.float64] = field(repr=False)
    examples: int
    metrics: Mapping[str, float]
    clipped: int
    shortened: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The terms of one run's updates: the same at every partner and at the hub, from the plan.

    clip: L2 norm an update is cut to, in the partner's own code. bound: of one coordinate in fixed point; more than
    `clip` (the default) makes the step coarser, as noise of few lanes wants it. metrics: name -> largest absolute
    value. noise_norm: how much the noise of a cohort may add to the norm of the weighted sum before it is not believed.
    """

    clip: float
    examples_max: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    bound: float | None = None
    noise_norm: float = 0.0

    def __post_init__(self) -> None:
        assert math.isfinite(self.clip) and self.clip > 0 and self.examples_max >= 1, "terms of an update"

    def count(self, parameters: int) -> int:
        """Lanes of an update of so many parameters."""
        return parameters + len(self.metrics) + len(COUNTS)

    def codec(self, value_bits: int) -> Codec:
        """The fixed point of the update's own coordinates."""
        assert self.examples_max < 1 << value_bits, "the number of examples fits its lane"
        return Codec(self.clip if self.bound is None else self.bound, value_bits)

    def encode(
        self,
        update: NDArray[np.float64],
        examples: int,
        metrics: Mapping[str, float],
        value_bits: int,
        noise: Noise | None = None,
    ) -> Lanes:
        """Lanes of one partner's update, float64 (d,), from `examples` rows.

        With noise, nothing that depends on the rows goes out beside it: no metric, no count but the examples.
        Raises ValueNotFinite, UpdateRefused.
        """
        if set(metrics) != set(self.metrics):
            raise UpdateRefused(why=f"it reports {', '.join(metrics) or 'no figures'}, other than agreed")
        if examples < 0:
            raise UpdateRefused(why="a number of examples below zero")
        assert noise is None or not self.metrics, "figures without noise are not sent beside noise"
        counted = min(examples, self.examples_max)
        weight = counted / self.examples_max
        short, norm = clip_norm(update, self.clip)
        codec = self.codec(value_bits)
        encoded = codec.encode(short, weight)
        lanes = [encoded.lanes if noise is None else _noisy(encoded.lanes, noise, codec)]
        clipped = encoded.clipped
        for name, bound in self.metrics.items():
            figure = Codec(bound, value_bits).encode(np.array([metrics[name]], np.float64), weight)
            lanes.append(figure.lanes)
            clipped += figure.clipped
        tail = [counted, clipped, int(norm > self.clip)] if noise is None else [counted, 0, 0]
        return np.concatenate([*lanes, np.array(tail, np.int64)])

    def decode(self, total: Lanes, cohort: int, value_bits: int) -> Average:
        """The average of a cohort from its summed lanes. Raises RoundVoid for a sum that no such cohort can have."""
        d = len(total) - len(self.metrics) - len(COUNTS)
        assert d >= 0, "a sum of lanes of these terms"
        examples, clipped, shortened = (int(n) for n in total[d + len(self.metrics) :])
        if not 0 < examples <= cohort * self.examples_max or shortened > cohort or clipped > cohort * len(total):
            raise RoundVoid(why=f"it counts {examples} examples of {cohort} partners", wrong="-")
        scale = self.examples_max / examples
        try:
            update = self.codec(value_bits).decode(total[:d], cohort) * scale
            metrics = {
                name: float(Codec(bound, value_bits).decode(total[d + i : d + i + 1], cohort)[0] * scale)
                for i, (name, bound) in enumerate(self.metrics.items())
            }
        except TotalOutOfRange as failure:
            raise RoundVoid(why=failure.message(), wrong="-") from None
        self._check_norm(update, cohort, scale, value_bits)
        return Average(update=update, examples=examples, metrics=metrics, clipped=clipped, shortened=shortened)

    def _check_norm(self, update: NDArray[np.float64], cohort: int, scale: float, value_bits: int) -> None:
        """A weighted average of vectors of norm <= clip has norm <= clip, but for rounding and agreed noise."""
        norm = float(np.linalg.norm(update))
        rounding = math.sqrt(len(update)) * self.codec(value_bits).error_bound(cohort)
        limit = self.clip * (1 + ROUNDING) + (rounding + self.noise_norm) * scale
        if not norm <= limit:  # a norm that is not a number is not below it either
            raise RoundVoid(why=f"its average has norm {norm:.6g}, at most {limit:.6g} is possible", wrong="-")


def _noisy(lanes: Lanes, noise: Noise, codec: Codec) -> Lanes:
    """Lanes with noise, kept inside the codec's levels; the step is chosen so that the edges are out of reach."""
    drawn = noise(len(lanes))
    assert drawn.shape == lanes.shape and drawn.dtype == np.int64, "noise of the update's shape"
    kept: Lanes = np.clip(lanes + drawn, codec.offset - codec.levels, codec.offset + codec.levels)
    return kept
