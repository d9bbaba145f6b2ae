"""The values of a matching session: what was agreed, what is sent, what comes out, and the packed form of its state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np

from privacy import packing
from privacy.errors import Failure
from privacy.noise import CountNoise
from privacy.psi.errors import BadSetup, BadState

VERSION = 1
IDENTIFIERS_MAX = 1 << 22
POINTS_PER_MESSAGE = 8192
CONTEXT_BYTES_MIN = 16
PARTIES_MAX = 64
VALUE_BITS_MAX = 40
ALIGN_ALL_IDENTIFIERS_MAX = 1 << 20  # one key-value store holds a party's shares

Rows: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


class Mode(StrEnum):
    COUNT = "count"  # the leader learns how many clients are shared
    ROWS = "rows"  # the leader learns which of its clients are shared, with `both` the follower too
    COUNT_THEN_ROWS = "count-then-rows"  # both count; the leader learns which, if both then agree
    SUM = "sum"  # both count; the leader learns the sum of one side's values over the shared clients
    ALIGN = "align"  # everybody learns the clients that all share, in one order
    ALIGN_ALL = "align-all"  # the same among three or more, and nobody learns what two of them share
    ALIGN_HIDDEN = "align-hidden"  # two parties order their union; neither learns which of its clients are shared


class Role(StrEnum):
    LEADER = "leader"
    FOLLOWER = "follower"


class Outcome(StrEnum):
    SHARED = "shared"  # the result is here
    BELOW_MINIMUM = "below minimum"  # fewer shared clients than agreed: no figure, no rows
    NOT_ENTITLED = "not entitled"  # this party took part; the result is not for it
    REFUSED = "refused"  # both counted, one did not agree to rows
    GAVE_ROWS = "gave rows"  # this party let the leader see which of the leader's clients it has


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message to be sealed for its recipient. Messages to one recipient must arrive in their order."""

    recipient: str
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CountResult:
    outcome: Outcome
    count: int | None  # only with SHARED; an estimate where the setup has noise


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsResult:
    outcome: Outcome
    rows: Rows  # positions of the shared identifiers, as passed to create, ascending; empty unless SHARED


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRowsResult:
    outcome: Outcome
    count: int | None  # None below the minimum
    rows: Rows  # positions of the shared identifiers, as passed to create, ascending; empty unless SHARED


@dataclass(frozen=True, slots=True, kw_only=True)
class SumResult:
    outcome: Outcome
    count: int | None  # None below the minimum
    total: int | None  # only with SHARED, in the unit of the values


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignResult:
    outcome: Outcome
    rows: Rows  # own identifiers' positions (as passed to create) in the common order; empty below the minimum
    tokens: tuple[str, ...]  # 32 hex digits each, ascending; the same at every party


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineResult:
    """The union of both parties' clients in one order, where only the own places are known."""

    outcome: Outcome
    rows: Rows  # for every own identifier (in the order passed to create) its place in the spine; empty below
    tokens: tuple[str, ...]  # of the whole union, 32 hex digits each, ascending; the same at both parties


Result: TypeAlias = CountResult | RowsResult | CountedRowsResult | SumResult | AlignResult | SpineResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all parties of a session agreed on, and who this one is. Raises BadSetup."""

    mode: Mode
    role: Role
    me: str
    # whom this party talks to: the leader its followers; a follower its leader, in align-all then the other followers
    peers: tuple[str, ...]
    counts: Mapping[str, int]  # committed number of distinct identifiers of every party of the job
    context: bytes  # digest of the job and of the commitments
    minimum: int
    points_per_message: int = POINTS_PER_MESSAGE
    value_side: str = ""  # mode sum: whose values are added up, whole numbers below 2^bits
    bits: int = 0
    noise: CountNoise | None = None  # mode count: what the follower's dummies add to the number
    both: bool = False  # mode rows: the follower gets its rows too

    def __post_init__(self) -> None:
        if self.me in self.peers or len(set(self.peers)) != len(self.peers) or not self.peers:
            raise BadSetup(why="peers must be other parties, each named once")
        if not {self.me, *self.peers} <= set(self.counts) or len(self.counts) > PARTIES_MAX:
            raise BadSetup(why="a committed count is missing for a party, or there are too many parties")
        everybody = self.mode is Mode.ALIGN_ALL
        if everybody and (len(self.peers) < 2 or set(self.counts) != {self.me, *self.peers}):
            raise BadSetup(why=f"in mode {self.mode} three or more parties all talk to one another")
        alone = self.mode in _OF_TWO or self.role is Role.FOLLOWER
        if alone and not everybody and len(self.peers) != 1:
            raise BadSetup(why=f"a {self.role} in mode {self.mode} has one peer")
        most = ALIGN_ALL_IDENTIFIERS_MAX if everybody else IDENTIFIERS_MAX
        if any(type(n) is not int or not 0 <= n <= most for n in self.counts.values()):
            raise BadSetup(why=f"counts lie between 0 and {most}")
        if (
            self.minimum < 0
            or not 1 <= self.points_per_message <= IDENTIFIERS_MAX
            or len(self.context) < CONTEXT_BYTES_MIN
        ):
            raise BadSetup(why="minimum, points per message or context is out of range")
        if self.mode is Mode.SUM and (
            self.value_side not in (self.me, *self.peers)
            or type(self.bits) is not int
            or not 1 <= self.bits <= VALUE_BITS_MAX
        ):
            raise BadSetup(why=f"a sum is of one party's values, of 1 to {VALUE_BITS_MAX} bits")
        if self.mode is not Mode.SUM and (self.value_side or self.bits):
            raise BadSetup(why=f"mode {self.mode} adds up no values")
        if self.noise is not None and self.mode is not Mode.COUNT:
            raise BadSetup(why=f"noise goes with mode {Mode.COUNT} alone")
        if type(self.both) is not bool or (self.both and self.mode is not Mode.ROWS):
            raise BadSetup(why=f"both goes with mode {Mode.ROWS} alone")


@dataclass(slots=True)
class State:
    """What changes while a session runs; with Setup and seed it is all that `dump` keeps."""

    started: bool = False
    # (peer, phase) → absorbed chunks: multiplied or checked points, never a peer's identifiers
    taken: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    # (peer, "sent" | "received") → running digest
    chains: dict[tuple[str, str], bytes] = field(default_factory=dict)
    decision: str = ""  # mode count-then-rows: what this side's people decided on the rows
    result: Result | None = None


def pack(setup: Setup, state: State, seed: bytes, identifiers: bytes) -> bytes:
    """Everything `unpack` needs to give the same four values back."""
    return packing.pack(
        {
            "version": VERSION,
            "setup": {
                "mode": setup.mode.value,
                "role": setup.role.value,
                "me": setup.me,
                "peers": list(setup.peers),
                "counts": dict(setup.counts),
                "context": setup.context,
                "minimum": setup.minimum,
                "points_per_message": setup.points_per_message,
                "value_side": setup.value_side,
                "bits": setup.bits,
                "both": setup.both,
                "noise": [setup.noise.epsilon_milli, setup.noise.delta_log10] if setup.noise else None,
            },
            "seed": seed,
            "identifiers": identifiers,
            "started": state.started,
            "taken": [[peer, phase, list(chunks)] for (peer, phase), chunks in state.taken.items()],
            "chains": [[peer, direction, digest] for (peer, direction), digest in state.chains.items()],
            "decision": state.decision,
            "result": _pack_result(state.result),
        }
    )


def unpack(data: bytes) -> tuple[Setup, State, bytes, bytes]:
    """(setup, state, seed, identifiers' digest) of `pack`. Raises BadState for other bytes."""
    try:
        value: Any = packing.unpack(data)
        if value["version"] != VERSION:
            raise BadState(why="another version wrote it")
        agreed = value["setup"]
        noise = agreed.get("noise")  # dumps from before there was noise lack it; older ones `both` too
        kinds = {name: kind(agreed[name]) for name, kind in _SETUP_TYPES.items()}
        setup = Setup(**agreed | kinds | {"noise": _noise(*noise) if noise else None})
        state = State(
            started=value["started"],
            taken={(peer, phase): list(chunks) for peer, phase, chunks in value["taken"]},
            chains={(peer, direction): digest for peer, direction, digest in value["chains"]},
            decision=value.get("decision", ""),  # dumps from before there were decisions lack it
            result=_unpack_result(setup.mode, value["result"]),
        )
        return setup, state, value["seed"], value["identifiers"]
    except BadState:
        raise
    except (Failure, KeyError, TypeError, ValueError) as error:
        raise BadState(why=type(error).__name__) from None


def _noise(epsilon_milli: int, delta_log10: int) -> CountNoise:
    return CountNoise(epsilon_milli=epsilon_milli, delta_log10=delta_log10)


_SETUP_TYPES: dict[str, Any] = {"mode": Mode, "role": Role, "peers": tuple}
_OF_TWO = frozenset({Mode.COUNT, Mode.ROWS, Mode.COUNT_THEN_ROWS, Mode.SUM, Mode.ALIGN_HIDDEN})
_RESULTS: dict[Mode, type[Result]] = {
    Mode.COUNT: CountResult,
    Mode.ROWS: RowsResult,
    Mode.COUNT_THEN_ROWS: CountedRowsResult,
    Mode.SUM: SumResult,
    Mode.ALIGN: AlignResult,
    Mode.ALIGN_ALL: AlignResult,
    Mode.ALIGN_HIDDEN: SpineResult,
}
_RESULT_TYPES: dict[str, Any] = {
    "outcome": Outcome,
    "rows": lambda rows: np.array(rows, np.int64),
    "tokens": tuple,
}


def _pack_result(result: Result | None) -> packing.Packed:
    if result is None:
        return None
    values = {item.name: getattr(result, item.name) for item in fields(result)}
    return {
        name: value.value if isinstance(value, Outcome) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def _unpack_result(mode: Mode, value: Any) -> Result | None:
    if value is None:
        return None
    return _RESULTS[mode](**{name: _RESULT_TYPES.get(name, lambda item: item)(value[name]) for name in value})
