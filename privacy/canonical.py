"""Canonical JSON and labelled digests: one value, one sequence of bytes, one digest.

RFC 8785 (JSON Canonicalization Scheme) restricted to strings, integers, booleans, null, lists and objects. There are no
floats: a measured figure travels as an integer with its unit in its name (`auc_ppm`) or as text. Integers stay inside
±(2^53 - 1), the range RFC 8785 section 3.2.2.3 keeps exact.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any, TypeAlias

from privacy.errors import Failure, Kind

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value] | None"

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 32
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class NotCanonical(Failure):
    code = "NOT_CANONICAL"
    kind = Kind.INVALID
    en = "the document is not canonical JSON: {why}"
    zh = "文档不是规范化 JSON：{why}"


def encode(value: Value) -> bytes:
    """The canonical UTF-8 bytes of a value.

    Raises NotCanonical for floats, integers outside ±(2^53-1), lone surrogates, other types, nesting over 32.
    """
    out: list[str] = []
    _write(value, out, 0)
    return "".join(out).encode()


def decode(data: bytes) -> Value:
    """The value of canonical bytes. Raises NotCanonical unless the bytes are exactly what `encode` gives back."""
    try:
        value: Value = parse_json(data, DEPTH_MAX)
    except ValueError as error:
        raise NotCanonical(why=type(error).__name__) from None
    if encode(value) != data:
        raise NotCanonical(why="other bytes than the canonical form")
    return value


def parse_json(data: bytes, depth_max: int) -> Any:
    """The value of any JSON from outside. Raises ValueError where it is none, no UTF-8, or nests deeper than depth_max.

    The depth is counted before the parser sees it: some EVM libraries raise Python's recursion limit so far that the
    parser would overflow the stack of the process instead of raising RecursionError.
    """
    if data.count(b"[") + data.count(b"{") > depth_max:
        depth = 0
        for bracket in _BRACKET.finditer(_STRING.sub(b"", data)):
            depth += 1 if bracket[0] in (b"[", b"{") else -1
            if depth > depth_max:
                raise ValueError(f"nested deeper than {depth_max}")
    return json.loads(data.decode())


def digest(label: str, value: Value) -> bytes:
    """SHA-256(label ‖ 0x00 ‖ canonical bytes): 32 bytes. The label names what is hashed and its version."""
    return digest_bytes(label, encode(value))


def digest_bytes(label: str, data: bytes) -> bytes:
    """SHA-256(label ‖ 0x00 ‖ data): 32 bytes, domain-separated by the label."""
    return hashlib.sha256(label.encode() + b"\x00" + data).digest()


def ordered(names: Iterable[str]) -> list[str]:
    """Names of properties by their UTF-16 code units (RFC 8785 section 3.2.3). ASCII sorts so by itself.

    Raises UnicodeEncodeError for a lone surrogate.
    """
    listed = list(names)
    return sorted(listed) if "".join(listed).isascii() else sorted(listed, key=lambda name: name.encode("utf-16-be"))


def _write(value: Value, out: list[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise NotCanonical(why=f"nested deeper than {DEPTH_MAX}")
    if value is None or isinstance(value, bool):
        out.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise NotCanonical(why="an integer beyond 2^53 - 1")
        out.append(str(value))
    elif isinstance(value, str):
        out.append(_text(value))
    elif isinstance(value, list | tuple):
        out.append("[")
        for i, item in enumerate(value):
            out.append("," if i else "")
            _write(item, out, depth + 1)
        out.append("]")
    elif isinstance(value, dict):
        _write_object(value, out, depth)
    else:
        raise NotCanonical(why=f"a value of type {type(value).__name__}")


def _write_object(value: dict[str, Value], out: list[str], depth: int) -> None:
    for key in value:
        if not isinstance(key, str):
            raise NotCanonical(why="a key that is not text")
        _text(key)  # a lone surrogate must fail here, before the sort
    out.append("{")
    for i, key in enumerate(ordered(value)):
        out.append(("," if i else "") + _text(key) + ":")
        _write(value[key], out, depth + 1)
    out.append("}")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotCanonical(why="a lone surrogate") from None
    return encode_basestring(value)
