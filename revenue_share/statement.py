"""A statement: one referrer, one period, its lines under a salted Merkle root, and the life it may lead.

Leaf of a line = RFC 6962 leaf hash of (32-byte salt ‖ canonical line). The total and the referrer's name are committed
to with salts, so what goes on a chain can't be guessed from outside. The statement's id is the digest of its body,
which holds roots and commitments next to the figures: who knows the body can check every one of them.

Rounding is the lines' (`allocation`). What is not paid out is carried forward; nothing is lost. In a statement of
version 1 payable = max(0, total + brought forward), carried forward = min(0, total + brought forward).

Version 2 has a `Step` besides: the versions of the terms it was drawn up under, the digests of the position it opened
with and of the one it hands on, and what became of the balance (`drawing`). Version 3 says in it what became of points
(`points_book.Moves`). Total commitment, root and place are those of version 1, so statements of all versions stand in
one chain; along it versions never go down.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from privacy import canonical, merkle
from privacy.ids import Digest, PartnerId, Period, parse_digest, parse_partner_id, parse_period
from revenue_share.agreement import Agreement
from revenue_share.allocation import AccrualLine
from revenue_share.errors import EventsTooMany, StatementDiffers, StatementTransition
from revenue_share.money import Money
from revenue_share.points_book import Moves
from revenue_share.referral import Verdict
from revenue_share.versions import FIRST, SECOND, THIRD

EVENTS_MAX = 1_000_000  # lines of one statement
SALT_BYTES = 32
NO_DIGEST = "0" * 64


class State(Enum):
    """The life of a statement. DRAFT exists in the books only; from PROPOSED on the contract knows the same state.

    Nothing undoes a final one: what was wrong in it is an adjustment in the next, and a journal's reversing entry takes
    back one posting (a payment that came back), not a statement.
    """

    DRAFT = "DRAFT"
    PROPOSED = "PROPOSED"
    DISPUTED = "DISPUTED"
    FINAL = "FINAL"
    PAID = "PAID"
    ACKED = "ACKED"
    VOID = "VOID"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.PROPOSED, State.DISPUTED, State.VOID}),
    State.PROPOSED: frozenset({State.DISPUTED, State.FINAL}),
    State.DISPUTED: frozenset({State.PROPOSED, State.VOID}),
    State.FINAL: frozenset({State.PAID}),
    State.PAID: frozenset({State.ACKED}),
    State.ACKED: frozenset(),
    State.VOID: frozenset(),
}


def check_transition(state: State, target: State) -> None:
    """Raises StatementTransition for every arrow that is not in the table."""
    if target not in TRANSITIONS[state]:
        legal = ", ".join(sorted(s.value for s in TRANSITIONS[state])) or "-"
        raise StatementTransition(state=state.value, target=target.value, legal=legal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Salts:
    """32 random bytes for each line and for the total."""

    lines: tuple[bytes, ...]
    total: bytes

    def __post_init__(self) -> None:
        every = (*self.lines, self.total)
        if any(len(salt) != SALT_BYTES for salt in every) or len(set(every)) != len(every):
            raise StatementDiffers(what="salts (32 bytes each, none twice)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a statement stands in the chain of one agreement's statements.

    `previous` and `replaces` are the chain digests (EIP-712, 64 hex digits) of the statement before it and of the
    disputed or void one it replaces; NO_DIGEST for none. `brought_forward_minor` is not positive.
    """

    sequence: int = 1
    previous: str = NO_DIGEST
    replaces: str = NO_DIGEST
    brought_forward_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a statement of version 2 or 3 says of the step from one position to the next.

    `terms`: digests of the versions in force until the period's end, the root first. The amounts, in minor units of the
    agreement's currency, say what became of total + brought forward = gross + carried forward; `paid_minor` is gross
    less what is withheld, and VAT where it is paid besides. `points` are version 3's.
    """

    terms: tuple[Digest, ...]
    opening: Digest
    closing: Digest
    gross_minor: int
    vat_minor: int
    withheld_minor: int
    paid_minor: int
    carried_forward_minor: int
    points: Moves | None = None  # None: version 2

    def to_value(self) -> dict[str, canonical.Value]:
        """The fields that it adds to a body; what is paid and carried forward has fields in every version."""
        return {
            "terms": [*self.terms],
            "opening": self.opening,
            "closing": self.closing,
            "gross_minor": self.gross_minor,
            "vat_minor": self.vat_minor,
            "withheld_minor": self.withheld_minor,
            **({"points": self.points.to_value()} if self.points is not None else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The canonical body of a statement, made by `build`; `id` is its digest (document kind "statement")."""

    agreement: Digest
    payer: PartnerId
    referrer: PartnerId
    period: Period
    currency: str
    place: Place
    lines: int
    lines_root: str
    total_minor: int
    payable_minor: int
    carried_forward_minor: int
    total_commitment: str
    partner_commitment: str
    step: Step | None = None  # None: version 1

    @property
    def version(self) -> int:
        if self.step is None:
            return FIRST
        return SECOND if self.step.points is None else THIRD

    @property
    def terms_commitment(self) -> str:
        """64 hex digits: what the chain holds of the terms; the agreement's digest, or that of all versions named."""
        if self.step is None:
            return self.agreement
        return canonical.digest("ecohub/terms/v1", [*self.step.terms]).hex()

    @property
    def body(self) -> dict[str, canonical.Value]:
        return {
            "kind": "statement",
            "version": self.version,
            "agreement": self.agreement,
            "payer": self.payer,
            "referrer": self.referrer,
            "period": self.period,
            "currency": self.currency,
            "sequence": self.place.sequence,
            "previous": self.place.previous,
            "replaces": self.place.replaces,
            "lines": self.lines,
            "lines_root": self.lines_root,
            "total_minor": self.total_minor,
            "brought_forward_minor": self.place.brought_forward_minor,
            "payable_minor": self.payable_minor,
            "carried_forward_minor": self.carried_forward_minor,
            "total_commitment": self.total_commitment,
            "partner_commitment": self.partner_commitment,
            **(self.step.to_value() if self.step is not None else {}),
        }

    @property
    def id(self) -> Digest:
        return Digest(canonical.digest("ecohub/statement/v1", self.body).hex())

    @property
    def period_number(self) -> int:
        """The period as yyyymm, as the contract takes it."""
        return int(self.period.replace("-", ""))


def build(
    agreement: Agreement,
    period: Period,
    place: Place,
    lines: Sequence[AccrualLine],
    salts: Salts,
    step: Step | None = None,
    keep: Callable[[bytes, bytes], None] | None = None,
) -> Statement:
    """The statement of allocated lines under the agreement's first version; with a step one of version 2 or 3.

    The lines are gone through once. `keep`, where given, takes each one's canonical bytes and its salt, in order.
    Raises EventsTooMany over EVENTS_MAX lines, AmountTooLarge where the total leaves the limit, StatementDiffers where
    there is not one salt a line, the place is impossible, or the step's points are not those of the lines.
    """
    if len(lines) > EVENTS_MAX:
        raise EventsTooMany(count=len(lines), limit=EVENTS_MAX)
    if len(salts.lines) != len(lines):
        raise StatementDiffers(what="number of salts")
    if place.sequence < 1 or (step is None and place.brought_forward_minor > 0):
        raise StatementDiffers(what="place (sequence, brought forward)")
    minor, points, leaves = _hashed(lines, salts, keep)
    if step is not None and step.points is not None and points != _by_verdict(step.points):
        raise StatementDiffers(what="points")
    total = Money(currency=agreement.currency, minor=minor)
    balance = total.minor + place.brought_forward_minor
    return Statement(
        agreement=agreement.digest,
        payer=agreement.payer.partner,
        referrer=agreement.referrer.partner,
        period=period,
        currency=agreement.currency,
        place=place,
        lines=len(lines),
        lines_root=merkle.root(leaves).hex(),
        total_minor=total.minor,
        payable_minor=max(0, balance) if step is None else step.paid_minor,
        carried_forward_minor=min(0, balance) if step is None else step.carried_forward_minor,
        total_commitment=total_commitment(total, salts.total),
        partner_commitment=partner_commitment(agreement),
        step=step,
    )


def _hashed(
    lines: Iterable[AccrualLine], salts: Salts, keep: Callable[[bytes, bytes], None] | None
) -> tuple[int, Counter[str], list[bytes]]:
    """The sum of the lines' money, their points by verdict, and their leaf hashes."""
    minor, points, leaves = 0, Counter[str](), []
    for line, salt in zip(lines, salts.lines, strict=True):
        encoded = canonical.encode(line.to_value())
        leaves.append(merkle.leaf_hash(salt + encoded))
        if not line.asset:
            minor += line.amount_minor
        else:
            points[line.verdict.value] += line.amount_minor
        if keep is not None:
            keep(encoded, salt)
    return minor, points, leaves


def _by_verdict(points: Moves) -> Counter[str]:
    """What the lines of these points sum up to."""
    return Counter(
        {
            Verdict.COUNTED.value: points.earned,
            Verdict.REDEEMED.value: -points.redeemed,
            Verdict.TAKEN_BACK.value: -points.taken_back,
            Verdict.POINTS_EXPIRED.value: -points.expired,
        }
    )


def leaf_data(line: AccrualLine, salt: bytes) -> bytes:
    """What RFC 6962 hashes for a line: 32-byte salt ‖ canonical line."""
    return salt + canonical.encode(line.to_value())


def leaf_hashes(lines: Sequence[AccrualLine], salts: Salts) -> list[bytes]:
    """The leaf hashes in line order."""
    return [merkle.leaf_hash(leaf_data(line, salt)) for line, salt in zip(lines, salts.lines, strict=True)]


def total_commitment(total: Money, salt: bytes) -> str:
    """64 hex digits: binds the signed total in minor units, hidden by the salt."""
    value: canonical.Value = {"salt": salt.hex(), "total_minor": total.minor, "currency": total.currency}
    return canonical.digest("ecohub/total-commitment/v1", value).hex()


def partner_commitment(agreement: Agreement) -> str:
    """64 hex digits: how the contract knows the referrer under this agreement.

    Its salt is drawn from the agreement's nonce, which the parties know and the chain does not, so it is one value for
    all statements of the agreement, and the governor can register the referrer's chain account before the first one.
    """
    salt = canonical.digest_bytes("ecohub/partner-salt/v1", agreement.nonce.encode())
    value: canonical.Value = {"salt": salt.hex(), "partner": agreement.referrer.partner}
    return canonical.digest("ecohub/partner-commitment/v1", value).hex()


def verify(
    agreement: Agreement,
    period: Period,
    place: Place,
    body: canonical.Value,
    lines: Sequence[AccrualLine],
    salts: Salts,
    step: Step | None = None,
) -> Statement:
    """The statement that a disclosed body must be: rebuilt from period, place, lines, salts and step the caller gives.

    Raises StatementDiffers naming the first field that differs.
    """
    if not isinstance(body, dict):
        raise StatementDiffers(what="body")
    mine = build(agreement, period, place, lines, salts, step)
    for field, value in mine.body.items():
        if field not in body or body[field] != value or type(body[field]) is not type(value):
            raise StatementDiffers(what=field)
    if set(body) != set(mine.body):
        raise StatementDiffers(what="set of fields")
    return mine


def read_place(body: canonical.Value) -> tuple[Period, Place]:
    """The period and the place that a disclosed body claims; the caller checks them against the statements it has.

    Raises StatementDiffers where a field is missing or malformed, MalformedIdentifier for a malformed period or digest.
    """
    claimed = from_body(body)
    return claimed.period, claimed.place


def from_body(body: canonical.Value) -> Statement:
    """The statement that a body claims to be: its form is checked, its figures are not (`verify` does that).

    Raises StatementDiffers naming the first field that is missing, unknown or malformed, or MalformedIdentifier.
    """
    if not isinstance(body, dict):
        raise StatementDiffers(what="body")
    place = Place(
        sequence=_int(body, "sequence"),
        previous=parse_digest(body.get("previous")),
        replaces=parse_digest(body.get("replaces")),
        brought_forward_minor=_int(body, "brought_forward_minor"),
    )
    claimed = Statement(
        agreement=parse_digest(body.get("agreement")),
        payer=parse_partner_id(body.get("payer")),
        referrer=parse_partner_id(body.get("referrer")),
        period=parse_period(body.get("period")),
        currency=str(body.get("currency")),
        place=place,
        lines=_int(body, "lines"),
        lines_root=parse_digest(body.get("lines_root")),
        total_minor=_int(body, "total_minor"),
        payable_minor=_int(body, "payable_minor"),
        carried_forward_minor=_int(body, "carried_forward_minor"),
        total_commitment=parse_digest(body.get("total_commitment")),
        partner_commitment=parse_digest(body.get("partner_commitment")),
        step=_step(body) if body.get("version") != FIRST else None,
    )
    if claimed.body != body or body["version"] is True:
        raise StatementDiffers(what="kind, version, currency or set of fields")
    return claimed


def _step(body: dict[str, canonical.Value]) -> Step:
    terms = body.get("terms")
    if not isinstance(terms, list) or not terms:
        raise StatementDiffers(what="terms")
    return Step(
        terms=tuple(parse_digest(item) for item in terms),
        opening=parse_digest(body.get("opening")),
        closing=parse_digest(body.get("closing")),
        gross_minor=_int(body, "gross_minor"),
        vat_minor=_int(body, "vat_minor"),
        withheld_minor=_int(body, "withheld_minor"),
        paid_minor=_int(body, "payable_minor"),
        carried_forward_minor=_int(body, "carried_forward_minor"),
        points=_points(body["points"]) if "points" in body else None,
    )


def _points(value: canonical.Value) -> Moves:
    if not isinstance(value, dict):
        raise StatementDiffers(what="points")
    made = Moves(**{name: _int(value, name) for name in Moves.__slots__})
    if not made.hold:
        raise StatementDiffers(what="points")
    return made


def _int(body: dict[str, canonical.Value], name: str) -> int:
    value = body.get(name)
    if type(value) is not int:
        raise StatementDiffers(what=name)
    return value
