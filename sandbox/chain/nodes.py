"""The stored form of data that its own hash names (trie nodes, code): whole, or as what an older value lacks.

A block writes each trie node on the way to a changed word anew, and most items of it stand in the node whose place it
takes. Stored are the other items:

    whole       00 | value
    difference  steps (1) | back (3) | changed (2), bit i for item i | the changed items, each as it stands in RLP

`steps` is how many differences, this one counted, lead to a whole value; `back` is how many rows before this one the
older value stands, never 0, so that differences always come to an end. The form of every row follows from the blocks
alone: of two ledgers of the same blocks the rows are equal.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sandbox.chain import lists

STEPS_MAX = 8
_WHOLE = b"\0"
_BACK, _CHANGED = slice(1, 4), slice(4, 6)
_ITEMS_AT, _BACK_MAX, _CHANGEABLE = 6, (1 << 24) - 1, 16
_HASH_ITEM, _ACCOUNT = 33, 0xB8  # bytes of a hash as an item; first byte of a string of 56 to 255 bytes


class Undecodable(Exception):
    """A stored value that leads to none: a row is missing or was altered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """A stored value: how many differences lead from it to a whole one, and how many rows before the new one it is."""

    value: bytes
    steps: int
    back: int


def encode(value: bytes, older: Older | None) -> bytes:
    """The stored form: a difference to the older value where that is shorter, else whole."""
    whole = _WHOLE + value
    if older is None or older.steps >= STEPS_MAX or not 0 < older.back <= _BACK_MAX:
        return whole
    changed = [(i, new) for i, (old, new) in enumerate(_alike(older.value, value)) if old != new]
    if not changed or changed[-1][0] >= _CHANGEABLE:
        return whole
    head = bytes([older.steps + 1]) + older.back.to_bytes(3, "big") + sum(1 << i for i, _ in changed).to_bytes(2, "big")
    return min(head + b"".join(new for _, new in changed), whole, key=len)


def decode(row: int, read: Callable[[int], bytes | None]) -> bytes:
    """The value stored in a row, of which `read` gives the stored form; rows count from 1. Raises Undecodable."""
    stored, newest = read(row), dict[int, bytes]()
    while stored and 0 < (steps := stored[0]) <= STEPS_MAX:
        back, changed = _difference(stored)
        if back >= row:
            raise Undecodable
        newest = changed | newest
        row -= back
        stored = read(row)
        if not stored or stored[0] != steps - 1:
            raise Undecodable
    if not stored or stored[:1] != _WHOLE:
        raise Undecodable
    return _changed(stored[1:], newest) if newest else stored[1:]


def older(
    before: bytes, after: bytes, written: Mapping[bytes, bytes | None], read: Callable[[bytes], bytes | None]
) -> dict[bytes, bytes]:
    """For each node that a block wrote, the key of the node whose place it takes, where there is one.

    before, after: state roots; written: what the block wrote; read: a value of the state before.
    """
    found: dict[bytes, bytes] = {}
    waiting = [(before, after)]
    while waiting:
        old, new = waiting.pop()
        value = written.get(new)
        if old != new and value is not None and new not in found and (stood := read(old)) is not None:
            found[new] = old
            waiting += _below(stood, value)
    return found


def _below(before: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The hashes that two nodes name at the same place, where they differ; an account's storage root is among them."""
    for old, new in _alike(before, after):
        if old == new:
            continue
        if len(old) == len(new) == _HASH_ITEM:
            yield old[1:], new[1:]
        elif old[0] == new[0] == _ACCOUNT:
            yield from _below(lists.content(old), lists.content(new))


def _alike(old: bytes, new: bytes) -> list[tuple[bytes, bytes]]:
    """The items of two lists side by side; nothing where they are no lists of the same number of items."""
    try:
        return list(zip(lists.items(old), lists.items(new), strict=True))
    except ValueError:
        return []


def _difference(stored: bytes) -> tuple[int, dict[int, bytes]]:
    back, changed = (int.from_bytes(stored[part], "big") for part in (_BACK, _CHANGED))
    places = [i for i in range(_CHANGEABLE) if changed >> i & 1]
    try:
        found = dict(zip(places, lists.split(stored[_ITEMS_AT:]), strict=True))
    except ValueError:
        raise Undecodable from None
    if not back or not found:
        raise Undecodable
    return back, found


def _changed(value: bytes, newest: Mapping[int, bytes]) -> bytes:
    try:
        items = lists.items(value)
    except ValueError:
        raise Undecodable from None
    if max(newest) >= len(items):
        raise Undecodable
    return lists.joined(newest.get(i, item) for i, item in enumerate(items))
