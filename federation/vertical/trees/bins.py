"""A party's own columns as bins: cut at quantiles of its own train rows, edges stay at home.

A missing value belongs to the lowest bin, or is the lowest bin by itself where enough train rows lack the value. Every
bin has at least `rare_rows` train rows, and no two cuts of different columns part the train rows nearly alike: their
sums would differ by a few clients' derivatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.bins import quantile_edges, why_none
from federation.errors import NoUsableColumns, TooManyColumns
from federation.features import Columns, Floats, Integers, numbers
from privacy import canonical

MISSING = -np.inf  # the edge between the missing and all others


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The usable columns of one party and where each is cut."""

    names: tuple[str, ...]
    edges: tuple[Floats, ...]  # of each column, rising: bin b holds edges[b-1] < x <= edges[b]
    codes: Integers  # (rows, columns): each row's bin
    dropped: dict[str, str]  # column: the reason
    limit: int  # bins a column could have: the plan's, or fewer where the encryption has no room for so many

    @property
    def counts(self) -> Integers:
        """(columns,): how many bins each has."""
        return np.array([len(edges) + 1 for edges in self.edges], dtype=np.int64)


def form(
    columns: Columns, names: Sequence[str], train: NDArray[np.bool_], bins: int, rare_rows: int, room: int | None = None
) -> Bins:
    """The bins of `names`, at most `bins` a column and `room` cuts in all (None: any number).

    train: (rows,). Raises ColumnMissing, ColumnNotNumeric, RowsDiffer, ColumnInfinite,
    NoUsableColumns, and TooManyColumns where not even two bins of each column have room.
    """
    raw = {name: numbers(columns, name, len(train), gaps=True) for name in names}
    limit = bins
    while True:
        edges = {name: cuts(values[train], limit, rare_rows) for name, values in raw.items()}
        count = sum(map(len, edges.values()))
        if room is None or count <= room:
            break
        if limit == 2:
            raise TooManyColumns(count=count, limit=room)
        limit -= 1
    kept = _without_near_copies(raw, edges, train, rare_rows) if room is not None else edges
    too_few = f"no two bins of {rare_rows} train rows"
    dropped = {
        name: "cuts the train rows like other columns" if len(edges[name]) else why_none(raw[name][train], too_few)
        for name in names
        if not len(kept[name])
    }
    usable = [name for name in names if len(kept[name])]
    if not usable:
        raise NoUsableColumns(count=len(names), rare_rows=rare_rows)
    return Bins(
        names=tuple(usable),
        edges=tuple(kept[name] for name in usable),
        codes=np.column_stack([code(raw[name], kept[name]) for name in usable]),
        dropped=dropped,
        limit=limit,
    )


def digest(bins: Bins) -> str:
    """Of the rows as they are used: names, edges and every row's bin."""
    names: list[canonical.Value] = [*bins.names]
    raw = b"".join(np.ascontiguousarray(edges, "<f8").tobytes() for edges in bins.edges)
    codes = np.ascontiguousarray(bins.codes, "<i8").tobytes()
    return canonical.digest_bytes("ecohub/tree-bins/v1", canonical.encode(names) + raw + codes).hex()


def code(values: Floats, edges: Floats) -> Integers:
    """(rows,): the bin of each value; a missing one is in the lowest."""
    found = np.searchsorted(edges, values, side="left")
    return np.where(np.isnan(values), 0, found).astype(np.int64)


def cuts(values: Floats, bins: int, rare_rows: int) -> Floats:
    """Edges of at most `bins` bins, each of `rare_rows` of these rows or more; none where there is one bin only."""
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    first = missing >= rare_rows and len(known) >= rare_rows  # the missing are a bin of their own
    edges = quantile_edges(known, max(1, bins - first), rare_rows)
    return np.append(MISSING, edges) if first else edges


def _without_near_copies(
    raw: dict[str, Floats], edges: dict[str, Floats], train: NDArray[np.bool_], rare_rows: int
) -> dict[str, Floats]:
    """The cuts less those that part the train rows as a cut of an earlier column does, but for a few rows."""
    owners = np.array([place for place, cut in enumerate(edges.values()) for _ in cut], dtype=np.int64)
    if not len(owners):
        return edges
    above = np.column_stack(
        [code(raw[name][train], cut) > bound for name, cut in edges.items() for bound in range(len(cut))]
    ).astype(np.float32)
    both = (above.T @ above).astype(np.float64)  # rows above both cuts, exact below 2^24 rows
    size = np.diag(both)
    apart = size[:, None] + size[None, :] - 2 * both
    near = np.minimum(apart, len(above) - apart) < rare_rows
    kept: list[int] = []
    for cut in range(len(owners)):
        if not any(near[cut, other] and owners[other] != owners[cut] for other in kept):
            kept.append(cut)
    keep = np.isin(np.arange(len(owners)), kept)
    return {name: cut[keep[owners == place]] for place, (name, cut) in enumerate(edges.items())}
