"""Make a session of mode labels, or take it up again after a crash."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from privacy import packing
from privacy.errors import Failure
from privacy.psi.errors import BadSetup, BadState
from privacy.psi.group import Entropy
from privacy.psi.oprf import packed
from privacy.psi.oprf import state as states
from privacy.psi.oprf.ahead import Begin, Later
from privacy.psi.oprf.bucket import Bytes
from privacy.psi.oprf.errors import BadLabels
from privacy.psi.oprf.factory import go_on, keyed_digest
from privacy.psi.oprf.labels_sessions import VERSION, LabelsReceiver, LabelsSender, LabelsSession, LabelsSetup
from privacy.psi.oprf.options import CHECKED_LISTED
from privacy.psi.oprf.parameters import BUCKET_KEYS
from privacy.psi.oprf.session import SEED_BYTES
from privacy.psi.oprf.state import Role, Setup, State

_KINDS: dict[Role, type[LabelsSession]] = {Role.RECEIVER: LabelsReceiver, Role.SENDER: LabelsSender}


def create(
    *,
    role: str,
    me: str,
    peer: str,
    ids: Sequence[bytes],
    labels: Bytes | None,
    label_bytes: int,
    counts: Mapping[str, int],
    context: bytes,
    minimum: int,
    entropy: Entropy,
    parallel: int = 1,
    bucket_keys: int = BUCKET_KEYS,
    option: str = CHECKED_LISTED.name,
    begin: Begin = Later,
) -> LabelsSession:
    """A fresh session.

    labels: a sender's, uint8[len(ids), label_bytes], in the order of its ids, not to be changed later; a receiver's
    is None. label_bytes: 1 to 64, agreed. All else as `factory.create`, except the default of `option`: the label of
    any client would be open to a receiver that deviates where it is not checked.

    Raises BadSetup, BadIdentifiers, BadLabels.
    """
    try:
        side = Role(role)
    except ValueError:
        raise BadSetup(why="role is receiver or sender") from None
    setup = LabelsSetup(
        role=side,
        me=me,
        peer=peer,
        counts=dict(counts),
        context=context,
        minimum=minimum,
        parallel=parallel,
        bucket_keys=bucket_keys,
        option=option,
        label_bytes=label_bytes,
    )
    kept = packed.check(ids, setup.counts[me])
    own = _checked(labels, setup)
    seed = entropy(SEED_BYTES)
    state = State(started=side is Role.SENDER)  # a sender has nothing to send first
    return _KINDS[side](setup, seed, kept, state, keyed_digest(kept, seed, _joined(own)), begin, own)


def load(data: bytes, ids: Sequence[bytes], labels: Bytes | None, begin: Begin = Later) -> LabelsSession:
    """The session that was dumped. ids, labels: the same in the same order (not looked at once it is over).

    It uses attempt numbers that it did not use before. Raises BadState, BadLabels, IdentifiersChanged (or the labels).
    """
    setup, state, seed, identifiers, found = _unpack(data)
    over = state.result is not None or state.ended
    own = () if over else _checked(labels, setup)
    kept = go_on(setup, state, seed, identifiers, ids, _joined(own))
    held = own if setup.role is Role.SENDER else found
    return _KINDS[setup.role](setup, seed, kept, state, identifiers, begin, held)


def _checked(labels: Bytes | None, setup: LabelsSetup) -> Sequence[Bytes]:
    """A sender's labels, none of a receiver. Raises BadLabels."""
    if setup.role is Role.RECEIVER:
        if labels is not None:
            raise BadLabels(why="the side that receives them brings none")
        return ()
    shape = (setup.counts[setup.me], setup.label_bytes)
    if not isinstance(labels, np.ndarray) or labels.dtype != np.uint8 or labels.shape != shape:
        raise BadLabels(why=f"they must be {shape[1]} bytes for each of {shape[0]} identifiers")
    return (np.ascontiguousarray(labels),)


def _joined(labels: Sequence[Bytes]) -> bytes | memoryview:
    return labels[0].data.cast("B") if labels and labels[0].size else b""


def _unpack(data: bytes) -> tuple[LabelsSetup, State, bytes, bytes, list[Bytes]]:
    """(setup, state, seed, identifiers' digest, labels found). Raises BadState."""
    try:
        value: Any = packing.unpack(data)
        if value["labels_version"] != VERSION:
            raise BadState(why="another version wrote it")
        base, state, seed, identifiers = states.unpack(value["session"])
        shared = {item.name: getattr(base, item.name) for item in fields(Setup)}
        setup = LabelsSetup(**shared, label_bytes=value["label_bytes"])
        found = [np.array(labels, np.uint8).reshape(-1, setup.label_bytes) for labels in value["found"]]
        return setup, state, seed, identifiers, found
    except BadState:
        raise
    except (Failure, KeyError, TypeError, ValueError) as error:
        raise BadState(why=type(error).__name__) from None
