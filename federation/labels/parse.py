"""Reads a rules file and checks that it is one: every key known, every bound in its range, no label that nobody gets.

Raises LabelRulesInvalid, naming the field, such as labels[2].when.chance_from.
"""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from federation.labels.errors import LabelRulesInvalid, LabelRulesUnreadable
from federation.labels.rules import RISK_CLASSES, Grade, Label, Rules, When
from privacy import canonical
from privacy.printable import is_printable

FORMAT = 1
DIGEST_LABEL = "ecohub/label-rules/v1"
BYTES_MAX = 1 << 18
LABELS_MAX = 100
VERSION_MAX = 1_000_000
VALID_DAYS = range(1, 3651)
DECILES = range(1, 11)
TEXT_CHARACTERS_MAX = 80
JSON_SUFFIX = ".json"
DEPTH_MAX = 8
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
DECIMAL = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,9})?", re.ASCII)


def parse(data: bytes, file: str) -> Rules:
    """The rules of a file's bytes: JSON where the file's name ends so, else TOML.

    Raises LabelRulesUnreadable, LabelRulesInvalid.
    """
    try:
        if len(data) > BYTES_MAX:
            raise ValueError(f"{len(data)} bytes")
        json = file.lower().endswith(JSON_SUFFIX)
        document = canonical.parse_json(data, DEPTH_MAX) if json else tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise LabelRulesUnreadable(file=file, why=str(error) or type(error).__name__) from None
    top = _table("the file", document, {"format", "name", "version", "risk_classes", "labels"})
    if top["format"] != FORMAT or isinstance(top["format"], bool):
        raise LabelRulesInvalid(where="format", why=f"must be {FORMAT}")
    return Rules(
        name=_name("name", top["name"]),
        version=_whole("version", top["version"], range(1, VERSION_MAX + 1)),
        risk_classes=_risk_classes(top["risk_classes"]),
        labels=_labels(top["labels"]),
        digest=canonical.digest(DIGEST_LABEL, document).hex(),
    )


def _risk_classes(value: object) -> dict[str, int]:
    where = "risk_classes"
    if not isinstance(value, dict) or not value:
        raise LabelRulesInvalid(where=where, why="must say which class each text of the client's record is")
    for text, class_ in value.items():
        inside = f"{where}.{text[:TEXT_CHARACTERS_MAX]!r}"
        _text(inside, text)
        _whole(inside, class_, RISK_CLASSES)
        if text != text.strip():
            raise LabelRulesInvalid(where=inside, why="white space around it is never seen")
    return dict(value)


def _labels(value: object) -> tuple[Label, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= LABELS_MAX:
        raise LabelRulesInvalid(where="labels", why=f"1 to {LABELS_MAX} tables are expected")
    labels = tuple(_label(f"labels[{place}]", item) for place, item in enumerate(value))
    names = [label.name for label in labels]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise LabelRulesInvalid(where=f"labels[{place}].name", why=f"{name} stands there twice")
    return labels


def _label(where: str, value: object) -> Label:
    ordinal = isinstance(value, dict) and "classes" in value
    more = {"classes"} if ordinal else {"when", "risk_level"}
    table = _table(where, value, {"name", "en", "zh", "valid_days", *more})
    return Label(
        name=_name(f"{where}.name", table["name"]),
        en=_text(f"{where}.en", table["en"]),
        zh=_text(f"{where}.zh", table["zh"]),
        valid_days=_whole(f"{where}.valid_days", table["valid_days"], VALID_DAYS),
        grades=_classes(f"{where}.classes", table["classes"]) if ordinal else (_grade(where, table),),
    )


def _classes(where: str, value: object) -> tuple[Grade, ...]:
    """The grades of an ordinal label, the highest class first."""
    if not isinstance(value, list) or not value:
        raise LabelRulesInvalid(where=where, why="tables of class, when and risk_level are expected")
    grades: dict[int, Grade] = {}
    for place, item in enumerate(value):
        inside = f"{where}[{place}]"
        table = _table(inside, item, {"class", "when", "risk_level"})
        class_ = _whole(f"{inside}.class", table["class"], RISK_CLASSES)
        if class_ in grades:
            raise LabelRulesInvalid(where=f"{inside}.class", why=f"class {class_} stands there twice")
        grades[class_] = _grade(inside, table, class_)
    return tuple(grades[class_] for class_ in sorted(grades, reverse=True))


def _grade(where: str, table: Mapping[str, Any], class_: int | None = None) -> Grade:
    level = _whole(f"{where}.risk_level", table["risk_level"], RISK_CLASSES)
    return Grade(class_=class_, when=_when(f"{where}.when", table["when"]), risk_level=level)


def _when(where: str, value: object) -> When:
    table = _table(where, value, set(), set(When.__dataclass_fields__))
    if not table:
        raise LabelRulesInvalid(where=where, why="needs a bound: a label for everybody says nothing")
    deciles = {
        key: _whole(f"{where}.{key}", table[key], DECILES) for key in ("decile_from", "decile_to") if key in table
    }
    if deciles.get("decile_from", 1) > deciles.get("decile_to", 10):
        raise LabelRulesInvalid(where=f"{where}.decile_to", why="is below decile_from: nobody stands there")
    bounds = {key: _decimal(f"{where}.{key}", table[key]) for key in table if key not in deciles}
    for kind in ("chance", "score"):
        low, below = bounds.get(f"{kind}_from"), bounds.get(f"{kind}_below")
        if low is not None and below is not None and low >= below:
            raise LabelRulesInvalid(where=f"{where}.{kind}_below", why=f"must be above {kind}_from")
    for key in ("chance_from", "chance_below"):
        if key in bounds and not 0 <= bounds[key] <= 1:
            raise LabelRulesInvalid(where=f"{where}.{key}", why="a chance lies between 0 and 1")
    return When(
        decile_from=deciles.get("decile_from"),
        decile_to=deciles.get("decile_to"),
        chance_from=bounds.get("chance_from"),
        chance_below=bounds.get("chance_below"),
        score_from=bounds.get("score_from"),
        score_below=bounds.get("score_below"),
    )


def _table(where: str, value: object, needed: set[str], more: set[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise LabelRulesInvalid(where=where, why="must be a table")
    for key in sorted(needed - value.keys()):
        raise LabelRulesInvalid(where=where, why=f"{key} is missing")
    for key in sorted(value.keys() - needed - (more or set())):
        raise LabelRulesInvalid(where=where, why=f"unknown key {key[:TEXT_CHARACTERS_MAX]}")
    return value


def _name(where: str, value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise LabelRulesInvalid(where=where, why="must be 1 to 40 of a-z, 0-9, _ and -, a letter first")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > TEXT_CHARACTERS_MAX or not is_printable(value):
        raise LabelRulesInvalid(where=where, why=f"must be printable text of 1 to {TEXT_CHARACTERS_MAX} characters")
    return value


def _whole(where: str, value: object, known: range) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in known:
        raise LabelRulesInvalid(where=where, why=f"must be a whole number from {known[0]} to {known[-1]}")
    return value


def _decimal(where: str, value: object) -> Decimal:
    if not isinstance(value, str) or not DECIMAL.fullmatch(value):
        raise LabelRulesInvalid(where=where, why='must be a decimal number as text, such as "0.6"')
    return Decimal(value)
