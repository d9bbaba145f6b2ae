"""The agreements of this node: what its people approved, its own side of them, and their versions."""

from sqlalchemy.orm import Session

from ecowire.documents import Body
from partner_node import store
from partner_node.node import Node
from partner_node.settlement_errors import AgreementNotHere, OtherContract, OtherRole
from privacy.errors import Failure
from privacy.ids import parse_digest
from revenue_share.agreement import Agreement, Party
from revenue_share.terms import Terms

ENDED = ("REFUSED", "EXPIRED", "FAILED", "CANCELLED")


def find_agreement(session: Session, name: str) -> Agreement:
    """The agreement of a digest or its first 8 digits, approved at this node, by its first version.

    Raises AgreementNotHere.
    """
    try:
        proposal = store.proposal(session, name)
    except Failure:
        raise AgreementNotHere(agreement=name[:64]) from None
    found = approved(session, proposal.digest)
    while found.amends is not None:
        found = approved(session, found.amends)
    return found


def approved(session: Session, digest: object) -> Agreement:
    """The agreement that this node's person approved. Its expiry was that of the approval, not of the agreement.

    Raises AgreementNotHere.
    """
    name = parse_digest(digest)
    try:
        proposal = store.proposal(session, name)
    except Failure:
        raise AgreementNotHere(agreement=name[:16]) from None
    decision = store.decision(session, name)
    if proposal.kind != "agreement" or decision is None or decision.decision != "approve":
        raise AgreementNotHere(agreement=name[:16])
    return Agreement.from_body(proposal.body)


def own_party(agreement: Agreement, node: Node, role: str = "") -> Party:
    """This node's side of an agreement. Raises OtherRole where it is none, or another than `role`."""
    party = agreement.party(node.settings.partner)
    if party is None or role not in ("", party.role):
        raise OtherRole(partner=node.settings.partner, role=role or "party", agreement=agreement.digest[:16])
    return party


def check_contract(agreement: Agreement, node: Node) -> None:
    """Raises OtherContract unless the agreement settles in the chain and the contract of this node's settings."""
    settings = node.settings
    found, expected = (agreement.chain_id, agreement.contract), (settings.chain_id, settings.contract)
    if (found[0], found[1].lower()) != (expected[0], expected[1].lower()):  # EIP-55 case is a checksum, not a part
        raise OtherContract(found=f"{found[1]} ({found[0]})", expected=f"{expected[1] or '-'} ({expected[0]})")


def terms_of(session: Session, root: Agreement) -> Terms:
    """The versions of an agreement that this node's people have approved and that have not ended, in their order."""
    standing: list[Body] = []
    for proposal in store.proposals(session):
        if proposal.kind != "agreement" or "amends" not in proposal.body:
            continue
        decision, end = store.decision(session, proposal.digest), store.end(session, proposal.digest)
        if decision is not None and decision.decision == "approve" and (end is None or end[0] not in ENDED):
            standing.append(proposal.body)
    return Terms.following(root, standing)


def before(session: Session, version: Agreement) -> Terms:
    """The terms that a proposed version amends. Raises AgreementNotHere where this node's people approved none such."""
    root = approved(session, version.amends)
    while root.amends is not None:
        root = approved(session, root.amends)
    known = terms_of(session, root).versions
    return Terms.of(*known[: next((i + 1 for i, one in enumerate(known) if one.digest == version.amends), 1)])
