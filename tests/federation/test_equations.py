"""Equations of several runs about one column: whatever sums and differences of parts leave few rows are found."""

from itertools import chain, combinations

import numpy as np
import pytest

from federation import equations
from federation.equations import Cells, Group, base, cells_of, rank, within

ROWS = 600


def parted(*groups: "range | list[int]", rows: int = ROWS) -> np.ndarray:
    """One run with these parts."""
    part = np.full(rows, -1)
    for number, group in enumerate(groups):
        part[list(group)] = number
    return part


def every(cells: Cells, count: int) -> list[Group]:
    return [Group(count=count, parts=tuple(range(len(cells.member))))]


def most_told(cells: Cells, groups: list[Group]) -> float:
    """The largest share of equations to rows over all sets of cells, by trying all of them."""
    places = range(cells.member.shape[1])
    sets = chain.from_iterable(combinations(places, count) for count in range(1, len(places) + 1))
    shares = []
    for chosen in sets:
        others = [place for place in places if place not in chosen]
        told = sum(
            group.count * (np.linalg.matrix_rank(member) - (np.linalg.matrix_rank(member[:, others]) if others else 0))
            for group in groups
            if len(member := cells.member[list(group.parts)])
        )
        shares.append(told / int(cells.rows[list(chosen)].sum()))
    return float(max(shares))


@pytest.mark.parametrize("seed", range(25))
def test_what_is_found_sure_holds_for_every_set_of_rows(seed: int) -> None:
    draw = np.random.default_rng(seed)
    runs = [draw.integers(-1, draw.integers(1, 3), 200) for _ in range(draw.integers(1, 4))]
    cells = cells_of(runs)
    if cells.member.shape[1] > 12:
        cells = cells_of(runs[:2])
    parts = len(cells.member)
    split = int(draw.integers(1, parts + 1))
    groups = [Group(count=int(draw.integers(1, 6)), parts=tuple(range(split)))]
    groups += [Group(count=int(draw.integers(1, 6)), parts=tuple(range(parts)))]
    told = most_told(cells, groups)
    for rows_each in (2, 4, 8, 16, 32):
        if within(cells, groups, rows_each):
            assert told * rows_each <= 1 + 1e-9
        else:  # what is refused is above the rule, or uses nearly all of it
            assert told * rows_each > 0.75


@pytest.mark.parametrize("count", [1, 7, 50])
def test_one_run_may_use_the_quarter_of_its_smallest_part_and_no_more(count: int) -> None:
    cells = cells_of([parted(range(4 * count), range(4 * count, ROWS))])
    assert within(cells, every(cells, count), 4) and not within(cells, every(cells, count + 1), 4)


def test_the_same_parts_again_are_no_new_equations() -> None:
    once, again = parted(range(300)), parted(range(300))
    cells = cells_of([once, again])
    assert rank(cells.member) == 1 and within(cells, every(cells, 75), 4)


def test_other_columns_over_the_same_parts_add_up() -> None:
    cells = cells_of([parted(range(300)), parted(range(300))])
    first, second = Group(count=40, parts=(0,)), Group(count=40, parts=(1,))
    assert within(cells, [first], 4) and not within(cells, [first, second], 4)


def test_two_runs_that_differ_by_few_rows_tell_about_these() -> None:
    """With 20 columns the difference of two runs is 20 equations about 60 rows: more than a quarter."""
    cells = cells_of([parted(range(300)), parted(range(60, 300))])
    assert not within(cells, every(cells, 20), 4) and within(cells, every(cells, 15), 4)


def test_three_runs_whose_sums_leave_one_client_are_found_though_no_two_do() -> None:
    """A and t and B, less A, less B."""
    runs = [parted(range(300)), parted(range(301, 600)), parted(range(600))]
    for one, other in combinations(runs, 2):
        cells = cells_of([one, other])
        assert within(cells, every(cells, 10), 4)
    cells = cells_of(runs)
    assert not within(cells, every(cells, 1), 4)


def test_four_runs_are_found_where_three_are_not_enough() -> None:
    """(A and B and t) and (C and D), less (A and C), less (B and D)."""
    a, b, c, d = range(150), range(150, 300), range(300, 450), range(450, 599)
    runs = [parted([*a, *b, 599]), parted([*c, *d]), parted([*a, *c]), parted([*b, *d])]
    for three in combinations(runs, 3):
        cells = cells_of(list(three))
        assert within(cells, every(cells, 5), 4)
    cells = cells_of(runs)
    assert not within(cells, every(cells, 1), 4)


def test_a_value_that_changed_is_a_row_of_its_own() -> None:
    """The same run again after one client's value changed: the difference is about its two values alone."""
    first, again = np.zeros(301, int), np.zeros(301, int)
    first[300], again[0] = -1, -1  # row 0 is the value of before, row 300 that of now
    cells = cells_of([first, again])
    assert not within(cells, every(cells, 1), 4)


@pytest.mark.parametrize("seed", range(10))
def test_a_base_has_the_rank_and_prefers_what_costs_little(seed: int) -> None:
    draw = np.random.default_rng(seed)
    member = draw.integers(0, 2, (6, 15))
    cost = draw.random(15)
    found = base(member, cost)
    assert len(found) == rank(member) == np.linalg.matrix_rank(member)
    assert np.linalg.matrix_rank(member[:, found]) == len(found)
    taken: list[int] = []
    for place in np.argsort(cost):
        if np.linalg.matrix_rank(member[:, [*taken, place]]) > len(taken):
            taken.append(int(place))
    assert set(taken) == set(found)


def test_the_search_ends_also_where_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(equations, "base", lambda member, cost: tried.append(1) or base(member, cost))
    cells = cells_of([parted(range(20)), parted(range(10, 40))])
    assert not within(cells, every(cells, 10), 4) and len(tried) == equations.SEARCHES[1]
