"""The terms and the opening position of a statement, as approved documents and earlier statements give them.

Every statement is computed again in its place in the chain, so each one's closing position is known when the next one
is looked at; a void statement hands on what it opened with.
"""

from dataclasses import dataclass, field

from revenue_share.agreement import Agreement
from revenue_share.dispute import Adjustment
from revenue_share.drawing import after_version_1
from revenue_share.position import Position
from revenue_share.statement import Statement
from revenue_share.terms import Terms
from revenue_share.versions import FIRST
from sandbox.examine.case import Case, Proposal
from sandbox.examine.signatures import PAST_APPROVAL
from sandbox.examine.stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """By a statement's anchor (hex): the position after it, and the latest version up to it."""

    after: dict[str, Position] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    adjusted: set[str] = field(default_factory=set)  # adjustments that stand in a statement which is not void

    def opening(self, claimed: Statement) -> Position:
        """The position a statement opens with; empty where the one it names as previous is not there (`places`)."""
        return self.after.get(claimed.place.previous, Position.empty())

    def version(self, claimed: Statement) -> int:
        """The version that a statement has at least, as those before it have it."""
        return self.versions.get(claimed.place.previous, FIRST)

    def keep(self, anchor: bytes, claimed: Statement, state: str, opening: Position, closing: Position) -> None:
        self.after[anchor.hex()] = opening if state == "VOID" else closing
        self.versions[anchor.hex()] = max(claimed.version, self.version(claimed))


def adjustments_of(case: Case, stored: Stored, root: Agreement, handed: Handed) -> tuple[Adjustment, ...]:
    """What both parties had approved before the statement and no other one holds. Raises DisputeInvalid."""
    drawn_up = case.leaf_place(stored.id)
    approved = {
        str(signed.body.get("adjustment"))
        for _, signed in case.of_kind("adjustment-decision")
        if signed.signer == root.referrer.partner
        and signed.body.get("decision") == "approve"
        and (drawn_up is None or (case.leaf_place(signed.digest) or 0) < drawn_up)
    }
    documents = (signed for _, signed in case.of_kind("adjustment") if signed.signer == root.payer.partner)
    made = (Adjustment.from_body(signed.body, signed.digest) for signed in documents if signed.digest in approved)
    return tuple(one for one in made if one.agreement == root.digest and one.digest not in handed.adjusted)


def in_order(case: Case, found: list[Stored]) -> list[Stored]:
    """Statements of an agreement by their sequence, so that each one's predecessor comes first.

    Those of one place as they were drawn up: what a void draft held is free for the one that replaces it.
    """

    def key(stored: Stored) -> tuple[str, int, int]:
        sequence = stored.body.get("sequence")
        number = sequence if type(sequence) is int else 0
        return str(stored.body.get("agreement")), number, case.leaf_place(stored.id) or 0

    return sorted(found, key=key)


def closing_version_1(claimed: Statement, total_minor: int) -> Position:
    """What a statement of version 1 hands on, by the total as computed again."""
    return after_version_1(claimed.currency, min(0, total_minor + claimed.place.brought_forward_minor))


def terms_of(case: Case, stored: Stored, root: Agreement, claimed: Statement) -> Terms:
    """The terms a statement was drawn up under: the versions that both parties had approved by then.

    Where its body names others, that is the body's difference. Raises AmendmentInvalid.
    """
    if claimed.step is None:
        return Terms.of(root)
    drawn_up = case.leaf_place(stored.id)
    agreements = (proposal for proposal in case.proposals.values() if proposal.kind == "agreement")
    return Terms.following(root, (one.body for one in agreements if _approved_before(case, one, drawn_up)))


def _approved_before(case: Case, proposal: Proposal, drawn_up: int | None) -> bool:
    """Whether both parties' approvals stand in the log before the statement."""
    places = [case.leaf_place(approval.digest) for approval in proposal.approvals]
    if proposal.state not in PAST_APPROVAL or not places:
        return False
    return drawn_up is None or all(place is not None and place < drawn_up for place in places)
