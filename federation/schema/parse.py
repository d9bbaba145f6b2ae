"""Reads a catalogue file and checks that it is one: every key known, names unique, edges rising inside the range.

Raises CatalogueInvalid, naming the feature and what is wrong with it.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from federation.schema.errors import CatalogueInvalid
from federation.schema.values import (
    CLASSES,
    KINDS,
    LISTED,
    NUMBERS,
    TRANSFORMS,
    Catalogue,
    Feature,
    Span,
    Word,
    codes,
)
from privacy import canonical

LABEL = "ecohub/profile-catalogue/v1"
BINS_MAX = 32  # as design/vertical.md bounds the bins of a column
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", re.ASCII)
CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
WORDS = ("domains", "windows", "currency_rules", "purposes")
NEEDED = {"name", "domain", "en", "zh", "kind", "unit", "window", "transform", "class", "purposes", "aliases"}
NUMERIC_KEYS = {"number", "min", "max", "bins"}


def parse(text: str) -> Catalogue:
    """The catalogue of a TOML text; its digest is over the content, not over comments or spaces."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueInvalid(where="the file", why=str(error)) from None
    _keys("the file", document, {"version", "features", *WORDS}, frozenset())
    version = document["version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CatalogueInvalid(where="version", why="must be a whole number from 1")
    words = {name: _words(name, document[name]) for name in WORDS}
    listed = document["features"]
    if not isinstance(listed, list) or not listed or not all(isinstance(item, dict) for item in listed):
        raise CatalogueInvalid(where="features", why="must be tables [[features]]")
    features = tuple(_feature(item, words) for item in listed)
    _unique("features", [feature.name for feature in features])
    digest = canonical.digest(LABEL, document).hex()
    return Catalogue(version=version, digest=digest, features=features, **words)


def _feature(table: Mapping[str, Any], words: Mapping[str, tuple[Word, ...]]) -> Feature:
    where = str(table.get("name", "a feature without name"))
    kind = _one_of(where, table, "kind", KINDS)
    numeric = kind not in LISTED
    more = set(NUMERIC_KEYS if numeric else {"categories"}) | ({"currency"} if kind == "money" else set())
    _keys(where, table, NEEDED | more, {"typical"} if numeric else frozenset())
    texts = {key: _text(where, key, table[key]) for key in ("name", "en", "zh", "unit")}
    if not NAME.fullmatch(texts["name"]):
        raise CatalogueInvalid(where=where, why="a name is two or more words of a-z and 0-9 joined by _")
    purposes = _texts(where, "purposes", table["purposes"])
    if not purposes or not set(purposes) <= set(codes(words["purposes"])):
        raise CatalogueInvalid(where=where, why="purposes must name purposes of the file")
    transform = _one_of(where, table, "transform", tuple(TRANSFORMS))
    if (transform == "indicator") is numeric:
        raise CatalogueInvalid(where=where, why="transform indicator goes with categories and flags, and only there")
    return Feature(
        name=texts["name"],
        domain=_one_of(where, table, "domain", codes(words["domains"])),
        en=texts["en"],
        zh=texts["zh"],
        kind=kind,
        unit=texts["unit"],
        currency=_one_of(where, table, "currency", codes(words["currency_rules"])) if kind == "money" else None,
        window=_one_of(where, table, "window", codes(words["windows"])),
        span=_span(where, table, transform) if numeric else None,
        categories=_categories(where, kind, table["categories"]) if not numeric else (),
        transform=transform,
        class_=_one_of(where, table, "class", CLASSES),
        purposes=purposes,
        aliases=_texts(where, "aliases", table["aliases"]),
    )


def _span(where: str, table: Mapping[str, Any], transform: str) -> Span:
    low, high = _decimal(where, "min", table["min"]), _decimal(where, "max", table["max"])
    bins = tuple(_decimal(where, "bins", edge) for edge in _texts(where, "bins", table["bins"]))
    edges = (low, *bins, high)
    if any(a >= b for a, b in pairwise(edges)):
        raise CatalogueInvalid(where=where, why="min, bins and max must rise")
    if not 0 < len(bins) < BINS_MAX:
        raise CatalogueInvalid(where=where, why=f"1 to {BINS_MAX - 1} inner edges are expected in bins")
    whole = _one_of(where, table, "number", NUMBERS) == "integer"
    if whole and any(edge % 1 for edge in edges):
        raise CatalogueInvalid(where=where, why="min, bins and max of an integer must be whole")
    if low < 0 and transform == "log1p":
        raise CatalogueInvalid(where=where, why="values below 0 need the transform signed_log1p or none")
    return Span(whole=whole, low=low, high=high, bins=bins, typical=_typical(where, table, low, high))


def _typical(where: str, table: Mapping[str, Any], low: Decimal, high: Decimal) -> tuple[Decimal, Decimal] | None:
    if "typical" not in table:
        return None
    found = [_decimal(where, "typical", edge) for edge in _texts(where, "typical", table["typical"])]
    if len(found) != 2 or not low <= found[0] < found[1] <= high:
        raise CatalogueInvalid(where=where, why="typical must be two rising numbers within min and max")
    return found[0], found[1]


def _categories(where: str, kind: str, value: object) -> tuple[Word, ...]:
    found = _words(where, value)
    if len(found) < 2 or (kind == "flag" and codes(found) != ("0", "1")):
        raise CatalogueInvalid(where=where, why="two categories or more are expected, of a flag 0 and 1")
    return found


def _words(where: str, value: object) -> tuple[Word, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise CatalogueInvalid(where=where, why="a list of {code, en, zh} is expected")
    found = []
    for item in value:
        _keys(where, item, {"code", "en", "zh"}, frozenset())
        found.append(Word(**{key: _text(where, key, item[key]) for key in ("code", "en", "zh")}))
        if not CODE.fullmatch(found[-1].code):
            raise CatalogueInvalid(where=where, why=f"{found[-1].code!r} is no code")
    _unique(where, [word.code for word in found])
    return tuple(found)


def _keys(where: str, table: Mapping[str, Any], needed: set[str], more: set[str] | frozenset[str]) -> None:
    for key in sorted(needed - table.keys()):
        raise CatalogueInvalid(where=where, why=f"{key} is missing")
    for key in sorted(table.keys() - needed - more):
        raise CatalogueInvalid(where=where, why=f"unknown key {key}")


def _unique(where: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise CatalogueInvalid(where=where, why=f"{name} stands there twice")


def _one_of(where: str, table: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    value = table.get(key)
    if not isinstance(value, str) or value not in known:
        raise CatalogueInvalid(where=where, why=f"{key} must be one of {', '.join(known)}")
    return value


def _text(where: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise CatalogueInvalid(where=where, why=f"{key} must be text")
    return value


def _texts(where: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise CatalogueInvalid(where=where, why=f"{key} must be a list of texts")
    found = tuple(_text(where, key, item) for item in value)
    _unique(f"{where}.{key}", found)
    return found


def _decimal(where: str, key: str, value: object) -> Decimal:
    if not isinstance(value, str) or not DECIMAL.fullmatch(value):
        raise CatalogueInvalid(where=where, why=f"{key} must be decimal numbers as text")
    return Decimal(value)
