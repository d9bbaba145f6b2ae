"""The receipt of a run's contributions at the hub: verified with the label holder's result, kept, and passed on.

It stands in the result of the label holder's node. The hub keeps it as a document of the job, with its leaf in the
audit log, and every feature holder's node gets it: whoever is paid by it can compute it again.
"""

from collections.abc import Sequence
from datetime import datetime

from ecowire import documents
from ecowire.documents import Signed
from federation.errors import ContributionInvalid
from federation.plan import TrainingPlan
from federation.vertical import receipt
from hub import proposals, run_results, tasks
from hub.records import Head, Proposal
from hub.run_results import TrainResultInvalid
from hub.services import Services
from hub.store import Transaction


def keep(services: Services, tx: Transaction, job: Proposal, results: Sequence[Signed], now: datetime) -> None:
    """Keep and pass on the receipt of a run whose results are verified; nothing where its plan asks for none.

    Raises TrainResultInvalid where there is none, or it does not hold.
    """
    plan = TrainingPlan.from_body(job.body)
    if not plan.contribution:
        return
    result = next(one for one in results if one.signer == plan.label_holder)
    found = _read(plan, result)
    holder = next(party for party in job.party_bodies if party["partner"] == plan.label_holder)
    found.verify(bytes.fromhex(str(holder["signing"])))
    proposals.keep_document(services, tx, job, found, now)
    for partner in plan.holders:
        task_id = f"{found.digest[:32]}-contribution-{partner}"
        head: Head = {receipt.KIND: found.to_value()}
        tasks.post(tx, now, task_id=task_id, node=partner, kind=receipt.KIND, head=head)


def _read(plan: TrainingPlan, result: Signed) -> Signed:
    if receipt.KIND not in result.body:
        raise TrainResultInvalid(node=result.signer, why="it holds no receipt of contributions")
    found = documents.parse(result.body[receipt.KIND], kind=receipt.KIND)
    if found.signer != result.signer:
        raise TrainResultInvalid(node=result.signer, why="its receipt of contributions is signed by another party")
    try:
        receipt.check(found.body, plan, run_results.record_of(result))
    except ContributionInvalid as failure:
        raise TrainResultInvalid(node=result.signer, why=failure.message()) from None
    return found
