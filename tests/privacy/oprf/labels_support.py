"""Both sides of a job of mode labels in one process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from privacy.psi.oprf import labels_factory
from privacy.psi.oprf.bucket import Bytes
from privacy.psi.oprf.labels_sessions import LabelsSession
from tests.privacy.oprf.support import CONTEXT, RECEIVER, SENDER, Pair
from tests.support.entropy import SeededEntropy

LABEL_BYTES = 5


def labels_for(values: list[bytes], label_bytes: int = LABEL_BYTES) -> Bytes:
    """An array of labels, each padded on its right."""
    joined = b"".join(value.ljust(label_bytes, b"\x00") for value in values)
    return np.frombuffer(joined, np.uint8).reshape(len(values), label_bytes)


def made_labels(role: str, ids: Sequence[bytes], labels: Bytes | None, **changes: Any) -> LabelsSession:
    """One side alone; the receiver is the broker, both are said to have as many identifiers."""
    me, peer = (RECEIVER, SENDER) if role == "receiver" else (SENDER, RECEIVER)
    arguments: dict[str, Any] = {
        "role": role,
        "me": me,
        "peer": peer,
        "ids": ids,
        "labels": labels,
        "label_bytes": LABEL_BYTES,
        "counts": {me: len(ids), peer: len(ids)},
        "context": CONTEXT,
        "minimum": 0,
        "entropy": SeededEntropy(role.encode()),
    }
    return labels_factory.create(**arguments | changes)


@dataclass
class LabelsPair(Pair):
    """labels: identifier → label, the sender's."""

    labels: Mapping[bytes, bytes] = field(default_factory=dict)
    label_bytes: int = LABEL_BYTES

    def __post_init__(self) -> None:
        counts = {RECEIVER: len(self.receiver_ids), SENDER: len(self.sender_ids)}
        for role, me in (("receiver", RECEIVER), ("sender", SENDER)):
            entropy = SeededEntropy(f"{self.seed}{me}".encode())
            common = {"counts": counts, "entropy": entropy, "label_bytes": self.label_bytes, **self.options}
            self.sessions[me] = made_labels(role, list(self.ids(me)), self.own_labels(me), **common)
        self.post(self.sessions[RECEIVER].start())

    def own_labels(self, name: str) -> Bytes | None:
        if name == RECEIVER:
            return None
        return labels_for([self.labels[item] for item in self.sender_ids], self.label_bytes)

    def reload(self, name: str) -> None:
        dump = self.sessions[name].dump()
        self.sessions[name] = labels_factory.load(dump, self.ids(name), self.own_labels(name))

    def found(self) -> dict[bytes, bytes]:
        """Identifier → label of what the receiver got, labels without what padded them."""
        session = self.sessions[RECEIVER]
        assert isinstance(session, LabelsSession)
        return found_by(session, list(self.receiver_ids))

    def expected(self) -> dict[bytes, bytes]:
        return {item: self.labels[item] for item in self.receiver_ids if item in set(self.sender_ids)}


def found_by(session: LabelsSession, ids: list[bytes]) -> dict[bytes, bytes]:
    result = session.result()
    assert len(result.rows) == len(result.labels)
    return {ids[row]: label.tobytes().rstrip(b"\x00") for row, label in zip(result.rows, result.labels, strict=True)}


def labelled(ids: list[bytes]) -> dict[bytes, bytes]:
    """Another label for each of a few identifiers: its last three digits."""
    return {item: b"L" + item[-3:] for item in ids}
