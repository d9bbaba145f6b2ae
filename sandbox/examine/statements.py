"""Every statement, recomputed from what the parties signed: the referrer its referrals, the payer its events.

The same pure `allocate` that hub and nodes run gives the lines; the first line that is stored differently is named with
its index and client token. Then root, commitments and totals, and the EIP-712 signatures of both parties under the
accounts of trust.toml.
"""

from collections.abc import Callable
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
from revenue_share.allocation import AccrualLine, allocate
from revenue_share.referral import EventReport, Referral, ReferralReport, RevenueEvent
from sandbox.examine.case import Case, Object, decode, records
from sandbox.examine.findings import Facts

LINES_NAMED_MAX = 20
VALUE_CHARACTERS_MAX = 80
FIGURES = ("amount_minor", "base_minor", "total_minor", "payable_minor")
UNSIGNED = ("DRAFT", "DISPUTED", "VOID")  # states that a statement may have before both parties signed
Report = TypeVar("Report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """A statement that could be recomputed: its agreement and the EIP-712 anchor its stored body stands for."""

    id: str
    where: str
    state: str
    agreement: Agreement
    partner: bytes  # the referrer's identifier on chain, 32 bytes
    total_minor: int  # as recomputed
    digest: bytes  # EIP-712, 32 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    where: str
    id: str
    body: Object
    lines: tuple[Object | None, ...]
    salts: tuple[bytes, ...]
    total_salt: bytes
    signed: Object


def check(case: Case) -> tuple[Recomputed, ...]:
    """Check every statement of the bundle; those that are settled on chain are returned for the chain's check."""
    found = []
    for name in case.bundle.names("statements/", "/body.json"):
        stored = _read(case, name.removesuffix("/body.json"))
        if stored is None:
            continue
        try:
            made = _check_one(case, stored)
        except Failure as failure:
            case.sheet.add("STATEMENT_UNREADABLE", stored.where, why=failure.message())
            continue
        if made is not None:
            found.append(made)
    _check_confirmed(case)
    return tuple(found)


def _check_confirmed(case: Case) -> None:
    """What a party confirmed or disputed must be there: a statement drawn anew leaves the old one's name behind."""
    held = {name.split("/")[1] for name in case.bundle.names("statements/", "/body.json")}
    for kind in ("confirmation", "dispute"):
        for name, signed in case.of_kind(kind):
            if (statement_id := str(signed.body.get("statement"))[:64]) not in held:
                case.sheet.add("CONFIRMED_BUT_ABSENT", name, partner=signed.signer, statement=statement_id)


def _check_one(case: Case, stored: _Stored) -> Recomputed | None:
    proposal = case.proposals.get(Digest(str(stored.body.get("agreement"))))
    if proposal is None or proposal.kind != "agreement":
        case.sheet.add("AGREEMENT_MISSING", stored.where, digest=str(stored.body.get("agreement"))[:64])
        return None
    agreement = Agreement.from_body(proposal.body)
    period = parse_period(stored.body.get("period"))
    referrals, events = _reports(case, agreement, period, stored.id)
    lines = allocate(agreement, referrals, events, period)
    _compare_lines(case, stored, lines)
    claimed = statement.from_body(stored.body)
    salts = statement.Salts(lines=stored.salts, total=stored.total_salt)
    if len(salts.lines) == len(lines):
        _compare_body(case, stored, statement.build(agreement, period, claimed.place, lines, salts).body)
    anchor = codec_settlement.anchor(claimed)
    _check_signatures(case, stored, agreement, anchor)
    return Recomputed(
        id=stored.id,
        where=stored.where,
        state=str(stored.signed.get("state")),
        agreement=agreement,
        partner=anchor.partner,
        total_minor=sum(line.amount_minor for line in lines),
        digest=settlement.digest(anchor, case.trust.chain_id, case.trust.contract),
    )


def _read(case: Case, folder: str) -> _Stored | None:
    """The stored parts of a statement, or None and findings."""
    names = {part: f"{folder}/{part}.json" for part in ("body", "salts", "signatures")}
    parts: dict[str, Object] = {}
    for part, name in names.items():
        if name not in case.bundle.entries:
            case.sheet.add("RECORD_UNREADABLE", name, why="it is missing")
            return None
        value = decode(case, name, case.bundle.entries[name])
        if value is None:
            return None
        parts[part] = value
    identifier = folder.split("/")[1]
    if (digest := documents.digest("statement", parts["body"])) != identifier:
        case.sheet.add("NAME_DIFFERS", names["body"], digest=digest)
    lines: list[Object | None] = []
    salts: list[bytes] = []
    for where, _, value in records(case, f"{folder}/lines.jsonl"):
        line = value.get("line") if value is not None else None
        lines.append(line if isinstance(line, dict) else None)
        salts.append(_salt(case, where, value))
    return _Stored(
        where=folder,
        id=identifier,
        body=parts["body"],
        lines=tuple(lines),
        salts=tuple(salts),
        total_salt=_salt(case, names["salts"], {"salt": parts["salts"].get("total")}),
        signed=parts["signatures"],
    )


def _salt(case: Case, where: str, value: Object | None) -> bytes:
    salt = value.get("salt") if value is not None else None
    try:
        return bytes.fromhex(salt) if isinstance(salt, str) else b""
    except ValueError:
        case.sheet.add("RECORD_UNREADABLE", where, why="a salt is 64 hex digits")
        return b""


def _reports(
    case: Case, agreement: Agreement, period: Period, identifier: str
) -> tuple[list[Referral], list[RevenueEvent]]:
    """What the two parties had signed and the hub had logged before the statement was drawn up."""
    drawn_up = case.leaf_place(identifier)
    referrals: list[Referral] = []
    events: list[RevenueEvent] = []
    for name, signed in case.of_kind("referrals"):
        if signed.signer == agreement.referrer.partner and _before(case, signed, drawn_up):
            report = _read_report(case, name, signed, ReferralReport.from_body)
            if report is not None and report.agreement == agreement.digest:
                referrals += report.referrals
    for name, signed in case.of_kind("events"):
        if signed.signer == agreement.payer.partner and _before(case, signed, drawn_up):
            income = _read_report(case, name, signed, EventReport.from_body)
            if income is not None and (income.agreement, income.period) == (agreement.digest, period):
                events += income.events
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


def _compare_lines(case: Case, stored: _Stored, lines: tuple[AccrualLine, ...]) -> None:
    where = f"{stored.where}/lines.jsonl"
    if len(stored.lines) != len(lines):
        case.sheet.add("STATEMENT_LINES_COUNT", where, stored=len(stored.lines), recomputed=len(lines))
    named = 0
    for line, found in zip(lines, stored.lines, strict=False):
        value = line.to_value()
        if found == value:
            case.sheet.holds("statement lines")
            continue
        if named == LINES_NAMED_MAX:
            break  # the first ones say enough; a shifted line makes all that follow differ
        named += 1
        field, was, should = _difference(found, value)
        facts: Facts = {"index": line.index, "token": line.token, "field": field, "stored": was, "recomputed": should}
        case.sheet.add("STATEMENT_LINE_DIFFERS", f"{where} record {line.index}", **facts)


def _compare_body(case: Case, stored: _Stored, recomputed: Object) -> None:
    if stored.body == recomputed:
        case.sheet.holds("statements")
        return
    field, was, should = _difference(stored.body, recomputed)
    facts = {"field": field, "stored": was, "recomputed": should}
    case.sheet.add("STATEMENT_FIELD_DIFFERS", f"{stored.where}/body.json", **facts)


def _difference(found: Object | None, expected: Object) -> tuple[str, str, str]:
    """(field, stored, expected) of the first field that differs; amounts first, since they are what is fought about."""
    if found is None:
        return "the record", "unreadable", "readable"
    names = sorted({*found, *expected}, key=lambda name: (name not in FIGURES, name))
    name = next(name for name in names if found.get(name) != expected.get(name))
    return name[:40], _show(found.get(name)), _show(expected.get(name))


def _show(value: canonical.Value) -> str:
    return str(value)[:VALUE_CHARACTERS_MAX]


def _check_signatures(case: Case, stored: _Stored, agreement: Agreement, made: settlement.Anchor) -> None:
    """Each party's EIP-712 signature, and the document in which its person confirmed exactly this statement."""
    confirmed = {
        signed.signer for _, signed in case.of_kind("confirmation") if signed.body.get("statement") == stored.id
    }
    for party in agreement.parties:
        where = f"{stored.where}/signatures.json {party.role}"
        if party.role not in stored.signed and stored.signed.get("state") in UNSIGNED:
            continue
        pinned = case.trust.signers.get(party.partner)
        if pinned is None:
            case.sheet.add("SIGNER_UNKNOWN", where, signer=party.partner)
            continue
        why = _signature_fault(case, stored.signed.get(party.role), made, pinned.chain)
        if party.partner not in confirmed:
            why = why or "its signed confirmation is missing"
        if why:
            case.sheet.add("STATEMENT_SIGNATURE_INVALID", where, role=party.role, partner=party.partner, why=why)
        else:
            case.sheet.holds("statement signatures")


def _signature_fault(case: Case, given: canonical.Value, made: settlement.Anchor, address: Address) -> str:
    """Why a signature does not hold; empty where it does."""
    try:
        signature = bytes.fromhex(given.removeprefix("0x")) if isinstance(given, str) else b""
        settlement.verify(made, case.trust.chain_id, case.trust.contract, signature, address)
    except Failure as failure:
        return failure.message()
    except ValueError:
        return "not hex"
    return ""
