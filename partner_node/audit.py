"""This node as a witness of the hub's logs: it co-signs a checkpoint only if it extends the last one it co-signed.

C2SP tlog-witness in spirit: verify the log's signature under the key pinned at enrolment, demand the RFC 6962
consistency proof from this node's own last co-signed size, refuse a log that shrank or forked, then sign and remember
in one transaction. Receipts of the hub are verified under the same key and kept.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ecowire import checkpoints, documents
from ecowire.documents import Body, Signed
from ecowire.stream import Message
from partner_node import store, times
from partner_node.errors import CheckpointRefused, ReceiptRefused
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.store import Cosigned
from privacy import merkle
from privacy.errors import Failure
from privacy.ids import parse_digest

LOGS = ("audit", "chain")
PROOF_HASHES_MAX = 64
HUB = "hub"


class Witness:
    """Co-signs checkpoints and keeps receipts."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def handlers(self) -> Handlers:
        return {"audit.cosign": self.cosign, "receipt": self.receive_receipt}

    def commands(self) -> Commands:
        return {"receipts": self.receipts}

    def cosign(self, request: Message) -> Answer:
        """Co-sign a checkpoint. Raises CheckpointRefused (shrunk, forked, other log, no proof), BadSignature."""
        log = request.head.get("log")
        if log not in LOGS or not isinstance(log, str):
            raise CheckpointRefused(log=str(log)[:20], why="there is no such log")
        checkpoint = checkpoints.verify(request.head.get("checkpoint"), self._node.log_key)
        origin = f"ecohub/{self._node.alliance}/{log}"
        if checkpoint.origin != origin:
            raise CheckpointRefused(log=log, why=f"its origin is {checkpoint.origin[:80]}, not {origin}")
        last = self._node.database.read(lambda session: store.last_cosigned(session, log))
        if last is not None and last.size == checkpoint.size and last.root == checkpoint.root:
            return Answer(head={"cosignature": last.cosignature.to_value()})
        _check_growth(log, last, checkpoint, request.head)
        now = times.to_text(self._node.clock())
        body: Body = {
            "log": log,
            "origin": origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "time": now,
        }
        cosignature = documents.sign("cosignature", body, self._node.settings.partner, self._node.keys.signing)
        note = str(request.head["checkpoint"])
        made = Cosigned(log=log, size=checkpoint.size, root=checkpoint.root, note=note, cosignature=cosignature)
        return Answer(
            head={"cosignature": cosignature.to_value()},
            write=lambda session: store.keep_cosigned(session, made, now),
        )

    def receive_receipt(self, request: Message) -> Answer:
        """Keep a receipt of the hub. Raises ReceiptRefused, BadSignature."""
        receipt = self.checked_receipt(request.head.get("receipt"))
        now = times.to_text(self._node.clock())
        return Answer(write=lambda session: store.keep_receipt(session, receipt, now))

    def checked_receipt(self, value: object, *, document: str | None = None) -> Signed:
        """A receipt signed under the pinned log key, for this document where one is named.

        Raises MalformedMessage, ReceiptRefused, BadSignature.
        """
        receipt = documents.parse(value, kind="receipt")
        if receipt.signer != HUB:
            raise ReceiptRefused(why=f"it is signed by {receipt.signer}")
        receipt.verify(self._node.log_key)
        if document is not None and receipt.body.get("document") != document:
            raise ReceiptRefused(why="it is for another document than was sent")
        return receipt

    def receipts(self, _: Mapping[str, Any]) -> Body:
        """The receipts this node holds, oldest first."""
        return {"receipts": [r.to_value() for r in self._node.database.read(store.receipts)]}

    def keep(self, session: Session, receipt: Signed) -> None:
        store.keep_receipt(session, receipt, times.to_text(self._node.clock()))


def _check_growth(log: str, last: Cosigned | None, checkpoint: checkpoints.Checkpoint, head: Mapping[str, Any]) -> None:
    old_size, old_root = (last.size, last.root) if last else (0, merkle.root([]))
    if checkpoint.size < old_size:
        raise CheckpointRefused(log=log, why=f"it has {checkpoint.size} leaves, this node co-signed {old_size}")
    if head.get("old_size") != old_size:
        raise CheckpointRefused(log=log, why=f"its proof must start at {old_size}, which this node co-signed last")
    proof = head.get("proof")
    if not isinstance(proof, list) or len(proof) > PROOF_HASHES_MAX:
        raise CheckpointRefused(log=log, why="there is no consistency proof")
    hashes = [bytes.fromhex(parse_digest(item)) for item in proof]
    try:
        merkle.verify_consistency(old_size, old_root, checkpoint.size, checkpoint.root, hashes)
    except Failure as failure:
        raise CheckpointRefused(log=log, why=f"it does not extend the log of {old_size} leaves: {failure}") from None
