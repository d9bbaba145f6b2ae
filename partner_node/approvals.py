"""Jobs and the people of this node: what was proposed, who answered, and whether everybody said yes to the same job.

A proposal's digest is its identity. It is stored only if its body has that digest and names this node's own keys. A
person approves exactly that digest; the answer is a signed document in the outbox. Others' keys are believed only from
cards that this node's people pinned; the keys in a proposal must equal them before approving and before taking part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from contracts.keys import parse_address
from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from partner_node import disclosure, sessions, store, times
from partner_node.arguments import flag, optional_text, text
from partner_node.errors import (
    AlreadyDecided,
    CardAlreadyPinned,
    DigestDiffers,
    JobEnded,
    JobExpired,
    NotAParty,
    NotApproved,
    OwnKeyDiffers,
    PeerKeyDiffers,
    PeerNotPinned,
    ProposalInvalid,
)
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.store import Decision, Proposal
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import parse_digest, parse_partner_id
from privacy.printable import is_printable

KINDS = ("match", "train", "agreement")
KEYS = ("signing", "sealing", "chain")
ENDS = ("COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED")
REASON_BYTES_MAX = 8192
PARTIES_MAX = 64
VALID_DAYS_MAX = 366  # an approval is a person's answer about today's data, not a standing permission

Review = Callable[[Body], None]
Admission = Callable[[str, Body], None]  # job, body
Remarks = Callable[[Body], list[disclosure.Pair]]


class Approvals:
    """`reviews`: for each kind of job, a check of its body that raises before a person can approve what can't run.
    `admissions`: the same for what can't run now, though it is in order. `remarks`: what this node's own records have
    to say of a body that passed its review.

    The modules that take part in jobs need these approvals and give the reviews, so wiring fills the table afterwards.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.reviews: dict[str, Review] = {}
        self.admissions: dict[str, Admission] = {}
        self.remarks: dict[str, Remarks] = {}
        self.endings: list[Callable[[], None]] = []  # called after any job was ended from outside

    def handlers(self) -> Handlers:
        return {"proposal": self.receive, "job.ended": self.ended}

    def commands(self) -> Commands:
        return {
            "jobs": self.jobs,
            "job": self.job,
            "approve": lambda arguments: self.decide("approve", arguments),
            "refuse": lambda arguments: self.decide("refuse", arguments),
            "card": lambda _: self._node.card().to_value(),
            "pin": self.pin,
        }

    def receive(self, request: Message) -> Answer:
        """Store a proposal for a person to answer.

        Raises ProposalInvalid, DigestDiffers, NotAParty, OwnKeyDiffers. Unknown or other keys of peers are a person's
        matter: they are reported with the job and refused at approval.
        """
        head = request.head
        kind, body = head.get("kind"), head.get("body")
        if kind not in KINDS or not isinstance(kind, str) or not isinstance(body, dict):
            raise ProposalInvalid(why="its kind or body")
        digest = parse_digest(head.get("digest"))
        found = documents.digest(kind, body)
        if found != digest:
            raise DigestDiffers(what="proposal", found=found[:16], expected=digest[:16])
        check_form(body)
        self._check_own_keys(body, digest)
        now = times.to_text(self._node.clock())
        expires = times.to_text(times.parse(body["expires"], "expires"))
        proposal = Proposal(digest=digest, kind=kind, body=body, received=now, expires=expires)
        return Answer(write=lambda session: store.keep_proposal(session, proposal))

    def ended(self, request: Message) -> Answer:
        """Note how a job ended, for this node's people, and delete what is kept of it with its secrets.

        Whoever says so wrongly only stops the job, which the hub could do by silence. Raises MalformedMessage.
        """
        digest, state, reason = (request.head.get(name) for name in ("job", "state", "reason"))
        name = parse_digest(digest)
        if state not in ENDS or not isinstance(reason, dict) or len(canonical.encode(reason)) > REASON_BYTES_MAX:
            raise MalformedMessage(why="how a job ended")
        if not all(map(is_printable, _texts(reason))):
            raise MalformedMessage(why="a reason with control or invisible characters")
        now = times.to_text(self._node.clock())

        def write(session: Session) -> None:
            store.keep_end(session, name, str(state), reason, now)
            sessions.end_if_running(session, name, now)

        def then() -> None:
            for let_go in self.endings:
                let_go()

        return Answer(write=write, then=then)

    def decide(self, decision: str, arguments: Mapping[str, Any]) -> Body:
        """A person's answer to one job: signed, stored and queued for the hub in one transaction.

        Raises UnknownJob, AmbiguousJob, AlreadyDecided (the same answer again is fine), and for an approval JobExpired,
        PeerNotPinned, PeerKeyDiffers and what the kind's review raises.
        """
        node, now = self._node, self._node.clock()
        proposal = node.database.read(lambda session: store.proposal(session, text(arguments, "job")))
        if decision == "approve":
            self._check_approvable(proposal, now)
        body: Body = {
            "proposal": proposal.digest,
            "kind": proposal.kind,
            "partner": node.settings.partner,  # or approvals of one person for two partners would have one digest
            "decision": decision,
            "reason": optional_text(arguments, "reason") or "",
            "person": text(arguments, "person"),
            "time": times.to_text(now),
        }
        approval = documents.sign("approval", body, node.settings.partner, node.keys.signing)
        made = Decision(
            digest=proposal.digest,
            decision=decision,
            person=text(arguments, "person"),
            time=times.to_text(now),
            approval=approval,
        )
        kept = node.database.write("decide", lambda session: _keep_decision(session, made))
        return {"job": kept.digest, "decision": kept.decision, "person": kept.person, "time": kept.time}

    def require_all(self, job: object, approvals: object) -> Proposal:
        """The proposal of a job that every party approved; called before this node takes part.

        `approvals`: the Signed "approval" documents handed over by the hub, as decoded JSON. Raises UnknownJob,
        JobExpired, NotApproved, BadSignature, PeerNotPinned, PeerKeyDiffers, MalformedMessage.
        """
        proposal = self.require_own(job)
        self._check_peer_keys(proposal.body)
        if not isinstance(approvals, list) or len(approvals) > PARTIES_MAX:
            raise MalformedMessage(why="a list of approvals is expected")
        found = {signed.signer: signed for signed in (documents.parse(item, kind="approval") for item in approvals)}
        for party in parties(proposal.body):
            if party["partner"] not in found:
                raise NotApproved(who=party["partner"], job=proposal.digest[:16])
            _check_approval(found[party["partner"]], party, proposal)
        return proposal

    def require_own(self, job: object) -> Proposal:
        """The proposal of a job that this node's own person approved and that has not expired.

        Raises UnknownJob, NotApproved, JobExpired.
        """
        digest = parse_digest(job)
        proposal, decision = self._node.database.read(
            lambda session: (store.proposal(session, digest), store.decision(session, digest))
        )
        if decision is None or decision.decision != "approve":
            raise NotApproved(who=self._node.settings.partner, job=digest[:16])
        check_time(proposal, self._node.clock())
        return proposal

    def jobs(self, _: Mapping[str, Any]) -> Body:
        """Every proposal with this node's answer and state, oldest first."""
        listed = self._node.database.read(lambda s: [self._line(s, proposal) for proposal in store.proposals(s)])
        return {"jobs": [*listed]}

    def job(self, arguments: Mapping[str, Any]) -> Body:
        """One proposal in full, with what this node says it discloses, and what stands in the way of approving it."""
        name = text(arguments, "job")
        proposal = self._node.database.read(lambda session: store.proposal(session, name))
        line = self._node.database.read(lambda session: self._line(session, proposal))
        blocked: canonical.Value = None
        try:
            self._check_approvable(proposal, self._node.clock())
        except Failure as failure:
            blocked = {"code": failure.code, "en": failure.message("en"), "zh": failure.message("zh")}
        return {**line, "body": proposal.body, "discloses": self._disclosure(proposal), "blocked": blocked}

    def pin(self, arguments: Mapping[str, Any]) -> Body:
        """Pin a partner's card after this node's people checked it with them.

        Raises MalformedMessage or BadSignature for a card that does not hold together, CardAlreadyPinned for another
        card of a partner already pinned unless `replace`.
        """
        card = check_card(arguments.get("card"))

        def apply(session: Session) -> None:
            known = store.pinned(session, card.signer)
            if known is not None and known.digest != card.digest and not flag(arguments, "replace"):
                raise CardAlreadyPinned(peer=card.signer)
            store.pin(session, card, times.to_text(self._node.clock()))

        self._node.database.write("pin", apply)
        return {"partner": card.signer, "name": card.body["name"], "digest": card.digest}

    def _line(self, session: Session, proposal: Proposal) -> Body:
        decision, result = store.decision(session, proposal.digest), store.result(session, proposal.digest)
        state, reason = store.end(session, proposal.digest) or ("OPEN", None)
        return {
            "job": proposal.digest,
            "kind": proposal.kind,
            "purpose": proposal.body["purpose"],
            "parties": [party["partner"] for party in parties(proposal.body)],
            "expires": proposal.expires,
            "decision": decision.decision if decision else None,
            "person": decision.person if decision else None,
            "state": state,
            "reason": reason,
            "result": result.document.body if result else None,
        }

    def _disclosure(self, proposal: Proposal) -> list[canonical.Value]:
        """This node's own sentences; none for a body that it can't run, whatever the proposer says of it."""
        try:
            self.reviews[proposal.kind](proposal.body)
        except Failure:
            return []
        said = disclosure.sentences(proposal.kind, proposal.body, self._node.settings.partner)
        if proposal.kind in self.remarks:
            said += self.remarks[proposal.kind](proposal.body)
        return [{"en": en, "zh": zh} for en, zh in said]

    def _check_approvable(self, proposal: Proposal, now: datetime) -> None:
        check_time(proposal, now)
        ended = self._node.database.read(lambda session: store.end(session, proposal.digest))
        if ended is not None:
            raise JobEnded(job=proposal.digest[:16], state=ended[0])
        if proposal.expires > times.to_text(now + timedelta(days=VALID_DAYS_MAX)):
            raise ProposalInvalid(why=f"it is valid for more than {VALID_DAYS_MAX} days")
        self._check_own_keys(proposal.body, proposal.digest)
        self._check_peer_keys(proposal.body)
        self.reviews[proposal.kind](proposal.body)
        if proposal.kind in self.admissions:
            self.admissions[proposal.kind](proposal.digest, proposal.body)

    def _check_own_keys(self, body: Body, digest: str) -> None:
        own = self._node.card().body
        for party in parties(body):
            if party["partner"] == self._node.settings.partner:
                for name in KEYS:
                    if party[name] != own[name]:
                        raise OwnKeyDiffers(key=name)
                return
        raise NotAParty(job=digest[:16])

    def _check_peer_keys(self, body: Body) -> None:
        for party in parties(body):
            peer = party["partner"]
            if peer == self._node.settings.partner:
                continue
            card = self._pinned(peer)
            if card is None:
                raise PeerNotPinned(peer=peer)
            for name in KEYS:
                if card.body[name] != party[name]:
                    raise PeerKeyDiffers(peer=peer, key=name)

    def _pinned(self, peer: str) -> Signed | None:
        return self._node.database.read(lambda session: store.pinned(session, peer))


def parties(body: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """The parties of a body whose form was checked."""
    listed: list[dict[str, Any]] = body["parties"]
    return listed


def party(body: Mapping[str, Any], partner: str) -> dict[str, Any]:
    """One partner's part of a job. Raises NotAParty."""
    for item in parties(body):
        if item["partner"] == partner:
            return item
    raise NotAParty(job="this job")


def check_form(body: Body) -> None:
    """Raises ProposalInvalid unless a body has what every proposal has: distinct parties with keys, purpose, expiry.

    Text that a terminal would obey instead of show is refused wherever it stands: people decide by what they see.
    """
    if not all(map(is_printable, _texts(body))):
        raise ProposalInvalid(why="a text with control or invisible characters")
    listed = body.get("parties")
    if not isinstance(listed, list) or not 1 <= len(listed) <= PARTIES_MAX:
        raise ProposalInvalid(why="its parties")
    names = []
    for item in listed:
        if not isinstance(item, dict) or any(not isinstance(item.get(name), str) for name in ("partner", *KEYS)):
            raise ProposalInvalid(why="a party's name or keys")
        names.append(parse_partner_id(item["partner"]))
    if len(set(names)) != len(names):
        raise ProposalInvalid(why="a party is named twice")
    if not isinstance(body.get("purpose"), str) or not body["purpose"]:
        raise ProposalInvalid(why="its purpose")
    sentences = body.get("disclosure", [])
    if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
        raise ProposalInvalid(why="its disclosure")
    times.parse(body.get("expires"), "expires")


def _texts(value: canonical.Value) -> Iterator[str]:
    """Every text in a value, names of fields too."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for name, item in value.items():
                yield name
                yield from _texts(item)


def check_card(value: object) -> Signed:
    """A partner card whose signature holds under its own signing key. Raises MalformedMessage, BadSignature."""
    card = documents.parse(value, kind="card")
    body = card.body
    if set(body) != {"partner", "name", *KEYS} or body["partner"] != card.signer or not isinstance(body["name"], str):
        raise MalformedMessage(why="a partner card")
    for name in ("signing", "sealing"):
        parse_digest(body[name])  # 32 bytes in hex, as a digest is
    parse_address(body["chain"])
    card.verify(bytes.fromhex(str(body["signing"])))
    return card


def check_time(proposal: Proposal, now: datetime) -> None:
    """Raises JobExpired."""
    if times.to_text(now) >= proposal.expires:
        raise JobExpired(job=proposal.digest[:16], expires=proposal.expires)


def _check_approval(signed: Signed, party: Mapping[str, Any], proposal: Proposal) -> None:
    signed.verify(bytes.fromhex(str(party["signing"])))
    said = tuple(signed.body.get(name) for name in ("proposal", "kind", "decision"))
    partner = signed.body.get("partner", signed.signer)  # approvals of earlier versions name none
    if (*said, partner) != (proposal.digest, proposal.kind, "approve", signed.signer):
        raise NotApproved(who=signed.signer, job=proposal.digest[:16])


def _keep_decision(session: Session, made: Decision) -> Decision:
    known = store.decision(session, made.digest)
    if known is not None:
        if known.decision != made.decision:
            raise AlreadyDecided(job=made.digest[:16], decision=known.decision)
        return known
    store.keep_decision(session, made)
    request = Message(id=f"approval/{made.digest}", kind="approval", head={"approval": made.approval.to_value()})
    store.enqueue(session, request, made.time)
    return made


def sealing_key(body: Mapping[str, Any], partner: str) -> bytes:
    """A party's 32-byte sealing key, as everybody approved it."""
    return bytes.fromhex(party(body, partner)["sealing"])


def signing_key(body: Mapping[str, Any], partner: str) -> bytes:
    """A party's 32-byte signing key, as everybody approved it."""
    return bytes.fromhex(party(body, partner)["signing"])
