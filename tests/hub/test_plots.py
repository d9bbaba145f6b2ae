"""Curves as text and SVG: extremes at their edges, nothing drawn from nothing, names never markup."""

import math
import re
from xml.etree import ElementTree

import pytest

from hub import plots

FALLING = [1.0 / (1 + i) for i in range(30)]


def test_a_sparkline_runs_from_the_highest_bar_to_the_lowest() -> None:
    line = plots.sparkline(FALLING)
    assert (line[0], line[-1], len(line)) == ("█", "▁", 30)
    assert len(plots.sparkline(FALLING, width=7)) == 7
    assert plots.sparkline([0.5, 0.5]) == "▁▁"
    assert plots.sparkline([]) == plots.sparkline([math.nan]) == ""


def test_a_curve_has_its_scale_and_falls() -> None:
    lines = plots.curve(FALLING, height=5)
    assert len(lines) == 5
    assert "1.0000" in lines[0] and "0.0333" in lines[-1]
    widths = [len(line) for line in lines]
    assert widths == sorted(widths) and widths[-1] > widths[0]
    assert len(plots.curve([float(i) for i in range(500)], width=60)[-1]) <= 60 + len("   0.0000 ┤")
    assert plots.curve([]) == []
    assert len(plots.curve([0.3])) == 8


def test_a_line_chart_is_well_formed_and_keeps_names_as_text() -> None:
    svg = plots.line_chart("<b>&", {"<script>": list(enumerate(FALLING)), "other": [(0, 0.2)]}, "x", "y")
    root = ElementTree.fromstring(svg)
    assert "<script>" not in svg and "&lt;script&gt;" in svg
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, pair.split(","))) for pair in lines[0].attrib["points"].split()]
    assert len(points) == 30
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # down the page as the values fall
    assert all(0 <= x <= plots.WIDTH and 0 <= y <= plots.HEIGHT for x, y in points)


def test_points_of_before_and_after_are_in_the_order_of_their_values() -> None:
    svg = plots.ranges("AUC", {"bank-a": {"alone": 0.71, "joint": 0.76}, "bank-b": {"alone": 0.8}}, "AUC")
    ElementTree.fromstring(svg)
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)]
    assert len(places) == 3 and places[0] < places[1] < places[2]


def test_an_interval_is_drawn_from_its_low_to_its_high_end() -> None:
    svg = plots.intervals("AUC", {"<bank>": (0.7, 0.75, 0.9), "all": (0.8, 0.8, 0.8)}, "AUC")
    ElementTree.fromstring(svg)
    low, point, high = (
        float(re.findall(pattern, svg)[0]) for pattern in (r'x1="([\d.]+)"', r'cx="([\d.]+)"', r'x2="([\d.]+)"')
    )
    assert low < point < high and point - low < high - point
    assert "&lt;bank&gt;" in svg
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.intervals("AUC", {}, "AUC")


def test_one_value_alone_is_drawn_and_nothing_is_not() -> None:
    ElementTree.fromstring(plots.line_chart("t", {"a": [(1, 0.0)]}, "x", "y"))
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.line_chart("t", {"a": [(1, math.nan)]}, "x", "y")
