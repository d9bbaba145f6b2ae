"""Tables for people's spreadsheets, as CSV and XLSX, in which no cell is ever a formula.

XLSX (ECMA-376) is written as the smallest workbook: inline strings and integers, no formulas, no links, no styles. A
text cell there is text whatever it begins with; in CSV, a text that a spreadsheet would run begins with an apostrophe.
Numbers of ours stay numbers, written in decimal digits.
"""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from privacy.printable import printable


class Number(str):
    """Decimal text of ours, which a spreadsheet may read as the number it is."""

    __slots__ = ()


Cell = str | int | Number | None
ROWS_MAX = 1_048_575  # of a sheet, beside its header
CELL_CHARACTERS_MAX = 32_000
EXACT_DIGITS = 15  # of a number in a spreadsheet; a longer one is text
_FORMULA = ("=", "+", "-", "@")  # also in their full-width forms, which NFKC maps to these
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEADER = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same rows give the same bytes


def csv_bytes(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """RFC 4180 in UTF-8 with CRLF."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def guarded(cell: Cell) -> str:
    """A CSV cell: in one line, nothing hidden in it, and no formula. Numbers stay numbers, negative ones too."""
    if cell is None:
        return ""
    if isinstance(cell, int | Number):
        return str(cell)
    flat = printable(" ".join(cell.split()))
    return "'" + flat if unicodedata.normalize("NFKC", flat).lstrip().startswith(_FORMULA) else flat


def xlsx_bytes(name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """A workbook of one sheet with a header row."""
    assert len(rows) <= ROWS_MAX, "more rows than a sheet holds"
    lines = [_row(1, columns)] + [_row(number, row) for number, row in enumerate(rows, 2)]
    sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
    book = f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    book += f'<sheet name={quoteattr(name[:31])} sheetId="1" r:id="rId1"/></sheets></workbook>'
    types = f'<Types xmlns="{_PACKAGE}/content-types">'
    types += '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    types += _override("/xl/workbook.xml", "sheet.main") + _override("/xl/worksheets/sheet1.xml", "worksheet")
    parts = {
        "[Content_Types].xml": types + "</Types>",
        "_rels/.rels": _relations(f"{_OFFICE}/officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": _relations(f"{_OFFICE}/worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": sheet,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in parts.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), _HEADER + text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _row(number: int, cells: Sequence[Cell]) -> str:
    told = "".join(_cell(f"{_letters(place)}{number}", cell) for place, cell in enumerate(cells))
    return f'<row r="{number}">{told}</row>'


def _cell(place: str, cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int | Number) and len(str(cell).strip("-").replace(".", "")) <= EXACT_DIGITS:
        return f'<c r="{place}"><v>{cell}</v></c>'
    text = re.sub("[\ufffe\uffff]", "\ufffd", printable(str(cell)))[:CELL_CHARACTERS_MAX]  # no characters of XML
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def _letters(place: int) -> str:
    """A, B, … Z, AA: the column of a place from 0."""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def _override(path: str, kind: str) -> str:
    return (
        f'<Override PartName="{path}" '
        f'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.{kind}+xml"/>'
    )


def _relations(kind: str, target: str) -> str:
    told = f'<Relationship Id="rId1" Type="{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{told}</Relationships>'
