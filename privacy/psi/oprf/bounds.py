"""Upper bounds on every way the OPRF engine can fail, as base-2 logarithms of probabilities. Mathematics only.

Hashes are taken as random oracles. Bounds are proven unless the docstring says that a formula was fitted to trials.
"""

from typing import Any, TypeAlias

import numpy as np

Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

HASH_BITS = 32  # positions and buckets are ⌊h · size / 2^32⌋ of a 32-bit hash h


def bucket_overflow(items: int, buckets: int, capacity: int) -> float:
    """Some of `buckets` gets more than `capacity` of `items` thrown independently.

    Chernoff: P[Bin(n, p) ≥ c] ≤ exp(-n · KL(c/n ‖ p)) (Hoeffding, J. Amer. Statist. Assoc. 58, 1963, theorem 1), then
    the union over the buckets. A bucket's probability is at most 1/buckets + 2^-32 (see HASH_BITS).
    """
    if capacity >= items:
        return -np.inf
    share, reached = 1 / buckets + 2.0**-HASH_BITS, (capacity + 1) / items
    if reached <= share:
        return 0.0
    rest = (1 - reached) * np.log((1 - reached) / (1 - share)) if reached < 1 else 0.0
    divergence = reached * np.log(reached / share) + rest
    return min(0.0, float((np.log(buckets) - items * divergence) / np.log(2)))


def bucket_capacity(items: int, buckets: int, log2: float) -> int:
    """The smallest capacity whose `bucket_overflow` is at most 2^log2; all items where there is one bucket."""
    low, high = items // buckets, items
    while low < high:
        middle = (low + high) // 2
        if bucket_overflow(items, buckets, middle) <= log2:
            high = middle
        else:
            low = middle + 1
    return high


def dependent_rows(keys: int, column_slots: int, dense: int, buckets: int) -> float:
    """In some bucket `keys` random rows are linearly dependent over GF(2): its key-value store cannot be solved.

    A row has a single one in each of three columns of `column_slots` slots, and `dense` random bits. By the union over
    all non-empty sets of s rows, P ≤ 2^-dense · Σ_s C(n, s) · E(s)^3, with E(s) the probability that s balls thrown in
    t bins fill all of them evenly; it is 0 for odd s, and s! · t^-s · [z^s] cosh(z)^t ≤ s! · t^-s · cosh(z)^t / z^s for
    every z > 0 (first-moment method for random XOR-SAT: Dubois and Mandler, The 3-XORSAT threshold, FOCS 2002; it holds
    up to 0.889 rows a slot). E(2) and E(4) are exact. A bin's probability is at most (1 + t/2^32)/t (see HASH_BITS).
    """
    if keys < 2:
        return -np.inf
    t = float(column_slots)
    sizes = np.arange(2, keys + 1, 2, dtype=np.float64)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, keys + 1, dtype=np.float64)))])
    taken = sizes.astype(np.int64)
    even = (
        factorials[taken] - sizes * np.log(t) + t * _log_cosh(_saddle(sizes / t)) - sizes * np.log(_saddle(sizes / t))
    )
    even[0] = -np.log(t)
    even[1:2] = np.log(3 * t - 2) - 3 * np.log(t)
    choices = factorials[keys] - factorials[taken] - factorials[keys - taken]
    terms = choices + 3 * (np.minimum(even, 0.0) + sizes * np.log1p(t * 2.0**-HASH_BITS))
    largest = float(terms.max())
    return float((largest + np.log(np.exp(terms - largest).sum())) / np.log(2) + np.log2(buckets)) - dense


def _saddle(ratio: Reals) -> Reals:
    """About the z with z · tanh(z) = ratio, by Newton; any z > 0 gives a valid bound, this one nearly the least."""
    z = np.sqrt(ratio * (1 + ratio))
    for _ in range(4):
        slope = np.tanh(z)
        z -= (z * slope - ratio) / (slope + z * (1 - slope**2))
    return np.asarray(np.maximum(z, 1e-12), np.float64)


def _log_cosh(z: Reals) -> Reals:
    return np.asarray(z + np.log1p(np.exp(-2 * z)) - np.log(2), np.float64)


def unpeeled_core(keys: int, expansion: float, buckets: int) -> float:
    """In some bucket peeling leaves more than a handful of rows. FITTED to trials, not proven.

    λ = a · (e - 1.223) - 9.2 with log2(a) = 0.555 · log2(n) + 2.336, for rows of weight 3 (Raghuraman and Rindal,
    Blazing fast PSI, CCS 2022, section 3.2, equations 2 and 3). They place the three ones anywhere in the table; trials
    with this module's columns (n = 2^12 and 2^14, λ to 10) stayed below the line too. Towards larger λ the true curve
    falls faster than a line: the core appears as a Gaussian in e · √n (Dembo and Montanari, Ann. Appl. Probab. 2008).
    """
    slope = 2 ** (0.555 * np.log2(keys) + 2.336)
    return min(0.0, float(9.2 - slope * (expansion - 1.223) + np.log2(buckets)))


def expansion_for(keys: int, log2: float) -> float:
    """The expansion (sparse slots a key) at which `unpeeled_core` is 2^log2."""
    return float(1.223 + (9.2 - log2) / 2 ** (0.555 * np.log2(keys) + 2.336))


def pairs_collide(left: int, right: int, bits: int) -> float:
    """Some of left · right pairs of independent values of `bits` bits are equal: the union over the pairs."""
    return -np.inf if not left or not right else float(np.log2(left) + np.log2(right)) - bits


def union(log2s: list[float]) -> float:
    """The sum of probabilities, all as logarithms."""
    largest = max(log2s)
    return largest if largest == -np.inf else float(largest + np.log2(sum(2.0 ** (x - largest) for x in log2s)))
