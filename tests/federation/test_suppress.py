"""Of a cross table with a small cell nothing is shown but that the cell is small."""

import numpy as np
import pytest

from federation.errors import MomentsImplausible
from federation.features import binary_levels
from federation.vertical.suppress import suppress

ROWS = 400


def columns(both: int) -> tuple[np.ndarray, np.ndarray]:
    """Two quantised 0/1 columns of 100 and 120 high rows, `both` of them in common."""
    a, b = np.full((ROWS, 1), -147), np.full((ROWS, 1), -168)
    a[:100] = 441
    b[100 - both : 220 - both] = 391
    return a, b


def shown(a: np.ndarray, b: np.ndarray, minimum: int = 10) -> tuple[int, int]:
    block, count = suppress(a.T @ b, binary_levels(a), binary_levels(b), ROWS, minimum, "bank")
    return int(block[0, 0]), count


def test_a_table_without_a_small_cell_is_shown_exactly() -> None:
    for both in (10, 40, 90):
        a, b = columns(both)
        assert shown(a, b) == (int((a.T @ b)[0, 0]), 0)


@pytest.mark.parametrize("cells", [range(10), range(91, 101)])
def test_tables_with_a_small_cell_cannot_be_told_apart(cells: range) -> None:
    found = {shown(*columns(both)) for both in cells}
    assert len(found) == 1
    value, count = found.pop()
    assert count == 1
    near = columns(cells[len(cells) // 2])
    assert abs(value - int((near[0].T @ near[1])[0, 0])) <= 588 * 559  # one row's worth: the middle of the range


@pytest.mark.parametrize("flip", [False, True])
def test_the_cell_where_neither_is_high_counts_too(flip: bool) -> None:
    a, b = columns(4)
    a, b = (-a, -b) if flip else (a, b)
    assert shown(a, b)[1] == 1


def test_columns_of_many_values_are_left_alone() -> None:
    a, b = columns(2)
    a[0] = 7
    assert shown(a, b) == (int((a.T @ b)[0, 0]), 0)


@pytest.mark.parametrize("stated", [(-147, 441, 130), (-147, 440, 100), (-100, 441, 100)])
def test_false_statements_of_the_encryptor_are_found(stated: tuple[int, int, int]) -> None:
    a, b = columns(40)
    with pytest.raises(MomentsImplausible, match="bank"):
        suppress(a.T @ b, {0: stated}, binary_levels(b), ROWS, 10, "bank")
