"""Private matching at this node: commit to the clients with consent, run the PSI session, keep what this side may know.

match.start   everybody's approvals are checked; ids are read under a grant; out goes a signed commitment.
match.step    envelopes in, envelopes out. The session (privacy.psi) takes them and works one step of what is ready;
              what it is afterwards is stored with the answer, which says whether more is ready: then the hub asks again
              at once. At the end its secrets are deleted, and a signed result goes to the hub.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from ecowire.documents import Body
from ecowire.stream import Message
from partner_node import (
    match_budget,
    match_commit,
    match_decisions,
    match_result,
    match_session,
    match_slots,
    match_values,
    relay,
    sessions,
    times,
)
from partner_node.approvals import Approvals
from partner_node.consent import ConsentDesk, check_column
from partner_node.errors import ProposalInvalid, PurposeNotOffered, StepOutOfPlace
from partner_node.executors import Executor
from partner_node.match_book import Entry
from partner_node.match_epochs import Epochs
from partner_node.match_guard import Guard, Share
from partner_node.match_result import Exports, Finished
from partner_node.match_session import Agreed, Entered
from partner_node.match_state import Live, State, States
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.readings import Identifiers
from partner_node.relay import Post
from partner_node.store import Proposal
from partner_node.vault import Vault
from privacy import psi
from privacy.errors import Failure
from privacy.psi.count_then_rows import DECISION
from privacy.psi.errors import IdentifiersChanged
from privacy.psi.job import MatchJob, TermsInvalid

SALT_BYTES = 32


class Matching:
    """The match jobs of one node; `executor` computes their parts."""

    def __init__(self, node: Node, jobs: Approvals, desk: ConsentDesk, vault: Vault, executor: Executor) -> None:
        self._node = node
        self._jobs = jobs
        self._desk = desk
        self._vault = vault
        self._executor = executor
        self._states = States(node)
        self._exports = Exports(node, desk, vault.clients)
        self._epochs = Epochs(node)
        self.guard = Guard(node.settings)
        self._read: _Read | None = None
        self._committed: tuple[Identifiers | None, bytes] = (None, b"")  # ids that are in memory, and their root

    def handlers(self) -> Handlers:
        return {"match.start": self.start, "match.step": self.step}

    def commands(self) -> Commands:
        return {
            "alignment.export": self._exports.alignment,
            "match.result": self._exports.result,
            "match.decide": lambda arguments: match_decisions.decide(self._node, arguments),
        }

    def review(self, body: Body) -> None:
        """Check a match before a person approves it.

        Raises ProposalInvalid, AssetUnknown, PurposeNotOffered, ColumnNotOffered, MinimumTooSmall, BudgetNotSet,
        BudgetExhausted.
        """
        try:
            job = MatchJob.from_body(body)
        except TermsInvalid as failure:
            raise ProposalInvalid(why=failure.facts["why"]) from None
        own = job.party(self._node.settings.partner)
        asset = self._node.settings.asset(own.asset)
        if job.id_type != asset.id_type or own.id_column != asset.id_column:
            raise ProposalInvalid(why=f"the ids of {asset.name} are {asset.id_type} in {asset.id_column}")
        if body["purpose"] not in asset.purposes:
            raise PurposeNotOffered(asset=asset.name, purpose=str(body["purpose"]))
        for column in match_values.columns(job, own.partner):
            check_column(asset, column, {column})
        self.guard.review(body)
        match_budget.review(self._node, job)
        self._epochs.review(job, body)

    def admit(self, job: str, body: Body) -> None:
        """Whether this node's rules let a match begin now. Raises what `Guard.admit` does."""
        self._node.database.read(lambda session: self.guard.admit(session, job, body, self._node.clock()))

    def start(self, request: Message) -> Answer:
        """Commit to this side's ids, once.

        What the guard, the desk or the vault refuse is noted for this node's people. Raises JobOver, StepOutOfPlace,
        and what `Approvals.require_all` does.
        """
        proposal = self._jobs.require_all(request.head.get("job"), request.head.get("approvals"))
        if proposal.kind != "match":
            raise ProposalInvalid(why="it is no match")
        self.review(proposal.body)
        if self._node.database.read(lambda session: sessions.step(session, proposal.digest)) is not None:
            raise StepOutOfPlace(job=proposal.digest[:16], expected=0, found="start")
        try:
            self.admit(proposal.digest, proposal.body)
            job = MatchJob.from_body(proposal.body)
            opened = self._epochs.open(proposal, job, self._entered(proposal, job).found)
            found = self._keep_read(job, opened.found)
            self._node.database.read(lambda session: self.guard.own(session, proposal, found))
        except Failure as failure:
            refusal, now = failure, self._node.clock()

            def refuse(session: Session) -> None:
                self.guard.refused(session, proposal, refusal, now)
                self._epochs.failed(session, proposal, refusal, now)

            return Answer(failure=refusal, write=refuse)
        salt = self._node.entropy(SALT_BYTES)
        root = psi.commitment(found.ids, salt)
        self._committed = (found, root)
        signed = match_commit.sign(self._node, proposal, len(found.ids), root, opened.said)
        state = State(salt=salt, root=root, step=0, psi=b"")
        keep = self._states.keeper(proposal, state, times.to_text(self._node.clock()))

        def write(session: Session) -> None:
            opened.write(session)
            keep(session)

        return Answer(head={"commitment": signed.to_value()}, write=write)

    def step(self, request: Message) -> Answer:
        """Advance the session by the envelopes of one request, and by one step of its own work.

        A failure ends the match at this node: its secrets are deleted with the refusal. Raises UnknownJob,
        NotApproved, JobExpired, StepOutOfPlace without ending it.
        """
        proposal = self._jobs.require_own(request.head.get("job"))
        self._states.check(proposal, request.head.get("sequence"))
        try:
            return self._advance(proposal, request)
        except Failure as failure:
            self._read = None
            refusal, now = failure, self._node.clock()

            def end(session: Session) -> None:
                sessions.end(session, proposal.digest, times.to_text(now))
                self.guard.refused(session, proposal, refusal, now)
                self._epochs.failed(session, proposal, refusal, now)

            return Answer(failure=refusal, write=end)

    def _advance(self, proposal: Proposal, request: Message) -> Answer:
        job = MatchJob.from_body(proposal.body)
        post = Post(self._node, proposal.digest, proposal.body, "match")
        live, opening, entries = self._session(proposal, job, request)
        session = live.session
        _seal(post, opening)
        for envelope in relay.unpack_list(request.body):
            sender, plain = post.open(envelope)
            _seal(post, session.receive(sender, plain))
        if not post.sealed:  # what the peers wait for leaves first; this side works on while they read it
            _seal(post, session.work())
        note = self._decide(proposal, session, post)
        book = self._book(proposal, job, entries, session, leaves=bool(post.sealed))
        if session.done:
            return self._finish(proposal, job, live, post, book)
        state = live.state.after(session)
        keep = self._states.keeper(proposal, state, times.to_text(self._node.clock()))
        later = Live(job=live.job, revision=live.revision, found=live.found, state=state, session=session)

        def write(transaction: Session) -> None:
            book(transaction)
            keep(transaction)
            post.write(transaction)
            note(transaction)

        head = {**_progress(session), "done": False, "more": session.ready, "result": None}
        return Answer(head=head, body=relay.pack_list(post.sealed), write=write, then=lambda: self._states.put(later))

    def _session(
        self, proposal: Proposal, job: MatchJob, request: Message
    ) -> tuple[Live, list[psi.Outgoing], tuple[Entry, ...]]:
        """The session as it stands, what a fresh one sends first, and what is booked with that."""
        live = self._states.take(proposal.digest, self._desk.revision(), times.to_text(self._node.clock()))
        if live is not None:
            return live, [], ()
        read = self._entered(proposal, job)
        state = self._states.load(proposal)
        entries: tuple[Entry, ...] = ()
        opening: list[psi.Outgoing] = []
        if state.psi:
            session = self._load(proposal, job, state, read)
        else:
            session, entries = self._create(proposal, job, state, read, request.head.get("commitments"))
            opening = session.start()
        made = Live(job=proposal.digest, revision=read.revision, found=read.found, state=state, session=session)
        return made, opening, entries

    def _book(
        self,
        proposal: Proposal,
        job: MatchJob,
        entries: tuple[Entry, ...],
        session: match_session.Session,
        *,
        leaves: bool,
    ) -> Callable[[Session], None]:
        """The write that books a fresh match towards its partners, noise that `leaves` on the privacy budget, and what
        the session changed in its epoch.
        """
        release = match_budget.release(self._node, proposal.digest, job, leaves=leaves)
        keep_epoch = self._epochs.keeper(proposal, job, session)

        def write(transaction: Session) -> None:
            self.guard.book(transaction, entries)
            release(transaction)
            keep_epoch(transaction)

        return write

    def _decide(self, proposal: Proposal, session: match_session.Session, post: Post) -> Callable[[Session], None]:
        """Of a count that waits for this side's people: pass on what they decided, or what lets them see the number."""
        counts = isinstance(session, psi.CountThenRows) and session.phase == DECISION
        if not counts:
            return lambda _: None
        assert isinstance(session, psi.CountThenRows), "just looked at"
        known = self._node.database.read(lambda reading: match_decisions.of_job(reading, proposal.digest))
        if known is None or known.decision is None:
            count = session.counted()
            assert count is not None, "below the minimum nobody decides"
            return lambda transaction: match_decisions.keep_count(transaction, proposal.digest, count)
        _seal(post, session.agree() if known.decision == match_decisions.AGREE else session.refuse())
        return lambda _: None

    def _finish(
        self, proposal: Proposal, job: MatchJob, live: Live, post: Post, book: Callable[[Session], None]
    ) -> Answer:
        """The last answer, with the signed result; its write deletes the session's secrets."""
        session, me, now = live.session, self._node.settings.partner, self._node.clock()
        finished = match_result.of(session.result(), live.found, match_session.committed(session))
        transcripts = {peer: session.transcript(peer) for peer in job.peers(me)}
        signed = match_result.sign(self._node, job, proposal.digest, finished, transcripts)
        self._read = None

        def write(transaction: Session) -> None:
            sessions.check_open(transaction, proposal.digest)  # first: what follows may end the job itself
            book(transaction)
            self._look(transaction, proposal, job, finished)
            match_result.keep(transaction, proposal.digest, finished, signed, times.to_text(now))
            post.write(transaction)

        head = {**_progress(session), "done": True, "more": False, "result": signed.to_value()}
        return Answer(head=head, body=relay.pack_list(post.sealed), write=write)

    def _look(self, transaction: Session, proposal: Proposal, job: MatchJob, finished: Finished) -> None:
        """Let the guard see how the match ended, and what this side learnt, if it learnt anything."""
        self.guard.ended(transaction, proposal, finished.outcome)
        if self._node.settings.partner in job.entitled:
            share = Share(count=finished.count, below=job.minimum)
            self.guard.after(transaction, proposal.digest, share, self._node.clock())

    def _create(
        self, proposal: Proposal, job: MatchJob, state: State, read: "_Read", commitments: object
    ) -> tuple[match_session.Session, tuple[Entry, ...]]:
        """A fresh session, and what is booked with its first message."""
        me, now = self._node.settings.partner, self._node.clock()
        counts, context = match_commit.read(commitments, proposal, me, state.root)
        same = self._committed[0] is read.found and self._committed[1] == state.root
        self._committed = (None, b"")
        if not same and psi.commitment(read.found.ids, state.salt) != state.root:
            raise IdentifiersChanged
        if job.cached is not None:
            slots = self._epochs.testable(proposal, job, counts, commitments)
        else:
            slots = match_slots.testable(proposal.body, counts, me)
        entries = self._node.database.read(
            lambda session: self.guard.before(session, proposal, read.found, counts, slots, now)
        )
        if job.cached is not None:
            points, ids = counts[job.leader], read.found.ids
            made = self._epochs.create(proposal, job, ids, commitments, points, context, self._executor)
            return made, entries
        agreed = Agreed(counts=counts, context=context)
        return match_session.create(job, me, read.entered, agreed, self._node.entropy, self._executor), entries

    def _load(self, proposal: Proposal, job: MatchJob, state: State, read: "_Read") -> match_session.Session:
        if job.cached is not None:
            return self._epochs.load(proposal, job, state.psi, read.found.ids, self._executor)
        return match_session.load(job, state.psi, read.entered, self._executor)

    def _entered(self, proposal: Proposal, job: MatchJob) -> "_Read":
        """This side's clients, read again only after a restart, or where a consent was changed or has ended."""
        revision, known = self._desk.revision(), self._read
        same = known is not None and (known.job, known.revision) == (proposal.digest, revision)
        if known is not None and same and times.to_text(self._node.clock()) < known.found.until:
            return known
        own = job.party(self._node.settings.partner)
        columns = match_values.columns(job, own.partner)
        grant = self._desk.grant(proposal.digest, asset=own.asset, columns=columns, now=self._node.clock())
        found = self._epochs.entered(proposal, job, self._vault.identifiers(grant, self._node.clock()))
        read = self._vault.texts if job.labels is not None else self._vault.features
        brought = read(grant, found.row_keys, self._node.clock()) if columns else {}
        entered = match_values.entered(job, found.ids, brought)
        self._read = _Read(job=proposal.digest, revision=revision, found=found, entered=entered)
        return self._read

    def _keep_read(self, job: MatchJob, found: Identifiers) -> Identifiers:
        """What was just read for a job, without the clients that its epoch leaves out."""
        assert self._read is not None, "just read"
        if found is not self._read.found:
            self._read = replace(self._read, found=found, entered=match_values.entered(job, found.ids, {}))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read for a job under one state of the consent records."""

    job: str
    revision: int
    found: Identifiers
    entered: Entered


def _seal(post: Post, messages: list[psi.Outgoing]) -> None:
    for item in messages:
        post.seal(item.recipient, item.message)


def _progress(session: match_session.Session) -> Body:
    finished, parts = session.progress
    return {"phase": session.phase, "progress": [finished, parts]}
