"""Files this node writes for its own people: readable by their owner only, whole or not at all."""

import csv
import io
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from ecowire.outputs import write_new

PARQUET = ".parquet"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # the signs also in their full-width forms, which NFKC maps to these


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A new CSV file, see `csv_text`. Raises OutputExists."""
    write_new(path, csv_text(header, rows).encode())


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV (RFC 4180). Text that a spreadsheet would take for a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return out.getvalue()


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """A new table file: Parquet where its name ends so, else CSV (see `csv_text`). Raises OutputExists."""
    if path.suffix == PARQUET:
        sink = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(dict(columns)), sink)
        write_new(path, sink.getvalue())
        return
    texts = (["" if value is None else str(value) for value in values] for values in columns.values())
    lines = zip(*texts, strict=True)
    write_csv(path, tuple(columns), lines)


def replace(path: Path, data: bytes) -> None:
    """Put a file of mode 0600 in place of any earlier one, on disk before its name appears."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _guarded(cell: str) -> str:
    return "'" + cell if unicodedata.normalize("NFKC", cell[:1]).startswith(_FORMULA) else cell
