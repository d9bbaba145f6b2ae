"""Why trees say what they say: exact on own splits, one sum of others', and changes that hold for certain."""

from typing import Any

import numpy as np
import pytest

from federation import explain
from federation.calibration import Calibration
from federation.errors import BoundsInvalid
from federation.plan import TrainingPlan
from federation.vertical import LabelResult, Role, TreeLabelHolder
from federation.vertical.trees import change, single
from federation.vertical.trees.change import TreeLever
from federation.vertical.trees.model import TreePart
from federation.vertical.trees.paths import Ways
from tests.federation.alliance import Tables, pump, synthetic
from tests.federation.test_single_trees import client, scored
from tests.federation.test_vertical_trees import label_result, tree_body, with_gaps

CLIENTS = range(0, 2000, 61)
Ran = tuple[Tables, LabelResult, dict[str, TreePart], dict[str, Role]]


def run(*, restart: bool) -> Ran:
    tables, columns = synthetic()
    tables = with_gaps(tables)
    plan = TrainingPlan.from_body(tree_body(columns, trees={"trees": 6, "depth": 4, "patience": 2}, bootstrap=100))
    parties, parts = pump(plan, tables, restart=restart), dict[str, TreePart]()
    for name in plan.partners:
        part = parties[name].result().part
        assert isinstance(part, TreePart)
        parts[name] = part
    return tables, label_result(parties), parts, parties


@pytest.fixture(scope="module")
def ran() -> Ran:
    return run(restart=False)


@pytest.mark.slow_flow
def test_all_that_explains_is_the_same_over_restarts_after_every_message(ran: Ran) -> None:
    _, result, parts, parties = ran
    _, again, same_parts, same_parties = run(restart=True)
    assert {name: part.encode() for name, part in same_parts.items()} == {n: p.encode() for n, p in parts.items()}
    assert (again.matrix.scores == result.matrix.scores).all()
    assert again.record() == result.record()
    assert again.paths is not None and result.paths is not None
    assert (again.paths.rows == result.paths.rows).all() and (again.paths.reached == result.paths.reached).all()
    one, other = parties["broker"], same_parties["broker"]
    assert isinstance(one, TreeLabelHolder) and isinstance(other, TreeLabelHolder)
    assert (one._full.fitted == other._full.fitted).all()


def ways_of(ran: Ran) -> Ways:
    result = ran[1]
    assert isinstance(result.part, TreePart) and result.paths is not None
    return Ways(result.part, result.paths.rows)


def leaves(ran: Ran, row: int) -> list[int]:
    paths = ran[1].paths
    assert paths is not None
    return [int(leaf) for leaf in paths.reached[row]]


def test_roots_and_all_steps_are_the_score(ran: Ran) -> None:
    ways, matrix = ways_of(ran), ran[1].matrix
    for row in CLIENTS:
        steps = ways.steps(leaves(ran, row))
        assert ways.base + sum(added for _, added in steps) == pytest.approx(matrix.scores[row], abs=1e-12)


def test_a_node_is_worth_the_mean_score_of_the_rows_that_grew_it(ran: Ran) -> None:
    """Means of fitted rows: the root of every tree is worth what the tree adds to them on the mean."""
    ways, result, session = ways_of(ran), ran[1], ran[3]["broker"]
    assert isinstance(session, TreeLabelHolder)
    fitted = session._full.fitted
    mean = float(result.matrix.scores[fitted].mean())
    assert ways.base == pytest.approx(mean, abs=1e-12)
    assert (
        result.paths is not None and int(result.paths.rows.sum()) == int(fitted.sum()) * result.paths.reached.shape[1]
    )


def test_points_are_of_own_splits_alone_and_the_rest_is_one_sum(ran: Ran) -> None:
    ways, result = ways_of(ran), ran[1]
    line = result.variants[-1].evaluation.calibration
    assert result.paths is not None
    every = ways.all_points(result.paths.reached)
    for row in CLIENTS:
        points = ways.points(leaves(ran, row))
        assert every[row] == pytest.approx(points, abs=1e-12)
        made = explain.explain(ways.part.columns, points, ways.base, result.matrix.scores[row], line)
        others = sum(added for node, added in ways.steps(leaves(ran, row)) if node not in ways.column)
        assert made.remainder == pytest.approx(line.slope * others, abs=1e-9)
        assert {one.column for one in made.points} == set(ways.part.columns)


def test_other_sides_values_change_no_own_point_of_one_way(ran: Ran) -> None:
    """Two clients who take the same own sides on the same ways have the same points, whatever the others hold."""
    ways, paths = ways_of(ran), ran[1].paths
    assert paths is not None
    tables, part = ran[0], ran[2]["bank"]
    same: dict[tuple[int, ...], list[int]] = {}
    for row, leaf in enumerate(paths.reached.tolist()):
        same.setdefault(tuple(leaf), []).append(row)
    pairs = [rows[:2] for rows in same.values() if len(rows) > 1]
    assert pairs
    differ = 0
    for one, other in pairs:
        assert (ways.points(paths.reached[one].tolist()) == ways.points(paths.reached[other].tolist())).all()
        differ += any(
            np.asarray(tables["bank"].columns[name])[one] != np.asarray(tables["bank"].columns[name])[other]
            for name in part.columns
        )
    assert differ


def test_importance_is_gain_by_side_and_own_column(ran: Ran) -> None:
    result, session = ran[1], ran[3]["broker"]
    assert isinstance(session, TreeLabelHolder) and result.importance is not None
    made = result.importance
    assert abs(sum(made.parties.values()) - 1_000_000) <= 3 and set(made.parties) == {"broker", "bank", "platform"}
    assert abs(sum(made.own.values()) - made.parties["broker"]) <= len(made.own)
    assert all(share > 0 for share in made.parties.values()), "exact gains of chosen splits are positive"
    tree = session._full.growth.trees[0]
    label, fitted = session._label, session._full.fitted
    chance = 1 / (1 + np.exp(-session._full.base))
    first, second = chance - label[fitted], np.full(int(fitted.sum()), chance * (1 - chance))
    at = np.asarray(session._full.growth.reached[0])[fitted].astype(int)
    while (at >= 4).any():
        at = np.where(at >= 4, at // 2, at)
    sums = [(first[at == node].sum(), second[at == node].sum()) for node in (2, 3)]
    fit = [g * g / (h + 1.0) for g, h in [*sums, (first.sum(), second.sum())]]
    assert tree.splits[0].node == 1 and tree.gains[0] == pytest.approx(fit[0] + fit[1] - fit[2])


# --- changes ----------------------------------------------------------------------------------------------------------


def lever(ran: Ran, row: int, column: str, **changes: Any) -> TreeLever:
    values = np.asarray(ran[0]["broker"].columns[column], dtype=np.float64)
    known = values[~np.isnan(values)]
    made = {"least": float(known.min()), "most": float(known.max()), "whole": bool((known == np.rint(known)).all())}
    return TreeLever(column=column, now=float(values[row]), deviation=float(known.std()), **{**made, **changes})


def sides(ran: Ran, row: int) -> dict[tuple[int, int], bool]:
    ways = ways_of(ran)
    others = {node: left for node, left in ways.sides(leaves(ran, row)).items() if node not in ways.column}
    return others | single.own_sides(ran[2]["broker"], client(ran[0], "broker", row))


def line_of(ran: Ran) -> Calibration:
    return ran[1].variants[-1].evaluation.calibration


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_what_is_said_to_reach_the_chance_does_whatever_others_hold(ran: Ran, up: bool) -> None:
    """The true score of the changed client, all parties' columns in one place, is at least as far as was said."""
    ways, line, tables = ways_of(ran), line_of(ran), ran[0]
    found = moved = 0
    for row in CLIENTS:
        now = explain.chance_of(line.log_odds(np.array([ran[1].matrix.scores[row]]))[0])
        target = min(now + 0.08, 0.99) if up else max(now - 0.08, 0.01)
        levers = [lever(ran, row, name) for name in ("score", "visits", "level")]
        made = change.find(ways, sides(ran, row), line, target, levers)
        columns = {name: client(tables, name, row) for name in ran[2]}
        columns["broker"] = {**columns["broker"], **{one.column: np.array([one.then]) for one in made.changes}}
        true = explain.chance_of(line.log_odds(np.array([scored(ran[2], columns)]))[0])
        assert (true >= made.chance - 1e-9) if up else (true <= made.chance + 1e-9)
        assert (not made.reached) or ((true >= target - 1e-9) if up else (true <= target + 1e-9))
        found, moved = found + made.reached, moved + bool(made.changes)
    assert found > 3 and moved > 3


def test_the_first_change_that_reaches_is_the_smallest(ran: Ran) -> None:
    ways, line = ways_of(ran), line_of(ran)
    for row in CLIENTS:
        levers = [lever(ran, row, name) for name in ("score", "visits")]
        start = change.find(ways, sides(ran, row), line, 0.5, [])
        target = min(start.chance + 0.05, 0.99)
        made = change.find(ways, sides(ran, row), line, target, levers)
        if not made.reached or np.isnan([one.now for one in levers]).any():
            continue
        cost = sum(
            abs(one.then - one.now) / next(x.deviation for x in levers if x.column == one.column)
            for one in made.changes
        )
        for first in levers[0].tried(ways):
            for second in levers[1].tried(ways):
                if first[0] + second[0] < cost - 1e-9:
                    other = {"score": first[1], "visits": second[1]}
                    own = {n: other[c] <= ways.edge[n] for n, c in ways.column.items() if c in other}
                    reached = explain.chance_of(line.slope * ways.worst(sides(ran, row) | own, high=True) + line.offset)
                    assert reached < target


def test_values_stay_within_bounds_and_whole(ran: Ran) -> None:
    ways, line = ways_of(ran), line_of(ran)
    for row in CLIENTS:
        one = lever(ran, row, "visits", most=float(np.asarray(ran[0]["broker"].columns["visits"])[row]) + 2)
        for changed in change.find(ways, sides(ran, row), line, 0.97, [one]).changes:
            assert one.least <= changed.then <= one.most and changed.then == round(changed.then)
    with pytest.raises(BoundsInvalid):
        lever(ran, 0, "visits", least=3.0, most=1.0)


def test_a_target_that_is_reached_needs_no_change(ran: Ran) -> None:
    ways, line = ways_of(ran), line_of(ran)
    start = change.find(ways, sides(ran, 0), line, 0.5, [])
    made = change.find(ways, sides(ran, 0), line, start.chance, [lever(ran, 0, "score")])
    assert made.reached and made.changes == () and made.chance == start.chance
