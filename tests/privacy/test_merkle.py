"""RFC 6962 trees: known roots and paths, every proof up to 64 leaves, and every way to spoil one."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import merkle

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "merkle_rfc6962.json").read_text())
LEAVES = [merkle.leaf_hash(i.to_bytes(2, "big")) for i in range(64)]
ROOTS = [merkle.root(LEAVES[:size]) for size in range(65)]
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 21, 31, 32, 33]


def slow_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def known_leaves() -> list[bytes]:
    return [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]


def hexes(path: list[bytes]) -> list[str]:
    return [item.hex() for item in path]


def test_known_roots_of_every_size() -> None:
    assert [merkle.root(known_leaves()[:size]).hex() for size in range(9)] == VECTORS["roots"]


def test_known_inclusion_paths() -> None:
    for case in VECTORS["inclusion"]:
        assert hexes(merkle.inclusion_proof(known_leaves()[: case["size"]], case["index"])) == case["path"]


def test_known_consistency_paths() -> None:
    for case in VECTORS["consistency"]:
        assert hexes(merkle.consistency_proof(known_leaves()[: case["new"]], case["old"])) == case["path"]


def test_roots_match_the_definition() -> None:
    assert [slow_root(LEAVES[:size]) for size in range(65)] == ROOTS
    tree = merkle.Tree(LEAVES)
    assert [tree.root(size) for size in range(65)] == ROOTS  # a grown tree still knows its earlier roots


def test_every_inclusion_proof_up_to_64() -> None:
    tree = merkle.Tree(LEAVES)
    for size in range(1, 65):
        for index in range(size):
            merkle.verify_inclusion(ROOTS[size], size, index, LEAVES[index], tree.inclusion_proof(index, size))


def test_every_consistency_proof_up_to_64() -> None:
    tree = merkle.Tree(LEAVES)
    for size in range(65):
        for old in range(size + 1):
            merkle.verify_consistency(old, ROOTS[old], size, ROOTS[size], tree.consistency_proof(old, size))


def spoiled(proof: list[bytes]) -> list[list[bytes]]:
    """Every proof that differs by one bit, one missing, one extra, one doubled or two swapped hashes."""
    out = [[*proof, bytes(32)], [bytes(32), *proof], [*proof, *proof[-1:], *LEAVES[:1]]]
    for i, item in enumerate(proof):
        out.append([*proof[:i], bytes([item[0] ^ 1]) + item[1:], *proof[i + 1 :]])
        out.append([*proof[:i], item[:31] + bytes([item[31] ^ 0x80]), *proof[i + 1 :]])
        out.append(proof[:i] + proof[i + 1 :])
        out.append([*proof[:i], item, *proof[i:]])
        out.append([*proof[:i], item[:31], *proof[i + 1 :]])
        if i and proof[i - 1] != item:
            out.append([*proof[: i - 1], item, proof[i - 1], *proof[i + 1 :]])
    return out


def refused(check: Callable[..., None], *arguments: object) -> None:
    with pytest.raises(merkle.BadProof):
        check(*arguments)


@pytest.mark.parametrize("size", SIZES)
def test_spoiled_inclusion_proof_is_refused(size: int) -> None:
    for index in range(size):
        root, leaf, proof = ROOTS[size], LEAVES[index], merkle.inclusion_proof(LEAVES[:size], index)
        for bad in spoiled(proof):
            refused(merkle.verify_inclusion, root, size, index, leaf, bad)
        for other in range(-1, size + 2):
            if other != index:
                refused(merkle.verify_inclusion, root, size, other, leaf, proof)
        refused(merkle.verify_inclusion, root, size, index, LEAVES[(index + 1) % 64], proof)
        refused(merkle.verify_inclusion, ROOTS[size - 1], size, index, leaf, proof)
        refused(merkle.verify_inclusion, root, size, index, leaf[:31], proof)


@pytest.mark.parametrize("size", SIZES)
def test_spoiled_consistency_proof_is_refused(size: int) -> None:
    for old in range(size + 1):
        proof = merkle.consistency_proof(LEAVES[:size], old)
        for bad in spoiled(proof):
            refused(merkle.verify_consistency, old, ROOTS[old], size, ROOTS[size], bad)
        refused(merkle.verify_consistency, old, bytes(32), size, ROOTS[size], proof)
        if old:
            refused(merkle.verify_consistency, old, ROOTS[old], size, bytes(32), proof)
            refused(merkle.verify_consistency, old, ROOTS[old - 1], size, ROOTS[size], proof)
        if old < size:
            refused(merkle.verify_consistency, size, ROOTS[size], old, ROOTS[old], proof)
            refused(merkle.verify_consistency, -1, ROOTS[old], size, ROOTS[size], proof)


@pytest.mark.parametrize(("index", "size", "said_index", "said_size"), [(1, 2, 0, 1), (3, 4, 1, 2), (3, 4, 2, 3)])
def test_inclusion_in_a_shallower_tree_is_refused(index: int, size: int, said_index: int, said_size: int) -> None:
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    refused(merkle.verify_inclusion, ROOTS[size], said_size, said_index, LEAVES[index], proof)


@pytest.mark.parametrize(
    ("old", "size", "said_old", "said_size"),
    [(7, 8, 3, 4), (7, 8, 6, 7), (7, 8, 10, 11), (1, 1, 1, 2), (1, 1, 2, 4), (2, 4, 2, 8)],
)
def test_consistency_under_sizes_that_lie_is_refused(old: int, size: int, said_old: int, said_size: int) -> None:
    proof = merkle.consistency_proof(LEAVES[:size], old)
    refused(merkle.verify_consistency, said_old, ROOTS[old], said_size, ROOTS[size], proof)


def test_inner_node_never_passes_for_a_leaf() -> None:
    proof = merkle.inclusion_proof(LEAVES[:4], 0)
    inner = merkle.node_hash(LEAVES[0], LEAVES[1])
    refused(merkle.verify_inclusion, ROOTS[4], 4, 0, inner, proof[1:])
    assert merkle.leaf_hash(LEAVES[0] + LEAVES[1]) != inner


def test_positions_beyond_the_end_are_refused() -> None:
    tree = merkle.Tree(LEAVES[:5])
    for call in (
        lambda: tree.inclusion_proof(5),
        lambda: tree.inclusion_proof(-1),
        lambda: tree.consistency_proof(6),
        lambda: tree.root(6),
        lambda: merkle.inclusion_proof([], 0),
    ):
        with pytest.raises(merkle.NoSuchLeaf):
            call()


def test_a_leaf_hash_has_32_bytes() -> None:
    with pytest.raises(AssertionError):
        merkle.Tree([b"short"])


@given(st.lists(st.binary(max_size=4), max_size=40), st.data())
def test_growing_tree_proves_its_past(items: list[bytes], data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(item) for item in items]
    tree = merkle.Tree(leaves)
    assert tree.root() == slow_root(leaves)
    old = data.draw(st.integers(0, len(leaves)))
    merkle.verify_consistency(old, slow_root(leaves[:old]), len(leaves), tree.root(), tree.consistency_proof(old))
    if leaves:
        index = data.draw(st.integers(0, len(leaves) - 1))
        merkle.verify_inclusion(tree.root(), len(leaves), index, leaves[index], tree.inclusion_proof(index))
