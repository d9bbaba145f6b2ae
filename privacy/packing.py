"""Safe binary packing of nested values with arrays: what parties send each other and what a node keeps of a session.

Layout: magic "EP1\\n", 4 bytes big-endian header length, a canonical-JSON header, then the raw segments in order.
Bytes and arrays stand in the header as {"$b": i} and {"$a": i}; segment i's length, dtype and shape are listed under
"segments". Nothing executable can be expressed, every length is checked, and one value has one packed form.
"""

import math
import struct
from typing import Any, TypeAlias

import numpy as np

from privacy import canonical
from privacy.errors import Failure, Kind

Packed: TypeAlias = (
    "str | int | bool | bytes | memoryview | np.ndarray[Any, Any] | list[Packed] | dict[str, Packed] | None"
)

Segment: TypeAlias = "bytes | memoryview | np.ndarray[Any, Any]"

MAGIC = b"EP1\n"
HEADER_BYTES_MAX = 1 << 22
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")


class NotPacked(Failure):
    code = "NOT_PACKED"
    kind = Kind.INVALID
    en = "the packed message is malformed: {why}"
    zh = "打包消息格式错误：{why}"


def pack(value: Packed) -> bytes:
    """Bytes of a nested value: text, integers, booleans, None, bytes, numeric arrays, lists, dicts with text keys."""
    segments: list[memoryview] = []
    table: list[canonical.Value] = []
    tree = _strip(value, segments, table)
    header = canonical.encode({"segments": table, "value": tree})
    if len(header) > HEADER_BYTES_MAX:
        raise NotPacked(why="header too large")
    return b"".join([MAGIC, struct.pack(">I", len(header)), header, *segments])


def unpack(data: bytes | memoryview, *, views: bool = False) -> Packed:
    """The value of packed bytes. Arrays come back read-only. Raises NotPacked for anything `pack` would not write.

    views: bytes come back as views of `data`, which stays as long as one of them does; megabytes are not copied.
    """
    held = memoryview(data)
    if held[:4] != MAGIC or len(data) < 8:
        raise NotPacked(why="not a packed message")
    (length,) = struct.unpack(">I", held[4:8])
    if length > HEADER_BYTES_MAX or 8 + length > len(data):
        raise NotPacked(why="header length")
    try:
        header = canonical.decode(bytes(held[8 : 8 + length]))
    except canonical.NotCanonical as failure:
        raise NotPacked(why=failure.message()) from None
    if not isinstance(header, dict) or set(header) != {"segments", "value"} or not isinstance(header["segments"], list):
        raise NotPacked(why="header form")
    parts: list[Segment] = []
    offset = 8 + length
    for entry in header["segments"]:
        part, offset = _segment(entry, held, offset)
        parts.append(part if views or not isinstance(part, memoryview) else bytes(part))
    if offset != len(data):
        raise NotPacked(why="trailing bytes")
    used: list[int] = []
    value = _fill(header["value"], parts, used)
    if used != list(range(len(parts))):
        raise NotPacked(why="segments out of order")
    return value


def _strip(value: Packed, segments: list[memoryview], table: list[canonical.Value]) -> canonical.Value:
    if isinstance(value, bytes | bytearray | memoryview):
        segments.append(memoryview(value).cast("B"))
        table.append({"length": segments[-1].nbytes})
        return {"$b": len(segments) - 1}
    if isinstance(value, np.ndarray):
        if value.dtype.name not in DTYPES:
            raise NotPacked(why=f"dtype {value.dtype.name}")
        raw = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        segments.append(memoryview(raw))
        table.append({"length": len(raw), "dtype": value.dtype.name, "shape": list(value.shape)})
        return {"$a": len(segments) - 1}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, list | tuple):
        return [_strip(item, segments, table) for item in value]
    if isinstance(value, dict):
        if any(not isinstance(key, str) or key.startswith("$") for key in value):
            raise NotPacked(why="a key that is not plain text")
        return {key: _strip(value[key], segments, table) for key in canonical.ordered(value)}
    if value is None or isinstance(value, str | int | bool):
        return value
    raise NotPacked(why=f"a value of type {type(value).__name__}")


def _segment(entry: canonical.Value, data: memoryview, offset: int) -> tuple[memoryview | np.ndarray[Any, Any], int]:
    length = entry.get("length") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise NotPacked(why="segment table")
    end = offset + length
    if end > len(data):
        raise NotPacked(why="a segment is cut")
    if set(entry) == {"length"}:
        return data[offset:end], end
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if set(entry) != {"length", "dtype", "shape"} or dtype not in DTYPES or not isinstance(shape, list):
        raise NotPacked(why="segment table")
    sides = [n for n in shape if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    if len(shape) > 4 or len(sides) != len(shape) or math.prod(n or 1 for n in sides) >> 56:  # numpy takes no larger
        raise NotPacked(why="array shape")
    kind = np.dtype(str(dtype)).newbyteorder("<")
    count = math.prod(sides)
    if count * kind.itemsize != length:
        raise NotPacked(why="array length")
    return np.frombuffer(data, kind, count=count, offset=offset).reshape(sides), end


def _fill(value: canonical.Value, parts: list[Segment], used: list[int]) -> Packed:
    if isinstance(value, list):
        return [_fill(item, parts, used) for item in value]
    if isinstance(value, dict):
        mark = next(iter(value), "")
        if mark.startswith("$"):
            return _reference(value, mark, parts, used)
        return {key: _fill(value[key], parts, used) for key in value}
    return value


def _reference(value: dict[str, canonical.Value], mark: str, parts: list[Segment], used: list[int]) -> Segment:
    index = value[mark]
    if len(value) != 1 or mark not in ("$a", "$b") or not isinstance(index, int) or not 0 <= index < len(parts):
        raise NotPacked(why="segment reference")
    part = parts[index]
    if isinstance(part, bytes | memoryview) != (mark == "$b"):
        raise NotPacked(why="segment kind")
    used.append(index)
    return part
