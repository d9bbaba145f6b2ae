"""What a run with trees leaves beside what every vertical run leaves."""

from collections.abc import Mapping, Sequence

from federation.plan import TrainingPlan
from federation.vertical.results import Disclosed, columns_digest

STEP_LOG2 = 0  # of what is shown: a bit a level and client, left or right


def disclosed(
    plan: TrainingPlan, holder: str, names: Sequence[str], routed: Mapping[int, int]
) -> tuple[Disclosed, ...]:
    """One entry a tree in which this holder said where clients go. routed: rows of all its nodes, by tree."""
    digest = columns_digest(holder, plan.party(holder).asset, names)
    return tuple(
        Disclosed(
            holder=holder,
            columns_digest=digest,
            rows=rows,
            step_log2=STEP_LOG2,
            variant=plan.holders,
            masked=False,
            round=tree + 1,
        )
        for tree, rows in sorted(routed.items())
    )
