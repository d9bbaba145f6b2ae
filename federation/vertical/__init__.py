"""Joint training over the same clients: the scorecard from protected moments (model 1), as sessions without I/O.

    node      FeatureHolder(plan, me, table, entropy, spent_before=…) or LabelHolder(plan, me, table, entropy)
              .start() → messages, .receive(sender, message) → messages, until .done; then .result()
    restart   open_session(plan, me, table, entropy, …).restore(what was stored of .dump())

Rounds of messages: commit and open the joint seed → hints → zero test → encrypted products → moments to the label
holder → weights back → rounded partial scores. Where the plan's model is logistic, the rounds of `refinement` come
before the scores; where it is trees, the sessions are those of `federation.vertical.trees`: after the zero test a round
of messages a level.
"""

from typing import TypeAlias

from federation.features import Table
from federation.plan import TrainingPlan
from federation.vertical.holder import FeatureHolder
from federation.vertical.label import LabelHolder
from federation.vertical.messages import Outgoing
from federation.vertical.part import ModelPart
from federation.vertical.results import Disclosed, HolderResult, LabelMatrix, LabelResult, Variant
from federation.vertical.session import Dump
from federation.vertical.trees.holder import TreeHolder
from federation.vertical.trees.label import TreeLabelHolder
from privacy.ring import Entropy

Role: TypeAlias = LabelHolder | FeatureHolder | TreeLabelHolder | TreeHolder


def open_session(plan: TrainingPlan, me: str, table: Table, entropy: Entropy, *, spent_before: int = 0) -> Role:
    """A fresh session of this partner's role in the plan's model; `restore` puts it where it was."""
    if plan.trees and me == plan.label_holder:
        return TreeLabelHolder(plan, me, table, entropy)
    if plan.trees:
        return TreeHolder(plan, me, table, entropy, spent_before=spent_before)
    if me == plan.label_holder:
        return LabelHolder(plan, me, table, entropy)
    return FeatureHolder(plan, me, table, entropy, spent_before=spent_before)


__all__ = [
    "Disclosed",
    "Dump",
    "FeatureHolder",
    "HolderResult",
    "LabelHolder",
    "LabelMatrix",
    "LabelResult",
    "ModelPart",
    "Outgoing",
    "Role",
    "Table",
    "TreeHolder",
    "TreeLabelHolder",
    "Variant",
    "open_session",
]
