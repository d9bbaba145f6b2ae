"""The sizes of a job of mode labels: those of rows, and the store of labels that takes the place of tags."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

from privacy.psi.errors import BadSetup
from privacy.psi.oprf import bounds
from privacy.psi.oprf.okvs import Shape
from privacy.psi.oprf.options import CHECKED_LISTED, Option
from privacy.psi.oprf.parameters import (
    BUCKET_KEYS,
    CORE_ROWS_MAX,
    STATISTICAL_BITS,
    TAGS_EQUAL,
    Bound,
    Parameters,
    parameters,
    store_for,
)

LABEL_BYTES_MAX = 64
ATTEMPT_BYTES = 4  # big-endian, before the store
CHECK_KEY_BYTES = 16
CHECK_BYTES_MIN = 8
# log2 of what each bound may take of the 2^-40: together less than tags take in mode rows
_PASSED, _DEPENDENT = -45.0, -45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelParameters(Parameters):
    """Sizes of one job. A tag stays where it is made here: the key of an identifier's check, and its label's pad."""

    label_bytes: int
    check_bytes: int
    label_column_slots: int  # sparse slots in each of three columns of the store of labels
    label_dense_slots: int

    @property
    def label_shape(self) -> Shape:
        return Shape(column_slots=self.label_column_slots, dense_slots=self.label_dense_slots)

    @property
    def value_bytes(self) -> int:
        """What a slot of the store of labels holds: a check, then a masked label."""
        return self.check_bytes + self.label_bytes

    @property
    def tags_bytes(self) -> int:
        """What the sender sends for a bucket: the attempt's number and the store."""
        return ATTEMPT_BYTES + self.label_shape.slots * self.value_bytes


@lru_cache(maxsize=64, typed=True)
def label_parameters(
    receiver_count: int,
    sender_count: int,
    label_bytes: int,
    bucket_keys: int = BUCKET_KEYS,
    option: Option = CHECKED_LISTED,
) -> LabelParameters:
    """The sizes of a job with these committed counts of distinct identifiers and labels of 1 to 64 bytes.

    Raises BadSetup as `parameters`, and for other lengths of labels.
    """
    if type(label_bytes) is not int or not 1 <= label_bytes <= LABEL_BYTES_MAX:
        raise BadSetup(why=f"a label has 1 to {LABEL_BYTES_MAX} bytes")
    base = parameters(receiver_count, sender_count, bucket_keys, option)
    columns, dense = store_for(base.sender_bucket, base.buckets, _DEPENDENT)
    shared = {field.name: getattr(base, field.name) for field in fields(base)}
    found = LabelParameters(
        **shared
        | {
            "tag_bytes": CHECK_KEY_BYTES + label_bytes,
            "label_bytes": label_bytes,
            "check_bytes": _check_bytes(receiver_count),
            "label_column_slots": columns,
            "label_dense_slots": dense,
        }
    )
    found = replace(found, bounds=_bounds(found))
    assert found.failure_log2 <= -STATISTICAL_BITS, "the bounds together stay below 2^-40"
    return found


def _check_bytes(receiver_count: int) -> int:
    return next(
        size for size in range(CHECK_BYTES_MIN, 17) if bounds.pairs_collide(1, receiver_count, 8 * size) <= _PASSED
    )


def _bounds(found: LabelParameters) -> tuple[Bound, ...]:
    """Those of rows but for tags, which are not sent; and those of the store of labels."""
    keys, columns = found.sender_bucket, found.label_column_slots
    small = keys <= CORE_ROWS_MAX
    core = float("-inf") if small else bounds.unpeeled_core(keys, 3 * columns / keys, found.buckets)
    return (
        *(bound for bound in found.bounds if bound.event != TAGS_EQUAL),
        Bound(
            event="an identifier that only the receiver has passes the check, and gets a random label",
            log2=bounds.pairs_collide(1, found.receiver_count, 8 * found.check_bytes),
            source="union over the receiver's identifiers, random oracle",
        ),
        Bound(
            event="store of labels: a bucket's rows are dependent, so the attempt's number depends on the sender's set",
            log2=bounds.dependent_rows(keys, columns, found.label_dense_slots, found.buckets),
            source="first moment, bounds.dependent_rows (after Dubois and Mandler, FOCS 2002)",
        ),
        Bound(
            event="store of labels: peeling leaves a large core, with the same effect",
            log2=core,
            source="fit to trials: Raghuraman and Rindal, CCS 2022, section 3.2; always 0 in small buckets",
            proven=small,
        ),
    )
