"""A column as bins: 0/1 columns of the matrix, cut at quantiles of the own train rows; a missing value is a bin.

Edges depend on the own train rows, the plan's `bins` and `rare_rows` alone, and every bin so cut has `rare_rows` train
rows. Neighbours are then merged until every bin has as many rows in every part: the bins of another run over the same
rows are others only by whole bins of that first cut. A missing value is a bin of its own where that has enough rows
in every part, otherwise it counts as the largest bin of the first cut, whatever that was merged with: in another bin
of another run the few whose value is missing would be what two runs differ by. One bin, the reference, has no column:
all columns together would sum to a constant, and a client's bin is known by the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from federation.rarity import Floats, Integers, Mask, Places
from federation.scale import UNITS, VALUE_MAX


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """How a column's values become 0/1 columns, each standardised: one for every bin but the reference."""

    edges: Floats  # rising; bin k holds edges[k - 1] < x <= edges[k]
    missing: int  # the bin of a missing value: behind all others, or the reference
    reference: int
    means: Floats  # (columns,): share of the train rows in each bin that has a column

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.means)

    def bins(self, values: Floats) -> Integers:
        """(rows,) numbers of bins of (rows,) values, NaN where one is missing."""
        found = np.searchsorted(self.edges, values, side="left")
        return np.where(np.isnan(values), self.missing, found).astype(np.int64)

    def units(self, values: Floats) -> Floats:
        """(rows, columns): model values in 1 / UNITS."""
        return self._table[self.bins(values)]

    @cached_property
    def _table(self) -> Floats:
        """(bins, columns): what a row of each bin has."""
        inside = np.delete(np.eye(self.width + 1), self.reference, axis=1)
        deviations = np.sqrt(self.means * (1.0 - self.means))
        return np.clip(np.rint((inside - self.means) / deviations * UNITS), -VALUE_MAX, VALUE_MAX)


def form(values: Floats, train: Mask, where: Places, bins: int, rare_rows: int) -> Bins | str:
    """The bins of a column, or why it can have none. values: (rows,), NaN where missing, none infinite."""
    known = values[train & ~np.isnan(values)]
    first = quantile_edges(known, bins, rare_rows)
    edges = _merged(first, [values[rows] for rows in where.values()], rare_rows)
    sizes = np.array([_sizes(values[rows], edges) for rows in where.values()])
    own = bool((sizes[:, -1] >= rare_rows).all())  # the missing are enough for a bin
    sizes = sizes if own else sizes[:, :-1]
    count = sizes.shape[1]
    if count < 2 or (sizes < rare_rows).any():
        return why_none(values[train], f"no two bins of {rare_rows} rows in every part")
    shares = _sizes(values[train], edges)[:count] / int(train.sum())
    # the upper edge of the largest bin of the first cut: it is in one bin still
    largest = np.append(first, np.inf)[_sizes(known, first)[:-1].argmax()]
    reference = int(shares.argmax() if own else np.searchsorted(edges, largest, side="left"))
    return Bins(
        edges=edges, missing=count - 1 if own else reference, reference=reference, means=np.delete(shares, reference)
    )


def _sizes(values: Floats, edges: Floats) -> Integers:
    """(bins + 1,): rows in each bin, the missing last."""
    found = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(found, minlength=len(edges) + 2)


def quantile_edges(known: Floats, bins: int, rare_rows: int) -> Floats:
    """Where at most `bins` bins of about equal size are cut, each with at least `rare_rows` of these rows."""
    distinct, counts = np.unique(known, return_counts=True)
    size = max(len(known) / bins, rare_rows)
    edges: list[float] = []
    held, left = 0, len(known)
    for place in range(len(distinct) - 1):
        held, left = held + int(counts[place]), left - int(counts[place])
        if len(edges) == bins - 1 or left < rare_rows:
            break
        # a value that fills a bin by itself is not joined by what is below it
        if held >= size or (held >= rare_rows and counts[place + 1] >= size):
            edges.append(_between(float(distinct[place]), float(distinct[place + 1])))
            held = 0
    return np.array(edges, dtype=np.float64)


def _between(low: float, high: float) -> float:
    """An edge that low does not exceed and high does, also where no number lies between them."""
    middle = low / 2 + high / 2
    return middle if low <= middle < high else low


def _merged(edges: Floats, parts: Sequence[Floats], rare_rows: int) -> Floats:
    """Bins joined with a neighbour, the smaller one, until each has enough rows in every part or one is left.

    parts: the values of every part's rows.
    """
    sizes = np.array([_sizes(values, edges)[:-1] for values in parts])
    while len(edges) and (fewest := sizes.min(axis=0)).min() < rare_rows:
        at = int(fewest.argmin())
        beside = [k for k in (at - 1, at + 1) if 0 <= k < sizes.shape[1]]
        low = min(at, min(beside, key=sizes.sum(axis=0).take))
        edges = np.delete(edges, low)
        sizes = np.hstack([sizes[:, :low], sizes[:, low : low + 2].sum(axis=1, keepdims=True), sizes[:, low + 2 :]])
    return edges


def why_none(train_values: Floats, otherwise: str) -> str:
    """Why a column has no bins: what its train rows hold, or `otherwise`."""
    if np.isnan(train_values).all():
        return "missing on all train rows"
    if len(np.unique(train_values)) == 1:  # NaN counts as one value
        return "constant on the train rows"
    return otherwise
