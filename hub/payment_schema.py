"""The check of a document against its schema, an XSD that lies in `hub/schemas`.

Only the words of XML Schema that these schemas use are known (sequence, choice, element with its occurrences, text with
a required attribute, restrictions by pattern, length, digits, bounds and enumeration); another word is a broken schema,
never a check left out. So one file needs no library.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources

from hub import payment_xml
from hub.payment_errors import PaymentFileInvalid
from hub.payment_xml import Element

XSD = "http://www.w3.org/2001/XMLSchema"
PAIN = "pain.001.001.09"
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Schema:
    """`namespace` of the documents; `roots` and `types` by name."""

    namespace: str
    roots: Mapping[str, str]
    types: Mapping[str, Element]


@cache
def load(name: str) -> Schema:
    """The schema of this name."""
    root = payment_xml.parse((resources.files("hub") / "schemas" / f"{name}.xsd").read_bytes())
    assert (root.name, root.namespace) == ("schema", XSD), f"{name}.xsd is no schema"
    types = {child.attributes["name"]: child for child in root.children if child.name.endswith("Type")}
    roots = {child.attributes["name"]: child.attributes["type"] for child in root.children if child.name == "element"}
    assert len(types) + len(roots) == len(root.children), f"{name}.xsd holds more than elements and types"
    return Schema(root.attributes["targetNamespace"], roots, types)


def check(data: bytes, name: str = PAIN) -> Element:
    """The root of a document that is valid under a schema. Raises PaymentFileInvalid, BankFileInvalid (not XML)."""
    schema, root = load(name), payment_xml.parse(data)
    if root.namespace != schema.namespace or root.name not in schema.roots:
        raise PaymentFileInvalid(where=root.name, why=f"a document of {schema.namespace} is expected")
    _element(schema, root, schema.roots[root.name], root.name)
    return root


def _element(schema: Schema, found: Element, kind: str, where: str) -> None:
    if found.namespace != schema.namespace:
        raise PaymentFileInvalid(where=where, why="an element of another namespace")
    declared = schema.types[kind]
    if declared.name == "simpleType":
        _no_more(found, set(), where)
        _simple(schema, found.text, kind, where)
        return
    (content,) = declared.children
    if content.name == "simpleContent":
        _text_with_attributes(schema, found, content, where)
        return
    _no_more(found, set(), where, children=True)
    if found.text.strip():
        raise PaymentFileInvalid(where=where, why="text where elements are expected")
    if content.name == "sequence":
        _sequence(schema, found, content.children, where)
    else:
        assert content.name == "choice", f"the schema's word {content.name} is not known"
        by_name = {one.attributes["name"]: one.attributes["type"] for one in content.children}
        if len(found.children) != 1 or found.children[0].name not in by_name:
            raise PaymentFileInvalid(where=where, why=f"exactly one of {', '.join(by_name)} is expected")
        child = found.children[0]
        _element(schema, child, by_name[child.name], f"{where}/{child.name}")


def _sequence(schema: Schema, found: Element, declared: Sequence[Element], where: str) -> None:
    rest = list(found.children)
    for one in declared:
        assert one.name == "element", f"the schema's word {one.name} is not known"
        name, most = one.attributes["name"], one.attributes.get("maxOccurs", "1")
        count = 0
        while rest and rest[0].name == name and (most == "unbounded" or count < int(most)):
            _element(schema, rest.pop(0), one.attributes["type"], f"{where}/{name}")
            count += 1
        if count < int(one.attributes.get("minOccurs", "1")):
            raise PaymentFileInvalid(where=where, why=f"{name} is missing or not in its place")
    if rest:
        raise PaymentFileInvalid(where=where, why=f"{rest[0].name} is not expected there")


def _text_with_attributes(schema: Schema, found: Element, content: Element, where: str) -> None:
    (extension,) = content.children
    _no_more(found, {one.attributes["name"] for one in extension.children}, where)
    _simple(schema, found.text, extension.attributes["base"], where)
    for one in extension.children:
        assert (one.name, one.attributes.get("use")) == ("attribute", "required"), "only required attributes are known"
        name = one.attributes["name"]
        if name not in found.attributes:
            raise PaymentFileInvalid(where=where, why=f"the attribute {name} is missing")
        _simple(schema, found.attributes[name], one.attributes["type"], f"{where}/@{name}")


def _no_more(found: Element, attributes: set[str], where: str, *, children: bool = False) -> None:
    if set(found.attributes) - attributes or (found.children and not children):
        raise PaymentFileInvalid(where=where, why="an attribute or element that is not expected")


def _simple(schema: Schema, text: str, kind: str, where: str) -> None:
    (restriction,) = schema.types[kind].children
    if not BUILT_IN[restriction.attributes["base"]](text):
        raise PaymentFileInvalid(where=where, why=f"{text[:40]!r} is no {restriction.attributes['base']}")
    listed = [facet.attributes["value"] for facet in restriction.children if facet.name == "enumeration"]
    if listed and text not in listed:
        raise PaymentFileInvalid(where=where, why=f"{text[:40]!r} is none of {', '.join(listed)}")
    for facet in restriction.children:
        if facet.name != "enumeration" and not FACETS[facet.name](text, facet.attributes["value"]):
            raise PaymentFileInvalid(where=where, why=f"{text[:40]!r} breaks {facet.name} {facet.attributes['value']}")


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    try:
        return _DATE.match(text) is not None and text[10:11] == "T" and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _digits(text: str) -> tuple[int, int]:
    """(significant digits, digits after the point) of a decimal text."""
    whole, _, part = text.lstrip("-").partition(".")
    part = part.rstrip("0")
    return len((whole.lstrip("0") + part).lstrip("0")) or 1, len(part)


BUILT_IN: Mapping[str, Callable[[str], bool]] = {
    "xs:string": lambda text: True,
    "xs:boolean": lambda text: text in ("true", "false", "1", "0"),
    "xs:decimal": lambda text: _DECIMAL.fullmatch(text) is not None,
    "xs:date": _is_date,
    "xs:dateTime": _is_instant,
}
FACETS: Mapping[str, Callable[[str, str], bool]] = {
    "pattern": lambda text, value: re.fullmatch(value, text, re.ASCII) is not None,
    "minLength": lambda text, value: len(text) >= int(value),
    "maxLength": lambda text, value: len(text) <= int(value),
    "totalDigits": lambda text, value: _digits(text)[0] <= int(value),
    "fractionDigits": lambda text, value: _digits(text)[1] <= int(value),
    "minInclusive": lambda text, value: Decimal(text) >= Decimal(value),
}
