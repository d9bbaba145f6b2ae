"""Every statement, recomputed from what the parties signed: the referrer its referrals, the payer its events.

The same pure `allocate` that hub and nodes run gives the lines; the first line that is stored differently is named with
its index and client token. Then root, commitments and totals, and the EIP-712 signatures of both parties under the
accounts of trust.toml.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from contracts import settlement
from contracts.keys import Address
from ecowire import codec_settlement, documents
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest, Period, parse_period
from revenue_share import statement
from revenue_share.agreement import Agreement
from revenue_share.allocation import AccrualLine
from revenue_share.drawing import Drawn, draw_up
from revenue_share.position import Position
from revenue_share.referral import EventReport, Referral, ReferralReport, RevenueEvent
from revenue_share.statement import Statement
from sandbox.examine.case import Case, Object
from sandbox.examine.findings import Facts
from sandbox.examine.positions import Handed, adjustments_of, closing_version_1, in_order, terms_of
from sandbox.examine.signatures import PAST_APPROVAL
from sandbox.examine.stored import Stored, read

LINES_NAMED_MAX = 20
VALUE_CHARACTERS_MAX = 80
FIGURES = ("amount_minor", "base_minor", "total_minor", "payable_minor")
OBJECTED = ("DISPUTED", "VOID")
UNSIGNED = ("DRAFT", "DISPUTED", "VOID")  # states that a statement may have before both parties signed
HANDS = {"statement": "maker", "statement.released": "person"}  # the fact that names a hand, by kind of leaf
Report = TypeVar("Report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """A statement that could be recomputed: its agreement and the EIP-712 anchor its stored body stands for."""

    id: str
    where: str
    state: str
    agreement: Agreement
    period: Period
    place: statement.Place  # as stored: `places` checks it
    carried_minor: int  # what it carries forward
    partner: bytes  # the referrer's identifier on chain, 32 bytes
    total_minor: int  # as recomputed
    digest: bytes  # EIP-712, 32 bytes
    step: statement.Step | None  # as recomputed; None for version 1


def check(case: Case) -> tuple[Recomputed, ...]:
    """Check every statement of the bundle; those that are settled on chain are returned for the chain's check."""
    found = []
    folders = [name.removesuffix("/body.json") for name in case.bundle.names("statements/", "/body.json")]
    all_stored = [stored for folder in folders if (stored := read(case, folder)) is not None]
    states = {stored.id: stored.state for stored in all_stored}
    handed, hands = Handed(), _hands(case)
    for stored in in_order(case, all_stored):
        try:
            made = _check_one(case, stored, handed, hands)
        except Failure as failure:
            case.sheet.add("STATEMENT_UNREADABLE", stored.where, why=failure.message())
            continue
        if made is not None:
            found.append(made)
    _check_confirmed(case, states)
    return tuple(found)


def _check_confirmed(case: Case, states: Mapping[str, str]) -> None:
    """What a party confirmed or disputed must be there: a statement drawn anew leaves the old one's name behind."""
    for kind in ("confirmation", "dispute"):
        for name, signed in case.of_kind(kind):
            if (statement_id := str(signed.body.get("statement"))[:64]) not in states:
                case.sheet.add("CONFIRMED_BUT_ABSENT", name, partner=signed.signer, statement=statement_id)


def check_disputes(case: Case, settled: Sequence[Recomputed]) -> None:
    """A statement that a party objected to with a signed document ends as VOID. One thing takes that back: the arbiter
    dismissed at the contract the very document that the party's account named there.
    """
    found = {one.id: one for one in settled}
    for name, signed in case.of_kind("dispute"):
        one = found.get(str(signed.body.get("statement"))[:64])
        if one is None or one.state in OBJECTED:
            continue
        if case.dismissed.get(one.digest) == signed.digest:
            case.sheet.holds("disputes decided")
        else:
            case.sheet.add("DISPUTE_IGNORED", name, partner=signed.signer, state=one.state)


def _hands(case: Case) -> dict[tuple[str, str], str]:
    """Whom the log names as maker and as checker, by the leaf's kind and the statement."""
    found: dict[tuple[str, str], str] = {}
    for leaf in case.leaves:
        kind, facts = leaf.text("kind"), leaf.value.get("facts") if leaf.value is not None else None
        if kind in HANDS and isinstance(facts, dict):
            found[kind, leaf.text("subject")] = str(facts.get(HANDS[kind], ""))[:64]
    return found


def _check_hands(case: Case, stored: Stored, hands: Mapping[tuple[str, str], str]) -> None:
    """What left the books was made by one person of finance and released by another: the log names both."""
    maker, checker = (hands.get((kind, stored.id), "") for kind in HANDS)
    left = stored.state not in ("DRAFT", "VOID") or bool(stored.signatures)
    if left and (not maker or not checker or maker == checker):
        case.sheet.add("STATEMENT_ONE_HAND", stored.where, maker=maker or "-", checker=checker or "-")


def _check_one(case: Case, stored: Stored, handed: Handed, hands: Mapping[tuple[str, str], str]) -> Recomputed | None:
    proposal = case.proposals.get(Digest(str(stored.body.get("agreement"))))
    if proposal is None or proposal.kind != "agreement":
        case.sheet.add("AGREEMENT_MISSING", stored.where, digest=str(stored.body.get("agreement"))[:64])
        return None
    if proposal.state not in PAST_APPROVAL:
        case.sheet.add("AGREEMENT_NOT_APPROVED", stored.where, digest=proposal.digest[:16], state=proposal.state)
    agreement = Agreement.from_body(proposal.body)
    period = parse_period(stored.body.get("period"))
    claimed = statement.from_body(stored.body)
    opening = handed.opening(claimed)
    _check_version(case, stored, claimed, handed)
    drawn = _drawn_up(case, stored, agreement, claimed, handed)
    _compare_lines(case, stored, drawn.lines)
    salts = statement.Salts(lines=stored.salts, total=stored.total_salt)
    step = drawn.step if claimed.step is not None else None
    if step is not None:
        _check_hands(case, stored, hands)
    if len(salts.lines) == len(drawn.lines):
        built = statement.build(agreement, period, claimed.place, drawn.lines, salts, step)
        _compare_body(case, stored, built.body)
    anchor = codec_settlement.anchor(claimed)
    _check_signatures(case, stored, agreement, anchor)
    total = sum(line.amount_minor for line in drawn.lines if not line.asset)
    digest = settlement.digest(anchor, case.trust.chain_id, case.trust.contract)
    closing = drawn.closing if step is not None else closing_version_1(claimed, total)
    handed.keep(digest, claimed, stored.state, opening, closing)
    if stored.state != "VOID":
        handed.adjusted.update(drawn.adjusted)
    return Recomputed(
        id=stored.id,
        where=stored.where,
        state=stored.state,
        agreement=agreement,
        period=period,
        place=claimed.place,
        carried_minor=closing.carried.get(agreement.currency, 0),
        partner=anchor.partner,
        total_minor=total,
        digest=digest,
        step=step,
    )


def _check_version(case: Case, stored: Stored, claimed: Statement, handed: Handed) -> None:
    """Along the chain versions never go down: a later one's rules hold for whatever follows."""
    least = handed.version(claimed)
    if claimed.version < least:
        facts: Facts = {"field": "version", "stored": str(claimed.version), "recomputed": str(least)}
        case.sheet.add("STATEMENT_FIELD_DIFFERS", f"{stored.where}/body.json", **facts)


def _drawn_up(case: Case, stored: Stored, agreement: Agreement, claimed: Statement, handed: Handed) -> Drawn:
    """The statement as its reports, its terms and the position before it give it."""
    referrals, events = _reports(case, agreement, claimed.period, stored)
    terms = terms_of(case, stored, agreement, claimed)
    if claimed.step is None:
        return draw_up(terms, referrals, events, claimed.period, Position.empty(), version=claimed.version)
    adjusted = adjustments_of(case, stored, agreement, handed)
    return draw_up(terms, referrals, events, claimed.period, handed.opening(claimed), adjusted, claimed.version)


def _reports(
    case: Case, agreement: Agreement, period: Period, stored: Stored
) -> tuple[list[Referral], list[RevenueEvent]]:
    """What the two parties had signed and the hub had logged before the statement was drawn up."""
    drawn_up = case.leaf_place(stored.id)
    referrals: list[Referral] = []
    events: list[RevenueEvent] = []
    for name, signed in case.of_kind("referrals"):
        if signed.signer == agreement.referrer.partner and _before(case, signed, drawn_up):
            report = _read_report(case, name, signed, ReferralReport.from_body)
            if report is not None and report.agreement == agreement.digest:
                referrals += report.referrals
    for name, signed in case.of_kind("events"):
        if signed.signer != agreement.payer.partner:
            continue
        income = _read_report(case, name, signed, EventReport.from_body)
        if income is None or (income.agreement, income.period) != (agreement.digest, period):
            continue
        if _before(case, signed, drawn_up):
            events += income.events
        elif stored.state not in OBJECTED:
            case.sheet.add("REPORT_LEFT_OUT", name, statement=stored.id[:16])
    return referrals, events


def _before(case: Case, signed: documents.Signed, drawn_up: int | None) -> bool:
    place = case.leaf_place(signed.digest)
    return drawn_up is None or place is None or place < drawn_up


def _read_report(case: Case, where: str, signed: documents.Signed, read: Callable[[Object], Report]) -> Report | None:
    try:
        return read(signed.body)
    except Failure as failure:
        case.sheet.add("RECORD_UNREADABLE", where, why=failure.message())
        return None


def _compare_lines(case: Case, stored: Stored, lines: Sequence[AccrualLine]) -> None:
    where = f"{stored.where}/lines.jsonl"
    if len(stored.lines) != len(lines):
        case.sheet.add("STATEMENT_LINES_COUNT", where, stored=len(stored.lines), recomputed=len(lines))
    named = 0
    for line, found in zip(lines, stored.lines, strict=False):
        value = line.to_value()
        if found is not None and canonical.encode(found) == canonical.encode(value):  # `==` takes false for 0
            case.sheet.holds("statement lines")
            continue
        if named == LINES_NAMED_MAX:
            break  # the first ones say enough; a shifted line makes all that follow differ
        named += 1
        field, was, should = difference(found, value)
        facts: Facts = {"index": line.index, "token": line.token, "field": field, "stored": was, "recomputed": should}
        case.sheet.add("STATEMENT_LINE_DIFFERS", f"{where} record {line.index}", **facts)


def _compare_body(case: Case, stored: Stored, recomputed: Object) -> None:
    if canonical.encode(stored.body) == canonical.encode(recomputed):
        case.sheet.holds("statements")
        return
    field, was, should = difference(stored.body, recomputed)
    facts = {"field": field, "stored": was, "recomputed": should}
    case.sheet.add("STATEMENT_FIELD_DIFFERS", f"{stored.where}/body.json", **facts)


def difference(found: Object | None, expected: Object) -> tuple[str, str, str]:
    """(field, stored, expected) of the first field that differs; amounts first, since they are what is fought about."""
    if found is None:
        return "the record", "unreadable", "readable"
    names = sorted({*found, *expected}, key=lambda name: (name not in FIGURES, name))
    texts = {name: (canonical.encode(found.get(name)), canonical.encode(expected.get(name))) for name in names}
    name = next(name for name in names if texts[name][0] != texts[name][1] or (name in found) != (name in expected))
    return name[:40], _show(found.get(name)), _show(expected.get(name))


def _show(value: canonical.Value) -> str:
    return str(value)[:VALUE_CHARACTERS_MAX]


def _check_signatures(case: Case, stored: Stored, agreement: Agreement, made: settlement.Anchor) -> None:
    """Each party's EIP-712 signature, and the document in which its person confirmed exactly this statement."""
    confirmed = {
        signed.signer for _, signed in case.of_kind("confirmation") if signed.body.get("statement") == stored.id
    }
    for party in agreement.parties:
        where = f"{stored.where}/signatures.json {party.role}"
        if party.role not in stored.signatures and stored.state in UNSIGNED:
            continue
        pinned = case.trust.signers.get(party.partner)
        if pinned is None:
            case.sheet.add("SIGNER_UNKNOWN", where, signer=party.partner)
            continue
        why = _signature_fault(case, stored.signatures.get(party.role, b""), made, pinned.chain)
        if party.partner not in confirmed:
            why = why or "its signed confirmation is missing"
        if why:
            case.sheet.add("STATEMENT_SIGNATURE_INVALID", where, role=party.role, partner=party.partner, why=why)
        else:
            case.sheet.holds("statement signatures")


def _signature_fault(case: Case, signature: bytes, made: settlement.Anchor, address: Address) -> str:
    """Why a signature does not hold; empty where it does."""
    try:
        settlement.verify(made, case.trust.chain_id, case.trust.contract, signature, address)
    except Failure as failure:
        return failure.message()
    return ""
