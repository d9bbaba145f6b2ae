"""A delivery of labels as a file: Parquet or CSV. Each holds all labels that stand; who is not in it has none."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from partner_node import files

PARQUET, CSV, SQLITE = "parquet", "csv", "sqlite"
FORMATS = (PARQUET, CSV, SQLITE)
BYTE_ORDER_MARK = "\ufeff"  # by which Excel knows UTF-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One label of one client as it is handed over. Instants are ISO 8601 in UTC."""

    client_id: str
    label: str
    label_en: str
    label_zh: str
    class_: int | None
    decile: int
    reason_en: str
    reason_zh: str
    valid_until: str
    purpose: str
    consent_until: str
    consent_reference: str  # finds the consent's record at the node; tells nothing without the node's key
    model: str
    rules: str
    rules_version: int
    delivery: str

    def cells(self) -> tuple[Any, ...]:
        """The values in the order of COLUMNS."""
        return tuple(getattr(self, field) for field in self.__slots__)


COLUMNS = tuple(field.rstrip("_") for field in Line.__slots__)
INTEGERS = frozenset({"class", "decile", "rules_version"})


def encode(kind: str, lines: Sequence[Line], *, mark: bool) -> bytes:
    """The bytes of a Parquet or CSV file, the same for the same lines. mark: CSV begins with a byte order mark."""
    if kind == CSV:
        text = files.csv_text(COLUMNS, _texts(lines))
        return ((BYTE_ORDER_MARK if mark else "") + text).encode()
    schema = pa.schema([(name, pa.int32() if name in INTEGERS else pa.string()) for name in COLUMNS])
    columns = zip(*(line.cells() for line in lines), strict=True) if lines else ([] for _ in COLUMNS)
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def _texts(lines: Sequence[Line]) -> Iterator[list[str]]:
    for line in lines:
        yield ["" if cell is None else str(cell) for cell in line.cells()]
