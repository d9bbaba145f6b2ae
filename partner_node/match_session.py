"""The one place that knows which session runs a match job: made or loaded by the job's mode, role and engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from partner_node.executors import Executor
from partner_node.times import Entropy
from privacy import psi
from privacy.psi import rows
from privacy.psi.job import LEADER, OPRF, ROWS, MatchJob
from privacy.psi.oprf import labels_factory
from privacy.psi.oprf.bucket import Bytes
from privacy.psi.values import Outgoing, Result


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
class Entered:
    """What this side brings: its ids and, in the same order, the values of mode sum or the labels that it holds."""

    ids: Sequence[bytes]
    values: Sequence[int] = ()
    labels: Bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What a session is bound to, once all have committed: counts of all parties, digest of job and commitments."""

    counts: Mapping[str, int]
    context: bytes


def create(job: MatchJob, me: str, entered: Entered, agreed: Agreed, entropy: Entropy, executor: Executor) -> Session:
    """A fresh session of the job's mode for this side. Raises BadSetup, BadIdentifiers, BadValues, BadLabels."""
    role, peers = job.party(me).role, job.peers(me)
    if _by_oprf(job):
        return rows.create(
            id_type=job.id_type,
            role=role,
            both=job.both,
            me=me,
            peer=peers[0],
            ids=entered.ids,
            counts=agreed.counts,
            context=agreed.context,
            minimum=job.minimum,
            entropy=entropy,
            parallel=rows.PARALLEL,
            bucket_keys=rows.BUCKET_KEYS,
            begin=executor.begin,
        )
    if job.labels is not None:
        return labels_factory.create(
            role="receiver" if role == LEADER else "sender",
            me=me,
            peer=peers[0],
            ids=entered.ids,
            labels=entered.labels,
            label_bytes=job.labels.length,
            counts=agreed.counts,
            context=agreed.context,
            minimum=job.minimum,
            entropy=entropy,
            parallel=rows.PARALLEL,
            bucket_keys=rows.BUCKET_KEYS,
            option=rows.option_for(job.id_type).name,
            begin=executor.begin,
        )
    return psi.create(
        mode=job.mode,
        role=role,
        me=me,
        peers=peers,
        ids=entered.ids,
        counts=agreed.counts,
        context=agreed.context,
        minimum=job.minimum,
        entropy=entropy,
        value_side=job.values.partner if job.values else "",
        bits=job.values.bits if job.values else 0,
        values=entered.values,
        noise=job.noise,
        both=job.both,
        map=executor.threads,
    )


def load(job: MatchJob, data: bytes, entered: Entered, executor: Executor) -> Session:
    """The session of this job that was dumped. Raises BadState, BadLabels, IdentifiersChanged."""
    if _by_oprf(job):
        return rows.load(data, entered.ids, executor.begin)
    if job.labels is not None:
        return labels_factory.load(data, entered.ids, entered.labels, executor.begin)
    return psi.load(data, entered.ids, executor.threads, entered.values)


def _by_oprf(job: MatchJob) -> bool:
    """Rows by the engine that runs once for each receiver."""
    return job.mode == ROWS and job.engine == OPRF


def committed(session: Session) -> Mapping[str, int]:
    """The committed counts that a session is bound to since it was made; none by engine oprf, which needs none.

    Not those of a later request: a party can sign a second commitment, and the hub hand it over at the end.
    """
    return session.setup.counts if isinstance(session, psi.Session) else {}
