"""What the approved plan allows in each round, held at this node: the hub leads the run, it does not extend it.

People approve a number of rounds. So a node computes on at most one set of weights in each of them, trains in rounds
1 to R alone, gives statistics in round 0 and figures in round R + 1. Whatever slot a hub names, it gets no more.
"""

from collections.abc import Callable
from dataclasses import dataclass

from federation.horizontal.member import Member
from federation.horizontal.results import PartnerResult
from federation.horizontal.trainer import Fitted, Trainer
from federation.horizontal.wire import Input, Upload
from federation.models.network import Parameters
from federation.plan_horizontal import HorizontalPlan
from federation.tabular import Scaling
from partner_node.horizontal_errors import RoundGivenBefore, RoundNotInPlan
from privacy.aggregation import Lanes, Slot

TRAINING, STATISTICS, FIGURES = "training", "statistics", "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was computed on rows, for which round."""

    kind: str  # TRAINING, STATISTICS or FIGURES
    round: int


def _ignore(_: Work) -> None:
    """For a trainer that nobody watches."""


class PlanTrainer(Trainer):
    """A trainer that says what it computed last."""

    on_work: Callable[[Work], None] = staticmethod(_ignore)

    def statistics(self) -> Lanes:
        made = super().statistics()
        self.on_work(Work(kind=STATISTICS, round=0))
        return made

    def fit(self, round_: int, parameters: Parameters, scaling: Scaling) -> Fitted:
        made = super().fit(round_, parameters, scaling)
        self.on_work(Work(kind=TRAINING, round=round_))
        return made

    def finish(self, parameters: Parameters, scaling: Scaling, rounds: int) -> tuple[PartnerResult, Lanes]:
        made = super().finish(parameters, scaling, rounds)
        self.on_work(Work(kind=FIGURES, round=self._plan.finish_round))
        return made


class PlanMember(Member):
    """A member that takes one set of weights a round, and asks `guard` before each upload."""

    guard: Callable[[Slot], None]

    def take(self, slot: Slot, given: Input) -> None:
        """Raises RoundGivenBefore, and what Member.take raises."""
        name, body = f"round/{slot.round}", given.body.encode()
        known = self._store.get(name)
        if known is not None and known != body:
            raise RoundGivenBefore(job=self.job[:16], round=slot.round)
        super().take(slot, given)
        if known is None:
            self._store[name] = body

    def upload(self, slot: Slot, lanes: Lanes) -> Upload:
        """Raises what the guard raises; then nothing was spent."""
        self.guard(slot)
        return super().upload(slot, lanes)


def check_work(plan: HorizontalPlan, slot: Slot, work: Work | None) -> None:
    """Raises RoundNotInPlan unless this work, just done on rows, belongs to the slot's round by the plan."""
    due = {
        TRAINING: range(1, plan.training.rounds + 1),
        STATISTICS: range(1) if plan.standardise else range(0),
        FIGURES: range(plan.finish_round, plan.finish_round + 1),
    }
    if work is None or work.round != slot.round or slot.round not in due[work.kind]:
        raise RoundNotInPlan(job=plan.digest[:16], work=work.kind if work else "work", round=slot.round)
