"""The scores of a horizontal run for this partner's own clients, as Parquet: they never leave the node.

One row for each client whose rows the run read: who, the chance of each class by the joint model and, where the plan
fine-tunes, by the adjusted one, which model, valid until when, under which consent.
"""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet

from federation.horizontal.results import PartnerResult
from federation.tabular import Rows


def encode(
    result: PartnerResult,
    rows: Rows,
    client_ids: Sequence[str],
    consents: Sequence[str],
    *,
    purpose: str,
    valid_until: str,
) -> bytes:
    """The file's bytes. `client_ids` and `consents` (until when each holds) stand in the order of the rows.

    Columns: client_id, joint_<class> for every class, personal_<class> likewise, model (digest of the joint one),
    valid_until, purpose, consent_until. A row is valid no longer than its client's consent.
    """
    assert len(rows.keys) == len(client_ids) == len(consents), "one client a row"
    count = len(rows.keys)
    columns = {"client_id": pa.array(client_ids, pa.string())}
    for name, model in (("joint", result.model), ("personal", result.personal_model)):
        if model is not None:
            chances = model.chances(rows)
            for place, class_ in enumerate(model.classes):
                columns[f"{name}_{class_}"] = pa.array(chances[:, place], pa.float64())
    table = pa.table(
        {
            **columns,
            "model": pa.array([result.model.digest] * count, pa.string()),
            "valid_until": pa.array([min(valid_until, until) for until in consents], pa.string()),
            "purpose": pa.array([purpose] * count, pa.string()),
            "consent_until": pa.array(consents, pa.string()),
        }
    )
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()
