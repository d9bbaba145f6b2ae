"""The nearest unions of parts of two runs are found: what moments of one run less those of the other can tell."""

from dataclasses import replace
from itertools import chain, combinations
from typing import Any

import numpy as np
import pytest

from federation.plan import TrainingPlan
from federation.plan_models import Validation
from partner_node.differencing import _cut_otherwise, distances, division
from tests.federation.alliance import body

CLIENTS = [b"%04d" % number for number in range(600)]
ALL = range(len(CLIENTS))


def parts(*groups: "range | list[int]") -> dict[bytes, int]:
    return {CLIENTS[client]: number for number, group in enumerate(groups) for client in group}


def between(*runs: dict[bytes, int]) -> set[int]:
    return distances(*(np.array([parts.get(client, -1) for client in CLIENTS]) for parts in runs))


def nearest(own: dict[bytes, int], theirs: dict[bytes, int]) -> int | None:
    return min(between(own, theirs) - {0}, default=None)


def by_sets(own: dict[bytes, int], theirs: dict[bytes, int]) -> set[int]:
    """The same by comparing every union with every other."""

    def unions(of: dict[bytes, int]) -> list[frozenset[bytes]]:
        groups = [{client for client, part in of.items() if part == number} for number in set(of.values())]
        chosen = chain.from_iterable(combinations(groups, count) for count in range(len(groups) + 1))
        return [frozenset().union(*some) for some in chosen]

    return {min(len(a ^ b) for b in unions(theirs)) for a in unions(own) if a}


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_what_comparing_all_unions_finds(seed: int) -> None:
    draw = np.random.default_rng(seed)
    counts = draw.integers(1, 5, 2)
    own = {client: int(part) for client, part in zip(CLIENTS, draw.integers(0, counts[0], 600), strict=True)}
    if seed % 3:  # near: the same parts but for a few clients that moved, left or came
        theirs = dict(own)
        for client in draw.choice(CLIENTS, 6, replace=False).tolist():
            theirs[client] = int(draw.integers(0, counts[0]))
        for client in draw.choice(CLIENTS, int(draw.integers(0, 4)), replace=False).tolist():
            (own if draw.random() < 0.5 else theirs).pop(client)
    else:
        theirs = {client: int(part) for client, part in zip(CLIENTS, draw.integers(0, counts[1], 600), strict=True)}
    assert between(own, theirs) == by_sets(own, theirs)


def test_folds_that_differ_by_one_client_are_found_where_the_train_rows_are_the_same() -> None:
    folds = parts(range(200), range(200, 400), range(400, 600))
    moved = parts(range(201), range(201, 400), range(400, 600))
    assert nearest(moved, folds) == 1
    assert nearest(parts(ALL), folds) is None  # the rows of all folds together are known anyway
    assert nearest(parts(range(401), range(401, 600)), folds) == 1  # two folds and one client


def test_held_out_rows_are_a_part_like_the_others() -> None:
    measured = parts(range(400), range(400, 600))
    assert nearest(parts(range(400), range(400, 599)), measured) == 1
    assert nearest(parts(range(400)), measured) is None


def test_runs_over_other_clients_have_nothing_in_common() -> None:
    assert nearest(parts(range(300)), parts(range(300, 600))) == 300
    assert nearest({}, parts(range(10))) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"split_salt": b"\x22" * 16},
        {"test_ppm": 310_000},
        {"validation": Validation(folds=3)},
        {"contribution": True},
        {"rare_rows": 40},
        {"minimum_rows": 250},
        {"bins": 8},
        {"label_column": "other"},
    ],
    ids=["salt", "test rows", "folds", "contribution", "rare rows", "minimum", "bins", "label"],
)
def test_plans_of_onedivision_have_the_same_parts(changed: dict[str, Any]) -> None:
    """Their clients are not looked at: whatever moves a client to another part must be in the division."""
    tokens = [f"{number:032x}" for number in range(300)]
    plan = TrainingPlan.from_body(body({"broker": ["AGE"], "bank": ["SAVING"]}))
    other = replace(plan, **changed)
    here, there = plan.parts(tokens), other.parts(tokens)
    same = here.keys() == there.keys() and all((here[name] == there[name]).all() for name in here)
    assert same == (division(plan) == division(other))


def binned(bins: int, columns: list[str], **changes: Any) -> TrainingPlan:
    made = body({"broker": ["age"], "bank": ["saving", "income"]}, **changes)
    if bins:
        made["bins"] = bins
        made["parties"][1]["binned"] = columns
    return TrainingPlan.from_body(made)


def test_what_bins_of_two_runs_tell_by_their_difference() -> None:
    """The attack on paper: of five bins and of six the lowest differ by the few clients between two edges."""
    from federation.bins import Bins, form

    values, rows = np.arange(300.0), {"train": np.arange(300)}
    lowest = []
    for bins in (5, 6):
        made = form(values, np.ones(300, bool), rows, bins, 20)
        assert isinstance(made, Bins)
        lowest.append(set(np.flatnonzero(made.bins(values) == 0).tolist()))
    assert len(lowest[0] - lowest[1]) == 10  # fewer than rare_rows of either plan


@pytest.mark.parametrize(
    ("earlier", "found"),
    [
        (binned(5, ["saving"]), []),
        (binned(5, ["income", "saving"]), []),
        (binned(6, ["income"]), []),
        (binned(0, []), []),
        (binned(6, ["saving"]), ["saving"]),
        (binned(5, ["saving"], rare_rows=40), ["saving"]),
    ],
    ids=["the same", "a column more", "another column", "plain", "another number", "another least number of rows"],
)
def test_columns_in_other_bins_are_found(earlier: TrainingPlan, found: list[str]) -> None:
    plan = binned(5, ["saving"])
    assert _cut_otherwise(plan, earlier, "bank") == found
    assert _cut_otherwise(plan, earlier, "broker") == []


TREES = {"trees": 5, "depth": 2, "rate_milli": 300, "leaf_rows": 50, "sample_ppm": 1_000_000}
TREES |= {"columns_ppm": 1_000_000, "patience": 0}


def test_bins_of_trees_are_others_than_those_of_a_scorecard() -> None:
    trees = TrainingPlan.from_body(
        body({"broker": ["age"], "bank": ["saving", "income"]}, model="trees", bins=5, trees=TREES)
    )
    assert _cut_otherwise(binned(5, ["saving"]), trees, "bank") == ["saving"]
    assert _cut_otherwise(trees, trees, "bank") == []
    assert _cut_otherwise(trees, binned(5, ["saving"]), "broker") == []  # its own bins never leave it
