"""All parties' moments over one part of the rows as one integer matrix: what each gave is checked and put in its place.

Exact integers of quantised values; `scaled` turns them into the moments a scorecard is solved from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors import MomentsImplausible, StepMalformed
from federation.features import FRACTION_BITS, VALUE_MAX
from federation.models.moments import Moments
from federation.vertical.messages import MOMENTS, Reader
from privacy.packing import Packed

Integers = NDArray[np.int64]
SCALE = float(1 << FRACTION_BITS)
BLOCK_ROWS = 8192  # of a matrix that is turned into floats at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each party's matrix columns stand among all: in the line's order, the label holder first."""

    widths: Mapping[str, int]  # matrix columns of each party, in the line's order

    def at(self, partner: str) -> Integers:
        before = 0
        for name, width in self.widths.items():
            if name == partner:
                return np.arange(before, before + width)
            before += width
        raise AssertionError(f"{partner} is in the line")

    @property
    def owners(self) -> tuple[str, ...]:
        """(columns,): who owns each."""
        return tuple(partner for partner, width in self.widths.items() for _ in range(width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Integer sums over a part's rows; target is with the label as ±1."""

    gram: Integers  # (m, m)
    sums: Integers  # (m,)
    target: Integers  # (m,)

    def packed(self) -> dict[str, Packed]:
        return {"gram": self.gram, "sums": self.sums, "target": self.target}


def assemble(layout: Layout, own: Sums, given: Mapping[str, Reader], rows: int) -> Sums:
    """One part's sums over all columns. own: the label holder's; given: each holder's message, in the line's order.

    Raises StepMalformed, and MomentsImplausible for what no `rows` rows of data can have.
    """
    me, *holders = layout.widths
    size = len(layout.owners)
    made = Sums(gram=np.zeros((size, size), np.int64), sums=np.zeros(size, np.int64), target=np.zeros(size, np.int64))
    _place(made, layout.at(me), own)
    for holder in holders:
        reader, at = given[holder], layout.at(holder)
        _place(made, at, _own_sums(reader, len(at), rows))
        for peer, cross in _crosses(reader, me, holders[: holders.index(holder)]).items():
            there = layout.at(peer)
            shape = (len(there), len(at))
            block = reader.integers_of(cross, "cross moments", shape, rows * VALUE_MAX**2)
            made.gram[np.ix_(there, at)], made.gram[np.ix_(at, there)] = block, block.T
    _check_gram(made.gram, layout.owners)
    return made


def scaled(sums: Mapping[str, Integers], owners: tuple[str, ...], label: NDArray[np.bool_]) -> Moments:
    """The moments of standardised values with y − ½. sums: the fields of `Sums`; label: of the part's rows."""
    return Moments(
        owners=owners,
        rows=len(label),
        gram=sums["gram"] / SCALE**2,
        sums=sums["sums"] / SCALE,
        target=sums["target"] / (2 * SCALE),
        target_sum=float(label.sum()) - len(label) / 2,
    )


def exact_gram(matrix: Integers) -> Integers:
    """XᵀX of a (rows, m) integer matrix, exact: sums stay below 2^53, so float64 products are too."""
    assert matrix.shape[0] * VALUE_MAX**2 < 1 << 53, "sums are exact in float64"
    total = np.zeros((matrix.shape[1],) * 2)
    for start in range(0, len(matrix), BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS].astype(np.float64)
        total += block.T @ block
    return total.astype(np.int64)


def _place(made: Sums, at: Integers, own: Sums) -> None:
    made.gram[np.ix_(at, at)], made.sums[at], made.target[at] = own.gram, own.sums, own.target


def _crosses(reader: Reader, label_holder: str, before: Sequence[str]) -> dict[str, Packed]:
    """A holder's cross blocks by the party that encrypted for it."""
    return {label_holder: reader.content["with_label_holder"], **reader.mapping("with_holders", set(before))}


def _own_sums(reader: Reader, size: int, rows: int) -> Sums:
    """A holder's own second moments, sums and moments with the label, within the bounds any data keeps."""
    if set(reader.content) != MOMENTS:
        raise StepMalformed(partner=reader.sender, why="the fields of its moments")
    gram = reader.integers("gram", (size, size), rows * VALUE_MAX**2)
    sums = reader.integers("sums", (size,), rows * VALUE_MAX)
    target = reader.integers("target", (size,), rows * VALUE_MAX)
    power = np.diag(gram).astype(np.float64) * rows
    if (gram != gram.T).any() or (np.diag(gram) <= 0).any():
        raise MomentsImplausible(partner=reader.sender, why="its second moments are not those of a matrix")
    if (sums.astype(np.float64) ** 2 > power).any() or (target.astype(np.float64) ** 2 > power).any():
        raise MomentsImplausible(partner=reader.sender, why="a first moment exceeds its second moment")
    return Sums(gram=gram, sums=sums, target=target)


def _check_gram(gram: Integers, owners: tuple[str, ...]) -> None:
    """Cauchy-Schwarz for every pair of columns; a lying party's cross moment would otherwise blow up the solution."""
    power = np.diag(gram).astype(np.float64)
    bad = np.argwhere(gram.astype(np.float64) ** 2 > np.outer(power, power) * (1 + 1e-9))
    if len(bad):
        raise MomentsImplausible(partner=owners[int(bad[0].max())], why="a cross moment exceeds both columns' own")
