"""A partner's mapping file: own column = standard feature, with an exact unit factor, category translations, markers.

    catalogue = 1
    [columns]
    DEPOSITS = "deposit_balance"
    SPEND_FEN = {feature = "spend_total_12m", factor = "1/100", missing = ["-999"]}
    SEX = {feature = "client_gender", categories = {"M" = "male", "F" = "female"}, missing = ["U"]}

A factor is a positive fraction, column × factor = feature; a float is refused, for it is not what people wrote.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from federation.schema.errors import (
    CategoriesInvalid,
    FactorInvalid,
    FeatureTwice,
    FeatureUnknown,
    MappingMalformed,
    MappingOtherCatalogue,
    MappingUnreadable,
)
from federation.schema.values import LISTED, Catalogue, Feature, codes
from privacy import canonical
from privacy.errors import Failure
from privacy.printable import is_printable

BYTES_MAX = 1 << 20
COLUMNS_MAX = 1000
MARKERS_MAX = 50
TEXT_CHARACTERS_MAX = 200
_FACTOR = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}|/[0-9]{1,9})?", re.ASCII)
_KEY = re.compile(r"""\s*(?:\[\s*columns\s*\.\s*)?(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*[=\].]""")
_MORE = {False: ("factor", "unit_checked", "missing"), True: ("categories", "missing")}  # by: is the feature listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the file: this column is that feature."""

    column: str
    feature: Feature
    line: int
    factor: Fraction = Fraction(1)
    categories: tuple[tuple[str, str], ...] = ()  # (text in the column, category)
    missing: tuple[str, ...] = ()  # what stands for a missing value, besides the empty cell
    unit_checked: bool = False  # a person says that the unit is right, though the median is unusual

    def to_value(self) -> canonical.Value:
        """What the node keeps."""
        return {
            "feature": self.feature.name,
            "line": self.line,
            "factor": str(self.factor),
            "categories": dict(self.categories),
            "missing": [*self.missing],
            "unit_checked": self.unit_checked,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something a person should mend or know. With `stops` the mapping is not stored."""

    failure: Failure
    stops: bool = True

    def to_value(self) -> canonical.Value:
        facts = self.failure.facts
        return {
            "level": "stop" if self.stops else "note",
            "code": self.failure.code,
            "line": int(facts.get("line", 0)),
            "column": str(facts.get("column", "")),
            "en": self.failure.message("en"),
            "zh": self.failure.message("zh"),
        }


def parse(data: bytes, file: str, catalogue: Catalogue) -> tuple[tuple[Entry, ...], tuple[Finding, ...]]:
    """The entries that are well-formed, and what is wrong with the others.

    Raises MappingUnreadable, MappingMalformed and MappingOtherCatalogue where the file as a whole is no mapping.
    """
    try:
        if len(data) > BYTES_MAX:
            raise ValueError(f"{len(data)} bytes")
        text = data.decode()
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise MappingUnreadable(file=file, why=str(error) or type(error).__name__) from None
    lines = _lines(text)
    for key in sorted(document.keys() - {"catalogue", "columns"}):
        raise MappingMalformed(line=lines.get(key, 1), why=f"unknown key {key}")
    version, columns = document.get("catalogue"), document.get("columns")
    if not isinstance(version, int) or isinstance(version, bool):
        raise MappingMalformed(line=lines.get("catalogue", 1), why=f"catalogue = {catalogue.version} is expected first")
    if version != catalogue.version:
        raise MappingOtherCatalogue(line=lines["catalogue"], found=version, known=catalogue.version)
    if not isinstance(columns, dict) or len(columns) > COLUMNS_MAX:
        raise MappingMalformed(line=1, why=f"a table [columns] of at most {COLUMNS_MAX} columns is expected")
    return _entries(columns, lines, catalogue)


def near(name: str, names: tuple[str, ...]) -> str:
    """Names that somebody may have meant, for a message."""
    return ", ".join(get_close_matches(name, names, 3, 0.5)) or "-"


def _entries(
    columns: Mapping[str, Any], lines: Mapping[str, int], catalogue: Catalogue
) -> tuple[tuple[Entry, ...], tuple[Finding, ...]]:
    entries: dict[str, Entry] = {}  # by feature
    findings: list[Finding] = []
    for column, spec in columns.items():
        try:
            entry = _entry(column, spec, lines.get(column, 0), catalogue)
            earlier = entries.setdefault(entry.feature.name, entry)
            if earlier is not entry:
                raise FeatureTwice(line=entry.line, column=column, feature=entry.feature.name, other=earlier.column)
        except Failure as failure:
            findings.append(Finding(failure=failure))
    return tuple(entries.values()), tuple(findings)


def _entry(column: str, spec: object, line: int, catalogue: Catalogue) -> Entry:
    table = {"feature": spec} if isinstance(spec, str) else spec
    if not _is_text(column) or not isinstance(table, dict) or not isinstance(table.get("feature"), str):
        why = f'column {column[:TEXT_CHARACTERS_MAX]!r} needs a feature: "name" or {{feature = "name", ...}}'
        raise MappingMalformed(line=line, column=column[:TEXT_CHARACTERS_MAX], why=why)
    name = table["feature"]
    feature = catalogue.find(name)
    if feature is None:
        known = tuple(known.name for known in catalogue.features)
        raise FeatureUnknown(line=line, column=column, feature=name[:TEXT_CHARACTERS_MAX], near=near(name, known))
    listed = feature.kind in LISTED
    for key in sorted(table.keys() - {"feature", *_MORE[listed]}):
        why = f"column {column}: {key!r} does not go with a feature of the kind {feature.kind}"
        raise MappingMalformed(line=line, column=column, why=why)
    checked = table.get("unit_checked", False)
    if not isinstance(checked, bool):
        raise MappingMalformed(line=line, column=column, why=f"column {column}: unit_checked is true or false")
    return Entry(
        column=column,
        feature=feature,
        line=line,
        factor=_factor(column, feature, line, table.get("factor", "1")),
        categories=_categories(column, feature, line, table.get("categories", {})),
        missing=_missing(column, line, table.get("missing", [])),
        unit_checked=checked,
    )


def _factor(column: str, feature: Feature, line: int, value: object) -> Fraction:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        if not isinstance(text, str) or not _FACTOR.fullmatch(text):
            raise ValueError("it is no exact number as text")
        factor = Fraction(text)
        if factor == 0:
            raise ValueError("it is 0")
    except (ValueError, ZeroDivisionError) as error:
        raise FactorInvalid(line=line, column=column, unit=feature.unit, why=f"factor: {error}") from None
    return factor


def _categories(column: str, feature: Feature, line: int, value: object) -> tuple[tuple[str, str], ...]:
    known = codes(feature.categories)
    wrong = ""
    if not isinstance(value, dict) or not all(isinstance(code, str) for code in value.values()):
        wrong = "categories is a table of text = category"
    elif bad := [f"{text[:40]!r} = {code[:40]!r}" for text, code in value.items() if code not in known]:
        wrong = f"{bad[0]} is no translation"
    if wrong or not isinstance(value, dict):
        names = ", ".join(known)
        raise CategoriesInvalid(line=line, column=column, feature=feature.name, known=names, why=wrong)
    return tuple(value.items())


def _missing(column: str, line: int, value: object) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or len(value) > MARKERS_MAX
        or not all(isinstance(item, str) and len(item) <= TEXT_CHARACTERS_MAX for item in value)
    ):
        why = f'column {column}: missing is a list of at most {MARKERS_MAX} texts, such as missing = ["-999", "N/A"]'
        raise MappingMalformed(line=line, column=column, why=why)
    return tuple(item.strip() for item in value)


def _is_text(text: str) -> bool:
    return 0 < len(text) <= TEXT_CHARACTERS_MAX and is_printable(text)


def _lines(text: str) -> dict[str, int]:
    """key -> number of the line where it first begins one: tomllib tells no places."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _KEY.match(line)
        if match:
            found.setdefault(next(group for group in match.groups() if group is not None), number)
    return found
