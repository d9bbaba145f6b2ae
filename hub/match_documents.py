"""The signed documents of a match at the hub: input commitments and results, verified and kept with their leaves."""

import re
from collections.abc import Mapping
from datetime import datetime

from ecowire import documents
from ecowire.documents import Body
from hub import proposals
from hub.records import Proposal
from hub.services import HeadInvalid, Services, text, whole
from hub.store import Transaction
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import PartnerId
from privacy.psi.discrete_log import BOUND_MAX
from privacy.psi.job import ALIGN, ALIGN_ALL, ALIGN_HIDDEN, COUNT_THEN_ROWS, SUM, MatchJob
from privacy.psi.values import Outcome

COMMITMENT, RESULT, DECISION = "match-commitment", "match-result", "match-decision"
ALIGNMENTS = (ALIGN, ALIGN_ALL, ALIGN_HIDDEN)
DECISION_FIELDS = {"job", "partner", "decision", "count", "person", "time"}
DECISIONS = ("agree", "refuse")
IDENTIFIERS_MAX = 100_000_000


class MatchDocumentInvalid(Failure):
    code = "MATCH_DOCUMENT_INVALID"
    kind = Kind.INTEGRITY
    en = "the {what} of {node} can't be used: {why}"
    zh = "{node} 的 {what} 不可用：{why}"


def keep(
    services: Services,
    tx: Transaction,
    job: Proposal,
    node: PartnerId,
    kind: str,
    value: canonical.Value,
    now: datetime,
) -> None:
    """Verify and keep a party's signed commitment or result, with its leaf; the party gets the receipt.

    Raises MalformedMessage, BadSignature, MatchDocumentInvalid.
    """
    document = documents.parse(value, kind=kind)
    party = next(p for p in job.party_bodies if p["partner"] == node)
    if document.signer != node or document.body.get("job") != job.digest:
        raise MatchDocumentInvalid(what=kind, node=node, why="it is signed by another party or for another job")
    document.verify(bytes.fromhex(str(party["signing"])))
    (_check_commitment if kind == COMMITMENT else _check_result)(job, document)
    if any(found.signer == node for found in signed(tx, job, kind)):
        raise MatchDocumentInvalid(what=kind, node=node, why="it was given before")
    proposals.keep_document(services, tx, job, document, now)


def signed(tx: Transaction, job: Proposal, kind: str) -> list[documents.Signed]:
    """The job's documents of a kind, in party order."""
    found = {item.document.signer: item.document for item in tx.jobs.documents(job.digest, kind)}
    return [found[party] for party in job.parties if party in found]


def check_complete(tx: Transaction, job: Proposal) -> None:
    """Raises MatchDocumentInvalid unless everybody reported, and the reports and transcripts agree."""
    terms = MatchJob.from_body(job.body)
    results = {document.signer: document.body for document in signed(tx, job, RESULT)}
    for name in job.parties:
        if name not in results:
            raise MatchDocumentInvalid(what=RESULT, node=name, why="it is missing")
    _check_transcripts(results)
    orders = {str(body.get("order", "")) for body in results.values()}
    if terms.mode in ALIGNMENTS and len(orders) != 1:
        raise MatchDocumentInvalid(what=RESULT, node=", ".join(sorted(results)), why="the parties' orders differ")
    counts = {str(results[PartnerId(name)].get("count")) for name in terms.entitled}
    if len(counts) != 1:
        raise MatchDocumentInvalid(what=RESULT, node=", ".join(sorted(results)), why="the parties' counts differ")
    refused = {results[PartnerId(name)].get("outcome") == Outcome.REFUSED for name in terms.entitled}
    if len(refused) != 1:
        raise MatchDocumentInvalid(what=RESULT, node=", ".join(sorted(results)), why="only one says rows were refused")


def _check_transcripts(results: Mapping[PartnerId, Body]) -> None:
    """The digests that the two ends of each pair have of all they exchanged are the same."""
    told = {(str(one), peer): digest for one, body in results.items() for peer, digest in _transcripts(body).items()}
    for one, peer in told:
        if told[one, peer] != told.get((peer, one)):
            both = ", ".join(sorted((one, peer)))
            raise MatchDocumentInvalid(what=RESULT, node=both, why="the transcripts of their two ends differ")


def _transcripts(body: Body) -> Mapping[str, canonical.Value]:
    value = body.get("transcripts")
    return value if isinstance(value, dict) else {}


def _check_commitment(job: Proposal, document: documents.Signed) -> None:
    body = document.body
    try:
        count = whole(body, "count")
        root = text(body, "root", longest=64)
    except HeadInvalid as failure:
        raise MatchDocumentInvalid(what=COMMITMENT, node=document.signer, why=failure.message()) from None
    if not _is_digest(root) or count > IDENTIFIERS_MAX:
        raise MatchDocumentInvalid(what=COMMITMENT, node=document.signer, why="root and count")


def _check_result(job: Proposal, document: documents.Signed) -> None:
    """An outcome that the job has for this party; a count from whom it tells one, never below the approved minimum."""
    terms, body = MatchJob.from_body(job.body), document.body
    if body.get("mode") != terms.mode:
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its mode is another one")
    told = _transcripts(body)
    if set(told) != set(terms.peers(document.signer)) or not all(_is_digest(value) for value in told.values()):
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its transcripts")
    outcome, count, total = body.get("outcome"), body.get("count"), body.get("total")
    if outcome not in _outcomes(terms, document.signer):
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its outcome")
    knows = document.signer in terms.entitled and outcome != Outcome.BELOW_MINIMUM
    if knows is not (count is not None) or (knows and (type(count) is not int or count < terms.minimum)):
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its count")
    adds = terms.values is not None and document.signer == terms.leader and outcome == Outcome.SHARED
    if adds is not (total is not None) or (adds and (type(total) is not int or not 0 <= total < BOUND_MAX)):
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="its total")
    if body.get("noise") != (terms.noise.statement() if terms.noise else None):
        raise MatchDocumentInvalid(what=RESULT, node=document.signer, why="what it says of noise")


def _is_digest(value: canonical.Value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _outcomes(terms: MatchJob, party: str) -> set[object]:
    """How the job can end for a party."""
    leads = party == terms.leader
    if party not in terms.entitled:
        return {Outcome.NOT_ENTITLED}
    if terms.mode == COUNT_THEN_ROWS:
        return {Outcome.SHARED if leads else Outcome.GAVE_ROWS, Outcome.REFUSED, Outcome.BELOW_MINIMUM}
    if terms.mode == SUM and not leads:  # it counts, and gets no sum
        return {Outcome.NOT_ENTITLED, Outcome.BELOW_MINIMUM}
    return {Outcome.SHARED, Outcome.BELOW_MINIMUM}
