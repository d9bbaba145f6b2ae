"""The order lines of the public data set "Online Retail II" (first sheet, 2009-12-01 to 2010-12-09), read and classed.

Source: UCI Machine Learning Repository, data set 502, as one Parquet file, read in place. Money is whole thousandths of
a pound: a price is the decimal that is printed, times 1000, which is whole for every line; a line's worth is price
times quantity. Each line has exactly one class, each class its count and its exact sum: they add up to the whole.

What a partner earns commission on are orders of known customers. An invoice that begins with C takes goods back: it is
set against that customer's latest orders of the same article at the same price, as far as they are left; what finds no
order (it was placed before the data begin) takes nothing back here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from privacy.errors import Failure, Kind
from privacy.ids import Period

FILE = "online_retail_2009_2010.parquet"
COLUMNS = ("Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country")
ZONE = ZoneInfo("Europe/London")
FILE_BYTES_MAX = 64 << 20
ROWS_MAX = 2_000_000
BATCH_ROWS = 8192
# stock codes of what is no article: postage, carriage, discounts, manual corrections, bank and market fees, samples,
# adjustments, tests, vouchers
CHARGES = frozenset(
    [
        *("POST", "DOT", "C2", "C3", "D", "M", "S", "B", "ADJUST", "ADJUST2", "AMAZONFEE", "BANK CHARGES", "GIFT"),
        *("TEST001", "TEST002"),
    ]
)
VOUCHER = "GIFT_"


class RetailFileRejected(Failure):
    code = "RETAIL_FILE_REJECTED"
    kind = Kind.INVALID
    en = "the folder holds no usable {file}: {why}"
    zh = "目录中没有可用的 {file}：{why}"


class LineClass(Enum):
    """What becomes of a line. The order is that of the questions: the first class that fits is the line's."""

    BAD_DEBT = "BAD_DEBT"  # an invoice that begins with A: bad debt is written off
    NO_PRICE = "NO_PRICE"  # a price of zero: gifts, damages, stock that is corrected
    NO_CUSTOMER = "NO_CUSTOMER"  # nobody who could have been referred
    NO_ARTICLE = "NO_ARTICLE"  # a charge, see CHARGES
    CANCELLATION = "CANCELLATION"  # takes back an order of the data
    CANCELLATION_ALONE = "CANCELLATION_ALONE"  # takes back what was ordered before the data begin
    ORDER = "ORDER"


PRICED = (LineClass.ORDER, LineClass.CANCELLATION)  # those that become events


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. `id`: its invoice and its number in it; `price` and `worth` in thousandths of a pound."""

    id: str
    invoice: str
    article: str
    quantity: int
    price: int
    time: datetime
    period: Period
    customer: int | None

    @property
    def worth(self) -> int:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What becomes an event: an order, or a part of one that is taken back (`reverses`: the order's id)."""

    id: str
    customer: int
    time: datetime
    period: Period
    worth: int
    exact: bool  # whether the price has a third decimal: the base is then in thousandths
    reverses: str = ""


@dataclass(slots=True)
class Sum:
    """Lines of one class and their worth in thousandths of a pound. A line in two classes counts in the first."""

    lines: int = 0
    worth: int = 0

    def add(self, lines: int, worth: int) -> None:
        self.lines += lines
        self.worth += worth


@dataclass(slots=True)
class Sorted:
    """The classed data: sums by class and by (month, class), claims in the order of time, and repeated lines."""

    classes: dict[LineClass, Sum] = field(default_factory=lambda: {one: Sum() for one in LineClass})
    months: dict[tuple[Period, LineClass], Sum] = field(default_factory=dict)
    claims: dict[Period, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    repeats: Sum = field(default_factory=Sum)  # lines that equal an earlier one in every column; each counts

    @property
    def worth(self) -> int:
        return sum(one.worth for one in self.classes.values())

    @property
    def lines(self) -> int:
        return sum(one.lines for one in self.classes.values())

    def count(self, one: LineClass, period: Period, lines: int, worth: int) -> None:
        self.classes[one].add(lines, worth)
        self.months.setdefault((period, one), Sum()).add(lines, worth)


def sort(folder: Path) -> Sorted:
    """Read and class the file of a folder. Raises RetailFileRejected."""
    table = _table(folder)
    made = Sorted(repeats=_repeats(table))
    left: dict[tuple[int | None, str, int], list[tuple[str, int]]] = defaultdict(list)
    before = None
    for line in _lines(table):
        if before is not None and line.time < before:
            raise RetailFileRejected(file=FILE, why="its lines are not in the order of time")
        before, one = line.time, classify(line)
        if one is LineClass.CANCELLATION:
            _take_back(made, left[line.customer, line.article, line.price], line)
            continue
        made.count(one, line.period, 1, line.worth)
        if one is LineClass.ORDER:
            left[line.customer, line.article, line.price].append((line.id, line.quantity))
            made.claims[line.period].append(_claim(line, line.id, line.worth))
    return made


def classify(line: Line) -> LineClass:
    """The class of a line, but for whether a cancellation finds its order."""
    if line.invoice.startswith("A"):
        return LineClass.BAD_DEBT
    if line.price == 0:
        return LineClass.NO_PRICE
    if line.customer is None:
        return LineClass.NO_CUSTOMER
    if line.article in CHARGES or line.article.startswith(VOUCHER):
        return LineClass.NO_ARTICLE
    return LineClass.CANCELLATION if line.quantity < 0 else LineClass.ORDER


def _take_back(made: Sorted, orders: list[tuple[str, int]], line: Line) -> None:
    """Set a cancellation against the latest orders that are left; each part is a claim of its own."""
    wanted, part, counted = -line.quantity, 0, 0
    while wanted and orders:
        order, there = orders.pop()
        taken = min(wanted, there)
        if there > taken:
            orders.append((order, there - taken))
        wanted, part = wanted - taken, part + 1
        made.claims[line.period].append(_claim(line, f"{line.id}.{part}", -taken * line.price, order))
        made.count(LineClass.CANCELLATION, line.period, 1 - counted, -taken * line.price)
        counted = 1
    if wanted:
        made.count(LineClass.CANCELLATION_ALONE, line.period, 1 - counted, -wanted * line.price)


def _claim(line: Line, name: str, worth: int, reverses: str = "") -> Claim:
    assert line.customer is not None, "a line without a customer is no claim"
    return Claim(
        id=name,
        customer=line.customer,
        time=line.time,
        period=line.period,
        worth=worth,
        exact=line.price % 10 != 0,
        reverses=reverses,
    )


def _table(folder: Path) -> Any:
    path = folder / FILE
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise RetailFileRejected(file=FILE, why="it is too large")
        file = pq.ParquetFile(path)
        if not set(COLUMNS) <= set(file.schema_arrow.names) or not 0 < file.metadata.num_rows <= ROWS_MAX:
            raise RetailFileRejected(file=FILE, why=f"the columns {', '.join(COLUMNS)} and some rows are expected")
        return file.read(columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise RetailFileRejected(file=FILE, why=type(error).__name__) from None


def _repeats(table: Any) -> Sum:
    """Lines that equal an earlier line in every column, and their worth."""
    found = Sum()
    groups = table.group_by(list(COLUMNS)).aggregate([([], "count_all")])
    again = groups.filter(pa.compute.greater(groups["count_all"], 1))
    prices = _thousandths(again["Price"].to_pylist())
    for price, quantity, count in zip(*(again[n].to_pylist() for n in ("Price", "Quantity", "count_all")), strict=True):
        found.add(count - 1, (count - 1) * quantity * prices[price])
    return found


def _lines(table: Any) -> Iterator[Line]:
    """The lines in the order of the file, numbered within their invoice. Raises RetailFileRejected."""
    prices = _thousandths(table["Price"].unique().to_pylist())
    numbers: dict[str, int] = defaultdict(int)
    names = ("Invoice", "StockCode", "Quantity", "InvoiceDate", "Price", "Customer ID")
    for batch in table.select(list(names)).to_batches(max_chunksize=BATCH_ROWS):
        for invoice, article, quantity, date, price, customer in zip(
            *(c.to_pylist() for c in batch.columns), strict=True
        ):
            numbers[invoice] += 1
            time, period = _time(date)
            yield Line(
                id=f"{invoice}-{numbers[invoice]}",
                invoice=invoice,
                article=article.strip().upper(),
                quantity=quantity,
                price=prices[price],
                time=time,
                period=period,
                customer=None if customer is None else _customer(customer),
            )


def _thousandths(prices: Iterable[float]) -> Mapping[float, int]:
    """Each price as whole thousandths of the decimal that is printed. Raises RetailFileRejected."""
    found = {}
    for price in prices:
        exact = Decimal(repr(price)) * 1000 if isinstance(price, float) else Decimal("NaN")
        if not exact.is_finite() or exact != int(exact):
            raise RetailFileRejected(file=FILE, why="a price is no decimal of three places")
        found[price] = int(exact)
    return found


@lru_cache(maxsize=1024)  # the lines of an invoice have one time
def _time(text: str) -> tuple[datetime, Period]:
    """The instant of a wall-clock time in London, and its month there."""
    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
        return local.astimezone(UTC), Period(local.strftime("%Y-%m"))
    except (TypeError, ValueError):
        raise RetailFileRejected(file=FILE, why="a date is not of the form 2010-01-31 09:00:00") from None


def _customer(number: float) -> int:
    if number != int(number) or number < 0:
        raise RetailFileRejected(file=FILE, why="a customer's number is not whole")
    return int(number)
