"""Bad data assets for hostile tests: what goes wrong with a partner's tables, each as an asset of the bank."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox import world
from tests.support import launch_alliance
from tests.support.launch_alliance import Alliance

Line = list[str]
REPEATED = 30  # rows whose client stands in an earlier row
LEFT_OUT = 200  # last rows that the table of malformed ids lacks: nodes match no two sets that differ by a few clients


def add_assets(alliance: Alliance) -> None:
    """Write the sources below the alliance's folder and name them in the bank's settings; its node must not run."""
    bank = alliance.world.partners["bank"]
    rows = launch_alliance.rows(bank.source)
    header, lines = [*next(iter(rows.values()))], [[*row.values()] for row in rows.values()]
    tables = [alliance.world.node_config("bank").read_text()]
    for name, change in _CHANGES.items():
        source = alliance.folder / "data" / f"{name}.csv"
        change(source, header, lines)
        columns = dict(bank.classes)
        id_column = "client_id"
        if name == "column-absent":
            columns["NOSUCH"] = "C2"
        elif name == "column-unclassified":
            del columns["CHECKING"]
        elif name == "id-column-absent":
            id_column = "client"
        elif name == "column-secret":
            columns["CHECKING"] = "C3"
        tables.append(_table(name, source, id_column, columns))
    alliance.world.node_config("bank").write_text("\n".join(tables))


def _table(name: str, source: Path, id_column: str, columns: Mapping[str, str]) -> str:
    values = {
        "name": name, "source": str(source), "id_column": id_column, "id_type": "resident_id",
        "purposes": [world.PURPOSE],
    }  # fmt: skip
    listed = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    classes = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in columns.items()]
    return "\n".join(["[[asset]]", *listed, "[asset.columns]", *classes]) + "\n"


def _write(path: Path, header: Line, lines: list[Line]) -> None:
    path.write_text("\n".join(",".join(line) for line in [header, *lines]) + "\n")


def _as_it_is(path: Path, header: Line, lines: list[Line]) -> None:
    _write(path, header, lines)


def _missing(path: Path, header: Line, lines: list[Line]) -> None:
    """There is no such file."""


def _empty(path: Path, header: Line, lines: list[Line]) -> None:
    _write(path, header, [])


def _damaged(path: Path, header: Line, lines: list[Line]) -> None:
    _write(path, header, [*lines[:5], [*lines[5], "one cell too many"]])


def _duplicates(path: Path, header: Line, lines: list[Line]) -> None:
    _write(path, header, [*lines, *([line[0], *lines[0][1:]] for line in lines[1 : REPEATED + 1])])


def _malformed_ids(path: Path, header: Line, lines: list[Line]) -> None:
    """Of the first rows: 4 wrong check characters, 3 impossible dates, 2 too short, 1 missing."""
    bad = [[line[0][:17] + ("0" if line[0][17] != "0" else "1"), *line[1:]] for line in lines[:4]]
    bad += [[line[0][:10] + "1399" + line[0][14:], *line[1:]] for line in lines[4:7]]
    bad += [[line[0][:11], *line[1:]] for line in lines[7:9]] + [["", *lines[9][1:]]]
    _write(path, header, bad + lines[10:-LEFT_OUT])


def _words(path: Path, header: Line, lines: list[Line]) -> None:
    """A column of numbers with words in it."""
    place = header.index("CHECKING")
    _write(path, header, [[*line[:place], "much", *line[place + 1 :]] for line in lines])


def _gaps(path: Path, header: Line, lines: list[Line]) -> None:
    place = header.index("CHECKING")
    _write(path, header, [[*line[:place], "", *line[place + 1 :]] if i % 9 else line for i, line in enumerate(lines)])


_CHANGES: dict[str, Callable[[Path, Line, list[Line]], None]] = {
    "file-missing": _missing,
    "file-empty": _empty,
    "file-damaged": _damaged,
    "column-absent": _as_it_is,
    "column-unclassified": _as_it_is,
    "column-secret": _as_it_is,
    "id-column-absent": _as_it_is,
    "ids-duplicate": _duplicates,
    "ids-malformed": _malformed_ids,
    "values-words": _words,
    "values-missing": _gaps,
}
