"""A first mapping by the names of columns, for people to correct: it is never applied by itself, and reads no value.

A column is proposed for a feature whose name or alias it bears, exactly or as part of its own name, if its type fits.
Words of units (fen, wan, pct) give a factor.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.schema.values import NUMERIC, Catalogue, Feature

FACTORS = {"fen": "1/100", "分": "1/100", "wan": "10000", "万元": "10000", "pct": "1/100", "percent": "1/100"}
EXACT = 1000  # above every score of a part of a name
PART_CHARACTERS_MIN = 4  # shorter aliases ("age") must be the whole name
_TEXTS = ("string", "large_string", "dictionary")
_NUMBERS = ("int", "uint", "double", "float", "halffloat", "decimal")
_WORD = re.compile(r"[a-z0-9]+|[^\x00-\x7f]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A column that may be this feature. `exact`: it bears the feature's name or an alias, and nothing else."""

    column: str
    feature: Feature
    factor: str | None
    exact: bool


def suggest(types: Mapping[str, str], catalogue: Catalogue) -> tuple[Suggestion, ...]:
    """At most one feature a column and one column a feature; the better match first served. types: column -> type."""
    scored = []
    for column, kind in types.items():
        words, factor = _words(column)
        for feature in catalogue.features:
            score = _score(words, feature) if _fits(kind, feature) else 0
            if score:
                scored.append((-score, column, feature.name, feature, factor))
    columns: set[str] = set()
    features: set[str] = set()
    found = []
    for negative, column, name, feature, factor in sorted(scored, key=lambda item: item[:3]):
        if column not in columns and name not in features:
            columns.add(column)
            features.add(name)
            factor = factor if feature.kind in ("money", "ratio") else None
            found.append(Suggestion(column=column, feature=feature, factor=factor, exact=negative <= -EXACT))
    order = list(types)
    return tuple(sorted(found, key=lambda item: order.index(item.column)))


def toml(found: Sequence[Suggestion], columns: Sequence[str], catalogue: Catalogue, lang: str) -> str:
    """A mapping file of the suggestions; columns without one stand in it as comments."""
    head = (
        "# 仅按列名建议，未读取任何数据：请逐行核对后再用 --file 提交。"
        if lang == "zh"
        else "# Proposed by the names of columns alone, no value was read: check every line, then give it with --file."
    )
    by_column = {item.column: item for item in found}
    lines = [head, f"catalogue = {catalogue.version}", "[columns]"]
    for column in columns:
        item = by_column.get(column)
        key = json.dumps(column, ensure_ascii=False)
        lines.append(f'# {key} = ""' if item is None else f"{key} = {_value(item)}  # {_comment(item, lang)}")
    return "\n".join(lines) + "\n"


def _words(column: str) -> tuple[list[str], str | None]:
    words = _WORD.findall(_HUMP.sub("_", column).lower())
    units = [word for word in words if word in FACTORS]
    return [word for word in words if word not in FACTORS], FACTORS[units[0]] if units else None


def _score(words: Sequence[str], feature: Feature) -> int:
    """EXACT and more where a name is the whole column's, else the length of the longest name that is part of it."""
    best, joined = 0, "_" + "_".join(words) + "_"
    for name in (feature.name, *feature.aliases):
        wanted = "_" + "_".join(_WORD.findall(name.lower())) + "_"
        if wanted == joined:
            best = max(best, EXACT + len(name))
        elif len(name) >= PART_CHARACTERS_MIN and (wanted in joined or (not name.isascii() and name in joined)):
            best = max(best, len(name))
    return best


def _fits(kind: str, feature: Feature) -> bool:
    if kind.startswith(_TEXTS):
        return feature.kind not in NUMERIC
    if kind.startswith(_NUMBERS):
        return feature.kind != "category"
    return kind == "bool" and feature.kind == "flag"


def _value(item: Suggestion) -> str:
    name = json.dumps(item.feature.name)
    return f'{{feature = {name}, factor = "{item.factor}"}}' if item.factor else name


def _comment(item: Suggestion, lang: str) -> str:
    unsure = {"en": "" if item.exact else "UNSURE. ", "zh": "" if item.exact else "不确定。"}[lang]
    return f"{unsure}{item.feature.text(lang)} [{item.feature.unit}, {item.feature.window}]"
