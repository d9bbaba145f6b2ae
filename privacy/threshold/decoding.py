"""Reed-Solomon decoding of one word over the field of 2^31 - 1 elements.

Gao, "A new algorithm for decoding Reed-Solomon codes" (Communications, Information and Network Security, 2003): the
extended Euclidean algorithm on prod (X - x_i) and the interpolation of the word, stopped half way.
"""

from collections.abc import Sequence
from typing import TypeAlias

from privacy.threshold.field import P

Polynomial: TypeAlias = list[int]  # lowest term first, no zero on top; [] is zero


def wrong_places(places: Sequence[int], word: Sequence[int], terms: int) -> tuple[int, ...] | None:
    """The places where a word differs from the one polynomial of fewer than `terms` terms nearest to it.

    None where no such polynomial lies within (len(places) - terms) // 2 places. Distinct places.
    """
    m, radius = len(places), (len(places) - terms) // 2
    assert m >= terms, "fewer values than terms determine nothing"
    whole: Polynomial = [1]
    for x in places:
        whole = _multiply(whole, [-x % P, 1])
    remainders: tuple[Polynomial, Polynomial] = (whole, _interpolate(places, word, whole))
    factors: tuple[Polynomial, Polynomial] = ([], [1])
    while 2 * (len(remainders[1]) - 1) >= m + terms:
        quotient, rest = _divide(*remainders)
        remainders = (remainders[1], rest)
        factors = (factors[1], _subtract(factors[0], _multiply(quotient, factors[1])))
    found, rest = _divide(remainders[1], factors[1])
    if rest or len(found) > terms:
        return None
    wrong = tuple(x for x, y in zip(places, word, strict=True) if _value(found, x) != y)
    assert len(wrong) <= radius, "a quotient differs only where its divisor, of at most radius roots, is zero"
    return wrong


def _value(polynomial: Polynomial, x: int) -> int:
    total = 0
    for term in reversed(polynomial):
        total = (total * x + term) % P
    return total


def _multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    out = [0] * max(len(left) + len(right) - 1, 0)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            out[i + j] = (out[i + j] + a * b) % P
    return _trim(out)


def _subtract(left: Polynomial, right: Polynomial) -> Polynomial:
    length = max(len(left), len(right))
    padded = ([*side, *[0] * (length - len(side))] for side in (left, right))
    return _trim([(a - b) % P for a, b in zip(*padded, strict=True)])


def _divide(above: Polynomial, below: Polynomial) -> tuple[Polynomial, Polynomial]:
    rest, quotient = list(above), [0] * max(len(above) - len(below) + 1, 0)
    inverse = pow(below[-1], -1, P)
    for shift in reversed(range(len(quotient))):
        factor = quotient[shift] = rest[shift + len(below) - 1] * inverse % P
        for i, term in enumerate(below):
            rest[shift + i] = (rest[shift + i] - factor * term) % P
    return _trim(quotient), _trim(rest)


def _interpolate(places: Sequence[int], word: Sequence[int], whole: Polynomial) -> Polynomial:
    total: Polynomial = []
    for x, y in zip(places, word, strict=True):
        basis, _ = _divide(whole, [-x % P, 1])
        scale = y * pow(_value(basis, x), -1, P) % P
        total = _subtract(total, [-term * scale % P for term in basis])
    return total


def _trim(polynomial: Polynomial) -> Polynomial:
    while polynomial and polynomial[-1] == 0:
        polynomial.pop()
    return polynomial
