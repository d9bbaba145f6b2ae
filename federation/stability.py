"""How far the scores of a release have moved from those of the one before: the population stability index.

PSI = Σ (p − q) · ln(p / q) over bins, with q the shares of the earlier scores and p those of the later ones: the
symmetrised Kullback-Leibler divergence of the two (Kullback and Leibler 1951). Bins are the deciles of the earlier
scores. It is read as below 0.10 stable, 0.10 to 0.25 moved, 0.25 and above shifted (Siddiqi, Credit Risk Scorecards,
2006, chapter 10): a rule of thumb, for under equal distributions it is about (bins − 1)(1/n + 1/m) on average
(Yurdakul and Naranjo 2020), which is 0.09 at 200 rows each.

A bin with fewer rows than a minimum counts as if it had the minimum, and its share is not shown. Merging it with others
instead would hide the very thing that is looked for: scores that have all left their bins would be one bin, index 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.metrics import PPM, Floats
from privacy.canonical import Value

VERSION = 1
BINS = 10
MOVED_PPM, SHIFTED_PPM = 100_000, 250_000
STEP_PPM = 1_000  # what is published is rounded to it: with exact figures one count not shown would be the rest
STABLE, MOVED, SHIFTED = "stable", "moved", "shifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The index between two sets of scores; shares in percent by bin, lowest scores first, None: too few rows."""

    psi_ppm: int
    before_rows: int
    after_rows: int
    before_percent: tuple[int | None, ...]
    after_percent: tuple[int | None, ...]

    @property
    def reading(self) -> str:
        """STABLE, MOVED or SHIFTED."""
        if self.psi_ppm < MOVED_PPM:
            return STABLE
        return MOVED if self.psi_ppm < SHIFTED_PPM else SHIFTED

    def to_value(self) -> dict[str, Value]:
        return {
            "version": VERSION,
            "psi_ppm": self.psi_ppm,
            "before_rows": self.before_rows,
            "after_rows": self.after_rows,
            "before_percent": [*self.before_percent],
            "after_percent": [*self.after_percent],
        }


def read(value: Mapping[str, Any]) -> Stability:
    """What `to_value` made. Raises ValueError, TypeError or KeyError for anything else."""
    found = Stability(
        psi_ppm=value["psi_ppm"],
        before_rows=value["before_rows"],
        after_rows=value["after_rows"],
        before_percent=tuple(value["before_percent"]),
        after_percent=tuple(value["after_percent"]),
    )
    shares = (*found.before_percent, *found.after_percent)
    integers = (found.psi_ppm, found.before_rows, found.after_rows, *(one for one in shares if one is not None))
    if any(type(one) is not int or one < 0 for one in integers) or found.to_value() != value:
        raise ValueError("a stability index is whole numbers from 0")
    if len(found.before_percent) != len(found.after_percent) or not 2 <= len(found.before_percent) <= BINS:
        raise ValueError("the shares of both releases' bins")
    return found


def compare(before: Floats, after: Floats, rows_min: int) -> Stability | None:
    """The index of scores `after` against `before`, each (its rows,) and finite; None where too few rows are there.

    rows_min: what a bin has at least, on average; there are fewer than BINS of them where the earlier rows are few.
    """
    assert rows_min > 0 and np.isfinite(before).all() and np.isfinite(after).all(), "finite scores, a positive minimum"
    bins = min(BINS, len(before) // rows_min)
    if bins < 2 or len(after) < rows_min:
        return None
    edges = np.quantile(before, np.arange(1, bins) / bins, method="inverted_cdf")
    counts = [_counted(scores, edges) for scores in (before, after)]
    before_share, after_share = (np.maximum(one, rows_min) / np.maximum(one, rows_min).sum() for one in counts)
    index = float(((after_share - before_share) * np.log(after_share / before_share)).sum())
    before_percent, after_percent = (_percents(one, rows_min) for one in counts)
    return Stability(
        psi_ppm=round(index * PPM / STEP_PPM) * STEP_PPM,
        before_rows=len(before),
        after_rows=len(after),
        before_percent=before_percent,
        after_percent=after_percent,
    )


def _counted(scores: Floats, edges: Floats) -> NDArray[np.int64]:
    """Rows of each bin: up to and with the first edge, …, above the last. Equal scores are in one bin."""
    return np.bincount(np.searchsorted(edges, scores, side="left"), minlength=len(edges) + 1).astype(np.int64)


def _percents(counts: NDArray[np.int64], rows_min: int) -> tuple[int | None, ...]:
    total = int(counts.sum())
    return tuple(round(100 * count / total) if count >= rows_min else None for count in counts.tolist())
