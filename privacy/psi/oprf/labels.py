"""Mode labels, one bucket: the receiver gets a label with each identifier that the sender has too. Pure functions.

Up to the tags all is as in mode rows (`bucket`). Both sides have, for identifiers that the receiver entered, the same
tag T(x) = H2(x, R(x)): here, under a domain of its own, the key of a check and a pad. In place of sorted tags the
sender sends a key-value store (`okvs`) D that maps each of its identifiers x to

    check ‖ (label ⊕ pad),    check = H(key, label) cut to `check_bytes`,

and the receiver looks its own identifiers up, takes the pad off, and keeps those whose check is right. This is a
programmable OPRF from an OPRF and a store of masked values (Kolesnikov, Matania, Pinkas, Rosulek, Trieu, Practical
multi-party PSI, CCS 2017; with such stores: Garimella, Pinkas, Rosulek, Trieu, Yanai, Crypto 2021, section 3).

What D shows. Of an identifier x that the receiver did not enter, it lacks 128 bits of what goes into T(x), so x's value
in D is random for it. The rows of all the sender's identifiers are independent (or another seed is tried), and `solve`
gives a uniformly random one of all solutions: free slots are random, and they number the solutions. So D is a uniformly
random store among those with the right values at the SHARED identifiers: it shows those and nothing else, not which
others there are, nor how many of a bucket are filled. Only the seed's number depends on more, with the probability that
`Parameters.bounds` has. At an identifier that only the receiver has, D was made without knowledge of its key: the
check is right with probability 2^(-8 · check bytes), the union over all is in the bounds.

The check covers the label. A pad alone could be flipped bit by bit: whoever changes the store's bytes without the tags
makes identifiers vanish, and delivers another label with the probability above. The sender itself says what it likes.

The randomness of free slots is derived from the values too (as in RFC 6979): should a restored sender answer another
matrix under the same number, the two stores share nothing that would show which slots are free.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from privacy import canonical
from privacy.psi.errors import BadIdentifiers
from privacy.psi.oprf import aes, okvs, oracle
from privacy.psi.oprf.aes import SEED_BYTES, Stream
from privacy.psi.oprf.base_ot import ChosenSeeds
from privacy.psi.oprf.bucket import Bucket, Bytes, Words, sender_tags
from privacy.psi.oprf.digests import WORDS, Rows
from privacy.psi.oprf.errors import LabelsMalformed, StoreUnsolvable
from privacy.psi.oprf.labels_parameters import ATTEMPT_BYTES, CHECK_KEY_BYTES, LabelParameters
from privacy.psi.oprf.parameters import CORE_ROWS_MAX

_ORACLE_BYTES = 64  # of one call


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelBucket(Bucket):
    """labels: uint8[n, label bytes], the sender's, in the order of its digests; a receiver has none."""

    sizes: LabelParameters
    labels: Bytes = field(repr=False)

    @classmethod
    def of(cls, bucket: Bucket, labels: Bytes) -> "LabelBucket":
        return cls(**{item.name: getattr(bucket, item.name) for item in fields(bucket)}, labels=labels)

    def tags(self, attempt: int, rows: Bytes) -> Bytes:
        """H2 of every identifier and its row: a check's key, then a pad. n × tag bytes."""
        digests = np.ascontiguousarray(self.digests[:, :WORDS]).view(np.uint8)
        parts = []
        for number, start in enumerate(range(0, self.sizes.tag_bytes, _ORACLE_BYTES)):
            context = self._derived(f"ecohub/oprf-label-tags-{number}/1", attempt)
            parts.append(oracle.tags(context, digests, rows, min(_ORACLE_BYTES, self.sizes.tag_bytes - start)))
        return np.concatenate(parts, axis=1)

    def checks(self, keys: Bytes, labels: Bytes) -> Bytes:
        """H of every key and label: n × check bytes. A key serves one label only."""
        return oracle.tags(self._derived("ecohub/oprf-label-check/1", 0), keys, labels, self.sizes.check_bytes)

    def places(self, attempt: int) -> okvs.Keys:
        """Where this side's identifiers stand in the store of labels, under the public seed of an attempt at it."""
        seed = self._derived("ecohub/oprf-label-place/1", attempt)[: okvs.SEED_BYTES]
        return okvs.place(self.digests, seed, self.sizes.label_shape)

    def filler(self, values: Bytes, attempt: int, words: int) -> Words:
        """Random slots, of this side's secret and the values: uint64[slots, words]."""
        seed = canonical.digest_bytes("ecohub/oprf-label-filler/1", self.secret + values.tobytes())[:SEED_BYTES]
        slots = self.sizes.label_shape.slots
        drawn = aes.expand(seed, Stream(bucket=self.number, attempt=attempt), 8 * slots * words)
        return drawn.view(np.uint64).reshape(slots, words)


def answer_labels(bucket: LabelBucket, seeds: ChosenSeeds, attempt: int, matrix: bytes) -> bytes:
    """The sender's part: the number of the attempt at the store, and the store. sizes.tags_bytes.

    Raises ExtensionLength, ExtensionInconsistent (then the job is over), StoreUnsolvable, BadIdentifiers.
    """
    keys, pads = _split(sender_tags(bucket, seeds, attempt, matrix))
    values = np.concatenate([bucket.checks(keys, bucket.labels), bucket.labels ^ pads], axis=1)
    width = bucket.sizes.value_bytes
    padded = np.zeros((len(values), -(-width // 8) * 8), np.uint8)  # the store is solved word by word, and cut
    padded[:, :width] = values
    words = padded.view(np.uint64)
    for number in range(bucket.sizes.attempts):
        filler = bucket.filler(values, number, words.shape[1])
        slots = okvs.solve(bucket.places(number), words, bucket.sizes.label_shape, filler, CORE_ROWS_MAX)
        if slots is not None:
            return number.to_bytes(ATTEMPT_BYTES, "big") + slots.view(np.uint8)[:, :width].tobytes()
    if len(np.unique(bucket.digests, axis=0)) < len(bucket.digests):
        raise BadIdentifiers(why="one stands there twice")
    raise StoreUnsolvable(bucket=bucket.number, attempts=bucket.sizes.attempts)


def read_labels(bucket: LabelBucket, tags: Bytes, received: bytes) -> tuple[Rows, Bytes]:
    """(positions of the shared identifiers in the bucket, ascending; their labels, one a row).

    tags: the receiver's, as `prepare` gave them. received: what `answer_labels` made, of the agreed length.
    Raises LabelsMalformed.
    """
    number = int.from_bytes(received[:ATTEMPT_BYTES], "big")
    if number >= bucket.sizes.attempts:
        raise LabelsMalformed
    slots = np.frombuffer(received, np.uint8, offset=ATTEMPT_BYTES).reshape(-1, bucket.sizes.value_bytes)
    values = okvs.look_up(slots, bucket.places(number), bucket.sizes.label_shape)
    keys, pads = _split(tags)
    checks, labels = values[:, : bucket.sizes.check_bytes], values[:, bucket.sizes.check_bytes :] ^ pads
    rows = np.flatnonzero((bucket.checks(keys, labels) == checks).all(axis=1))
    return rows, labels[rows]


def _split(tags: Bytes) -> tuple[Bytes, Bytes]:
    """(keys of checks, pads)."""
    return tags[:, :CHECK_KEY_BYTES], tags[:, CHECK_KEY_BYTES:]
