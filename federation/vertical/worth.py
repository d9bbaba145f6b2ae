"""What columns are worth to the label holder, by the moments it has: each holder's contribution, and importance."""

from collections.abc import Callable, Sequence

from federation import contribution, explain
from federation.contribution import Contribution
from federation.explain import Importance
from federation.features import Floats
from federation.models import moments
from federation.models.moments import Moments, Solution
from federation.plan import HELD, TrainingPlan

MomentsOf = Callable[[str], Moments]  # of a part of the rows, by its name


def contribution_of(plan: TrainingPlan, moments_of: MomentsOf, ridge: float) -> Contribution | None:
    """Of the scorecard solved from moments with this penalty; None where the plan does not ask for it."""
    if not plan.contribution:
        return None
    folds = [moments_of(part) for part in plan.train_parts]
    parts = contribution.measure(folds, moments_of(HELD), plan.label_holder, plan.holders, ridge)
    return Contribution(
        label_holder=plan.label_holder, holders=plan.holders, parts=parts, key=bytes.fromhex(plan.digest)
    )


def importance_of(plan: TrainingPlan, moments_of: MomentsOf, names: Sequence[str], weights: Floats) -> Importance:
    """Of the scorecard with all parties. names: of the label holder's own columns; weights: (all columns,)."""
    joint = moments.together([moments_of(part) for part in plan.train_parts])
    solution = Solution(weights=weights, intercept=0.0, lift=0.0)
    return explain.importance(joint, solution, names, plan.label_holder)
