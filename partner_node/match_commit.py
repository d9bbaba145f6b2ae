"""Input commitments of a match: what this side signs before the first message, and the check of everybody's.

Each side's commitment is the Merkle root over its salted ids, with their number. Sessions are bound to all of them by
`context`, so nobody's set can be another one for another peer.
"""

from typing import Any

from ecowire import documents
from ecowire.documents import Body, Signed
from partner_node import approvals
from partner_node.errors import CommitmentsDiffer
from partner_node.node import Node
from partner_node.store import Proposal
from privacy import canonical, normalise
from privacy.ids import PartnerId

KIND = "match-commitment"


def sign(node: Node, proposal: Proposal, count: int, root: bytes, epoch: Body | None = None) -> Signed:
    """This side's commitment to `count` ids under a Merkle root. epoch: of mode cached, `match_epochs` says what."""
    body: Body = {
        "job": proposal.digest,
        "partner": node.settings.partner,
        "count": count,
        "root": root.hex(),
        "id_type": proposal.body["id_type"],
        "normaliser": normalise.VERSION,
        **({"epoch": epoch} if epoch is not None else {}),
    }
    return documents.sign(KIND, body, node.settings.partner, node.keys.signing)


def read(value: object, proposal: Proposal, me: PartnerId, root: bytes) -> tuple[dict[str, int], bytes]:
    """(committed count of each party, digest of job and commitments). Raises CommitmentsDiffer, BadSignature."""
    if not isinstance(value, list):
        raise CommitmentsDiffer(why="there is no list of them")
    found = {item.signer: item for item in (documents.parse(one, kind=KIND) for one in value)}
    names = [PartnerId(item["partner"]) for item in approvals.parties(proposal.body)]
    if sorted(found) != sorted(names) or len(value) != len(names):
        raise CommitmentsDiffer(why="they are not one of each party")
    counts: dict[str, int] = {name: _count(found[name], name, proposal) for name in names}
    if found[me].body["root"] != root.hex():
        raise CommitmentsDiffer(why="this node committed to something else")
    digests: canonical.Value = [proposal.digest, *(found[name].digest for name in sorted(names))]
    return counts, canonical.digest("ecohub/match-context/v1", digests)


def epochs(value: object) -> dict[str, dict[str, Any]]:
    """What each party said of the epoch, in the commitments that `read` took. Raises CommitmentsDiffer."""
    assert isinstance(value, list), "read"
    found = {item.signer: item.body.get("epoch") for item in (documents.parse(one, kind=KIND) for one in value)}
    said: dict[str, dict[str, Any]] = {name: epoch for name, epoch in found.items() if isinstance(epoch, dict)}
    if missing := sorted(found.keys() - said.keys()):
        raise CommitmentsDiffer(why=f"that of {missing[0]} says nothing of the epoch")
    return said


def _count(signed: Signed, name: PartnerId, proposal: Proposal) -> int:
    signed.verify(approvals.signing_key(proposal.body, name))
    said: list[Any] = [signed.body.get(field) for field in ("job", "partner", "id_type", "normaliser")]
    count = signed.body.get("count")
    if said != [proposal.digest, name, proposal.body["id_type"], normalise.VERSION]:
        raise CommitmentsDiffer(why=f"that of {name} is for something else")
    if type(count) is not int or count < 1:  # nobody enters nothing, and shares are taken of these counts
        raise CommitmentsDiffer(why=f"that of {name} has no count")
    return count
