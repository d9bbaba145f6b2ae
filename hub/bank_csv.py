"""Bank statements as CSV, by a profile (TOML) that names the bank's columns.

UTF-8 with or without its mark, or GBK (GB 18030) where the profile says so. An amount is one signed column, one column
with a side beside it, or a debit and a credit column. With a balance column every row must follow from the one before,
so a changed amount is found, but in the first row: the balance before it is not in the file. Without one it can't be.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from hub import bank_values
from hub.bank_values import (
    REFERENCE_MAX,
    BankEntry,
    BankStatement,
    RowRefused,
    Rows,
    check_count,
    check_size,
    once,
    plain,
    references,
)
from hub.payment_errors import BankAccountDiffers, BankBalanceDiffers, BankFileInvalid, BankProfileInvalid
from revenue_share.money import DECIMALS, decimals

COLUMNS = (
    *("booked", "value", "amount", "side", "debit", "credit", "balance", "currency", "account"),
    *("bank_reference", "reference", "counterparty", "name", "text", "returned"),
)
TEXTS = ("name", "encoding", "delimiter", "date", "currency", "grouping", "order")
ENCODINGS = {"utf-8": "utf-8-sig", "gbk": "gb18030"}
FIELD_CHARACTERS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one bank writes its CSV. `columns`: our name to the bank's; `values`: texts that mean debit, returned…"""

    name: str
    columns: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encoding: str = "utf-8"
    delimiter: str = ","
    date: str = "%Y-%m-%d"
    currency: str = ""
    grouping: str = ""
    order: str = "ascending"
    skip: int = 0

    def __post_init__(self) -> None:
        one_of = {
            "encoding": self.encoding in ENCODINGS,
            "delimiter": self.delimiter in (",", ";", "\t", "|"),
            "date": self.date in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y"),
            "grouping": self.grouping in ("", ","),
            "order": self.order in ("ascending", "descending"),
            "skip": 0 <= self.skip <= 100,
            "name": 0 < len(self.name) <= 40,
            "currency": self.currency in DECIMALS or (not self.currency and "currency" in self.columns),
            "columns": _columns_fit(self.columns),
            "values": set(self.values) <= {"debit", "credit", "returned"},
        }
        for name, fits in one_of.items():
            if not fits:
                raise BankProfileInvalid(field=name, why="it is missing or not one of what docs/finance.md lists")


def _columns_fit(columns: Mapping[str, str]) -> bool:
    """Known names, a booking date, and exactly one of the three ways to write an amount."""
    ways = [{"amount"} <= set(columns), {"debit", "credit"} <= set(columns)]
    return not set(columns) - set(COLUMNS) and "booked" in columns and ways.count(True) == 1


def of_tree(tree: Mapping[str, Any]) -> Profile:
    """The profile of a TOML tree. Raises BankProfileInvalid; an unknown key is an error."""
    columns, values = tree.get("columns", {}), tree.get("values", {})
    for name in set(tree) - {*TEXTS, "skip", "columns", "values"}:
        raise BankProfileInvalid(field=str(name)[:40], why="it is not known")
    for name in TEXTS:
        if not isinstance(tree.get(name, ""), str):
            raise BankProfileInvalid(field=name, why="a text is expected")
    if not isinstance(columns, dict) or not all(isinstance(v, str) and 0 < len(v) <= 100 for v in columns.values()):
        raise BankProfileInvalid(field="columns", why="the bank's column name for each of ours is expected")
    if type(tree.get("skip", 0)) is not int:
        raise BankProfileInvalid(field="skip", why="a number of lines is expected")
    if not isinstance(values, dict) or not all(_texts(v) for v in values.values()):
        raise BankProfileInvalid(field="values", why="a list of texts for each is expected")
    given = {name: tree[name] for name in (*TEXTS, "skip") if name in tree}
    return Profile(**{"name": "", **given, "columns": columns, "values": {k: tuple(v) for k, v in values.items()}})


def read(data: bytes, rules: Profile, account: str) -> BankStatement:
    """The one statement of a file. Raises BankFileInvalid, BankRowsRefused, BankBalanceDiffers, BankAccountDiffers."""
    lines = _lines(data, rules)
    header = [cell.strip() for cell in lines[0]]
    for name, column in rules.columns.items():
        if header.count(column) != 1:
            raise BankFileInvalid(why=f"the column {column!r} for {name} stands there {header.count(column)} times")
    at = {name: header.index(column) for name, column in rules.columns.items()}
    rows, made = Rows(), []
    body = [(number, cells) for number, cells in enumerate(lines[1:], rules.skip + 2) if any(c.strip() for c in cells)]
    check_count(len(body))
    for number, cells in body:
        found = rows.take(number, partial(_row, number, cells, at, len(header), rules, account))
        if found is not None:
            made.append(found)
    rows.check()
    if rules.order == "descending":
        made.reverse()
    currencies = {entry.currency for entry, _ in made} or {rules.currency}
    if len(currencies) != 1:
        raise BankFileInvalid(why="rows of several currencies: one file is of one account")
    opening, closing = _balances(made)
    entries = tuple(entry for entry, _ in made)
    return BankStatement(
        id=rules.name,
        account=account,
        currency=currencies.pop(),
        opening_minor=opening,
        closing_minor=closing,
        entries=once(entries) if opening is None else entries,  # balances that follow prove each row
    )


def _lines(data: bytes, rules: Profile) -> list[list[str]]:
    check_size(len(data))
    encoding = "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else ENCODINGS[rules.encoding]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BankFileInvalid(why=f"it is not {rules.encoding} at byte {error.start}") from None
    if "\0" in text or "\ufeff" in text:
        raise BankFileInvalid(why=f"it is not {rules.encoding}")
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=rules.delimiter, strict=True))
    except csv.Error as error:
        raise BankFileInvalid(why=f"not CSV: {error}") from None
    if len(lines) <= rules.skip:
        raise BankFileInvalid(why="it has no header")
    return lines[rules.skip :]


def _row(
    number: int, cells: Sequence[str], at: Mapping[str, int], width: int, rules: Profile, account: str
) -> tuple[BankEntry, int | None]:
    """(entry, balance after it in minor units where the bank gives one)."""
    if len(cells) != width:
        raise RowRefused(f"it has {len(cells)} cells, the header {width}")
    if max(map(len, cells)) > FIELD_CHARACTERS_MAX:
        raise RowRefused("a cell is too long")
    # a leading apostrophe or tab is how banks keep a spreadsheet from reading a number
    cell = {name: cells[place].strip().removeprefix("'").strip() for name, place in at.items()}
    if "account" in cell and "".join(cell["account"].split()).upper() != account:
        raise BankAccountDiffers(found=plain(cell["account"], REFERENCE_MAX) or "-", expected=account)
    currency = cell.get("currency") or rules.currency
    if currency not in DECIMALS:
        raise RowRefused(f"the currency {currency[:10]!r} is not known")
    signed = _signed(cell, currency, rules)
    entry = BankEntry(
        row=number,
        currency=currency,
        amount_minor=abs(signed),
        debit=signed < 0,
        booked=_day(cell["booked"], rules),
        value=_day(cell["value"], rules) if cell.get("value") else None,
        bank_reference=plain(cell.get("bank_reference", ""), REFERENCE_MAX),
        references=references(cell.get("reference", ""), cell.get("text", "")),
        counterparty=plain("".join(cell.get("counterparty", "").split()).upper(), REFERENCE_MAX),
        name=plain(cell.get("name", ""), 140),
        text=plain(cell.get("text", "")),
        returned=cell.get("returned", "") in rules.values.get("returned", ()),
        reason=plain(cell.get("returned", ""), REFERENCE_MAX),
    )
    return entry, _minor(cell["balance"], currency, rules) if "balance" in cell else None


def _signed(cell: Mapping[str, str], currency: str, rules: Profile) -> int:
    if "debit" in cell:
        out, into = (_minor(cell[name], currency, rules) if cell[name] else 0 for name in ("debit", "credit"))
        if (out == 0) == (into == 0) or out < 0 or into < 0:
            raise RowRefused("exactly one of debit and credit has a positive amount")
        return into - out
    minor = _minor(cell["amount"], currency, rules)
    if not minor:
        raise RowRefused("an amount of zero")
    if "side" not in cell:
        return minor
    debit, credit = (cell["side"] in rules.values.get(name, ()) for name in ("debit", "credit"))
    if debit == credit or minor < 0:
        raise RowRefused(f"the side {cell['side'][:10]!r} with {cell['amount'][:40]!r}")
    return -minor if debit else minor


def _minor(text: str, currency: str, rules: Profile) -> int:
    """Signed minor units; digits are grouped by threes only where the profile says that they may be."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole = digits.partition(".")[0]
    if rules.grouping and rules.grouping in whole:
        first, *groups = whole.split(rules.grouping)
        if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups):
            raise RowRefused(f"{text[:40]!r} is not grouped by threes")
        digits = first + "".join(groups) + digits[len(whole) :]
    if len(digits.partition(".")[2]) == 3 != decimals(currency):
        raise RowRefused(f"{text[:40]!r} has three decimals or is grouped by points")
    return sign * bank_values.amount(digits, currency)


def _day(text: str, rules: Profile) -> date:
    try:
        found = datetime.strptime(text, rules.date).replace(tzinfo=UTC).date()
    except ValueError:
        found = None
    if found is None or found.strftime(rules.date) != text:  # strptime also takes 2026-1-5
        raise RowRefused(f"{text[:40]!r} is not a date as the profile says")
    return bank_values.in_range(found)


def _balances(made: Sequence[tuple[BankEntry, int | None]]) -> tuple[int | None, int | None]:
    """(opening, closing) of a balance column, each row of which must follow. Raises BankBalanceDiffers."""
    if not made or made[0][1] is None:
        return None, None
    opening = made[0][1] - made[0][0].signed_minor
    running = opening
    for entry, stated in made:
        assert stated is not None, "a column stands in every row"
        running += entry.signed_minor
        if running != stated:
            found, told = (f"{entry.currency} {minor} minor units" for minor in (running, stated))
            raise BankBalanceDiffers(statement=f"row {entry.row}", what="balance", found=found, stated=told)
    return opening, running


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and len(text) <= 40 for text in value)
