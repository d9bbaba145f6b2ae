"""What every settlement use case looks up first: an active agreement, a statement, and what was announced of it."""

from datetime import datetime

from contracts.settlement import Anchor
from ecowire import codec_settlement, documents
from ecowire.documents import Signed
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from hub import proposals, tasks
from hub.identity import Caller
from hub.records import Head, Partner
from hub.services import FINANCE, Reply, Services, only, text
from hub.settlement_errors import (
    AgreementAmends,
    AgreementNotActive,
    AgreementOtherContract,
    AgreementUnknown,
    AmendmentOpen,
    NotInThisRole,
    StatementAmbiguous,
    StatementNotReleased,
    StatementUnknown,
)
from hub.store import Transaction
from hub.store_ledger import DONE, LedgerStore
from hub.store_settlement import SettlementStore, StatementRecord
from hub.store_statements import StatementLife
from privacy import canonical
from revenue_share import statement
from revenue_share import terms as revenue_terms
from revenue_share.agreement import Agreement, Party
from revenue_share.terms import Terms

FINAL_TASK = "settlement.final"
PROPOSE = "propose"  # the chain step by which a statement gets its place there


def check(services: Services, tx: Transaction, now: datetime, body: Head) -> None:
    """The check of a proposed agreement: its own form, and that it settles in this alliance's contract.

    Raises AgreementInvalid, RuleKindUnknown, AgreementOtherContract; of a later version AgreementUnknown,
    AgreementNotActive, AmendmentOpen, AmendmentInvalid.
    """
    agreement = Agreement.from_body(body)
    if agreement.amends is not None:
        _check_amendment(tx, agreement)
    configured = services.settings.chain
    found, expected = (agreement.chain_id, agreement.contract), (configured.chain_id, configured.contract)
    if (found[0], found[1].lower()) != (expected[0], expected[1].lower()):  # EIP-55 case is a checksum, not a part
        raise AgreementOtherContract(found=f"{found[1]} ({found[0]})", expected=f"{expected[1] or '-'} ({expected[0]})")


def _check_amendment(tx: Transaction, version: Agreement) -> None:
    """One version follows the latest in force, and one at a time: two would be approved for the same place."""
    for proposal in tx.jobs.proposals(kind=proposals.AGREEMENT, states=(proposals.PROPOSED, proposals.APPROVED)):
        if proposal.body.get("amends") == version.amends and proposal.digest != version.digest:
            raise AmendmentOpen(version=str(version.amends)[:16], other=proposal.digest[:16], state=proposal.state)
    before = _approved(tx, version.amends)
    while before.amends is not None:
        before = _approved(tx, before.amends)
    revenue_terms.check_amendment(terms_of(tx, before), version)


KIND = proposals.JobKind(roles=(FINANCE,), check=check)


def active(tx: Transaction, digest: object) -> Agreement:
    """The approved agreement of this digest (or an unambiguous prefix), by its first version, which names it.

    Raises AgreementUnknown, AgreementNotActive, AgreementAmends for the name of a later version.
    """
    found = _approved(tx, digest)
    if found.amends is not None:
        raise AgreementAmends(version=found.digest[:16], amends=found.amends[:16])
    return found


def terms_of(tx: Transaction, root: Agreement) -> Terms:
    """The agreement's first version and those approved later, in their order."""
    approved = tx.jobs.proposals(kind=proposals.AGREEMENT, states=(proposals.APPROVED,))
    return Terms.following(root, (proposal.body for proposal in approved))


def view(services: Services, tx: Transaction, caller: Caller, now: datetime, head: Head) -> Reply:
    """An agreement with its versions in order, each in full; the last one is what the next amendment amends."""
    only(head, "agreement")
    terms = terms_of(tx, active(tx, head.get("agreement")))
    versions: list[canonical.Value] = []
    for version in terms.versions:
        start = version.effective_from.isoformat() if version.effective_from else None
        body = proposals.get(tx, version.digest).body
        versions.append({"digest": version.digest, "version": version.version, "effective_from": start, "body": body})
    return Reply(head={"agreement": terms.digest, "versions": versions})


def _approved(tx: Transaction, digest: object) -> Agreement:
    try:
        proposal = proposals.get(tx, digest)
    except proposals.ProposalUnknown:
        raise AgreementUnknown(agreement=str(digest)[:64]) from None
    if proposal.kind != proposals.AGREEMENT:
        raise AgreementUnknown(agreement=str(digest)[:64])
    if proposal.state != proposals.APPROVED:
        raise AgreementNotActive(agreement=proposal.digest[:16], state=proposal.state)
    return Agreement.from_body(proposal.body)


def all_active(tx: Transaction) -> list[Agreement]:
    """All approved agreements by their first versions, oldest first."""
    found = tx.jobs.proposals(kind=proposals.AGREEMENT, states=(proposals.APPROVED,))
    return [Agreement.from_body(proposal.body) for proposal in found if "amends" not in proposal.body]


def in_role(agreement: Agreement, partner: Partner, role: str) -> Party:
    """The party of this role, if the partner is it. Raises NotInThisRole."""
    party = agreement.party(partner.id)
    if party is None or party.role != role:
        raise NotInThisRole(partner=partner.id, role=role, agreement=agreement.digest[:16])
    return party


def get(tx: Transaction, prefix: object) -> StatementRecord:
    """The statement of an id or an unambiguous prefix of at least 8 digits. Raises StatementUnknown, …Ambiguous."""
    books = SettlementStore(tx.session)
    known = isinstance(prefix, str) and 8 <= len(prefix) <= 64 and not set(prefix) - set("0123456789abcdef")
    found = books.find(str(prefix)) if known else ()
    if not found:
        raise StatementUnknown(statement=str(prefix)[:64])
    if len(found) > 1:
        raise StatementAmbiguous(prefix=str(prefix))
    record = books.statement(found[0])
    assert record is not None
    return record


def signed_document(
    message: Message, field: str, kind: str, partner: Partner, fields: set[str] | None = None
) -> Signed:
    """The document that a partner's request brings under `field`, its own; its signature is not yet verified.

    Raises MalformedMessage, NotInThisRole.
    """
    only(message.head, field)
    document = documents.parse(message.head.get(field), kind=kind)
    if document.signer != partner.id:
        raise NotInThisRole(partner=partner.id, role=f"signer of this {kind}", agreement="-")
    if fields is not None and set(document.body) != fields:
        raise MalformedMessage(why=f"a {kind} has the fields {sorted(fields)}")
    return document


def signed_statement(tx: Transaction, document: Signed, partner: Partner) -> tuple[StatementRecord, Agreement]:
    """The statement that a party's signed document names in full, the signature verified under the agreement's key.

    Raises StatementUnknown, NotInThisRole, MalformedMessage, BadSignature.
    """
    record = get(tx, document.body["statement"])
    agreement = active(tx, record.agreement)
    party = agreement.party(partner.id)
    if party is None:
        raise NotInThisRole(partner=partner.id, role="party", agreement=agreement.digest[:16])
    if document.body["statement"] != record.id:
        raise MalformedMessage(why="a signed document names a statement in full")
    document.verify(party.signing)
    for name in ("person", "time"):
        text(document.body, name, longest=200)
    return record, agreement


def require_released(tx: Transaction, record: StatementRecord) -> None:
    """Raises StatementNotReleased for a draft that only its maker has seen. Without a maker on record it went out."""
    life = StatementLife(tx.session)
    maker = life.maker(record.id)
    if maker is not None and life.check(record.id) is None:
        raise StatementNotReleased(statement=record.id[:16], maker=maker.person)


def value_of(record: StatementRecord) -> statement.Statement:
    """The stored body as a value. Its digest is its id, or the database was changed behind our back."""
    made = statement.from_body(record.body)
    assert made.id == record.id, f"the stored statement {record.id[:16]} is not what its id says"
    return made


def move(
    services: Services,
    tx: Transaction,
    record: StatementRecord,
    target: statement.State,
    now: datetime,
    facts: Head | None = None,
    closes_at: datetime | None = None,
) -> None:
    """The one way a statement changes state: checked against the table, with a leaf. Raises StatementTransition."""
    statement.check_transition(statement.State(record.state), target)
    SettlementStore(tx.session).set_state(record, target.value, now, closes_at)
    told: Head = {"state": target.value, **(facts or {})}
    services.log.append(tx, now, f"statement.{target.value.lower()}", record.id, facts=told)


def announce(tx: Transaction, agreement: Agreement, record: StatementRecord, state: str, now: datetime) -> None:
    """Tell both parties' nodes what became of a statement, with the chain transactions so far."""
    sealed = [i.transaction for i in LedgerStore(tx.session).intents(statement=record.id, state=DONE)]
    transactions: list[canonical.Value] = [*sealed]
    told = len(tx.evidence.leaves(subject=record.id))  # grows with every move, so a state can come twice
    for party in agreement.parties:
        head: Head = {"statement": record.id, "state": state, "transactions": transactions}
        task_id = f"statement-{record.id[:32]}-{told}-{state.lower()}-{party.partner}"
        tasks.post(tx, now, task_id=task_id, node=party.partner, kind=FINAL_TASK, head=head)


def on_chain(tx: Transaction, record: StatementRecord) -> bool:
    """Whether the chain has taken this statement: it then has a place there, whatever became of it."""
    return any(i.kind == PROPOSE for i in LedgerStore(tx.session).intents(statement=record.id, state=DONE))


def anchor_of(record: StatementRecord) -> Anchor:
    """The stored statement's anchor."""
    return codec_settlement.anchor(value_of(record))
