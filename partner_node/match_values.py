"""What this side's clients bring to a match beside their ids: in mode sum values to add up, in mode labels a text each.

What can't be added up or given as a label is refused before anything leaves: a value that is missing or is no whole
number would make the sum wrong, a text that was cut would be another label, and nobody could see it there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partner_node.match_errors import LabelsNotFit, ValuesNotWhole
from partner_node.match_session import Entered
from privacy.psi.job import Labels, MatchJob, Values
from privacy.psi.oprf import labels_text
from privacy.psi.oprf.bucket import Bytes
from privacy.psi.oprf.errors import BadLabels


def columns(job: MatchJob, me: str) -> tuple[str, ...]:
    """The columns of this side that a job reads: as text for labels, as numbers otherwise."""
    return tuple(part.column for part in (job.values, job.labels) if part is not None and part.partner == me)


def entered(job: MatchJob, ids: Sequence[bytes], read: Mapping[str, Any]) -> Entered:
    """What this side enters. read: its `columns`, in the order of the ids. Raises ValuesNotWhole, LabelsNotFit."""
    if job.values is not None and job.values.column in read:
        return Entered(ids=ids, values=_whole(read[job.values.column], job.values))
    if job.labels is not None and job.labels.column in read:
        return Entered(ids=ids, labels=_labels(read[job.labels.column], job.labels))
    return Entered(ids=ids)


def _whole(column: np.ndarray[Any, np.dtype[Any]], values: Values) -> tuple[int, ...]:
    fits = np.isfinite(column) & (np.floor(column) == column) & (column >= 0) & (column < 2**values.bits)
    if not fits.all():
        raise ValuesNotWhole(column=values.column, bits=values.bits)
    return tuple(column.astype(np.int64).tolist())


def _labels(texts: Sequence[str], labels: Labels) -> Bytes:
    """A missing value is the empty label."""
    try:
        return labels_text.encode(texts, labels.length)
    except BadLabels:  # it counts clients
        raise LabelsNotFit(column=labels.column, length=labels.length) from None
