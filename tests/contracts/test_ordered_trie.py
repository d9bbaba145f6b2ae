"""The root over an ordered list equals that of the EVM library's own trie."""

from types import SimpleNamespace

import pytest
import rlp
from eth.db.trie import make_trie_root_and_nodes
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from contracts.ordered_trie import ordered_root


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16, 17, 127, 128, 129, 255, 256, 257, 300, 1_000])
@pytest.mark.parametrize("size", [1, 20, 33, 60, 300])
def test_the_root_is_that_of_the_evms_own_trie(count: int, size: int) -> None:
    items = [bytes([i % 256]) * size for i in range(count)]
    root, _ = make_trie_root_and_nodes([SimpleNamespace(encode=lambda item=item: item) for item in items])
    assert ordered_root(items) == root


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=200))
def test_any_list_has_the_root_of_a_general_trie(items: list[bytes]) -> None:
    general = HexaryTrie({})
    for index, item in enumerate(items):
        general[rlp.encode(index)] = item
    assert ordered_root(items) == general.root_hash


def test_the_empty_root_is_the_one_in_every_empty_block() -> None:
    assert ordered_root([]).hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
