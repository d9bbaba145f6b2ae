"""The sizes of one job of the OPRF engine, from the two committed counts alone, and why they suffice.

Everything that travels has a size that this record fixes: nothing depends on what the sets hold or share. Each way to
fail has a bound with its source; together they stay below 2^-40, which `parameters` checks.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from privacy.psi.errors import BadSetup
from privacy.psi.oprf import bounds
from privacy.psi.oprf.options import SEMI_HONEST, Option

STATISTICAL_BITS = 40
IDENTIFIERS_MAX = 10_000_000  # a side; more would need longer hash values (see the bound "hash value")
BUCKET_KEYS = 1 << 17  # identifiers a bucket, on average: bounds memory, and keeps a bucket's matrix near the cache
BUCKET_KEYS_MAX = 1 << 20
BUCKETS_MAX = 1 << 12
ATTEMPTS = 4  # hash seeds that are tried for a bucket
SLOTS_ALIGNED = 64  # bit matrices are transposed in blocks of 64 rows
COLUMN_SLOTS_MIN = 64
CORE_ROWS_MAX = 2048  # what peeling may leave to Gaussian elimination
EXPANSION = 1.25  # sparse slots a key of small buckets, whose core is always small enough
# log2 of what each bound may take of the 2^-40
_OVERFLOW, _DEPENDENT, _COLLISION, _CORE = -44.0, -42.5, -43.5, -60.0
TAGS_EQUAL = "tags of two different identifiers, or a random tag and an identifier's, are equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An event that would make the job fail, give a wrong row, or show the peer something, and its log2 probability."""

    event: str
    log2: float
    source: str
    proven: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Sizes of one job. What it guards against: its option."""

    receiver_count: int
    sender_count: int
    buckets: int
    receiver_bucket: int  # identifiers of the receiver that a bucket can take
    sender_bucket: int  # tags the sender sends for a bucket, random ones among them
    column_slots: int  # sparse slots in each of three columns
    dense_slots: int  # slots that a random half of all keys uses
    tag_bytes: int
    option: Option = SEMI_HONEST
    attempts: int = ATTEMPTS
    bounds: tuple[Bound, ...]

    @property
    def slots(self) -> int:
        """Rows of the matrices of a bucket: three columns of sparse slots, then the dense ones."""
        return 3 * self.column_slots + self.dense_slots

    @property
    def matrix_bytes(self) -> int:
        """What the receiver sends for a bucket: a column of bits, one a slot, for each bit of a codeword; a proof."""
        return self.option.message_bytes(self.slots)

    @property
    def columns(self) -> int:
        """Base transfers: one for each bit of a codeword."""
        return self.option.code.length

    @property
    def tags_bytes(self) -> int:
        """What the sender sends for a bucket."""
        return self.sender_bucket * self.tag_bytes

    @property
    def identifiers_held(self) -> int:
        """How many identifiers a receiver that deviates can enter at most. Only for checked options."""
        return self.buckets * self.option.identifiers_held(self.slots)

    @property
    def failure_log2(self) -> float:
        """The union of all bounds."""
        return bounds.union([bound.log2 for bound in self.bounds])


@lru_cache(maxsize=64, typed=True)
def parameters(
    receiver_count: int, sender_count: int, bucket_keys: int = BUCKET_KEYS, option: Option = SEMI_HONEST
) -> Parameters:
    """The sizes of a job with these committed counts of distinct identifiers, at most bucket_keys a bucket on average.

    Raises BadSetup for counts that the engine does not take, or too many buckets.
    """
    for count in (receiver_count, sender_count):
        if type(count) is not int or not 0 <= count <= IDENTIFIERS_MAX:
            raise BadSetup(why=f"counts lie between 0 and {IDENTIFIERS_MAX}")
    if type(bucket_keys) is not int or not 1 <= bucket_keys <= BUCKET_KEYS_MAX:
        raise BadSetup(why=f"a bucket has 1 to {BUCKET_KEYS_MAX} identifiers on average")
    buckets = max(1, -(-max(receiver_count, sender_count) // bucket_keys))
    if buckets > BUCKETS_MAX:
        raise BadSetup(why=f"{buckets} buckets, at most {BUCKETS_MAX} are made: take more identifiers a bucket")
    receiver_bucket = bounds.bucket_capacity(receiver_count, buckets, _OVERFLOW)
    sender_bucket = bounds.bucket_capacity(sender_count, buckets, _OVERFLOW)
    column_slots, dense_slots = store_for(receiver_bucket, buckets)
    found = Parameters(
        receiver_count=receiver_count,
        sender_count=sender_count,
        buckets=buckets,
        receiver_bucket=receiver_bucket,
        sender_bucket=sender_bucket,
        column_slots=column_slots,
        dense_slots=dense_slots,
        tag_bytes=_tag_bytes(buckets, receiver_bucket, sender_bucket),
        option=option,
        bounds=(),
    )
    found = _bounded(found)
    assert found.failure_log2 <= -STATISTICAL_BITS, "the bounds together stay below 2^-40"
    return found


def store_for(keys: int, buckets: int, dependent: float = _DEPENDENT) -> tuple[int, int]:
    """(slots a column, dense slots): the fewest dense bits with which the rows of every bucket are independent, but
    for probability 2^dependent.
    """
    expansion = EXPANSION if keys <= CORE_ROWS_MAX else bounds.expansion_for(keys, _CORE)
    least = max(COLUMN_SLOTS_MIN, int(keys * expansion / 3) + 1)
    for dense in range(32, 65, 8):
        columns = next(t for t in range(least, least + SLOTS_ALIGNED) if (3 * t + dense) % SLOTS_ALIGNED == 0)
        if bounds.dependent_rows(keys, columns, dense, buckets) <= dependent:
            return columns, dense
    raise AssertionError("64 dense slots make any bucket's rows independent")


def _tag_bytes(buckets: int, receiver_bucket: int, sender_bucket: int) -> int:
    return next(
        size
        for size in range(8, 17)
        if bounds.pairs_collide(receiver_bucket, buckets * sender_bucket, 8 * size) <= _COLLISION
    )


def _bounded(found: Parameters) -> Parameters:
    keys, buckets = found.receiver_bucket, found.buckets
    chernoff = "Hoeffding 1963, theorem 1 (Chernoff), union over buckets"
    small = keys <= CORE_ROWS_MAX
    core = bounds.unpeeled_core(keys, 3 * found.column_slots / keys, buckets) if not small else float("-inf")
    pieces = (
        Bound(
            event="a bucket takes too many of the receiver's identifiers",
            log2=bounds.bucket_overflow(found.receiver_count, buckets, keys),
            source=chernoff,
        ),
        Bound(
            event="a bucket takes too many of the sender's identifiers",
            log2=bounds.bucket_overflow(found.sender_count, buckets, found.sender_bucket),
            source=chernoff,
        ),
        Bound(
            event="hash seed: a bucket's rows are dependent, so the attempt's number depends on the receiver's set",
            log2=bounds.dependent_rows(keys, found.column_slots, found.dense_slots, buckets),
            source="first moment, bounds.dependent_rows (after Dubois and Mandler, FOCS 2002)",
        ),
        Bound(
            event="hash seed: peeling leaves a large core, with the same effect",
            log2=core,
            source="fit to trials: Raghuraman and Rindal, CCS 2022, section 3.2; always 0 in small buckets",
            proven=small,
        ),
        Bound(
            event="hash value: the store maps an identifier that only the sender has to its own hash value",
            log2=bounds.pairs_collide(1, found.sender_count, found.option.word_bits),
            source="union over the sender's identifiers, random oracle",
        ),
        Bound(
            event=TAGS_EQUAL,
            log2=bounds.pairs_collide(keys, buckets * found.sender_bucket, 8 * found.tag_bytes),
            source="union over pairs in a bucket, random oracle",
        ),
    )
    return replace(found, bounds=pieces)
