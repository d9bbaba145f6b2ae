"""What a run with trees leaves beside what every vertical run leaves."""

from collections.abc import Mapping, Sequence

from federation.plan import TrainingPlan
from federation.vertical.results import Disclosed, columns_digest

STEP_LOG2 = 0  # of what is shown: a bit a level and client, left or right


def disclosed(
    plan: TrainingPlan, holder: str, names: Sequence[str], routed: Mapping[int, int]
) -> tuple[Disclosed, ...]:
    """One entry a tree in which this holder said where clients go. routed: rows of all its nodes, by tree, numbered
    through all ensembles in the order they are grown in.
    """
    assert plan.trees is not None, "the plan's model is trees"
    count, grown = plan.trees.trees, plan.variants()[:0:-1]
    digest = columns_digest(holder, plan.party(holder).asset, names)
    return tuple(
        Disclosed(
            holder=holder,
            columns_digest=digest,
            rows=rows,
            step_log2=STEP_LOG2,
            variant=grown[tree // count],
            masked=False,
            round=tree % count + 1,
        )
        for tree, rows in sorted(routed.items())
    )
