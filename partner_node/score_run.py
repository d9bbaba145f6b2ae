"""A run by which single clients may be scored now, as this node has it: its plan, this side's part, and until when."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ecowire.envelopes import Header
from federation.plan import TrainingPlan, read
from federation.plan_models import Scoring
from federation.vertical.part import ModelPart
from federation.vertical.trees.model import TreePart
from partner_node import store, times
from partner_node.errors import NotApproved
from partner_node.labels_errors import LabelMatrixExpired
from partner_node.node import Node
from partner_node.score_errors import ModelPartMissing, RunNotCompleted, ScoringNotInPlan
from partner_node.store import Proposal, Result
from privacy.ids import Digest, PartnerId

COMPLETED = "COMPLETED"
KIND = "score"  # what its envelopes are called
KEPT = 4  # runs in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """A completed run whose plan has `scoring`."""

    proposal: Proposal
    result: Result
    plan: TrainingPlan
    scoring: Scoring
    part: ModelPart | TreePart = field(repr=False)
    until: datetime

    @property
    def job(self) -> str:
        return self.proposal.digest

    @property
    def purpose(self) -> str:
        return str(self.proposal.body["purpose"])


class ScoredRuns:
    """The runs asked for lately: what a run left never changes. `place` writes result files that still wait."""

    def __init__(self, node: Node, place: Callable[[], int]) -> None:
        self._node = node
        self._place = place
        self._known: OrderedDict[str, ScoredRun] = OrderedDict()

    def get(self, name: str) -> ScoredRun:
        """The run of a job's digest, or of its first 8 digits.

        Raises UnknownJob, AmbiguousJob, ScoringNotInPlan, NotApproved, RunNotCompleted, ModelPartMissing,
        ModelPartUnreadable, SessionUnreadable, LabelMatrixExpired once the plan's `valid_days` are over.
        """
        run = self._known.get(name) or self._keep(name, self._find(name))
        if self._node.clock() >= run.until:
            raise LabelMatrixExpired(job=run.job[:16], until=times.to_text(run.until))
        return run

    def _keep(self, name: str, run: ScoredRun) -> ScoredRun:
        self._known[name] = run
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return run

    def _find(self, name: str) -> ScoredRun:
        def all_of(session: Session) -> tuple[Proposal, str, str, Result | None]:
            found = store.proposal(session, name)
            decision, end = store.decision(session, found.digest), store.end(session, found.digest)
            said, state = decision.decision if decision else "", end[0] if end else "OPEN"
            return found, said, state, store.result(session, found.digest)

        proposal, said, state, result = self._node.database.read(all_of)
        short, me = proposal.digest[:16], self._node.settings.partner
        plan = read(proposal.body) if proposal.kind == "train" else None
        if not isinstance(plan, TrainingPlan) or plan.scoring is None:
            raise ScoringNotInPlan(job=short)
        if said != "approve":
            raise NotApproved(who=me, job=short)
        if state != COMPLETED or result is None:
            raise RunNotCompleted(job=short, state=state)
        return ScoredRun(
            proposal=proposal,
            result=result,
            plan=plan,
            scoring=plan.scoring,
            part=self._part(proposal, plan),
            until=times.parse(result.time, "the result's time") + timedelta(days=plan.valid_days),
        )

    def _part(self, proposal: Proposal, plan: TrainingPlan) -> ModelPart | TreePart:
        file = f"model-{proposal.digest[:16]}.bin"
        self._place()
        try:
            data = (self._node.settings.results / file).read_bytes()
        except OSError:
            me = self._node.settings.partner
            raise ModelPartMissing(partner=me, job=proposal.digest[:16], file=file) from None
        return TreePart.decode(data) if plan.trees else ModelPart.decode(data)


def header(ask: Digest, sender: PartnerId, recipient: PartnerId) -> Header:
    """An ask and its answers are envelopes of their own, each the only one of its sender under the ask's name."""
    return Header(job=ask, sender=sender, recipient=recipient, sequence=0)
