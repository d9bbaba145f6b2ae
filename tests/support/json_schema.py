"""The part of JSON Schema (draft 2020-12) that the schema of agreements uses, by the words of its specification."""

import re
from typing import Any

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
KNOWN = {
    *("$schema", "title", "$defs", "$ref", "oneOf", "anyOf", "enum", "const", "type", "format"),
    *("properties", "required", "additionalProperties", "minProperties", "items", "minItems", "maxItems"),
    *("minimum", "maximum", "minLength", "maxLength", "pattern"),
}


def holds(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value is valid. A keyword that is not known here is an AssertionError, never ignored."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return holds(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "oneOf" in schema and sum(holds(value, one, root) for one in schema["oneOf"]) != 1:
        return False
    if "anyOf" in schema and not any(holds(value, one, root) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "type" in schema and not _is_a(value, schema["type"]):
        return False
    return _by_type(value, schema, root)


def _is_a(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def _by_type(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if not set(schema.get("required", ())) <= set(value) or len(value) < schema.get("minProperties", 0):
            return False
        if schema.get("additionalProperties") is False and not set(value) <= set(known):
            return False
        return all(holds(item, known[name], root) for name, item in value.items() if name in known)
    if isinstance(value, list):
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return fits and all(holds(item, schema["items"], root) for item in value if "items" in schema)
    if isinstance(value, str):
        fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return fits and re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int) and not isinstance(value, bool):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True
