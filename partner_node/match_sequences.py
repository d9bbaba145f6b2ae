"""Runs of ids that nobody has by chance: numbers that rise in equal steps, as of somebody who counts through them.

Clients' ids are spread: of a million mobile numbers out of two million the longest run in steps of one is about 20.
Whoever draws guesses at random makes no run; against that stand the budgets (partner_node.match_guard).
"""

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

RESIDENT, PHONE, USCC, HONG_KONG, EMAIL = b"cid:", b"phone:+", b"uscc:", b"hkid:", b"email:"
_EMAIL_NUMBER = re.compile(rb"([0-9]{1,15})([^0-9@]*@.*)$")
_DAYS, _SEQUENCES = 10**6, 1000  # more days than there are; GB 11643: three digits for a region and day

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def longest_run(ids: Sequence[bytes]) -> int:
    """The most normalised ids of one type that follow each other in equal steps; 0 where the type has no such order.

    Account numbers count as 0: institutions issue them one after the other, so real clients have them in a row.
    """
    tag = next((tag for tag in _NUMBERS if ids and ids[0].startswith(tag)), None)
    if tag is None:
        return 0
    return max((_run(np.sort(numbers)) for numbers in _NUMBERS[tag](ids)), default=0)


def _run(numbers: Numbers) -> int:
    """The longest arithmetic progression of neighbours in ascending numbers, in terms."""
    if len(numbers) < 3:
        return len(numbers)
    steps = np.diff(numbers)
    ends = np.concatenate([[-1], np.flatnonzero(np.diff(steps)), [len(steps) - 1]])
    return int(np.diff(ends).max()) + 1


def _digits(ids: Sequence[bytes], start: int, length: int) -> Numbers:
    """The decimal number at one place of ids that are all of one length."""
    characters = np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(ids), -1)[:, start : start + length]
    total = np.zeros(len(ids), dtype=np.int64)
    for place in range(length):
        total = total * 10 + (characters[:, place] - ord("0"))
    return total


def _residents(ids: Sequence[bytes]) -> Iterable[Numbers]:
    """Region, day and sequence as one number, so that counting days up is a run as well; no check character."""
    region, year, month, day, sequence = (
        _digits(ids, len(RESIDENT) + start, length) for start, length in ((0, 6), (6, 4), (10, 2), (12, 2), (14, 3))
    )
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day
    yield (region * _DAYS + days + _DAYS // 2) * _SEQUENCES + sequence


def _phones(ids: Sequence[bytes]) -> Iterable[Numbers]:
    by_length: dict[int, list[bytes]] = {}
    for client in ids:
        by_length.setdefault(len(client), []).append(client)
    for length, same in by_length.items():
        yield _digits(same, len(PHONE), length - len(PHONE))


def _one_by_one(place: Callable[[bytes], tuple[bytes, int] | None]) -> Callable[[Sequence[bytes]], Iterable[Numbers]]:
    """`place`: (what stays the same, the number that a guesser would count up) of one id."""

    def numbers(ids: Sequence[bytes]) -> Iterable[Numbers]:
        groups: dict[bytes, array[int]] = {}
        for client in ids:
            found = place(client)
            if found is not None:
                groups.setdefault(found[0], array("q")).append(found[1])
        return (np.array(group, dtype=np.int64) for group in groups.values())

    return numbers


def _uscc(code: bytes) -> tuple[bytes, int]:
    """GB 32100: eight characters of authority, kind and region, then the organisation's eight; no check characters."""
    start = len(USCC) + 8
    return code[:start], int(code[start : start + 8], 36)


def _hong_kong(code: bytes) -> tuple[bytes, int]:
    return code[:-7], int(code[-7:-1])


def _email(address: bytes) -> tuple[bytes, int] | None:
    found = _EMAIL_NUMBER.search(address)
    return (address[: found.start()] + b"\x00" + found[2], int(found[1])) if found else None


_NUMBERS: dict[bytes, Callable[[Sequence[bytes]], Iterable[Numbers]]] = {
    RESIDENT: _residents,
    PHONE: _phones,
    USCC: _one_by_one(_uscc),
    HONG_KONG: _one_by_one(_hong_kong),
    EMAIL: _one_by_one(_email),
}
