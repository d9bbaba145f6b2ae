"""Make a session of the OPRF engine, or take it up again after a crash."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from privacy.errors import Failure
from privacy.psi.errors import BadSetup, IdentifiersChanged
from privacy.psi.group import Entropy
from privacy.psi.oprf import packed
from privacy.psi.oprf import state as states
from privacy.psi.oprf.ahead import Begin, Later
from privacy.psi.oprf.options import SEMI_HONEST
from privacy.psi.oprf.packed import PackedIdentifiers
from privacy.psi.oprf.parameters import BUCKET_KEYS
from privacy.psi.oprf.receiver import Receiver
from privacy.psi.oprf.sender import Sender
from privacy.psi.oprf.session import SEED_BYTES, Session
from privacy.psi.oprf.state import Role, Setup, State

_BLOCK = 1 << 14  # identifiers looked at together
_KINDS: dict[Role, type[Session]] = {Role.RECEIVER: Receiver, Role.SENDER: Sender}


def create(
    *,
    role: str,
    me: str,
    peer: str,
    ids: Sequence[bytes],
    counts: Mapping[str, int],
    context: bytes,
    minimum: int,
    entropy: Entropy,
    parallel: int = 1,
    bucket_keys: int = BUCKET_KEYS,
    option: str = SEMI_HONEST.name,
    begin: Begin = Later,
) -> Session:
    """A fresh session.

    role: "receiver", who learns the shared rows, or "sender". ids: this side's distinct normalised identifiers, 1-256
    bytes each (PackedIdentifiers where there are millions); rows are their positions. counts: the committed number of
    identifiers of both. context: at least 16 bytes, the digest of the job and all commitments. minimum: with fewer
    shared identifiers the receiver gets the outcome BELOW_MINIMUM. option: a name of options.OPTIONS, what is guarded
    against; parallel: buckets done at once; bucket_keys: identifiers a bucket; both sides agree on these three.
    begin: an executor's computes buckets aside. Raises BadSetup, BadIdentifiers.
    """
    try:
        side = Role(role)
    except ValueError:
        raise BadSetup(why="role is receiver or sender") from None
    setup = Setup(
        role=side,
        me=me,
        peer=peer,
        counts=dict(counts),
        context=context,
        minimum=minimum,
        parallel=parallel,
        bucket_keys=bucket_keys,
        option=option,
    )
    kept = packed.check(ids, setup.counts[me])
    seed = entropy(SEED_BYTES)
    state = State(started=side is Role.SENDER)  # a sender has nothing to send first
    return _KINDS[side](setup, seed, kept, state, keyed_digest(kept, seed), begin)


def load(data: bytes, ids: Sequence[bytes], begin: Begin = Later) -> Session:
    """The session that was dumped. ids: the same identifiers in the same order (not looked at once it is over).

    It uses attempt numbers that it did not use before. Raises BadState, IdentifiersChanged.
    """
    setup, state, seed, identifiers = states.unpack(data)
    kept = go_on(setup, state, seed, identifiers, ids)
    return _KINDS[setup.role](setup, seed, kept, state, identifiers, begin)


def go_on(
    setup: Setup, state: State, seed: bytes, identifiers: bytes, ids: Sequence[bytes], labels: bytes | memoryview = b""
) -> Sequence[bytes]:
    """The identifiers as a session that goes on keeps them; none if it is over. Moves it on to unused attempt numbers.

    Raises IdentifiersChanged unless identifiers (and labels) are those that it began with.
    """
    if state.result is not None or state.ended:
        return ()
    try:
        kept = packed.check(ids, setup.counts[setup.me])
    except Failure:
        raise IdentifiersChanged from None
    if keyed_digest(kept, seed, labels) != identifiers:
        raise IdentifiersChanged
    state.first_attempt += setup.sizes.attempts
    return kept


def keyed_digest(ids: Sequence[bytes], seed: bytes, labels: bytes | memoryview = b"") -> bytes:
    """32 bytes over the identifiers in their order, then their labels if they have any, keyed by the seed."""
    mac = hashlib.blake2b(key=seed, digest_size=32)
    for start in range(0, len(ids), _BLOCK):
        end = min(start + _BLOCK, len(ids))
        if isinstance(ids, PackedIdentifiers):
            mac.update(ids.lengths[start:end].tobytes())
            mac.update(ids.bytes_between(start, end))
        else:
            block = ids[start:end]
            mac.update(np.fromiter(map(len, block), np.uint16, len(block)).tobytes())
            mac.update(b"".join(block))
    mac.update(labels)
    return mac.digest()
