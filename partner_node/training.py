"""Joint training at this node: the participant behind the local Flower ClientApp.

Each "flower" request is one round of one run. Round 1 carries everybody's approvals; then the columns are read under a
grant, for the aligned clients whose consent holds now. The session (federation.vertical) is stored with each answer and
restored for the next. Score vectors are booked in a lifetime ledger before any is shown. The label holder's matrix is a
file of this node.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation.plan import LABEL_HOLDER, TrainingPlan
from federation.vertical import FeatureHolder, HolderResult, LabelHolder, LabelResult, Table, open_session
from partner_node import approvals, differencing, label_matrix, result_files, sessions, store, times
from partner_node.approvals import Approvals
from partner_node.consent import ConsentDesk, check_column
from partner_node.errors import AlignmentMissing, ProposalInvalid, PurposeNotOffered, StepOutOfPlace
from partner_node.grants import Grant
from partner_node.node import Answer, Handlers, Node
from partner_node.relay import Post
from partner_node.result_files import ResultFiles
from partner_node.sessions import Aligned, JobSession, Spent
from partner_node.store import Proposal, Result
from partner_node.vault import Vault
from privacy.errors import Failure

Holder: TypeAlias = LabelHolder | FeatureHolder
Turn: TypeAlias = tuple[list[bytes], bool, str, Body | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What this side brings to a run, read once for each run and state of the consent records."""

    run: str
    revision: int
    aligned: tuple[Aligned, ...]
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """What the end of a run leaves at this node: the signed result, and files that become true with it."""

    result: Result
    files: dict[str, bytes] = field(repr=False)  # by their names in the results folder


class Training:
    """The training runs of one node."""

    def __init__(self, node: Node, jobs: Approvals, desk: ConsentDesk, vault: Vault, results: ResultFiles) -> None:
        self._node = node
        self._jobs = jobs
        self._desk = desk
        self._vault = vault
        self.results = results
        self._inputs: _Inputs | None = None

    def handlers(self) -> Handlers:
        return {"flower": self.answer}

    def review(self, body: Body) -> None:
        """Check a plan before a person approves it.

        Raises PlanInvalid, AssetUnknown, PurposeNotOffered, ColumnNotOffered, AlignmentMissing, RunsTooAlike,
        ResultsNotWritable.
        """
        plan = TrainingPlan.from_body(body)
        own = plan.party(self._node.settings.partner)
        asset = self._node.settings.asset(own.asset)
        if own.id_column != asset.id_column:
            raise ProposalInvalid(why=f"the ids of {asset.name} are in {asset.id_column}")
        if body["purpose"] not in asset.purposes:
            raise PurposeNotOffered(asset=asset.name, purpose=str(body["purpose"]))
        columns = self._columns(plan)
        for column in columns:
            check_column(asset, column, set(columns))
        self._aligned(plan)
        self._check_alignment(plan)
        self._check_difference(plan)
        self.results.check()

    def answer(self, request: Message) -> Answer:
        """One round: bytes of a Flower message in, bytes of its reply out.

        A failure ends the run here and travels as a Flower error reply, so that the hub's ServerApp sees whose it was.
        Raises UnknownJob, NotApproved, JobExpired, JobOver, StepOutOfPlace, and in round 1 ResultsNotWritable, without
        ending the run.
        """
        # Flower takes seconds to import: a node that only matches and settles never needs it
        from federation import apps, grid

        run, round_ = request.head.get("run"), request.head.get("round")
        approved = request.head.get("approvals")
        proposal = self._jobs.require_all(run, approved) if round_ == 1 else self._jobs.require_own(run)
        if proposal.kind != "train":
            raise ProposalInvalid(why="it is no training plan")
        kept = self._place(proposal, round_)
        if kept is None:
            self.results.check()
        turn = _Turn(self, proposal, kept)

        def participant(number: int, _: Body, envelopes: list[bytes]) -> Turn:
            if number != round_:
                raise MalformedMessage(why="the round in the head is another one")
            return turn.take(number, envelopes)

        body = grid.answer(apps.make_client_app(participant), request.body, self._node.settings.partner, request.id)
        return Answer(body=body, write=turn.write, then=turn.then)

    # --- what a turn needs

    def open(self, proposal: Proposal, kept: JobSession | None) -> Holder:
        """The session of this run, fresh or where the last answer left it."""
        plan = TrainingPlan.from_body(proposal.body)
        me = self._node.settings.partner
        if kept is None:
            self._check_difference(plan)  # another run may have begun since the approval
        inputs = self._read(proposal, plan)
        before = self._node.database.read(
            lambda session: sessions.spent(
                session, plan.party(me).asset, plan.party(me).columns, plan.label_holder, other_than=plan.digest
            )
        )
        holder = open_session(plan, me, inputs.table, self._node.entropy, spent_before=before)
        return holder if kept is None else holder.restore(kept.state)

    def booking(self, proposal: Proposal) -> Spent | None:
        """What this run will disclose of this side's columns; None at the label holder."""
        plan = TrainingPlan.from_body(proposal.body)
        own = plan.party(self._node.settings.partner)
        if own.role == LABEL_HOLDER:
            return None
        return Spent(
            run=plan.digest,
            asset=own.asset,
            columns=frozenset(own.columns),
            label_holder=plan.label_holder,
            count=plan.score_vectors(own.partner),
        )

    def finish(self, proposal: Proposal, outcome: LabelResult | HolderResult) -> _Finished:
        """This side's files and its signed result."""
        now = self._node.clock()
        plan = TrainingPlan.from_body(proposal.body)
        short = proposal.digest[:16]
        file = f"model-{short}.bin"
        made = {file: outcome.part.encode()}
        if isinstance(outcome, LabelResult):
            file = f"label-matrix-{short}.parquet"
            inputs = self._read(proposal, plan)
            clients = self._vault.clients(self._grant(plan), [row.row_key for row in inputs.aligned], now)
            until = times.to_text(now + timedelta(days=plan.valid_days))
            purpose = str(proposal.body["purpose"])
            made[file] = label_matrix.encode(
                outcome, clients.client_ids, clients.until, purpose=purpose, valid_until=until
            )
        self.forget()
        body: Body = {
            "job": proposal.digest,
            "partner": self._node.settings.partner,
            "role": plan.party(self._node.settings.partner).role,
            "record": outcome.record(),
            "time": times.to_text(now),
        }
        signed = documents.sign("train-result", body, self._node.settings.partner, self._node.keys.signing)
        kept = Result(job=proposal.digest, kind="train", document=signed, file=file, time=times.to_text(now))
        return _Finished(result=kept, files=made)

    def post(self, proposal: Proposal) -> Post:
        return Post(self._node, proposal.digest, proposal.body, "train")

    def now(self) -> str:
        return times.to_text(self._node.clock())

    def forget(self) -> None:
        """Let go of what was read from the vault."""
        self._inputs = None

    def _place(self, proposal: Proposal, round_: object) -> JobSession | None:
        """The stored session; only round 1 may find none. Raises JobOver, StepOutOfPlace, MalformedMessage."""
        if not isinstance(round_, int) or isinstance(round_, bool) or round_ < 1:
            raise MalformedMessage(why="a round number is expected")
        kept = self._node.database.read(lambda session: sessions.load(session, proposal.digest))
        expected = kept.step + 1 if kept else 1
        if (kept is None) != (round_ == 1) or round_ < expected:
            raise StepOutOfPlace(job=proposal.digest[:16], expected=expected, found=round_)
        return kept

    def _read(self, proposal: Proposal, plan: TrainingPlan) -> _Inputs:
        revision = self._desk.revision()
        known = self._inputs
        if known is not None and (known.run, known.revision) == (plan.digest, revision):
            return known
        aligned = self._aligned(plan)
        columns = self._vault.features(self._grant(plan), [row.row_key for row in aligned], self._node.clock())
        holds_label = plan.label_holder == self._node.settings.partner
        label = columns.pop(plan.label_column) if holds_label else None
        weights = columns.pop(plan.survey_weights) if holds_label and plan.survey_weights else None
        groups = {name: columns.pop(name) for name in plan.groups} if holds_label else {}
        tokens = tuple(row.token for row in aligned)
        table = Table(tokens=tokens, columns=columns, label=label, survey_weights=weights, groups=groups)
        self._inputs = _Inputs(run=plan.digest, revision=revision, aligned=aligned, table=table)
        return self._inputs

    def _grant(self, plan: TrainingPlan) -> Grant:
        asset = plan.party(self._node.settings.partner).asset
        return self._desk.grant(plan.digest, asset=asset, columns=self._columns(plan), now=self._node.clock())

    def _columns(self, plan: TrainingPlan) -> tuple[str, ...]:
        own = plan.party(self._node.settings.partner)
        if own.role != LABEL_HOLDER:
            return own.columns
        beside = (plan.label_column, plan.survey_weights) if plan.survey_weights else (plan.label_column,)
        return (*own.columns, *beside, *plan.groups)

    def _check_alignment(self, plan: TrainingPlan) -> None:
        """Raises ProposalInvalid where a party took no part in the plan's alignment."""
        match = self._node.database.read(lambda session: store.proposal(session, plan.alignment))
        if outside := set(plan.partners) - {item["partner"] for item in approvals.parties(match.body)}:
            raise ProposalInvalid(why=f"{', '.join(sorted(outside))} took no part in the alignment")

    def _check_difference(self, plan: TrainingPlan) -> None:
        self._node.database.read(lambda session: differencing.check(session, plan, self._node.settings.partner))

    def _aligned(self, plan: TrainingPlan) -> tuple[Aligned, ...]:
        rows = self._node.database.read(lambda session: sessions.alignment(session, plan.alignment))
        if not rows:
            raise AlignmentMissing(job=plan.alignment[:16])
        return tuple(rows)


class _Turn:
    """One round of a run: envelopes in, envelopes out, and the write that keeps what changed."""

    def __init__(self, training: Training, proposal: Proposal, kept: JobSession | None) -> None:
        self._training = training
        self._proposal = proposal
        self._kept = kept
        self._ended = False  # the run broke, or it never began
        self._round = 0
        self._holder: Holder | None = None
        self._post: Post | None = None
        self._finished: _Finished | None = None

    def take(self, round_: int, envelopes: list[bytes]) -> Turn:
        """Advance the session. After a Failure `write` deletes the run's state with its secrets."""
        self._round = round_
        try:
            return self._advance(envelopes)
        except Failure:
            self._ended = True
            self._training.forget()
            raise

    def write(self, session: Session) -> None:
        """Keep what this turn changed. A request that never reached the participant changes nothing."""
        job = self._proposal.digest
        if self._ended:
            sessions.end(session, job, self._training.now())
            sessions.release(session, job)  # scores leave with the last answer only, and then nothing has failed
            return
        if self._holder is None or self._post is None:
            return
        self._post.write(session)
        if (booking := self._training.booking(self._proposal)) is not None:
            sessions.spend(session, booking, self._training.now())
        if self._finished is not None:
            sessions.end(session, job, self._training.now())
            store.keep_result(session, self._finished.result)
            result_files.keep(session, job, self._finished.files)
            return
        state = JobSession(job=job, kind="train", step=self._round, state=self._holder.dump())
        sessions.save(session, state, self._training.now())

    def then(self) -> None:
        """What became true with the commit, for this side's people."""
        if self._finished is not None:
            self._training.results.place()

    def _advance(self, envelopes: list[bytes]) -> Turn:
        holder = self._training.open(self._proposal, self._kept)
        post = self._training.post(self._proposal)
        if self._kept is None:
            for item in holder.start():
                post.seal(item.recipient, item.message)
        for envelope in envelopes:
            sender, plain = post.open(envelope)
            for item in holder.receive(sender, plain):
                post.seal(item.recipient, item.message)
        signed: Signed | None = None
        if holder.done:
            self._finished = self._training.finish(self._proposal, holder.result())
            signed = self._finished.result.document
        self._holder, self._post = holder, post
        return post.sealed, holder.done, holder.phase, signed.to_value() if signed else None
