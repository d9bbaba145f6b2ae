"""Two trainings over nearly the same clients: their moments differ by the few clients that are in one of them only.

The label holder of both could subtract: the count of a 0/1 column in one run less the count in the other is the value
of the one client that joined or left, and a feature holder reads that client's label likewise. So the train rows of a
new run must be those of an earlier run exactly, or differ from them by at least the plan's `rare_rows` clients. Sets of
three and more runs whose sums and differences single a client out are not found (docs/threat-model.md, section 3).
"""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from federation.plan import LABEL_HOLDER, PlanParty, TrainingPlan, read
from partner_node import sessions, store
from partner_node.errors import RunsTooAlike, UnknownJob


def check(session: Session, plan: TrainingPlan, me: str) -> None:
    """Raises RunsTooAlike, naming an earlier run over some of the same columns whose clients differ by too few."""
    own = _train_rows(session, plan)
    for earlier in _earlier(session, plan):
        if not _columns(plan, me) & _columns(earlier, me):
            continue
        apart = len(own ^ _train_rows(session, earlier))
        if 0 < apart < plan.rare_rows:
            raise RunsTooAlike(run=earlier.digest[:16], count=apart, minimum=plan.rare_rows)


def _earlier(session: Session, plan: TrainingPlan) -> Iterator[TrainingPlan]:
    """The vertical plans of all other runs that began here, also of those that broke."""
    for job in sessions.begun(session):
        try:
            proposal = store.proposal(session, job)
        except UnknownJob:
            continue
        earlier = read(proposal.body) if proposal.kind == "train" and proposal.digest != plan.digest else None
        if isinstance(earlier, TrainingPlan):
            yield earlier


def _train_rows(session: Session, plan: TrainingPlan) -> frozenset[bytes]:
    """The keyed hashes (Gate.row_keys) of a plan's train clients: the same client has the same in every alignment."""
    rows = sessions.alignment(session, plan.alignment)
    test = plan.test_mask([row.token for row in rows])
    return frozenset(row.row_key for row, held_out in zip(rows, test, strict=True) if not held_out)


def _columns(plan: TrainingPlan, me: str) -> frozenset[tuple[str, str]]:
    """(asset, column) of everything this node brings; empty for a plan that it has no part in."""
    part: PlanParty | None = next((party for party in plan.parties if party.partner == me), None)
    if part is None:
        return frozenset()
    label = (plan.label_column,) if part.role == LABEL_HOLDER else ()
    return frozenset((part.asset, name) for name in (*part.columns, *label))
