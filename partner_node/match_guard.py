"""The guard of matching: what single jobs, each of them harmless and approved, may tell together.

Ids can be guessed (2^33-2^37 values), so whoever may ask often and about anybody learns a partner's clients without
breaking any cryptography. The guard counts what this node's software let happen towards each partner, and refuses what
would pass its limits (partner_node.match_rules). It holds this node's own people to them as well: their partners rely
on it, as they rely on theirs.

    review   before a person approves, from the body alone
    admit    before approving and at the start: alarms, jobs of the month
    own      with the ids read, before anything about them leaves
    before   with everybody's committed counts, before the first message; its entries are booked with that message
    after    with the result: the share of common clients

Towards a partner that deviates only what this node sees counts: its jobs, and the ids that the job's sizes let it test
(`slots`), whatever it says it entered. docs/matching.md lists what stays possible.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import approvals, match_book, match_sequences, times
from partner_node.match_book import Alarm, Digests, Entry, Placed
from partner_node.match_guard_errors import (
    DistinctBudgetSpent,
    IdentifierBudgetSpent,
    IdentifiersInSequence,
    MinimumTooSmall,
    MonthlyIdentifiersSpent,
    MonthlyJobsSpent,
    OverlapAlarm,
    OwnSetTooLarge,
    PeerSetTooLarge,
    SetsTooAlike,
)
from partner_node.readings import Identifiers
from partner_node.settings import Asset, Settings
from partner_node.store import Proposal
from privacy.errors import Failure
from privacy.psi.job import ALIGN, ALIGN_ALL, CACHED, COUNT_THEN_ROWS, LABELS, LEADER, ROWS
from privacy.psi.values import Outcome

HIGH, LOW = "high", "low"
NAMED = (ALIGN, ALIGN_ALL, ROWS, LABELS, CACHED)  # their results say who is shared, not only how many
NAMES_GIVEN = (Outcome.SHARED, Outcome.GAVE_ROWS, Outcome.NOT_ENTITLED)  # a follower is not told how `rows` ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a finished match told this side: the number of shared clients, or that it is below the job's minimum."""

    count: int | None
    below: int  # the job's minimum; only where count is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a job asks towards one partner: who, or only how many, of the own clients all of certain parties have."""

    among: str  # these parties, ascending
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What was worked out of an own set."""

    found: Identifiers
    longest_run: int
    digests: Digests


class Guard:
    """`settings`: the node's, with its [matching] rules. Every call is given the session of a running transaction."""

    def __init__(self, settings: Settings) -> None:
        self._me = settings.partner
        self._rules = settings.matching
        self._settings = settings
        self._looked: _Looked | None = None  # the set that was looked at last: it is read once and looked at twice

    def review(self, body: Body) -> None:
        """Raises MinimumTooSmall: the job shows results from fewer shared clients on than this node allows."""
        found = int(str(body["minimum"]))
        for peer in self.peers(body):
            needed = self._rules.of(peer).minimum
            if found < needed:
                raise MinimumTooSmall(found=found, needed=needed)

    def admit(self, session: Session, job: str, body: Body, now: datetime) -> None:
        """Raises OverlapAlarm, MonthlyJobsSpent."""
        for peer in self.peers(body):
            self._check_alarm(session, peer)
            self._check_jobs(session, job, peer, month_of(now))

    def own(self, session: Session, proposal: Proposal, found: Identifiers) -> None:
        """Check this side's set before anything of it leaves.

        Raises OwnSetTooLarge, IdentifiersInSequence, DistinctBudgetSpent, SetsTooAlike.
        """
        asset = self._asset(proposal.body)
        digests = self._look_at(proposal.body, asset, found)
        for peer in self.peers(proposal.body):
            self._placed(session, peer, asset, digests, self.question(proposal.body, peer))

    def before(
        self,
        session: Session,
        proposal: Proposal,
        found: Identifiers,
        counts: Mapping[str, int],
        slots: Mapping[str, int],
        now: datetime,
    ) -> tuple[Entry, ...]:
        """What to book towards each partner, if this match may begin; `book` it with the first message that leaves.

        counts: committed ids of every party; slots: ids that the job's sizes let each other party test here. Checks
        anew what another match or a restart with other limits may have changed since `own`. Raises PeerSetTooLarge,
        MonthlyIdentifiersSpent, IdentifierBudgetSpent, and what `review`, `admit` and `own` do.
        """
        asset, body = self._asset(proposal.body), proposal.body
        self.review(body)
        self.admit(session, proposal.digest, body, now)
        digests = self._look_at(body, asset, found)
        self._looked = None  # not needed again
        entries = []
        for peer in self.peers(body):
            earlier = body["mode"] == CACHED  # its list may have come with an earlier job, which booked it
            assert earlier or slots[peer] >= counts[peer], "the sizes of a job hold what was committed"
            self._check_peer(session, proposal.digest, peer, counts[peer], slots[peer], month_of(now))
            question = self.question(body, peer)
            placed = self._placed(session, peer, asset, digests, question)
            entry = Entry(
                job=proposal.digest,
                partner=peer,
                asset=asset.name,
                among=question.among,
                month=month_of(now),
                own=len(found.ids),
                peer=counts[peer],
                slots=slots[peer],
                time=times.to_text(now),
                added=placed.added.tobytes(),
                members=match_book.pack(placed.members),
            )
            entries.append(entry)
        return tuple(entries)

    def book(self, session: Session, entries: Sequence[Entry]) -> None:
        """Book a match towards its partners. Nothing takes it back: what a broken match told can't be known."""
        for entry in entries:
            match_book.book(session, entry)

    def ended(self, session: Session, proposal: Proposal, outcome: str) -> None:
        """Until a match ends with names it counts as a number: who breaks it off after its first message has none."""
        if proposal.body["mode"] in (*NAMED, COUNT_THEN_ROWS) and Outcome(outcome) in NAMES_GIVEN:
            match_book.name(session, proposal.digest)

    def after(self, session: Session, job: str, share: Share, now: datetime) -> None:
        """Raise an alarm against each partner with which the share of common clients is outside the limits.

        The share is taken of the smaller set. Common clients of all parties are common to each two of them, so many
        count against every partner; few do so only where there is but one.
        """
        sizes = match_book.sizes(session, job)
        for peer, (own, other) in sizes.items():
            kind = self._alarming(peer, min(own, other), share, alone=len(sizes) == 1)
            if kind is not None:
                percent = None if share.count is None else 100 * share.count // min(own, other)
                alarm = Alarm(
                    job=job,
                    partner=peer,
                    kind=kind,
                    percent=percent,
                    time=times.to_text(now),
                    cleared=None,
                    person=None,
                    reason=None,
                )
                match_book.raise_alarm(session, alarm)

    def refused(self, session: Session, proposal: Proposal, failure: Failure, now: datetime) -> None:
        """Note for this node's people why a match ended or did not begin here."""
        match_book.refuse(session, proposal.digest, [*self.peers(proposal.body)], failure, times.to_text(now))

    def peers(self, body: Body) -> Iterator[str]:
        """All other parties: also those that this side sends nothing learn from what it entered."""
        return (item["partner"] for item in approvals.parties(body) if item["partner"] != self._me)

    def question(self, body: Body, peer: str) -> Question:
        """What a job asks of this side and another. Of an alignment of three or more a leader learns the overlap with
        each other party, and followers what all have; `count-then-rows` asks for names only after the number.
        """
        parties = {item["partner"]: item["role"] for item in approvals.parties(body)}
        all_have = body["mode"] == ALIGN_ALL or LEADER not in (parties[self._me], parties[peer])
        among = ",".join(sorted(parties if all_have else (self._me, peer)))
        return Question(among=among, named=body["mode"] in NAMED)

    def _look_at(self, body: Body, asset: Asset, found: Identifiers) -> Digests:
        """The own set by itself; its digests. Raises OwnSetTooLarge, IdentifiersInSequence."""
        self._check_registered(asset, found)
        if self._looked is None or self._looked.found is not found:
            longest, digests = match_sequences.longest_run(found.ids), match_book.digests(found.row_keys)
            self._looked = _Looked(found=found, longest_run=longest, digests=digests)
        limit = min(self._rules.of(peer).consecutive for peer in self.peers(body))
        self._check_sequence(asset, self._looked.longest_run, limit)
        return self._looked.digests

    # --- one rule each ---------------------------------------------------------------------------------------------

    def _check_alarm(self, session: Session, peer: str) -> None:
        job = match_book.standing(session, peer)
        if job is not None:
            raise OverlapAlarm(peer=peer, job=job[:16])

    def _check_jobs(self, session: Session, job: str, peer: str, month: str) -> None:
        used = match_book.usage(session, peer, month, other_than=job).jobs
        limit = self._rules.of(peer).jobs_per_month
        if used >= limit:
            raise MonthlyJobsSpent(peer=peer, used=used, month=month, limit=limit)

    def _check_registered(self, asset: Asset, found: Identifiers) -> None:
        if asset.registered is not None and len(found.ids) > asset.registered:
            raise OwnSetTooLarge(asset=asset.name)

    def _check_sequence(self, asset: Asset, longest_run: int, limit: int) -> None:
        if longest_run > limit:
            raise IdentifiersInSequence(asset=asset.name, limit=limit)

    def _check_peer(self, session: Session, job: str, peer: str, count: int, slots: int, month: str) -> None:
        limits = self._rules.of(peer)
        if count > limits.peer_clients:
            raise PeerSetTooLarge(peer=peer, found=count, limit=limits.peer_clients)
        used = match_book.usage(session, peer, month, other_than=job)
        if used.slots + slots > limits.peer_identifiers_per_month:
            monthly = limits.peer_identifiers_per_month
            raise MonthlyIdentifiersSpent(peer=peer, used=used.slots, more=slots, month=month, limit=monthly)
        if used.ever + slots > limits.peer_identifiers_ever:
            raise IdentifierBudgetSpent(peer=peer, used=used.ever, more=slots, limit=limits.peer_identifiers_ever)

    def _placed(self, session: Session, peer: str, asset: Asset, digests: Digests, question: Question) -> Placed:
        """The own set among those entered before. Raises DistinctBudgetSpent, SetsTooAlike."""
        placed = match_book.place(session, peer, asset.name, digests)
        self._check_distinct(session, peer, asset, len(digests), placed)
        self._check_difference(session, peer, asset, digests, placed, question)
        return placed

    def _check_distinct(self, session: Session, peer: str, asset: Asset, own: int, placed: Placed) -> None:
        limit = self._rules.of(peer).own_distinct_percent
        largest = max(own, match_book.largest(session, peer, asset.name))
        if 100 * len(placed.members) > limit * largest and len(placed.added):
            raise DistinctBudgetSpent(asset=asset.name, peer=peer, limit=limit)

    def _check_difference(
        self, session: Session, peer: str, asset: Asset, digests: Digests, placed: Placed, question: Question
    ) -> None:
        """Refuse a set that says too much beside an earlier one.

        Two figures: their difference is about the clients in one set only, so these must be none or many. A figure and
        names: the same, unless the figure's set was named whole as well, among the parties that the figure is about,
        to whom it adds nothing then, or among those of this question, whose answer follows from these names. Two lists
        of names: each says its own; who left says nothing, a few who came are people asked about by name.
        Sets of another asset are other sets of the same people.
        """
        minimum, named, length = self._rules.of(peer).minimum, question.named, len(placed.members)
        known = match_book.named_sets(session, peer, asset.name, length) if named else frozenset()
        for one in match_book.earlier(session, peer, asset.name, length):
            differ = one.members != placed.members
            members = match_book.digest(one.members)
            if named and (one.named or not known.isdisjoint({(one.among, members), (question.among, members)})):
                differ &= placed.members == 1
            if 0 < np.count_nonzero(differ) < minimum:
                raise SetsTooAlike(asset=asset.name, job=one.job[:16], peer=peer, minimum=minimum)
        for job, was_named, other in match_book.elsewhere(session, peer, asset.name):
            apart = np.setdiff1d if named and was_named else np.setxor1d
            if 0 < len(apart(digests, other, assume_unique=True)) < minimum:
                raise SetsTooAlike(asset=asset.name, job=job[:16], peer=peer, minimum=minimum)

    def _alarming(self, peer: str, smaller: int, share: Share, *, alone: bool) -> str | None:
        least, most = self._rules.of(peer).overlap_percent
        if share.count is None:
            return LOW if alone and 100 * share.below <= least * smaller else None
        if 100 * share.count > most * smaller:
            return HIGH
        return LOW if alone and 100 * share.count < least * smaller else None

    def _asset(self, body: Body) -> Asset:
        return self._settings.asset(approvals.party(body, self._me).get("asset"))


def month_of(now: datetime) -> str:
    """The calendar month in UTC, such as 2026-10."""
    return now.astimezone(UTC).strftime("%Y-%m")
