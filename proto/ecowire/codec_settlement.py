"""Settlement on the wire: the sealed disclosure of a statement, and the anchor that both parties sign.

A disclosure holds everything a party needs to compute its statement again: the statement's body, every line with its
salt, the salt of the total, the signed reports that the lines were made from, and the position it opened with, for a
party that has lost its own (the body names its digest). It is sealed with HPKE to the sealing
key that the agreement names for the recipient, under the header {"statement", "recipient"}; nobody else can open it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts import settlement as chain_settlement
from ecowire import documents
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from privacy import canonical, packing, seal
from privacy.ids import Digest, PartnerId
from revenue_share import statement
from revenue_share.statement import Salts, Statement

_FIELDS = {"statement", "lines", "salts", "total_salt", "events", "referrals", "opening", "adjustments"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A statement with its grounds. Nothing in it is verified yet: `lines` are the values as disclosed."""

    body: Body
    lines: tuple[Body, ...]
    salts: Salts
    events: tuple[Signed, ...]
    referrals: tuple[Signed, ...]
    adjustments: tuple[Signed, ...] = ()  # of each the payer's document and the referrer's approval
    opening: Body = field(default_factory=dict)  # the value of the opening position; empty for version 1

    @property
    def id(self) -> Digest:
        """The digest of the disclosed body."""
        return documents.digest("statement", self.body)

    def encode(self) -> bytes:
        """Packed bytes: canonical JSON in byte segments, so that a million lines fit."""
        return packing.pack(
            {
                "statement": canonical.encode(self.body),
                "lines": canonical.encode(list(self.lines)),
                "salts": b"".join(self.salts.lines),
                "total_salt": self.salts.total,
                "events": canonical.encode([document.to_value() for document in self.events]),
                "referrals": canonical.encode([document.to_value() for document in self.referrals]),
                "opening": canonical.encode(self.opening),
                "adjustments": canonical.encode([document.to_value() for document in self.adjustments]),
            }
        )


def decode(data: bytes) -> Disclosure:
    """The disclosure of packed bytes. Raises NotPacked, NotCanonical, StatementDiffers (salts) or MalformedMessage."""
    value = packing.unpack(data)
    if not isinstance(value, dict) or set(value) != _FIELDS:
        raise MalformedMessage(why="not a disclosure")
    parts = {name: part for name, part in value.items() if isinstance(part, bytes)}
    if len(parts) != len(value) or len(parts["salts"]) % statement.SALT_BYTES:
        raise MalformedMessage(why="a disclosure's parts")
    body, lines = canonical.decode(parts["statement"]), _objects(parts["lines"])
    opening = canonical.decode(parts["opening"])
    if not isinstance(body, dict) or not isinstance(opening, dict):
        raise MalformedMessage(why="a statement's body or position")
    width = statement.SALT_BYTES
    salts = tuple(parts["salts"][start : start + width] for start in range(0, len(parts["salts"]), width))
    return Disclosure(
        body=body,
        lines=tuple(lines),
        salts=Salts(lines=salts, total=parts["total_salt"]),
        events=tuple(documents.parse(item, kind="events") for item in _objects(parts["events"])),
        referrals=tuple(documents.parse(item, kind="referrals") for item in _objects(parts["referrals"])),
        opening=opening,
        adjustments=tuple(documents.parse(item) for item in _objects(parts["adjustments"])),
    )


def sealed_for(disclosure: Disclosure, recipient: PartnerId, sealing_public: bytes) -> bytes:
    """The disclosure sealed for one party of the agreement."""
    return seal.seal(disclosure.encode(), _header(disclosure.id, recipient), sealing_public)


def open_disclosure(sealed: bytes, statement_id: Digest, recipient: PartnerId, key: seal.SealingKey) -> Disclosure:
    """Open and decode. Raises CannotOpen for other bytes, another statement or recipient, and what `decode` raises.

    Raises MalformedMessage where the body inside is another statement's than the one it was announced as.
    """
    disclosure = decode(key.open(sealed, _header(statement_id, recipient)))
    if disclosure.id != statement_id:
        raise MalformedMessage(why="the disclosed statement is another than the announced one")
    return disclosure


def anchor(made: Statement) -> chain_settlement.Anchor:
    """What the chain holds of a statement. Raises AnchorInvalid for one without lines."""
    return chain_settlement.Anchor(
        partner=bytes.fromhex(made.partner_commitment),
        sequence=made.place.sequence,
        period=made.period_number,
        previous=bytes.fromhex(made.place.previous),
        root=bytes.fromhex(made.lines_root),
        lines=made.lines,
        total=bytes.fromhex(made.total_commitment),
        terms=bytes.fromhex(made.terms_commitment),
        replaces=bytes.fromhex(made.place.replaces),
    )


def anchor_value(made: Statement) -> Body:
    """The anchor as a canonical value, for views and the evidence bundle."""
    return {
        "partner": made.partner_commitment,
        "sequence": made.place.sequence,
        "period": made.period_number,
        "previous": made.place.previous,
        "root": made.lines_root,
        "lines": made.lines,
        "total": made.total_commitment,
        "terms": made.terms_commitment,
        "replaces": made.place.replaces,
    }


def _header(statement_id: Digest, recipient: PartnerId) -> canonical.Value:
    return {"statement": statement_id, "recipient": recipient}


def _objects(data: bytes) -> Sequence[Body]:
    value = canonical.decode(data)
    if not isinstance(value, list):
        raise MalformedMessage(why="a disclosure's list")
    objects = [item for item in value if isinstance(item, dict)]
    if len(objects) != len(value):
        raise MalformedMessage(why="a disclosure's list of objects")
    return objects
