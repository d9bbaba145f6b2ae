"""What people do with jobs of every kind: propose, look, cancel. Nodes: send their people's decisions."""

from datetime import datetime

from ecowire import documents
from ecowire.stream import Message
from hub import matching, proposals, run_status, settlement, times, training
from hub.identity import Caller, require_role
from hub.proposals import JobKind
from hub.records import Head, Partner, PhaseCost, Proposal
from hub.services import ANY, DATA, FINANCE, Command, HeadInvalid, NodeHandler, Reply, Services, only, text
from hub.store import Transaction
from privacy import canonical

KINDS: dict[str, JobKind] = {"match": matching.KIND, "train": training.KIND, "agreement": settlement.KIND}


def propose(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """A new proposal; the answer shows the body with the keys that were filled in."""
    only(head, "kind", "body")
    kind, body = text(head, "kind"), head.get("body")
    if kind not in KINDS or not isinstance(body, dict):
        raise HeadInvalid(field="kind", why="one of " + ", ".join(sorted(KINDS)))
    require_role(caller, KINDS[kind].roles, f"propose {kind}")
    made = proposals.propose(services, tx, now, caller.name, kind, body, KINDS[kind].check)
    return Reply(head={"digest": made.digest, "kind": kind, "state": made.state, "body": made.body})


def proposed(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """The body this person proposed under an idempotency key, or null: what was drawn for it can be given again."""
    only(head, "key")
    done = tx.tasks.done(f"person/{caller.name}", text(head, "key", longest=200))
    return Reply(head={"body": done.reply_head.get("body") if done is not None and done.name == "propose" else None})


def cancel(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    only(head, "digest")
    job = proposals.get(tx, head.get("digest"))
    require_role(caller, KINDS[job.kind].roles, f"cancel {job.kind}")
    job = proposals.cancel(services, tx, job, now, caller.name)
    return Reply(head={"digest": job.digest, "state": job.state})


def jobs(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """All jobs, oldest first; of one kind where given."""
    only(head, "kind")
    kind = text(head, "kind", default="") or None
    listed: list[canonical.Value] = []
    for item in tx.jobs.proposals(kind=kind):
        line = _line(item)
        line["approved"] = [a.partner for a in tx.jobs.approvals(item.digest) if a.decision == "approve"]
        listed.append(line)
    return Reply(head={"jobs": listed})


def job(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """One job in full: body, decisions, progress, results, and what it cost in bytes and time."""
    only(head, "digest")
    item = proposals.get(tx, head.get("digest"))
    decisions: Head = {}
    for approval in tx.jobs.approvals(item.digest):
        decisions[approval.partner] = {
            "decision": approval.decision,
            "person": approval.document.body["person"],
            "reason": approval.document.body["reason"],
            "time": times.iso(approval.received_at),
        }
    costs = tx.tasks.costs(item.digest)
    found: list[canonical.Value] = [entry.document.to_value() for entry in tx.jobs.documents(item.digest)]
    end = item.ended_at or now
    vertical = item.kind == "train" and not training.is_horizontal(item)
    return Reply(
        head={
            **_line(item),
            **({"run": run_status.of_run(services, tx, item)} if training.is_horizontal(item) else {}),
            "body": item.body,
            "decisions": decisions,
            "undelivered": _undelivered(tx, item),
            "progress": {**item.progress, "rounds": list(tx.runs.rounds(item.digest))} if vertical else item.progress,
            "documents": found,
            "phases": _phases(costs),
            "bytes": sum(cost.bytes_down + cost.bytes_up for cost in costs),
            "milliseconds": _milliseconds(item.started_at, end) if item.started_at else 0,
        }
    )


def take_approval(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """A node brings its person's signed decision."""
    only(message.head, "approval")
    approval = documents.parse(message.head.get("approval"), kind="approval")
    receipt = proposals.decide(services, tx, partner, now, approval)
    return Reply(head={"receipt": receipt.to_value()})


def _line(item: Proposal) -> Head:
    return {
        "digest": item.digest,
        "kind": item.kind,
        "state": item.state,
        "reason": item.reason,
        "purpose": item.body["purpose"],
        "proposer": item.proposer,
        "parties": list(item.parties),
        "created": times.iso(item.created_at),
        "expires": times.iso(item.expires_at),
        "started": times.iso(item.started_at) if item.started_at else None,
        "ended": times.iso(item.ended_at) if item.ended_at else None,
    }


def _undelivered(tx: Transaction, item: Proposal) -> Head:
    """Parties whose node hasn't taken the proposal: None while it is on its way, or the failure it answered."""
    found: Head = {}
    for task in tx.tasks.of_job(item.digest, kind="proposal"):
        if task.state == "FAILED":
            found[task.node] = task.reply_head or {}
        elif task.state == "OPEN":
            found[task.node] = None
    return found


def _phases(costs: tuple[PhaseCost, ...]) -> list[canonical.Value]:
    return [
        {
            "phase": cost.phase,
            "node": cost.node,
            "requests": cost.tasks,
            "bytes_down": cost.bytes_down,
            "bytes_up": cost.bytes_up,
            "milliseconds": _milliseconds(cost.started_at, cost.ended_at) if cost.ended_at else 0,
        }
        for cost in costs
        if cost.phase != "proposal"
    ]


def _milliseconds(start: datetime, end: datetime) -> int:
    return max(0, round((end - start).total_seconds() * 1000))


COMMANDS = {
    "propose": Command(roles=(DATA, FINANCE), run=propose),
    "proposed": Command(roles=(DATA, FINANCE), run=proposed, changes=False),
    "cancel": Command(roles=(DATA, FINANCE), run=cancel),
    **training.COMMANDS,
    "jobs": Command(roles=ANY, run=jobs, changes=False),
    "job": Command(roles=ANY, run=job, changes=False),
}
NODE_REQUESTS: dict[str, NodeHandler] = {"approval": take_approval}
