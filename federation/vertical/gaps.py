"""The label holder's measure of gaps between groups of held-out clients, where the plan asks for it."""

import numpy as np
from numpy.typing import NDArray

from federation import fairness
from federation.errors import ColumnMissing
from federation.fairness import Attribute
from federation.features import Floats, Table
from federation.plan import TrainingPlan
from federation.vertical import evaluation
from privacy.canonical import Value


def check(plan: TrainingPlan, table: Table) -> None:
    """Before the run rather than after it: raises ColumnMissing where a group's column was not read."""
    for name in plan.groups:
        if name not in table.groups:
            raise ColumnMissing(column=name)


def measure(
    plan: TrainingPlan,
    table: Table,
    test: NDArray[np.bool_],
    held: evaluation.Held,
    score: Floats,
    chance: Floats,
) -> dict[str, Value] | None:
    """What the record says of the full scorecard; None where the plan names no groups.

    test: (all rows,) which are held out; score, chance: (all rows,).
    """
    if plan.fairness is None:
        return None
    rows = fairness.Held(label=held.label, score=score[test], chance=chance[test], weights=held.weights)
    columns = {name: np.asarray(table.groups[name])[test] for name in plan.groups}
    found: tuple[Attribute, ...] = fairness.measure(columns, rows, plan.fairness, held.bootstrap, held.seed)
    return fairness.to_value(found, plan.fairness)
