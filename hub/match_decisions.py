"""Mode count-then-rows: both parties' people decide, after the count, whether the leader gets rows.

A decision is a signed document, kept with its leaf. It only tells the hub to ask the party's node for its next step:
what is decided travels sealed, between the nodes.
"""

from datetime import datetime

from ecowire import documents, status
from ecowire.stream import Message
from hub import proposals
from hub.match_documents import DECISION, DECISION_FIELDS, DECISIONS, MatchDocumentInvalid
from hub.proposals import ProposalState, ProposalUnknown
from hub.records import Partner, Proposal
from hub.services import NodeHandler, Reply, Services, text
from hub.store import Transaction
from privacy.ids import PartnerId, parse_digest
from privacy.psi.count_then_rows import DECISION as PHASE
from privacy.psi.job import COUNT_THEN_ROWS

PHASES, ASKED = "parties", "decided"  # of a job's progress


def take(services: Services, tx: Transaction, partner: Partner, now: datetime, message: Message) -> Reply:
    """Take a party's decision on the rows of a running match; gives the receipt.

    Raises MalformedMessage, BadSignature, ProposalUnknown, ProposalState, MatchDocumentInvalid.
    """
    document = documents.parse(message.head.get("decision"), kind=DECISION)
    if document.signer != partner.id:
        raise MatchDocumentInvalid(what=DECISION, node=partner.id, why="it is signed by another party")
    document.verify(partner.signing_public)
    body = document.body
    if set(body) != DECISION_FIELDS or body["decision"] not in DECISIONS or body["partner"] != partner.id:
        raise status.MalformedMessage(why="a decision's fields")
    for name in ("person", "time"):
        text(body, name, longest=500)
    digest = parse_digest(body["job"])
    job = tx.jobs.proposal(digest)
    if job is None or job.kind != "match" or partner.id not in job.parties:
        raise ProposalUnknown(digest=digest[:16])
    if job.state != proposals.RUNNING or job.body["mode"] != COUNT_THEN_ROWS:
        raise ProposalState(digest=digest[:16], state=job.state)
    count, least = body["count"], int(str(job.body["minimum"]))
    if type(count) is not int or count < least:
        raise MatchDocumentInvalid(what=DECISION, node=partner.id, why="its count")
    if any(found.document.signer == partner.id for found in tx.jobs.documents(digest, DECISION)):
        raise MatchDocumentInvalid(what=DECISION, node=partner.id, why="it was given before")
    tx.jobs.add_document(digest, document, now)
    receipt = services.log.record(tx, now, document, digest)
    tx.signal("job", digest)
    return Reply(head={"receipt": receipt.to_value()})


def waits(job: Proposal, party: PartnerId) -> bool:
    """Whether a party's last answer said that its people must decide."""
    parties = job.progress.get(PHASES)
    value = parties.get(party) if isinstance(parties, dict) else None
    return isinstance(value, dict) and value.get("phase") == PHASE


def due(tx: Transaction, job: Proposal, party: PartnerId) -> bool:
    """Whether a party waits with a decision that has come, and was not asked for its next step for that."""
    asked = job.progress.get(ASKED, [])
    assert isinstance(asked, list), "written below"
    if party in asked or not waits(job, party):
        return False
    return any(found.document.signer == party for found in tx.jobs.documents(job.digest, DECISION))


def ask_once(tx: Transaction, job: Proposal, party: PartnerId) -> Proposal:
    """Note that a party is asked for the step that follows its decision: one that keeps waiting is not asked again."""
    asked = job.progress.get(ASKED, [])
    assert isinstance(asked, list), "written here"
    return tx.jobs.set_progress(job, {**job.progress, ASKED: [*asked, party]})


NODE_REQUESTS: dict[str, NodeHandler] = {"match.decision": take}
