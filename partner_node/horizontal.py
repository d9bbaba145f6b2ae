"""Horizontal runs at this node: the participant that the installed Flower ClientApp stands on.

A run begins here with the first request that carries everybody's approvals. Its rows are those of every client of the
plan's asset who consents now, read again whenever a consent changes or ends. The rules of the aggregation are the
member's (federation.horizontal.member); what it keeps between requests is committed with each reply, and so is the
booking of a noisy upload on the asset's privacy budget. A request that fails ends nothing: the run goes on without it.
"""

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body
from ecowire.stream import Message
from federation.errors import FlowerContentMalformed
from federation.horizontal import keys, terms
from federation.horizontal.results import PartnerResult
from federation.horizontal.trainer import Task, Trainer
from federation.plan_horizontal import CATEGORY, HorizontalPlan
from federation.tabular import Rows
from partner_node import budget, result_files, score_file, sessions, store, times
from partner_node.approvals import Approvals, check_time
from partner_node.budget import Booking
from partner_node.consent import ConsentDesk, check_column
from partner_node.errors import ProposalInvalid, PurposeNotOffered
from partner_node.grants import Grant
from partner_node.horizontal_errors import (
    BudgetNeedsNoise,
    BudgetNotSet,
    NotToldWithNoise,
    RoundNotInPlan,
    ScalingGivenBefore,
)
from partner_node.horizontal_rules import SCALING, PlanMember
from partner_node.identity import NodeIdentity
from partner_node.node import Answer, Node
from partner_node.result_files import ResultFiles
from partner_node.round_keys import RoundKeys, overview
from partner_node.sessions import JobSession
from partner_node.settings import Asset
from partner_node.store import Proposal, Result
from partner_node.vault import Vault
from privacy import canonical
from privacy.aggregation import Engine, Slot
from privacy.errors import Failure

log = logging.getLogger(__name__)

# a node whose own training failed still knows the input, and may help to open; what the plan has not is not noted
FAILED_KEEPS = ("given/", "round/", keys.LATEST, SCALING)
NOT_NOTED = (RoundNotInPlan, ScalingGivenBefore, FlowerContentMalformed)
TOLD = "told/finish"  # name of what was told in clear at the end, which is told again and never anew


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read for a run under one state of the consent records."""

    run: str
    revision: int
    until: str  # when the first consent among them ends
    rows: Rows
    trainer: Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """What the end of a run leaves at this node: the signed result, and files that become true with it."""

    result: Result
    files: dict[str, bytes] = field(repr=False)  # by their names in the results folder


class Horizontal:
    """The horizontal runs of one node."""

    def __init__(self, node: Node, jobs: Approvals, desk: ConsentDesk, vault: Vault, results: ResultFiles) -> None:
        self._node = node
        self._jobs = jobs
        self._desk = desk
        self._vault = vault
        self._results = results
        self._proposal: Proposal | None = None
        self._run: tuple[HorizontalPlan, Engine] | None = None
        self._known: _Read | None = None

    def review(self, body: Body) -> None:
        """Check a plan before a person approves it: what it wants is offered, and the budget is enough for all rounds.

        Raises PlanInvalid, LocalNoiseRequired, AssetUnknown, PurposeNotOffered, ColumnNotOffered, BudgetNotSet,
        BudgetNeedsNoise, BudgetExhausted, NoiseDoesNotFit, ResultsNotWritable, and the failure of an engine or
        accountant that is not installed.
        """
        plan = HorizontalPlan.from_body(body)
        asset = self._asset(plan)
        if plan.party(self._node.settings.partner).id_column != asset.id_column:
            raise ProposalInvalid(why=f"the ids of {asset.name} are in {asset.id_column}")
        if body["purpose"] not in asset.purposes:
            raise PurposeNotOffered(asset=asset.name, purpose=str(body["purpose"]))
        columns = _columns(plan)
        for column in columns:
            check_column(asset, column, set(columns))
        terms.update_terms(plan, plan.new_engine().value_bits)
        self._check_budget(plan, asset)
        self._results.check()

    def answer(self, request: Message) -> Answer:
        """One request of a run: bytes of a Flower message in, bytes of its reply out.

        An expected failure of the participant travels as a Flower error reply, so that the hub's ServerApp sees whose
        it was. Raises UnknownJob, NotApproved, JobExpired, JobOver, MalformedMessage, FlowerContentMalformed.
        """
        run = request.head.get("run")
        proposal = self._approved(run)
        job = proposal.digest
        kept, known = self._node.database.read(lambda s: (sessions.load(s, job), overview(s, job)))
        if kept is None:
            self._jobs.require_all(run, request.head.get("approvals"))
            self._results.check()
        turn = _Turn(
            self, self._node, proposal, RoundKeys(self._node.database, job, known), kept.step if kept else None
        )
        return Answer(body=turn.run(request), write=turn.write, then=turn.then)

    # --- what a turn needs

    def under_way(self, proposal: Proposal) -> tuple[HorizontalPlan, Engine]:
        """The plan and its engine, whose tables are made once a run."""
        if self._run is None or self._run[0].digest != proposal.digest:
            plan = HorizontalPlan.from_body(proposal.body)
            self._run = (plan, plan.new_engine())
        return self._run

    def trainer(self, proposal: Proposal, plan: HorizontalPlan) -> Trainer:
        """Over the rows of every client who consents now. Raises what the desk, the vault and Trainer raise."""
        return self._read(proposal, plan).trainer

    def booking(self, plan: HorizontalPlan, slot: Slot) -> Booking | None:
        """What an upload in this slot will be booked as; None where no noise speaks of train rows.

        Raises BudgetExhausted where it would overspend, BudgetNotSet and BudgetNeedsNoise as the settings are now.
        """
        if plan.privacy is not None and not 1 <= slot.round <= plan.training.rounds:
            return None
        asset = self._asset(plan)
        self._check_budget(plan, asset, rounds=1)
        return None if plan.privacy is None else self.release(plan, slot)

    def release(self, plan: HorizontalPlan, slot: Slot) -> Booking:
        """What telling of rows in this slot is booked as, with privacy."""
        assert plan.privacy is not None
        return Booking(slot=slot, asset=self._asset(plan).name, multiplier_milli=plan.privacy.noise_multiplier_milli)

    def finish(self, proposal: Proposal, plan: HorizontalPlan, result: PartnerResult) -> _Finished:
        """This side's model, all its figures and the scores of its own clients; what is told of them, signed."""
        now, short = self._node.clock(), proposal.digest[:16]
        read = self._read(proposal, plan)
        clients = self._vault.clients(self._grant(proposal, plan), read.rows.keys, now)
        scores = score_file.encode(
            result,
            read.rows,
            clients.client_ids,
            clients.until,
            purpose=str(proposal.body["purpose"]),
            valid_until=times.to_text(now + timedelta(days=plan.valid_days)),
        )
        file = f"scores-{short}.parquet"
        made = {
            f"model-{short}.bin": result.model.encode(),
            f"figures-{short}.json": canonical.encode(result.own_record()),
            file: scores,
        }
        if result.personal_model is not None:
            made[f"personal-{short}.bin"] = result.personal_model.encode()
        body: Body = {
            "job": proposal.digest,
            "partner": self._node.settings.partner,
            "role": "trainer",
            "record": result.record(),
            "time": times.to_text(now),
        }
        signed = documents.sign("train-result", body, self._node.settings.partner, self._node.keys.signing)
        kept = Result(job=proposal.digest, kind="train", document=signed, file=file, time=times.to_text(now))
        return _Finished(result=kept, files=made)

    def place(self) -> None:
        """Write what is kept for the results folder."""
        self._results.place()

    def _approved(self, run: object) -> Proposal:
        """The approved proposal; read once a run, since neither a body nor an answer to it ever changes."""
        if self._proposal is None or self._proposal.digest != run:
            self._proposal = self._jobs.require_own(run)
        check_time(self._proposal, self._node.clock())
        return self._proposal

    def _check_budget(self, plan: HorizontalPlan, asset: Asset, rounds: int | None = None) -> None:
        if plan.privacy is None:
            if asset.privacy_budget is not None:
                raise BudgetNeedsNoise(asset=asset.name)
            return
        if asset.privacy_budget is None:
            raise BudgetNotSet(asset=asset.name)
        multiplier, count = plan.privacy.noise_multiplier_milli, rounds or plan.training.rounds
        self._node.database.read(lambda session: budget.check(session, asset, multiplier, count))

    def _read(self, proposal: Proposal, plan: HorizontalPlan) -> _Read:
        revision, now = self._desk.revision(), self._node.clock()
        known = self._known
        current = known is not None and (known.run, known.revision) == (plan.digest, revision)
        if known is not None and current and times.to_text(now) < known.until:
            return known
        self._known = None
        texts = {plan.label_column, *(column.name for column in plan.columns if column.kind == CATEGORY)}
        found = self._vault.rows(self._grant(proposal, plan), texts, now)
        columns = {name: values for name, values in found.columns.items() if name != plan.label_column}
        rows = Rows(keys=found.row_keys, columns=columns, label=found.columns[plan.label_column])
        trainer = Trainer(plan, self._node.settings.partner, rows)
        self._known = _Read(run=plan.digest, revision=revision, until=found.until, rows=rows, trainer=trainer)
        return self._known

    def _grant(self, proposal: Proposal, plan: HorizontalPlan) -> Grant:
        asset, columns = self._asset(plan).name, _columns(plan)
        return self._desk.grant(proposal.digest, asset=asset, columns=columns, now=self._node.clock())

    def _asset(self, plan: HorizontalPlan) -> Asset:
        return self._node.settings.asset(plan.party(self._node.settings.partner).asset)


def _columns(plan: HorizontalPlan) -> tuple[str, ...]:
    """The columns that a plan reads of each party's asset, the label last."""
    return (*(column.name for column in plan.columns), plan.label_column)


class _Turn:
    """One request of a run: the reply's bytes, and the write that keeps what changed."""

    def __init__(
        self, runs: Horizontal, node: Node, proposal: Proposal, round_keys: RoundKeys, step: int | None
    ) -> None:
        self._runs = runs
        self._node = node
        self._proposal = proposal
        self._plan, engine = runs.under_way(proposal)
        self._keys, self._step = round_keys, step
        identity = NodeIdentity(node, proposal.body)
        self._member = PlanMember(self._plan, engine, identity, self._keys, node.entropy)
        self._slot: Slot | None = None  # where rows were read for it
        self._booked: Booking | None = None
        self._finished: _Finished | None = None
        self._round = 0

    def run(self, request: Message) -> bytes:
        """The reply's bytes. After a failure only what the member noted of its input is kept."""
        # Flower takes seconds to import: a node that only matches and settles never needs it
        from federation import grid
        from federation.horizontal import client

        app = client.make_client_app(self._plan, self._trainer, self._member, self._node.entropy, self._finish)
        round_ = request.head.get("round")
        self._round = round_ if isinstance(round_, int) else 0

        def watched(message: Any, context: Any) -> Any:
            try:
                return app(message, context)
            except Exception as failure:  # whether a defect shows depends on rows as much as whether a failure does
                raise self._failed(failure) from None

        return grid.answer(cast("Any", watched), request.body, self._node.settings.partner, request.id)

    def write(self, session: Session) -> None:
        """Keep what this request changed, in the transaction that stores its reply."""
        now = times.to_text(self._node.clock())
        self._keys.flush(session)
        if self._booked is not None:
            budget.book(session, self._booked, now)
        if self._finished is not None:
            store.keep_result(session, self._finished.result)
            result_files.keep(session, self._proposal.digest, self._finished.files)
        if self._round != self._step:
            state = JobSession(job=self._proposal.digest, kind="train", step=self._round, state=b"")
            sessions.save(session, state, now)

    def then(self) -> None:
        """What became true with the commit, for this side's people."""
        if self._finished is not None:
            self._runs.place()

    def _failed(self, failure: Exception) -> Exception:
        """What is told of a failure, and what is kept after it: of noisy training no reason, but what it cost."""
        self._booked, self._finished = None, None
        self._keys.keep_only(() if isinstance(failure, NOT_NOTED) else FAILED_KEEPS)
        if self._slot is None or self._plan.privacy is None:
            return failure
        defect = not isinstance(failure, Failure)
        log.warning("round %s of %s: %s", self._slot.round, self._plan.digest[:16], failure, exc_info=defect)
        self._member.close(self._slot)
        self._booked = self._runs.release(self._plan, self._slot)
        return NotToldWithNoise(round=self._slot.round, job=self._plan.digest[:16])

    def _trainer(self, task: Task) -> Trainer:
        """Before any row is read: the plan has this, and the budget is there for it."""
        slot = self._member.check_task(task)
        self._booked = self._runs.booking(self._plan, slot)
        self._slot = slot
        return self._runs.trainer(self._proposal, self._plan)

    def _finish(self, result: PartnerResult) -> canonical.Value:
        known = self._keys.get(TOLD)
        if known is not None:
            return canonical.decode(known)
        self._finished = self._runs.finish(self._proposal, self._plan, result)
        told = self._finished.result.document.to_value()
        self._keys[TOLD] = canonical.encode(told)
        return told
