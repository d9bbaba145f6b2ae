"""The one gate through which anything leaves this node.

Envelopes are sealed here and nowhere else; replies and requests in clear pass here on their way to the stream. `tap`
sees each plain content before sealing and TLS. The product has none; the canary test hands in a recorder and searches
what it saw for rows, hashes and encodings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ecowire import envelopes, limits
from ecowire.envelopes import Header
from ecowire.status import MessageTooLarge
from ecowire.stream import Message
from privacy import canonical, seal

Tap: TypeAlias = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Seals and passes on. `tap(kind, plain)` is called for every content, in the order of leaving."""

    signing: seal.SigningKey
    tap: Tap | None = None

    def seal(self, plain: bytes, *, kind: str, header: Header, sealing_public: bytes) -> bytes:
        """An envelope for another node (ecowire.envelopes). `kind` names the plain for the tap: "match", "train" …"""
        self._note(f"envelope/{kind}", plain)
        return envelopes.make(plain, header=header, sealing_public=sealing_public, key=self.signing)

    def share(self, plain: bytes, *, header: canonical.Value, sealing_public: bytes) -> bytes:
        """A key share sealed for another node, bound to the header that its dealer signs (federation.horizontal)."""
        self._note("envelope/share", plain)
        return seal.seal(plain, header, sealing_public)

    def message(self, message: Message) -> Message:
        """A request or reply on its way to the hub, unchanged."""
        direction = "reply" if message.reply_to else "request"
        self._note(f"{direction}/{message.kind}", canonical.encode(message.head) + message.body)
        return message

    def enrolment(self, csr: bytes, card: bytes) -> tuple[bytes, bytes]:
        """The signing request and the card on their way to the enrolment port, unchanged."""
        self._note("enrolment", csr + card)
        return csr, card

    def renewal(self, csr: bytes) -> bytes:
        """The signing request of a renewal, unchanged."""
        self._note("renewal", csr)
        return csr

    def _note(self, kind: str, plain: bytes) -> None:
        if self.tap is not None:
            self.tap(kind, plain)


def check_size(message: Message) -> None:
    """Raises MessageTooLarge for what the stream would not take: it must not be stored, to be refused for ever."""
    sizes = ((len(canonical.encode(message.head)), limits.HEAD_BYTES_MAX), (len(message.body), limits.BODY_BYTES_MAX))
    for size, limit in sizes:
        if size > limit:
            raise MessageTooLarge(size=size, limit=limit)
