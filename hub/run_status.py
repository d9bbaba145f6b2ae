"""Where a horizontal run is, read from what is there anyway: its newest requests, its finished rounds, its troubles.

Nothing is written for people who look: a phase would cost a transaction, and a round has only a few milliseconds.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from hub import proposals
from hub.records import Head, Proposal, Trouble
from hub.run_troubles import NoAnswer
from hub.services import Services
from hub.store import Transaction
from privacy import canonical

STATES = {"OPEN": "waiting", "ANSWERED": "answered", "FAILED": "failed", "WITHDRAWN": "late"}
IDLE_AFTER = timedelta(seconds=1)
Group = tuple[int, int, str]  # (round, attempt, phase)


def of_run(services: Services, tx: Transaction, job: Proposal) -> Head:
    """{"rounds", "round", "attempt", "phase", "parties", "waits_for", "history", "troubles"}.

    round: under way; of a run that rests or has ended the last finished one, with no phase; null before the first.
    parties: {name: {"state", "connected", "code"}}, state "waiting", "answered", "failed", "late" (nobody waits for it
    any more) or "idle" where it was not asked. Of a run under way it is of the newest phase, or what went wrong in this
    round where a partner is not asked since; of a completed one, whether its signed result is there; else what went
    wrong in the round that was under way. code: what went wrong, null where nothing did.
    waits_for: partners that are away while nobody is asked anything. history: the rounds' figures, each with
    "troubles", {partner: code}. troubles: what went wrong by partner and code, with the newest words of it.
    """
    connected, found = services.connected(), tx.runs.troubles(job.digest)
    newest = tx.tasks.newest(job.digest, len(job.parties))
    group = _group(job, *newest[0][:2]) if newest else None
    asked = {node: STATES[state] for task_id, node, state in newest if _group(job, task_id, node) == group}
    running, history = job.state == proposals.RUNNING, tx.runs.rounds(job.digest)
    states, codes = _parties(tx, job, found, group, asked)
    training = job.body["training"]
    assert isinstance(training, dict)
    away: list[canonical.Value] = [name for name in job.parties if name not in connected]
    waits = running and "waiting" not in asked.values() and away and _idle(services, tx, [one[0] for one in newest])
    parties: Head = {
        name: {"state": states.get(name, "idle"), "connected": name in connected, "code": codes.get(name)}
        for name in job.parties
    }
    last = history[-1]["round"] if history else None
    return {
        "rounds": training["rounds"],
        "round": (group[0] if group else None) if running else last,
        "attempt": group[1] if running and group else 0,
        "phase": group[2] if running and group else "",
        "parties": parties,
        "waits_for": away if waits else [],
        "history": [{**item, "troubles": _codes(found, item["round"])} for item in history],
        "troubles": _told(found),
    }


def _parties(
    tx: Transaction, job: Proposal, found: Sequence[Trouble], group: Group | None, asked: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, canonical.Value]]:
    """(state, code) of each partner of whom there is something to say."""
    if job.state == proposals.COMPLETED:
        return _ended(tx, job)
    here = {one.partner: one for one in found if group is not None and one.round == group[0]}
    if job.state != proposals.RUNNING:
        asked = {}
    states, codes = dict(asked), dict[str, canonical.Value]()
    for name, one in here.items():
        if asked.get(name, "idle") in ("idle", "failed", "late") or (one.attempt, one.phase) == (group or ())[1:]:
            states[name] = "late" if one.code == NoAnswer.code else "failed"
            codes[name] = one.code
    return states, codes


def _idle(services: Services, tx: Transaction, ids: Sequence[str]) -> bool:
    """Whether the newest requests were settled a while ago: the hub's own work between two phases is no waiting."""
    found = [task for task_id in ids if (task := tx.tasks.asked(task_id)) is not None]
    newest = max((task.answered_at or task.created_at for task in found), default=None)
    return newest is None or services.clock() - newest > IDLE_AFTER


def _ended(tx: Transaction, job: Proposal) -> tuple[dict[str, str], dict[str, canonical.Value]]:
    (record,) = tx.jobs.documents(job.digest, "model-record")
    unusable = record.document.body["unusable"]
    assert isinstance(unusable, dict), "written by horizontal_run.complete"
    states = {str(name): "failed" if name in unusable else "answered" for name in job.parties}
    return states, dict(unusable)


def _codes(found: Sequence[Trouble], round_: canonical.Value) -> Head:
    return {one.partner: one.code for one in found if one.round == round_}


def _told(found: Sequence[Trouble]) -> list[canonical.Value]:
    """One entry for each partner and code: in how many rounds, the first and the last, and what was said then."""
    made: dict[tuple[str, str], Head] = {}
    for one in found:
        key = (one.partner, one.code)
        first, count = (made[key]["first"], made[key]["count"]) if key in made else (one.round, 0)
        assert isinstance(count, int)
        facts: Head = {"partner": one.partner, "phase": one.phase, "first": first, "last": one.round}
        made[key] = {**facts, "count": count + 1, **one.failure}
    return [made[key] for key in sorted(made)]


def _group(job: Proposal, task_id: str, node: str) -> Group:
    """(round, attempt, phase) of a request, from its id `run-round.attempt.phase-node`."""
    round_, attempt, phase = task_id[len(job.digest[:16]) + 1 : -len(node) - 1].split(".", 2)
    return int(round_), int(attempt), phase
