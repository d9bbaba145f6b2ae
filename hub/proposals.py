"""Proposals: one state machine for match jobs, training plans and agreements.

A proposal's digest is its name everywhere. Its parties approve exactly this digest, each with the signing key that
its card registered; the hub only counts. PROPOSED → APPROVED → RUNNING → COMPLETED; it may also end REFUSED, EXPIRED,
FAILED or CANCELLED. A run that lacks something which can come back is PAUSED until a person resumes it. An agreement
stays APPROVED: that is its active state.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ecowire import documents, status
from hub import tasks, times
from hub.records import Approval, Head, Partner, Proposal
from hub.services import HeadInvalid, Services, text
from hub.store import Transaction
from privacy import canonical
from privacy.errors import Failure, Kind
from privacy.ids import Digest, PartnerId, parse_digest, parse_partner_id
from privacy.printable import is_printable, printable

PROPOSED, APPROVED, RUNNING, PAUSED, COMPLETED = "PROPOSED", "APPROVED", "RUNNING", "PAUSED", "COMPLETED"
REFUSED, EXPIRED, FAILED, CANCELLED = "REFUSED", "EXPIRED", "FAILED", "CANCELLED"
TRANSITIONS: dict[str, frozenset[str]] = {
    PROPOSED: frozenset({APPROVED, REFUSED, EXPIRED, CANCELLED, FAILED}),
    APPROVED: frozenset({RUNNING, EXPIRED, CANCELLED, FAILED}),
    RUNNING: frozenset({COMPLETED, PAUSED, EXPIRED, CANCELLED, FAILED}),
    PAUSED: frozenset({RUNNING, EXPIRED, CANCELLED, FAILED}),
    COMPLETED: frozenset(),
    REFUSED: frozenset(),
    EXPIRED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
}
OPEN_STATES = (PROPOSED, APPROVED, RUNNING, PAUSED)
AGREEMENT = "agreement"
ENDED_TASK = "job.ended"
PARTIES_MAX = 64
BODY_BYTES_MAX = 128 << 10
PREFIX_DIGITS_MIN = 8
KEYS = ("signing", "sealing", "chain")
APPROVAL_FIELDS = {"proposal", "kind", "partner", "decision", "reason", "person", "time"}
DECISIONS = ("approve", "refuse")


class ProposalInvalid(Failure):
    code = "PROPOSAL_INVALID"
    kind = Kind.INVALID
    en = "the proposal can't be made: {why}"
    zh = "提案无法提交：{why}"


class ProposalUnknown(Failure):
    code = "PROPOSAL_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no job {digest}; `ecohub data jobs` lists them"
    zh = "不存在任务 {digest}；可用 `ecohub data jobs` 查看列表"


class PrefixShort(Failure):
    code = "PREFIX_TOO_SHORT"
    kind = Kind.INVALID
    en = "{prefix} is too short for a job: give 8 or more of its digest's first digits; `ecohub data jobs` lists them"
    zh = "{prefix} 不能指代任务：请给出任务摘要或其前 8 位以上；可用 `ecohub data jobs` 查看列表"


class ProposalAmbiguous(Failure):
    code = "PROPOSAL_AMBIGUOUS"
    kind = Kind.INVALID
    en = "{prefix} fits more than one job; give more digits (at least 8)"
    zh = "{prefix} 对应多个任务；请给出更多位数（至少 8 位）"


class ProposalState(Failure):
    code = "PROPOSAL_STATE"
    kind = Kind.CONFLICT
    en = (
        "the job {digest} is {state}, where this can't be done; PROPOSED waits for approvals, APPROVED for "
        "`data train start`, RUNNING is followed by `data train status --follow`, PAUSED goes on by "
        "`data train resume`, any other state is its end"
    )
    zh = (
        "任务 {digest} 状态为 {state}，此时不能执行该操作；PROPOSED 等待各方审批，"
        "APPROVED 可用 `data train start` 启动，"
        "RUNNING 可用 `data train status --follow` 跟踪，PAUSED 可用 `data train resume` 继续，其他状态均已结束"
    )


class PartyUnknown(Failure):
    code = "PARTY_UNKNOWN"
    kind = Kind.NOT_FOUND
    en = "there is no active partner {partner}; `ecohub data partners` lists them"
    zh = "不存在有效伙伴 {partner}；可用 `ecohub data partners` 查看列表"


class KeysDiffer(Failure):
    code = "PARTY_KEYS_DIFFER"
    kind = Kind.INTEGRITY
    en = "the {name} key of {partner} in the proposal is not the one of its card"
    zh = "提案中 {partner} 的 {name} 密钥与其名片登记不一致"


class ApprovalOfOther(Failure):
    code = "APPROVAL_OF_OTHER_PROPOSAL"
    kind = Kind.INTEGRITY
    en = "the approval of {partner} is for {found}, which is no proposal it is asked about"
    zh = "{partner} 的审批针对 {found}，并非向其提出的提案"


class AlreadyDecided(Failure):
    code = "ALREADY_DECIDED"
    kind = Kind.CONFLICT
    en = "{partner} has already decided on this job; a decision can't be taken back"
    zh = "{partner} 已就该任务作出决定，不可撤回"


Check = Callable[[Services, Transaction, datetime, Head], None]
Advance = Callable[[Services, Digest], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """What differs between the kinds: who may propose and cancel, and the check of the body."""

    roles: tuple[str, ...]
    check: Check


def propose(
    services: Services, tx: Transaction, now: datetime, proposer: str, kind: str, given: Head, check: Check
) -> Proposal:
    """Record a proposal, fill in its parties' keys, and ask each party's node to show it to its people.

    Raises ProposalInvalid, PartyUnknown, KeysDiffer, or what the kind's own check raises.
    """
    _check_form(given)
    body = _completed(tx, given)
    expires_at = _common(body, now)
    check(services, tx, now, body)
    digest = documents.digest(kind, body)
    known = tx.jobs.proposal(digest)
    if known is not None:
        return known
    proposal = Proposal(
        digest=digest,
        kind=kind,
        body=body,
        proposer=proposer,
        state=PROPOSED,
        reason={},
        progress={},
        created_at=now,
        expires_at=expires_at,
    )
    tx.jobs.add_proposal(proposal)
    services.log.append(tx, now, "proposal", digest, digest=digest, facts={"kind": kind, "proposer": proposer})
    for party in proposal.parties:
        head: Head = {"kind": kind, "digest": digest, "body": body}
        tasks.post(
            tx, now, task_id=f"{digest[:16]}-proposal-{party}", node=party, kind="proposal", head=head, job=digest
        )
    return proposal


def decide(
    services: Services, tx: Transaction, partner: Partner, now: datetime, approval: documents.Signed
) -> documents.Signed:
    """Take a partner's signed decision; gives the receipt. The last needed approval makes the proposal APPROVED.

    Raises BadSignature, ApprovalOfOther, ProposalState, AlreadyDecided, MalformedMessage.
    """
    proposal = _decided(tx, partner, approval)
    known = [found for found in tx.jobs.approvals(proposal.digest) if found.partner == partner.id]
    if known and known[0].document.digest != approval.digest:
        raise AlreadyDecided(partner=partner.id)
    if not known:
        if proposal.state != PROPOSED or now >= proposal.expires_at:
            state = proposal.state if proposal.state != PROPOSED else EXPIRED
            raise ProposalState(digest=proposal.digest[:16], state=state)
        _record(tx, proposal, partner, now, approval)
    receipt = services.log.record(tx, now, approval, proposal.digest, {"decision": text(approval.body, "decision")})
    if not known:  # after the approval's own leaf, so that the log reads in order
        _count(services, tx, proposal, now, approval)
    return receipt


def move(
    services: Services, tx: Transaction, proposal: Proposal, state: str, now: datetime, reason: Head | None = None
) -> Proposal:
    """The one way a proposal changes state: checked against the table, with a leaf; an end drops what is not needed."""
    assert state in TRANSITIONS[proposal.state], f"{proposal.state} -> {state} is not a transition"
    moved = tx.jobs.move(proposal, state, now, reason)
    code = str((reason or {}).get("code", ""))
    services.log.append(tx, now, "job", proposal.digest, facts={"state": state, "kind": proposal.kind, "code": code})
    if not TRANSITIONS[state]:
        tx.tasks.withdraw(proposal.digest)
        tx.jobs.delete_envelopes(proposal.digest)
        tx.runs.forget(proposal.digest)
        _tell(tx, moved, now)
    tx.signal("job", proposal.digest)
    return moved


def _tell(tx: Transaction, ended: Proposal, now: datetime) -> None:
    """Tell each party's node that a job has ended, and why; the request outlives the job's own."""
    head: Head = {"job": ended.digest, "state": ended.state, "reason": ended.reason}
    for party in ended.parties:
        partner = tx.members.partner(party)
        if partner is not None and partner.state == "ACTIVE":
            tasks.post(tx, now, task_id=f"{ended.digest[:32]}-ended-{party}", node=party, kind=ENDED_TASK, head=head)


def fail(
    services: Services, tx: Transaction, proposal: Proposal, now: datetime, why: Failure, by: str = ""
) -> Proposal:
    """End a job as FAILED under the failure's code; `by` names the party whose node reported it."""
    return move(services, tx, proposal, FAILED, now, {**status.to_head(why), "partner": by})


def pause(services: Services, tx: Transaction, proposal: Proposal, now: datetime, why: Failure) -> Proposal:
    """Stop a run that a person may resume. What was asked and answered stays."""
    return move(services, tx, proposal, PAUSED, now, status.to_head(why))


def cancel(services: Services, tx: Transaction, proposal: Proposal, now: datetime, person: str) -> Proposal:
    """End a job by a person's decision. Raises ProposalState where it has ended.

    An agreement that both parties approved is in force: ending it alone would take what was earned under it.
    """
    in_force = proposal.kind == AGREEMENT and proposal.state == APPROVED
    if in_force or CANCELLED not in TRANSITIONS[proposal.state]:
        raise ProposalState(digest=proposal.digest[:16], state=proposal.state)
    return move(services, tx, proposal, CANCELLED, now, {"code": CANCELLED, "person": person})


def expire_due(services: Services, tx: Transaction, now: datetime) -> int:
    """End what has passed its expiry: the parties' grants are void then. An approved agreement is no job, it stays."""
    due = tx.jobs.proposals(states=OPEN_STATES, expired_at=now)
    due = tuple(p for p in due if p.state == PROPOSED or p.kind != AGREEMENT)
    for proposal in due:
        move(services, tx, proposal, EXPIRED, now, {"code": EXPIRED})
    return len(due)


def get(tx: Transaction, prefix: object) -> Proposal:
    """The proposal of a digest or a prefix of at least 8 digits.

    Raises PrefixShort, ProposalUnknown, ProposalAmbiguous.
    """
    digits = isinstance(prefix, str) and not set(prefix) - set("0123456789abcdef")
    if digits and len(str(prefix)) < PREFIX_DIGITS_MIN:
        raise PrefixShort(prefix=str(prefix) or '""')
    found = tx.jobs.find(str(prefix)) if digits and len(str(prefix)) <= 64 else ()
    if not found:
        raise ProposalUnknown(digest=str(prefix)[:64])
    if len(found) > 1:
        raise ProposalAmbiguous(prefix=str(prefix))
    proposal = tx.jobs.proposal(found[0])
    assert proposal is not None
    return proposal


def approvals_of(tx: Transaction, proposal: Proposal) -> list[canonical.Value]:
    """The signed approvals as values, in party order: what goes to the nodes as the basis of their grants."""
    found = {item.partner: item.document for item in tx.jobs.approvals(proposal.digest)}
    return [found[party].to_value() for party in proposal.parties if party in found]


def keep_document(
    services: Services, tx: Transaction, proposal: Proposal, document: documents.Signed, now: datetime
) -> None:
    """Keep a party's verified document of this job, with its leaf; the party's node gets the receipt."""
    tx.jobs.add_document(proposal.digest, document, now)
    receipt = services.log.record(tx, now, document, proposal.digest)
    task_id = f"{document.digest[:32]}-receipt-{document.signer}"
    tasks.post(tx, now, task_id=task_id, node=document.signer, kind="receipt", head={"receipt": receipt.to_value()})


def _decided(tx: Transaction, partner: Partner, approval: documents.Signed) -> Proposal:
    if approval.signer != partner.id:
        raise ApprovalOfOther(partner=partner.id, found=f"a document of {approval.signer}")
    approval.verify(partner.signing_public)
    body = approval.body
    # nodes of earlier versions name no partner in it
    if set(body) not in (APPROVAL_FIELDS, APPROVAL_FIELDS - {"partner"}) or body["decision"] not in DECISIONS:
        raise status.MalformedMessage(why="an approval's fields")
    if body.get("partner", partner.id) != partner.id:
        raise ApprovalOfOther(partner=partner.id, found=f"{str(body['partner'])[:32]!r}")
    for name in ("reason", "person", "time"):
        text(body, name, default="", longest=500)
    digest = parse_digest(body["proposal"])
    proposal = tx.jobs.proposal(digest)
    if proposal is None or proposal.kind != body["kind"] or partner.id not in proposal.parties:
        raise ApprovalOfOther(partner=partner.id, found=digest[:16])
    party = next(p for p in proposal.party_bodies if p["partner"] == partner.id)
    if party["signing"] != partner.signing:
        raise KeysDiffer(name="signing", partner=partner.id)
    return proposal


def _record(tx: Transaction, proposal: Proposal, partner: Partner, now: datetime, approval: documents.Signed) -> None:
    made = Approval(
        proposal=proposal.digest,
        partner=partner.id,
        decision=str(approval.body["decision"]),
        document=approval,
        received_at=now,
    )
    tx.jobs.add_approval(made)


def _count(services: Services, tx: Transaction, proposal: Proposal, now: datetime, approval: documents.Signed) -> None:
    if approval.body["decision"] == "refuse":
        reason: Head = {"code": REFUSED, "partner": approval.signer, "en": approval.body["reason"]}
        move(services, tx, proposal, REFUSED, now, reason)
    elif {found.partner for found in tx.jobs.approvals(proposal.digest)} == set(proposal.parties):
        move(services, tx, proposal, APPROVED, now)


def _check_form(given: Head) -> None:
    """Its size, before anything else looks at it, and every text: no node shows its people what they can't see."""
    if len(canonical.encode(given)) > BODY_BYTES_MAX:
        raise ProposalInvalid(why=f"it is larger than {BODY_BYTES_MAX} bytes")
    if hidden := next(_hidden(given, ""), None):
        raise ProposalInvalid(why=f"{hidden[:80]} has control or invisible characters, which no node takes")


def _hidden(value: canonical.Value, where: str) -> Iterator[str]:
    """Where texts have characters that people don't see. A name that has them is named in its readable form."""
    if isinstance(value, str) and not is_printable(value):
        yield where
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _hidden(one, f"{where}[{number}]")
    elif isinstance(value, dict):
        for name, one in value.items():
            inner = f"{where}.{printable(name)}" if where else printable(name)
            yield from (inner,) if not is_printable(name) else _hidden(one, inner)


def _completed(tx: Transaction, given: Head) -> Head:
    """The body with each party's keys from its card; keys that are given must be the card's."""
    listed = given.get("parties")
    if not isinstance(listed, list) or not 2 <= len(listed) <= PARTIES_MAX:
        raise ProposalInvalid(why=f"2 to {PARTIES_MAX} parties are expected")
    parties: list[canonical.Value] = []
    seen: set[PartnerId] = set()
    for item in listed:
        if not isinstance(item, dict):
            raise ProposalInvalid(why="a party is an object")
        name = parse_partner_id(item.get("partner"))
        partner = tx.members.partner(name)
        if partner is None or partner.state != "ACTIVE":
            raise PartyUnknown(partner=name)
        if name in seen:
            raise ProposalInvalid(why=f"{name} is named twice")
        seen.add(name)
        card: Head = {"signing": partner.signing, "sealing": partner.sealing, "chain": partner.chain}
        for key in KEYS:
            if item.get(key, card[key]) != card[key]:
                raise KeysDiffer(name=key, partner=name)
        parties.append({**item, **card})
    return {**given, "parties": parties}


def _common(body: Head, now: datetime) -> datetime:
    """The expiry, after the checks that every kind shares."""
    if len(canonical.encode(body)) > BODY_BYTES_MAX:  # again: with the parties' keys
        raise ProposalInvalid(why=f"it is larger than {BODY_BYTES_MAX} bytes")
    try:
        text(body, "purpose", longest=400)
        text(body, "nonce", longest=64)
        expires_at = times.parse(body.get("expires"))
    except (HeadInvalid, status.MalformedMessage) as failure:
        raise ProposalInvalid(why=failure.message()) from None
    disclosure = body.get("disclosure")
    if not isinstance(disclosure, list) or not disclosure or not all(isinstance(line, str) for line in disclosure):
        raise ProposalInvalid(why="disclosure must say in sentences who learns what")
    if expires_at <= now:
        raise ProposalInvalid(why="it has expired already")
    return expires_at
