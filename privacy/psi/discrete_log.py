"""Small discrete logarithms over edwards25519: which n, up to a stated bound, has n·G = P. No I/O.

Baby steps and giant steps (Shanks 1971) with the negation map, as in Galbraith, Wang, Zhang, "Computing elliptic curve
discrete logarithms with improved baby-step giant-step algorithm" (Adv. Math. Commun. 11, 2017), section 3: P and -P
have the same y, so a table of 0·G … m·G finds every distance from -m to m, and a giant step is 2m + 1 long. With
m = √(bound / 2) baby steps, n costs m + n / (2m + 1) additions: small sums are found sooner. Not constant in time: n is
the result of whoever computes it.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from privacy.psi.elgamal import IDENTITY, add, small_scalar, subtract, times_base
from privacy.psi.group import POINT_BYTES, Map

BOUND_MAX = 1 << 40
TABLE_MAX = 1 << 20  # baby steps: 16 bytes each are kept
_STRIDE = 1024  # steps of one call of `map`
_WINDOW = 16  # such calls between two looks whether the logarithm is there

Words: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"
Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


def discrete_log(point: bytes, bound: int, map: Map = map) -> int | None:
    """The n from 0 to bound with n·G = point, or None. bound: at most 2^40; about √(2·bound) additions at the most.

    point: the canonical encoding of an element of the subgroup, which may be the identity.
    """
    assert 0 <= bound <= BOUND_MAX, "the search is bounded"
    reach = min(TABLE_MAX, math.isqrt(bound // 2) + 1)
    table, order = _baby_steps(reach, map)
    leap = 2 * reach + 1
    for first, words in _giant_steps(point, reach, leap, bound, map):
        places = np.minimum(np.searchsorted(table, words), len(table) - 1)
        for hit in np.flatnonzero(table[places] == words).tolist():
            centre, distance = (first + hit) * leap + reach, int(order[places[hit]])
            for candidate in (centre - distance, centre + distance):
                if candidate <= bound and times_base(small_scalar(candidate)) == point:
                    return candidate
    return None


def _baby_steps(reach: int, map: Map) -> tuple[Words, Places]:
    """(words of 0·G … reach·G, ascending; which step each of them is)."""
    starts = [times_base(small_scalar(step)) for step in range(0, reach + 1, _STRIDE)]
    base = times_base(small_scalar(1))
    words = np.concatenate([_words(chunk) for chunk in map(partial(_walk, base, _STRIDE), ([p] for p in starts))])
    order = np.argsort(words[: reach + 1], kind="stable")
    return words[order], order.astype(np.int64)


def _giant_steps(point: bytes, reach: int, leap: int, bound: int, map: Map) -> Iterator[tuple[int, Words]]:
    """(number of the first step, words) of point - (reach + k·leap)·G for windows of k = 0, 1, … up to the bound."""
    back = subtract(IDENTITY, times_base(small_scalar(leap)))
    for first in range(0, bound // leap + 1, _STRIDE * _WINDOW):
        steps = range(first, min(first + _STRIDE * _WINDOW, bound // leap + 1), _STRIDE)
        starts = [[subtract(point, times_base(small_scalar(reach + step * leap)))] for step in steps]
        chunks = list(map(partial(_walk, back, _STRIDE), starts))
        yield first, np.concatenate([_words(chunk) for chunk in chunks])


def _walk(step: bytes, count: int, start: Sequence[bytes]) -> list[bytes]:
    """start, start + step, … : `count` points."""
    point, out = start[0], []
    for _ in range(count):
        out.append(point)
        point = add(point, step)
    return out


def _words(points: Sequence[bytes]) -> Words:
    """The lowest 64 bits of every point's y: the same for a point and its negative, whose sign stands in bit 255."""
    return np.frombuffer(b"".join(points), np.dtype("<u8")).reshape(-1, POINT_BYTES // 8)[:, 0].astype(np.uint64)
