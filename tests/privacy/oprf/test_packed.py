"""Packed identifiers are the sequence they were made of, and a session takes them as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.psi import oprf
from privacy.psi.errors import BadIdentifiers, IdentifiersChanged
from privacy.psi.oprf import PackedIdentifiers
from privacy.psi.oprf.packed import _BLOCK
from tests.privacy.oprf.support import RECEIVER, SENDER, Pair, clients, made

ITEMS = st.lists(st.binary(min_size=1, max_size=256), max_size=30)


@given(ITEMS, st.slices(30), st.integers(-40, 40))
def test_it_is_the_sequence_it_was_made_of(items: list[bytes], part: slice, index: int) -> None:
    packed = PackedIdentifiers.of(items)
    assert (list(packed), len(packed)) == (items, len(items))
    assert packed[part] == items[part]
    if -len(items) <= index < len(items):
        assert packed[index] == items[index]
    else:
        with pytest.raises(IndexError):
            packed[index]
    assert list(PackedIdentifiers(packed.data, packed.lengths)) == items


@given(ITEMS.filter(bool) | st.lists(st.binary(min_size=5, max_size=5), min_size=1), st.data())
def test_some_are_taken_in_any_order(items: list[bytes], data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(items) - 1)))
    taken = PackedIdentifiers.of(items).take(np.array(places, np.int64))
    assert list(taken) == [items[place] for place in places]


def test_it_is_the_sequence_beyond_one_block() -> None:
    items = [b"phone:%d" % (i * i) for i in range(2 * _BLOCK + 5)]
    packed = PackedIdentifiers.of(items)
    assert list(packed) == items
    for position in (0, 1, _BLOCK - 1, _BLOCK, 2 * _BLOCK - 1, 2 * _BLOCK, -1):
        assert packed[position] == items[position]
    assert packed[_BLOCK - 2 : _BLOCK + 2] == items[_BLOCK - 2 : _BLOCK + 2]
    for first, last in ((0, len(items)), (_BLOCK, 2 * _BLOCK), (_BLOCK - 1, len(items))):
        assert packed.bytes_between(first, last) == b"".join(items[first:last])


@pytest.mark.parametrize(
    ("data", "lengths"), [(b"abc", [1, 1]), (b"abc", [3, 0]), (b"x" * 257, [257]), (b"", [1]), (b"abc", [])]
)
def test_lengths_that_do_not_fit_are_refused(data: bytes, lengths: list[int]) -> None:
    with pytest.raises(BadIdentifiers):
        PackedIdentifiers(data, np.array(lengths, np.uint16))


@pytest.mark.parametrize("item", [b"", b"x" * 257])
def test_identifiers_of_a_wrong_length_are_refused(item: bytes) -> None:
    with pytest.raises(BadIdentifiers):
        PackedIdentifiers.of([b"fine", item])


def test_a_session_takes_them_and_goes_on_with_a_plain_list() -> None:
    ids = [PackedIdentifiers.of(clients(*range(start, start + 300))) for start in (0, 200)]
    pair = Pair(ids[0], ids[1], {"bucket_keys": 100})
    pair.until(SENDER, "matrix", 1)
    receiver = oprf.load(pair.sessions[RECEIVER].dump(), list(ids[0]))
    pair.sessions[RECEIVER] = receiver
    assert pair.run().shared() == clients(*range(200, 300))


def test_other_numbers_and_other_identifiers_are_refused() -> None:
    packed = PackedIdentifiers.of(clients(1, 2, 3))
    with pytest.raises(BadIdentifiers):
        made("receiver", packed, counts={RECEIVER: 4, SENDER: 1})
    dump = made("receiver", packed).dump()
    for other in (clients(1, 2), clients(1, 2, 4)):
        with pytest.raises(IdentifiersChanged):
            oprf.load(dump, PackedIdentifiers.of(other))


@pytest.mark.parametrize("twice", ["receiver", "sender"])
def test_a_repeated_identifier_ends_the_job_with_a_reason(twice: str) -> None:
    plain, repeated = clients(*range(20)), PackedIdentifiers.of([*clients(*range(19)), *clients(3)])
    pair = Pair(repeated, plain) if twice == "receiver" else Pair(plain, repeated)
    with pytest.raises(BadIdentifiers):
        pair.run()
