"""What columns are worth to the label holder, by moments or scores it has: each holder's contribution, importance."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from federation import contribution, explain
from federation.contribution import Contribution
from federation.explain import Importance
from federation.features import Floats
from federation.models import moments
from federation.models.moments import Moments, Solution
from federation.plan import HELD, TrainingPlan
from federation.plan_variants import Coalition, coalitions

MomentsOf = Callable[[str], Moments]  # of a part of the rows, by its name


def contribution_of(plan: TrainingPlan, moments_of: MomentsOf, ridge: float) -> Contribution | None:
    """Of the scorecard solved from moments with this penalty; None where the plan does not ask for it."""
    if not plan.held_moments:
        return None
    folds = [moments_of(part) for part in plan.train_parts]
    parts = contribution.measure(folds, moments_of(HELD), plan.label_holder, plan.holders, ridge)
    return Contribution(
        label_holder=plan.label_holder, holders=plan.holders, parts=parts, key=bytes.fromhex(plan.digest)
    )


def contribution_by_scores(
    plan: TrainingPlan, label: NDArray[np.bool_], chances: Mapping[Coalition, Floats]
) -> Contribution | None:
    """Of models that every coalition has; None where the plan does not ask for it.

    label: (test rows,); chances: calibrated, of the same rows, by variant.
    """
    if not plan.by_scores:
        return None
    made = contribution.of_scores(label, {one: chances[one] for one in coalitions(plan.holders)})
    return Contribution(
        label_holder=plan.label_holder,
        holders=plan.holders,
        parts=(made,),
        key=bytes.fromhex(plan.digest),
        method=contribution.BY_SCORES,
    )


def importance_of(plan: TrainingPlan, moments_of: MomentsOf, names: Sequence[str], weights: Floats) -> Importance:
    """Of the scorecard with all parties. names: of the label holder's own columns; weights: (all columns,)."""
    joint = moments.together([moments_of(part) for part in plan.train_parts])
    solution = Solution(weights=weights, intercept=0.0, lift=0.0)
    return explain.importance(joint, solution, names, plan.label_holder)
