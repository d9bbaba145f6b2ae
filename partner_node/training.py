"""Joint training at this node: the participant behind the local Flower ClientApp.

Each "flower" request is one round of one run. Round 1 carries everybody's approvals; then the columns are read under a
grant, for the aligned clients whose consent holds now. The session (federation.vertical) is stored with each answer and
stays in memory for the next. Score vectors are booked in a lifetime ledger before any is shown. The label holder's
matrix is a file of this node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation import features
from federation.errors import ScoreBudgetExceeded
from federation.plan import LABEL_HOLDER, TrainingPlan
from federation.vertical import Dump, HolderResult, LabelResult, Table, open_session
from partner_node import (
    approvals,
    contributions,
    explain_basis,
    label_matrix,
    moment_values,
    result_files,
    sessions,
    store,
    times,
    training_state,
)
from partner_node.approvals import Approvals
from partner_node.consent import ConsentDesk, check_column
from partner_node.errors import AlignmentMissing, ProposalInvalid, PurposeNotOffered, StepOutOfPlace
from partner_node.grants import Grant
from partner_node.moment_ledger import Moments
from partner_node.moment_values import Tags
from partner_node.node import Answer, Handlers, Node
from partner_node.relay import Post
from partner_node.result_files import ResultFiles
from partner_node.sessions import Aligned, Spent
from partner_node.store import Proposal, Result
from partner_node.training_state import KIND, Live, States
from partner_node.vault import Vault
from privacy.errors import Failure

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
        self.moments = Moments(node, desk, vault)
        self.states = States(node)
        jobs.endings.append(self.forget)  # another run's session is restored from the database

    def handlers(self) -> Handlers:
        return {"flower": self.answer}

    def review(self, body: Body) -> None:
        """Check a plan before a person approves it.

        Raises PlanInvalid, RoundsBeyondCap, AssetUnknown, PurposeNotOffered, ColumnNotOffered, AlignmentMissing,
        RunsTooAlike, BinsTooAlike, ValuesChanged, RunsTogetherTell, MomentsTellRows, SmallCellsFollow,
        ScoreBudgetExceeded, ResultsNotWritable.
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
        self.moments.changes(plan)
        if (needed := plan.score_vectors(own.partner)) + (spent := self._spent(plan)) > plan.score_budget:
            raise ScoreBudgetExceeded(needed=needed, spent=spent, budget=plan.score_budget)
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
        if proposal.kind != KIND:
            raise ProposalInvalid(why="it is no training plan")
        before = self._before(proposal, round_)
        if not before:
            self.results.check()
        turn = _Turn(self, proposal, before)

        def participant(number: int, _: Body, envelopes: list[bytes]) -> Turn:
            if number != round_:
                raise MalformedMessage(why="the round in the head is another one")
            return turn.take(number, envelopes)

        body = grid.answer(apps.make_client_app(participant), request.body, self._node.settings.partner, request.id)
        return Answer(body=body, write=turn.write, then=turn.then)

    # --- what a turn needs

    def open(self, proposal: Proposal, before: int) -> Live:
        """The session of this run where round `before` left it, fresh before the first."""
        revision = self._desk.revision()
        if (live := self.states.take(proposal.digest, before, revision)) is not None:
            return live
        plan, me = TrainingPlan.from_body(proposal.body), self._node.settings.partner
        inputs = self._read(proposal, plan)
        self.moments.take(plan, inputs.table)
        if not before:
            self.moments.check(plan)  # another run may have begun since the approval
        holder = open_session(plan, me, inputs.table, self._node.entropy, spent_before=self._spent(plan))
        made = Live(plan=plan, round=before, revision=inputs.revision, holder=holder)
        if not before:
            return made
        dump = self.states.load(proposal.digest)
        holder.restore(dump)
        return made.after(before, dump)

    def booking(self, plan: TrainingPlan) -> Spent | None:
        """What this run will disclose of this side's columns; None at the label holder."""
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

    def finish(self, proposal: Proposal, plan: TrainingPlan, outcome: LabelResult | HolderResult) -> _Finished:
        """This side's files and its signed result."""
        now = self._node.clock()
        file = f"model-{proposal.digest[:16]}.bin"
        made = {file: outcome.part.encode()}
        body: Body = {
            "job": proposal.digest,
            "partner": self._node.settings.partner,
            "role": plan.party(self._node.settings.partner).role,
            "record": outcome.record(),
            "consents": self._consents(proposal, plan, now),
            "time": times.to_text(now),
        }
        if isinstance(outcome, LabelResult):
            file = f"label-matrix-{proposal.digest[:16]}.parquet"
            made[file] = self._label_matrix(proposal, plan, outcome, now)
            if (basis := explain_basis.of_run(outcome, self._read(proposal, plan).table.columns)) is not None:
                made[explain_basis.file_name(proposal.digest)] = explain_basis.encode(basis)
            if (receipt := contributions.sign(self._node, plan, outcome, now)) is not None:
                made[contributions.file_name(proposal.digest)] = receipt.encode()
                body["contribution"] = receipt.to_value()
        self.forget()
        signed = documents.sign("train-result", body, self._node.settings.partner, self._node.keys.signing)
        kept = Result(job=proposal.digest, kind=KIND, document=signed, file=file, time=times.to_text(now))
        return _Finished(result=kept, files=made)

    def _consents(self, proposal: Proposal, plan: TrainingPlan, now: datetime) -> Body:
        """On what consents the run rests: part of the model's lineage."""
        keys = [row.row_key for row in self._aligned(plan)]
        return self._desk.snapshot(str(proposal.body["purpose"]), keys, now)

    def _label_matrix(self, proposal: Proposal, plan: TrainingPlan, outcome: LabelResult, now: datetime) -> bytes:
        inputs = self._read(proposal, plan)
        rows = [row.row_key for row in inputs.aligned]
        clients = self._vault.clients(self._grant(plan, self._columns(plan)), rows, now)
        until = times.to_text(now + timedelta(days=plan.valid_days))
        purpose = str(proposal.body["purpose"])
        reasons = explain_basis.reasons(outcome, inputs.table.columns)
        return label_matrix.encode(
            outcome, clients.client_ids, clients.until, reasons=reasons, purpose=purpose, valid_until=until
        )

    def post(self, proposal: Proposal) -> Post:
        return Post(self._node, proposal.digest, proposal.body, KIND)

    def now(self) -> str:
        return times.to_text(self._node.clock())

    def forget(self) -> None:
        """Let go of what was read from the vault."""
        self._inputs = None
        self.states.forget()

    def _before(self, proposal: Proposal, round_: object) -> int:
        """The round answered last; only before round 1 there may be none.

        Raises JobOver, StepOutOfPlace, MalformedMessage.
        """
        if not isinstance(round_, int) or isinstance(round_, bool) or round_ < 1:
            raise MalformedMessage(why="a round number is expected")
        before = self.states.round(proposal.digest)
        if (before == 0) != (round_ == 1) or round_ <= before:
            raise StepOutOfPlace(job=proposal.digest[:16], expected=before + 1, found=round_)
        return before

    def _read(self, proposal: Proposal, plan: TrainingPlan) -> _Inputs:
        revision = self._desk.revision()
        known = self._inputs
        if known is not None and (known.run, known.revision) == (plan.digest, revision):
            return known
        aligned = self._aligned(plan)
        keys, now = [row.row_key for row in aligned], self._node.clock()
        columns = self._vault.features(self._grant(plan, self._numbers(plan)), keys, now)
        holds_label = plan.label_holder == self._node.settings.partner
        texts = self._vault.texts(self._grant(plan, named), keys, now) if (named := self._texts(plan)) else {}
        tokens = tuple(row.token for row in aligned)
        label = self._label(plan, columns, texts, tokens) if holds_label else None
        weights = columns.pop(plan.survey_weights) if holds_label and plan.survey_weights else None
        groups = {name: np.array(texts[name], dtype=np.str_) for name in plan.groups if holds_label}
        table = Table(tokens=tokens, columns=columns, label=label, survey_weights=weights, groups=groups)
        self._inputs = _Inputs(run=plan.digest, revision=revision, aligned=aligned, table=table)
        return self._inputs

    def _grant(self, plan: TrainingPlan, columns: tuple[str, ...]) -> Grant:
        asset = plan.party(self._node.settings.partner).asset
        return self._desk.grant(plan.digest, asset=asset, columns=columns, now=self._node.clock())

    def _columns(self, plan: TrainingPlan) -> tuple[str, ...]:
        """All that this side reads for a run."""
        return (*self._numbers(plan), *self._texts(plan))

    def _texts(self, plan: TrainingPlan) -> tuple[str, ...]:
        """What is read as text: attributes, and a label of which one class is predicted."""
        if plan.label_holder != self._node.settings.partner:
            return ()
        return plan.groups if plan.positive is None else (*plan.groups, plan.label_column)

    def _numbers(self, plan: TrainingPlan) -> tuple[str, ...]:
        own = plan.party(self._node.settings.partner)
        if own.role != LABEL_HOLDER:
            return own.columns
        label = (plan.label_column,) if plan.positive is None else ()
        return (*own.columns, *label, *((plan.survey_weights,) if plan.survey_weights else ()))

    @staticmethod
    def _label(
        plan: TrainingPlan,
        columns: dict[str, np.ndarray[Any, Any]],
        texts: dict[str, list[str]],
        tokens: Sequence[str],
    ) -> np.ndarray[Any, Any]:
        """The label as numbers, taken out of the columns that are features."""
        if plan.positive is None:
            return columns.pop(plan.label_column)
        return features.one_against_the_rest(
            texts[plan.label_column], plan.label_column, plan.positive, plan.parts(tokens), plan.rare_rows
        )

    def _check_alignment(self, plan: TrainingPlan) -> None:
        """Raises ProposalInvalid where a party took no part in the plan's alignment."""
        match = self._node.database.read(lambda session: store.proposal(session, plan.alignment))
        if outside := set(plan.partners) - {item["partner"] for item in approvals.parties(match.body)}:
            raise ProposalInvalid(why=f"{', '.join(sorted(outside))} took no part in the alignment")

    def _spent(self, plan: TrainingPlan) -> int:
        """Score vectors that other runs over any of these columns showed this label holder, or may still show."""
        own = plan.party(self._node.settings.partner)
        return self._node.database.read(
            lambda session: sessions.spent(session, own.asset, own.columns, plan.label_holder, other_than=plan.digest)
        )

    def _aligned(self, plan: TrainingPlan) -> tuple[Aligned, ...]:
        rows = self._node.database.read(lambda session: sessions.alignment(session, plan.alignment))
        if not rows:
            raise AlignmentMissing(job=plan.alignment[:16])
        return tuple(rows)


class _Turn:
    """One round of a run: envelopes in, envelopes out, and the write that keeps what changed."""

    def __init__(self, training: Training, proposal: Proposal, before: int) -> None:
        """before: the round that this side answered last."""
        self._training = training
        self._proposal = proposal
        self._before = before
        self._ended = False  # the run broke, or it never began
        self._shown = None if before else 0  # score vectors that have left; None where only the session knows
        self._told: dict[str, Tags] | None = None  # values that this turn tells of first
        self._round = 0
        self._live: Live | None = None
        self._dump: Dump | None = None
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
        job, now = self._proposal.digest, self._training.now()
        if self._ended:
            sessions.end(session, job, now)
            if (shown := self._disclosed()) is not None:
                sessions.settle(session, job, shown)
            return
        if self._live is None or self._post is None:
            return
        self._post.write(session)
        if not self._before and (booking := self._training.booking(self._live.plan)) is not None:
            sessions.spend(session, booking, now)
        if self._told is not None:
            moment_values.book(session, job, self._told, now)
        if self._finished is not None:
            sessions.check_open(session, job)
            sessions.end(session, job, now)
            if self._shown is not None:
                sessions.settle(session, job, self._shown)
            store.keep_result(session, self._finished.result)
            result_files.keep(session, job, self._finished.files)
        elif self._dump is not None:
            training_state.save(session, job, self._round, self._dump, now)

    def _disclosed(self) -> int | None:
        """Score vectors that have left; None where the session that knew can't be opened: then the booking stands."""
        if self._shown is None and not TrainingPlan.from_body(self._proposal.body).shows_early:
            return 0
        return self._shown

    def then(self) -> None:
        """What became true with the commit: this side's people have their files, the next round finds the session."""
        if self._finished is not None:
            self._training.results.place()
        elif self._live is not None and self._dump is not None:
            self._training.states.put(self._live.after(self._round, self._dump))

    def _advance(self, envelopes: list[bytes]) -> Turn:
        live = self._training.open(self._proposal, self._before)
        holder, post = live.holder, self._training.post(self._proposal)
        self._shown, told = holder.shown if self._before else 0, holder.told
        if not self._before:
            for item in holder.start():
                post.seal(item.recipient, item.message)
        for envelope in envelopes:
            sender, plain = post.open(envelope)
            for item in holder.receive(sender, plain):
                post.seal(item.recipient, item.message)
        if holder.told and not told:
            self._told = self._training.moments.check(live.plan)  # another run may have told since this one began
        signed: Signed | None = None
        if holder.done:
            self._finished = self._training.finish(self._proposal, live.plan, holder.result())
            self._shown = holder.shown
            signed = self._finished.result.document
        else:
            self._dump = holder.dump(live.stored)
        self._live, self._post = live, post
        return post.sealed, holder.done, holder.phase, signed.to_value() if signed else None
