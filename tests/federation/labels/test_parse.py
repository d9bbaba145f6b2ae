"""Rules files: what is read, what is refused, and that the message names the field."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from federation.labels import Grade, LabelRulesInvalid, LabelRulesUnreadable, When, parse, words
from federation.labels.parse import BYTES_MAX, LABELS_MAX

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "labels" / "joint-profile.toml"
GONE = object()


def document() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))


def changed(path: str, value: object) -> bytes:
    """The example as JSON with one field set, or taken away; numbers in a path are places in a list."""
    top = document()
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    inside: Any = top
    for step in way:
        inside = inside[step]
    if value is GONE:
        del inside[last]
    else:
        inside[last] = value
    return json.dumps(top).encode()


def test_the_example_is_read_with_its_ordinal_label_from_the_highest_class() -> None:
    rules = parse(EXAMPLE.read_bytes(), EXAMPLE.name)
    assert (rules.name, rules.version, len(rules.digest)) == ("joint-profile", 1, 64)
    assert [label.name for label in rules.labels] == ["high_net_worth_potential", "first_investment", "risk_appetite"]
    when = When(decile_from=9, chance_from=Decimal("0.6"))
    assert rules.labels[0].grades == (Grade(class_=None, when=when, risk_level=3),)
    assert [grade.class_ for grade in rules.labels[2].grades] == [5, 4, 3, 2, 1]
    assert (rules.risk_class(" C3 "), rules.risk_class("3"), rules.risk_class("")) == (3, None, None)
    assert words.rule(rules.labels[1].grades[0]) == (
        "chance from 0.35, below 0.6; for clients of risk class 1 or above",
        "概率不低于 0.35、低于 0.6；适用于风险等级 1 级及以上客户",
    )


def test_the_digest_is_over_the_content() -> None:
    plain = parse(EXAMPLE.read_bytes(), "rules.toml")
    commented = parse(b"# another comment\n" + EXAMPLE.read_bytes(), "rules.toml")
    as_json = parse(json.dumps(document()).encode(), "rules.JSON")
    assert plain.digest == commented.digest == as_json.digest
    assert parse(changed("labels/0/risk_level", 4), "rules.json").digest != plain.digest


@pytest.mark.parametrize(
    ("path", "value", "where", "why"),
    [
        ("format", 2, "format", "must be 1"),
        ("format", True, "format", "must be 1"),
        ("version", 0, "version", "from 1"),
        ("version", "1", "version", "whole number"),
        ("name", "Joint Profile", "name", "a-z"),
        ("more", 1, "the file", "unknown key more"),
        ("risk_classes", GONE, "the file", "risk_classes is missing"),
        ("risk_classes", {}, "risk_classes", "which class"),
        ("risk_classes/C5", 6, "risk_classes.'C5'", "from 1 to 5"),
        ("risk_classes/C5", True, "risk_classes.'C5'", "from 1 to 5"),
        ("risk_classes/ C6", 5, "risk_classes.' C6'", "white space"),
        ("risk_classes/\u202ec", 5, r"risk_classes.'\u202ec'", "printable"),
        ("labels", [], "labels", "tables"),
        ("labels", [{}] * (LABELS_MAX + 1), "labels", "100"),
        ("labels/1", "label", "labels[1]", "table"),
        ("labels/1/name", "high_net_worth_potential", "labels[1].name", "twice"),
        ("labels/1/name", "=cmd", "labels[1].name", "a-z"),
        ("labels/1/zh", GONE, "labels[1]", "zh is missing"),
        ("labels/1/en", " ", "labels[1].en", "printable text"),
        ("labels/1/en", "a\ud800", "labels[1].en", "printable text"),
        ("labels/1/valid_days", 0, "labels[1].valid_days", "from 1 to 3650"),
        ("labels/1/risk_level", 6, "labels[1].risk_level", "from 1 to 5"),
        ("labels/1/risk_level", GONE, "labels[1]", "risk_level is missing"),
        ("labels/1/class", 3, "labels[1]", "unknown key class"),
        ("labels/1/when", {}, "labels[1].when", "everybody"),
        ("labels/1/when/age", 30, "labels[1].when", "unknown key age"),
        ("labels/1/when/chance_from", 0.35, "labels[1].when.chance_from", "decimal number as text"),
        ("labels/1/when/chance_from", "1e-1", "labels[1].when.chance_from", "decimal number as text"),
        ("labels/1/when/chance_below", "1.01", "labels[1].when.chance_below", "between 0 and 1"),
        ("labels/1/when/chance_below", "0.35", "labels[1].when.chance_below", "above chance_from"),
        ("labels/0/when/decile_from", 11, "labels[0].when.decile_from", "from 1 to 10"),
        ("labels/0/when/decile_to", 8, "labels[0].when.decile_to", "nobody"),
        ("labels/2/classes", [], "labels[2].classes", "tables of class"),
        ("labels/2/classes/1/class", 1, "labels[2].classes[1].class", "twice"),
        ("labels/2/classes/1/class", 7, "labels[2].classes[1].class", "from 1 to 5"),
        ("labels/2/classes/1/when", "all", "labels[2].classes[1].when", "table"),
        ("labels/2/risk_level", 3, "labels[2]", "unknown key risk_level"),
    ],
)
def test_a_field_that_is_wrong_is_named(path: str, value: object, where: str, why: str) -> None:
    with pytest.raises(LabelRulesInvalid) as refused:
        parse(changed(path, value), "rules.json")
    assert refused.value.facts["where"] == where
    assert why in str(refused.value.facts["why"])
    assert where in refused.value.message("zh")


@pytest.mark.parametrize(
    ("data", "file"),
    [
        (b"format = ", "rules.toml"),
        (b"\xff\xfe", "rules.toml"),
        (b"{", "rules.json"),
        (b"[" * 50 + b"]" * 50, "rules.json"),
        (b"#" * (BYTES_MAX + 1), "rules.toml"),
    ],
    ids=["no-toml", "no-utf8", "no-json", "nested", "too-large"],
)
def test_what_is_no_file_of_rules_is_refused(data: bytes, file: str) -> None:
    with pytest.raises(LabelRulesUnreadable):
        parse(data, file)


def test_a_list_is_no_rules() -> None:
    with pytest.raises(LabelRulesInvalid, match="must be a table"):
        parse(b"[]", "rules.json")
