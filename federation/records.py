"""Flower messages as bytes, by a codec of our own: public Flower names only, no pickle, every length checked.

Layout: `privacy.packing` of a header (run, ids, nodes, type, group) and either records or an error. Arrays travel as
plain numeric arrays; other values carry a type letter; floats travel as hexadecimal text, which is exact. The header
holds no clock reading, so a run executed again after a crash makes the same bytes and finds its stored answers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, Metadata, MetricRecord, RecordDict

from federation.errors import FlowerContentMalformed
from privacy import packing
from privacy.packing import Packed

VERSION = 1
CONTENT_BYTES_MAX = 255 << 20
RECORDS_MAX = 64
ENTRIES_MAX = 100_000
LIST_MAX = 1_000_000
TEXT_CHARACTERS_MAX = 65_536
INTEGER_MAX = 2**63 - 1
ARRAY_FORM = "numpy.ndarray"  # Flower's name for an array in NumPy's own serial form
# Flower wants a creation time and a time to live; here they are constants, deadlines belong to the grids
CREATED_AT = 0.0
TTL_SECONDS = 1e11
_KINDS = {"A": ArrayRecord, "M": MetricRecord, "C": ConfigRecord}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A decoded message before it becomes a Flower message: exactly one of content and error is set."""

    metadata: Metadata
    content: RecordDict | None
    error: Error | None


def metadata(
    *, run: int, source: int, target: int, message_id: str, kind: str, group: str, reply_to: str = ""
) -> Metadata:
    """Flower metadata without a clock reading."""
    return Metadata(
        run_id=run,
        message_id=message_id,
        src_node_id=source,
        dst_node_id=target,
        reply_to_message_id=reply_to,
        group_id=group,
        created_at=CREATED_AT,
        ttl=TTL_SECONDS,
        message_type=kind,
    )


def encode(message: Message, message_id: str | None = None) -> bytes:
    """The bytes of a Flower message, under another id where given; one message always gives the same bytes.

    Raises FlowerContentMalformed for values the codec does not take or sizes over its limits.
    """
    data = message.metadata
    header: dict[str, Packed] = {
        "run": str(data.run_id),
        "source": str(data.src_node_id),
        "target": str(data.dst_node_id),
        "id": data.message_id if message_id is None else message_id,
        "reply_to": data.reply_to_message_id,
        "type": data.message_type,
        "group": data.group_id,
    }
    value: dict[str, Packed] = {"version": VERSION, "header": header}
    if message.has_error():
        value["error"] = [str(message.error.code), _text(message.error.reason or "")]
    else:
        value["records"] = [[_text(str(name)), *_record(record)] for name, record in message.content.items()]
        _limit(len(message.content), RECORDS_MAX, "records")
    try:
        packed = packing.pack(value)
    except packing.NotPacked as failure:
        raise FlowerContentMalformed(why=failure.message()) from None
    _limit(len(packed), CONTENT_BYTES_MAX, "bytes")
    return packed


def decode(data: bytes) -> Parts:
    """The parts of a message. Raises FlowerContentMalformed for anything `encode` would not write."""
    _limit(len(data), CONTENT_BYTES_MAX, "bytes")
    try:
        value = packing.unpack(data)
    except packing.NotPacked as failure:
        raise FlowerContentMalformed(why=failure.message()) from None
    if not isinstance(value, dict) or value.get("version") != VERSION or isinstance(value["version"], bool):
        raise FlowerContentMalformed(why="version")
    found = _metadata(value.get("header"))
    if set(value) == {"version", "header", "error"}:
        error = _list(value["error"], 2)
        return Parts(metadata=found, content=None, error=Error(_integer(error[0]), _text(error[1])))
    if set(value) != {"version", "header", "records"}:
        raise FlowerContentMalformed(why="fields")
    content = RecordDict()
    for item in _list(value["records"], limit=RECORDS_MAX):
        name, kind, entries = _list(item, 3)
        if _text(name) in content:
            raise FlowerContentMalformed(why="a record twice")
        content[_text(name)] = _unrecord(kind, _list(entries, limit=ENTRIES_MAX))
    return Parts(metadata=found, content=content, error=None)


def _metadata(value: Packed) -> Metadata:
    names = {"run", "source", "target", "id", "reply_to", "type", "group"}
    if not isinstance(value, dict) or set(value) != names:
        raise FlowerContentMalformed(why="header fields")
    return metadata(
        run=_integer(value["run"]),
        source=_integer(value["source"]),
        target=_integer(value["target"]),
        message_id=_text(value["id"]),
        kind=_text(value["type"]),
        group=_text(value["group"]),
        reply_to=_text(value["reply_to"]),
    )


def _record(record: Any) -> tuple[str, list[Packed]]:
    """(kind letter, entries) of one record."""
    _limit(len(record), ENTRIES_MAX, "entries")
    if isinstance(record, ArrayRecord):
        return "A", [[_text(key), _array(array)] for key, array in record.items()]
    kind = "M" if isinstance(record, MetricRecord) else "C"
    return kind, [[_text(key), _value(value)] for key, value in record.items()]


def _unrecord(kind: Packed, entries: list[Packed]) -> ArrayRecord | MetricRecord | ConfigRecord:
    if not isinstance(kind, str) or kind not in _KINDS:
        raise FlowerContentMalformed(why="an unknown kind of record")
    values: dict[str, Any] = {}
    for entry in entries:
        key, value = _list(entry, 2)
        if _text(key) in values:
            raise FlowerContentMalformed(why="a key twice")
        values[_text(key)] = _unarray(value) if kind == "A" else _unvalue(value)
    try:
        record: ArrayRecord | MetricRecord | ConfigRecord = _KINDS[kind](values)
    except (TypeError, ValueError):
        raise FlowerContentMalformed(why="a value that this record does not take") from None
    return record


def _array(array: Array) -> np.ndarray[Any, Any]:
    if array.stype != ARRAY_FORM:
        raise FlowerContentMalformed(why="an array in a foreign form")
    try:
        return _finite(array.numpy())
    except ValueError:
        raise FlowerContentMalformed(why="an array that does not load") from None


def _unarray(value: Packed) -> Array:
    if not isinstance(value, np.ndarray):
        raise FlowerContentMalformed(why="an array is expected")
    return Array(_finite(value))


def _finite(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FlowerContentMalformed(why="an array with a value that is not finite")
    return array


def _value(value: Any) -> Packed:
    """A scalar as [letter, form]; a list of one kind of scalars as ["l", letter, forms]."""
    if not isinstance(value, list):
        return list(_scalar(value))
    _limit(len(value), LIST_MAX, "list items")
    pairs = [_scalar(item) for item in value]
    letters = {letter for letter, _ in pairs} or {"s"}
    if len(letters) > 1:
        raise FlowerContentMalformed(why="a list of different kinds")
    return ["l", letters.pop(), [form for _, form in pairs]]


def _scalar(value: Any) -> tuple[str, Packed]:
    if isinstance(value, bool):
        return "b", value
    if isinstance(value, int):
        return "i", str(value)
    if isinstance(value, float) and math.isfinite(value):
        return "f", value.hex()
    if isinstance(value, str):
        return "s", _text(value)
    if isinstance(value, bytes):
        return "y", value
    raise FlowerContentMalformed(why=f"a value of type {type(value).__name__} or not finite")


def _unvalue(value: Packed) -> Any:
    if isinstance(value, list) and len(value) == 3 and value[0] == "l":
        read = _reader(value[1])
        return [read(item) for item in _list(value[2], limit=LIST_MAX)]
    letter, form = _list(value, 2)
    return _reader(letter)(form)


def _reader(letter: Packed) -> Callable[[Packed], Any]:
    readers: dict[str, Callable[[Packed], Any]] = {
        "b": _boolean,
        "i": _integer,
        "f": _float,
        "s": _text,
        "y": _bytes,
    }
    if not isinstance(letter, str) or letter not in readers:
        raise FlowerContentMalformed(why="an unknown kind of value")
    return readers[letter]


def _boolean(form: Packed) -> bool:
    if not isinstance(form, bool):
        raise FlowerContentMalformed(why="a truth value is expected")
    return form


def _integer(form: Packed) -> int:
    try:
        value = int(form) if isinstance(form, str) and len(form) <= 20 else None
    except ValueError:
        value = None
    if value is None or str(value) != form or abs(value) > INTEGER_MAX:
        raise FlowerContentMalformed(why="an integer is expected")
    return value


def _float(form: Packed) -> float:
    try:
        value = float.fromhex(form) if isinstance(form, str) and len(form) <= 32 else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or value.hex() != form:
        raise FlowerContentMalformed(why="a finite number is expected")
    return value


def _text(form: Packed) -> str:
    if not isinstance(form, str) or len(form) > TEXT_CHARACTERS_MAX:
        raise FlowerContentMalformed(why="text is expected, or it is too long")
    return form


def _bytes(form: Packed) -> bytes:
    if not isinstance(form, bytes):
        raise FlowerContentMalformed(why="bytes are expected")
    return form


def _list(value: Packed, length: int | None = None, limit: int = LIST_MAX) -> list[Packed]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise FlowerContentMalformed(why="a list is expected")
    _limit(len(value), limit, "items")
    return value


def _limit(found: int, limit: int, what: str) -> None:
    if found > limit:
        raise FlowerContentMalformed(why=f"{found} {what}, at most {limit} are taken")
