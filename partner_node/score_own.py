"""What the label holder itself brings to one client's score, whichever model: what it asks the others, what it adds up.

Of a scorecard its own share is kept with the ask. Of trees it has the client's sides at its own splits, which decide
what is asked of the others; a number that checks them is kept, and they are read again when the answers come.
"""

from collections.abc import Mapping
from dataclasses import replace

from federation.features import Columns
from federation.vertical import single
from federation.vertical.single import Ask
from federation.vertical.trees import single as trees
from federation.vertical.trees.model import TreePart
from partner_node.score_errors import OwnSidesChanged
from partner_node.score_run import ScoredRun


def brought(run: ScoredRun, columns: Columns) -> float:
    """What is kept of the own side: its share in log-odds, or of trees the number that checks its sides.

    columns: the client's, one value each. Raises what the part of the model raises for them.
    """
    if isinstance(run.part, TreePart):
        return float(trees.check_number(trees.own_sides(run.part, columns)))
    return float(run.part.shares(columns, 1)[0])


def asks(run: ScoredRun, ask: Ask, columns: Columns) -> dict[str, Ask]:
    """The ask as each feature holder gets it: alike, but of trees each is asked for splits of its own."""
    if not isinstance(run.part, TreePart):
        return {str(holder): ask for holder in run.plan.holders}
    bitmaps = trees.asked(run.part, trees.own_sides(run.part, columns))
    return {holder: replace(ask, splits=bitmap.hex()) for holder, bitmap in bitmaps.items()}


def total(run: ScoredRun, own: float, answers: Mapping[str, bytes], columns: Columns | None) -> tuple[float, int]:
    """(log-odds, the holders' summed units: 0 of trees). own: as kept; columns: as they are now, needed of trees.

    Raises OwnSidesChanged, StepMalformed, ScoresImplausible.
    """
    if isinstance(run.part, TreePart):
        if columns is None or trees.check_number(sides := trees.own_sides(run.part, columns)) != own:
            raise OwnSidesChanged(job=run.job[:16])
        return trees.score(run.part, sides, answers), 0
    plan = run.plan
    units = single.total(answers, plan.score_step_log2, plan.holders)
    return own + units * 2.0**plan.score_step_log2, units
