"""What stands in the way of a mapping: rules of class and purpose against the asset, and counts against the catalogue.

Stops: wrong column, class, purpose or type, no value at all, a median that looks like another unit, and more than one
row in a hundred outside the range or without a known category. Everything else is a note.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from federation.schema.errors import (
    AllMissing,
    CategoriesUnknown,
    ClassNeverShared,
    ClassTooLow,
    ColumnAbsent,
    ColumnIsId,
    ColumnUnclassified,
    Constant,
    ManyMissing,
    NotNumbers,
    NotWhole,
    OutOfRange,
    PurposeNotAllowed,
    RareBin,
    UnitSuspect,
)
from federation.schema.mapping import Entry, Finding, near
from federation.schema.measure import RARE_ROWS, Figures
from federation.schema.values import CLASSES

STRAY_PERCENT = 1  # rows that may be out of range or of no category
MISSING_PERCENT = 50  # more missing values than this are said


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    """What the rules ask of an asset."""

    name: str
    id_column: str
    present: tuple[str, ...]  # columns of the source
    classes: Mapping[str, str]
    purposes: tuple[str, ...]


def rule(entry: Entry, asset: AssetView) -> Finding | None:
    """The first rule of column, class or purpose that the entry breaks; each stops."""
    column, feature = entry.column, entry.feature
    facts: dict[str, str | int] = {"line": entry.line, "column": column, "feature": feature.name, "asset": asset.name}
    if column == asset.id_column:
        return Finding(failure=ColumnIsId(**facts))
    if column not in asset.present:
        return Finding(failure=ColumnAbsent(near=near(column, asset.present), **facts))
    class_ = asset.classes.get(column)
    if class_ is None:
        return Finding(failure=ColumnUnclassified(**facts))
    if class_ not in CLASSES:
        return Finding(failure=ClassNeverShared(**facts))
    if CLASSES.index(class_) < CLASSES.index(feature.class_):
        return Finding(failure=ClassTooLow(needed=feature.class_, found=class_, **facts))
    for purpose in asset.purposes:
        if purpose not in feature.purposes:
            return Finding(failure=PurposeNotAllowed(purpose=purpose, allowed=", ".join(feature.purposes), **facts))
    return None


def counts(entry: Entry, figures: Figures) -> Iterator[Finding]:
    """What the counts of a column tell."""
    feature, rows = entry.feature, figures.rows
    facts: dict[str, str | int] = {
        "line": entry.line,
        "column": entry.column,
        "feature": feature.name,
        "unit": feature.unit,
        "rows": rows,
    }
    if figures.missing == rows:
        yield Finding(failure=AllMissing(**facts))
        return
    if figures.not_numbers:
        yield Finding(failure=NotNumbers(count=figures.not_numbers, **facts))
    if figures.likely_factor and not entry.unit_checked:
        yield Finding(failure=UnitSuspect(factor=figures.likely_factor, **facts))
    if figures.not_whole:
        yield Finding(failure=NotWhole(count=figures.not_whole, **facts))
    if figures.outside and feature.span is not None:
        low, high = str(feature.span.low), str(feature.span.high)
        failure = OutOfRange(count=figures.outside, low=low, high=high, **facts)
        yield Finding(failure=failure, stops=_many(figures.outside, rows))
    if figures.unknown:
        example = feature.categories[0].code
        unknown = CategoriesUnknown(count=figures.unknown, distinct=figures.unknown_distinct, example=example, **facts)
        yield Finding(failure=unknown, stops=_many(figures.unknown, rows))
    yield from _notes(figures, facts)


def _notes(figures: Figures, facts: Mapping[str, str | int]) -> Iterator[Finding]:
    if 100 * figures.missing > MISSING_PERCENT * figures.rows:
        yield Finding(failure=ManyMissing(count=figures.missing, **facts), stops=False)
    if figures.constant:
        yield Finding(failure=Constant(**facts), stops=False)
    rare = sum(0 < count < RARE_ROWS for count in figures.bins)
    if rare and not figures.constant:
        yield Finding(failure=RareBin(count=rare, least=RARE_ROWS, **facts), stops=False)


def _many(count: int, rows: int) -> bool:
    return 100 * count > STRAY_PERCENT * rows
