"""Make a session, or take it up again after a crash: the one place that knows every kind of session."""

from collections.abc import Mapping, Sequence

from privacy.errors import Failure
from privacy.noise import CountNoise
from privacy.psi.align_hidden import AlignHiddenFollower, AlignHiddenLeader
from privacy.psi.allparty import AlignAllFollower, AlignAllLeader
from privacy.psi.count_then_rows import CountThenRowsFollower, CountThenRowsLeader
from privacy.psi.ecdh import AlignFollower, AlignLeader, CountFollower, CountLeader
from privacy.psi.ecdh_rows import RowsFollower, RowsLeader
from privacy.psi.errors import BadSetup, IdentifiersChanged
from privacy.psi.group import Entropy, Map
from privacy.psi.noisy_count import NoisyCountFollower, NoisyCountLeader
from privacy.psi.session import SEED_BYTES, Session
from privacy.psi.sums import SumFollowerAdding, SumFollowerHolding, SumLeaderAdding, SumLeaderHolding
from privacy.psi.values import POINTS_PER_MESSAGE, Mode, Role, Setup, State, unpack

_KINDS: dict[tuple[Mode, Role], type[Session]] = {
    (Mode.COUNT, Role.LEADER): CountLeader,
    (Mode.COUNT, Role.FOLLOWER): CountFollower,
    (Mode.ROWS, Role.LEADER): RowsLeader,
    (Mode.ROWS, Role.FOLLOWER): RowsFollower,
    (Mode.COUNT_THEN_ROWS, Role.LEADER): CountThenRowsLeader,
    (Mode.COUNT_THEN_ROWS, Role.FOLLOWER): CountThenRowsFollower,
    (Mode.ALIGN, Role.LEADER): AlignLeader,
    (Mode.ALIGN, Role.FOLLOWER): AlignFollower,
    (Mode.ALIGN_ALL, Role.LEADER): AlignAllLeader,
    (Mode.ALIGN_ALL, Role.FOLLOWER): AlignAllFollower,
    (Mode.ALIGN_HIDDEN, Role.LEADER): AlignHiddenLeader,
    (Mode.ALIGN_HIDDEN, Role.FOLLOWER): AlignHiddenFollower,
}
_NOISY: dict[Role, type[Session]] = {Role.LEADER: NoisyCountLeader, Role.FOLLOWER: NoisyCountFollower}
_SUMS: dict[tuple[Role, bool], type[Session]] = {  # whether this party holds the values
    (Role.LEADER, True): SumLeaderHolding,
    (Role.LEADER, False): SumLeaderAdding,
    (Role.FOLLOWER, True): SumFollowerHolding,
    (Role.FOLLOWER, False): SumFollowerAdding,
}


def create(
    *,
    mode: str,
    role: str,
    me: str,
    peers: Sequence[str],
    ids: Sequence[bytes],
    counts: Mapping[str, int],
    context: bytes,
    minimum: int,
    entropy: Entropy,
    points_per_message: int = POINTS_PER_MESSAGE,
    value_side: str = "",
    bits: int = 0,
    values: Sequence[int] = (),
    noise: CountNoise | None = None,
    both: bool = False,
    map: Map = map,
) -> Session:
    """A fresh session with a fresh key.

    mode: a value of `Mode`; role: "leader" or "follower". peers: the leader names its followers (one, but in align and
    align-all), a follower its leader, in align-all first its leader and then the other followers. ids: this side's
    distinct normalised identifiers, 1-256 bytes each; results speak of their positions. counts: the committed number
    of identifiers of every party of the job. context: at least 16 bytes, the digest of the job and all commitments; it
    enters the hash to the group, so lists of two jobs never compare. minimum: fewer shared clients give the outcome
    BELOW_MINIMUM. value_side, bits: in mode sum, the party whose values are added up, whole numbers below 2^bits (the
    sum stays below 2^40); values: at that party, one for each identifier. noise: of mode count, where it is agreed on.
    both: in mode rows, the follower gets its rows too. map: an executor's map runs the arithmetic in threads. Raises
    BadSetup, BadIdentifiers, BadValues.
    """
    try:
        kind = Mode(mode), Role(role)
    except ValueError:
        raise BadSetup(why=f"mode is one of {', '.join(Mode)}; role is leader or follower") from None
    setup = Setup(
        mode=kind[0],
        role=kind[1],
        me=me,
        peers=tuple(peers),
        counts=dict(counts),
        context=context,
        minimum=minimum,
        points_per_message=points_per_message,
        value_side=value_side,
        bits=bits,
        noise=noise,
        both=both,
    )
    # a follower has nothing to send first, but in align-all, where followers talk to one another
    state = State(started=kind[1] is Role.FOLLOWER and kind[0] is not Mode.ALIGN_ALL)
    return _kind(setup)(setup, entropy(SEED_BYTES), tuple(ids), state, map, tuple(values))


def load(data: bytes, ids: Sequence[bytes], map: Map = map, values: Sequence[int] = ()) -> Session:
    """The session that was dumped. ids, values: the same in the same order (not looked at once it is done).

    Raises BadState for bytes that `dump` did not write, IdentifiersChanged for other identifiers.
    """
    setup, state, seed, identifiers = unpack(data)
    kind = _kind(setup)
    if state.result is not None:
        return kind(setup, b"", (), state, map)
    try:
        session = kind(setup, seed, tuple(ids), state, map, tuple(values))
    except Failure:
        raise IdentifiersChanged from None
    if session.identifiers_digest() != identifiers:
        raise IdentifiersChanged
    return session


def _kind(setup: Setup) -> type[Session]:
    if setup.mode is Mode.SUM:
        return _SUMS[setup.role, setup.me == setup.value_side]
    if setup.noise is not None:
        return _NOISY[setup.role]
    return _KINDS[setup.mode, setup.role]
