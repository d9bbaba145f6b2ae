"""Stored forms: any sequence of nodes decodes to itself, differences end, and no altered byte gives the same value."""

import random

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from sandbox.chain import lists, nodes
from sandbox.chain.nodes import STEPS_MAX, Older, Undecodable, decode, encode

WORD = st.binary(min_size=32, max_size=32)
BRANCH = st.lists(st.sampled_from([b"", b"\x01"]) | WORD, min_size=17, max_size=17)
LEAF = st.tuples(st.binary(max_size=33), st.binary(max_size=120)).map(list)
NESTED = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=18), max_leaves=30)
CHANGE = st.tuples(st.integers(0, 16), st.just(b"") | WORD | st.binary(max_size=80))


class Rows:
    """Stored rows, counted from 1."""

    def __init__(self) -> None:
        self.stored: dict[int, bytes] = {}

    def put(self, value: bytes, base: int | None = None) -> int:
        row = len(self.stored) + 1
        older = None
        if base is not None:
            steps = self.stored[base][0]
            older = Older(value=decode(base, self.stored.get), steps=steps, back=row - base)
        self.stored[row] = encode(value, older)
        return row

    def get(self, row: int) -> bytes:
        return decode(row, self.stored.get)


# --- there and back ---------------------------------------------------------------------------------------------------


@given(start=BRANCH | LEAF, changes=st.lists(CHANGE, max_size=3 * STEPS_MAX))
def test_any_sequence_of_nodes_decodes_to_itself(start: list[bytes], changes: list[tuple[int, bytes]]) -> None:
    rows, node, expected = Rows(), start, {}
    row = rows.put(rlp.encode(node))
    expected[row] = rlp.encode(node)
    for place, item in changes:
        node = [item if i == place % len(node) else old for i, old in enumerate(node)]
        row = rows.put(rlp.encode(node), row)
        expected[row] = rlp.encode(node)
    assert {row: rows.get(row) for row in expected} == expected
    assert max(stored[0] for stored in rows.stored.values()) <= STEPS_MAX


@given(values=st.lists(st.binary(max_size=80) | NESTED.map(rlp.encode), max_size=12), order=st.randoms())
def test_any_values_whatever_they_follow_decode_to_themselves(values: list[bytes], order: random.Random) -> None:
    rows = Rows()
    for value in values:
        assert rows.get(rows.put(value, order.choice([None, *rows.stored]))) == value
    assert [rows.get(row) for row in rows.stored] == values


def branch(seed: int) -> list[bytes]:
    return [*(random.Random(f"{seed} {i}").randbytes(32) for i in range(16)), b""]


def test_of_a_changed_child_only_the_child_is_stored() -> None:
    rows, node = Rows(), branch(0)
    first = rows.put(rlp.encode(node))
    assert len(rows.stored[first]) == 1 + 532
    node[5] = branch(1)[5]
    second = rows.put(rlp.encode(node), first)
    assert rows.stored[second] == b"\x01" + b"\0\0\1" + (1 << 5).to_bytes(2, "big") + b"\xa0" + node[5]


def test_after_so_many_differences_a_node_is_stored_whole() -> None:
    rows, node = Rows(), branch(0)
    row = rows.put(rlp.encode(node))
    for i in range(2 * (STEPS_MAX + 1) - 1):
        node[i % 16] = branch(i + 1)[0]
        row = rows.put(rlp.encode(node), row)
    assert [stored[0] for stored in rows.stored.values()] == list(range(STEPS_MAX + 1)) * 2


@pytest.mark.parametrize("back", [0, 1 << 24])
def test_an_older_value_that_cannot_be_named_is_not_used(back: int) -> None:
    old, new = rlp.encode(branch(0)), rlp.encode([branch(1)[0], *branch(0)[1:]])
    assert encode(new, Older(value=old, steps=0, back=back)) == b"\0" + new


# --- altered ----------------------------------------------------------------------------------------------------------


def grown() -> Rows:
    """A whole node, three differences in a row, another whole node and one difference to it."""
    rows, node, other = Rows(), branch(0), branch(50)
    row = rows.put(rlp.encode(node))
    for i in (3, 3, 15):
        node[i] = branch(i + row)[0]
        row = rows.put(rlp.encode(node), row)
    row = rows.put(rlp.encode(other))
    other[0], other[9] = b"", branch(99)[0]
    rows.put(rlp.encode(other), row)
    return rows


def test_no_altered_byte_of_a_difference_gives_its_value() -> None:
    rows = grown()
    assert [stored[0] for stored in rows.stored.values()] == [0, 1, 2, 3, 0, 1]
    for row in (2, 3, 4, 6):
        kept, value = rows.stored[row], rows.get(row)
        for place in range(len(kept)):
            for byte in {*range(256)} - {kept[place]}:
                rows.stored[row] = kept[:place] + bytes([byte]) + kept[place + 1 :]
                assert given_by(rows, row) != value, (row, place, byte)
        for cut in range(len(kept)):
            rows.stored[row] = kept[:cut]
            assert given_by(rows, row) != value
        rows.stored[row] = kept


def given_by(rows: Rows, row: int) -> bytes | None:
    try:
        return rows.get(row)
    except Undecodable:
        return None


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_difference_to_a_row_that_is_gone_leads_to_nothing(missing: int) -> None:
    rows = grown()
    del rows.stored[missing]
    for row in range(missing, 5):
        with pytest.raises(Undecodable):
            rows.get(row)
    assert rows.get(6)


HEAD = b"\0\1" + b"\xa0" + bytes(32)  # changed: child 0


@pytest.mark.parametrize(
    "stored",
    [
        {2: b"\1\0\0\0" + HEAD},
        {1: b"\1\0\0\1" + HEAD, 2: b"\2\0\0\1" + HEAD},
        {1: b"\1\0\0\2" + HEAD, 2: b"\2\0\0\1" + HEAD},
        {1: b"\0" + rlp.encode(branch(0)), 2: b"\2\0\0\1" + HEAD},
        {1: b"\x11\0\0\1" + HEAD, 2: b"\x12\0\0\1" + HEAD},
        {1: b"\1\0\0\1" + HEAD, 2: b"\1\0\0\1" + HEAD},
        {1: b"\0" + rlp.encode([b"", b""]), 2: b"\1\0\0\1" + b"\0\4\xa0" + bytes(32)},
        {1: b"\0code", 2: b"\1\0\0\1" + HEAD},
        {1: b"", 2: b"\1\0\0\1" + HEAD},
        {2: b"\1"},
        {2: b""},
        {},
    ],
    ids=[
        "itself", "before the first", "in a circle", "steps do not count down", "too many steps", "steps stand still",
        "an item the older one has not", "the older one is no list", "the older one is empty", "cut", "empty", "none",
    ],
)  # fmt: skip
def test_rows_that_lead_nowhere_are_refused_and_end(stored: dict[int, bytes]) -> None:
    with pytest.raises(Undecodable):
        decode(2, stored.get)


# --- what a node takes the place of -----------------------------------------------------------------------------------


def test_each_written_node_is_paired_with_the_one_at_its_place() -> None:
    source = random.Random(7)
    data: dict[bytes, bytes] = {}
    trie = HexaryTrie(data)
    keys = [source.randbytes(32) for _ in range(600)]
    for key in keys:
        trie[key] = source.randbytes(32)
    before, known = trie.root_hash, dict(data)
    changed = source.sample(keys, 20)
    for key in changed:
        trie[key] = source.randbytes(32)
    pairs = nodes.older(before, trie.root_hash, {k: v for k, v in data.items() if k not in known}, known.get)
    assert pairs[trie.root_hash] == before
    old = HexaryTrie(known, before)
    for key in changed:
        paths = zip(trie.get_proof(key), old.get_proof(key), strict=True)
        hashes = [(nodes_hash(new), nodes_hash(stood)) for new, stood in paths]
        assert all(pairs[new] == stood for new, stood in hashes)


def nodes_hash(node: list) -> bytes:
    from eth_hash.auto import keccak

    return keccak(rlp.encode(node))


def test_the_storage_of_an_account_is_paired_through_its_leaf() -> None:
    from eth_hash.auto import keccak

    old_storage, new_storage = rlp.encode(branch(1)), rlp.encode([branch(2)[0], *branch(1)[1:]])
    accounts = [rlp.encode([b"\1", b"", keccak(storage), bytes(32)]) for storage in (old_storage, new_storage)]
    old, new = (rlp.encode([b"\x20" + bytes(32), account]) for account in accounts)
    written = {keccak(new): new, keccak(new_storage): new_storage}
    known = {keccak(old): old, keccak(old_storage): old_storage}
    assert nodes.older(keccak(old), keccak(new), written, known.get) == {
        keccak(new): keccak(old),
        keccak(new_storage): keccak(old_storage),
    }


def test_a_state_that_did_not_change_or_is_the_first_pairs_nothing() -> None:
    root, value = b"r" * 32, rlp.encode(branch(1))
    assert nodes.older(root, root, {root: value}, {root: value}.get) == {}
    assert nodes.older(b"e" * 32, root, {root: value}, {}.get) == {}


# --- lists ------------------------------------------------------------------------------------------------------------


@given(NESTED)
def test_items_are_those_of_rlp_and_join_to_the_same_bytes(value: object) -> None:
    data = rlp.encode(value)
    if isinstance(value, bytes):
        assert lists.content(data) == value
        with pytest.raises(ValueError, match="expected"):
            lists.items(data)
        return
    found = lists.items(data)
    assert found == [rlp.encode(item) for item in value]  # type: ignore[attr-defined]
    assert lists.joined(found) == data


@given(NESTED.filter(lambda value: isinstance(value, list)), st.data())
def test_a_list_that_is_cut_or_has_something_after_it_is_refused(value: list, draw: st.DataObject) -> None:
    data = rlp.encode(value)
    cut = draw.draw(st.integers(0, len(data) - 1))
    for wrong in (data[:cut], data + b"\0"):
        with pytest.raises(ValueError, match=r"list|item"):
            lists.items(wrong)


@pytest.mark.parametrize("data", ["f80180", "f900018000", "c281", "f8", "ff", "c0c0"])
def test_lengths_that_do_not_fit_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"list|item"):
        lists.items(bytes.fromhex(data))
