"""Curves and points for people: as text for a terminal, as SVG for a page. Pure: values in, text out.

Everything is drawn from numbers and escaped words; a partner's name can't become markup.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"
PALETTE = ("#1f6fb2", "#c2452d", "#3a7d44", "#8a5aa8")
TICKS = 5
WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 124, 20, 36, 44


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The last `width` values in one line of bars, the least as the lowest; empty where there are none."""
    shown = [value for value in values[-width:] if math.isfinite(value)]
    if not shown:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    top = len(BARS) - 1
    return "".join(BARS[round((value - low) / span * top) if span else 0] for value in shown)


def curve(values: Sequence[float], width: int = 60, height: int = 8) -> list[str]:
    """A line chart as text lines: `height` rows of bars under a scale, one column a value or a mean of neighbours."""
    shown = _squeeze([value for value in values if math.isfinite(value)], width)
    if not shown:
        return []
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    steps = [round((value - low) / span * (height * len(BARS) - 1)) + 1 for value in shown]
    lines = []
    for row in reversed(range(height)):
        cells = "".join(_cell(step - row * len(BARS)) for step in steps)
        edge = high if row == height - 1 else low if row == 0 else None
        lines.append(f"{'' if edge is None else format(edge, '.4f'):>9} ┤{cells}".rstrip())
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The edges of a drawing in values, and how a value becomes a place on it."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def line_chart(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """An SVG of lines through points (x, y), one colour a series. Raises ValueError without a finite point."""
    points = [point for line in series.values() for point in line if all(map(math.isfinite, point))]
    axes = Axes(x=_edges([x for x, _ in points]), y=_edges([y for _, y in points]))
    parts = [*_frame(title, axes, x_label, y_label)]
    for number, (name, line) in enumerate(series.items()):
        colour = PALETTE[number % len(PALETTE)]
        places = [axes.at(x, y) for x, y in line if math.isfinite(x) and math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{colour}"/>' for x, y in places]
        parts.append(_text(LEFT + 8 + 150 * number, TOP - 8, f"● {name}", colour=colour))
    return _svg(parts, HEIGHT)


def ranges(title: str, rows: Mapping[str, Mapping[str, float]], x_label: str) -> str:
    """An SVG of one line a row with a point for each named value: before and after, side by side."""
    values = [value for row in rows.values() for value in row.values()]
    axes = Axes(x=_edges(values), y=(0.0, 1.0))
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    height = TOP + BOTTOM + 28 * len(rows)
    parts = [_text(LEFT, 16, title, weight="bold")]
    parts += [
        _text(LEFT + 130 * i, TOP - 4, f"● {name}", colour=PALETTE[i % len(PALETTE)]) for i, name in enumerate(names)
    ]
    for number, (label, row) in enumerate(rows.items()):
        y = TOP + 20 + 28 * number
        places = [axes.at(value, 0.0)[0] for value in row.values()]
        parts.append(_text(LEFT - 6, y + 4, label[:17], anchor="end"))
        if places:
            parts.append(_rule(min(places), y, max(places), y, "#bbb"))
        for name, x in zip(row, places, strict=True):
            colour = PALETTE[names.index(name) % len(PALETTE)]
            parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{colour}"/>')
    return _svg([*parts, *_scale(axes, height, x_label)], height)


def intervals(title: str, rows: Mapping[str, tuple[float, float, float]], x_label: str) -> str:
    """An SVG of one line a row from its low to its high end, with a point at its value; rows: (low, value, high).

    Raises ValueError without a row.
    """
    axes = Axes(x=_edges([value for row in rows.values() for value in row]), y=(0.0, 1.0))
    height = TOP + BOTTOM + 40 * len(rows)
    parts = [_text(LEFT, 16, title, weight="bold")]
    for number, (label, row) in enumerate(rows.items()):
        y = TOP + 26 + 40 * number
        low, value, high = (axes.at(one, 0.0)[0] for one in row)
        colour = PALETTE[number % len(PALETTE)]
        parts += [_text(LEFT, y - 12, label), _rule(low, y, high, y, colour)]
        parts += [_rule(end, y - 5, end, y + 5, colour) for end in (low, high)]
        parts.append(f'<circle cx="{value:.1f}" cy="{y}" r="5" fill="{colour}"/>')
    return _svg([*parts, *_scale(axes, height, x_label)], height)


def _scale(axes: Axes, height: float, x_label: str) -> list[str]:
    """The values under a drawing of rows."""
    marks = [
        _text(axes.at(value, 0.0)[0], height - BOTTOM + 22, _number(value), anchor="middle") for value in _ticks(axes.x)
    ]
    return [*marks, _text((LEFT + WIDTH - RIGHT) / 2, height - 6, x_label, anchor="middle")]


def _frame(title: str, axes: Axes, x_label: str, y_label: str) -> list[str]:
    parts = [_text(LEFT, 16, title, weight="bold")]
    for value in _ticks(axes.y):
        _, y = axes.at(axes.x[0], value)
        parts += [_rule(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 6, y + 4, _number(value), anchor="end")]
    for value in _ticks(axes.x):
        x, _ = axes.at(value, axes.y[0])
        parts.append(_text(x, HEIGHT - BOTTOM + 18, _number(value), anchor="middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, anchor="middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="40" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 40 {middle:.0f})" font-size="12">'
        f"{escape(y_label)}</text>"
    )
    return parts


def _svg(parts: Sequence[str], height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>'
    )


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", colour: str = "#222", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str = "#e4e4e4") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _edges(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value with a margin, never the same."""
    if not values:
        raise ValueError("there is nothing to draw")
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or max(abs(high), 1.0) * 0.05
    return low - margin, high + margin


def _ticks(edges: tuple[float, float]) -> list[float]:
    """Round numbers between the edges, 1, 2 or 5 times a power of ten apart."""
    rough = (edges[1] - edges[0]) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    first = math.ceil(edges[0] / step)
    return [number * step for number in range(first, math.floor(edges[1] / step) + 1)]


def _number(value: float) -> str:
    return f"{value:.6g}"


def _cell(step: int) -> str:
    return " " if step <= 0 else BARS[min(step, len(BARS)) - 1]


def _squeeze(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
