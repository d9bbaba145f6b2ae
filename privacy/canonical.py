"""Canonical JSON and labelled digests: one value, one sequence of bytes, one digest.

RFC 8785 (JSON Canonicalization Scheme) restricted to strings, integers, booleans, null, lists and objects. There are no
floats: a measured figure travels as an integer with its unit in its name (`auc_ppm`) or as text. Integers stay inside
±(2^53 - 1), the range RFC 8785 section 3.2.2.3 keeps exact.
"""

import hashlib
import json
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any, TypeAlias

from privacy.errors import Failure, Kind

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value] | None"

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 32
_NO_BRACKET = bytes(set(range(256)) - set(b'[]{}"'))
# sorts names as text, which is RFC 8785's order where all are ASCII
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


class NotCanonical(Failure):
    code = "NOT_CANONICAL"
    kind = Kind.INVALID
    en = "the document is not canonical JSON: {why}"
    zh = "文档不是规范化 JSON：{why}"


def encode(value: Value) -> bytes:
    """The canonical UTF-8 bytes of a value.

    Raises NotCanonical for floats, integers outside ±(2^53-1), lone surrogates, other types, nesting over 32.
    """
    if _names_are_ascii(value, 0):
        return _utf8(_ENCODER.encode(value))
    out: list[str] = []
    _write(value, out)
    return _utf8("".join(out))


def decode(data: bytes) -> Value:
    """The value of canonical bytes. Raises NotCanonical unless the bytes are exactly what `encode` gives back."""
    try:
        _check_depth(data, DEPTH_MAX)
        value: Value = json.loads(data.decode(), parse_int=_integer, parse_float=_no_float, parse_constant=_no_float)
    except ValueError as error:
        raise NotCanonical(why=type(error).__name__) from None
    # without a byte beyond ASCII there is no name that sorts otherwise, and the parser made nothing but plain values
    if (_utf8(_ENCODER.encode(value)) if data.isascii() else encode(value)) != data:
        raise NotCanonical(why="other bytes than the canonical form")
    return value


def parse_json(data: bytes, depth_max: int) -> Any:
    """The value of any JSON from outside.

    Raises ValueError where it is none, no UTF-8, or nests deeper than depth_max.
    """
    _check_depth(data, depth_max)
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


def _check_depth(data: bytes, depth_max: int) -> None:
    """Raises ValueError where JSON nests deeper.

    The depth is counted before the parser sees it: some EVM libraries raise Python's recursion limit so far that the
    parser would overflow the stack of the process instead of raising RecursionError.
    """
    if data.count(b"[") + data.count(b"{") > depth_max:
        # without escaped quotes every other part between quotes lies outside of texts
        outside = data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_BRACKET).split(b'"')[::2]
        depth = 0
        for bracket in b"".join(outside):
            depth += 1 if bracket in b"[{" else -1
            if depth > depth_max:
                raise ValueError(f"nested deeper than {depth_max}")


def _names_are_ascii(value: Value, depth: int) -> bool:
    """Whether all names of properties are ASCII, so that they sort as text.

    Raises NotCanonical for what has no canonical form, but for lone surrogates.
    """
    if depth > DEPTH_MAX:
        raise NotCanonical(why=f"nested deeper than {DEPTH_MAX}")
    if value is None or isinstance(value, str | bool):
        return True
    if isinstance(value, int):
        _in_range(value)
        return True
    if isinstance(value, dict):
        try:
            return "".join(value).isascii() & _all_ascii(value.values(), depth)
        except TypeError:
            raise NotCanonical(why="a key that is not text") from None
    if isinstance(value, list | tuple):
        return _all_ascii(value, depth)
    raise NotCanonical(why=f"a value of type {type(value).__name__}")


def _all_ascii(items: Iterable[Value], depth: int) -> bool:
    """The same of each item one level deeper. Most are texts or small numbers: no call is made for them."""
    plain, leaf = True, depth < DEPTH_MAX
    for item in items:
        kind = type(item)
        if leaf and (kind is str or (kind is int and -INTEGER_MAX <= item <= INTEGER_MAX)):  # type: ignore[operator]
            continue
        plain &= _names_are_ascii(item, depth + 1)
    return plain


def _write(value: Value, out: list[str]) -> None:
    """What the C encoder writes, but for the order of names."""
    if isinstance(value, dict):
        out.append("{")
        for i, name in enumerate(_names(value)):
            out.append(("," if i else "") + encode_basestring(name) + ":")
            _write(value[name], out)
        out.append("}")
    elif isinstance(value, list | tuple):
        out.append("[")
        for i, item in enumerate(value):
            out.append("," if i else "")
            _write(item, out)
        out.append("]")
    else:
        out.append(_ENCODER.encode(value))


def _in_range(value: int) -> int:
    if abs(value) > INTEGER_MAX:
        raise NotCanonical(why="an integer beyond 2^53 - 1")
    return value


def _integer(digits: str) -> int:
    return _in_range(int(digits))


def _no_float(_digits: str) -> Any:
    raise NotCanonical(why="a value of type float")


def _names(value: dict[str, Value]) -> list[str]:
    try:
        return ordered(value)
    except UnicodeEncodeError:
        raise NotCanonical(why="a lone surrogate") from None


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NotCanonical(why="a lone surrogate") from None
