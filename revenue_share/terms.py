"""The terms of an agreement: its root document and the later versions that amend it, in order.

A later version is an agreement document of its own, approved by both parties like the first, with two more fields:

    amends          the digest of the version before it
    effective_from  a date; from its first instant in the agreement's time zone on, events are priced by this version

The version in force at an EVENT's instant prices it, also where the event is reported late or taken back later. The
digest of the root names the terms: it is what statements, reports and the chain call the agreement. Whom it binds, its
currency, time zone, nonce and contract are the root's and can't be amended; its rules and all else can.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from privacy import canonical
from privacy.ids import Digest, Period
from revenue_share import periods
from revenue_share.agreement import Agreement
from revenue_share.errors import AmendmentInvalid

FIXED = ("payer", "referrer", "currency", "zone", "valid_from", "nonce", "chain_id", "contract")
VERSIONS_MAX = 1000
_EVER = datetime(2000, 1, 1, tzinfo=UTC)  # instants begin with the year 2000 (`periods.parse_time`)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The versions of one agreement, the root first. Made by `of` and `from_bodies`, which check how they follow."""

    versions: tuple[Agreement, ...]
    starts: tuple[datetime, ...]  # first instant of each version, ascending

    @property
    def root(self) -> Agreement:
        return self.versions[0]

    @property
    def digest(self) -> Digest:
        """The root's digest: the name of these terms."""
        return self.root.digest

    @property
    def zone(self) -> ZoneInfo:
        return self.root.zone

    @property
    def latest(self) -> Agreement:
        return self.versions[-1]

    def at(self, instant: datetime) -> Agreement:
        """The version in force at an instant; before all others the root."""
        return self.versions[max(0, bisect_right(self.starts, instant) - 1)]

    def closing(self, period: Period) -> Agreement:
        """The version in force at the end of a period: its minimum, taxes and late days hold for the statement."""
        return self.versions[max(0, bisect_left(self.starts, periods.period_bounds(period, self.zone)[1]) - 1)]

    def version(self, digest: str) -> Agreement | None:
        """The version of this digest, if it is one of them."""
        return next((version for version in self.versions if version.digest == digest), None)

    @classmethod
    def of(cls, root: Agreement, *later: Agreement) -> "Terms":
        """The terms of a root and its later versions, in the order in which they amend one another.

        Raises AmendmentInvalid where a version does not follow the one before it.
        """
        versions = (root, *later)
        if root.amends is not None:
            raise AmendmentInvalid(version=root.digest[:16], why="the first version amends another one")
        if len(versions) > VERSIONS_MAX:
            raise AmendmentInvalid(version=root.digest[:16], why=f"more than {VERSIONS_MAX} versions")
        for before, after in zip(versions, later, strict=False):
            _check_follows(before, after)
        return cls(versions=versions, starts=(_EVER, *(_start(version) for version in later)))

    @classmethod
    def from_bodies(cls, bodies: Iterable[Mapping[str, canonical.Value]]) -> "Terms":
        """The terms of agreement bodies in any order: exactly one root, each other one amending one of them.

        Raises AgreementInvalid, RuleKindUnknown, AmendmentInvalid.
        """
        listed = list(bodies)
        roots = [body for body in listed if "amends" not in body]
        if len(roots) != 1:
            raise AmendmentInvalid(version="-", why=f"{len(roots)} of the documents are a first version, not one")
        made = cls.following(Agreement.from_body(roots[0]), listed)
        if len(made.versions) != len(listed):
            raise AmendmentInvalid(version=made.digest[:16], why="the versions form no single chain")
        return made

    @classmethod
    def following(cls, root: Agreement, bodies: Iterable[Mapping[str, canonical.Value]]) -> "Terms":
        """The terms of a root and of those among the bodies that amend it, one another in turn; others are not read.

        Raises AgreementInvalid, RuleKindUnknown, AmendmentInvalid.
        """
        after = {body["amends"]: body for body in bodies if isinstance(body.get("amends"), str)}
        versions = [root]
        while (body := after.get(versions[-1].digest)) is not None:
            versions.append(Agreement.from_body(body))
        return cls.of(*versions)


def check_amendment(terms: Terms, version: Agreement) -> Terms:
    """The terms with one more version, for whoever takes a proposal. Raises AmendmentInvalid."""
    return Terms.of(*terms.versions, version)


def _check_follows(before: Agreement, after: Agreement) -> None:
    name = after.digest[:16]
    if after.amends != before.digest:
        raise AmendmentInvalid(version=name, why=f"amends is not {before.digest[:16]}, the version before it")
    for field in FIXED:
        if getattr(after, field) != getattr(before, field):
            raise AmendmentInvalid(version=name, why=f"{field} is another than in the version before it")
    if after.version <= before.version:
        raise AmendmentInvalid(version=name, why=f"version must be more than {before.version}")
    for rule in after.rules:  # what is remembered under a rule's id means something to its kind alone
        known = before.rule(rule.id)
        if known is not None and known.kind.NAME != rule.kind.NAME:
            raise AmendmentInvalid(version=name, why=f"rule {rule.id} changes its kind: give it an id of its own")
    start = before.effective_from or before.valid_from
    if after.effective_from is None or after.effective_from <= start:
        raise AmendmentInvalid(version=name, why=f"effective_from must be after {start.isoformat()}")


def _start(version: Agreement) -> datetime:
    assert version.effective_from is not None
    return periods.day_start(version.effective_from, version.zone)
