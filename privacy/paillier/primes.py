"""Safe primes and uniform numbers from a keyed stream."""

import math

import numpy as np

from privacy.paillier.gmp import Mpz, gmpy2
from privacy.ring import Stream

SIEVED = [p for p in range(3, 20_000, 2) if all(p % q for q in range(3, math.isqrt(p) + 1, 2))]
WINDOW = 1 << 17  # candidates sieved at a time
ROUNDS = 40  # Miller-Rabin rounds of a found prime: a composite passes with chance below 2^-80


def bits(stream: Stream, count: int) -> Mpz:
    """A uniform number of `count` bits."""
    raw = int.from_bytes(stream.read(-(-count // 8)), "little")
    return gmpy2.mpz(raw & ((1 << count) - 1))


def below(stream: Stream, bound: Mpz) -> Mpz:
    """A uniform number below the bound, by rejection."""
    while True:
        draw = bits(stream, int(bound - 1).bit_length())
        if draw < bound:
            return draw


def safe_prime(stream: Stream, size: int) -> Mpz:
    """A prime p = 2q + 1 of `size` bits, the two highest set, with q prime; by search upward from a uniform start."""
    while True:
        start = bits(stream, size - 1) | (gmpy2.mpz(3) << (size - 3)) | 1
        for step in np.flatnonzero(_survivors(start)):
            q = start + 2 * int(step)
            if q.bit_length() != size - 1:
                break
            p = 2 * q + 1
            if gmpy2.powmod(2, q - 1, q) != 1 or gmpy2.powmod(2, p - 1, p) != 1:
                continue
            if gmpy2.is_prime(q, ROUNDS) and gmpy2.is_prime(p, ROUNDS):
                return p


def _survivors(start: Mpz) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether start + 2 i and 2 (start + 2 i) + 1 have no factor among the small primes."""
    alive = np.ones(WINDOW, np.bool_)
    for prime in SIEVED:
        rest, half = int(start % prime), (prime + 1) // 2
        alive[(-rest * half) % prime :: prime] = False
        alive[((prime - 1) // 2 - rest) * half % prime :: prime] = False
    return alive
