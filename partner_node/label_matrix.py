"""The label matrix: the profile job's result for the party entitled to it, as Parquet.

One row for each aligned client: who, the model's score and decile, which model, valid until when, under which consent.
"""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet

from federation.vertical import LabelResult


def encode(
    result: LabelResult, client_ids: Sequence[str], consents: Sequence[str], *, purpose: str, valid_until: str
) -> bytes:
    """The file's bytes. `client_ids` and `consents` (until when each holds) stand in the order of the result's tokens.

    Columns: client_id, token, score (log-odds), chance (of the label being 1, calibrated), decile (1-10, 10 the
    highest), model (digest), valid_until, purpose, consent_until. A row is valid no longer than its client's consent.
    """
    matrix = result.matrix
    assert len(matrix.tokens) == len(client_ids) == len(consents), "one client a token"
    count = len(matrix.tokens)
    table = pa.table(
        {
            "client_id": pa.array(client_ids, pa.string()),
            "token": pa.array(matrix.tokens, pa.string()),
            "score": pa.array(matrix.scores, pa.float64()),
            "chance": pa.array(matrix.chances, pa.float64()),
            "decile": pa.array(matrix.deciles, pa.int8()),
            "model": pa.array([result.model_digest] * count, pa.string()),
            "valid_until": pa.array([min(valid_until, until) for until in consents], pa.string()),
            "purpose": pa.array([purpose] * count, pa.string()),
            "consent_until": pa.array(consents, pa.string()),
        }
    )
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()
