"""Finds any of very many byte patterns in recorded content: what the canary test searches with.

Every pattern has at least 8 bytes. A table of the first three bytes of all patterns sieves the places; what passes is
compared by its first eight bytes and then in full. Text patterns are kept in lower case and searched in a lower-case
copy, so hex digits of either case are found.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

KEY_BYTES = 8
SIEVE_BYTES = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern that was found: what it is a form of, and where it stood."""

    label: str
    place: int


class Patterns:
    """`add` all patterns, then `search` as often as wanted. The label of a repeated pattern is that of its first."""

    def __init__(self) -> None:
        self._raw: dict[bytes, str] = {}
        self._text: dict[bytes, str] = {}
        self._built: tuple[_Index, _Index] | None = None

    def __len__(self) -> int:
        return len(self._raw) + len(self._text)

    def add(self, pattern: bytes, label: str) -> None:
        assert len(pattern) >= KEY_BYTES, f"too short to be no accident: {label}"
        self._raw.setdefault(pattern, label)

    def add_text(self, text: str, label: str) -> None:
        pattern = text.lower().encode()
        assert len(pattern) >= KEY_BYTES, f"too short to be no accident: {label}"
        self._text.setdefault(pattern, label)

    def update(self, found: Iterable[tuple[bytes | str, str]]) -> None:
        """Add many: bytes as they are, text in any case."""
        for pattern, label in found:
            if isinstance(pattern, str):
                self.add_text(pattern, label)
            else:
                self.add(pattern, label)

    def search(self, content: bytes) -> Iterator[Hit]:
        """All places at which a pattern stands."""
        if self._built is None:
            self._built = _Index(self._raw), _Index(self._text)
        raw, text = self._built
        yield from raw.search(content)
        yield from text.search(content.lower())


class _Index:
    """An immutable set of patterns, ready to be searched for.

    Each pattern is met by the eight of its bytes that differ most among themselves: runs of small numbers are mostly
    zeros, and so is much of what is searched.
    """

    def __init__(self, patterns: dict[bytes, str]) -> None:
        self._patterns = patterns
        spans: dict[int, set[tuple[int, int]]] = {}  # key → (its place in the pattern, length of the pattern)
        for pattern in patterns:
            place = _telling_place(pattern)
            key = int.from_bytes(pattern[place : place + KEY_BYTES], "little")
            spans.setdefault(key, set()).add((place, len(pattern)))
        self._spans = {key: tuple(found) for key, found in spans.items()}
        self._keys = np.array(sorted(self._spans), dtype=np.uint64)
        self._sieve = np.zeros(1 << (8 * SIEVE_BYTES), dtype=bool)
        self._sieve[(self._keys & np.uint64((1 << (8 * SIEVE_BYTES)) - 1)).astype(np.int64)] = True

    def search(self, content: bytes) -> Iterator[Hit]:
        places = len(content) - KEY_BYTES + 1
        if places <= 0 or not len(self._keys):
            return
        data = np.frombuffer(content, np.uint8)
        heads = data[:places].astype(np.uint32)
        for i in range(1, SIEVE_BYTES):
            heads |= data[i : places + i].astype(np.uint32) << np.uint32(8 * i)
        likely = np.flatnonzero(self._sieve[heads])
        keys = np.zeros(len(likely), dtype=np.uint64)
        for i in range(KEY_BYTES):
            keys |= data[likely + i].astype(np.uint64) << np.uint64(8 * i)
        spots = np.searchsorted(self._keys, keys)
        spots[spots == len(self._keys)] = 0
        known = self._keys[spots] == keys
        for place, key in zip(likely[known].tolist(), keys[known].tolist(), strict=True):
            for before, length in self._spans[key]:
                start = place - before
                label = self._patterns.get(content[start : start + length]) if start >= 0 else None
                if label is not None:
                    yield Hit(label, start)


def _telling_place(pattern: bytes) -> int:
    if len(set(pattern[:KEY_BYTES])) >= KEY_BYTES - 2:
        return 0
    places = range(0, len(pattern) - KEY_BYTES + 1)
    return max(places, key=lambda place: len(set(pattern[place : place + KEY_BYTES])))
