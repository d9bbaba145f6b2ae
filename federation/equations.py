"""What moments of several runs tell of a column when they are added and subtracted: equations, counted.

A moment of a column x with a column a that another party knows is one linear equation about the values of x over one
part of the rows. Of the same a over other parts there are other equations, and any sum of them with any factors is
known too: the values of f ⊙ a for every f in the span of the parts' indicators. What such an f leaves out, it is not
about; where f is zero for all but few rows, all columns a together say much about these few.

The rule: of any set T of rows, at most a quarter as many independent equations are about rows of T alone. With r the
rank of the parts as a matroid on rows, f vanishes outside T in r(all) − r(outside T) independent ways, each once for
every column a. So for groups g of m_g columns that were taken in the same runs, Σ_g m_g (r_g(all) − r_g(outside T)) ≤
|T| / 4 for every T. By Edmonds (1970) that holds exactly where bases of the matroids, with shares that sum to one, put
no more than a quarter on any row. Such shares are looked for; found, they prove it for all T at once. One search of
bounded length may miss shares that use nearly all there is: then the answer is no.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
PRIME = (1 << 31) - 1  # ranks are taken modulo it; products of two residues fit 64 bits
STEEPNESS = 12.0  # how fast a row that carries much is avoided
WORK_MAX = 1 << 31  # steps of elimination in one search
SEARCHES = (8, 200)  # least and most bases tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Columns of the other party that were taken in the same parts."""

    count: int
    parts: tuple[int, ...]  # places among all parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Rows by the parts they are in: those alike stand together."""

    member: Integers  # (parts, cells): 0 or 1
    rows: Integers  # (cells,): how many rows each has


def cells_of(runs: Sequence[Integers]) -> Cells:
    """runs: of each run (rows,) the part of every row, −1 where it is in none. Parts are numbered run by run.

    Rows that are in no part at all are left out.
    """
    codes, widths = np.zeros(len(runs[0]), np.int64), [int(part.max(initial=-1)) + 1 for part in runs]
    for part, width in zip(runs, widths, strict=True):
        codes = np.unique(codes * (width + 1) + part + 1, return_inverse=True)[1].astype(np.int64)
    _, first, rows = np.unique(codes, return_index=True, return_counts=True)
    member = np.vstack(
        [part[first] == number for part, width in zip(runs, widths, strict=True) for number in range(width)]
    ).astype(np.int64)
    inside = member.any(axis=0)
    return Cells(member=member[:, inside], rows=rows[inside].astype(np.int64))


def within(cells: Cells, groups: Sequence[Group], rows_each: int) -> bool:
    """Whether it is sure that about any T rows alone there are at most T / rows_each independent equations."""
    bases = [(group.count, cells.member[list(group.parts)]) for group in groups]
    room = cells.rows / rows_each
    carried, cost = np.zeros(len(room)), 1.0 / room
    work = sum(len(member) ** 2 * member.shape[1] for _, member in bases)
    for tried in range(1, int(np.clip(WORK_MAX // max(1, work), *SEARCHES)) + 1):
        for count, member in bases:
            carried[base(member, cost)] += count
        share = carried / tried / room
        if share.max(initial=0.0) <= 1.0:
            return True
        cost = np.exp(STEEPNESS * np.minimum(share, 4.0)) / room
    return False


def rank(member: Integers) -> int:
    """Of (parts, cells)."""
    return len(base(member, np.zeros(member.shape[1])))


def base(member: Integers, cost: NDArray[np.float64]) -> list[int]:
    """Cells whose columns are a base, those of least cost: cells are taken in that order where they add to the rank."""
    order = np.argsort(cost, kind="stable")
    left = member[:, order] % PRIME
    found: list[int] = []
    for row in range(len(left)):
        places = np.flatnonzero(left[row:].any(axis=0))
        if not len(places):
            break
        place = int(places[0])
        pivot = row + int(np.flatnonzero(left[row:, place])[0])
        left[[row, pivot]] = left[[pivot, row]]
        left[row] = left[row] * pow(int(left[row, place]), -1, PRIME) % PRIME
        left[row + 1 :] = (left[row + 1 :] - left[row + 1 :, place, None] * left[row]) % PRIME
        found.append(int(order[place]))
    return found
