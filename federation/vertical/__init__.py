"""Joint training over the same clients: the scorecard from protected moments (model 1), as sessions without I/O.

    node      FeatureHolder(plan, me, table, entropy, spent_before=…) or LabelHolder(plan, me, table, entropy)
              .start() → messages, .receive(sender, message) → messages, until .done; then .result()
    restart   open_session(plan, me, table, entropy, …).restore(what was stored of .dump())

Rounds of messages: commit and open the joint seed → hints → zero test → encrypted products → moments to the label
holder → weights back → rounded partial scores.
"""

from federation.features import Table
from federation.plan import TrainingPlan
from federation.vertical.holder import FeatureHolder
from federation.vertical.label import LabelHolder
from federation.vertical.messages import Outgoing
from federation.vertical.results import Disclosed, HolderResult, LabelMatrix, LabelResult, ModelPart, Variant
from federation.vertical.session import Dump
from privacy.ring import Entropy


def open_session(
    plan: TrainingPlan, me: str, table: Table, entropy: Entropy, *, spent_before: int = 0
) -> LabelHolder | FeatureHolder:
    """A fresh session of this partner's role in the plan; `restore` puts it where it was."""
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
    "Table",
    "Variant",
    "open_session",
]
