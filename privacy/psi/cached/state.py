"""What one job within an epoch agreed on, what changes while it runs, and the packed form of both."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from privacy import canonical, packing
from privacy.errors import Failure
from privacy.psi.cached.terms import ADDITIONS_MAX, Terms
from privacy.psi.errors import BadSetup, BadState
from privacy.psi.values import CONTEXT_BYTES_MIN, Outcome, RowsResult

VERSION = 1
START = bytes(32)  # of running digests


class Side(StrEnum):
    RECEIVER = "receiver"
    SENDER = "sender"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What both sides agreed on for one job. Raises BadSetup."""

    context: bytes  # digest of the job and of the commitments
    points: int  # evaluations: the receiver's identifiers, padded; 0 for a job that only delivers masks
    held: int  # messages of masks that the receiver has already
    lists: int  # lists that it will have after the job
    minimum: int  # with fewer shared identifiers the receiver's software withholds the rows

    def __post_init__(self) -> None:
        if len(self.context) < CONTEXT_BYTES_MIN or self.minimum < 0:
            raise BadSetup(why="context or minimum is out of range")
        if self.points < 0 or self.held < 0 or not 1 <= self.lists <= ADDITIONS_MAX + 1:
            raise BadSetup(why="points, messages held or lists are out of range")

    def stop(self, terms: Terms) -> int:
        """Messages of masks that the receiver will have after the job."""
        return terms.messages_of(self.lists)

    def digest(self, terms: Terms) -> bytes:
        """32 bytes over the epoch and the job."""
        body: dict[str, canonical.Value] = {"epoch": terms.digest.hex(), **asdict(self), "context": self.context.hex()}
        return canonical.digest("ecohub/cached-job/1", body)


@dataclass(slots=True)
class State:
    """What changes. With Job and epoch it is all that a session needs."""

    started: bool = False
    seed: bytes = b""  # of a receiver
    identifiers: bytes = b""  # their digest, keyed by the seed
    sent: bytes = START  # running digests of the messages of each direction
    received: bytes = START
    last: bytes = START  # digest of the last message of points
    points_out: int = 0  # a receiver's: made; a sender's: answered
    points_in: int = 0  # a receiver's: answers taken; a sender's: messages of points taken
    masks: int = 0  # messages of masks made or taken in this job
    waiting: dict[int, bytes] = field(default_factory=dict)  # points that are not answered, by message
    asked: dict[int, bytes] = field(default_factory=dict)  # digests of these messages
    found: list[bytes] = field(default_factory=list)  # the receiver's own masks, by message
    result: RowsResult | None = None


_PLAIN = ("started", "seed", "identifiers", "sent", "received", "last", "points_out", "points_in", "masks")


def pack(side: Side, job: Job, epoch: bytes, state: State) -> bytes:
    """Everything `unpack` needs to give the same four values back."""
    return packing.pack(
        {
            "version": VERSION,
            "side": side.value,
            "job": asdict(job),
            "epoch": epoch,
            "state": {name: getattr(state, name) for name in _PLAIN},
            "waiting": [[number, data] for number, data in state.waiting.items()],
            "asked": [[number, data] for number, data in state.asked.items()],
            "found": list(state.found),
            "result": None if state.result is None else [state.result.outcome.value, state.result.rows],
        }
    )


def unpack(data: bytes) -> tuple[Side, Job, bytes, State]:
    """(side, job, digest of the epoch, state) of `pack`. Raises BadState for other bytes."""
    try:
        value: Any = packing.unpack(data)
        if value["version"] != VERSION:
            raise BadState(why="another version wrote it")
        result = value["result"]
        state = State(
            **{name: value["state"][name] for name in _PLAIN},
            waiting=dict(value["waiting"]),
            asked=dict(value["asked"]),
            found=list(value["found"]),
            result=result and RowsResult(outcome=Outcome(result[0]), rows=np.array(result[1], np.int64)),
        )
        return Side(value["side"]), Job(**value["job"]), value["epoch"], state
    except BadState:
        raise
    except (Failure, KeyError, TypeError, ValueError) as error:
        raise BadState(why=type(error).__name__) from None
