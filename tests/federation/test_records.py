"""The Flower codec: what it writes it reads back equal, and it takes nothing else."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from federation import grid, records
from federation.errors import FlowerContentMalformed
from privacy import packing


def message(content: RecordDict | None = None, error: Error | None = None) -> Message:
    known = records.metadata(
        run=1, source=1, target=2**62, message_id="0011-3-bank", kind="query.step", group="3", reply_to=""
    )
    make: Any = Message
    made: Message = make(content=content, metadata=known) if error is None else make(error=error, metadata=known)
    return made


def everything() -> RecordDict:
    config = {
        "truth": True,
        "count": -(2**62),
        "ratio": 0.1,
        "name": "组",
        "blob": b"\x00\xff",
        "truths": [True, False],
        "counts": [1, 2**53 + 1],
        "ratios": [1e-300, -0.0],
        "names": ["a", ""],
        "blobs": [b"", b"x" * 1000],
        "$odd": 1,
        "none": [],
    }
    arrays = {"w": Array(np.arange(6, dtype=np.float32).reshape(2, 3)), "b": Array(np.array([1, 2], dtype=np.int64))}
    return RecordDict(
        {
            "config": ConfigRecord(config),  # type: ignore[arg-type]
            "metrics": MetricRecord({"loss": 0.25, "rows": 7, "each": [1.5, 2.5]}),
            "arrays": ArrayRecord(arrays),
        }
    )


def test_every_kind_of_content_comes_back_equal() -> None:
    sent = message(everything())
    data = records.encode(sent)
    found = grid.decode(data)
    assert found.content == sent.content
    assert {k: type(v) for k, v in found.content["config"].items()} == {
        k: type(v) for k, v in sent.content["config"].items()
    }
    assert records.encode(found) == data
    for name in ("run_id", "message_id", "src_node_id", "dst_node_id", "group_id", "message_type"):
        assert getattr(found.metadata, name) == getattr(sent.metadata, name)


def test_errors_come_back_equal() -> None:
    found = grid.decode(records.encode(message(error=Error(7, "why"))))
    assert (found.error.code, found.error.reason) == (7, "why")


def test_bytes_do_not_depend_on_the_clock() -> None:
    grid.settle_flower()
    first = Message(everything(), dst_node_id=5, message_type="query.step", group_id="1")
    second = Message(everything(), dst_node_id=5, message_type="query.step", group_id="1")
    assert first.metadata.created_at != second.metadata.created_at
    assert records.encode(first, "id") == records.encode(second, "id")


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({"c": ConfigRecord({"x": float("nan")})}),
        RecordDict({"c": ConfigRecord({"x": [1.0, float("inf")]})}),
        RecordDict({"a": ArrayRecord({"w": Array(np.array([np.nan]))})}),
        RecordDict({"a": ArrayRecord({"w": Array(np.array(["text"]))})}),
        RecordDict({"a": ArrayRecord({"w": Array("float32", (1,), "pickle", b"....")})}),
        RecordDict({"a": ArrayRecord({"w": Array("float32", (1,), "numpy.ndarray", b"....")})}),
        RecordDict({"c": ConfigRecord({"x": "y" * 70_000})}),
        RecordDict({f"c{i}": ConfigRecord() for i in range(65)}),
    ],
)
def test_what_is_not_taken_is_not_sent(content: RecordDict) -> None:
    with pytest.raises(FlowerContentMalformed):
        records.encode(message(content))


def packed(**changes: Any) -> bytes:
    header = {"run": "1", "source": "1", "target": "2", "id": "i", "reply_to": "", "type": "query.step", "group": "1"}
    return packing.pack({"version": 1, "header": header, "records": []} | changes)


def with_value(value: Any, kind: str = "C") -> bytes:
    return packed(records=[["r", kind, [["k", value]]]])


MALFORMED = {
    "no packing": b"\x80\x04pickle",
    "another version": packed(version=2),
    "a version that is a truth value": packed(version=True),
    "an extra field": packed(extra=1),
    "records and error": packed(error=["1", ""]),
    "a header short of a field": packed(header={"run": "1"}),
    "a run that is no number": packed(header={**packing.unpack(packed())["header"], "run": "1.0"}),  # type: ignore[index,call-overload,dict-item]
    "a node number out of range": packed(header={**packing.unpack(packed())["header"], "target": "9" * 19}),  # type: ignore[index,call-overload,dict-item]
    "a record of an unknown kind": packed(records=[["r", "X", []]]),
    "a record twice": packed(records=[["r", "C", []], ["r", "C", []]]),
    "a key twice": packed(records=[["r", "C", [["k", ["b", True]], ["k", ["b", True]]]]]),
    "a value without a kind": with_value([True]),
    "a value of an unknown kind": with_value(["z", "1"]),
    "a truth value as text": with_value(["b", "true"]),
    "an integer as an integer": with_value(["i", 1]),
    "an integer with a sign": with_value(["i", "+1"]),
    "an integer out of range": with_value(["i", "1" + "0" * 19]),
    "a float in decimals": with_value(["f", "0.5"]),
    "a float that is not finite": with_value(["f", "inf"]),
    "bytes as text": with_value(["y", "x"]),
    "an array in a configuration": with_value(np.zeros(2)),
    "a list of lists": with_value(["l", "l", []]),
    "an array record of scalars": with_value(["i", "1"], "A"),
    "an array with a value that is not finite": with_value(np.array([np.inf]), "A"),
    "a metric that is text": with_value(["s", "x"], "M"),
    "too many records": packed(records=[[f"r{i}", "C", []] for i in range(65)]),
    "an error without a number": packing.pack(
        {"version": 1, "header": packing.unpack(packed())["header"], "error": ["x", ""]}  # type: ignore[index,call-overload,dict-item]
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_bytes_are_refused(case: str) -> None:
    with pytest.raises(FlowerContentMalformed):
        records.decode(MALFORMED[case])


def test_any_changed_byte_is_refused_or_read_without_an_exception_of_another_kind() -> None:
    data = records.encode(message(everything()))
    draw = np.random.default_rng(3)
    for _ in range(300):
        broken = bytearray(data)
        broken[int(draw.integers(len(data)))] ^= int(draw.integers(1, 256))
        try:
            records.decode(bytes(broken))
        except FlowerContentMalformed:
            continue


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = records.encode(message(everything()))
    monkeypatch.setattr(records, "CONTENT_BYTES_MAX", len(data) - 1)
    with pytest.raises(FlowerContentMalformed):
        records.decode(data)
    with pytest.raises(FlowerContentMalformed):
        records.encode(message(everything()))
