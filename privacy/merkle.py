"""Merkle tree hash, inclusion and consistency proofs, built and verified, as in RFC 6962 section 2.1.

Leaves are hashed as SHA-256(0x00 ‖ data) and inner nodes as SHA-256(0x01 ‖ left ‖ right), so neither can stand in for
the other. Verification follows the loops of RFC 9162 sections 2.1.3.2 and 2.1.4.2 (same tree) and raises; nothing is
returned that a caller could forget to look at. This module never sees what a leaf means.
"""

import hashlib
from collections.abc import Iterable, Sequence

from privacy.errors import Failure, Kind

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class BadProof(Failure):
    code = "MERKLE_PROOF_INVALID"
    kind = Kind.INTEGRITY
    en = "the {what} proof does not hold: {why}; do not rely on this log, compare it with the last co-signed checkpoint"
    zh = "{what} 证明不成立：{why}；请勿采信该日志，应与上一个共签检查点核对"


class NoSuchLeaf(Failure):
    code = "MERKLE_NO_SUCH_LEAF"
    kind = Kind.NOT_FOUND
    en = "there is no position {index} in a log of {size} leaves"
    zh = "日志共 {size} 条记录，不存在位置 {index}"


class Tree:
    """An append-only tree that keeps the hash of every complete subtree: proofs cost O(log² n) after O(n) to build."""

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        # _levels[k][i] is the hash over leaves i·2^k … (i+1)·2^k - 1
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaf_hashes:
            self.append(leaf)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash (32 bytes, from `leaf_hash`)."""
        assert len(leaf) == HASH_BYTES, "a leaf hash has 32 bytes"
        node, level = leaf, 0
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            node = node_hash(self._levels[level][-2], node)
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)

    def root(self, size: int | None = None) -> bytes:
        """MTH of the first `size` leaves (all by default). Raises NoSuchLeaf beyond the end."""
        size = self._checked(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """PATH(index, D[size]): the hashes from the leaf's neighbour up to the root. Raises NoSuchLeaf."""
        size = self._checked(size)
        if not 0 <= index < size:
            raise NoSuchLeaf(index=index, size=size)
        low, high = 0, size
        path: list[bytes] = []
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low = middle
        return path[::-1]

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """PROOF(old, D[size]): shows that the first `old` leaves were only added to. Empty for old 0 or old = size."""
        size = self._checked(size)
        if not 0 <= old <= size:
            raise NoSuchLeaf(index=old, size=size)
        if old in (0, size):
            return []
        low, high = 0, size
        path: list[bytes] = []
        whole = True  # RFC 6962 section 2.1.2: `b`, the verifier knows this subtree's hash as the old root
        while old != high:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._range(middle, high))
                high = middle
            else:
                path.append(self._range(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._range(low, high))
        return path[::-1]

    def _checked(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise NoSuchLeaf(index=size, size=self.size)
        return size

    def _range(self, low: int, high: int) -> bytes:
        width = high - low
        if width & (width - 1) == 0 and low % width == 0:
            return self._levels[width.bit_length() - 1][low // width]
        middle = low + _split(width)
        return node_hash(self._range(low, middle), self._range(middle, high))


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data): 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right): 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree hash of leaf hashes in order; SHA-256 of nothing for none.

    Level by level: a node without a neighbour goes up as it is. Of many leaves a `Tree` takes twice as long, and keeps
    them.
    """
    level, hashed = list(leaf_hashes), hashlib.sha256
    while len(level) > 1:
        alone = level[-1:] if len(level) % 2 else []
        level = [hashed(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += alone
    return level[0] if level else EMPTY_ROOT


def inclusion_proof(leaf_hashes: Iterable[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`. For many proofs over one list, keep a `Tree`. Raises NoSuchLeaf."""
    return Tree(leaf_hashes).inclusion_proof(index)


def consistency_proof(leaf_hashes: Iterable[bytes], old: int) -> list[bytes]:
    """The proof that the first `old` leaves are a prefix of this list. Raises NoSuchLeaf."""
    return Tree(leaf_hashes).consistency_proof(old)


def verify_inclusion(root: bytes, size: int, index: int, leaf_hash: bytes, proof: Sequence[bytes]) -> None:
    """Raises BadProof unless `proof` shows `leaf_hash` at `index` in the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        raise BadProof(what="inclusion", why=f"position {index} is outside a tree of {size}")
    _check_hashes("inclusion", [root, leaf_hash, *proof])
    here, last, node = index, size - 1, leaf_hash
    for neighbour in proof:
        if last == 0:
            raise BadProof(what="inclusion", why="it is too long")
        if here % 2 == 1 or here == last:
            node = node_hash(neighbour, node)
            while here % 2 == 0 and here != 0:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, neighbour)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise BadProof(what="inclusion", why="it is too short")
    if node != root:
        raise BadProof(what="inclusion", why="it leads to another root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises BadProof unless `proof` shows that the new tree only added leaves to the old one.

    Any tree continues the empty one: old_size 0 takes the empty root and an empty proof.
    """
    if not 0 <= old_size <= new_size:
        raise BadProof(what="consistency", why=f"a log of {old_size} leaves cannot become one of {new_size}")
    _check_hashes("consistency", [old_root, new_root, *proof])
    if old_size == new_size or old_size == 0:
        _check_trivial(old_size, old_root, new_size, new_root, proof)
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)  # a complete old tree is itself the first node
    here, last = old_size - 1, new_size - 1
    while here % 2 == 1:
        here, last = here >> 1, last >> 1
    if not path:
        raise BadProof(what="consistency", why="it is too short")
    old_node = new_node = path[0]
    for neighbour in path[1:]:
        if last == 0:
            raise BadProof(what="consistency", why="it is too long")
        if here % 2 == 1 or here == last:
            old_node, new_node = node_hash(neighbour, old_node), node_hash(neighbour, new_node)
            while here % 2 == 0 and here != 0:
                here, last = here >> 1, last >> 1
        else:
            new_node = node_hash(new_node, neighbour)
        here, last = here >> 1, last >> 1
    if last != 0:
        raise BadProof(what="consistency", why="it is too short")
    if old_node != old_root or new_node != new_root:
        raise BadProof(what="consistency", why="it leads to another root")


def _check_trivial(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise BadProof(what="consistency", why="it is too long")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise BadProof(what="consistency", why="the empty log has another root")
    if old_size == new_size and old_root != new_root:
        raise BadProof(what="consistency", why="one size has two roots")


def _check_hashes(what: str, hashes: Sequence[bytes]) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise BadProof(what=what, why="a hash is not 32 bytes long")


def _split(width: int) -> int:
    """The largest power of two smaller than width (RFC 6962 section 2.1: k)."""
    return 1 << (width - 1).bit_length() - 1
