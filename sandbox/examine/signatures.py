"""Every signed document under the keys that the parties published, and every approval under its proposal."""

from ecowire import documents
from privacy import canonical
from privacy.errors import Failure
from sandbox.examine import forms
from sandbox.examine.case import HUB, Case, Proposal

PAST_APPROVAL = ("APPROVED", "RUNNING", "PAUSED", "COMPLETED")
KEYS = ("signing", "sealing", "chain")


def check(case: Case) -> None:
    """Cards, documents and proposals. Keys come from trust.toml alone."""
    for name, signed in sorted(case.signed.items()):
        if verify(case, name, signed) and signed.kind == "card":
            check_keys(case, name, signed.body)
    for proposal in case.proposals.values():
        _check_proposal(case, proposal)


def verify(case: Case, where: str, signed: documents.Signed) -> bool:
    """Whether a document's signature holds under the pinned key of its signer; a finding where not."""
    if signed.signer == HUB:
        public = case.trust.log_key
    elif signed.signer in case.trust.signers:
        public = case.trust.signers[signed.signer].signing
    else:
        if not case.left_unverified(signed.signer, signed.kind):
            case.sheet.add("SIGNER_UNKNOWN", where, signer=signed.signer)
        return False
    try:
        signed.verify(public)
    except Failure:
        case.sheet.add("SIGNATURE_INVALID", where, signer=signed.signer)
        return False
    case.sheet.holds("signatures")
    return True


def check_keys(case: Case, where: str, said: dict[str, canonical.Value]) -> None:
    """The keys that a card or a proposal gives for a partner must be those the partner published."""
    partner = said.get("partner")
    pinned = case.trust.signers.get(partner) if isinstance(partner, str) else None
    if pinned is None:
        if not case.left_unverified(str(partner), "keys"):
            case.sheet.add("SIGNER_UNKNOWN", where, signer=str(partner)[:32])
        return
    own = {"signing": pinned.signing.hex(), "sealing": pinned.sealing.hex(), "chain": pinned.chain}
    for key in KEYS:
        if key in said and said[key] != own[key]:
            case.sheet.add("KEY_NOT_PINNED", where, key=key, partner=pinned.partner)


def tell_unverified(case: Case) -> None:
    """One warning for each partner without a part in trust.toml: what of it was not verified."""
    for partner, found in sorted(case.unverified.items()):
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
        case.sheet.add("PARTNER_NOT_VERIFIED", "trust.toml", partner=partner[:32], what=what[:200])


def _check_proposal(case: Case, proposal: Proposal) -> None:
    parties = proposal.body.get("parties")
    named = [party for party in parties if isinstance(party, dict)] if isinstance(parties, list) else []
    for party in named:
        check_keys(case, proposal.where, party)
    approved: set[str] = set()
    unverified: set[str] = set()  # it did answer; whether that is its own signature can't be told
    seen: set[str] = set()
    for number, approval in enumerate(proposal.approvals):
        where = f"{proposal.where} approval {number}"
        if not forms.once(case, seen, where, approval.signer) or not verify(case, where, approval):
            if approval.signer in case.unverified and approval.body.get("proposal") == proposal.digest:
                unverified.add(approval.signer)
            continue
        whose = approval.body.get("partner", approval.signer)  # approvals of earlier versions name none
        if approval.kind != "approval" or approval.body.get("proposal") != proposal.digest:
            case.sheet.add("APPROVAL_OF_OTHER", where, what=str(approval.body.get("proposal"))[:64])
        elif whose != approval.signer:
            case.sheet.add("APPROVAL_OF_OTHER", where, what=str(whose)[:32])
        elif approval.body.get("decision") == "approve":
            approved.add(approval.signer)
            case.sheet.holds("approvals")
    if proposal.state in PAST_APPROVAL:
        for party in named:
            if (partner := str(party.get("partner"))) not in approved | unverified:
                facts = {"partner": partner[:32], "kind": proposal.kind, "state": proposal.state}
                case.sheet.add("APPROVAL_MISSING", proposal.where, **facts)
