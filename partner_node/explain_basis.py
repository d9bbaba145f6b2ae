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
from partner_node.explain_errors import ExplanationUnreadable
from privacy import packing

VERSION = 1
_FIELDS = {"version", "model", "method", "line", "rows", "columns", "ranges", "parties", "own"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The values of a column among the run's clients."""

    least: float
    most: float
    whole: bool  # all of them are whole numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    model: str  # digest
    line: Calibration
    ranges: Mapping[str, Range]
    importance: Importance


def file_name(job: str) -> str:
    return f"explain-{job[:16]}.bin"


def of_run(result: LabelResult, columns: Columns) -> Basis | None:
    """The basis of a scorecard; None for a model without one. columns: the own raw columns of all aligned clients."""
    if result.importance is None:
        return None
    return Basis(
        model=result.model_digest,
        line=result.variants[-1].evaluation.calibration,
        ranges={name: _range(np.asarray(columns[name], dtype=np.float64)) for name in result.part.columns},
        importance=result.importance,
    )


def reasons(result: LabelResult, columns: Columns) -> list[str]:
    """For every client the own columns that move its score most, as JSON text (federation.explain.reasons); an empty
    list where the model has no points. columns: the own raw columns of all aligned clients."""
    count, part = len(result.matrix.tokens), result.part
    if not isinstance(part, ModelPart):
        return ["[]"] * count
    return explain.reasons(part.names, part.points(columns, count), result.variants[-1].evaluation.calibration.slope)


def encode(basis: Basis) -> bytes:
    names: list[packing.Packed] = [*basis.ranges]
    ranges = [[one.least, one.most, float(one.whole)] for one in basis.ranges.values()]
    return packing.pack(
        {
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
    if not isinstance(value, dict) or set(value) != _FIELDS or value["version"] != VERSION:
        raise ValueError("its fields")
    (slope, offset), ranges = value["line"].tolist(), value["ranges"]
    if not np.isfinite(ranges).all() or not np.isfinite([slope, offset]).all() or len(ranges) != len(value["columns"]):
        raise ValueError("its numbers")
    return Basis(
        model=str(value["model"]),
        line=Calibration(method=str(value["method"]), slope=slope, offset=offset, rows=int(value["rows"])),
        ranges={
            str(name): Range(least=low, most=high, whole=bool(whole))
            for name, (low, high, whole) in zip(value["columns"], ranges.tolist(), strict=True)
        },
        importance=Importance(parties=_shares(value["parties"]), own=_shares(value["own"])),
    )


def _shares(value: Any) -> dict[str, int]:
    return {str(name): int(share) for name, share in value.items()}


def _range(values: np.ndarray[Any, Any]) -> Range:
    known = values[~np.isnan(values)]
    return Range(least=float(known.min()), most=float(known.max()), whole=bool((known == np.rint(known)).all()))
