"""How many ids the sizes of a job let another party test here: what is booked, since what it says can't be checked.

align-all: a follower that deviates can put as many ids into its store as that has slots.
ecdh otherwise: each party sends exactly as many points as it committed to; this node's session takes no other number.
With noise on the count there are dummies beside them; a party that deviates can put ids in their place.
oprf: a receiver that deviates can put more ids into its store than it claims; how many at most is a bound of the
checked options (`privacy.psi.oprf.consistency.identifiers_held`, after Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020,
section on malicious security). A sender's tags test nothing unless it receives rows too. In mode labels a sender can
put as many clients into its store of labels as that has slots.
Mode cached: `match_epochs.Epochs.testable`.
"""

from collections.abc import Mapping

from ecowire.documents import Body
from partner_node import approvals
from privacy.psi import rows
from privacy.psi.allparty import store_slots
from privacy.psi.job import ALIGN_ALL, LABELS, LEADER, noise_of
from privacy.psi.oprf.labels_parameters import label_parameters
from privacy.psi.oprf.parameters import parameters


def testable(body: Body, counts: Mapping[str, int], me: str) -> dict[str, int]:
    """Other party -> ids that it can test here. counts: committed ids of every party. Raises BadSetup for counts that
    the engine `oprf` does not take.
    """
    others = [item for item in approvals.parties(body) if item["partner"] != me]
    if body["mode"] == ALIGN_ALL:
        return {
            item["partner"]: counts[item["partner"]] if item["role"] == LEADER else store_slots(counts[item["partner"]])
            for item in others
        }
    if body["engine"] != "oprf":
        noise = noise_of(body)
        dummies = noise.dummies if noise else 0
        return {item["partner"]: counts[item["partner"]] + dummies for item in others}
    option, found = rows.option_for(str(body["id_type"])), dict[str, int]()
    if body["mode"] == LABELS:
        return {item["partner"]: _of_labels(body, item, counts, me) for item in others}
    for item in others:
        peer = item["partner"]
        as_receiver = parameters(counts[peer], counts[me], rows.BUCKET_KEYS, option)
        as_sender = parameters(counts[me], counts[peer], rows.BUCKET_KEYS, option)
        receives = item["role"] == LEADER or body.get("both") is True
        slots = as_receiver.identifiers_held if receives else as_sender.buckets * as_sender.sender_bucket
        found[peer] = max(counts[peer], slots)
    return found


def _of_labels(body: Body, peer: Mapping[str, str], counts: Mapping[str, int], me: str) -> int:
    terms, name = body["labels"], peer["partner"]
    assert isinstance(terms, dict), "reviewed"
    receives = peer["role"] == LEADER
    receiver, sender = (name, me) if receives else (me, name)
    option = rows.option_for(str(body["id_type"]))
    sizes = label_parameters(counts[receiver], counts[sender], int(str(terms["bytes"])), rows.BUCKET_KEYS, option)
    slots = sizes.identifiers_held if receives else sizes.buckets * sizes.label_shape.slots
    return max(counts[name], slots)
