"""What explanations of a run need beside model part and label matrix: a file of the label holder's own people.

The calibration line without rounding, the shares of the score's variance, and the range that the run's clients show in
each own column: within it a counterfactual stays unless people give other bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation import explain
from federation.calibration import Calibration
from federation.explain import Importance
from federation.features import Columns
from federation.vertical import LabelResult
from federation.vertical.part import ModelPart
from federation.vertical.results import Paths
from federation.vertical.trees.model import TreePart
from federation.vertical.trees.paths import Ways
from partner_node.explain_errors import ExplanationUnreadable
from privacy import packing

VERSION = 1
_FIELDS = {"version", "model", "method", "line", "rows", "columns", "ranges", "parties", "own"}
_OF_TREES = {"leaf_rows", "reached", "deviations"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values of a column among the run's clients."""

    least: float
    most: float
    whole: bool  # all of them are whole numbers
    deviation: float = 1.0  # kept where the model is trees: a scorecard's part has its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    model: str  # digest
    line: Calibration
    ranges: Mapping[str, Range]
    importance: Importance
    paths: Paths | None = None  # where the model is trees


def file_name(job: str) -> str:
    return f"explain-{job[:16]}.bin"


def of_run(result: LabelResult, columns: Columns) -> Basis | None:
    """The basis of a model; None for one without. columns: the own raw columns of all aligned clients."""
    if result.importance is None:
        return None
    return Basis(
        model=result.model_digest,
        line=result.variants[-1].evaluation.calibration,
        ranges={name: _range(np.asarray(columns[name], dtype=np.float64)) for name in result.part.columns},
        importance=result.importance,
        paths=result.paths,
    )


def reasons(result: LabelResult, columns: Columns) -> list[str]:
    """For every client the own columns that move its score most, as JSON text (federation.explain.reasons); an empty
    list where the model has no points. columns: the own raw columns of all aligned clients."""
    count, part, slope = len(result.matrix.tokens), result.part, result.variants[-1].evaluation.calibration.slope
    if isinstance(part, ModelPart):
        return explain.reasons(part.names, part.points(columns, count), slope)
    if isinstance(part, TreePart) and result.paths is not None:
        return explain.reasons(part.columns, Ways(part, result.paths.rows).all_points(result.paths.reached), slope)
    return ["[]"] * count


def encode(basis: Basis) -> bytes:
    names: list[packing.Packed] = [*basis.ranges]
    ranges = [[one.least, one.most, float(one.whole)] for one in basis.ranges.values()]
    of_trees: dict[str, packing.Packed] = {}
    if basis.paths is not None:
        of_trees = {
            "leaf_rows": basis.paths.rows,
            "reached": basis.paths.reached,
            "deviations": np.array([one.deviation for one in basis.ranges.values()]),
        }
    return packing.pack(
        {
            **of_trees,
            "version": VERSION,
            "model": basis.model,
            "method": basis.line.method,
            "line": np.array([basis.line.slope, basis.line.offset]),
            "rows": basis.line.rows,
            "columns": names,
            "ranges": np.array(ranges, dtype=np.float64).reshape(len(ranges), 3),
            "parties": {**basis.importance.parties},
            "own": {**basis.importance.own},
        }
    )


def decode(data: bytes, file: str) -> Basis:
    """The basis of a file's bytes. Raises ExplanationUnreadable for anything `encode` would not write."""
    try:
        basis = _decode(packing.unpack(data))
        if encode(basis) != data:
            raise ValueError("another form of the same values")
    except (packing.NotPacked, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExplanationUnreadable(file=file, why=str(error)[:80]) from None
    return basis


def _decode(value: Any) -> Basis:
    if not isinstance(value, dict) or set(value) - _OF_TREES != _FIELDS or value["version"] != VERSION:
        raise ValueError("its fields")
    of_trees = set(value) & _OF_TREES == _OF_TREES
    deviations = value["deviations"].tolist() if of_trees else [1.0] * len(value["columns"])
    (slope, offset), ranges = value["line"].tolist(), value["ranges"]
    if not np.isfinite(ranges).all() or not np.isfinite([slope, offset]).all() or len(ranges) != len(value["columns"]):
        raise ValueError("its numbers")
    return Basis(
        model=str(value["model"]),
        line=Calibration(method=str(value["method"]), slope=slope, offset=offset, rows=int(value["rows"])),
        ranges={
            str(name): Range(least=low, most=high, whole=bool(whole), deviation=deviation)
            for name, (low, high, whole), deviation in zip(value["columns"], ranges.tolist(), deviations, strict=True)
        },
        importance=Importance(parties=_shares(value["parties"]), own=_shares(value["own"])),
        paths=_paths(value) if of_trees else None,
    )


def _paths(value: Any) -> Paths:
    rows, reached = value["leaf_rows"], value["reached"]
    if rows.dtype != np.int64 or rows.ndim != 1 or reached.dtype != np.uint8 or reached.ndim != 2:
        raise ValueError("its trees")
    return Paths(rows=rows, reached=reached)


def _shares(value: Any) -> dict[str, int]:
    return {str(name): int(share) for name, share in value.items()}


def _range(values: np.ndarray[Any, Any]) -> Range:
    known = values[~np.isnan(values)]
    whole, deviation = bool((known == np.rint(known)).all()), float(known.std())
    return Range(least=float(known.min()), most=float(known.max()), whole=whole, deviation=deviation or 1.0)
