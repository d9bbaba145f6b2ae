"""Exact samples of the discrete Gaussian: integers x with probability proportional to exp(-x^2 / (2 variance)).

Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020, algorithms 1 to 3, over
whole arrays. Every choice is a comparison of uniform integers, so there is no rounding that an observer could use
(Mironov, CCS 2012): no floating point is involved. Uniform integers come by rejection from an AES stream under a
32-byte seed of the caller's entropy. How long a draw takes depends on it: samples are made on the party's own machine.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.aggregation import Entropy, Lanes
from privacy.ring import SEED_BYTES, Stream

Words: TypeAlias = NDArray[np.uint64]
Flags: TypeAlias = NDArray[np.bool_]
Ratio: TypeAlias = tuple[Words, Words]  # numerators and denominators; either may have one element for all

VARIANCE_MAX = 1 << 40  # with it all products stay below 2^63
ROUNDS_MAX = 1 << 10  # a longer run of successes, each of chance 1/e, has chance 2^-1477
BLOCK = 1 << 15  # candidates worked on at a time: they stay in the cache


def discrete_gaussian(variance: int, count: int, entropy: Entropy) -> Lanes:
    """int64 (count,): independent samples; variance is the parameter sigma^2, an integer from 1 to 2^40.

    The true variance is below `variance` by a part of 3e-7 of it where that is 1, and of 2e-15 from 2 on.
    """
    assert 1 <= variance <= VARIANCE_MAX and count >= 0, "the variance is in range"
    stream = Stream(entropy(SEED_BYTES), "discrete gaussian")
    scale = math.isqrt(variance) + 1
    parts = [np.zeros(0, np.int64)]
    need = count
    while need > 0:
        candidates = _laplace(stream, scale, min(BLOCK, 3 * need + 16))
        parts.append(candidates[_accepted(stream, candidates, variance, scale)])
        need -= len(parts[-1])
    return np.concatenate(parts)[:count]


def _below(stream: Stream, bounds: Words, count: int) -> Words:
    """Uniform integers, each below its bound (1 to 2^63): so many bits as the bound needs, drawn again when beyond."""
    mask = bounds - np.uint64(1)
    for shift in (1, 2, 4, 8, 16, 32):
        mask |= mask >> np.uint64(shift)
    bounds, mask = np.broadcast_to(bounds, count), np.broadcast_to(mask, count)
    out: Words = np.frombuffer(stream.read(8 * count), "<u8") & mask
    again = np.flatnonzero(out >= bounds)
    while len(again):
        draw = np.frombuffer(stream.read(8 * len(again)), "<u8") & mask[again]
        out[again] = draw
        again = again[draw >= bounds[again]]
    return out


def _exp_coins(stream: Stream, count: int, ratios: Sequence[Ratio]) -> Flags:
    """Each true with probability exp(-product of its ratios); every ratio lies in [0, 1] (CKS 2020, algorithm 1).

    The K-th trial succeeds with probability product / K, as one comparison per ratio and one for 1 / K.
    """
    out = np.zeros(count, np.bool_)
    running = np.arange(count)
    trial = 1
    while len(running):
        success = np.ones(len(running), np.bool_)
        for top, bottom in [*ratios, (_ONE, np.array([trial], np.uint64))]:
            success &= _below(stream, _take(bottom, running), len(running)) < _take(top, running)
        out[running[~success]] = trial % 2 == 1
        running = running[success]
        trial += 1
    return out


def _take(values: Words, places: NDArray[np.int64]) -> Words:
    return values if len(values) == 1 else values[places]


def _laplace(stream: Stream, scale: int, tries: int) -> Lanes:
    """Up to `tries` samples of the discrete Laplace distribution, exp(-|x| / scale) (CKS 2020, algorithm 2)."""
    width = np.array([scale], np.uint64)
    low = _below(stream, width, tries)
    low = low[_exp_coins(stream, tries, [(low, width)])]
    high = np.zeros(len(low), np.uint64)
    running = np.arange(len(low))
    while len(running):
        running = running[_exp_coins(stream, len(running), [])]
        high[running] += np.uint64(1)
    assert high.max(initial=np.uint64(0)) < ROUNDS_MAX, "no run of this length occurs"
    size: Lanes = (low + width * high).astype(np.int64)
    negative = _below(stream, _TWO, len(size)) == 1
    size[negative] *= -1
    kept: Lanes = size[~(negative & (size == 0))]
    return kept


def _accepted(stream: Stream, candidates: Lanes, variance: int, scale: int) -> Flags:
    """Each true with probability exp(-(|y| - variance / scale)^2 / (2 variance)) (CKS 2020, algorithm 3).

    With a = | |y| scale - variance | the exponent is a / (2 variance) * a / scale^2. Where it may exceed 1, k^2 coins
    of exp(-exponent / k^2) must all succeed, k so large that both factors, divided by k, stay within [0, 1].
    """
    first, second = np.uint64(2 * variance), np.uint64(scale * scale)
    gap = np.abs(np.abs(candidates) * scale - variance).astype(np.uint64)
    parts = gap // min(first, second) + np.uint64(1)
    left = parts * parts
    out = np.zeros(len(candidates), np.bool_)
    running = np.arange(len(candidates))
    while len(running):
        top, k = gap[running], parts[running]
        running = running[_exp_coins(stream, len(running), [(top, first * k), (top, second * k)])]
        left[running] -= np.uint64(1)
        out[running[left[running] == 0]] = True
        running = running[left[running] > 0]
    return out


_ONE = np.array([1], np.uint64)
_TWO = np.array([2], np.uint64)
