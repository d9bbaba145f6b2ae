"""Envelopes of one job at this node: opened in sequence, sealed in sequence, counters moved with the job's state.

A `Post` is made for one request. It reads the counters once, advances its own copy while envelopes are opened and made,
and writes them back in the transaction that commits the request's answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from ecowire import envelopes
from ecowire.envelopes import Header
from ecowire.status import MalformedMessage
from partner_node import approvals, sessions
from partner_node.node import Node
from privacy import packing
from privacy.ids import Digest, PartnerId

ENVELOPES_MAX = 4096  # in one request


class Post:
    """One job's envelopes during one request. `kind` names their content for the tap: "match" or "train"."""

    def __init__(self, node: Node, job: Digest, body: Mapping[str, Any], kind: str) -> None:
        self._node = node
        self._job = job
        self._body = body
        self._kind = kind
        self._me = node.settings.partner
        self._next = node.database.read(lambda session: sessions.sequences(session, job))
        self.sealed: list[bytes] = []

    def open(self, envelope: bytes | memoryview) -> tuple[PartnerId, bytes]:
        """(sender, plain) of the next envelope of its sender.

        Raises NotPacked, MalformedMessage, NotAParty, EnvelopeNotForThis, BadSignature, EnvelopeOutOfSequence,
        CannotOpen.
        """
        sender = envelopes.read_header(envelope).sender
        public = approvals.signing_key(self._body, sender)
        place = self._next.get((sender, False), 0)
        expect = Header(job=self._job, sender=sender, recipient=self._me, sequence=place)
        plain = envelopes.open_envelope(envelope, expect=expect, sender_public=public, key=self._node.keys.sealing)
        self._next[sender, False] = place + 1
        return sender, plain

    def seal(self, recipient: str, plain: bytes) -> None:
        """Seal a message to a party of the job; it joins `sealed`. Raises NotAParty."""
        sealing = approvals.sealing_key(self._body, recipient)
        place = self._next.get((recipient, True), 0)
        header = Header(job=self._job, sender=self._me, recipient=PartnerId(recipient), sequence=place)
        self.sealed.append(self._node.outbound.seal(plain, kind=self._kind, header=header, sealing_public=sealing))
        self._next[recipient, True] = place + 1

    def write(self, session: Session) -> None:
        """Store the counters."""
        sessions.set_sequences(session, self._job, self._next)


def unpack_list(body: bytes) -> list[memoryview]:
    """Views of a request's envelopes; an empty body is an empty list. Raises NotPacked, MalformedMessage."""
    value = packing.unpack(body, views=True) if body else []
    if not isinstance(value, list) or len(value) > ENVELOPES_MAX:
        raise MalformedMessage(why="a list of envelopes is expected")
    found = [item for item in value if isinstance(item, memoryview)]
    if len(found) != len(value):
        raise MalformedMessage(why="an envelope is bytes")
    return found


def pack_list(sealed: Sequence[bytes]) -> bytes:
    return packing.pack(list(sealed))
