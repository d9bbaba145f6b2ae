"""From answers to the sum: which answers agree, the key sum they give, and the lanes under it, all checked.

A sum that does not check out is void. `privacy.aggregation.RoundVoid` names an answerer only where the answers leave
no other reading: see `agreed_key`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field

import numpy as np
from numpy.typing import NDArray

from privacy.aggregation import Lanes, Roster, RoundVoid
from privacy.ids import PartnerId
from privacy.ring import Ints
from privacy.threshold import field
from privacy.threshold.decoding import wrong_places
from privacy.threshold.field import Elements
from privacy.threshold.lattice import Matrix, blocks
from privacy.threshold.parameters import Bounds, ParameterSet

COMBINATIONS = 3  # random words tried: one hides an error with chance 2^-31


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as read: who sent it, what it says of itself, its field elements (N,)."""

    partner: PartnerId
    place: int
    members: int
    values: Elements = dataclass_field(repr=False)


def agreed_key(
    roster: Roster, parameters: ParameterSet, members: int, answers: Sequence[Answer]
) -> tuple[Ints, tuple[PartnerId, ...]]:
    """The sum of the cohort's keys (N,) in -P/2..P/2, and the answerers that were wrong. Raises RoundVoid.

    m answers that fit the cohort correct up to (m - t) // 2 wrong ones: the nearest polynomials are then the only
    ones. More wrong answers than that void the round, or, if they were made to imitate another sum, fail the checks
    of `open_lanes`.
    """
    fitting = [a for a in answers if a.members == members and roster.place(a.partner) == a.place]
    astray = tuple(a.partner for a in answers if a not in fitting)
    t, m = roster.threshold, len(fitting)
    if m < t:
        raise void(f"{m} fitting answers of {t} needed", astray)
    values = np.stack([a.values for a in fitting])
    places = [a.place for a in fitting]
    wrong = _wrong(places, values, t)
    if wrong is None:
        raise void("the answers contradict each other", astray)
    good = [i for i, place in enumerate(places) if place not in wrong]
    weights = field.lagrange([places[i] for i in good[:t]], [0])
    key = field.centred(field.combine(weights, values[good[:t]])[0])
    return key, astray + tuple(a.partner for a in fitting if a.place in wrong)


def open_lanes(
    matrix: Matrix, b: Bounds, parameters: ParameterSet, key: Ints, low: NDArray[np.uint32], high: NDArray[np.uint16],
    count: int, cohort: int, wrong: tuple[PartnerId, ...],
) -> Lanes:  # fmt: skip
    """The lanes (count,) of a total under a key sum. Raises RoundVoid where key, residual, zero or lane is off."""
    p = parameters
    if np.abs(key).max() > p.binomial * cohort:
        raise void("the sum of the keys is out of range", wrong)
    factor = matrix.factor(key)
    sums = np.empty(b.coefficients, np.int64)
    half, mask = np.uint64(1 << (p.delta_bits - 1)), np.uint64((1 << p.modulus_bits) - 1)
    for start, stop in blocks(b.polynomials):
        begin, end = start * p.degree, min(stop * p.degree, b.coefficients)
        block = high[begin:end].astype(np.uint64) << np.uint64(32)
        block += low[begin:end]
        block -= matrix.times(factor, start, stop).reshape(-1)[: end - begin]
        block += half
        block &= mask
        residual = (block & np.uint64((1 << p.delta_bits) - 1)).astype(np.int64) - int(half)
        if np.abs(residual).max() > p.binomial * cohort:
            raise void("a residual is out of range: a wrong answer, or an update under another key", wrong)
        sums[begin:end] = block >> np.uint64(p.delta_bits)
    lanes = sums[p.check_lanes : p.check_lanes + count]
    if sums[: p.check_lanes].any() or sums[p.check_lanes + count :].any():
        raise void("a coefficient that is zero in every update is not zero", wrong)
    if lanes.max() > cohort * ((1 << b.value_bits) - 1):
        raise void("a lane is out of range", wrong)
    return lanes


def void(why: str, wrong: Sequence[PartnerId]) -> RoundVoid:
    return RoundVoid(why=why, wrong=", ".join(wrong) or "not known")


def _wrong(places: Sequence[int], values: Elements, terms: int) -> tuple[int, ...] | None:
    """Places whose values differ from the polynomials through all the others, or None where none are near enough.

    All coordinates share their wrong places, so one random combination of them shows the places; what it shows is
    then verified in every coordinate, and the weights need not be secret from anyone but the answerers.
    """
    for attempt in range(COMBINATIONS):
        seed = hashlib.shake_256(b"ecohub threshold decode v1" + bytes([attempt]) + values.astype("<u4").tobytes())
        weights = np.frombuffer(seed.digest(4 * values.shape[1]), "<u4").astype(np.uint64) % np.uint64(field.P)
        word = field.combine(weights[None, :], np.ascontiguousarray(values.T))[0]
        wrong = wrong_places(places, [int(value) for value in word], terms)
        if wrong is None:
            continue
        good = [i for i, place in enumerate(places) if place not in wrong]
        head, tail = good[:terms], good[terms:]
        basis = field.lagrange([places[i] for i in head], [places[i] for i in tail])
        if not tail or (field.combine(basis, values[head]) == values[tail]).all():
            return wrong
    return None
