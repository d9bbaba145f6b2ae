"""Why a scorecard says what it says of a client: exact points of the own columns, and what other sides add as one sum.

A scorecard is linear in its columns and its calibration is a line, so the calibrated log-odds of a client are exactly
the base, which is those of a client at the train means in every column, plus a point of each own column, plus the
remainder of all other sides. Points of another side's columns would hand over its values, so they are nowhere here;
why that side scores a client as it does is for its owner to say.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from federation.calibration import Calibration
from federation.metrics import Floats, ppm, sigmoid
from federation.models.moments import Moments, Solution

REASONS = 3
Pair: TypeAlias = tuple[str, str]  # English, Chinese


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one own column does to one client's score, against a client at the train mean."""

    column: str
    log_odds: float  # calibrated
    chance: float  # by how much the chance would be lower at the mean; these do not add up

    def sentence(self) -> Pair:
        return sentence(self.column, self.log_odds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One client's score. base + points + remainder = log_odds, up to rounding of the last bits."""

    base: float
    points: tuple[Point, ...]  # of every own column, the largest effect first
    remainder: float  # all other sides together
    log_odds: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much of the score's variance over the train rows each column or party carries; in all 1,000,000. Of trees:
    how much of what all splits took off the loss was taken off by its own.

    A share below zero is of columns that lower the variance of the others.
    """

    parties: Mapping[str, int]  # ppm
    own: Mapping[str, int]  # ppm of the label holder's columns; they sum to its own share


def explain(names: Sequence[str], points: Floats, intercept: float, score: float, line: Calibration) -> Explanation:
    """One client's score as points of own columns and a remainder.

    names: (m,), the column each point belongs to, a name may stand for several; points: (m,), weight times model value;
    score: raw log-odds of all sides; line: the calibration.
    """
    own = by_column(names, points[None, :])
    effects = {name: line.slope * float(values[0]) for name, values in own.items()}
    log_odds = line.slope * score + line.offset
    base = line.slope * intercept + line.offset
    chance = chance_of(log_odds)
    ordered = sorted(effects, key=lambda name: (-abs(effects[name]), name))
    return Explanation(
        base=base,
        points=tuple(
            Point(column=name, log_odds=effects[name], chance=chance - chance_of(log_odds - effects[name]))
            for name in ordered
        ),
        remainder=log_odds - base - sum(effects.values()),
        log_odds=log_odds,
        chance=chance,
    )


def by_column(names: Sequence[str], points: Floats) -> dict[str, Floats]:
    """(rows,) of points by column, of (rows, m) points whose columns have these names."""
    found: dict[str, Floats] = {}
    for place, name in enumerate(names):
        found[name] = found[name] + points[:, place] if name in found else points[:, place]
    return found


def reasons(names: Sequence[str], points: Floats, slope: float, count: int = REASONS) -> list[str]:
    """For every client the own columns that move its score most, as JSON: [{"column", "points", "en", "zh"}, …].

    names, points: as in `by_column`; slope: the calibration's. Points are calibrated log-odds to two decimals; a column
    whose point rounds to nothing is no reason.
    """
    own = by_column(names, points)
    columns = list(own)
    exact = slope * np.column_stack([own[name] for name in columns])
    effects, order = np.round(exact, 2), np.argsort(-np.abs(exact), axis=1, kind="stable")[:, :count]
    return [
        _as_json([(columns[place], float(row[place])) for place in places if row[place]])
        for row, places in zip(effects, order.tolist(), strict=True)
    ]


def sentence(column: str, log_odds: float) -> Pair:
    """What a point says, without the client's value."""
    if log_odds > 0:
        return f"{column} raises the score ({log_odds:+.2f})", f"{column} 提高评分（{log_odds:+.2f}）"
    return f"{column} lowers the score ({log_odds:+.2f})", f"{column} 降低评分（{log_odds:+.2f}）"


def importance(moments: Moments, solution: Solution, names: Sequence[str], own: str) -> Importance:
    """Shares of the train variance of the score: weight times covariance of the column with the score.

    moments, solution: of the scorecard with all parties; names: (columns of `own`,); own: the label holder.
    """
    means = moments.sums / moments.rows
    covariance = moments.gram @ solution.weights / moments.rows - means * float(means @ solution.weights)
    carried = solution.weights * covariance
    whole = float(carried.sum())
    shares = carried / whole if whole > 0.0 else np.zeros_like(carried)
    owners = np.array(moments.owners)
    columns = by_column(names, shares[owners == own][None, :])
    return Importance(
        parties={name: ppm(shares[owners == name].sum()) for name in dict.fromkeys(moments.owners)},
        own={name: ppm(share[0]) for name, share in columns.items()},
    )


def _as_json(found: Sequence[tuple[str, float]]) -> str:
    listed = [
        {"column": name, "points": points, **dict(zip(("en", "zh"), sentence(name, points), strict=True))}
        for name, points in found
    ]
    return json.dumps(listed, ensure_ascii=False)


def chance_of(log_odds: float) -> float:
    return float(sigmoid(np.array(log_odds)))
