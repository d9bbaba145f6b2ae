"""Runs of ids that nobody has by chance: numbers that rise in equal steps, as of somebody who counts through them.

Clients' ids are spread: of a million mobile numbers out of two million the longest run in steps of one is about 20.
Whoever draws guesses at random makes no run; against that stand the budgets (partner_node.match_guard).
"""

import re
from array import array
from collections.abc import Callable, Iterable
from datetime import date

import numpy as np

RESIDENT, PHONE, USCC, HONG_KONG, EMAIL = b"cid:", b"phone:+", b"uscc:", b"hkid:", b"email:"
_EMAIL_NUMBER = re.compile(rb"([0-9]{1,15})([^0-9@]*@.*)$")
_DAYS, _SEQUENCES = 10**6, 1000  # more than days up to year 2737; GB 11643: three digits for a region and day


def longest_run(ids: Iterable[bytes]) -> int:
    """The most normalised ids of one set that follow each other in equal steps; 0 where the type has no such order.

    Account numbers count as 0: institutions issue them one after the other, so real clients have them in a row.
    """
    groups: dict[bytes, array[int]] = {}  # eight bytes a client
    for client in ids:
        place = _place(client)
        if place is not None:
            groups.setdefault(place[0], array("q")).append(place[1])
    return max((_run(np.sort(np.array(numbers, dtype=np.int64))) for numbers in groups.values()), default=0)


def _run(numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> int:
    """The longest arithmetic progression of neighbours in ascending numbers, in terms."""
    if len(numbers) < 3:
        return len(numbers)
    steps = np.diff(numbers)
    ends = np.concatenate([[-1], np.flatnonzero(np.diff(steps)), [len(steps) - 1]])
    return int(np.diff(ends).max()) + 1


def _place(client: bytes) -> tuple[bytes, int] | None:
    """(what stays the same, the number that a guesser would count up)."""
    for tag, place in _PLACES.items():
        if client.startswith(tag):
            return place(client[len(tag) :])
    return None


def _resident(number: bytes) -> tuple[bytes, int]:
    """Region, day and sequence as one number, so that counting days up is a run as well; no check character."""
    day = date(int(number[6:10]), int(number[10:12]), int(number[12:14])).toordinal()
    return RESIDENT, (int(number[:6]) * _DAYS + day) * _SEQUENCES + int(number[14:17])


def _phone(number: bytes) -> tuple[bytes, int]:
    return b"%s%d" % (PHONE, len(number)), int(number)


def _uscc(code: bytes) -> tuple[bytes, int]:
    """GB 32100: eight characters of authority, kind and region, then the organisation's eight; no check characters."""
    return USCC + code[:8], int(code[8:16], 36)


def _hong_kong(code: bytes) -> tuple[bytes, int]:
    return HONG_KONG + code[:-7], int(code[-7:-1])


def _email(address: bytes) -> tuple[bytes, int] | None:
    found = _EMAIL_NUMBER.search(address)
    return (EMAIL + address[: found.start()] + found[2], int(found[1])) if found else None


_PLACES: dict[bytes, Callable[[bytes], tuple[bytes, int] | None]] = {
    RESIDENT: _resident,
    PHONE: _phone,
    USCC: _uscc,
    HONG_KONG: _hong_kong,
    EMAIL: _email,
}
