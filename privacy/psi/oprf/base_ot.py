"""Base oblivious transfers: one party gets two random seeds for every column, the other one of the two, by its choice.

The one-round protocol of Masny and Rindal, Endemic Oblivious Transfer, CCS 2019, from Diffie-Hellman agreement, over
the prime-order group of `privacy.psi.group`. For column i the offering party sends A = a·G. The choosing party, with
bit c, draws a random point for R[1 - c], sets R[c] = b·G - H(i, c, R[1 - c]), and sends R[0], R[1]. Whoever offers
derives the seeds from a·(R[x] + H(i, x, R[1 - x])) for x = 0, 1, whoever chooses that of c from b·A.

In the random oracle model, under the decisional Diffie-Hellman assumption: R[0], R[1] are two uniform points whatever
c is; and for one x, at least, R[x] + H(…) is a point whose logarithm the choosing party does not know. "Endemic" says
that a party which deviates may influence the seeds it gets, though not learn the other's secrets.

Every A is fresh. Using one A for all columns saves little and needs more care (McQuoid, Rosulek, Roy, Batching base
oblivious transfers, Asiacrypt 2021). Both oracles take the context, the column and the bit; seeds also depend on all
points of all columns. So messages of another job, or in another order, give seeds that fit nothing, and an offer that
is answered twice (by a party restored from a copy) gives two sets of seeds without a common one. Points from outside
are refused unless they are canonical encodings of elements of the prime-order group other than the identity.

Where the bit c is used, Python runs the same calls in the same order for both values; more is not said about timing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
)

from privacy import canonical
from privacy.psi import group
from privacy.psi.group import POINT_BYTES, SCALAR_BYTES, Entropy
from privacy.psi.oprf.aes import SEED_BYTES
from privacy.psi.oprf.errors import BaseTransferLength

CONTEXT_BYTES_MIN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSeeds:
    """Two seeds a column: column 0's, then column 1's, … Held by the receiver of OT extension."""

    seeds: bytes = field(repr=False)

    @property
    def columns(self) -> int:
        return len(self.seeds) // (2 * SEED_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenSeeds:
    """One seed a column, and which: bit i mod 8 of byte ⌊i / 8⌋ for column i. Held by the sender of OT extension."""

    seeds: bytes = field(repr=False)
    choices: bytes = field(repr=False)

    @property
    def columns(self) -> int:
        return len(self.seeds) // SEED_BYTES


def offer_bytes(columns: int) -> int:
    return columns * POINT_BYTES


def answer_bytes(columns: int) -> int:
    return columns * 2 * POINT_BYTES


def offer(columns: int, entropy: Entropy) -> tuple[bytes, bytes]:
    """(secret, message) of the party that will hold `PairSeeds`; the secret goes to `accept`, once."""
    scalars = [group.draw_scalar(entropy) for _ in range(columns)]
    return b"".join(scalars), b"".join(map(_times_base, scalars))


def choose(offered: bytes, columns: int, context: bytes, entropy: Entropy) -> tuple[ChosenSeeds, bytes]:
    """(seeds, answer) to an offer, for uniformly random choices.

    columns: a multiple of 8. context: at least 16 bytes that name the job and who has which role, the same at both
    parties. Raises BaseTransferLength, BadPoint.
    """
    assert columns % 8 == 0, "choices fill whole bytes"
    _check_length(offered, offer_bytes(columns))
    oracle = _Oracle(context)
    choices = entropy(columns // 8)
    shared, pairs = [], []
    for column, point in enumerate(_split(offered, POINT_BYTES)):
        choice = choices[column // 8] >> column % 8 & 1
        scalar, other = group.draw_scalar(entropy), _times_base(group.draw_scalar(entropy))
        chosen = crypto_core_ed25519_sub(_times_base(scalar), oracle.point(column, choice, other))
        pairs.append(other + chosen if choice else chosen + other)
        shared.append(_place(column, choice) + group.multiply(scalar, point))
    answer = b"".join(pairs)
    messages = _messages(offered, answer)
    return ChosenSeeds(seeds=b"".join(oracle.seed(messages, each) for each in shared), choices=choices), answer


def accept(secret: bytes, answer: bytes, context: bytes) -> PairSeeds:
    """The seeds of the party that offered. Raises BaseTransferLength, BadPoint."""
    columns = len(secret) // SCALAR_BYTES
    _check_length(answer, answer_bytes(columns))
    oracle = _Oracle(context)
    scalars = [*_split(secret, SCALAR_BYTES)]
    messages = _messages(b"".join(map(_times_base, scalars)), answer)
    seeds = []
    for column, (scalar, pair) in enumerate(zip(scalars, _split(answer, 2 * POINT_BYTES), strict=True)):
        points = pair[:POINT_BYTES], pair[POINT_BYTES:]
        for choice in (0, 1):
            group.check(points[choice])
        for choice in (0, 1):
            blinded = crypto_core_ed25519_add(points[choice], oracle.point(column, choice, points[1 - choice]))
            seeds.append(oracle.seed(messages, _place(column, choice) + group.multiply(scalar, blinded)))
    return PairSeeds(seeds=b"".join(seeds))


class _Oracle:
    """Both random oracles of one job: to the group (`group.hash_to_group`), and to seeds (SHA-256, cut)."""

    def __init__(self, context: bytes) -> None:
        assert len(context) >= CONTEXT_BYTES_MIN, "the context names the job"
        self._context = canonical.digest_bytes("ecohub/oprf-base-ot/1", context)
        self._tag = group.domain(self._context)

    def point(self, column: int, choice: int, other: bytes) -> bytes:
        return group.hash_to_group(_place(column, choice) + other, self._tag)

    def seed(self, messages: bytes, shared: bytes) -> bytes:
        """messages: digest of both messages; shared: column, choice and the Diffie-Hellman point."""
        return canonical.digest_bytes("ecohub/oprf-seed/2", self._context + messages + shared)[:SEED_BYTES]


def _place(column: int, choice: int) -> bytes:
    return column.to_bytes(4, "big") + bytes([choice])


def _messages(offered: bytes, answer: bytes) -> bytes:
    """A digest of both messages, whose lengths are fixed by the number of columns."""
    return hashlib.sha256(offered + answer).digest()


def _times_base(scalar: bytes) -> bytes:
    return bytes(crypto_scalarmult_ed25519_base_noclamp(scalar))


def _check_length(message: bytes, expected: int) -> None:
    if len(message) != expected:
        raise BaseTransferLength(got=len(message), expected=expected)


def _split(data: bytes, width: int) -> Iterator[bytes]:
    return (data[i : i + width] for i in range(0, len(data), width))
