"""The run whose labels are delivered: its label matrix as this node stored it, and until when its scores are valid."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from federation.plan import TrainingPlan, read
from partner_node import label_matrix, store, times
from partner_node.label_matrix import Matrix
from partner_node.labels_errors import LabelMatrixExpired, LabelMatrixMissing, NotLabelHolder
from partner_node.node import Node
from partner_node.settings import Asset
from partner_node.store import Proposal, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished vertical run at its label holder."""

    job: str
    model: str
    purpose: str
    asset: Asset
    matrix: Matrix
    made: datetime
    until: datetime


def find(node: Node, name: str, place: Callable[[], int]) -> Run:
    """The run of a job's digest or its first 8 digits. `place` writes result files that still wait.

    Raises UnknownJob, AmbiguousJob, NotLabelHolder, LabelMatrixMissing, LabelMatrixUnreadable, LabelMatrixExpired,
    AssetUnknown.
    """

    def both(session: Session) -> tuple[Proposal, Result | None]:
        found = store.proposal(session, name)
        return found, store.result(session, found.digest)

    proposal, result = node.database.read(both)
    plan, me = read(proposal.body) if proposal.kind == "train" else None, node.settings.partner
    if not isinstance(plan, TrainingPlan) or plan.label_holder != me:
        raise NotLabelHolder(job=proposal.digest[:16])
    if result is None or result.file is None:
        raise LabelMatrixMissing(job=proposal.digest[:16], file=str(node.settings.results))
    made = times.parse(result.time, "the result's time")
    until = made + timedelta(days=plan.valid_days)
    if node.clock() >= until:
        raise LabelMatrixExpired(job=proposal.digest[:16], until=times.to_text(until))
    record: Any = result.document.body["record"]
    model, purpose = str(record["model_digest"]), str(proposal.body["purpose"])
    place()
    file = node.settings.results / result.file
    try:
        data = file.read_bytes()
    except OSError:
        raise LabelMatrixMissing(job=proposal.digest[:16], file=str(file)) from None
    return Run(
        job=proposal.digest,
        model=model,
        purpose=purpose,
        asset=node.settings.asset(plan.party(me).asset),
        matrix=label_matrix.decode(data, str(file), model=model, purpose=purpose),
        made=made,
        until=until,
    )
