"""Match jobs: the hub's side of private set intersection. It relays what it can't read, and keeps what is signed.

match.start → every party's signed input commitment → match.step to each party as long as envelopes arrive for it →
every party done, with its signed result → COMPLETED. `advance` is a function of the database alone: it handles the
answers that came, and posts what is due next, in one transaction; it runs after every answer and for every open job
at start-up.

The first step (sequence 0) goes to the leader with an empty list; a follower's first step brings it its first
envelopes. Should nothing be under way before all have started, the others are started with an empty list too.

What the hub learns: sizes (committed counts, bytes), and what a result says by itself: the count in mode "count",
which is stored as reported and not recomputed, and the number of common clients in mode "align".
"""

import hashlib
import re
from datetime import datetime

from ecowire import documents, envelopes
from hub import proposals, tasks
from hub.proposals import ProposalInvalid
from hub.records import Envelope, Head, Proposal, Task
from hub.services import DATA, HeadInvalid, NodeHandler, Services, text, whole
from hub.store import Transaction
from hub.store_tasks import FAILED, OPEN
from privacy import canonical, packing
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId

COUNT, ALIGN = "count", "align"
LEADER, FOLLOWER = "leader", "follower"
ENGINES = ("ecdh",)
ID_TYPES = ("resident_id", "phone", "email", "uscc", "hk_id", "account")
BODY_FIELDS = {
    "mode",
    "engine",
    "normaliser",
    "id_type",
    "minimum",
    "parties",
    "purpose",
    "expires",
    "nonce",
    "disclosure",
}
PARTY_FIELDS = {"partner", "role", "asset", "id_column", *proposals.KEYS}
OPTIONAL_FIELDS = {"kind", "version", "title"}
IDENTIFIERS_MAX = 100_000_000
STEP_BYTES_MAX = 64 << 20
START, STEP = "match.start", "match.step"
COMMITMENT, RESULT = "match-commitment", "match-result"


class RelayRefused(Failure):
    code = "RELAY_REFUSED"
    kind = Kind.INTEGRITY
    en = "an envelope of {node} was refused: {why}"
    zh = "{node} 的信封被拒绝：{why}"


class MatchStalled(Failure):
    code = "MATCH_STALLED"
    kind = Kind.INTEGRITY
    en = "no party has anything more to say, and {waiting} has not finished"
    zh = "各方均无后续消息，而 {waiting} 尚未完成"


class MatchDocumentInvalid(Failure):
    code = "MATCH_DOCUMENT_INVALID"
    kind = Kind.INTEGRITY
    en = "the {what} of {node} can't be used: {why}"
    zh = "{node} 的 {what} 不可用：{why}"


def check(services: Services, tx: Transaction, now: datetime, body: Head) -> None:
    """Raises ProposalInvalid unless the body is a match job as the nodes will read it."""
    if unknown := set(body) - BODY_FIELDS - OPTIONAL_FIELDS:
        raise ProposalInvalid(why=f"unknown fields {sorted(unknown)}")
    if missing := BODY_FIELDS - set(body):
        raise ProposalInvalid(why=f"missing fields {sorted(missing)}")
    for name, allowed in (("mode", (COUNT, ALIGN)), ("engine", ENGINES), ("id_type", ID_TYPES)):
        if body[name] not in allowed:
            raise ProposalInvalid(why=f"{name} is one of {', '.join(allowed)}")
    if body["normaliser"] != 1:
        raise ProposalInvalid(why="normaliser is 1")
    minimum = body["minimum"]
    if not isinstance(minimum, int) or isinstance(minimum, bool) or not 1 <= minimum <= IDENTIFIERS_MAX:
        raise ProposalInvalid(why="minimum is a whole number from 1")
    _check_parties(body)


def _check_parties(body: Head) -> None:
    parties = body["parties"]
    assert isinstance(parties, list)
    for party in parties:
        assert isinstance(party, dict)
        if set(party) != PARTY_FIELDS:
            raise ProposalInvalid(why=f"a party has the fields {sorted(PARTY_FIELDS)}")
        for name in ("asset", "id_column"):
            if not isinstance(party[name], str) or not 0 < len(str(party[name])) <= 128:
                raise ProposalInvalid(why=f"{name} of {party['partner']}")
        if party["role"] not in (LEADER, FOLLOWER):
            raise ProposalInvalid(why="a party's role is leader or follower")
    if [party["role"] for party in parties if isinstance(party, dict)].count(LEADER) != 1:
        raise ProposalInvalid(why="exactly one party leads")
    if body["mode"] == COUNT and len(parties) != 2:
        raise ProposalInvalid(why="mode count takes two parties")


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


def _advance(services: Services, tx: Transaction, digest: Digest, now: datetime) -> None:
    job = tx.jobs.proposal(digest)
    assert job is not None and job.kind == "match", "the engine drives match jobs here"
    if job.state == proposals.APPROVED:
        job = proposals.move(services, tx, job, proposals.RUNNING, now)
        _post_starts(tx, job, now)
    if job.state != proposals.RUNNING:
        return
    for task in tx.tasks.unhandled(digest):
        if task.state == FAILED and task.kind in (START, STEP):
            tx.tasks.mark_handled(task.id)
            proposals.fail(services, tx, job, now, tasks.failure_of(task), by=task.node)
            return
        job = _handle(services, tx, job, task, now)
    if len(_signed(tx, job, COMMITMENT)) == len(job.parties):
        _step(services, tx, job, now)


def _handle(services: Services, tx: Transaction, job: Proposal, task: Task, now: datetime) -> Proposal:
    head = task.reply_head or {}
    phase = None
    if task.kind == START:
        _keep(services, tx, job, task.node, COMMITMENT, head.get("commitment"), now)
        phase = "commit"
    elif task.kind == STEP:
        phase = text(head, "phase", default="", longest=64)
        _take_envelopes(tx, job, task)
        done = head.get("done")
        if not isinstance(done, bool):
            raise MatchDocumentInvalid(what="answer", node=task.node, why="done is true or false")
        if head.get("result") is not None:
            _keep(services, tx, job, task.node, RESULT, head["result"], now)
        job = _progress(tx, job, task.node, phase, done)
    tx.tasks.mark_handled(task.id, phase=phase)
    return job


def _keep(
    services: Services,
    tx: Transaction,
    job: Proposal,
    node: PartnerId,
    kind: str,
    value: canonical.Value,
    now: datetime,
) -> None:
    """Verify and keep a party's signed commitment or result, with its leaf; the party gets the receipt."""
    document = documents.parse(value, kind=kind)
    party = next(p for p in job.party_bodies if p["partner"] == node)
    if document.signer != node or document.body.get("job") != job.digest:
        raise MatchDocumentInvalid(what=kind, node=node, why="it is signed by another party or for another job")
    document.verify(bytes.fromhex(str(party["signing"])))
    (_check_commitment if kind == COMMITMENT else _check_result)(job, document)
    if any(found.signer == node for found in _signed(tx, job, kind)):
        raise MatchDocumentInvalid(what=kind, node=node, why="it was given before")
    proposals.keep_document(services, tx, job, document, now)


def _check_commitment(job: Proposal, document: documents.Signed) -> None:
    body = document.body
    try:
        count = whole(body, "count")
        root = text(body, "root", longest=64)
    except HeadInvalid as failure:
        raise MatchDocumentInvalid(what=COMMITMENT, node=document.signer, why=failure.message()) from None
    if not re.fullmatch(r"[0-9a-f]{64}", root) or count > IDENTIFIERS_MAX:
        raise MatchDocumentInvalid(what=COMMITMENT, node=document.signer, why="root and count")


def _check_result(job: Proposal, document: documents.Signed) -> None:
    body, minimum = document.body, job.body["minimum"]
    assert isinstance(minimum, int), "checked when it was proposed"
    if body.get("mode") != job.body["mode"]:
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its mode is another one")
    count = body.get("count")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < minimum):
        # a count below the approved minimum must not be shown by anybody
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its count")


def _take_envelopes(tx: Transaction, job: Proposal, task: Task) -> None:
    """File a party's outgoing envelopes for their recipients; each counter goes up by one, without gaps."""
    arrival = tx.jobs.envelopes(job.digest)
    for data in _unpack(task):
        header = envelopes.read_header(data)
        if header.job != job.digest or header.sender != task.node:
            raise RelayRefused(node=task.node, why="it names another job or sender")
        if header.recipient not in job.parties or header.recipient == header.sender:
            raise RelayRefused(node=task.node, why="its recipient is no other party of this job")
        expected = tx.jobs.next_sequence(job.digest, header.sender, header.recipient)
        if header.sequence != expected:
            raise RelayRefused(node=task.node, why=f"sequence {header.sequence} instead of {expected}")
        tx.jobs.add_envelope(
            Envelope(
                job=job.digest,
                sender=header.sender,
                recipient=header.recipient,
                sequence=header.sequence,
                arrival=arrival,
                size=len(data),
                digest=hashlib.sha256(data).hexdigest(),
                data=data,
            )
        )
        arrival += 1


def _unpack(task: Task) -> list[bytes]:
    if not task.reply_body:
        return []
    listed = packing.unpack(task.reply_body)
    if not isinstance(listed, list) or not all(isinstance(item, bytes) for item in listed):
        raise RelayRefused(node=task.node, why="the body is not a list of envelopes")
    return [item for item in listed if isinstance(item, bytes)]


def _step(services: Services, tx: Transaction, job: Proposal, now: datetime) -> None:
    """Post the next step of every party that has envelopes waiting; end the job when all are done."""
    leader = next(PartnerId(str(p["partner"])) for p in job.party_bodies if p["role"] == LEADER)
    under_way = False
    for party in job.parties:
        if tx.tasks.count(job.digest, kind=STEP, node=party, state=OPEN):
            under_way = True
            continue
        waiting = tx.jobs.waiting_envelopes(job.digest, party, STEP_BYTES_MAX)
        started = tx.tasks.count(job.digest, kind=STEP, node=party) > 0
        if waiting or (party == leader and not started):
            _post_step(tx, job, party, waiting, now)
            under_way = True
    if under_way:
        return
    finished = _finished(job)
    if finished == set(job.parties):
        _complete(services, tx, job, now)
        return
    late = [party for party in job.parties if tx.tasks.count(job.digest, kind=STEP, node=party) == 0]
    for party in late:
        _post_step(tx, job, party, (), now)
    if not late:
        raise MatchStalled(waiting=", ".join(sorted(set(job.parties) - finished)))


def _complete(services: Services, tx: Transaction, job: Proposal, now: datetime) -> None:
    results = {document.signer: document for document in _signed(tx, job, RESULT)}
    for party in job.party_bodies:
        name = PartnerId(str(party["partner"]))
        if name not in results and (party["role"] == LEADER or job.body["mode"] == ALIGN):
            raise MatchDocumentInvalid(what=RESULT, node=name, why="it is missing")
    orders = {str(document.body.get("order", "")) for document in results.values()}
    if job.body["mode"] == ALIGN and len(orders) != 1:
        raise MatchDocumentInvalid(what=RESULT, node=", ".join(sorted(results)), why="the parties' orders differ")
    services.log.append(tx, now, "match-transcript", job.digest, facts=tx.jobs.transcript(job.digest))
    proposals.move(services, tx, job, proposals.COMPLETED, now)


def _post_starts(tx: Transaction, job: Proposal, now: datetime) -> None:
    head: Head = {"job": job.digest, "approvals": proposals.approvals_of(tx, job)}
    for party in job.parties:
        task_id = f"{job.digest[:32]}-start-{party}"
        tasks.post(tx, now, task_id=task_id, node=party, kind=START, head=head, job=job.digest, phase="commit")


def _post_step(tx: Transaction, job: Proposal, party: PartnerId, waiting: tuple[Envelope, ...], now: datetime) -> None:
    sequence = tx.tasks.count(job.digest, kind=STEP, node=party)
    commitments: list[canonical.Value] = [document.to_value() for document in _signed(tx, job, COMMITMENT)]
    head: Head = {"job": job.digest, "commitments": commitments, "sequence": sequence}
    body = packing.pack([envelope.data for envelope in waiting])
    task_id = f"{job.digest[:32]}-step-{sequence}-{party}"
    tasks.post(tx, now, task_id=task_id, node=party, kind=STEP, head=head, body=body, job=job.digest)
    tx.jobs.drop_envelope_data(waiting)


def _signed(tx: Transaction, job: Proposal, kind: str) -> list[documents.Signed]:
    """The job's documents of a kind, in party order."""
    found = {item.document.signer: item.document for item in tx.jobs.documents(job.digest, kind)}
    return [found[party] for party in job.parties if party in found]


def _progress(tx: Transaction, job: Proposal, node: PartnerId, phase: str, done: bool) -> Proposal:
    parties = job.progress.get("parties")
    known: Head = dict(parties) if isinstance(parties, dict) else {}
    known[node] = {"phase": phase, "done": done}
    return tx.jobs.set_progress(job, {**job.progress, "parties": known})


def _finished(job: Proposal) -> set[str]:
    parties = job.progress.get("parties")
    known = parties if isinstance(parties, dict) else {}
    return {name for name, value in known.items() if isinstance(value, dict) and value.get("done") is True}


def _fail_open(services: Services, tx: Transaction, digest: Digest, now: datetime, failure: Failure) -> None:
    job = tx.jobs.proposal(digest)
    assert job is not None
    if job.state in proposals.OPEN_STATES:
        proposals.fail(services, tx, job, now, failure)


KIND = proposals.JobKind(roles=(DATA,), check=check)
NODE_REQUESTS: dict[str, NodeHandler] = {}
