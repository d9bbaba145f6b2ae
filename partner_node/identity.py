"""This node in an aggregation: its own keys, the others' public keys from the plan that everybody approved.

Peers' keys are believed only because the plan's equal the cards that this node's people pinned (`approvals`). Shares
are sealed at the node's one gate outwards, so that its tap sees them.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from partner_node import approvals
from partner_node.node import Node
from privacy import canonical, seal
from privacy.ids import PartnerId

LABEL = b"ecohub/key-share/v1\x00"  # keeps these signatures apart from those over documents and envelopes
SIGNATURE_BYTES = 64
WHAT = "message of an aggregation"


class NodeIdentity:
    """federation.horizontal.identity.Identity over node keys. `body`: of an approved plan."""

    def __init__(self, node: Node, body: Mapping[str, Any]) -> None:
        self._node = node
        self._body = body

    @property
    def me(self) -> PartnerId:
        return self._node.settings.partner

    def sign(self, message: bytes) -> bytes:
        assert len(message) > SIGNATURE_BYTES, "a labelled message: never the bare digest of a document"
        return self._node.keys.signing.sign(message)

    def verify(self, signer: str, signature: bytes, message: bytes) -> None:
        """Raises NotAParty, BadSignature."""
        seal.verify(approvals.signing_key(self._body, signer), signature, message, signer=signer, what=WHAT)

    def seal(self, recipient: str, plain: bytes, header: canonical.Value) -> bytes:
        """Sealed for a party (HPKE, the header is its info), then signed over header and sealed bytes."""
        public = approvals.sealing_key(self._body, recipient)
        sealed = self._node.outbound.share(plain, header=header, sealing_public=public)
        return sealed + self.sign(_signed(sealed, header))

    def open(self, sender: str, sealed: bytes, header: canonical.Value) -> bytes:
        """Raises NotAParty, BadSignature, CannotOpen."""
        content, signature = sealed[:-SIGNATURE_BYTES], sealed[-SIGNATURE_BYTES:]
        self.verify(sender, signature, _signed(content, header))
        return self._node.keys.sealing.open(content, header)


def _signed(sealed: bytes, header: canonical.Value) -> bytes:
    return LABEL + canonical.encode(header) + hashlib.sha256(sealed).digest()
