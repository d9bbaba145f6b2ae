"""Transposition against numpy's own bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.psi.oprf import bits
from privacy.psi.oprf.bits import Bytes


def plain(matrix: Bytes) -> Bytes:
    return np.packbits(np.unpackbits(matrix, axis=1, bitorder="little").T, axis=1, bitorder="little")


@given(st.integers(1, 8), st.integers(1, 20), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_both_directions_are_the_transpose(words: int, width_bytes: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (64 * words, width_bytes), dtype=np.uint8)
    columns = bits.to_columns(rows)
    assert (columns == plain(rows)).all()
    assert (bits.to_rows(columns) == rows).all()


def test_a_matrix_of_several_steps() -> None:
    rows = np.random.default_rng(1).integers(0, 256, (3 * 8000 + 64, 57), dtype=np.uint8)
    columns = bits.to_columns(rows)
    assert (columns == plain(rows)).all() and (bits.to_rows(columns) == rows).all()


def test_one_bit_goes_to_its_place() -> None:
    rows = np.zeros((64, 3), np.uint8)
    rows[37, 2] = 1 << 5  # row 37, bit 21
    columns = bits.to_columns(rows)
    assert columns[21, 4] == 1 << 5 and columns.sum() == 1 << 5  # byte 4, bit 5: row 37


@pytest.mark.parametrize("rows", [1, 8, 63, 65])
def test_rows_that_do_not_fill_words_are_a_defect(rows: int) -> None:
    with pytest.raises(AssertionError):
        bits.to_columns(np.zeros((rows, 2), np.uint8))


def test_arguments_are_left_alone() -> None:
    rows = np.random.default_rng(2).integers(0, 256, (64, 4), dtype=np.uint8)
    kept = rows.copy()
    columns = bits.to_columns(rows)
    kept_columns = columns.copy()
    bits.to_rows(columns)
    assert (rows == kept).all() and (columns == kept_columns).all()
