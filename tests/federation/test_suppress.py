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


def crossed(cells: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Quantised 0/1 columns of the bins of two columns, all but the last bin, with these many rows in each cell."""
    pairs = np.array([(i, j) for i, line in enumerate(cells) for j, n in enumerate(line) for _ in range(n)])
    sides = []
    for place, count in enumerate((len(cells), len(cells[0]))):
        inside = pairs[:, place][:, None] == np.arange(count - 1)
        sides.append(np.where(inside, 441 + 10 * place, -147))
    return sides[0], sides[1]


def read_off(cells: list[list[int]], minimum: int = 10) -> np.ndarray:
    """All cells that follow from what is shown and from the known counts of each bin."""
    a, b = crossed(cells)
    levels = binary_levels(a), binary_levels(b)
    names = ["a"] * a.shape[1], ["b"] * b.shape[1]
    block, _ = suppress(a.T @ b, *levels, len(a), minimum, "bank", names)
    low_a, high_a, rows_a = np.array([levels[0][i] for i in range(a.shape[1])]).T
    low_b, high_b, rows_b = np.array([levels[1][j] for j in range(b.shape[1])]).T
    step_a, step_b = high_a - low_a, high_b - low_b
    rest = block - len(a) * np.outer(low_a, low_b) - np.outer(rows_a * step_a, low_b) - np.outer(low_a, rows_b * step_b)
    inner = rest / np.outer(step_a, step_b)
    inner = np.vstack([inner, rows_b - inner.sum(axis=0)])
    return np.hstack([inner, (np.append(rows_a, len(a) - rows_a.sum()) - inner.sum(axis=1))[:, None]])


@pytest.mark.parametrize("place", range(6), ids=str)
def test_no_small_cell_of_bins_follows_from_the_others(place: int) -> None:
    """Also not of the bin that has no column: its cells are what the other bins leave of a known count."""
    shown = set()
    for few in range(10):
        cells = [[300, 310], [200, 210], [100, 110]]
        row, column = divmod(place, 2)
        other = 1 if row == 0 else 0  # where the larger cells are that can spare most
        cells[row][column] = few
        # the same counts of both columns
        cells[other][column] += 9 - few
        cells[row][1 - column] += 9 - few
        cells[other][1 - column] -= 9 - few
        shown.add(tuple(read_off(cells).ravel().tolist()))
    assert len(shown) == 1
    assert shown.pop()[place] == 5


def test_small_cells_of_bins_keep_the_counts_of_both_columns() -> None:
    draw = np.random.default_rng(3)
    for _ in range(200):
        cells = draw.integers(0, 60, size=draw.integers(2, 6, size=2))
        found = read_off(cells.tolist())
        assert np.abs(found.sum(axis=0) - cells.sum(axis=0)).max() == 0
        assert np.abs(found.sum(axis=1) - cells.sum(axis=1)).max() == 0
        assert (found > -1).all()
        if cells.min() >= 10:
            assert (found == cells).all()


def test_a_table_of_many_small_cells_is_shown_as_that_of_independent_columns() -> None:
    one, other = [[4, 8, 40], [9, 50, 3], [30, 2, 7]], [[9, 3, 40], [4, 55, 3], [30, 2, 7]]
    for cells in (one, other):
        found, margins = read_off(cells), np.array(cells)
        independent = np.outer(margins.sum(axis=1), margins.sum(axis=0)) / margins.sum()
        assert np.abs(found - independent).max() <= 4  # rounded; the bins without columns take what is left


def test_bins_that_are_not_stated_as_such_are_refused() -> None:
    a, b = crossed([[70, 60], [80, 90], [100, 110]])
    stated = binary_levels(a)
    del stated[1]
    with pytest.raises(MomentsImplausible, match="bank"):
        suppress(a.T @ b, stated, binary_levels(b), len(a), 10, "bank", (["a", "a"], ["b"]))


def test_a_minimum_above_the_counts_leaves_a_possible_table() -> None:
    found = read_off([[60, 5], [300, 200]], minimum=500)
    assert (found >= 0).all()
