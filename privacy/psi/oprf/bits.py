"""Transposition of bit matrices, in numpy. Bit i of a row is bit i mod 8 (the lowest is 0) of its byte ⌊i / 8⌋."""

from typing import Any, TypeAlias

import numpy as np

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

ROWS_ALIGNED = 64  # rows come in multiples of this: a step below takes eight bytes of a column at once
_STEP = 1000  # bytes of a column a step: the step's part of the matrix stays in the cache; no power of two, so that
# the columns do not all fall on the same cache sets (3 ms for 88,000 × 456 bits, against 11 ms with 1,024)

# swap bits of the two halves of 2, 4, 8 rows: Knuth, The Art of Computer Programming 4A, 7.1.3, equation (69)
_SWAPS = ((4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333), (1, 0x5555555555555555))


def to_rows(columns: Bytes) -> Bytes:
    """uint8[width, rows / 8] -> uint8[rows, width / 8]. width: a multiple of 8; rows: of ROWS_ALIGNED."""
    width, length = columns.shape
    assert width % 8 == 0 and length % 8 == 0, "whole bytes a row, whole words a column"
    rows = np.empty((length, 8, width // 8), np.uint8)
    for start in range(0, length, _STEP):
        part = columns[:, start : start + _STEP].reshape(width // 8, 8, -1).copy()
        _transpose_bytes(part)
        rows[start : start + _STEP] = part.transpose(2, 1, 0)
    return rows.reshape(8 * length, width // 8)


def to_columns(rows: Bytes) -> Bytes:
    """uint8[rows, width / 8] -> uint8[width, rows / 8]: the inverse of `to_rows`."""
    count, width_bytes = rows.shape
    assert count % ROWS_ALIGNED == 0, "whole words a column"
    columns = np.empty((width_bytes, 8, count // 8), np.uint8)
    for start in range(0, count // 8, _STEP):
        part = rows[8 * start : 8 * (start + _STEP)].reshape(-1, 8, width_bytes).transpose(2, 1, 0).copy()
        _transpose_bytes(part)
        columns[:, :, start : start + _STEP] = part
    return columns.reshape(8 * width_bytes, count // 8)


def _transpose_bytes(part: Bytes) -> None:
    """Transpose, in place, the 8 × 8 bits of part[i, :, j] for every i and j. part: contiguous uint8[·, 8, 8·]."""
    for distance, low_bits in _SWAPS:
        pairs = part.view(np.uint64).reshape(len(part), 4 // distance, 2, distance, -1)
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        moved = first >> np.uint64(distance)
        moved ^= second
        moved &= np.uint64(low_bits)
        second ^= moved
        moved <<= np.uint64(distance)
        first ^= moved
