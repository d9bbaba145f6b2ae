"""Scores of single clients: the label holder's ask goes to every feature holder, their shares come back together.

The hub sees which run is asked, that it was, and who refused; never the client, a share or a score: those are sealed.
It passes on an ask only of the run's label holder, for a run that is completed and whose model is released. An ask is
tasks with names of its own, so it ends after any restart: with all answers, or with the first refusal.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from ecowire import documents, envelopes
from ecowire.envelopes import Header
from ecowire.stream import Message
from federation.plan import TrainingPlan
from hub import dispatch, model_lineage, proposals, tasks, training
from hub.records import Head, Partner, Proposal, Task
from hub.scoring_errors import ScoreAnswerMalformed, ScoreAskMalformed, ScoringPartnerGone, ScoringRefused
from hub.services import NodeHandler, Reply, Services, only
from hub.store import Transaction
from hub.store_tasks import ANSWERED, FAILED
from privacy import packing
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId, parse_digest

DOCUMENT = "score-ask"
FIELDS = {"run", "ask", "model", "until", "asks"}
SCORE, ANSWER = "score", "score.answer"
RELEASED = "RELEASED"
ENVELOPE_BYTES_MAX = 4096
UNTIL_CHARACTERS_MAX = 40


def ask(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """Post the label holder's ask to every feature holder; the answer is the receipt of its signed word.

    Raises MalformedMessage, BadSignature, ScoringRefused.
    """
    only(message.head, "ask")
    document = documents.parse(message.head.get("ask"), kind=DOCUMENT)
    document.verify(partner.signing_public)
    if document.signer != partner.id or set(document.body) != FIELDS:
        raise ScoreAskMalformed(why="its signer or fields")
    run, name = parse_digest(document.body["run"]), parse_digest(document.body["ask"])
    job = _job(tx, run, partner)
    _check_model(tx, job, document.body["model"])
    for holder, envelope in _sealed(message.body, document, partner.id, name, holders(job)).items():
        _check_member(tx, holder)
        tasks.post(
            tx,
            now,
            task_id=_task_id(name, holder),
            node=holder,
            kind=SCORE,
            head={"run": run, "ask": name},
            body=envelope,
        )
    # its own facts: a document for every score would make the evidence grow with use
    facts: Head = {"signer": partner.id, "run": run, "document": document.digest}
    leaf = services.log.append(tx, now, DOCUMENT, name, facts=facts)
    return Reply(head={"receipt": services.log.receipt(leaf, document, now).to_value()})


def collect(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """A feature holder answered or refused: once all have answered, or one has refused, the label holder is told."""
    name, run = str(task.head["ask"]), str(task.head["run"])
    job = tx.jobs.proposal(run)
    assert job is not None, "it was asked for this run"
    answer = f"{ANSWER}-{name[:40]}"  # no task of a holder, whatever its name, is called so
    if tx.tasks.known([answer]):
        return
    head: Head = {"run": run, "ask": name}
    body = b""
    if task.state == FAILED:
        head |= {"partner": task.node, "failure": task.reply_head or {}}
    else:
        found = {holder: tx.tasks.get(_task_id(Digest(name), holder)) for holder in holders(job)}
        if any(one is None or one.state != ANSWERED for one in found.values()):
            return
        body = packing.pack({str(holder): _envelope(one) for holder, one in found.items()})
    tasks.post(tx, now, task_id=answer, node=model_lineage.label_holder(job), kind=ANSWER, head=head, body=body)


def holders(job: Proposal) -> tuple[PartnerId, ...]:
    """The feature holders of a vertical run."""
    label = model_lineage.label_holder(job)
    return tuple(party for party in job.parties if party != label)


def _job(tx: Transaction, run: Digest, partner: Partner) -> Proposal:
    """The completed run, asked by its label holder, whose plan lets single clients be scored."""
    job = tx.jobs.proposal(run)
    if job is None or job.kind != "train" or training.is_horizontal(job) or partner.id not in job.parties:
        raise ScoringRefused(job=run[:16], why="it is no vertical run of this partner")
    if model_lineage.label_holder(job) != partner.id:
        raise ScoringRefused(job=run[:16], why="only its label holder asks for scores")
    if TrainingPlan.from_body(job.body).scoring is None:
        raise ScoringRefused(job=run[:16], why="its plan has no scoring")
    if job.state != proposals.COMPLETED:
        raise ScoringRefused(job=run[:16], why=f"it is {job.state}")
    return job


def _check_model(tx: Transaction, job: Proposal, digest: object) -> None:
    """The announced model is this run's, and it serves clients now."""
    model = tx.models.get(job.digest)
    if model is None or model.state != RELEASED:
        state = model.state if model else "not registered"
        raise ScoringRefused(job=job.digest[:16], why=f"its model is {state}")
    if model.digest != digest:
        raise ScoringRefused(job=job.digest[:16], why="the announced model is not the run's")


def _check_member(tx: Transaction, holder: PartnerId) -> None:
    partner = tx.members.partner(holder)
    if partner is None or partner.state != "ACTIVE":
        raise ScoringPartnerGone(partner=holder)


def _sealed(
    body: bytes, document: documents.Signed, sender: PartnerId, name: Digest, receivers: tuple[PartnerId, ...]
) -> Mapping[PartnerId, bytes]:
    """One envelope for each feature holder: the ones that the signed word names, addressed as it says."""
    value, said = packing.unpack(body), document.body["asks"]
    until = document.body["until"]
    if not isinstance(value, dict) or not isinstance(said, dict) or not set(value) == set(said) == set(receivers):
        raise ScoreAskMalformed(why="one sealed ask for each feature holder is expected")
    if not isinstance(until, str) or len(until) > UNTIL_CHARACTERS_MAX:
        raise ScoreAskMalformed(why="its end")
    for holder in receivers:
        envelope = value[holder]
        if not isinstance(envelope, bytes) or len(envelope) > ENVELOPE_BYTES_MAX:
            raise ScoreAskMalformed(why=f"the ask for {holder}")
        if hashlib.sha256(envelope).hexdigest() != said[holder]:
            raise ScoreAskMalformed(why=f"the ask for {holder} is not the one that was signed")
        if envelopes.read_header(envelope) != Header(job=name, sender=sender, recipient=holder, sequence=0):
            raise ScoreAskMalformed(why=f"the address of the ask for {holder}")
    return {holder: value[holder] for holder in receivers}  # type: ignore[misc]


def _envelope(task: Task | None) -> bytes:
    assert task is not None and task.reply_head is not None, "it was answered"
    return bytes.fromhex(str(task.reply_head["envelope"]))


def check_answer(task: Task) -> None:
    """Raises ScoreAnswerMalformed for an answer that is no sealed share."""
    text = (task.reply_head or {}).get("envelope")
    try:
        sealed = bytes.fromhex(text) if isinstance(text, str) and len(text) <= 2 * ENVELOPE_BYTES_MAX else b""
        envelopes.read_header(sealed)
    except (Failure, ValueError):
        raise ScoreAnswerMalformed(partner=task.node) from None


def _task_id(name: Digest, holder: PartnerId) -> str:
    return f"{SCORE}-{name[:40]}-{holder}"


def take(services: Services, tx: Transaction, now: datetime, task: Task) -> None:
    """A feature holder's sealed share. Raises ScoreAnswerMalformed, which then counts as its refusal."""
    check_answer(task)
    collect(services, tx, now, task)


NODE_REQUESTS: dict[str, NodeHandler] = {"score.ask": ask}
ANSWERS = {SCORE: take, dispatch.refusal_of(SCORE): collect}
