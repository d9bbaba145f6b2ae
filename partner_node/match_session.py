"""The one place that knows which session runs a match job: made or loaded by the job's mode, role and engine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from partner_node.times import Entropy
from privacy import psi
from privacy.psi import rows, values
from privacy.psi.job import ROWS, MatchJob
from privacy.psi.oprf import RowsResult
from privacy.psi.values import Outgoing

Map: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
Result: TypeAlias = RowsResult | values.Result


class Session(Protocol):
    """What a step drives: messages in, messages out, then one step of what is ready."""

    def start(self) -> list[Outgoing]: ...
    def receive(self, sender: str, message: bytes) -> list[Outgoing]: ...
    def work(self) -> list[Outgoing]: ...
    def dump(self) -> bytes: ...
    def transcript(self, peer: str) -> bytes: ...
    def result(self) -> Result: ...

    @property
    def ready(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def phase(self) -> str: ...
    @property
    def progress(self) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One party's part in a job, once everybody has committed."""

    job: MatchJob
    me: str
    ids: Sequence[bytes]
    counts: Mapping[str, int]
    context: bytes


def create(side: Side, entropy: Entropy, map: Map) -> Session:
    """A fresh session of the job's mode for this side. Raises BadSetup, BadIdentifiers."""
    job, role = side.job, side.job.party(side.me).role
    if job.mode == ROWS:
        (peer,) = job.peers(side.me)
        return rows.create(
            role=role,
            both=job.both,
            me=side.me,
            peer=peer,
            ids=side.ids,
            counts=side.counts,
            context=side.context,
            minimum=job.minimum,
            entropy=entropy,
            parallel=rows.PARALLEL,
            bucket_keys=rows.BUCKET_KEYS,
            map=map,
        )
    return psi.create(
        mode=job.mode,
        role=role,
        me=side.me,
        peers=job.peers(side.me),
        ids=side.ids,
        counts=side.counts,
        context=side.context,
        minimum=job.minimum,
        entropy=entropy,
    )


def load(job: MatchJob, data: bytes, ids: Sequence[bytes], map: Map) -> Session:
    """The session of this job that was dumped. Raises BadState, IdentifiersChanged."""
    return rows.load(data, ids, map) if job.mode == ROWS else psi.load(data, ids)
