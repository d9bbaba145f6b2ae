"""Tables for spreadsheets: no cell is a formula, numbers stay numbers, the same rows make the same bytes."""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.payment_sheets import Cell, Number, csv_bytes, xlsx_bytes
from hub.services import HeadInvalid
from tests.hub.paying import PAYABLE, Booked, Paying, booked, paying

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
EVIL = [
    *("=HYPERLINK(1)", "+1", "-1", "@cmd", "\t=1", "\r\n=1", " =1", "=cmd|' /C calc'!A0"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\u200b=1", "\x00=1", "\u3000=1"),
]


def cells(data: bytes) -> list[list[tuple[str, str]]]:
    """(type, text) of every cell of the workbook's sheet."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    assert not list(root.iter(f"{MAIN}f")), "a formula"
    return [
        [(cell.get("t", "n"), "".join(cell.itertext())) for cell in row.iter(f"{MAIN}c")]
        for row in root.iter(f"{MAIN}row")
    ]


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("text", EVIL)
def test_no_text_is_a_formula(text: str) -> None:
    (_, (shown,)) = rows(csv_bytes(["name"], [[text]]))
    assert unicodedata.normalize("NFKC", shown).lstrip()[:1] not in tuple("=+-@")
    assert len(csv_bytes(["name"], [[text]]).splitlines()) == 2
    (_, ((kind, _),)) = cells(xlsx_bytes("x", ["name"], [[text]]))
    assert kind == "inlineStr"


@pytest.mark.parametrize("value", [-1, 0, 10**15 - 1, Number("-12.30"), Number("1065.28")])
def test_numbers_stay_numbers(value: Cell) -> None:
    assert rows(csv_bytes(["n"], [[value]]))[1] == [str(value)]
    assert cells(xlsx_bytes("x", ["n"], [[value]]))[1] == [("n", str(value))]


@pytest.mark.parametrize("value", [10**15, -(10**16), Number("12345678901234.56")])
def test_a_number_that_a_spreadsheet_would_round_is_text(value: Cell) -> None:
    assert cells(xlsx_bytes("x", ["n"], [[value]]))[1] == [("inlineStr", str(value))]


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.integers(-(10**15), 10**15), st.text(max_size=20)), min_size=3, max_size=3)
    )
)
def test_any_rows_make_a_workbook_and_a_table_of_so_many_rows(table: list[list[Any]]) -> None:
    data = xlsx_bytes("any", ["a", "b", "c"], table)
    assert data == xlsx_bytes("any", ["a", "b", "c"], table)
    assert len(cells(data)) == len(table) + 1
    found = rows(csv_bytes(["a", "b", "c"], table))
    assert [len(row) for row in found] == [3] * (len(table) + 1)
    assert not any(re.match(r"[=+@]", unicodedata.normalize("NFKC", cell)) for row in found for cell in row)


def test_columns_beyond_z_have_two_letters() -> None:
    data = xlsx_bytes("wide", [str(i) for i in range(60)], [])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert all(f'r="{place}"' in sheet for place in ("A1", "Z1", "AA1", "AZ1", "BA1", "BH1"))


# --- exports of the books


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Paying]:
    with paying(tmp_path) as made:
        yield made


def exported(books: Paying, what: str, **head: Any) -> list[dict[str, str]]:
    reply = books.month.command("export", what=what, format="csv", **head)
    found = list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))
    assert len(found) == reply.head["rows"]
    sheet = cells(books.month.command("export", what=what, format="xlsx", **head).body)
    assert len(sheet) == len(found) + 1
    return found


def test_exports_say_what_the_books_say(books: Paying) -> None:
    order = books.ordered()
    books.bank(booked(order), Booked(minor=77, bank_reference="F1", account="", name="=cmd|x"))
    books.do("reconcile")
    lines = exported(books, "statement", statement=order.statement)
    assert sum(int(line["amount_minor"]) for line in lines) == PAYABLE
    journal = exported(books, "ledger")
    assert sum(int(row["debit_minor"]) - int(row["credit_minor"]) for row in journal) == 0
    (item,) = exported(books, "exceptions")
    assert (item["class"], item["amount"], item["amount_minor"], item["name"]) == ("EXTRA", "-0.77", "-77", "'=cmd|x")


@pytest.mark.parametrize("head", [{"what": "payroll", "format": "csv"}, {"what": "ledger", "format": "pdf"}])
def test_what_is_not_exported(books: Paying, head: dict[str, str]) -> None:
    with pytest.raises(HeadInvalid):
        books.month.command("export", **head)
