"""Match jobs: the hub's side of private set intersection. It relays what it can't read, and keeps what is signed.

match.start → every party's signed input commitment → match.step to each party as long as envelopes arrive for it →
every party done, with its signed result → COMPLETED. `advance` is a function of the database alone: it handles the
answers that came, and posts what is due next, in one transaction; it runs after every answer and for every open job
at start-up.

A step's answer says whether the party has more to work on (`more`): then its next step is posted at once, without
envelopes, so that the parties work side by side and every part is stored when it is done. `progress` counts the parts.
Envelopes that come while their recipient works on a step are its next one, and travel meanwhile; later ones wait here.
A party whose people must decide (mode count-then-rows) gets its next step when their decision has come.

The first step (sequence 0) goes to all parties at once with an empty list: each gets its clients ready, which takes
longest, beside the others.

What the hub learns: sizes (committed counts, bytes), and what a result says by itself: a count or the number of common
clients, stored as reported and not recomputed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from ecowire import documents
from hub import match_decisions, match_documents, proposals, tasks
from hub.dispatch import AnswerHandler, HandledLater
from hub.match_documents import COMMITMENT, RESULT, MatchDocumentInvalid
from hub.match_envelopes import Envelopes
from hub.proposals import ProposalInvalid
from hub.records import Content, Head, Proposal, Task
from hub.services import DATA, NodeHandler, Services, text
from hub.store import Transaction
from hub.store_tasks import FAILED
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId
from privacy.psi.job import MatchJob, TermsInvalid

START, STEP = "match.start", "match.step"
PARTS_MAX = 1 << 32
AHEAD = 2  # steps of a party that are asked for at once


class MatchStalled(Failure):
    code = "MATCH_STALLED"
    kind = Kind.INTEGRITY
    en = "no party has anything more to say, and {waiting} has not finished"
    zh = "各方均无后续消息，而 {waiting} 尚未完成"


def check(services: Services, tx: Transaction, now: datetime, body: Head) -> None:
    """Raises ProposalInvalid unless the body is a match job as the nodes will read it."""
    try:
        MatchJob.from_body(body)
    except TermsInvalid as failure:
        raise ProposalInvalid(why=failure.facts["why"]) from None


def advance(services: Services, digest: Digest) -> None:
    """Handle the answers that came and post what is due. Safe to call at any time, any number of times."""
    now = services.clock()
    try:
        services.store.run("matching.advance", lambda tx: _advance(services, tx, digest, now))
    except Failure as failure:
        if failure.kind is Kind.UNAVAILABLE:
            raise  # the database is busy or full: nothing was changed, the engine tries again
        why = failure
        services.store.run("matching.fail", lambda tx: _fail_open(services, tx, digest, now, why))


def take(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """Advance in the transaction that stores a step's answer, so that its envelopes are written once, into the next
    request, and nothing is left for the engine. Where that fails the answer is stored alone, and the engine finds out
    what is wrong. Raises HandledLater.
    """
    try:
        _advance(services, tx, Digest(task.job), now, task)
        tx.settle("job", task.job)
    except DBAPIError:
        raise  # the store tries again
    except Exception as error:
        if isinstance(error, Failure) and error.kind is Kind.UNAVAILABLE:
            raise
        raise HandledLater from error


def _advance(services: Services, tx: Transaction, digest: Digest, now: datetime, answered: Task | None = None) -> None:
    """answered: a task that this very transaction stores the answer of, without the body that it has here."""
    job = tx.jobs.proposal(digest)
    assert job is not None and job.kind == "match", "the engine drives match jobs here"
    if job.state == proposals.APPROVED:
        job = proposals.move(services, tx, job, proposals.RUNNING, now)
        _post_starts(tx, job, now)
    if job.state != proposals.RUNNING:
        return
    passing = Envelopes(tx, job)
    for task in tx.tasks.unhandled(digest):
        if answered is not None and task.id == answered.id:
            task = replace(task, reply_body=answered.reply_body, reply_sha256=answered.reply_sha256)
        if task.state == FAILED and task.kind in (START, STEP):
            tx.tasks.mark_handled(task.id)
            proposals.fail(services, tx, job, now, tasks.failure_of(task), by=task.node)
            return
        job = _handle(services, tx, job, task, passing, now)
    commitments = match_documents.signed(tx, job, COMMITMENT)
    if len(commitments) == len(job.parties):
        _step(services, tx, job, passing, commitments, now)
    passing.file()


def _handle(
    services: Services, tx: Transaction, job: Proposal, task: Task, passing: Envelopes, now: datetime
) -> Proposal:
    head = task.reply_head or {}
    phase = None
    if task.kind == START:
        match_documents.keep(services, tx, job, task.node, COMMITMENT, head.get("commitment"), now)
        phase = "commit"
    elif task.kind == STEP:
        phase = text(head, "phase", default="", longest=64)
        passing.take(task)
        if head.get("result") is not None:
            match_documents.keep(services, tx, job, task.node, RESULT, head["result"], now)
        job = _progress(tx, job, task.node, phase, head)
    tx.tasks.mark_handled(task.id, phase=phase)
    return job


def _step(
    services: Services,
    tx: Transaction,
    job: Proposal,
    passing: Envelopes,
    commitments: Sequence[documents.Signed],
    now: datetime,
) -> None:
    """Post the next step of every party with envelopes waiting or more to work on. Ends the job when all are done."""
    under_way, steps = False, tx.tasks.steps(job.digest, STEP)
    head: Head = {"job": job.digest, "commitments": [document.to_value() for document in commitments]}
    for party in job.parties:
        sequence, opened = steps.get(party, (0, 0))
        under_way |= opened > 0
        if opened == AHEAD:
            continue
        waiting = passing.waiting(party)
        decided = not opened and match_decisions.due(tx, job, party)
        if decided:
            job = match_decisions.ask_once(tx, job, party)
        if waiting or decided or (not opened and (_told(job, party, "more") or not sequence)):
            _post_step(services, tx, party, {**head, "sequence": sequence}, passing.body(waiting), now)
            passing.passed_on(waiting)
            under_way = True
    if under_way:
        return
    unfinished = [party for party in job.parties if not _told(job, party, "done")]
    if not unfinished:
        _complete(services, tx, job, now)
        return
    if any(match_decisions.waits(job, party) for party in unfinished):
        return  # for its people
    raise MatchStalled(waiting=", ".join(sorted(unfinished)))


def _complete(services: Services, tx: Transaction, job: Proposal, now: datetime) -> None:
    match_documents.check_complete(tx, job)
    services.log.append(tx, now, "match-transcript", job.digest, facts=tx.jobs.transcript(job.digest))
    proposals.move(services, tx, job, proposals.COMPLETED, now)


def _post_starts(tx: Transaction, job: Proposal, now: datetime) -> None:
    head: Head = {"job": job.digest, "approvals": proposals.approvals_of(tx, job)}
    for party in job.parties:
        task_id = f"{job.digest[:32]}-start-{party}"
        tasks.post(tx, now, task_id=task_id, node=party, kind=START, head=head, job=job.digest, phase="commit")


def _post_step(services: Services, tx: Transaction, party: PartnerId, head: Head, body: Content, now: datetime) -> None:
    job = str(head["job"])
    task_id = f"{job[:32]}-step-{head['sequence']}-{party}"
    tasks.post(tx, now, task_id=task_id, node=party, kind=STEP, head=head, body=body, job=job)
    services.handover.put(task_id, body)


def _progress(tx: Transaction, job: Proposal, node: PartnerId, phase: str, head: Head) -> Proposal:
    """Note what a step's answer says of its party. Raises MatchDocumentInvalid for another form."""
    done, more = head.get("done"), head.get("more", False)
    if not isinstance(done, bool) or not isinstance(more, bool) or (done and more):
        raise MatchDocumentInvalid(what="answer", node=node, why="done and more are true or false")
    parties = job.progress.get("parties")
    known: Head = dict(parties) if isinstance(parties, dict) else {}
    known[node] = {"phase": phase, "done": done, "more": more, "parts": _parts(node, head.get("progress"))}
    return tx.jobs.set_progress(job, {**job.progress, "parties": known})


def _parts(node: PartnerId, value: canonical.Value) -> canonical.Value:
    """[finished parts, all parts] of a party's work, where it says so."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or any(type(n) is not int or n < 0 for n in value):
        raise MatchDocumentInvalid(what="answer", node=node, why="its progress")
    finished, parts = (int(str(n)) for n in value)
    if not finished <= parts <= PARTS_MAX:
        raise MatchDocumentInvalid(what="answer", node=node, why="its progress")
    return [finished, parts]


def _told(job: Proposal, party: PartnerId, what: str) -> bool:
    """What a party's last answer said: "done" or "more"."""
    parties = job.progress.get("parties")
    value = parties.get(party) if isinstance(parties, dict) else None
    return isinstance(value, dict) and value.get(what) is True


def _fail_open(services: Services, tx: Transaction, digest: Digest, now: datetime, failure: Failure) -> None:
    job = tx.jobs.proposal(digest)
    assert job is not None
    if job.state in proposals.OPEN_STATES:
        proposals.fail(services, tx, job, now, failure)


KIND = proposals.JobKind(roles=(DATA,), check=check)
NODE_REQUESTS: dict[str, NodeHandler] = match_decisions.NODE_REQUESTS
ANSWERS: dict[str, AnswerHandler] = {STEP: take}
