"""Counterfactuals: what is said reaches the chance when it is entered as data, and nothing smaller does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import counterfactual
from federation.bins import Bins
from federation.calibration import Calibration
from federation.counterfactual import BinLever, Lever
from federation.errors import BoundsInvalid
from federation.metrics import sigmoid
from federation.scale import Scale

LINE = Calibration(method="platt", slope=1.4, offset=-0.6, rows=1000)
AGE = Lever(
    column="AGE",
    weight=0.5,
    scale=Scale(unit=None, mean=48.0, deviation=16.0),
    now=40.0,
    least=18.0,
    most=90.0,
    whole=True,
)
SAVING = Lever(
    column="SAVING",
    weight=-0.8,
    scale=Scale(unit=1.0, mean=6.0, deviation=3.5),
    now=2_000.0,
    least=0.0,
    most=1e6,
    whole=False,
)


def chance(score: float) -> float:
    return float(sigmoid(np.array(LINE.slope * score + LINE.offset)))


@st.composite
def levers(draw: st.DrawFn) -> list[Lever]:
    made = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        unit = draw(st.sampled_from((None, 1.0, 16.0)))
        scale = Scale(unit=unit, mean=draw(st.floats(-2, 4)), deviation=draw(st.floats(0.3, 5)))
        ends = sorted(draw(st.tuples(st.integers(-40, 40), st.integers(-40, 40))))
        made.append(
            Lever(
                column=name,
                weight=draw(st.floats(-2, 2).filter(lambda weight: abs(weight) > 0.01)),
                scale=scale,
                now=float(draw(st.integers(-50, 50))),
                least=float(ends[0]),
                most=float(ends[1]),
                whole=draw(st.booleans()),
            )
        )
    return made


@settings(max_examples=300)
@given(levers(), st.floats(-4, 4), st.floats(0.02, 0.98))
def test_what_is_said_reaches_the_chance_or_everything_stands_at_its_bound(
    ready: list[Lever], score: float, target: float
) -> None:
    found = counterfactual.find(score, LINE, target, ready)
    named = {lever.column: lever for lever in ready}
    moved = score + sum(named[change.column].effect(change.then) for change in found.changes)
    assert chance(moved) == pytest.approx(found.chance, abs=1e-9)
    up = target > chance(score)
    if found.reached:
        assert found.chance >= target - 1e-6 if up else found.chance <= target + 1e-6
    else:
        assert found.chance < target if up else found.chance > target
        for lever in ready:  # whatever could still move the chance this way has been used up
            then = {change.column: change.then for change in found.changes}.get(lever.column, lever.now)
            end = replace(lever, now=then).bound(up=up is (lever.weight > 0))
            assert lever.effect(end) == pytest.approx(lever.effect(then))
    for change in found.changes:
        lever = named[change.column]
        low, high = min(lever.least, change.now), max(lever.most, change.now)
        assert low <= change.then <= high and change.then != change.now
        assert not lever.whole or change.then == round(change.then)


def test_the_strongest_column_moves_first_and_no_further_than_needed() -> None:
    score = 0.2
    found = counterfactual.find(score, LINE, 0.55, [AGE, SAVING])
    assert found.reached
    (change,) = found.changes
    assert change.column == "SAVING" and change.then < 2_000.0
    short = change.then + 0.02 * SAVING.scale.deviation * (1 + change.then)  # a little less far
    assert chance(score + SAVING.effect(short)) < 0.55


def test_whole_numbers_stay_whole_and_one_less_is_too_little() -> None:
    score = 0.2
    found = counterfactual.find(score, LINE, 0.5, [AGE])
    (change,) = found.changes
    assert found.reached and change.then == round(change.then)
    assert chance(score + AGE.effect(change.then - 1)) < 0.5


def test_a_lower_chance_can_be_asked_for() -> None:
    found = counterfactual.find(0.2, LINE, 0.3, [AGE, SAVING])
    assert found.reached and found.changes[0].then > 2_000.0


def test_a_target_out_of_reach_says_how_far_it_goes() -> None:
    found = counterfactual.find(0.2, LINE, 0.95, [replace(AGE, most=45.0)])
    assert not found.reached
    assert [(change.column, change.then) for change in found.changes] == [("AGE", 45.0)]
    assert found.chance == pytest.approx(chance(0.2 + AGE.effect(45.0)))


def test_direction_is_a_bound_at_the_present_value() -> None:
    found = counterfactual.find(0.2, LINE, 0.6, [replace(AGE, most=AGE.now)])
    assert not found.reached and not found.changes


def test_a_calibration_that_tells_nothing_reaches_nothing() -> None:
    flat = Calibration(method="platt", slope=0.0, offset=-0.6, rows=1000)
    found = counterfactual.find(0.2, flat, 0.6, [AGE])
    assert not found.reached and not found.changes


@pytest.mark.parametrize(("least", "most"), [(50.0, 40.0), (40.2, 40.8), (float("nan"), 40.0), (0.0, float("inf"))])
def test_bounds_without_a_value_between_are_refused(least: float, most: float) -> None:
    with pytest.raises(BoundsInvalid):
        replace(AGE, least=least, most=most)


@st.composite
def bin_levers(draw: st.DrawFn) -> BinLever:
    edges = np.array(sorted(draw(st.sets(st.integers(-20, 20), min_size=1, max_size=4))), dtype=np.float64)
    own = draw(st.booleans())  # the missing have a bin of their own
    count = len(edges) + 1 + own
    reference = draw(st.integers(0, len(edges)))
    ends = sorted(draw(st.tuples(st.integers(-40, 40), st.integers(-40, 40))))
    return BinLever(
        column="z",
        weights=np.array(draw(st.lists(st.floats(-1, 1), min_size=count - 1, max_size=count - 1))),
        bins=Bins(
            edges=edges,
            missing=count - 1 if own else reference,
            reference=reference,
            means=np.full(count - 1, 0.9 / count),
        ),
        now=float("nan") if draw(st.booleans()) and own else float(draw(st.integers(-50, 50))),
        least=float(ends[0]),
        most=float(ends[1]),
        whole=draw(st.booleans()),
    )


@settings(max_examples=300)
@given(bin_levers(), st.floats(-4, 4), st.floats(0.02, 0.98))
def test_a_binned_column_moves_to_the_nearest_value_that_is_enough(
    lever: BinLever, score: float, target: float
) -> None:
    found = counterfactual.find(score, LINE, target, [lever])
    up = target > chance(score)
    every = np.linspace(lever.least, lever.most, 401)
    whole = [value for value in every if not lever.whole or value == round(value)]
    reach = [chance(score + lever.effect(float(value))) for value in whole]
    if found.changes:
        (change,) = found.changes
        assert lever.least <= change.then <= lever.most
        assert not lever.whole or change.then == round(change.then)
        assert found.chance == pytest.approx(chance(score + lever.effect(change.then)), abs=1e-9)
    if found.reached:
        assert found.chance >= target - 1e-6 if up else found.chance <= target + 1e-6
        if found.changes and not np.isnan(lever.now):
            enough = [v for v, c in zip(whole, reach, strict=True) if (c > target + 1e-6 if up else c < target - 1e-6)]
            width = (lever.most - lever.least) / 1000 + 1e-9  # how near to an edge a value is said
            assert not enough or abs(change.then - lever.now) <= min(abs(v - lever.now) for v in enough) + width
    elif reach:
        best = max(reach) if up else min(reach)
        assert found.chance >= best - 1e-9 if up else found.chance <= best + 1e-9


def test_numbers_move_before_bins() -> None:
    bins = Bins(edges=np.array([10.0]), missing=0, reference=0, means=np.array([0.4]))
    binned = BinLever(column="A", weights=np.array([3.0]), bins=bins, now=5.0, least=0.0, most=20.0, whole=True)
    assert [change.column for change in counterfactual.find(0.2, LINE, 0.55, [binned, SAVING]).changes] == ["SAVING"]
    found = counterfactual.find(0.2, LINE, 0.999, [binned, replace(AGE, most=45.0)])
    assert [(change.column, change.then) for change in found.changes] == [("AGE", 45.0), ("A", 11.0)]


def test_bounds_that_reach_no_value_of_a_binned_column_are_refused() -> None:
    bins = Bins(edges=np.array([10.0]), missing=0, reference=0, means=np.array([0.4]))
    with pytest.raises(BoundsInvalid):
        BinLever(column="A", weights=np.array([3.0]), bins=bins, now=5.0, least=9.0, most=1.0, whole=False)
