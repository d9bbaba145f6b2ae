"""Columns of a data asset's source, for the vault alone: CSV, CSV.gz, Parquet, or a table behind an SQLAlchemy URL.

Each failure is named by what a person can mend: the source is missing, can't be read, lacks a column, or is empty. Such
a failure may end a job and then travels to the hub, so it names assets and columns, never a path or a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from sqlalchemy import MetaData, Table, create_engine, select
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from partner_node.errors import (
    SourceColumnMissing,
    SourceColumnNotNumeric,
    SourceEmpty,
    SourceMissing,
    SourceUnreadable,
)
from partner_node.settings import Asset

ROWS_MAX = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A source's columns with types, in order, and how many rows lack a value."""

    rows: int
    types: dict[str, str]
    missing: dict[str, int]


def load(asset: Asset, columns: Sequence[str] = (), texts: Sequence[str] = ()) -> Any:
    """A pyarrow table of the id column and these columns, read once, so that ids and values belong together.

    `texts`: columns of a CSV file that are taken as they are written, whatever they look like.
    Raises SourceMissing, SourceUnreadable, SourceColumnMissing, SourceEmpty.
    """
    return _read(asset, [asset.id_column, *(name for name in columns if name != asset.id_column)], texts)


def stamp(asset: Asset) -> tuple[int, ...] | None:
    """What is another after every change of a source's file; None where there is none to tell by."""
    try:
        found = None if "://" in asset.source else Path(asset.source).stat()
    except OSError:
        found = None  # reading it will say what is wrong
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) if found else None


def identifiers(asset: Asset, table: Any) -> list[Any]:
    """The id column, None where missing. A typed source's numbers stay numbers: the normaliser rejects them by reason
    instead of guessing a lost leading zero."""
    values: list[Any] = table.column(asset.id_column).to_pylist()
    return values


def numbers(asset: Asset, table: Any, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column as float64, NaN where a value is missing. Raises SourceColumnNotNumeric."""
    array = table.column(column).combine_chunks()
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _parsed(asset, column, array.to_pylist())
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    if not any(check(kind) for check in checks):
        raise SourceColumnNotNumeric(asset=asset.name, column=column, count=len(array))
    filled = pc.fill_null(array.cast(pa.float64()), float("nan"))
    values: np.ndarray[Any, np.dtype[np.float64]] = filled.to_numpy(zero_copy_only=False)
    return values


def texts(asset: Asset, table: Any, column: str) -> np.ndarray[Any, np.dtype[np.str_]]:
    """A column as text, "" where a value is missing.

    A whole number of a typed source is written without fraction, so 3 and 3.0 are one level, as in a file of text.
    """
    return np.array(cells(asset, table, column), dtype=np.str_)


def cells(asset: Asset, table: Any, column: str) -> list[str]:
    """What `texts` gives, as a list: a long text takes no more room than its own, and keeps a NUL at its end."""
    return ["" if value is None else _text(value) for value in table.column(column).to_pylist()]


def profile(asset: Asset) -> Profile:
    """Names, types and missing values of all columns."""
    table = _read(asset, None, ())
    return Profile(
        rows=table.num_rows,
        types={field.name: str(field.type) for field in table.schema},
        missing={name: table.column(name).null_count for name in table.column_names},
    )


def _text(value: object) -> str:
    if value != value:  # a float that is no number: typed sources keep missing values so
        return ""
    if isinstance(value, float | Decimal) and abs(float(value)) < 1 << 53 and value == int(value):
        return str(int(value))
    return str(value).strip()


def _read(asset: Asset, columns: Sequence[str] | None, texts: Sequence[str]) -> Any:
    try:
        if "://" in asset.source:
            table = _from_database(asset, columns)
        elif not Path(asset.source).is_file():
            raise SourceMissing(asset=asset.name, why="the file in this node's settings does not exist")
        elif asset.source.endswith(".parquet"):
            table = _from_parquet(asset, columns)
        elif asset.source.endswith((".csv", ".csv.gz")):
            table = _from_csv(asset, columns, texts)
        else:
            raise SourceUnreadable(asset=asset.name, why="only .csv, .csv.gz and .parquet files are read")
    except (pa.ArrowException, OSError, SQLAlchemyError) as error:
        # the library's own text may quote values of the data: only its type is told
        raise SourceUnreadable(asset=asset.name, why=type(error).__name__) from error
    if table.num_rows == 0:
        raise SourceEmpty(asset=asset.name)
    if table.num_rows > ROWS_MAX:
        raise SourceUnreadable(asset=asset.name, why=f"more than {ROWS_MAX} rows")
    return table


def _from_csv(asset: Asset, columns: Sequence[str] | None, texts: Sequence[str]) -> Any:
    with pyarrow.csv.open_csv(asset.source, convert_options=_as_text(asset)) as reader:
        names = reader.schema.names
    if len(set(names)) != len(names):
        raise SourceUnreadable(asset=asset.name, why="two columns have one name")
    _check(asset, names, columns)
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys([asset.id_column, *texts], pa.string()),
        strings_can_be_null=True,
        null_values=[""],
        include_columns=list(columns or []),
    )
    return pyarrow.csv.read_csv(asset.source, convert_options=options)


def _as_text(asset: Asset) -> Any:
    return pyarrow.csv.ConvertOptions(column_types={asset.id_column: pa.string()})


def _from_parquet(asset: Asset, columns: Sequence[str] | None) -> Any:
    _check(asset, pyarrow.parquet.read_schema(asset.source).names, columns)
    return pyarrow.parquet.read_table(asset.source, columns=None if columns is None else list(columns))


def _from_database(asset: Asset, columns: Sequence[str] | None) -> Any:
    engine = create_engine(asset.source)
    try:
        with engine.connect() as connection:
            table = Table(str(asset.table), MetaData(), autoload_with=connection)
            _check(asset, [column.name for column in table.columns], columns)
            chosen = [table.columns[name] for name in columns] if columns is not None else list(table.columns)
            rows = connection.execute(select(*chosen).limit(ROWS_MAX + 1)).all()
    except NoSuchTableError:
        raise SourceMissing(asset=asset.name, why="the table in this node's settings does not exist") from None
    finally:
        engine.dispose()
    names = [column.name for column in chosen]
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def _check(asset: Asset, names: Sequence[str], columns: Sequence[str] | None) -> None:
    for column in [asset.id_column, *(columns if columns is not None else [])]:
        if column not in names:
            raise SourceColumnMissing(asset=asset.name, column=column)


def _parsed(asset: Asset, column: str, values: Sequence[str | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    out = np.full(len(values), np.nan)
    bad = 0
    for i, value in enumerate(values):
        try:
            out[i] = float(value) if value is not None else np.nan
        except ValueError:
            bad += 1
    if bad:
        raise SourceColumnNotNumeric(asset=asset.name, column=column, count=bad)
    return out
