"""The case under examination: the bundle's records parsed once, the parties' trust, the sheet of findings."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ecowire import documents, evidence
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest
from sandbox.examine.findings import Sheet
from sandbox.examine.trust import Trust

Object: TypeAlias = dict[str, canonical.Value]

HUB = "hub"
PROPOSAL_STATES = (
    *("PROPOSED", "APPROVED", "RUNNING", "PAUSED"),
    *("COMPLETED", "REFUSED", "EXPIRED", "FAILED", "CANCELLED"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal of the bundle with its approvals; `where` is its file."""

    where: str
    kind: str
    digest: Digest
    body: Object
    state: str
    approvals: tuple[documents.Signed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf of the audit log: its exact bytes and, where they can be read, its object."""

    where: str
    data: bytes
    value: Object | None

    def text(self, name: str) -> str:
        """A field as text; empty where there is none."""
        found = self.value.get(name) if self.value is not None else None
        return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything the checks share. `signed` maps a file name to the signed document in it."""

    bundle: evidence.Bundle
    trust: Trust
    sheet: Sheet
    proposals: dict[Digest, Proposal] = field(default_factory=dict)
    signed: dict[str, documents.Signed] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)  # of the first leaf that records a digest
    settling: set[str] = field(default_factory=set)  # parties of the statements in the bundle
    dismissed: dict[bytes, str] = field(default_factory=dict)  # on the chain: statement's digest -> dispute document's
    unverified: dict[str, Counter[str]] = field(default_factory=dict)  # partner -> what of it could not be verified

    def left_unverified(self, partner: str, what: str) -> bool:
        """Note what can't be verified of a partner that has a card here, no part in trust.toml and no statement.

        A partner that left the alliance may be out of reach for its part. False: it is a party of a statement, or
        nobody's card is in the bundle under this name; then its missing keys are an error.
        """
        if partner in self.trust.signers or partner in self.settling or f"cards/{partner}.json" not in self.signed:
            return False
        self.unverified.setdefault(partner, Counter())[what] += 1
        return True

    def of_kind(self, kind: str) -> Iterator[tuple[str, documents.Signed]]:
        """(file, document) of the signed documents of one kind, in file order."""
        return ((name, signed) for name, signed in sorted(self.signed.items()) if signed.kind == kind)

    def leaf_place(self, digest: str) -> int | None:
        """The place of the first leaf that records this digest."""
        return self.places.get(digest)


def open_case(bundle: evidence.Bundle, trust: Trust, sheet: Sheet) -> Case:
    """Parse the bundle's records. What can't be read becomes a finding that names file and record."""
    case = Case(bundle=bundle, trust=trust, sheet=sheet)
    for folder in ("cards/", "documents/", "events/", "referrals/"):
        for name in bundle.names(folder, ".json"):
            signed = _signed(case, name)
            if signed is not None:
                case.signed[name] = signed
                if folder != "cards/":
                    _check_name(case, name, signed.digest)
    for name in bundle.names("proposals/", ".json"):
        proposal = _proposal(case, name)
        if proposal is not None:
            case.proposals[proposal.digest] = proposal
            _check_name(case, name, proposal.digest)
    for where, data, value in records(case, "audit/leaves.jsonl"):
        leaf = Leaf(where=where, data=data, value=value)
        case.places.setdefault(leaf.text("digest"), len(case.leaves))
        case.leaves.append(leaf)
    case.settling.update(_settling(case))
    return case


def _settling(case: Case) -> Iterator[str]:
    """Every party that a statement of the bundle names, itself or by its agreement."""
    for name in case.bundle.names("statements/", "/body.json"):
        try:
            body = canonical.decode(case.bundle.entries[name])
        except canonical.NotCanonical:
            continue  # the check of statements makes it a finding
        if not isinstance(body, dict):
            continue
        yield from (str(body.get(role)) for role in ("payer", "referrer"))
        proposal = case.proposals.get(Digest(str(body.get("agreement"))))
        listed = proposal.body.get("parties") if proposal is not None else None
        for party in listed if isinstance(listed, list) else ():
            yield str(party.get("partner")) if isinstance(party, dict) else ""


def records(case: Case, name: str) -> Iterator[tuple[str, bytes, Object | None]]:
    """(place, bytes, object) of each line of a .jsonl entry; an unreadable one is None and becomes a finding."""
    data = case.bundle.entries.get(name, b"")
    if data and not data.endswith(b"\n"):
        case.sheet.add("RECORD_UNREADABLE", name, why="its last line does not end")
    for number, line in enumerate(evidence.lines(data)):
        where = f"{name} record {number}"
        yield where, line, decode(case, where, line)


def decode(case: Case, where: str, data: bytes) -> Object | None:
    """The object of canonical bytes, or None and a finding."""
    try:
        value = canonical.decode(data)
    except canonical.NotCanonical as failure:
        case.sheet.add("RECORD_UNREADABLE", where, why=failure.message())
        return None
    if not isinstance(value, dict):
        case.sheet.add("RECORD_UNREADABLE", where, why="an object is expected")
        return None
    return value


def parse_signed(case: Case, where: str, value: canonical.Value) -> documents.Signed | None:
    """The signed document of a value, or None and a finding. Its signature is checked elsewhere."""
    try:
        return documents.parse(value)
    except Failure as failure:
        case.sheet.add("RECORD_UNREADABLE", where, why=failure.message())
        return None


def _signed(case: Case, name: str) -> documents.Signed | None:
    value = decode(case, name, case.bundle.entries[name])
    return None if value is None else parse_signed(case, name, value)


def _proposal(case: Case, name: str) -> Proposal | None:
    value = decode(case, name, case.bundle.entries[name])
    if value is None:
        return None
    kind, body, state, approvals = (value.get(key) for key in ("kind", "body", "state", "approvals"))
    formed = isinstance(kind, str) and isinstance(body, dict) and isinstance(approvals, list) and len(value) == 4
    if not (formed and state in PROPOSAL_STATES):
        case.sheet.add("RECORD_UNREADABLE", name, why="exactly kind, body, a known state and approvals are expected")
        return None
    assert isinstance(kind, str) and isinstance(body, dict) and isinstance(state, str) and isinstance(approvals, list)
    found = [parse_signed(case, f"{name} approval {i}", item) for i, item in enumerate(approvals)]
    signed = tuple(item for item in found if item is not None)
    digest = documents.digest(kind, body)
    return Proposal(where=name, kind=kind, digest=digest, body=body, state=state, approvals=signed)


def _check_name(case: Case, name: str, digest: Digest) -> None:
    if name.rsplit("/", 1)[1] != digest + ".json":
        case.sheet.add("NAME_DIFFERS", name, digest=digest)
