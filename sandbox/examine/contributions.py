"""Receipts of contributions: of a run in the bundle, signed by its label holder, weights that follow from the errors.

What the label holder measured can't be measured again without the parties' data. Everything after it is computed anew.
"""

from typing import Any

from ecowire import documents
from federation.errors import ContributionInvalid
from federation.plan import TrainingPlan, read
from federation.vertical import receipt
from privacy.errors import Failure
from privacy.ids import Digest
from sandbox.examine.case import Case, Proposal

RESULT, COMPLETED = "train-result", "COMPLETED"


def check(case: Case) -> None:
    """Every receipt in the bundle; and one for every completed run whose plan asks for contribution."""
    seen: set[str] = set()
    for where, signed in case.of_kind(receipt.KIND):
        job = str(signed.body.get("job"))
        seen.add(job)
        try:
            _check(case, job, signed)
        except Failure as failure:
            case.sheet.add("CONTRIBUTION_DIFFERS", where, why=failure.message())
        else:
            case.sheet.holds("contributions")
    for proposal in case.proposals.values():
        asked = proposal.kind == "train" and proposal.body.get("contribution") is True
        if asked and proposal.state == COMPLETED and proposal.digest not in seen:
            case.sheet.add("CONTRIBUTION_MISSING", proposal.where)


def _check(case: Case, job: str, signed: documents.Signed) -> None:
    """Raises ContributionInvalid, and PlanInvalid where the run's plan is none."""
    plan = _plan(case.proposals.get(Digest(job)))
    if plan is None or signed.signer != plan.label_holder:
        raise ContributionInvalid(why=f"{signed.signer} is no label holder of a vertical run {job[:16]} here")
    results = [one for _, one in case.of_kind(RESULT) if (one.signer, one.body.get("job")) == (signed.signer, job)]
    record: Any = results[0].body.get("record") if results else None
    if not isinstance(record, dict):
        raise ContributionInvalid(why="the label holder's record of the run is not in the bundle")
    receipt.check(signed.body, plan, record)


def _plan(proposal: Proposal | None) -> TrainingPlan | None:
    plan = read(proposal.body) if proposal is not None and proposal.kind == "train" else None
    return plan if isinstance(plan, TrainingPlan) else None
