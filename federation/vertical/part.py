"""One party's share of a scorecard: how its columns become model values, and their weights. It stays with its owner.

The file is packed values, safe to parse: whatever `decode` takes is a part that can score rows. It can hold edges and
means of the owner's clients, so it is no less secret than a report about them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federation import features
from federation.bins import Bins
from federation.errors import ModelPartUnreadable
from federation.features import Coding, Columns, Floats, Prepared
from federation.plan_fields import NAME_CHARACTERS_MAX
from federation.scale import UNITS, Scale
from privacy import canonical, packing
from privacy.errors import Failure
from privacy.ids import PartnerId, parse_partner_id
from privacy.packing import Packed

VERSION = 1
_FIELDS = {"version", "partner", "columns", "weights", "intercept"}
_PLAIN = {"name", "wide", "mean", "deviation"}  # as it is, or wide in the unit 1
_IN_UNIT = {"name", "unit", "mean", "deviation"}
_BINNED = {"name", "edges", "missing", "reference", "means"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPart:
    """What scores this party's columns."""

    partner: str
    codings: Mapping[str, Coding] = field(repr=False)  # by column
    weights: Floats = field(repr=False)  # (m,): one a column of the matrix
    intercept: float  # 0 but for the label holder

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.codings)

    @property
    def names(self) -> tuple[str, ...]:
        """(m,): the column each weight belongs to."""
        return features.names_of(self.codings)

    def points(self, columns: Columns, rows: int) -> Floats:
        """(rows, m) of log-odds: each weight times its model value.

        columns: the raw values of any rows, more columns than needed allowed. Raises ColumnMissing, ColumnNotNumeric,
        RowsDiffer, ColumnHasGaps, ColumnInfinite.
        """
        return np.asarray(features.matrix(self.codings, columns, rows) / UNITS * self.weights)

    def shares(self, columns: Columns, rows: int) -> Floats:
        """(rows,): this party's share of each client's log-odds, not rounded. Arguments and failures as of `points`."""
        return np.asarray(self.points(columns, rows).sum(axis=1) + self.intercept)

    def encode(self) -> bytes:
        """Packed bytes; what `digest` is taken over and what a node keeps."""
        listed: list[Packed] = [_packed(name, coding) for name, coding in self.codings.items()]
        return packing.pack(
            {
                "version": VERSION,
                "partner": self.partner,
                "columns": listed,
                "weights": self.weights,
                "intercept": np.array([self.intercept]),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "ModelPart":
        """The part of these bytes. Raises ModelPartUnreadable for anything `encode` would not write."""
        try:
            value = packing.unpack(data)
        except packing.NotPacked as failure:
            raise ModelPartUnreadable(why=failure.message()) from None
        found = _object(value, _FIELDS)
        if found["version"] != VERSION or isinstance(found["version"], bool):
            raise ModelPartUnreadable(why="another version")
        listed = found["columns"]
        if not isinstance(listed, list) or not listed:
            raise ModelPartUnreadable(why="its columns")
        codings = dict(_coding(item) for item in listed)
        weights = _floats(found["weights"], "its weights", sum(coding.width for coding in codings.values()))
        part = cls(
            partner=_partner(found["partner"]),
            codings=codings,
            weights=weights,
            intercept=float(_floats(found["intercept"], "its intercept", 1)[0]),
        )
        if len(codings) != len(listed) or part.encode() != data:
            raise ModelPartUnreadable(why="a column twice, or another form of the same values")
        return part

    @property
    def digest(self) -> str:
        return canonical.digest_bytes("ecohub/model-part/v2", self.encode()).hex()


def model_part(partner: str, prepared: Prepared, weights: Floats, intercept: float = 0.0) -> ModelPart:
    """The part of the columns that were prepared. weights: (m,)."""
    return ModelPart(
        partner=partner,
        codings=prepared.codings,
        weights=np.array(weights, dtype=np.float64),
        intercept=intercept,
    )


def _packed(name: str, coding: Coding) -> Packed:
    if isinstance(coding, Scale):
        made: dict[str, Packed] = {"mean": np.array([coding.mean]), "deviation": np.array([coding.deviation])}
        if coding.unit in (None, 1.0):
            return {"name": name, "wide": coding.unit is not None, **made}
        return {"name": name, "unit": np.array([coding.unit]), **made}
    return {
        "name": name,
        "edges": coding.edges,
        "missing": coding.missing,
        "reference": coding.reference,
        "means": coding.means,
    }


def _coding(value: Packed) -> tuple[str, Coding]:
    forms = {"wide": _PLAIN, "unit": _IN_UNIT}
    form = next((form for key, form in forms.items() if isinstance(value, dict) and key in value), _BINNED)
    found = _object(value, form)
    name = found["name"]
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise ModelPartUnreadable(why="a column's name")
    return name, _bins(found, name) if form is _BINNED else _scale(found, name)


def _scale(found: Mapping[str, Any], name: str) -> Scale:
    mean, deviation = (float(_floats(found[key], f"the {key} of {name}", 1)[0]) for key in ("mean", "deviation"))
    unit = float(_floats(found["unit"], f"the unit of {name}", 1)[0]) if "unit" in found else 1.0
    if not isinstance(found.get("wide", True), bool) or deviation <= 0.0 or unit < 1.0:
        raise ModelPartUnreadable(why=f"the scale of {name}")
    return Scale(unit=unit if found.get("wide", True) else None, mean=mean, deviation=deviation)


def _bins(found: Mapping[str, Any], name: str) -> Bins:
    edges, means = (_floats(found[key], f"the {key} of {name}") for key in ("edges", "means"))
    count, places = len(means) + 1, (found["missing"], found["reference"])
    if any(type(place) is not int or not 0 <= place < count for place in places):
        raise ModelPartUnreadable(why=f"the bins of {name}")
    missing, reference = places
    # the missing are a bin behind those between the edges, or are with the reference
    own = missing == len(edges) + 1 and count == len(edges) + 2
    if not own and (missing != reference or count != len(edges) + 1):
        raise ModelPartUnreadable(why=f"the bins of {name}")
    if not (np.diff(edges) > 0).all() or not len(means) or not (means > 0).all() or not means.sum() < 1:
        raise ModelPartUnreadable(why=f"the bins of {name}")
    return Bins(edges=edges, missing=missing, reference=reference, means=means)


def _object(value: Packed, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise ModelPartUnreadable(why="its fields")
    return value


def _partner(value: Any) -> PartnerId:
    try:
        return parse_partner_id(value)
    except Failure:
        raise ModelPartUnreadable(why="its partner") from None


def _floats(value: Any, what: str, length: int | None = None) -> Floats:
    """A finite float64 array of one dimension, of this length where given."""
    if not isinstance(value, np.ndarray) or value.dtype != np.float64 or value.ndim != 1:
        raise ModelPartUnreadable(why=what)
    if (length is not None and len(value) != length) or not np.isfinite(value).all():
        raise ModelPartUnreadable(why=what)
    return value
