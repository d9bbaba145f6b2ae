"""What both sides of a secure sum read and write in Flower's records: names, digests of inputs, arrays as a vector."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from numpy.typing import NDArray

from federation.horizontal import keys, wire
from federation.horizontal.errors import PhaseMalformed, UpdateRefused
from federation.horizontal.wire import Input, Upload
from privacy import canonical
from privacy.aggregation import Lanes, Slot
from privacy.ids import Digest

TRAIN = "train"
QUERY = "query."
SLOT = "slot"  # the record that says for which slot an input is: ConfigRecord {"slot": "round.attempt"}
BODY = "body"  # the record of a phase's own message: ConfigRecord {"body": bytes}
UPLOAD = "upload"  # the record of an upload: ConfigRecord {"header", "signature", "ciphertext"}
UPDATE = "update"  # an app's ArrayRecord that is the update itself, instead of the moved arrays
LANES = "lanes"  # an app's whole numbers for a sum: ArrayRecord {"lanes": int64 (count,)}
CLEAR = "clear"  # an app's ConfigRecord that goes out beside its lanes as it is


def phase_of(message_type: str) -> str:
    """The phase in a group id: "train" of "train", "statistics" of "query.statistics"."""
    return message_type.removeprefix(QUERY)


def group(slot: Slot, phase: str) -> str:
    """The group id of a phase's messages."""
    return f"{keys.slot_name(slot)}.{phase}"


def body_content(data: bytes) -> RecordDict:
    return RecordDict({BODY: ConfigRecord({"body": data})})


def read_body(message: Message) -> bytes:
    """Raises PhaseMalformed."""
    return bytes(_config(message.content, BODY, {"body": bytes}, alone=True)["body"])


def input_content(slot: Slot, content: RecordDict) -> RecordDict:
    """The same content for all, said to be for a slot."""
    return RecordDict({**content, SLOT: ConfigRecord({"slot": keys.slot_name(slot)})})


def read_slot(message: Message, job: Digest) -> Slot:
    """Raises PhaseMalformed."""
    return wire.read_slot(_config(message.content, SLOT, {"slot": str})["slot"], job)


def without_slot(content: RecordDict) -> RecordDict:
    return RecordDict({name: record for name, record in content.items() if name != SLOT})


def copied(content: RecordDict) -> RecordDict:
    """The same values in records of their own."""
    return RecordDict({name: type(record)(dict(record.items())) for name, record in content.items()})  # type: ignore[arg-type]


def upload_content(upload: Upload, clear: ConfigRecord | None) -> RecordDict:
    record = ConfigRecord(
        {"header": upload.header.data, "signature": upload.header.signature, "ciphertext": upload.ciphertext}
    )
    return RecordDict({UPLOAD: record} if clear is None else {UPLOAD: record, CLEAR: clear})


def read_upload(content: RecordDict) -> tuple[Upload, ConfigRecord | None]:
    """Raises PhaseMalformed."""
    clear = content.get(CLEAR)
    if set(content) - {CLEAR} != {UPLOAD} or not (clear is None or isinstance(clear, ConfigRecord)):
        raise PhaseMalformed(why="the records of an upload")
    fields = _config(content, UPLOAD, {"header": bytes, "signature": bytes, "ciphertext": bytes})
    header = wire.signed_header(fields["header"], fields["signature"])
    return Upload(header=header, ciphertext=fields["ciphertext"]), clear


def read_input(slot: Slot, message_type: str, content: RecordDict) -> Input:
    """Digests of what a member is given: of all in its slot, of all, and of the arrays alone, whatever the settings.

    The arrays' digest is what decision 0004 remembers: other settings beside the same weights don't open them again.
    """
    arrays = hashlib.sha256()
    others: dict[str, canonical.Value] = {}
    for name, record in content.items():
        if isinstance(record, ArrayRecord):
            for part in _array_parts(name, record):
                arrays.update(part)
        elif name != SLOT:
            values: dict[str, canonical.Value] = {str(key): _plain(value) for key, value in record.items()}
            others[str(name)] = [type(record).__name__, values]
    body: dict[str, canonical.Value] = {"job": slot.job, "type": message_type, "arrays": arrays.hexdigest()}
    every: dict[str, canonical.Value] = {**body, "others": others}
    digests = [wire.sha256(canonical.encode(one)) for one in ({**every, **slot.to_value()}, every, body)]
    return Input(digest=digests[0], content=digests[1], body=digests[2])


def only_arrays(content: RecordDict) -> tuple[str, ArrayRecord]:
    """The one record of arrays in a content. Raises UpdateRefused."""
    found = [(name, record) for name, record in content.items() if isinstance(record, ArrayRecord)]
    if len(found) != 1:
        raise UpdateRefused(why=f"{len(found)} records of arrays, one is expected")
    return found[0]


def flatten(record: ArrayRecord) -> NDArray[np.float64]:
    """All arrays in the record's order as one float64 vector. Raises UpdateRefused for arrays that aren't floats."""
    parts = []
    for name, array in record.items():
        values = array.numpy()
        if values.dtype.kind != "f":
            raise UpdateRefused(why=f"array {name[:80]} holds {values.dtype.name}; only floats can be averaged")
        parts.append(values.astype(np.float64).ravel())
    return np.concatenate(parts) if parts else np.empty(0)


def moved(record: ArrayRecord, update: NDArray[np.float64]) -> ArrayRecord:
    """The arrays after an update, each in its own shape and width."""
    out: dict[str, Array] = {}
    start = 0
    for name, array in record.items():
        values = array.numpy()
        step = update[start : start + values.size].reshape(values.shape)
        out[name] = Array(np.asarray(values.astype(np.float64) + step).astype(values.dtype))
        start += values.size
    assert start == len(update), "an update of these arrays"
    return ArrayRecord(out)


def read_update(given: RecordDict, answer: RecordDict, exact: bool) -> NDArray[np.float64]:
    """What an app's answer moves the given arrays by, as one vector: its record UPDATE, or its arrays less the given.

    exact: it has to be UPDATE, for noise hides a row only in what no subtraction has rounded. Raises UpdateRefused
    unless names, shapes and widths agree. A value that is not finite is refused where the vector is clipped.
    """
    _, before = only_arrays(given)
    name, after = only_arrays(answer)
    if list(before) != list(after):
        raise UpdateRefused(why="its arrays have other names or another order than the model's")
    for key, array in before.items():
        old, new = array.numpy(), after[key].numpy()
        if old.shape != new.shape or old.dtype != new.dtype:
            raise UpdateRefused(why=f"array {key[:80]} has another shape or type than the model's")
    if name == UPDATE:
        return flatten(after)
    if exact:
        raise UpdateRefused(why=f"with noise, the update itself is expected, as the record {UPDATE}")
    return flatten(after) - flatten(before)


def read_lanes(content: RecordDict) -> tuple[Lanes, ConfigRecord | None]:
    """An app's whole numbers and what it says in clear. Raises UpdateRefused."""
    record, clear = content.get(LANES), content.get(CLEAR)
    if set(content) - {CLEAR} != {LANES} or not isinstance(record, ArrayRecord) or set(record) != {LANES}:
        raise UpdateRefused(why="a sum takes one record of lanes")
    if not (clear is None or isinstance(clear, ConfigRecord)):
        raise UpdateRefused(why="what goes out in clear is a ConfigRecord")
    return record[LANES].numpy(), clear  # their type and range are the member's to check


def _array_parts(name: str, record: ArrayRecord) -> Iterator[bytes | memoryview]:
    for key, array in record.items():
        values = array.numpy()
        known: list[canonical.Value] = [name, key, values.dtype.str, list(values.shape)]
        head = canonical.encode(known)
        yield len(head).to_bytes(4, "big") + head
        yield np.ascontiguousarray(values).data.cast("B") if values.size else b""


def _plain(value: Any) -> canonical.Value:
    """Any value of a Flower record as a canonical one that tells all of them apart."""
    if isinstance(value, list):
        return ["l", [_plain(item) for item in value]]
    if isinstance(value, bool | str):
        return [type(value).__name__, value]
    if isinstance(value, float):
        return ["float", value.hex()]
    return [type(value).__name__, value.hex() if isinstance(value, bytes) else str(value)]


def _config(content: RecordDict, name: str, kinds: Mapping[str, type], alone: bool = False) -> dict[str, Any]:
    record = content.get(name)
    if not isinstance(record, ConfigRecord) or set(record) != set(kinds) or (alone and set(content) != {name}):
        raise PhaseMalformed(why=f"its {name} record")
    values: dict[str, Any] = dict(record.items())
    if any(type(values[key]) is not kind for key, kind in kinds.items()):
        raise PhaseMalformed(why=f"its {name} record's values")
    return values
