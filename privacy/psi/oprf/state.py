"""What one side of an OPRF job agreed on, what changes while it runs, and the packed form of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from privacy import canonical, packing
from privacy.errors import Failure
from privacy.psi.errors import BadSetup, BadState
from privacy.psi.oprf.digests import Rows
from privacy.psi.oprf.options import OPTIONS
from privacy.psi.oprf.parameters import Parameters, parameters
from privacy.psi.values import CONTEXT_BYTES_MIN, Outcome, RowsResult

VERSION = 1
MODE = "rows"
PARALLEL_MAX = 256


class Role(StrEnum):
    RECEIVER = "receiver"  # learns which of its identifiers are shared
    SENDER = "sender"  # learns nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What both parties agreed on, and who this one is. Raises BadSetup."""

    role: Role
    me: str
    peer: str
    counts: Mapping[str, int]  # committed number of distinct identifiers of both parties
    context: bytes  # digest of the job and of the commitments
    minimum: int  # with fewer shared identifiers the receiver's software withholds the rows
    parallel: int  # buckets that a call of `work` takes; twice as many may be on their way
    bucket_keys: int  # identifiers a bucket, on average, at the most
    option: str  # of options.OPTIONS: what is guarded against

    def __post_init__(self) -> None:
        if self.me == self.peer or set(self.counts) != {self.me, self.peer}:
            raise BadSetup(why="a job has two parties, and a committed count for each")
        if len(self.context) < CONTEXT_BYTES_MIN or self.minimum < 0 or not 1 <= self.parallel <= PARALLEL_MAX:
            raise BadSetup(why="context, minimum or the number of parallel buckets is out of range")
        if self.option not in OPTIONS:
            raise BadSetup(why=f"option is one of {', '.join(OPTIONS)}")
        _ = self.sizes  # counts out of range are refused here

    @property
    def sizes(self) -> Parameters:
        receiver, sender = self._named()
        return parameters(self.counts[receiver], self.counts[sender], self.bucket_keys, OPTIONS[self.option])

    @property
    def peer_role(self) -> Role:
        return Role.SENDER if self.role is Role.RECEIVER else Role.RECEIVER

    @property
    def job(self) -> bytes:
        """32 bytes over all that both parties agreed on, and who has which role."""
        return canonical.digest(
            "ecohub/oprf-job/1",
            {
                "parties": [[name, self.counts[name]] for name in self._named()],
                "context": self.context.hex(),
                "parallel": self.parallel,
                "bucket_keys": self.bucket_keys,
                "option": self.option,
            },
        )

    def _named(self) -> tuple[str, str]:
        return (self.me, self.peer) if self.role is Role.RECEIVER else (self.peer, self.me)


@dataclass(slots=True)
class State:
    """What changes. With Setup and the seed it is all that `dump` keeps."""

    started: bool = False
    ended: bool = False  # the other side was caught: no secret is left, nothing goes on
    # the next number of an attempt: below it, streams of a bucket may have been used. Every load moves it on
    first_attempt: int = 0
    sent: bytes = bytes(32)  # running digests of the messages of each direction
    received: bytes = bytes(32)
    opening: bytes = bytes(32)  # digest of the last message before the buckets'
    salt: bytes = b""  # once both nonces are known
    seeds: bytes = b""  # of the base transfers
    choices: bytes = b""  # of a sender
    next_in: int = 0  # the bucket whose message is expected next
    next_out: int = 0  # the bucket whose message is made next
    # bucket → a receiver's own tags until the sender's come; a sender's matrix (after its attempt) until it is answered
    waiting: dict[int, bytes] = field(default_factory=dict)
    # bucket → digest of the matrix that the tags answer
    asked: dict[int, bytes] = field(default_factory=dict)
    found: list[Rows] = field(default_factory=list)  # of finished buckets
    result: RowsResult | None = None


_PLAIN = (
    "started",
    "ended",
    "first_attempt",
    "sent",
    "received",
    "opening",
    "salt",
    "seeds",
    "choices",
    "next_in",
    "next_out",
)


def pack(setup: Setup, state: State, seed: bytes, identifiers: bytes) -> bytes:
    """Everything `unpack` needs to give the same four values back."""
    return packing.pack(
        {
            "version": VERSION,
            "role": setup.role.value,
            "me": setup.me,
            "peer": setup.peer,
            "counts": dict(setup.counts),
            "context": setup.context,
            "minimum": setup.minimum,
            "parallel": setup.parallel,
            "bucket_keys": setup.bucket_keys,
            "option": setup.option,
            "seed": seed,
            "identifiers": identifiers,
            "state": {name: getattr(state, name) for name in _PLAIN},
            "waiting": [[number, data] for number, data in state.waiting.items()],
            "asked": [[number, data] for number, data in state.asked.items()],
            "found": [rows.astype(np.uint32) for rows in state.found],  # written at every step: half the bytes
            "result": None if state.result is None else [state.result.outcome.value, state.result.rows],
        }
    )


def unpack(data: bytes) -> tuple[Setup, State, bytes, bytes]:
    """(setup, state, seed, identifiers' digest) of `pack`. Raises BadState for other bytes."""
    try:
        value: Any = packing.unpack(data)
        if value["version"] != VERSION:
            raise BadState(why="another version wrote it")
        names = ("me", "peer", "counts", "context", "minimum", "parallel", "bucket_keys", "option")
        setup = Setup(role=Role(value["role"]), **{name: value[name] for name in names})
        result = value["result"]
        state = State(
            **{name: value["state"][name] for name in _PLAIN},
            waiting=dict(value["waiting"]),
            asked=dict(value["asked"]),
            found=[np.array(rows, np.int64) for rows in value["found"]],
            result=result and RowsResult(outcome=Outcome(result[0]), rows=np.array(result[1], np.int64)),
        )
        return setup, state, value["seed"], value["identifiers"]
    except BadState:
        raise
    except (Failure, KeyError, TypeError, ValueError) as error:
        raise BadState(why=type(error).__name__) from None
