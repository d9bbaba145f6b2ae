"""Explanations: points and remainder are the score, reasons are the largest of them, shares of variance are whole."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import explain, features
from federation.calibration import Calibration
from federation.metrics import sigmoid
from federation.models import moments

DRAW = np.random.default_rng(3)
VALUES = DRAW.normal(size=(800, 6)) @ (np.eye(6) + 0.4 * DRAW.normal(size=(6, 6)))
LABEL = DRAW.random(800) < 1 / (1 + np.exp(-VALUES[:, 0] - VALUES[:, 4]))
OWNERS = ("broker", "broker", "broker", "bank", "bank", "platform")
LINE = Calibration(method="platt", slope=1.7, offset=-0.3, rows=800)


def scorecard() -> tuple[moments.Moments, moments.Solution]:
    given_ = moments.from_data(VALUES - VALUES.mean(axis=0), LABEL, OWNERS)
    return given_, moments.solve(given_, set(OWNERS), 1.0)


def test_base_points_and_remainder_are_the_score() -> None:
    _, solved = scorecard()
    scores = VALUES @ solved.weights + solved.intercept
    for row in range(0, 800, 40):
        points = VALUES[row, :3] * solved.weights[:3]
        made = explain.explain(("a", "b", "c"), points, solved.intercept, float(scores[row]), LINE)
        total = made.base + sum(point.log_odds for point in made.points) + made.remainder
        assert total == pytest.approx(made.log_odds, abs=1e-12)
        assert made.log_odds == pytest.approx(LINE.slope * scores[row] + LINE.offset, abs=1e-12)
        assert made.chance == pytest.approx(float(sigmoid(np.array(made.log_odds))))
        others = float(VALUES[row, 3:] @ solved.weights[3:])
        assert made.remainder == pytest.approx(LINE.slope * others, abs=1e-12)
        assert [abs(p.log_odds) for p in made.points] == sorted((abs(p.log_odds) for p in made.points), reverse=True)
        for point in made.points:
            at_mean = float(sigmoid(np.array(made.log_odds - point.log_odds)))
            assert point.chance == pytest.approx(made.chance - at_mean)


def test_bins_of_one_column_are_one_point() -> None:
    made = explain.explain(("age", "age", "visits"), np.array([0.5, -0.2, 0.1]), 0.0, 1.0, LINE)
    assert {point.column: pytest.approx(point.log_odds) for point in made.points} == {"age": 0.51, "visits": 0.17}


@given(st.lists(st.lists(st.floats(-3, 3), min_size=4, max_size=4), min_size=1, max_size=6), st.integers(1, 4))
def test_reasons_are_the_largest_points(rows: list[list[float]], count: int) -> None:
    points = np.array(rows)
    found = explain.reasons(("a", "b", "c", "d"), points, 1.5, count)
    assert len(found) == len(rows)
    for text, row in zip(found, points, strict=True):
        listed = json.loads(text)
        effects = np.round(1.5 * row, 2)
        assert [abs(one["points"]) for one in listed] == [x for x in sorted(np.abs(effects))[::-1][:count] if x]
        for one in listed:
            assert one["points"] == effects["abcd".index(one["column"])]
            assert ("raises" in one["en"]) == ("提高" in one["zh"]) == (one["points"] > 0)


def test_shares_of_variance_are_whole_and_those_of_the_scores() -> None:
    joint, solved = scorecard()
    found = explain.importance(joint, solved, ("a", "b", "c"), "broker")
    assert sum(found.parties.values()) == pytest.approx(1_000_000, abs=2)
    assert sum(found.own.values()) == pytest.approx(found.parties["broker"], abs=3)
    scores = VALUES @ solved.weights
    for party in ("broker", "bank", "platform"):
        mine = [owner == party for owner in OWNERS]
        part = VALUES[:, mine] @ solved.weights[mine]
        assert found.parties[party] == pytest.approx(1e6 * np.cov(part, scores)[0, 1] / np.var(scores, ddof=1), abs=2)


def test_a_scorecard_that_says_the_same_of_everybody_has_no_shares() -> None:
    joint, solved = scorecard()
    flat = moments.Solution(weights=np.zeros_like(solved.weights), intercept=0.0, lift=0.0)
    found = explain.importance(joint, flat, ("a", "b", "c"), "broker")
    assert set(found.parties.values()) == set(found.own.values()) == {0}


def test_model_values_are_those_that_training_prepared() -> None:
    from federation.scale import Scale

    table = {
        "age": DRAW.integers(18, 90, 800).astype(float),
        "amount": np.rint(np.expm1(DRAW.normal(size=800) * 4)),
        "flag": (DRAW.random(800) < 0.3).astype(float),
    }
    prepared = features.prepare(table, tuple(table), np.arange(800) < 600, 50)
    for place, (name, scale) in enumerate(prepared.codings.items()):
        assert isinstance(scale, Scale)
        assert (scale.unit is not None) == (name == "amount")
        assert (scale.units(table[name]) == prepared.values[:, place]).all(), name
