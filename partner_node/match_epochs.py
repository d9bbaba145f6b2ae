"""Mode cached at this node: the job's key epoch opened, its list kept in step with consent, its session made.

The follower draws the key when the epoch's first job starts and says its public part in its signed commitment, with the
number of lists it has made; the leader says how many messages of masks it holds. From both, and the body that everybody
approved, each side has the same `cached.Terms` and `cached.Job`, to which every message of the session is bound.

Clients of a list who are not entered any more (consent withdrawn or ended, gone from the source) end the epoch: nothing
leaves a list. Clients who came wait until there are as many as the guards ask for, and a later list for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import match_commit, match_epoch_store, times
from partner_node.errors import CommitmentsDiffer
from partner_node.executors import Executor
from partner_node.match_epoch_errors import ClientsDeparted, EpochBusy, EpochEnded, EpochNotNext, EpochTermsDiffer
from partner_node.match_epoch_store import DEPARTED, RECEIVER, SENDER, SPENT, WHYS, Epoch, Place
from partner_node.node import Node
from partner_node.readings import Identifiers
from partner_node.store import Proposal
from privacy import canonical
from privacy.errors import Failure
from privacy.psi import cached
from privacy.psi.cached.errors import EpochOver
from privacy.psi.job import MatchJob

LINE = "ecohub/epoch-line/1"
Write = Callable[[Session], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An epoch that a job starts in: the clients entered, what the commitment says, and the write that keeps it."""

    found: Identifiers
    said: Body | None = None
    write: Write = lambda _: None


class Epochs:
    """The key epochs of one node. Jobs of other modes pass through unchanged."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def review(self, job: MatchJob, body: Body) -> None:
        """Raises EpochOver, EpochEnded, EpochTermsDiffer, EpochNotNext: what stands in the way of a job."""
        if job.cached is not None:
            place = self._place(job, body)
            self._node.database.read(lambda session: self._stored(session, job, place))

    def open(self, proposal: Proposal, job: MatchJob, found: Identifiers) -> Opened:
        """Begin the job's epoch, or go on in it. Raises as `review`, and EpochBusy, ClientsDeparted, ListTooLong."""
        if job.cached is None:
            return Opened(found=found)
        place = self._place(job, proposal.body)
        stored = self._node.database.read(lambda session: self._stored(session, job, place, proposal.digest))
        if place.side == RECEIVER:
            held = self._node.database.read(lambda s: match_epoch_store.held(s, place.line, place.number))
            return Opened(found=found, said={"held": held})
        epoch = self._begun(job, place, found) if stored is None else self._continued(job, place, found)
        said: Body = {"public": epoch.terms.public.hex(), "lists": len(epoch.lists)}
        now = times.to_text(self._node.clock())

        def write(session: Session) -> None:
            match_epoch_store.keep(session, place, epoch, proposal.digest, now)

        return Opened(found=_only(found, epoch.standing(found.ids)), said=said, write=write)

    def entered(self, proposal: Proposal, job: MatchJob, found: Identifiers) -> Identifiers:
        """Of what was read again, what a started job enters: a sender's lists. Raises ClientsDeparted, EpochEnded."""
        if job.cached is None:
            return found
        place = self._place(job, proposal.body)
        stored = self._node.database.read(lambda s: match_epoch_store.find(s, place.line, place.number))
        if place.side == RECEIVER or stored is None or stored.job != proposal.digest:
            return found
        self._check_open(stored)
        epoch = self._node.database.read(lambda s: match_epoch_store.sender(s, place.line, place.number))
        return _only(found, _standing(epoch, found))

    def testable(
        self, proposal: Proposal, job: MatchJob, counts: Mapping[str, int], commitments: object
    ) -> dict[str, int]:
        """The other party -> ids that it can test here, as `match_slots.testable` says it of other modes.

        A leader has as many points evaluated as it committed to ids, however it makes them. A follower can fill every
        place of its lists with a client, once: a later job of the epoch that brings no list tests nobody new.
        commitments: as `match_commit.read` took them. Raises CommitmentsDiffer, BadPoint.
        """
        if self._node.settings.partner != job.leader:
            return {job.leader: counts[job.leader]}
        held, lists, public = _said(job, commitments)
        terms = self._terms(job, self._place(job, proposal.body), public)
        if lists > terms.additions_max + 1 or held > terms.messages_of(lists):
            raise CommitmentsDiffer(why="what they say of the epoch")
        cut = [terms.place(message) for message in range(held, terms.messages_of(lists))]
        return {terms.sender: sum(stop - first for _, first, stop in cut)}

    def create(
        self,
        proposal: Proposal,
        job: MatchJob,
        ids: Sequence[bytes],
        commitments: object,
        points: int,
        context: bytes,
        executor: Executor,
    ) -> cached.Session:
        """A fresh session; its points are booked in its epoch, which `keeper` stores. commitments: as for `testable`.

        Raises EpochTermsDiffer, EpochBusy, EpochOver, EpochEnded, PointsSpent, EpochDiffers, CommitmentsDiffer.
        """
        held, lists, public = _said(job, commitments)
        place = self._place(job, proposal.body)
        terms = self._terms(job, place, public)
        read = self._node.database.read
        stored = read(lambda session: self._stored(session, job, place, proposal.digest))
        if stored is not None and stored.terms != terms:
            raise EpochTermsDiffer(epoch=place.number)
        epoch = cached.ReceiverEpoch(terms) if stored is None else self._load(place)
        part = cached.Job(context=context, points=points, held=held, lists=lists, minimum=job.minimum)
        return cached.create(
            epoch=epoch,
            job=part,
            ids=ids,
            entropy=self._node.entropy,
            now=self._node.clock(),
            map=executor.local if held < part.stop(terms) else executor.threads,
        )

    def load(
        self, proposal: Proposal, job: MatchJob, data: bytes, ids: Sequence[bytes], executor: Executor
    ) -> cached.Session:
        """The session that was dumped, in its stored epoch. ids: as `entered` gave. Raises as `cached.load`."""
        place = self._place(job, proposal.body)
        return cached.load(data=data, epoch=self._load(place), ids=ids, now=self._node.clock(), map=executor.local)

    def keeper(self, proposal: Proposal, job: MatchJob, session: object) -> Write:
        """The write that stores a session's epoch with the session. Raises EpochOver, EpochEnded: it ended meanwhile.

        An epoch that is used up ends with the job that used it up.
        """
        if not isinstance(session, cached.Session):
            return lambda _: None
        place, epoch, moment = self._place(job, proposal.body), session.epoch, self._node.clock()
        stored = self._node.database.read(lambda s: match_epoch_store.find(s, place.line, place.number))
        if stored is not None:
            self._check_open(stored)
        epoch.check_time(moment)
        now = times.to_text(moment)
        spent = epoch.spent if isinstance(epoch, cached.SenderEpoch) else epoch.asked
        same = isinstance(epoch, cached.SenderEpoch) and stored is not None and stored.spent == spent

        def write(transaction: Session) -> None:
            kept = match_epoch_store.find(transaction, place.line, place.number)
            if kept is not None:
                self._check_open(kept)  # a person or the upkeep may have ended it while this step was computed
            if not same:
                match_epoch_store.keep(transaction, place, epoch, proposal.digest, now)
            if session.done and not epoch.left:
                match_epoch_store.end(transaction, place, SPENT, now)

        return write

    def failed(self, session: Session, proposal: Proposal, failure: Failure, now: datetime) -> None:
        """End the epoch of a job that failed since clients of its list have left."""
        if isinstance(failure, ClientsDeparted):
            place = self._place(MatchJob.from_body(proposal.body), proposal.body)
            match_epoch_store.end(session, place, DEPARTED, times.to_text(now))

    # --- helpers

    def _begun(self, job: MatchJob, place: Place, found: Identifiers) -> cached.SenderEpoch:
        agreed = self._agreed(job, place)
        return cached.SenderEpoch.begin(ids=found.ids, entropy=self._node.entropy, **agreed)

    def _continued(self, job: MatchJob, place: Place, found: Identifiers) -> cached.SenderEpoch:
        """The stored epoch, with one more list where enough clients came."""
        epoch = self._node.database.read(lambda s: match_epoch_store.sender(s, place.line, place.number))
        standing = _standing(epoch, found)
        came = np.flatnonzero(~standing)[: epoch.terms.addition_slots].tolist()
        enough = len(came) >= max(1, self._node.settings.matching.of(place.peer).minimum)
        if enough and len(epoch.lists) <= epoch.terms.additions_max:
            epoch.add([found.ids[row] for row in came])
        return epoch

    def _load(self, place: Place) -> cached.SenderEpoch | cached.ReceiverEpoch:
        load = match_epoch_store.sender if place.side == SENDER else match_epoch_store.receiver
        return self._node.database.read(lambda session: load(session, place.line, place.number))

    def _stored(self, session: Session, job: MatchJob, place: Place, digest: str = "") -> Epoch | None:
        """The job's epoch where it has begun. digest: of a job that is to start or go on. Raises as `review` says."""
        assert job.cached is not None, "mode cached names its epoch"
        if self._node.clock() >= job.cached.ends:
            raise EpochOver(epoch=place.number, why=f"it ended at {job.cached.ends.isoformat()}")
        stored = match_epoch_store.find(session, place.line, place.number)
        if stored is None:
            last = match_epoch_store.last(session, place.line)
            if last is not None:
                if place.number < last.place.number:
                    raise EpochNotNext(epoch=place.number, last=last.place.number, next=last.place.number + 1)
                self._check_free(session, last, digest)
            return None
        self._check_open(stored)
        agreed = self._agreed(job, place)
        if any(getattr(stored.terms, name) != value for name, value in agreed.items()):
            raise EpochTermsDiffer(epoch=place.number)
        self._check_free(session, stored, digest)
        return stored

    def _check_free(self, session: Session, stored: Epoch, digest: str) -> None:
        """Raises EpochBusy where another job than the one that is to start or go on runs in the epoch."""
        if digest and stored.job != digest and match_epoch_store.runs(session, stored.job):
            raise EpochBusy(epoch=stored.place.number, job=stored.job[:16])

    def _check_open(self, stored: Epoch) -> None:
        if stored.ended is not None:
            en, zh = WHYS[stored.why or ""]
            raise EpochEnded(epoch=stored.place.number, why=en, why_zh=zh, next=stored.place.number + 1)

    def _place(self, job: MatchJob, body: Body) -> Place:
        assert job.cached is not None, "mode cached names its epoch"
        me = self._node.settings.partner
        parties: canonical.Value = [
            [party.partner, party.role, party.asset, party.id_column]
            for party in sorted(job.parties, key=lambda party: party.partner)
        ]
        agreed: canonical.Value = [parties, job.id_type, body["normaliser"], body["purpose"]]
        (peer,) = job.peers(me)
        return Place(
            line=canonical.digest(LINE, agreed).hex(),
            number=job.cached.epoch,
            side=RECEIVER if me == job.leader else SENDER,
            peer=peer,
            asset=job.party(me).asset,
            purpose=str(body["purpose"]),
        )

    def _agreed(self, job: MatchJob, place: Place) -> dict[str, Any]:
        assert job.cached is not None, "mode cached names its epoch"
        (follower,) = job.followers
        return job.cached.agreed(sender=follower, receiver=job.leader, context=bytes.fromhex(place.line))

    def _terms(self, job: MatchJob, place: Place, public: bytes) -> cached.Terms:
        return cached.Terms(**self._agreed(job, place), public=public)


def _standing(epoch: cached.SenderEpoch, found: Identifiers) -> Any:
    """Which clients stand in the epoch's lists. Raises ClientsDeparted: of the lists some are not among them."""
    standing = epoch.standing(found.ids)
    if int(standing.sum()) != epoch.size:
        raise ClientsDeparted(epoch=epoch.terms.epoch, next=epoch.terms.epoch + 1)
    return standing


def _only(found: Identifiers, kept: Any) -> Identifiers:
    """The clients at the places that are kept."""
    if kept.all():
        return found
    rows = np.flatnonzero(kept)
    return replace(found, ids=found.ids.take(rows), row_keys=found.row_keys.take(rows))


def _said(job: MatchJob, commitments: object) -> tuple[int, int, bytes]:
    """(messages that the leader holds, lists of the follower, public part of its key). Raises CommitmentsDiffer."""
    said, (follower,) = match_commit.epochs(commitments), job.followers
    held, lists, public = said[job.leader].get("held"), said[follower].get("lists"), str(said[follower].get("public"))
    try:
        if type(held) is int and type(lists) is int and held >= 0 and lists >= 1:
            return held, lists, bytes.fromhex(public)
    except ValueError:
        pass
    raise CommitmentsDiffer(why="what they say of the epoch")
