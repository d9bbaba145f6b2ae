"""Private matching at this node: commit to the clients with consent, run the PSI session, keep what this side may know.

match.start   everybody's approvals are checked; ids are read under a grant; out goes a signed commitment.
match.step    envelopes in, envelopes out. The session (privacy.psi) is loaded, advanced and stored again; at its end
              its secrets are deleted, an alignment is kept here, and a signed result with a count goes to the hub.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation.plan import order_digest
from partner_node import approvals, files, match_slots, relay, sessions, store, times
from partner_node.approvals import Approvals
from partner_node.arguments import text
from partner_node.consent import ConsentDesk
from partner_node.errors import (
    AlignmentMissing,
    CommitmentsDiffer,
    ProposalInvalid,
    PurposeNotOffered,
    StepOutOfPlace,
)
from partner_node.match_book import Entry
from partner_node.match_guard import Guard, Share
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.relay import Post
from partner_node.sessions import Aligned, JobSession
from partner_node.store import Proposal, Result
from partner_node.vault import Identifiers, Vault
from privacy import canonical, normalise, packing, psi
from privacy.errors import Failure
from privacy.ids import ClientToken
from privacy.psi.errors import IdentifiersChanged

SALT_BYTES = 32
MODES = ("count", "align")
FIELDS = {
    *("mode", "engine", "normaliser", "id_type", "minimum"),
    *("parties", "purpose", "expires", "nonce", "disclosure"),
}
OPTIONAL_FIELDS = {"kind", "version", "title"}
PARTY_FIELDS = {"partner", "role", "asset", "id_column", *approvals.KEYS}


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is kept of a running match. `psi` is empty until the first step."""

    salt: bytes
    root: bytes
    step: int  # sequence number of the next request
    psi: bytes

    def pack(self) -> bytes:
        return packing.pack({"salt": self.salt, "root": self.root, "step": self.step, "psi": self.psi})


class Matching:
    """The match jobs of one node."""

    def __init__(self, node: Node, jobs: Approvals, desk: ConsentDesk, vault: Vault) -> None:
        self._node = node
        self._jobs = jobs
        self._desk = desk
        self._vault = vault
        self.guard = Guard(node.settings)
        self._read: tuple[str, int, Identifiers] | None = None  # job, consent revision, what was read under both

    def handlers(self) -> Handlers:
        return {"match.start": self.start, "match.step": self.step}

    def commands(self) -> Commands:
        return {"alignment.export": self.export}

    def review(self, body: Body) -> None:
        """Check a match before a person approves it. Raises ProposalInvalid, AssetUnknown, PurposeNotOffered."""
        listed = approvals.parties(body)
        _check_fields(body)
        if body.get("mode") not in MODES or body.get("engine") != "ecdh":
            raise ProposalInvalid(why="this node matches by engine ecdh in the modes count and align")
        if body.get("normaliser") != normalise.VERSION:
            raise ProposalInvalid(why=f"this node's normaliser has version {normalise.VERSION}")
        minimum = body.get("minimum")
        if not isinstance(minimum, int) or isinstance(minimum, bool) or minimum < 1:
            raise ProposalInvalid(why="its minimum")
        roles = [item["role"] for item in listed]
        if roles.count("leader") != 1 or roles.count("follower") != len(roles) - 1:
            raise ProposalInvalid(why="exactly one party leads, the others follow")
        if len(listed) < 2 or (body["mode"] == "count" and len(listed) != 2):
            raise ProposalInvalid(why="its number of parties")
        own = approvals.party(body, self._node.settings.partner)
        asset = self._node.settings.asset(own.get("asset"))
        if body.get("id_type") != asset.id_type or own.get("id_column") != asset.id_column:
            raise ProposalInvalid(why=f"the ids of {asset.name} are {asset.id_type} in {asset.id_column}")
        if body["purpose"] not in asset.purposes:
            raise PurposeNotOffered(asset=asset.name, purpose=str(body["purpose"]))
        self.guard.review(body)

    def admit(self, job: str, body: Body) -> None:
        """Whether this node's rules let a match begin now. Raises what `Guard.admit` does."""
        self._node.database.read(lambda session: self.guard.admit(session, job, body, self._node.clock()))

    def start(self, request: Message) -> Answer:
        """Commit to this side's ids, once.

        What the guard, the desk or the vault refuse is noted for this node's people. Raises JobOver, StepOutOfPlace,
        and what `Approvals.require_all` does.
        """
        proposal = self._jobs.require_all(request.head.get("job"), request.head.get("approvals"))
        if proposal.kind != "match":
            raise ProposalInvalid(why="it is no match")
        self.review(proposal.body)
        if self._node.database.read(lambda session: sessions.load(session, proposal.digest)) is not None:
            raise StepOutOfPlace(job=proposal.digest[:16], expected=0, found="start")
        try:
            self.admit(proposal.digest, proposal.body)
            found = self._identifiers(proposal)
            self._node.database.read(lambda session: self.guard.own(session, proposal, found))
        except Failure as failure:
            refusal, now = failure, self._node.clock()
            return Answer(failure=refusal, write=lambda s: self.guard.refused(s, proposal, refusal, now))
        salt = self._node.entropy(SALT_BYTES)
        root = psi.commitment(found.ids, salt)
        body: Body = {
            "job": proposal.digest,
            "partner": self._node.settings.partner,
            "count": len(found.ids),
            "root": root.hex(),
            "id_type": proposal.body["id_type"],
            "normaliser": normalise.VERSION,
        }
        signed = documents.sign("match-commitment", body, self._node.settings.partner, self._node.keys.signing)
        state = _State(salt=salt, root=root, step=0, psi=b"")
        return Answer(head={"commitment": signed.to_value()}, write=self._keeper(proposal, state))

    def step(self, request: Message) -> Answer:
        """Advance the session by the envelopes of one request.

        A failure ends the match at this node: its secrets are deleted with the refusal. Raises UnknownJob,
        NotApproved, JobExpired, StepOutOfPlace without ending it.
        """
        proposal = self._jobs.require_own(request.head.get("job"))
        state = self._state(proposal, request.head.get("sequence"))
        try:
            return self._advance(proposal, state, request)
        except Failure as failure:
            self._read = None
            refusal, now = failure, self._node.clock()

            def end(session: Session) -> None:
                sessions.end(session, proposal.digest, times.to_text(now))
                self.guard.refused(session, proposal, refusal, now)

            return Answer(failure=refusal, write=end)

    def export(self, arguments: Mapping[str, Any]) -> Body:
        """Write an alignment as CSV (position, token, client_id) for this node's own people.

        Raises UnknownJob, AlignmentMissing, OutputExists, and what desk and vault raise: consent is checked now.
        """
        node, now = self._node, self._node.clock()
        proposal = node.database.read(lambda session: store.proposal(session, text(arguments, "job")))
        rows = node.database.read(lambda session: sessions.alignment(session, proposal.digest))
        if not rows:
            raise AlignmentMissing(job=proposal.digest[:16])
        grant = self._desk.grant(proposal.digest, asset=self._asset(proposal), columns=(), now=now)
        clients = self._vault.clients(grant, [row.row_key for row in rows], now)
        path = Path(text(arguments, "file"))
        lines = [
            (str(i), row.token, client) for i, (row, client) in enumerate(zip(rows, clients.client_ids, strict=True))
        ]
        files.write_csv(path, ("position", "token", "client_id"), lines)
        return {"job": proposal.digest, "file": str(path), "clients": len(lines)}

    def _advance(self, proposal: Proposal, state: _State, request: Message) -> Answer:
        found = self._identifiers(proposal)
        entries: tuple[Entry, ...] = ()
        if state.psi:
            session = psi.load(state.psi, found.ids)
            opening: list[psi.Outgoing] = []
        else:
            session, entries = self._create(proposal, state, found, request.head.get("commitments"))
            opening = session.start()
        post = Post(self._node, proposal.digest, proposal.body, "match")
        for item in opening:
            post.seal(item.recipient, item.message)
        for envelope in relay.unpack_list(request.body):
            sender, plain = post.open(envelope)
            for item in session.receive(sender, plain):
                post.seal(item.recipient, item.message)
        head: Body = {"done": session.done, "phase": session.phase, "result": None}
        if session.done:
            result, keep = self._finish(proposal, session, found)
            head["result"] = result.to_value()
        else:
            later = _State(salt=state.salt, root=state.root, step=state.step + 1, psi=session.dump())
            keep = self._keeper(proposal, later)

        def write(transaction: Session) -> None:
            self.guard.book(transaction, entries)
            keep(transaction)
            post.write(transaction)

        return Answer(head=head, body=relay.pack_list(post.sealed), write=write)

    def _finish(self, proposal: Proposal, session: psi.Session, found: Identifiers) -> tuple[Signed, Any]:
        """The signed result, and the write that keeps it (and the alignment) and deletes the session's secrets."""
        result, moment = session.result(), self._node.clock()
        now = times.to_text(moment)
        shared = result.outcome is psi.Outcome.SHARED
        aligned, order = [], ""
        if isinstance(result, psi.AlignResult) and shared:
            aligned = [
                Aligned(token=ClientToken(token), row_key=found.row_keys[row])
                for token, row in zip(result.tokens, result.rows.tolist(), strict=True)
            ]
            count: int | None = len(aligned)
            order = order_digest(result.tokens)
        else:
            count = result.count if isinstance(result, psi.CountResult) and shared else None
        body: Body = {
            "job": proposal.digest,
            "mode": proposal.body["mode"],
            "outcome": result.outcome.value,
            "count": count,
            "order": order,
            "transcripts": {peer: session.transcript(peer).hex() for peer in self._peers(proposal)},
            "time": now,
        }
        signed = documents.sign("match-result", body, self._node.settings.partner, self._node.keys.signing)
        self._read = None

        def keep(transaction: Session) -> None:
            if result.outcome is not psi.Outcome.NOT_ENTITLED:
                share = Share(count=count, below=int(str(proposal.body["minimum"])))
                self.guard.after(transaction, proposal.digest, share, moment)
            sessions.end(transaction, proposal.digest, now)
            sessions.keep_alignment(transaction, proposal.digest, aligned)
            kept = Result(job=proposal.digest, kind="match", document=signed, file=None, time=now)
            store.keep_result(transaction, kept)

        return signed, keep

    def _create(
        self, proposal: Proposal, state: _State, found: Identifiers, commitments: object
    ) -> tuple[psi.Session, tuple[Entry, ...]]:
        """A fresh session, and what is booked with its first message."""
        counts, context = self._commitments(proposal, state, commitments)
        if psi.commitment(found.ids, state.salt) != state.root:
            raise IdentifiersChanged
        me, now = self._node.settings.partner, self._node.clock()
        slots = match_slots.testable(proposal.body, counts, me)
        entries = self._node.database.read(
            lambda session: self.guard.before(session, proposal, found, counts, slots, now)
        )
        own = approvals.party(proposal.body, me)
        made = psi.create(
            mode=str(proposal.body["mode"]),
            role=str(own["role"]),
            me=me,
            peers=self._peers(proposal),
            ids=found.ids,
            counts=counts,
            context=context,
            minimum=int(str(proposal.body["minimum"])),
            entropy=self._node.entropy,
        )
        return made, entries

    def _commitments(self, proposal: Proposal, state: _State, value: object) -> tuple[dict[str, int], bytes]:
        """(committed count of each party, digest of job and commitments). Raises CommitmentsDiffer, BadSignature."""
        if not isinstance(value, list):
            raise CommitmentsDiffer(why="there is no list of them")
        found = {item.signer: item for item in (documents.parse(one, kind="match-commitment") for one in value)}
        names = [item["partner"] for item in approvals.parties(proposal.body)]
        if sorted(found) != sorted(names) or len(value) != len(names):
            raise CommitmentsDiffer(why="they are not one of each party")
        counts: dict[str, int] = {}
        for name in names:
            signed = found[name]
            signed.verify(approvals.signing_key(proposal.body, name))
            said = [signed.body.get(field) for field in ("job", "partner", "id_type", "normaliser")]
            count = signed.body.get("count")
            if said != [proposal.digest, name, proposal.body["id_type"], normalise.VERSION]:
                raise CommitmentsDiffer(why=f"that of {name} is for something else")
            if not isinstance(count, int) or isinstance(count, bool):
                raise CommitmentsDiffer(why=f"that of {name} has no count")
            counts[name] = count
        if found[self._node.settings.partner].body["root"] != state.root.hex():
            raise CommitmentsDiffer(why="this node committed to something else")
        digests: canonical.Value = [proposal.digest, *(found[name].digest for name in sorted(names))]
        return counts, canonical.digest("ecohub/match-context/v1", digests)

    def _identifiers(self, proposal: Proposal) -> Identifiers:
        """This side's ids, read again only after a restart or a change of consent records."""
        revision = self._desk.revision()
        if self._read is not None and self._read[:2] == (proposal.digest, revision):
            return self._read[2]
        now = self._node.clock()
        grant = self._desk.grant(proposal.digest, asset=self._asset(proposal), columns=(), now=now)
        found = self._vault.identifiers(grant, now)
        self._read = (proposal.digest, revision, found)
        return found

    def _state(self, proposal: Proposal, sequence: object) -> _State:
        kept = self._node.database.read(lambda session: sessions.load(session, proposal.digest))
        if kept is None:
            raise StepOutOfPlace(job=proposal.digest[:16], expected="none", found=str(sequence)[:20])
        value: Any = packing.unpack(kept.state)
        state = _State(salt=value["salt"], root=value["root"], step=value["step"], psi=value["psi"])
        if sequence != state.step:
            raise StepOutOfPlace(job=proposal.digest[:16], expected=state.step, found=str(sequence)[:20])
        return state

    def _keeper(self, proposal: Proposal, state: _State) -> Any:
        kept = JobSession(job=proposal.digest, kind="match", step=state.step, state=state.pack())
        now = times.to_text(self._node.clock())
        return lambda session: sessions.save(session, kept, now)

    def _peers(self, proposal: Proposal) -> list[str]:
        """Whom this side talks to: the leader its followers, a follower its leader."""
        others = [p for p in approvals.parties(proposal.body) if p["partner"] != self._node.settings.partner]
        leaders = [p["partner"] for p in others if p["role"] == "leader"]
        return leaders or [p["partner"] for p in others]

    def _asset(self, proposal: Proposal) -> str:
        asset = approvals.party(proposal.body, self._node.settings.partner).get("asset")
        if not isinstance(asset, str):
            raise MalformedMessage(why="a party's asset")
        return asset


def _check_fields(body: Body) -> None:
    """Raises ProposalInvalid for a field that nobody would obey: people would have approved it for nothing."""
    missing, unknown = FIELDS - set(body), set(body) - FIELDS - OPTIONAL_FIELDS
    if missing or unknown or body.get("kind", "match") != "match":
        raise ProposalInvalid(why=f"its fields {', '.join(sorted(missing | unknown)) or 'kind'}"[:200])
    for item in approvals.parties(body):
        if set(item) != PARTY_FIELDS:
            raise ProposalInvalid(why=f"the fields of {item['partner']}")
