"""Gaps between groups of held-out clients, by attributes that the label holder has and that no scorecard uses.

A client is *selected* where its score is in the top tenth of the held-out weight, as `metrics.top_decile_precision`
counts it; who is selected is fixed while clients are resampled. Measured of each group: the share selected (demographic
parity), the share selected of those whose label is 1 (equal opportunity; Hardt, Price and Srebro, NeurIPS 2016), and
mean predicted chance less observed rate (calibration by group; Kleinberg, Mullainathan and Raghavan, ITCS 2017), each
by survey weights where there are any. A gap is the largest difference of two groups; its interval is that of the
difference of these two, so it may reach below zero. It is too narrow where the two were the extremes of many. An error
of the chances that all groups share is no gap: the table of bands shows it.

A group with too few rows is not shown. It is merged with others until all together have enough, so that nothing is
left whose figures were the rest of the whole minus what is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation import bands, metrics
from federation.bands import CLASS_ROWS_MIN, Minimum
from federation.metrics import CHUNK_CELLS_MAX, PERCENTILES, Estimate, Floats, ppm
from federation.plan_models import Fairness
from privacy.canonical import Value
from privacy.printable import printable

VERSION = 1
SELECTED = "top-decile"
SELECTION, TRUE_POSITIVE, CALIBRATION = "selection", "true_positive", "calibration"
GAPS = (SELECTION, TRUE_POSITIVE, CALIBRATION)
LIMITED = {
    SELECTION: ("selection rate", "入选率"),
    TRUE_POSITIVE: ("true positive rate", "真正例率"),
    CALIBRATION: ("predicted chance less observed rate", "预测概率减实际比例"),
}
DISTINCT_MAX = 12  # values of a column of numbers; one with more is grouped by quarters of its rows
QUARTERS = (0.25, 0.5, 0.75)
MISSING = "-"
NAME_CHARACTERS = 40
ROUNDING_PPM = 3  # two groups of two figures, each rounded, and the gap itself
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Held-out clients with one value of an attribute; `value` None: those of all values with too few."""

    value: str | None
    rows: int
    selection_ppm: int
    true_positive_ppm: int
    predicted_ppm: int  # mean predicted chance
    observed_ppm: int  # share of positives


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One column's groups and gaps; without any where fewer than two groups have enough rows."""

    column: str
    groups: tuple[Group, ...]
    gaps: Mapping[str, Estimate]  # by GAPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Why a release is blocked: a gap above its limit, or an attribute by which nothing could be measured."""

    column: str
    gap: str | None
    value_ppm: int
    limit_ppm: int

    def to_value(self) -> dict[str, Value]:
        return {"column": self.column, "gap": self.gap, "value_ppm": self.value_ppm, "limit_ppm": self.limit_ppm}

    def sentence(self) -> tuple[str, str]:
        """What it says in English and Chinese."""
        if self.gap is None:
            return (
                f"gaps by {self.column} could not be measured, as fewer than two groups have enough rows",
                f"无法度量 {self.column} 的群体差距：达到最小行数的群体不足两个",
            )
        (en, zh), value, limit = LIMITED[self.gap], self.value_ppm / metrics.PPM, self.limit_ppm / metrics.PPM
        return (
            f"the gap of {en} by {self.column} is {value:.4f}, above the plan's {limit:.4f}",
            f"{self.column} 的{zh}差距为 {value:.4f}，超过方案限值 {limit:.4f}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Held-out rows as the full scorecard ranks them; all (rows,)."""

    label: Mask
    score: Floats
    chance: Floats
    weights: Floats


def measure(
    columns: Mapping[str, NDArray[Any]], held: Held, limits: Fairness, replicates: int, seed: bytes
) -> tuple[Attribute, ...]:
    """Groups and gaps by every attribute of the limits; columns: the held-out rows' values, numbers or text."""
    minimum = Minimum(rows=limits.group_rows, of_each_class=CLASS_ROWS_MIN)
    selected = bands.share_in_top(held.score, held.weights)
    return tuple(_attribute(name, columns[name], held, selected, minimum, replicates, seed) for name in limits.groups)


def limits_of(limits: Fairness) -> dict[str, int]:
    """ppm by gap, of those that the plan limits."""
    most = {SELECTION: limits.selection_gap_ppm, TRUE_POSITIVE: limits.true_positive_gap_ppm}
    return most if limits.calibration_gap_ppm is None else {**most, CALIBRATION: limits.calibration_gap_ppm}


def excesses(attributes: Sequence[Attribute], limits: Fairness) -> tuple[Excess, ...]:
    """What blocks a release under these limits: gaps above them (the figure decides, not its interval), and attributes
    of the plan that could not be measured; none where the model is within its limits."""
    most = limits_of(limits)
    found = []
    for column in limits.groups:
        gaps = next((one.gaps for one in attributes if one.column == column and one.groups), None)
        if gaps is None:
            found.append(Excess(column=column, gap=None, value_ppm=0, limit_ppm=0))
            continue
        for gap, limit in most.items():
            if (value := gaps[gap].value_ppm) > limit:
                found.append(Excess(column=column, gap=gap, value_ppm=value, limit_ppm=limit))
    return tuple(found)


def to_value(attributes: Sequence[Attribute], limits: Fairness) -> dict[str, Value]:
    """What the label holder signs."""
    found = excesses(attributes, limits)
    listed: list[Value] = [_attribute_value(one) for one in attributes]
    return {
        "version": VERSION,
        "selected": SELECTED,
        "group_rows": limits.group_rows,
        "class_rows": CLASS_ROWS_MIN,
        "attributes": listed,
        "within": not found,
        "excesses": [one.to_value() for one in found],
    }


def read(value: Mapping[str, Any], limits: Fairness) -> tuple[Attribute, ...]:
    """What `to_value` made under these limits. Raises ValueError, TypeError or KeyError for anything else.

    The verdict is not believed but taken anew from the figures: a record that says another one is refused.
    """
    found = tuple(_read_attribute(one) for one in value["attributes"])
    if any(group.rows < limits.group_rows for one in found for group in one.groups):
        raise ValueError("a group below the plan's minimum")
    if to_value(found, limits) != value or [one.column for one in found] != [*limits.groups]:
        raise ValueError("the fairness record is not what its own figures give under the plan's limits")
    return found


def names(values: NDArray[Any]) -> list[str]:
    """Each row's group by its value: text as it is, a number in short, one of many numbers by its quarter."""
    numbers = _numbers(values)
    if numbers is None:
        return [printable(str(value).strip())[:NAME_CHARACTERS] or MISSING for value in values]
    known = numbers[np.isfinite(numbers)]
    if len(np.unique(known)) <= DISTINCT_MAX:
        return [f"{value:g}" if np.isfinite(value) else MISSING for value in numbers]
    edges = np.quantile(known, QUARTERS)
    quarter = np.searchsorted(edges, numbers, side="left") + 1
    return [
        f"{number}/{len(QUARTERS) + 1}" if np.isfinite(value) else MISSING
        for number, value in zip(quarter.tolist(), numbers, strict=True)
    ]


def partition(groups: Sequence[str], label: Mask, weights: Floats, minimum: Minimum) -> list[tuple[str | None, Mask]]:
    """(value, its rows), each with the minimum; together all rows, or nothing where fewer than two would be left.

    Values with too few rows are one group, None; where that still has too few, the smallest others join it.
    """
    every = np.array(groups, dtype=str)
    masks = {name: every == name for name in sorted(set(groups))}
    shown = {name: rows for name, rows in masks.items() if minimum.met(label[rows], weights[rows])}
    by_size = sorted(shown, key=lambda name: (-bands.effective_rows(weights[shown[name]]), name))
    rest = np.ones(len(label), bool)
    for rows in shown.values():
        rest = rest & ~rows
    while rest.any() and by_size and not minimum.met(label[rest], weights[rest]):
        rest = rest | shown.pop(by_size.pop())
    made: list[tuple[str | None, Mask]] = [*shown.items()]
    made += [(None, rest)] if rest.any() else []
    return made if len(made) > 1 else []


def _attribute(
    column: str, values: NDArray[Any], held: Held, selected: Floats, minimum: Minimum, replicates: int, seed: bytes
) -> Attribute:
    groups = partition(names(values), held.label, held.weights, minimum)
    if not groups:
        return Attribute(column=column, groups=(), gaps={})
    tables = _tables(np.array([rows for _, rows in groups], dtype=np.float64), held, selected)
    point = _rates(tables, held.weights[:, None])
    most, least = _extremes(point)
    value, spread = _gaps(point, most, least), _gaps(_resampled(tables, held.weights, replicates, seed), most, least)
    shown = zip(groups, np.round(point[:, :, 0].T * metrics.PPM).astype(np.int64).tolist(), strict=True)
    return Attribute(
        column=column,
        groups=tuple(
            Group(
                value=name,
                rows=int(rows.sum()),
                selection_ppm=figures[0],
                true_positive_ppm=figures[1],
                predicted_ppm=figures[2],
                observed_ppm=figures[3],
            )
            for (name, rows), figures in shown
        ),
        gaps={
            name: Estimate(**dict(zip(("value_ppm", "low_ppm", "high_ppm"), map(ppm, parts), strict=True)))
            for name, parts in zip(
                GAPS, zip(value[:, 0], *np.percentile(spread, PERCENTILES, axis=1), strict=True), strict=True
            )
        },
    )


def _tables(member: Floats, held: Held, selected: Floats) -> Floats:
    """(5, groups, rows): what each row adds to its group's weight, selected, selected positives, predicted, observed.

    member: (groups, rows), 0 or 1.
    """
    label = held.label.astype(np.float64)
    return np.stack([member * one for one in (np.ones_like(label), selected, selected * label, held.chance, label)])


def _rates(tables: Floats, weights: Floats) -> Floats:
    """(4, groups, replicates): selection, true positive, predicted, observed; weights: (rows, replicates).

    Replicates in which a group has no weight or no positive are left out.
    """
    weight, selected, found, predicted, positive = tables @ weights
    usable = ((weight > 0) & (positive > 0)).all(axis=0)
    weight, selected, found, predicted, positive = (
        part[:, usable] for part in (weight, selected, found, predicted, positive)
    )
    return np.stack([selected / weight, found / positive, predicted / weight, positive / weight])


def _resampled(tables: Floats, weights: Floats, replicates: int, seed: bytes) -> Floats:
    step = max(1, CHUNK_CELLS_MAX // len(weights))
    parts = [
        _rates(tables, metrics.resamples(len(weights), min(step, replicates - first), seed, first) * weights[:, None])
        for first in range(0, replicates, step)
    ]
    return np.concatenate(parts, axis=2)


def _measured(rates: Floats) -> Floats:
    """(GAPS, groups, replicates): what groups are compared by; of calibration, predicted minus observed."""
    return np.stack([rates[0], rates[1], rates[2] - rates[3]])


def _extremes(point: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(GAPS,) each: the group with the most and the one with the least of all held-out rows, two also where alike."""
    measured = _measured(point)[:, :, 0]
    return measured.argmax(axis=1), measured.shape[1] - 1 - measured[:, ::-1].argmin(axis=1)


def _gaps(rates: Floats, most: NDArray[np.int64], least: NDArray[np.int64]) -> Floats:
    """(GAPS, replicates): the difference of these two groups."""
    measured, gap = _measured(rates), np.arange(len(GAPS))
    return np.asarray(measured[gap, most] - measured[gap, least])


def _numbers(values: NDArray[Any]) -> Floats | None:
    """The values as numbers, NaN where missing; None where one is neither."""
    try:
        return np.array([float(value) if str(value).strip() else np.nan for value in values.tolist()], dtype=np.float64)
    except ValueError:
        return None


def _attribute_value(attribute: Attribute) -> dict[str, Value]:
    groups: list[Value] = [
        {
            "value": one.value,
            "rows": one.rows,
            "selection_ppm": one.selection_ppm,
            "true_positive_ppm": one.true_positive_ppm,
            "predicted_ppm": one.predicted_ppm,
            "observed_ppm": one.observed_ppm,
        }
        for one in attribute.groups
    ]
    gaps: dict[str, Value] = {
        name: {"value_ppm": gap.value_ppm, "low_ppm": gap.low_ppm, "high_ppm": gap.high_ppm}
        for name, gap in attribute.gaps.items()
    }
    return {"column": attribute.column, "groups": groups, "gaps": gaps}


def _read_attribute(value: Mapping[str, Any]) -> Attribute:
    groups = tuple(Group(**one) for one in value["groups"])
    gaps = {str(name): Estimate(**one) for name, one in value["gaps"].items()}
    figures = [one for group in groups for one in (getattr(group, name) for name in Group.__slots__ if name != "value")]
    figures += [one for gap in gaps.values() for one in (gap.value_ppm, gap.low_ppm, gap.high_ppm)]
    texts = [value["column"], *(group.value for group in groups if group.value is not None)]
    if any(type(one) is not int for one in figures) or any(type(one) is not str for one in texts):
        raise TypeError("a figure is no integer or a value no text")
    if set(gaps) != (set(GAPS) if groups else set()):
        raise ValueError("the gaps of an attribute")
    found = Attribute(column=value["column"], groups=groups, gaps=gaps)
    if groups:
        _check_gaps(found)
    return found


def _check_gaps(attribute: Attribute) -> None:
    """That each gap is the difference of the groups farthest apart, up to what rounding to ppm takes or adds."""
    rates = np.array(
        [[g.selection_ppm, g.true_positive_ppm, g.predicted_ppm, g.observed_ppm] for g in attribute.groups],
        dtype=np.float64,
    ).T
    if len(attribute.groups) < 2:
        raise ValueError("one group alone")
    if (rates < 0).any() or (rates > metrics.PPM).any():
        raise ValueError("a share out of range")
    apart = np.ptp(_measured(rates[:, :, None])[:, :, 0], axis=1)
    if any(abs(attribute.gaps[name].value_ppm - value) > ROUNDING_PPM for name, value in zip(GAPS, apart, strict=True)):
        raise ValueError("a gap is not the difference of its groups")
