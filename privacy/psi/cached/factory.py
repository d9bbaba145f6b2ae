"""Make the session of one job within an epoch, or take it up again after a crash."""

from builtins import map as built_in_map
from collections.abc import Sequence
from datetime import datetime

from privacy.psi.cached.epoch import ReceiverEpoch, SenderEpoch
from privacy.psi.cached.errors import EpochDiffers
from privacy.psi.cached.receiver import Receiver, identifiers_digest
from privacy.psi.cached.sender import Sender
from privacy.psi.cached.session import Epoch, Session
from privacy.psi.cached.state import Job, Side, State, unpack
from privacy.psi.errors import BadSetup, BadState, IdentifiersChanged
from privacy.psi.group import Entropy, Map
from privacy.psi.identifiers import check_identifiers

SEED_BYTES = 32


def create(
    *, epoch: Epoch, job: Job, ids: Sequence[bytes], entropy: Entropy, now: datetime, map: Map = built_in_map
) -> Session:
    """A fresh session; books the job's points in the epoch: commit both together, before the first message leaves.

    epoch: its class says the side. ids: a receiver's distinct normalised identifiers, at most job.points of them (rows
    are their positions); a sender's for the lists that the job delivers, in any order, with or without others, and none
    where it delivers nothing. map: an executor's runs the arithmetic in threads or processes. Raises BadSetup,
    BadIdentifiers, EpochOver, PointsSpent, EpochDiffers.
    """
    epoch.check_time(now)
    _check_job(epoch, job)
    if isinstance(epoch, SenderEpoch):
        session: Session = Sender(epoch, job, State(), ids, map)
    else:
        session = _receiver(epoch, job, ids, entropy, map)
    epoch.book(job.points, now)
    session.state.started = session.side is Side.SENDER  # a sender has nothing to send first
    return session


def load(*, data: bytes, epoch: Epoch, ids: Sequence[bytes], now: datetime, map: Map = built_in_map) -> Session:
    """The session that was dumped, with its epoch as it was then. ids: as for `create` (not looked at once it is done).

    Raises BadState, also for the epoch of another moment; IdentifiersChanged, EpochDiffers, EpochOver.
    """
    side, job, digest, state = unpack(data)
    if digest != epoch.terms.digest or (side is Side.SENDER) is not isinstance(epoch, SenderEpoch):
        raise BadState(why="it is a session of another epoch or side")
    if state.result is None:
        epoch.check_time(now)
    if isinstance(epoch, SenderEpoch):
        return Sender(epoch, job, state, ids, map)
    if state.result is None:
        if identifiers_digest(ids, state.seed) != state.identifiers:
            raise IdentifiersChanged
        if job.held + state.masks != len(epoch.messages):
            raise BadState(why="the session and its epoch were stored at different moments")
    return Receiver(epoch, job, state, tuple(ids) if state.result is None else (), map)


def _receiver(epoch: ReceiverEpoch, job: Job, ids: Sequence[bytes], entropy: Entropy, map: Map) -> Receiver:
    check_identifiers(ids, len(ids))
    if len(ids) > job.points:
        raise BadSetup(why=f"{len(ids)} identifiers do not fit the job's {job.points} points")
    seed = entropy(SEED_BYTES)
    state = State(seed=seed, identifiers=identifiers_digest(ids, seed))
    return Receiver(epoch, job, state, tuple(ids), map)


def _check_job(epoch: Epoch, job: Job) -> None:
    terms = epoch.terms
    if job.lists > terms.additions_max + 1 or job.held > job.stop(terms):
        raise BadSetup(why="the job delivers lists that the epoch does not have")
    if isinstance(epoch, SenderEpoch) and job.lists > len(epoch.lists):
        raise EpochDiffers(epoch=terms.epoch, why="the job delivers a list that this side has not made")
    if isinstance(epoch, ReceiverEpoch) and job.held != len(epoch.messages):
        raise EpochDiffers(epoch=terms.epoch, why="the job counts on other masks than this side holds")
