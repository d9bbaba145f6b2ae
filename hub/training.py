"""Training plans of both shapes: what may be proposed, and how people start, rest and resume a run.

A vertical run starts by itself once everybody approved. A horizontal one waits for `start`: its rounds want all nodes
there at one time. It may be paused, by a person or because too few nodes answered, and goes on where it stopped.
"""

from datetime import datetime

from federation import plan as plans
from federation.plan import TrainingPlan
from federation.plan_horizontal import SHAPE
from hub import proposals
from hub.identity import Caller
from hub.proposals import ProposalInvalid, ProposalState
from hub.records import Head, Proposal
from hub.services import DATA, Command, Reply, Services, only
from hub.store import Transaction
from privacy.errors import Failure, Kind

VERTICAL, HORIZONTAL = "vertical", SHAPE


class AlignmentNotUsable(Failure):
    code = "ALIGNMENT_NOT_USABLE"
    kind = Kind.CONFLICT
    en = "the plan's alignment {digest} can't be used: {why}"
    zh = "方案引用的对齐任务 {digest} 不可用：{why}"


class NotHorizontal(Failure):
    code = "RUN_NOT_HORIZONTAL"
    kind = Kind.CONFLICT
    en = "{digest} is no horizontal run: matches and vertical runs start by themselves once everybody approved"
    zh = "{digest} 不是横向训练：匹配与纵向训练在各方批准后自动开始"


def check(services: Services, tx: Transaction, now: datetime, body: Head) -> None:
    """Raises PlanInvalid and its like, AlignmentNotUsable or ProposalInvalid unless the plan can be proposed."""
    plan = plans.read(body)
    if isinstance(plan, TrainingPlan):
        _check_alignment(tx, plan)


def shape(run: Proposal) -> str:
    """VERTICAL or HORIZONTAL."""
    return str(run.body.get("shape", VERTICAL))


def is_horizontal(job: Proposal) -> bool:
    """Whether a job of any kind is a horizontal run."""
    return job.kind == "train" and shape(job) == HORIZONTAL


def start(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Begin a horizontal run that everybody approved. Raises ProposalState, NotHorizontal."""
    return _moved(services, tx, now, head, (proposals.APPROVED,), proposals.RUNNING)


def resume(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Go on with a run that is PAUSED. Raises ProposalState, NotHorizontal.

    After a failure its round has used up its attempts, so each such resumption gives it as many again.
    """
    job = proposals.get(tx, head.get("digest"))
    if job.state == proposals.PAUSED and job.reason.get("code") != proposals.PAUSED:
        tx.runs.count_resume(job.digest, now)
    return _moved(services, tx, now, head, (proposals.PAUSED,), proposals.RUNNING)


def pause(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """Let a run rest; it stops before its next step. Raises ProposalState, NotHorizontal."""
    reason: Head = {"code": proposals.PAUSED, "person": caller.name}
    return _moved(services, tx, now, head, (proposals.RUNNING,), proposals.PAUSED, reason)


def _moved(
    services: Services,
    tx: Transaction,
    now: datetime,
    head: Head,
    before: tuple[str, ...],
    after: str,
    reason: Head | None = None,
) -> Reply:
    only(head, "digest")
    job = proposals.get(tx, head.get("digest"))
    if not is_horizontal(job):
        raise NotHorizontal(digest=job.digest[:16])
    if job.state not in before:
        raise ProposalState(digest=job.digest[:16], state=job.state)
    job = proposals.move(services, tx, job, after, now, reason)
    return Reply(head={"digest": job.digest, "state": job.state})


def _check_alignment(tx: Transaction, plan: TrainingPlan) -> None:
    job = tx.jobs.proposal(plan.alignment)
    if job is None or job.kind != "match" or job.body["mode"] != "align":
        raise AlignmentNotUsable(digest=plan.alignment[:16], why="there is no such match job of mode align")
    if job.state != proposals.COMPLETED:
        raise AlignmentNotUsable(digest=plan.alignment[:16], why=f"it is {job.state}")
    found = [entry.document.body.get("count") for entry in tx.jobs.documents(job.digest, "match-result")]
    if None in found:
        raise AlignmentNotUsable(digest=plan.alignment[:16], why="it stayed below its minimum")
    if outside := sorted(set(plan.partners) - set(job.parties)):
        raise ProposalInvalid(why=f"{', '.join(outside)} took no part in the alignment")


KIND = proposals.JobKind(roles=(DATA,), check=check)
COMMANDS = {
    "start": Command(roles=(DATA,), run=start),
    "resume": Command(roles=(DATA,), run=resume),
    "pause": Command(roles=(DATA,), run=pause),
}
