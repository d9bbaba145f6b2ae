"""Where a horizontal run is, read from what is there anyway: its newest requests and its finished rounds.

Nothing is written for people who look: a phase would cost a transaction, and a round has only a few milliseconds.
"""

from hub.records import Head, Proposal
from hub.services import Services
from hub.store import Transaction

STATES = {"OPEN": "waiting", "ANSWERED": "answered", "FAILED": "failed", "WITHDRAWN": "late"}


def of_run(services: Services, tx: Transaction, job: Proposal) -> Head:
    """{"rounds", "round", "attempt", "phase", "parties": {name: {"state", "connected"}}, "history": [round's figures]}.

    round is null before the first request. A party's state is of the newest phase: "waiting", "answered", "failed",
    "late" (nobody waits for it any more), "idle" where it was not asked.
    """
    connected = services.connected()
    newest = tx.tasks.newest(job.digest, len(job.parties))
    group = _group(job, *newest[0][:2]) if newest else None
    states = {node: STATES[state] for task_id, node, state in newest if _group(job, task_id, node) == group}
    round_, attempt, phase = group or (None, 0, "")
    training = job.body["training"]
    assert isinstance(training, dict)
    parties: Head = {name: {"state": states.get(name, "idle"), "connected": name in connected} for name in job.parties}
    return {
        "rounds": training["rounds"],
        "round": round_,
        "attempt": attempt,
        "phase": phase,
        "parties": parties,
        "history": list(tx.runs.rounds(job.digest)),
    }


def _group(job: Proposal, task_id: str, node: str) -> tuple[int, int, str]:
    """(round, attempt, phase) of a request, from its id `run-round.attempt.phase-node`."""
    round_, attempt, phase = task_id[len(job.digest[:16]) + 1 : -len(node) - 1].split(".", 2)
    return int(round_), int(attempt), phase
