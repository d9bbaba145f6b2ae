"""Mode `rows` by the OPRF engine: which of its own clients a party shares with the other, for one side or for both.

For both sides the engine runs twice in one job, once in each direction, each run with a context and randomness of its
own; the runs go side by side. A message is its run's number (1 byte: 0 for the run in which the leader receives) and
the run's own message. Whoever is not entitled to rows gets none: there is no run in which it receives.

A receiver may deviate: the engine's options that check it are the only ones here. Without the check one altered matrix
would give away the sender's secret bits, and with them its whole set.

The interface is that of `privacy.psi.session.Session`, with `ready` and `work`: see `privacy.psi.oprf.session`.
"""

from collections.abc import Mapping, Sequence

from privacy import canonical, packing
from privacy.psi import oprf
from privacy.psi.errors import BadSetup, BadState, MalformedMessage
from privacy.psi.group import Entropy
from privacy.psi.oprf.ahead import Begin, Later
from privacy.psi.oprf.options import CHECKED_LISTED, CHECKED_UNLISTED, Option
from privacy.psi.values import Outcome, Outgoing, Role, RowsResult

RUNS_MAX = 2
BUCKET_KEYS = 1 << 15  # of a job through a relay: some 2.5 MB a message, and as many checkpoints
PARALLEL = 4  # buckets that a step takes
LISTED = frozenset({"phone", "resident_id", "hk_id"})  # types whose real identifiers are some 2^37 at most


class RowsSession:
    """One party's side. Made by `create` and `load`."""

    def __init__(self, runs: Sequence[oprf.Session]) -> None:
        assert 1 <= len(runs) <= RUNS_MAX, "one run for each receiver"
        self._runs = tuple(runs)

    def start(self) -> list[Outgoing]:
        """The first messages of the runs in which this side receives. Raises WrongPhase."""
        return [item for number, run in enumerate(self._runs) for item in _numbered(number, run.start())]

    def receive(self, sender: str, message: bytes) -> list[Outgoing]:
        """Take one message; those that follow at once. Raises MalformedMessage, and what the engine's raise."""
        number = message[0] if message else RUNS_MAX
        if number >= len(self._runs):
            raise MalformedMessage(sender=sender[:40], why="it belongs to no run of this job")
        return _numbered(number, self._runs[number].receive(sender, memoryview(message)[1:]))

    @property
    def ready(self) -> bool:
        """There is something for `work`."""
        return any(run.ready for run in self._runs)

    def work(self) -> list[Outgoing]:
        """One step of the run that is furthest behind; its messages."""
        waiting = [(run.progress[0], number) for number, run in enumerate(self._runs) if run.ready]
        if not waiting:
            return []
        _, number = min(waiting)
        return _numbered(number, self._runs[number].work())

    @property
    def done(self) -> bool:
        return all(run.done for run in self._runs)

    @property
    def phase(self) -> str:
        return next((run.phase for run in self._runs if not run.done), "done")

    @property
    def progress(self) -> tuple[int, int]:
        """(finished buckets, all buckets) over the runs."""
        return sum(run.progress[0] for run in self._runs), sum(run.progress[1] for run in self._runs)

    def result(self) -> RowsResult:
        """The rows of the run in which this side received; NOT_ENTITLED without one. Raises NotFinished."""
        results = [run.result() for run in self._runs]
        own = [result for result in results if result.outcome is not Outcome.NOT_ENTITLED]
        return own[0] if own else results[0]

    def transcript(self, peer: str) -> bytes:
        """32 bytes over all messages with the peer: equal at both ends."""
        return canonical.digest_bytes("ecohub/rows-transcript/1", b"".join(run.transcript() for run in self._runs))

    def dump(self) -> bytes:
        """The whole state, to be kept secret until the job is done."""
        return packing.pack({"runs": [run.dump() for run in self._runs]})


def option_for(id_type: str) -> Option:
    """How the engine guards a job over identifiers of this type: by whether somebody could list them all."""
    return CHECKED_LISTED if id_type in LISTED else CHECKED_UNLISTED


def create(
    *,
    id_type: str,
    role: str,
    both: bool,
    me: str,
    peer: str,
    ids: Sequence[bytes],
    counts: Mapping[str, int],
    context: bytes,
    minimum: int,
    entropy: Entropy,
    parallel: int,
    bucket_keys: int,
    begin: Begin = Later,
) -> RowsSession:
    """A fresh session. role: "leader", who receives, or "follower", who receives too where `both`.

    id_type: as `privacy.normalise` names it. parallel, bucket_keys: both sides agree on them, as PARALLEL and
    BUCKET_KEYS. The rest as `oprf.create`, which also says what is raised.
    """
    try:
        leads = Role(role) is Role.LEADER
    except ValueError:
        raise BadSetup(why="role is leader or follower") from None
    receiving = [leads, not leads] if both else [leads]
    runs = [
        oprf.create(
            role="receiver" if receives else "sender",
            me=me,
            peer=peer,
            ids=ids,
            counts=counts,
            context=canonical.digest_bytes("ecohub/rows-run/1", context + bytes([number])),
            minimum=minimum,
            entropy=entropy,
            parallel=parallel,
            bucket_keys=bucket_keys,
            option=option_for(id_type).name,
            begin=begin,
        )
        for number, receives in enumerate(receiving)
    ]
    return RowsSession(runs)


def load(data: bytes, ids: Sequence[bytes], begin: Begin = Later) -> RowsSession:
    """The session that was dumped, as `oprf.load`. Raises BadState, IdentifiersChanged."""
    value = packing.unpack(data)
    runs = value.get("runs") if isinstance(value, dict) else None
    if not isinstance(runs, list) or not 1 <= len(runs) <= RUNS_MAX:
        raise BadState(why="it is no session of rows")
    return RowsSession([oprf.load(run if isinstance(run, bytes) else b"", ids, begin) for run in runs])


def _numbered(number: int, out: Sequence[Outgoing]) -> list[Outgoing]:
    return [Outgoing(recipient=item.recipient, message=bytes([number]) + item.message) for item in out]
