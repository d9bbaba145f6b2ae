"""One bucket of a job, both roles, as pure functions: what a process pool or a cluster's worker runs.

The receiver's `prepare` stores H1 of its identifiers in a key-value store P, sends P through OT extension, and takes
from the extension's R the tags of its own identifiers, H2(y, R(y)). The sender's `answer` takes the tags of its own
from Q: Q(x) ⊕ s ∧ C(H1(x)) = R(x) ⊕ s ∧ C(P(x) ⊕ H1(x)), which is R(x) where the receiver has x. `shared` compares.
(Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020, figure 4.) No argument or result shows more than a role may know.

Tags travel sorted, with random ones up to the padded size: the sorted list is a function of the set of tags alone.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np

from privacy import canonical
from privacy.psi.errors import BadIdentifiers
from privacy.psi.oprf import aes, okvs, oracle
from privacy.psi.oprf.aes import Stream
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.digests import WORDS, Digests, Rows, Values, hash_values
from privacy.psi.oprf.errors import StoreUnsolvable, TagsMalformed
from privacy.psi.oprf.extension import sender_offsets
from privacy.psi.oprf.okvs import Shape
from privacy.psi.oprf.options import Option
from privacy.psi.oprf.parameters import CORE_ROWS_MAX, Parameters

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Words: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

TIES_MAX = 4  # tags of one bucket with the same first 64 bits; five occur with probability below 2^-150


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What both roles' tasks for a bucket need.

    history: 32 bytes that name the job and its base transfers. digests: this side's in the bucket. secret: 16 bytes, of
    this side.
    """

    sizes: Parameters
    salt: bytes
    history: bytes
    number: int
    digests: Digests = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def shape(self) -> Shape:
        return Shape(column_slots=self.sizes.column_slots, dense_slots=self.sizes.dense_slots)

    def keys(self, attempt: int) -> okvs.Keys:
        """Where this side's identifiers stand in the store, under the attempt's public seed."""
        return okvs.place(self.digests, self._derived("ecohub/oprf-place/1", attempt)[: okvs.SEED_BYTES], self.shape)

    def tags(self, attempt: int, rows: Bytes) -> Bytes:
        """H2 of every identifier and its row: n × tag bytes."""
        context = self._derived("ecohub/oprf-tags/1", attempt)
        digests = np.ascontiguousarray(self.digests[:, :WORDS]).view(np.uint8)
        return oracle.tags(context, digests, rows, self.sizes.tag_bytes)

    def random(self, attempt: int, count: int) -> Bytes:
        """Pseudorandom bytes of this side's own secret, for this bucket and attempt."""
        drawn: Bytes = aes.expand(self.secret, Stream(bucket=self.number, attempt=attempt), count)[0]
        return drawn

    def _derived(self, label: str, attempt: int) -> bytes:
        return canonical.digest_bytes(label, self.salt + self.number.to_bytes(4, "big") + attempt.to_bytes(4, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """attempt and matrix go to the sender; tags stay: one for each of the receiver's identifiers in the bucket."""

    attempt: int
    matrix: bytes = field(repr=False)
    tags: Bytes = field(repr=False)


def prepare(bucket: Bucket, seeds: PairSeeds, first_attempt: int) -> Prepared:
    """The receiver's part. Attempts are numbered from first_attempt; streams of lower ones may have been used before.

    Raises StoreUnsolvable when no attempt's store can be solved.
    """
    option, shape, values = bucket.sizes.option, bucket.shape, hash_values(bucket.digests)
    form = (shape.slots, *values.shape[1:])
    size = 8 * prod(form)
    for attempt in range(first_attempt, first_attempt + bucket.sizes.attempts):
        random = bucket.random(attempt, size + option.mask_bytes)
        keys = bucket.keys(attempt)
        slots = okvs.solve(keys, values, shape, random[:size].view(np.uint64).reshape(form), CORE_ROWS_MAX)
        if slots is not None:
            matrix, known = option.extend_receiver(
                seeds, bucket.number, attempt, _words_of(slots, option), bucket.history, random[size:].tobytes()
            )
            tags = bucket.tags(attempt, okvs.look_up(known, keys, shape))
            return Prepared(attempt=attempt, matrix=matrix, tags=tags)
    if len(np.unique(bucket.digests, axis=0)) < len(bucket.digests):
        raise BadIdentifiers(why="one stands there twice")
    raise StoreUnsolvable(bucket=bucket.number, attempts=bucket.sizes.attempts)


def answer(bucket: Bucket, seeds: ChosenSeeds, attempt: int, matrix: bytes) -> bytes:
    """The sender's part: sorted tags, padded to sizes.tags_bytes. Raises what `sender_tags` does, BadIdentifiers.

    The random tags are derived from the true ones too: a sender restored from a copy that answers another matrix must
    not show by tags that come again which ones are random.
    """
    size, absent = bucket.sizes.tag_bytes, bucket.sizes.sender_bucket - len(bucket.digests)
    tags = sender_tags(bucket, seeds, attempt, matrix)
    seed = canonical.digest_bytes("ecohub/oprf-padding/1", bucket.secret + tags.tobytes())[: aes.SEED_BYTES]
    padding = aes.expand(seed, Stream(bucket=bucket.number, attempt=attempt), absent * size).reshape(absent, size)
    return _ascending(np.concatenate([tags, padding])).tobytes()


def sender_tags(bucket: Bucket, seeds: ChosenSeeds, attempt: int, matrix: bytes) -> Bytes:
    """The tags of the sender's identifiers, in their order.

    Raises ExtensionLength for a matrix of other size, ExtensionInconsistent if its proof fails: then the job is over.
    """
    option, shape = bucket.sizes.option, bucket.shape
    known = option.extend_sender(seeds, bucket.number, attempt, matrix, shape.slots, bucket.history)
    rows = okvs.look_up(known, bucket.keys(attempt), shape)
    rows ^= sender_offsets(seeds, option.code, _words_of(hash_values(bucket.digests), option))
    return bucket.tags(attempt, rows)


def shared(own: Bytes, received: bytes) -> Rows:
    """Which of the receiver's tags are among the sender's: positions in `own`, ascending.

    received: the sender's tags as `answer` made them, of the agreed length. Raises TagsMalformed unless they ascend.
    """
    tags = np.frombuffer(received, np.uint8).reshape(-1, own.shape[1])
    first, last = _words(tags)
    later = (first[1:] > first[:-1]) | ((first[1:] == first[:-1]) & (last[1:] > last[:-1]))
    if not later.all() or (first[TIES_MAX:] == first[:-TIES_MAX]).any():
        raise TagsMalformed
    wanted, rest = _words(own)
    order = np.argsort(wanted)
    wanted, rest = wanted[order], rest[order]
    at = np.searchsorted(first, wanted)
    found = np.zeros(len(own), np.bool_)
    for _ in range(TIES_MAX):
        inside = at < len(first)
        here = np.where(inside, at, 0)
        if not inside.any():
            break
        found |= inside & (first[here] == wanted) & (last[here] == rest)
        at += 1
    return np.sort(order[found]).astype(np.int64)


def _ascending(tags: Bytes) -> Bytes:
    """Tags in their byte order. Raises BadIdentifiers if two are equal."""
    first, last = _words(tags)
    order = np.argsort(first)
    if (np.diff(first[order]) == 0).any():
        order = np.lexsort((last, first))
        first, last = first[order], last[order]
        if ((first[1:] == first[:-1]) & (last[1:] == last[:-1])).any():
            raise BadIdentifiers(why="one stands there twice")
    return tags[order]


def _words(tags: Bytes) -> tuple[Words, Words]:
    """The first and the last 8 bytes of each tag (8 to 16 bytes) as numbers: they overlap, and order as the tags do."""
    first = np.ascontiguousarray(tags[:, :8]).view(">u8").ravel().astype(np.uint64)
    last = np.ascontiguousarray(tags[:, -8:]).view(">u8").ravel().astype(np.uint64)
    return first, last


def _words_of(values: Values, option: Option) -> Bytes:
    """Hash values or slots as the code's words, their first bits: n × word bytes."""
    width = 8 * prod(values.shape[1:])
    return values.view(np.uint8).reshape(len(values), width)[:, : option.word_bits // 8]
