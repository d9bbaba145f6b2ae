"""What the label holder itself brings to one client's score, whichever model: what it asks the others, what it adds up.

Of a scorecard its own share is kept with the ask. Of trees it has the client's sides at its own splits, which decide
what is asked of the others; a number that checks them is kept, and they are read again when the answers come.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import floor

from federation.features import Columns
from federation.vertical import single
from federation.vertical.single import Ask
from federation.vertical.trees import single as trees
from federation.vertical.trees.model import TreePart
from federation.vertical.trees.paths import Ways
from partner_node import explain_basis
from partner_node.explain_basis import Basis
from partner_node.explain_errors import ExplanationUnreadable
from partner_node.score_errors import OwnSidesChanged
from partner_node.score_run import ScoredRun
from partner_node.store_scores import Split


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


def of_scorecard(
    run: ScoredRun, own: float, answers: Mapping[str, bytes], *, split: bool
) -> tuple[float, Split | None]:
    """(log-odds, how they split) of the holders' words. own: as kept. Raises StepMalformed, ScoresImplausible."""
    plan, coarse = run.plan, run.scoring.split
    if not split:
        units = single.total(answers, plan.score_step_log2, plan.holders)
        return own + units * 2.0**plan.score_step_log2, None
    assert coarse is not None, "it was asked for"
    apart = {holder: single.apart(answer, holder) for holder, answer in answers.items()}
    units = single.total({holder: word for holder, (word, _) in apart.items()}, plan.score_step_log2, plan.holders)
    shares = {holder: share for holder, (_, share) in apart.items()}
    left = single.remainder(units, shares, plan.score_step_log2, coarse.step_log2)
    return own + units * 2.0**plan.score_step_log2, Split(shares=shares, remainder=left)


def of_trees(
    run: ScoredRun, own: float, answers: Mapping[str, bytes], columns: Columns | None, basis: Callable[[], Basis] | None
) -> tuple[float, Split | None]:
    """The same of trees. columns: the own ones as they are now; basis: of explanations, where a split is wanted.

    Raises OwnSidesChanged, StepMalformed, and what `basis` raises.
    """
    part = run.part
    assert isinstance(part, TreePart), "the model is trees"
    if columns is None or trees.check_number(mine := trees.own_sides(part, columns)) != own:
        raise OwnSidesChanged(job=run.job[:16])
    sides = trees.all_sides(part, mine, answers)
    score = trees.score(part, sides)
    return score, _split(run, part, sides, basis()) if basis else None


def _split(run: ScoredRun, part: TreePart, sides: trees.Sides, basis: Basis) -> Split:
    """What each other side's splits add, rounded; what rounding leaves of their sum, in the score's step."""
    plan, coarse, paths = run.plan, run.scoring.split, basis.paths
    assert coarse is not None, "it was asked for"
    if paths is None or len(paths.rows) != len(part.leaves):
        raise ExplanationUnreadable(file=explain_basis.file_name(run.job), why="it is not of these trees")
    ways = Ways(part, paths.rows)
    exact = {str(holder): ways.shares(ways.leaves(sides))[holder] for holder in plan.holders}
    shares = {holder: floor(value * 2.0**-coarse.step_log2 + 0.5) for holder, value in exact.items()}
    left = sum(exact.values()) - sum(shares.values()) * 2.0**coarse.step_log2
    return Split(shares=shares, remainder=floor(left * 2.0**-plan.score_step_log2 + 0.5))


def shown(run: ScoredRun, own: float, score: float, split: Split) -> float:
    """The own side of a split as people see it, in log-odds: what is left of the score. own: as kept."""
    coarse = run.scoring.split
    if coarse is None or not isinstance(run.part, TreePart):
        return own
    others = sum(split.shares.values()) * 2.0**coarse.step_log2
    return score - others - split.remainder * 2.0**run.plan.score_step_log2
