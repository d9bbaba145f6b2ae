"""Packing: one value, one form; nothing malformed is read and nothing executable can be written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from privacy import packing

ARRAYS = st.sampled_from(packing.DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text("ab", max_size=3)
    | st.binary(max_size=5)
    | ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


@given(VALUES)
def test_unpack_gives_back_what_was_packed(value: packing.Packed) -> None:
    data = packing.pack(value)
    assert same(value, packing.unpack(data))
    assert packing.pack(packing.unpack(data)) == data


def test_every_cut_and_every_trailing_byte_is_refused() -> None:
    data = packing.pack({"a": np.arange(3), "b": b"xy", "c": [1, None]})
    for length in range(len(data)):
        with pytest.raises((packing.NotPacked, packing.canonical.NotCanonical)):
            packing.unpack(data[:length])
    with pytest.raises(packing.NotPacked):
        packing.unpack(data + b"\x00")


@pytest.mark.parametrize(
    "header",
    [
        {"segments": [], "value": {"$a": 0}},
        {"segments": [{"length": 1}], "value": None},
        {"segments": [{"length": 1}], "value": {"$a": 0}},
        {"segments": [{"length": 1, "dtype": "object", "shape": [1]}], "value": {"$a": 0}},
        {"segments": [{"length": 1, "dtype": "int8", "shape": [-1]}], "value": {"$a": 0}},
        {"segments": [{"length": 1, "dtype": "int8", "shape": [2]}], "value": {"$a": 0}},
        {"segments": [{"length": -1}], "value": {"$b": 0}},
        {"segments": [{"length": 1}], "value": [{"$b": 0}, {"$b": 0}]},
        {"segments": [{"length": 1}], "value": {"$b": 0, "x": 1}},
        {"segments": [{"length": True}], "value": {"$b": 0}},
    ],
)
def test_a_crafted_header_is_refused(header: dict[str, object]) -> None:
    raw = packing.canonical.encode(header)  # type: ignore[arg-type]
    with pytest.raises(packing.NotPacked):
        packing.unpack(packing.MAGIC + len(raw).to_bytes(4, "big") + raw + b"\x00")


@pytest.mark.parametrize("bad", [np.array([object()]), {"$a": 1}, {1: 2}, 1.5, np.array(["text"])])
def test_what_cannot_be_packed_is_refused(bad: object) -> None:
    with pytest.raises((packing.NotPacked, packing.canonical.NotCanonical)):
        packing.pack(bad)  # type: ignore[arg-type]


def test_an_empty_array_with_impossible_sides_is_refused() -> None:
    side = 2**53 - 1
    entry: dict[str, packing.canonical.Value] = {"length": 0, "dtype": "int64", "shape": [0, side, side]}
    raw = packing.canonical.encode({"segments": [entry], "value": {"$a": 0}})
    with pytest.raises(packing.NotPacked, match="array shape"):
        packing.unpack(packing.MAGIC + len(raw).to_bytes(4, "big") + raw)
