"""Counts of one column under its mapping: run inside the vault over the cells as text; only counts come out.

Numbers are compared exactly: a cell is a decimal, a factor num/den, so cell × num is compared with edge × den, and
nothing is rounded. Texts that no category knows come out only where at least 50 rows share them, so that a wrongly
mapped column of names shows nobody's.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from fractions import Fraction

from federation.schema.mapping import Entry
from federation.schema.values import Span, codes
from privacy import canonical

RARE_ROWS = 50  # the 50-row rule of training: a smaller bin tells about few clients
COMMON_SHOWN = 10
DIGITS_MAX = 30  # of a cell, before and after its point
SLIPS = (-2, 2, 4, -4, 3, -3)  # powers of ten of likely factors: fen, percent, ten thousand yuan, thousands
TRUTHS = {"true": "1", "True": "1", "false": "0", "False": "0"}  # as typed sources and CSV write a flag
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?", re.ASCII)
_EXACT = Context(prec=300, traps=[Inexact, InvalidOperation, Overflow])  # 30 + 30 digits, 10^±99, a factor's 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Rows of a column by what they hold. `bins`: rows by bin, or by category in the catalogue's order."""

    rows: int
    missing: int = 0
    not_numbers: int = 0
    not_whole: int = 0
    outside: int = 0
    unknown: int = 0  # rows whose text is no category
    unknown_distinct: int = 0
    unknown_common: tuple[str, ...] = ()  # such texts of at least RARE_ROWS rows
    bins: tuple[int, ...] = ()
    constant: bool = False
    likely_factor: str | None = None  # the factor under which the median would be usual, where it is not

    def to_value(self) -> dict[str, canonical.Value]:
        counts = ("rows", "missing", "not_numbers", "not_whole", "outside", "unknown", "unknown_distinct")
        return {
            **{name: getattr(self, name) for name in counts},
            "unknown_common": [*self.unknown_common],
            "bins": [*self.bins],
            "constant": self.constant,
        }


def measure(entry: Entry, cells: Sequence[str]) -> Figures:
    """The figures of a column; an empty cell is a missing value."""
    found = Counter(cells)
    span = entry.feature.span
    return _listed(entry, found) if span is None else _numeric(entry, span, found)


def number(text: str) -> Decimal | None:
    """The exact number in a cell, or None. Thousands separators, percent signs, NaN and infinities are no numbers."""
    plain = len(text) <= DIGITS_MAX and text.isascii() and text.isdigit()  # most cells: five times as fast
    return Decimal(text) if plain or _NUMBER.fullmatch(text) else None


def _numeric(entry: Entry, span: Span, found: Mapping[str, int]) -> Figures:
    markers = {number(marker) for marker in entry.missing} - {None}
    top, bottom = Decimal(entry.factor.numerator), Decimal(entry.factor.denominator)
    edges = [_EXACT.multiply(edge, bottom) for edge in (span.low, *span.bins, span.high)]
    bins = [0] * (len(edges) - 1)
    missing = not_numbers = not_whole = outside = 0
    values: list[tuple[Decimal, int]] = []  # times the factor's numerator, with how many rows
    for cell, count in found.items():
        raw = number(cell)
        if cell == "" or cell in entry.missing or (raw is not None and raw in markers):
            missing += count
        elif raw is None:
            not_numbers += count
        else:
            value = _EXACT.multiply(raw, top)
            values.append((value, count))
            if span.whole and _EXACT.remainder(value, bottom):
                not_whole += count
            if edges[0] <= value <= edges[-1]:
                bins[min(bisect_right(edges, value), len(bins)) - 1] += count
            else:
                outside += count
    return Figures(
        rows=sum(found.values()),
        missing=missing,
        not_numbers=not_numbers,
        not_whole=not_whole,
        outside=outside,
        bins=tuple(bins),
        constant=bool(values) and all(value == values[0][0] for value, _ in values),
        likely_factor=_likely_factor(entry, span, values),
    )


def _listed(entry: Entry, found: Mapping[str, int]) -> Figures:
    known = codes(entry.feature.categories)
    truths = TRUTHS if entry.feature.kind == "flag" else {}
    translate = {**{code: code for code in known}, **truths, **dict(entry.categories)}
    rows: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    missing = 0
    for cell, count in found.items():
        if cell in translate:
            rows[translate[cell]] += count
        elif cell == "" or cell in entry.missing:
            missing += count
        else:
            unknown[cell] += count
    common = sorted(text for text, count in unknown.items() if count >= RARE_ROWS)
    return Figures(
        rows=sum(found.values()),
        missing=missing,
        unknown=unknown.total(),
        unknown_distinct=len(unknown),
        unknown_common=tuple(common[:COMMON_SHOWN]),
        bins=tuple(rows[code] for code in known),
        constant=len(rows) == 1 and not unknown,
    )


def _likely_factor(entry: Entry, span: Span, values: Sequence[tuple[Decimal, int]]) -> str | None:
    """The factor that makes the median usual, where this entry's does not; from RARE_ROWS values other than 0 on."""
    others = [(value, count) for value, count in values if value]
    if span.typical is None or sum(count for _, count in others) < RARE_ROWS:
        return None
    low, high = (_EXACT.multiply(edge, Decimal(entry.factor.denominator)) for edge in span.typical)
    if _median_within(others, low, high):
        return None
    for slip in SLIPS:
        if _median_within(others, low.scaleb(-slip), high.scaleb(-slip)):
            return str(entry.factor * Fraction(10) ** slip)
    return None


def _median_within(values: Sequence[tuple[Decimal, int]], low: Decimal, high: Decimal) -> bool:
    """Whether low <= lower median <= high, without sorting."""
    total = sum(count for _, count in values)
    below = sum(count for value, count in values if value < low)
    not_above = sum(count for value, count in values if value <= high)
    return 2 * below < total <= 2 * not_above
