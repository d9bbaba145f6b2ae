"""The label matrix: the profile job's result for the party entitled to it, as Parquet.

One row for each aligned client: who, the model's score and decile, which model, valid until when, under which consent.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from federation.vertical import LabelResult
from partner_node import times
from partner_node.labels_errors import LabelMatrixUnreadable
from privacy.errors import Failure

SCHEMA: dict[str, Any] = {
    "client_id": pa.string(),
    "token": pa.string(),
    "score": pa.float64(),
    "chance": pa.float64(),
    "chance_alone": pa.float64(),
    "decile": pa.int8(),
    "model": pa.string(),
    "valid_until": pa.string(),
    "purpose": pa.string(),
    "consent_until": pa.string(),
    "reasons": pa.string(),
}
BEFORE = {name: kind for name, kind in SCHEMA.items() if name != "chance_alone"}  # files of earlier versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A stored label matrix; the lists stand in the order of its rows."""

    client_ids: tuple[str, ...]
    scores: tuple[float, ...]
    chances: tuple[float, ...]
    alone: tuple[float, ...] | None  # chances by the label holder's own columns; None in a file of before
    deciles: tuple[int, ...]
    valid_until: tuple[datetime, ...]


def encode(
    result: LabelResult,
    client_ids: Sequence[str],
    consents: Sequence[str],
    *,
    reasons: Sequence[str],
    purpose: str,
    valid_until: str,
) -> bytes:
    """The file's bytes. `client_ids`, `consents` (until when each holds), `reasons` stand in the order of the tokens.

    Columns: client_id, token, score (log-odds), chance (of the label being 1, calibrated), chance_alone (the same by
    the label holder's own columns, which partners are compared with), decile (1-10, 10 the highest), model (digest),
    valid_until, purpose, consent_until, reasons (JSON text: the label holder's own columns that move the score most).
    A row is valid no longer than its client's consent.
    """
    matrix = result.matrix
    assert len(matrix.tokens) == len(client_ids) == len(consents) == len(reasons), "one client a token"
    count = len(matrix.tokens)
    columns = {
        "client_id": client_ids,
        "token": matrix.tokens,
        "score": matrix.scores,
        "chance": matrix.chances,
        "chance_alone": matrix.alone,
        "decile": matrix.deciles,
        "model": [result.model_digest] * count,
        "valid_until": [min(valid_until, until) for until in consents],
        "purpose": [purpose] * count,
        "consent_until": consents,
        "reasons": reasons,
    }
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in SCHEMA.items()})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def decode(data: bytes, file: str, *, model: str, purpose: str) -> Matrix:
    """The matrix of a file's bytes, which must be of this model and purpose. Raises LabelMatrixUnreadable."""

    def unreadable(why: str) -> LabelMatrixUnreadable:
        return LabelMatrixUnreadable(file=file, why=why)

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(type(error).__name__) from None
    if dict(zip(table.column_names, table.schema.types, strict=True)) not in (SCHEMA, BEFORE) or not table.num_rows:
        raise unreadable("other columns, or none of the rows")
    if any(column.null_count for column in table.columns):
        raise unreadable("a cell without value")
    if set(table["model"].to_pylist()) != {model} or set(table["purpose"].to_pylist()) != {purpose}:
        raise unreadable("another model or purpose than the run's")
    scores, chances, deciles = (table[name].to_numpy() for name in ("score", "chance", "decile"))
    alone = table["chance_alone"].to_numpy() if "chance_alone" in table.column_names else None
    if not np.isfinite(scores).all() or not _are_chances(chances) or not (alone is None or _are_chances(alone)):
        raise unreadable("a score or chance out of range")
    if not ((deciles >= 1) & (deciles <= 10)).all():
        raise unreadable("a decile out of range")
    client_ids = tuple(table["client_id"].to_pylist())
    if len(set(client_ids)) != len(client_ids):
        raise unreadable("a client stands there twice")
    try:
        ends = {text: times.parse(text, "valid_until") for text in set(table["valid_until"].to_pylist())}
    except Failure as failure:
        raise unreadable(failure.message()) from None
    return Matrix(
        client_ids=client_ids,
        scores=tuple(scores.tolist()),
        chances=tuple(chances.tolist()),
        alone=None if alone is None else tuple(alone.tolist()),
        deciles=tuple(deciles.tolist()),
        valid_until=tuple(ends[text] for text in table["valid_until"].to_pylist()),
    )


def _are_chances(values: NDArray[np.float64]) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())
