"""Mode labels as sessions without I/O: those of rows (`session`), with `labels` in place of tags.

The receiver learns which of its identifiers are shared, with the sender's label of each, and the sender's count; the
sender learns the receiver's count. A label has one length for the job, which everybody knows. With fewer shared
identifiers than the minimum the receiver's software shows neither rows nor labels.

A receiver that deviates in a job whose option is "semi-honest" could get the sender's secret choices, and with them the
label of any client it can name; the default is a checked option, where it is caught, and gets labels for at most
`identifiers_held` identifiers. A sender that deviates decides what labels say, and can make shared identifiers vanish.
"""

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from privacy import canonical, packing
from privacy.psi.oprf.ahead import Begin
from privacy.psi.oprf.base_ot import ChosenSeeds
from privacy.psi.oprf.bucket import Bytes
from privacy.psi.oprf.digests import Rows
from privacy.psi.oprf.labels import LabelBucket, answer_labels, read_labels
from privacy.psi.oprf.labels_parameters import LabelParameters, label_parameters
from privacy.psi.oprf.options import OPTIONS
from privacy.psi.oprf.receiver import Receiver
from privacy.psi.oprf.sender import Sender, opened
from privacy.psi.oprf.session import Session
from privacy.psi.oprf.state import Setup, State
from privacy.psi.values import RowsResult

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsResult(RowsResult):
    labels: Bytes = field(repr=False)  # len(rows) × label bytes: of each row's client


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsSetup(Setup):
    """What both parties agreed on, and who this one is. Raises BadSetup."""

    label_bytes: int

    @property
    def sizes(self) -> LabelParameters:
        receiver, sender = self._named()
        counts = self.counts[receiver], self.counts[sender]
        return label_parameters(*counts, self.label_bytes, self.bucket_keys, OPTIONS[self.option])

    @property
    def job(self) -> bytes:
        """32 bytes over all that both parties agreed on: never those of a job of mode rows."""
        rows = super(LabelsSetup, self).job  # by name: a class with slots is made twice
        return canonical.digest("ecohub/oprf-labels-job/1", {"rows": rows.hex(), "label_bytes": self.label_bytes})


class LabelsSession(Session, ABC):
    """What both roles share. Made by `labels_factory.create` and `load`."""

    REPLY: ClassVar[str] = "labels"
    setup: LabelsSetup
    sizes: LabelParameters

    def __init__(
        self,
        setup: LabelsSetup,
        seed: bytes,
        ids: Sequence[bytes],
        state: State,
        identifiers: bytes,
        begin: Begin,
        labels: Sequence[Bytes],
    ) -> None:
        super().__init__(setup, seed, ids, state, identifiers, begin)
        # a sender's: one array, in its identifiers' order, until the job is over. A receiver's: those found, an array a
        # finished bucket; at the end one array, in the order of the rows
        self.labels = list(labels)

    def result(self) -> LabelsResult:
        """The result; a sender's is NOT_ENTITLED, without rows and labels. Raises NotFinished."""
        found = super().result()
        labels = self.labels[0] if self.labels else self._no_labels()
        return LabelsResult(outcome=found.outcome, rows=found.rows, labels=labels)

    def transcript(self, peer: str | None = None) -> bytes:
        """32 bytes over all messages: equal at both ends. peer: may name the other party, the only one there is."""
        return super().transcript()

    def dump(self) -> bytes:
        """The whole state, to be kept secret: it holds labels at the end too. A sender's own labels are not in it."""
        return packing.pack(
            {
                "labels_version": VERSION,
                "label_bytes": self.setup.label_bytes,
                "found": list(self._kept_labels()),
                "session": super().dump(),
            }
        )

    def _kept_labels(self) -> Sequence[Bytes]:
        return self.labels

    def _labels_of(self, number: int) -> Bytes:
        """What this side's identifiers in a bucket are labelled with."""
        return self._no_labels()

    def _no_labels(self) -> Bytes:
        return np.empty((0, self.setup.label_bytes), np.uint8)

    def _bucket(self, number: int) -> LabelBucket:
        return LabelBucket.of(super()._bucket(number), self._labels_of(number))

    def _forget(self, rest: State) -> None:
        super()._forget(rest)
        self.labels = []


class LabelsReceiver(LabelsSession, Receiver):
    def _compare(self, number: int, own: Bytes, payload: bytes) -> Rows:
        rows, labels = read_labels(self._bucket(number), own, payload)
        self.labels.append(labels)
        return rows

    def _conclude(self) -> None:
        order = np.argsort(np.concatenate(self.state.found))
        labels = np.concatenate(self.labels)[order]
        super()._conclude()
        self.labels = [labels[: len(super().result().rows)]]  # all of them, or none below the minimum


class LabelsSender(LabelsSession, Sender):
    @staticmethod
    def _answer(task: tuple[Any, ChosenSeeds, bytes]) -> bytes:
        bucket, seeds, payload = task
        return answer_labels(bucket, seeds, *opened(payload))

    def _kept_labels(self) -> Sequence[Bytes]:
        return ()

    def _labels_of(self, number: int) -> Bytes:
        labels: Bytes = self.labels[0][self._hash().bucket(number)[1]]
        return labels
