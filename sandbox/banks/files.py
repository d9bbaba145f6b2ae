"""The layout of a banks' data folder: one file a bank, and `banks.json`, which says what the columns are.

`<bank>.csv.gz` holds `client_id`, every column of the plan, and the label; all banks have the same header and no client
in common. An empty field is a missing value. `banks.json` names the label with its classes, each column as a
training plan writes it (number with its transform, category with its levels), and how many clients each bank has.
"""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecowire.outputs import OutputExists
from privacy.errors import Failure, Kind
from privacy.ids import parse_partner_id

ID_COLUMN = "client_id"
DESCRIPTION = "banks.json"
NUMBER, CATEGORY = "number", "category"
TRANSFORMS = ("none", "signed_log")
BANKS_MIN = 3  # of two parties each would learn the other's update from the sum
CLIENTS_MIN = 50


class BanksFolderInvalid(Failure):
    code = "BANKS_FOLDER_INVALID"
    kind = Kind.INVALID
    en = "{folder} is not a data folder of banks: {why}; `ecohub sandbox banks` writes one"
    zh = "{folder} 不是各银行的数据目录：{why}；可用 `ecohub sandbox banks` 生成"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as a plan writes it. transform: of a number. levels: of a category, in the plan's order."""

    name: str
    kind: str
    transform: str = "none"
    levels: tuple[str, ...] = ()

    def to_body(self) -> dict[str, Any]:
        """The entry of a plan's `columns`."""
        if self.kind == NUMBER:
            return {"name": self.name, "kind": self.kind, "transform": self.transform}
        return {"name": self.name, "kind": self.kind, "levels": list(self.levels)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One bank's client: its synthetic id and its values as text, by column, the label among them."""

    client_id: str
    bank: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Banks:
    """A banks' data folder."""

    folder: Path
    origin: str
    label: str
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    sizes: Mapping[str, int]  # clients by bank

    @property
    def synthetic(self) -> bool:
        return self.origin.startswith("synthetic")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    def file(self, bank: str) -> Path:
        return self.folder / f"{bank}.csv.gz"

    def rows(self, bank: str) -> dict[str, dict[str, str]]:
        """A bank's rows by client id, as text."""
        with gzip.open(self.file(bank), "rt", encoding="utf-8", newline="") as stream:
            return {row[ID_COLUMN]: row for row in csv.DictReader(stream)}


def write(
    folder: Path,
    clients: Sequence[Client],
    *,
    columns: Sequence[Column],
    label: str,
    classes: Sequence[str],
    origin: str,
) -> Banks:
    """Write a new folder; the same clients give the same bytes. Raises OutputExists, BanksFolderInvalid (too few)."""
    names = sorted({client.bank for client in clients})
    sizes = {name: sum(client.bank == name for client in clients) for name in names}
    made = Banks(folder=folder, origin=origin, label=label, classes=tuple(classes), columns=tuple(columns), sizes=sizes)
    _check_sizes(folder, sizes)
    for path in (*(made.file(name) for name in names), folder / DESCRIPTION):
        if path.exists():
            raise OutputExists(path=str(path))
    folder.mkdir(parents=True, exist_ok=True)
    header = [ID_COLUMN, *(column.name for column in columns), label]
    ordered = sorted(clients, key=lambda client: client.client_id)
    for name in names:
        rows = [[c.client_id, *(c.values[field] for field in header[1:])] for c in ordered if c.bank == name]
        made.file(name).write_bytes(_gzip([header, *rows]))
    described = {
        "origin": origin,
        "id": "client_id (synthetic, region 99: belongs to no person)",
        "label": {"column": label, "classes": list(classes)},
        "columns": [column.to_body() for column in columns],
        "banks": sizes,
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def read(folder: Path) -> Banks:
    """The folder's description, each bank's file compared with it. Raises BanksFolderInvalid."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        made = Banks(
            folder=folder,
            origin=str(described["origin"]),
            label=str(described["label"]["column"]),
            classes=tuple(map(str, described["label"]["classes"])),
            columns=tuple(_column(value) for value in described["columns"]),
            sizes={str(parse_partner_id(name)): int(count) for name, count in described["banks"].items()},
        )
        headers = {name: _header(made.file(name)) for name in made.names}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise BanksFolderInvalid(folder=str(folder), why=f"{type(error).__name__}: {error}"[:200]) from None
    expected = [ID_COLUMN, *(column.name for column in made.columns), made.label]
    for name, header in headers.items():
        if header != expected:
            raise BanksFolderInvalid(folder=str(folder), why=f"{made.file(name).name} has other columns")
    _check_sizes(folder, made.sizes)
    return made


def _column(value: Mapping[str, Any]) -> Column:
    column = Column(
        name=str(value["name"]),
        kind=str(value["kind"]),
        transform=str(value.get("transform", "none")),
        levels=tuple(map(str, value.get("levels", ()))),
    )
    if column.kind not in (NUMBER, CATEGORY) or column.transform not in TRANSFORMS:
        raise ValueError(f"column {column.name} is neither a number nor a category")
    return column


def _check_sizes(folder: Path, sizes: Mapping[str, int]) -> None:
    if len(sizes) < BANKS_MIN:
        raise BanksFolderInvalid(folder=str(folder), why=f"{len(sizes)} banks; at least {BANKS_MIN} are needed")
    if small := [name for name, count in sizes.items() if count < CLIENTS_MIN]:
        raise BanksFolderInvalid(folder=str(folder), why=f"{small[0]} has fewer than {CLIENTS_MIN} clients")


def _header(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream), [])


def _gzip(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as stream:
        stream.write(text.getvalue().encode())
    return out.getvalue()
