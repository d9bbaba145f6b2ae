"""Identifiers in two arrays: one byte string and lengths, a third of the memory of a list of `bytes`.

Ten million identifiers of 22 bytes take 240 MB this way and 850 MB as a tuple. A session reads them in order, once; it
takes any sequence, this one for large jobs. Arrow's binary columns have the same form.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from privacy.psi.errors import BadIdentifiers
from privacy.psi.identifiers import IDENTIFIER_BYTES_MAX, check_identifiers

_BLOCK = 1 << 14


class PackedIdentifiers(Sequence[bytes]):
    """Immutable. data: all identifiers, one after the other; lengths: of each, 1 to 256. Raises BadIdentifiers."""

    def __init__(self, data: bytes, lengths: "np.ndarray[Any, np.dtype[np.uint16]]") -> None:
        if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= IDENTIFIER_BYTES_MAX):
            raise BadIdentifiers(why=f"each must have 1 to {IDENTIFIER_BYTES_MAX} bytes")
        if int(lengths.sum(dtype=np.int64)) != len(data):
            raise BadIdentifiers(why="their lengths do not add up to their bytes")
        self.data = data
        self.lengths = lengths.astype(np.uint16)
        # where every _BLOCK-th identifier starts
        ends = np.cumsum(lengths, dtype=np.int64)
        self._starts = np.concatenate([np.zeros(1, np.int64), ends[_BLOCK - 1 :: _BLOCK]])

    @classmethod
    def of(cls, ids: Iterable[bytes]) -> "PackedIdentifiers":
        """Of identifiers that come one at a time. Raises BadIdentifiers."""
        data, lengths = bytearray(), bytearray()
        for item in ids:
            if not 1 <= len(item) <= IDENTIFIER_BYTES_MAX:
                raise BadIdentifiers(why=f"each must have 1 to {IDENTIFIER_BYTES_MAX} bytes")
            data += item
            lengths += len(item).to_bytes(2, "little")
        return cls(bytes(data), np.frombuffer(bytes(lengths), np.dtype("<u2")))

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            first, last, step = index.indices(len(self))
            return self._between(first, max(first, last))[::step] if step > 0 else [*self][index]
        position = range(len(self))[index]  # IndexError, negative indices
        end = int(self._ends[position])
        return self.data[end - int(self.lengths[position]) : end]

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, len(self), _BLOCK):
            yield from self._between(first, min(first + _BLOCK, len(self)))

    def take(self, positions: "np.ndarray[Any, np.dtype[np.int64]]") -> "PackedIdentifiers":
        """Those at these places, in this order."""
        if len(positions) and (self.lengths == self.lengths[0]).all():
            grid = np.frombuffer(self.data, np.uint8).reshape(len(self), -1)
            return PackedIdentifiers(grid[positions].tobytes(), self.lengths[positions])
        return PackedIdentifiers.of(self[position] for position in positions.tolist())

    def bytes_between(self, first: int, last: int) -> bytes:
        """Those from first to before last, one after the other."""
        return self.data[self._start(first) : self._start(last)]

    @cached_property
    def _ends(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Where each ends: for whoever takes single ones, which a session does not."""
        return np.cumsum(self.lengths, dtype=np.int64)

    def _start(self, position: int) -> int:
        block = position // _BLOCK
        return int(self._starts[block]) + int(self.lengths[block * _BLOCK : position].sum(dtype=np.int64))

    def _between(self, first: int, last: int) -> list[bytes]:
        start = self._start(first)
        ends = start + np.cumsum(self.lengths[first:last], dtype=np.int64)
        found = []
        for end in ends.tolist():
            found.append(self.data[start:end])
            start = end
        return found


def check(ids: Sequence[bytes], committed: int) -> Sequence[bytes]:
    """The identifiers as a session keeps them. Raises BadIdentifiers.

    Where they are packed, a repeated one is found only when its bucket is done, which ends the job then.
    """
    if not isinstance(ids, PackedIdentifiers):
        check_identifiers(ids, committed)
        return tuple(ids)
    if len(ids) != committed:
        raise BadIdentifiers(why=f"{len(ids)} identifiers, {committed} were committed to")
    return ids
