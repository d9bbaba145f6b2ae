"""What each feature holder adds to the label holder's model: exact Shapley values of a gain on held-out clients.

The value of a coalition of feature holders, the label holder always with them, is what the mean squared error of the
chance falls by on held-out clients from the label holder alone. It is measured in one of two ways.

    by moments   the scorecard is solved from train moments, made a chance by a line fitted on the same moments, and its
                 error taken on held-out moments: no score of any client exists for it. The test part is held out from
                 all folds and, where the plan has folds, each fold from the others, so that every client counts once
    by scores    every coalition has a model of its own, whose calibrated chances of the test clients the label holder
                 has: trees

Errors are rounded to millionths and recorded; everything after that is exact, so whoever reads the record computes the
same weights. (Shapley, A value for n-person games, 1953; weights by largest remainder as `revenue_share` splits money.)
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import ContributionInvalid
from federation.features import Floats
from federation.models import moments
from federation.models.moments import Moments
from federation.plan import CONTRIBUTORS_MAX, HELD, fold_name
from federation.plan_fields import ROWS_MAX
from federation.plan_variants import Coalition, coalitions
from privacy import canonical
from privacy.canonical import NotCanonical, Value

PPM = 1_000_000
VERSION = 1
BY_MOMENTS = "shapley of the held-out squared error, by moments"
BY_SCORES = "shapley of the held-out squared error, by scores"
METHODS = (BY_MOMENTS, BY_SCORES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was measured on one held-out part of the clients."""

    name: str  # as the plan names it
    rows: int
    errors_ppm: Mapping[Coalition, int]  # mean squared distance of label and chance, in millionths

    def to_value(self) -> Value:
        listed: list[Value] = [{"holders": [*one], "ppm": ppm} for one, ppm in self.errors_ppm.items()]
        return {"part": self.name, "rows": self.rows, "errors_ppm": listed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """The game and its solution. `key` (the run's digest) breaks ties."""

    label_holder: str
    holders: tuple[str, ...]
    parts: tuple[Part, ...]  # the test part first
    key: bytes
    method: str = BY_MOMENTS

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def gains(self) -> dict[Coalition, Fraction]:
        """v(S) in millionths of squared error: each part's gain weighs by its rows."""
        return _gains(self.holders, self.parts)

    @property
    def shapley(self) -> dict[str, Fraction]:
        """In millionths of squared error; they sum to the gain of all holders."""
        return shapley(self.holders, self.gains)

    @property
    def weights_ppm(self) -> dict[str, int] | None:
        """They sum to 1,000,000; zero or less weighs zero. None where nobody adds anything: a fixed key must do."""
        return weights(self.shapley, self.key)

    def spread(self) -> dict[str, tuple[Fraction, Fraction]]:
        """The least and the largest Shapley value that a single part gives each holder."""
        single = [shapley(self.holders, _gains(self.holders, [part])) for part in self.parts]
        return {name: (min(one[name] for one in single), max(one[name] for one in single)) for name in self.holders}

    def to_value(self) -> dict[str, Value]:
        """The record: what was measured, and what follows from it."""
        whole = factorial(len(self.holders)) * self.rows
        values: dict[str, Value] = {name: int(value * whole) for name, value in self.shapley.items()}
        given = self.weights_ppm
        shown: Value = None if given is None else {**given}
        return {
            "version": VERSION,
            "method": self.method,
            "label_holder": self.label_holder,
            "holders": [*self.holders],
            "parts": [part.to_value() for part in self.parts],
            "shapley_ppm": values,
            "shapley_denominator": whole,
            "weights_ppm": shown,
        }


def measure(
    folds: Sequence[Moments], test: Moments, label_holder: str, holders: Sequence[str], ridge: float
) -> tuple[Part, ...]:
    """Every coalition's held-out errors: the test part's by all folds and, of several folds, each one's by the others.

    folds, test: moments of the same columns; ridge: the scorecard's penalty. One fold is the whole of the train rows.
    """
    parts = [Part(name=HELD, rows=test.rows, errors_ppm=_errors(folds, test, label_holder, holders, ridge))]
    for place, fold in enumerate(folds if len(folds) > 1 else ()):
        others = [*folds[:place], *folds[place + 1 :]]
        found = _errors(others, fold, label_holder, holders, ridge)
        parts.append(Part(name=fold_name(place + 1), rows=fold.rows, errors_ppm=found))
    return tuple(parts)


def of_scores(label: NDArray[np.bool_], chances: Mapping[Coalition, Floats]) -> Part:
    """Every coalition's error by its own chances of the test rows, (rows,) each, in the order of `coalitions`."""
    errors = {one: round(PPM * float(((chance - label) ** 2).mean())) for one, chance in chances.items()}
    return Part(name=HELD, rows=len(label), errors_ppm=errors)


def held_out_error(train: Moments, held: Moments, parties: Collection[str], ridge: float) -> float:
    """Mean squared distance, over the held-out rows, of the label from the chance that these parties' scorecard says.

    The chance is the straight line in the score that fits the train rows best; a score that tells nothing of them
    leaves their share of positives. Moments with small cells not shown exactly move it a little, as they do the score.
    """
    assert train.owners == held.owners, "both are moments of the same columns"
    weights = moments.solve(train, parties, ridge).weights
    level, means = train.target_sum / train.rows, train.sums / train.rows
    covariance = float(weights @ (train.target - train.sums * level))
    variance = float(weights @ train.gram @ weights) - train.rows * float(weights @ means) ** 2
    slope = covariance / variance if covariance > 0.0 and variance > 0.0 else 0.0
    line = slope * weights
    offset = level - float(line @ means)
    explained = offset * held.target_sum + float(line @ held.target)
    square = held.rows * offset**2 + 2 * offset * float(line @ held.sums) + float(line @ held.gram @ line)
    return 0.25 - 2 * explained / held.rows + square / held.rows


def shapley(holders: Sequence[str], gains: Mapping[Coalition, Fraction]) -> dict[str, Fraction]:
    """Each holder's mean marginal gain over all orders of joining: |S|! (k - |S| - 1)! / k! for every S without it."""
    count, found = len(holders), dict.fromkeys(holders, Fraction(0))
    for name in holders:
        for before in coalitions([other for other in holders if other != name]):
            after = tuple(other for other in holders if other == name or other in before)
            orders = factorial(len(before)) * factorial(count - len(before) - 1)
            found[name] += orders * (gains[after] - gains[before])
    return {name: value / factorial(count) for name, value in found.items()}


def weights(values: Mapping[str, Fraction], key: bytes) -> dict[str, int] | None:
    """Whole ppm by largest remainder, in all 1,000,000; a value of zero or less weighs zero.

    Ties are broken by SHA-256(key ‖ 0x00 ‖ name), as the alliance splits money. None where no value is above zero.
    """
    positive = {name: max(value, Fraction(0)) for name, value in values.items()}
    whole = sum(positive.values(), Fraction(0))
    if whole == 0:
        return None
    exact = {name: PPM * value / whole for name, value in positive.items()}
    found = {name: int(share) for name, share in exact.items()}
    order = sorted(exact, key=lambda name: (found[name] - exact[name], _tie(key, name)))
    for name in order[: PPM - sum(found.values())]:
        found[name] += 1
    return found


def read(value: object, key: bytes) -> Contribution:
    """The contribution that a record holds, computed again from its errors alone.

    Raises ContributionInvalid where the record is malformed, or says anything else than follows from its errors.
    """
    try:
        made = _read(value, key)
    except (KeyError, TypeError, ValueError) as error:
        raise ContributionInvalid(why=f"{type(error).__name__} {str(error)[:80]}") from None
    if not _same(made.to_value(), value):
        raise ContributionInvalid(why="its values or weights don't follow from the errors it records")
    return made


def _same(made: Value, said: Any) -> bool:
    try:
        return canonical.encode(made) == canonical.encode(said)  # by its bytes: in Python, 1 equals True and 1.0
    except NotCanonical:
        return False


def _read(value: Any, key: bytes) -> Contribution:
    holders = tuple(_name(name) for name in value["holders"])
    if not 1 <= len(holders) <= CONTRIBUTORS_MAX or len({*holders, value["label_holder"]}) != len(holders) + 1:
        raise ValueError("holders")
    parts = tuple(_part(item, holders) for item in value["parts"])
    names = [part.name for part in parts]
    if names[:1] != [HELD] or names[1:] != [fold_name(place) for place in range(1, len(parts))] or len(parts) == 2:
        raise ValueError("parts")
    if value["method"] not in METHODS or (value["method"] == BY_SCORES and len(parts) > 1):
        raise ValueError("method")
    return Contribution(
        label_holder=_name(value["label_holder"]), holders=holders, parts=parts, key=key, method=value["method"]
    )


def _part(value: Any, holders: tuple[str, ...]) -> Part:
    errors = {tuple(item["holders"]): _whole(item["ppm"], -PPM, PPM) for item in value["errors_ppm"]}
    if tuple(errors) != coalitions(holders):
        raise ValueError("coalitions")
    return Part(name=_name(value["part"]), rows=_whole(value["rows"], 1, ROWS_MAX), errors_ppm=errors)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a name")
    return value


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("a number")
    return value


def _errors(
    train: Sequence[Moments], held: Moments, label_holder: str, holders: Sequence[str], ridge: float
) -> dict[Coalition, int]:
    joint = moments.together(train)
    return {one: round(PPM * held_out_error(joint, held, {label_holder, *one}, ridge)) for one in coalitions(holders)}


def _gains(holders: Sequence[str], parts: Sequence[Part]) -> dict[Coalition, Fraction]:
    rows = sum(part.rows for part in parts)
    return {
        one: Fraction(sum(part.rows * (part.errors_ppm[()] - part.errors_ppm[one]) for part in parts), rows)
        for one in coalitions(holders)
    }


def _tie(key: bytes, name: str) -> bytes:
    return hashlib.sha256(key + b"\x00" + name.encode()).digest()
