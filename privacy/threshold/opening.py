"""From answers to the sum: which answers agree, the key sum they give, and the lanes under it, all checked.

A sum that does not check out is void and nothing of it is used.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field

import numpy as np

from privacy.aggregation import AnswerMalformed, Lanes, Opened, Roster, RoundVoid
from privacy.ids import PartnerId
from privacy.ring import Ints
from privacy.threshold import field
from privacy.threshold.decoding import wrong_places
from privacy.threshold.field import Elements
from privacy.threshold.lattice import blocks
from privacy.threshold.vectors import HIGH, Hidden, Vectors
from privacy.threshold.wire import HEADER_BYTES, Codec, Form, Malformed, places

COMBINATIONS = 3  # random words looked at: each hides an error with chance 2^-31


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as read: the holder's place and the cohort it states, its field elements (N,)."""

    place: int
    members: int
    values: Elements = dataclass_field(repr=False)


def read_answer(codec: Codec, degree: int, answer: bytes) -> Answer:
    """Raises AnswerMalformed for another length, form or range."""
    try:
        header = codec.read(answer, Form.ANSWER, 4 * degree)
    except Malformed as reason:
        raise AnswerMalformed(why=str(reason)) from None
    values: Elements = np.frombuffer(answer, "<u4", offset=HEADER_BYTES).astype(np.uint64)
    if (values >= field.P).any():
        raise AnswerMalformed(why="a word is no field element")
    return Answer(place=header.holder, members=header.members, values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens sums of one roster, seed and parameter set."""

    roster: Roster
    vectors: Vectors

    def open(self, total: Hidden, count: int, answers: Sequence[tuple[PartnerId, Answer]]) -> Opened:
        """The lanes (count,) of a total. Raises RoundVoid.

        m answers that state this cohort correct up to (m - t) // 2 wrong ones: the nearest polynomials are then the
        only ones so near. More wrong answers than that void the round; or, made to imitate another sum, they fail the
        checks of the residuals - unless one of them also uploads under another key, and then the sum opens without
        honest answers. So answerers are named only where no f of them can have been too many to correct, or when they
        answered for another cohort or place than others did.
        """
        fitting = {
            a.place: (p, a) for p, a in answers if a.members == total.members and self.roster.place(p) == a.place
        }
        kept = [partner for partner, _ in fitting.values()]
        astray = tuple(partner for partner, _ in answers if kept and partner not in kept)
        if len(fitting) < self.roster.threshold:
            raise void(f"{len(fitting)} answers of {self.roster.threshold} needed state its cohort", astray)
        at = sorted(fitting)
        values = np.stack([fitting[place][1].values for place in at])
        wrong = _wrong(at, values, self.roster.threshold)
        if wrong is None:
            raise void("the answers contradict each other", astray)
        good = [row for row, place in enumerate(at) if place not in wrong][: self.roster.threshold]
        lanes = self._lanes(total, _key([at[row] for row in good], values[good]), count, astray)
        sure = self.roster.colluders <= (len(at) - self.roster.threshold) // 2
        return Opened(lanes=lanes, wrong=astray + tuple(fitting[place][0] for place in wrong if sure))

    def _lanes(self, total: Hidden, key: Ints, count: int, astray: Sequence[PartnerId]) -> Lanes:
        """The lanes under a key sum. Raises RoundVoid where key, residual, zero or lane is out of its bound."""
        p, b, cohort = self.vectors.parameters, self.vectors.bounds(count), len(places(total.members))
        if np.abs(key).max() > p.binomial * cohort:
            raise void("the sum of the keys is out of range", astray)
        factor = self.vectors.matrix.factor(key)
        sums = np.empty(b.coefficients, np.int64)
        half = np.uint64(1 << (p.delta_bits - 1))
        bound = p.binomial * cohort
        for start, stop in blocks(b.polynomials):
            begin, end = start * p.degree, min(stop * p.degree, b.coefficients)
            block = total.high[begin:end].astype(np.uint64) << HIGH
            block += total.low[begin:end]
            block -= self.vectors.matrix.times(factor, start, stop).reshape(-1)[: end - begin]
            block += half
            residual = block & np.uint64((1 << p.delta_bits) - 1)  # half + error
            if residual.min() < int(half) - bound or residual.max() > int(half) + bound:
                raise void("a residual is out of range: a wrong answer, or an update under another key", astray)
            block &= np.uint64((1 << p.modulus_bits) - 1)
            sums[begin:end] = block >> np.uint64(p.delta_bits)
        lanes = sums[p.check_lanes : p.check_lanes + count]
        if sums[: p.check_lanes].any() or sums[p.check_lanes + count :].any():
            raise void("a coefficient that is zero in every update is not zero in the sum", astray)
        if lanes.max() > cohort * ((1 << b.value_bits) - 1):
            raise void("a lane is out of range", astray)
        return lanes


def void(why: str, wrong: Sequence[PartnerId]) -> RoundVoid:
    return RoundVoid(why=why, wrong=", ".join(wrong) or "not known")


def _key(at: Sequence[int], values: Elements) -> Ints:
    """The sum of keys (N,) in -P/2..P/2: the answers' polynomials at zero."""
    return field.centred(field.combine(field.lagrange(at, [0]), values)[0])


def _wrong(at: Sequence[int], values: Elements, terms: int) -> tuple[int, ...] | None:
    """Places whose values differ from the polynomials through all the others; None where none are near enough.

    All coordinates share their wrong places, so one random combination of them shows the places; what it shows is
    then verified in every coordinate, so that the combination is a shortcut and not an assumption.
    """
    if len(at) == terms:
        return ()
    for attempt in range(COMBINATIONS):
        oracle = hashlib.shake_256(b"ecohub threshold decode v1" + bytes([attempt]) + values.astype("<u4").tobytes())
        weights = np.frombuffer(oracle.digest(4 * values.shape[1]), "<u4").astype(np.uint64) % np.uint64(field.P)
        word = field.combine(weights[None, :], np.ascontiguousarray(values.T))[0]
        wrong = wrong_places(at, [int(value) for value in word], terms)
        if wrong is None:
            continue
        good = [row for row, place in enumerate(at) if place not in wrong]
        head, tail = good[:terms], good[terms:]
        basis = field.lagrange([at[row] for row in head], [at[row] for row in tail])
        if (field.combine(basis, values[head]) == values[tail]).all():
            return wrong
    return None
