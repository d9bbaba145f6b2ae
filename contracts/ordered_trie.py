"""The root of the Merkle-Patricia trie over an ordered list: what a block header holds for transactions and receipts.

Keys are RLP(index), values are given (Yellow Paper section 4.3.2 and appendix D). Only the root is wanted, so it is
computed from the sorted keys in one pass; the tests compare it with the EVM library's own trie.
"""

from collections.abc import Sequence
from typing import TypeAlias

from eth_hash.auto import keccak

Entry: TypeAlias = "tuple[bytes, bytes]"  # (key as one nibble a byte, value)

EMPTY_ROOT = keccak(b"\x80")


def ordered_root(items: Sequence[bytes]) -> bytes:
    """The 32-byte root over items 0, 1, 2, …; that of the empty trie for none."""
    if not items:
        return EMPTY_ROOT
    entries = [(_nibbles(_string(_big(index))), item) for index, item in enumerate(items)]
    return keccak(_node(sorted(entries), 0))


def _node(entries: Sequence[Entry], depth: int) -> bytes:
    """RLP of the node over entries that share their first `depth` nibbles; no key is another one's beginning."""
    first, last = entries[0][0], entries[-1][0]
    if len(entries) == 1:
        return _list([_string(_compact(first[depth:], leaf=True)), _string(entries[0][1])])
    shared = depth
    while first[shared] == last[shared]:  # sorted: what first and last share, all share
        shared += 1
    branch = _branch(entries, shared)
    if shared == depth:
        return branch
    return _list([_string(_compact(first[depth:shared], leaf=False)), _reference(branch)])


def _branch(entries: Sequence[Entry], depth: int) -> bytes:
    children = [b"\x80"] * 17  # sixteen nibbles, and the value of a key that ends here: never one of ours
    start = 0
    while start < len(entries):
        nibble, end = entries[start][0][depth], start + 1
        while end < len(entries) and entries[end][0][depth] == nibble:
            end += 1
        children[nibble] = _reference(_node(entries[start:end], depth + 1))
        start = end
    return _list(children)


def _reference(node: bytes) -> bytes:
    """A node inside its parent: itself where it is shorter than a hash, else its hash."""
    return node if len(node) < 32 else _string(keccak(node))


def _compact(nibbles: bytes, *, leaf: bool) -> bytes:
    """Hex-prefix encoding (appendix C)."""
    flag = 2 * leaf + len(nibbles) % 2
    full = bytes([flag]) + nibbles if len(nibbles) % 2 else bytes([flag, 0]) + nibbles
    return bytes(high << 4 | low for high, low in zip(full[::2], full[1::2], strict=True))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _string(value: bytes) -> bytes:
    return value if len(value) == 1 and value[0] < 0x80 else _head(0x80, len(value)) + value


def _list(parts: Sequence[bytes]) -> bytes:
    body = b"".join(parts)
    return _head(0xC0, len(body)) + body


def _head(kind: int, length: int) -> bytes:
    if length < 56:
        return bytes([kind + length])
    size = _big(length)
    return bytes([kind + 55 + len(size)]) + size


def _big(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
