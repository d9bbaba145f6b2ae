"""The field of 2^31 - 1 elements on uint64 arrays: unbiased elements, polynomials evaluated and interpolated.

2^31 = 1 modulo p, so a value is reduced by adding its high part to its low 31 bits.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

P = (1 << 31) - 1
Elements: TypeAlias = NDArray[np.uint64]  # each in [0, P)

_P = np.uint64(P)
_BITS = np.uint64(31)
STEPS_PER_FOLD = 5  # a value below 2^31 times 64, plus a coefficient, five times: below 2^62


def fold(values: Elements) -> Elements:
    """Any uint64 -> an equal value modulo P below 2^34; below 2^32 when it came from below 2^62."""
    return (values & _P) + (values >> _BITS)


def reduce(values: Elements) -> Elements:
    """Any uint64 -> [0, P)."""
    folded = fold(fold(values))
    return np.where(folded >= _P, folded - _P, folded)


def centred(values: Elements) -> NDArray[np.int64]:
    """[0, P) -> (-P/2, P/2)."""
    signed = values.astype(np.int64)
    return np.where(signed > P // 2, signed - P, signed)


def uniform(draw: Callable[[int], bytes], count: int) -> Elements:
    """Independent uniform elements: 31 bits a draw, and the one value that is no element is drawn again."""
    kept = np.zeros(0, np.uint64)
    while len(kept) < count:
        words = np.frombuffer(draw(4 * (count - len(kept))), "<u4").astype(np.uint64) & _P
        kept = np.concatenate([kept, words[words != _P]])
    return kept


def evaluate(coefficients: Elements, points: Sequence[int]) -> Elements:
    """Polynomials (terms, k), lowest term first, at small points -> (points, k). Points are places: at most 64."""
    assert all(0 <= point <= 64 for point in points), "points are places of a roster"
    x = np.array(points, np.uint64)[:, None]
    values = np.zeros((len(points), coefficients.shape[1]), np.uint64)
    for step, row in enumerate(coefficients[::-1], start=1):
        values *= x
        values += row
        if step % STEPS_PER_FOLD == 0:
            values = fold(fold(values))
    return reduce(values)


def combine(weights: Elements, vectors: Elements) -> Elements:
    """Weights (r, m) times vectors (m, k) -> (r, k): products stay below 2^62, up to 2^31 folded ones are added."""
    out = np.empty((weights.shape[0], vectors.shape[1]), np.uint64)
    for row, weight in enumerate(weights):
        out[row] = fold(weight[:, None] * vectors).sum(axis=0)
    return reduce(out)


def lagrange(places: Sequence[int], targets: Sequence[int]) -> Elements:
    """Weights (targets, places): the value at a target of the polynomial through the values at distinct places."""
    rows = []
    for target in targets:
        row = []
        for i in places:
            above = below = 1
            for j in places:
                if j != i:
                    above, below = above * (target - j) % P, below * (i - j) % P
            row.append(above * pow(below, -1, P) % P)
        rows.append(row)
    return np.array(rows, np.uint64).reshape(len(targets), len(places))
