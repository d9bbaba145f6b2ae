"""A party's own check of a disclosed statement: everything is computed again from what the parties signed.

Pure: values in, differences out. A difference says what, where, what the statement states and what this node computes.
No difference means that the reports are signed by the right parties and are those this node knows, every own token is
answered, the terms are those this party approved, each line, the root, the totals, the commitments and the position
handed on are what the same pure rules give, and the statement takes the place after the last one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ecowire.codec_settlement import Disclosure
from ecowire.documents import Body, Signed
from ecowire.status import MalformedMessage
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import ClientToken, Period
from revenue_share import periods, statement
from revenue_share.agreement import Agreement, Party
from revenue_share.allocation import AccrualLine
from revenue_share.dispute import Adjustment
from revenue_share.drawing import draw_up, in_force
from revenue_share.position import Position
from revenue_share.referral import EventReport, Referral, ReferralReport, RevenueEvent
from revenue_share.statement import NO_DIGEST, Place, Step
from revenue_share.terms import Terms
from revenue_share.versions import SECOND

DIFFERENCES_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this node knows by itself.

    `version`: of the last statement on the chain, at least 2: a later one is of no earlier version;
    `accepted`: digests of own reports that the hub has receipted; `known`: digests of all reports it signed or
    received; `tokens`: own referred tokens that must be answered; `place`: where the next statement must stand;
    `terms`: the versions this node's people approved; `opening`: the position after the last statement, None where it
    is not known here; `adjusted`: adjustments that both parties approved and no statement on the chain holds.
    """

    accepted: frozenset[str]
    known: frozenset[str]
    tokens: frozenset[ClientToken]
    place: Place
    terms: Terms
    opening: Position | None
    adjusted: frozenset[str]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`what` is a stable code; `line` is -1 where no line is meant."""

    what: str
    stated: str
    computed: str
    line: int = -1
    field: str = ""

    def to_value(self) -> Body:
        return {
            "what": self.what,
            "line": self.line,
            "field": self.field,
            "stated": self.stated[:200],
            "computed": self.computed[:200],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The differences, at most DIFFERENCES_MAX, and the position that the statement hands on by this node's own
    computation; None where that could not be done."""

    differences: tuple[Difference, ...]
    closing: Position | None = None


def check(agreement: Agreement, me: Party, disclosure: Disclosure, held: Held) -> Checked:
    """No difference means that this party can sign."""
    try:
        claimed = statement.from_body(disclosure.body)
        period, place = claimed.period, claimed.place
        referrals, events, found = _reports(agreement, me, disclosure, period, held)
        adjusted = _agreed(agreement, disclosure.adjustments)
    except Failure as failure:
        return Checked(differences=(Difference(what="UNREADABLE", stated=failure.code, computed=failure.message()),))
    if claimed.step is None or claimed.version < held.version:
        return _refused("VERSION", str(claimed.version), str(held.version))
    if held.opening is None:
        return _refused("POSITION", "", "the one before is not known here")
    found += _compare_step(claimed.step, held, period)
    drawn = draw_up(held.terms, referrals, events, period, held.opening, adjusted, claimed.version)
    missing = sorted(held.adjusted - {item.digest for item in adjusted})
    found += [Difference(what="ADJUSTMENT_MISSING", stated="", computed=digest) for digest in missing]
    found += _compare_lines(disclosure.lines, drawn.lines)
    answered = {str(line.get("token")) for line in disclosure.lines}
    found += [
        Difference(what="TOKEN_NOT_ANSWERED", stated="no line", computed=token)
        for token in sorted(held.tokens - answered)
    ]
    if place != held.place:
        found.append(Difference(what="PLACE", stated=_place_text(place), computed=_place_text(held.place)))
    try:
        statement.verify(agreement, period, place, disclosure.body, drawn.lines, disclosure.salts, drawn.step)
    except Failure as failure:
        found.append(Difference(what="BODY", stated="", computed=failure.message()))
    return Checked(differences=tuple(found[:DIFFERENCES_MAX]), closing=drawn.closing)


def _refused(what: str, stated: str, computed: str) -> Checked:
    return Checked(differences=(Difference(what=what, stated=stated, computed=computed),))


def _compare_step(stated: Step, held: Held, period: Period) -> list[Difference]:
    """Terms and opening position: where they differ everything that follows from them may."""
    found = []
    assert held.opening is not None, "the caller looked"
    if stated.terms != (mine := in_force(held.terms, period)):
        found.append(Difference(what="TERMS", stated=", ".join(stated.terms), computed=", ".join(mine)))
    if stated.opening != held.opening.digest:
        found.append(Difference(what="POSITION", stated=stated.opening, computed=held.opening.digest))
    return found


def next_place(on_chain: Iterable[tuple[Body, str, str]], period: Period) -> Place:
    """Where the next statement must stand. on_chain: (body, chain digest, state) of all that the chain has taken."""
    brought, sequence, previous, replaces = 0, 0, NO_DIGEST, NO_DIGEST
    taken = [(statement.from_body(body), anchor, state) for body, anchor, state in on_chain]
    for made, anchor, state in sorted(taken, key=lambda item: item[0].place.sequence):
        sequence, previous = made.place.sequence, anchor
        if state != "VOID":
            brought, replaces = made.carried_forward_minor, NO_DIGEST
        elif made.period == period:
            replaces = anchor
    return Place(sequence=sequence + 1, previous=previous, replaces=replaces, brought_forward_minor=brought)


def least_version(on_chain: Iterable[Body]) -> int:
    """The version that the next statement has at least. on_chain: bodies of all that the chain has taken."""
    return max([SECOND, *(statement.from_body(body).version for body in on_chain)])


def _agreed(agreement: Agreement, disclosed: tuple[Signed, ...]) -> tuple[Adjustment, ...]:
    """The adjustments of a disclosure, each signed by the payer and approved by the referrer.

    Raises MalformedMessage, DisputeInvalid, BadSignature.
    """
    found = []
    for document, decision in zip(disclosed[::2], disclosed[1::2], strict=True):
        document.verify(agreement.payer.signing)
        decision.verify(agreement.referrer.signing)
        made = Adjustment.from_body(document.body, document.digest)
        kinds = (document.kind, decision.kind, document.signer, decision.signer)
        wanted = ("adjustment", "adjustment-decision", agreement.payer.partner, agreement.referrer.partner)
        told = (decision.body.get("adjustment"), decision.body.get("decision"), made.agreement, made.currency)
        if kinds != wanted or told != (document.digest, "approve", agreement.digest, agreement.currency):
            raise MalformedMessage(why="an adjustment that both parties agreed on is expected")
        found.append(made)
    return tuple(found)


def _reports(
    agreement: Agreement, me: Party, disclosure: Disclosure, period: Period, held: Held
) -> tuple[list[Referral], list[RevenueEvent], list[Difference]]:
    """What the verified reports say. Raises what a bad signature or a malformed report raises."""
    found: list[Difference] = []
    referrals: list[Referral] = []
    events: list[RevenueEvent] = []
    for document in (*disclosure.referrals, *disclosure.events):
        party = agreement.referrer if document.kind == "referrals" else agreement.payer
        if document.signer != party.partner:
            found.append(Difference(what="REPORT_OF_OTHER", stated=document.signer, computed=party.partner))
            continue
        document.verify(party.signing)
        if document.kind == "referrals":
            report = ReferralReport.from_body(document.body)
            named = report.agreement, period
            referrals += report.referrals
        else:
            income = EventReport.from_body(document.body)
            named = income.agreement, income.period
            events += income.events
        if named != (agreement.digest, period):
            found.append(Difference(what="REPORT_OF_OTHER", stated=f"{named}", computed=f"{period}"))
    found += _compare_reports(me, (*disclosure.referrals, *disclosure.events), held)
    return referrals, events, found


def _compare_reports(me: Party, disclosed: Sequence[Signed], held: Held) -> list[Difference]:
    digests = [document.digest for document in disclosed]
    found = [Difference(what="REPORT_TWICE", stated=d, computed="") for d in set(digests) if digests.count(d) > 1]
    for document in disclosed:
        # the referrer can't know the payer's reports; everything else it or the payer signed or received itself
        if document.digest not in held.known and (document.signer == me.partner or me.role == "payer"):
            found.append(Difference(what="REPORT_UNKNOWN", stated=document.digest, computed="not known here"))
    missing = sorted(held.accepted - set(digests))
    return found + [Difference(what="REPORT_MISSING", stated="", computed=digest) for digest in missing]


def _compare_lines(stated: Sequence[Body], computed: Sequence[AccrualLine]) -> list[Difference]:
    found: list[Difference] = []
    if len(stated) != len(computed):
        found.append(Difference(what="LINE_COUNT", stated=str(len(stated)), computed=str(len(computed))))
    for index, (line, mine) in enumerate(zip(stated, computed, strict=False)):
        expected = mine.to_value()
        if line == expected:
            continue
        for field in sorted(set(line) | set(expected)):
            if line.get(field) != expected.get(field):
                found.append(
                    Difference(
                        what="LINE",
                        line=index,
                        field=field,
                        stated=_text(line.get(field)),
                        computed=_text(expected.get(field)),
                    )
                )
        if len(found) >= DIFFERENCES_MAX:
            break
    return found


def own_tokens(reports: Iterable[Signed], agreement: Agreement, period: Period) -> frozenset[ClientToken]:
    """The tokens of a referrer's own reports that were referred before the period's end."""
    end = periods.period_bounds(period, agreement.zone)[1]
    parsed = (ReferralReport.from_body(document.body) for document in reports)
    return frozenset(referral.token for report in parsed for referral in report.referrals if referral.time < end)


def _place_text(place: Place) -> str:
    names = (f"{place.previous[:16]}", f"replaces {place.replaces[:16]}", f"brought {place.brought_forward_minor}")
    return f"{place.sequence} after " + ", ".join(names)


def _text(value: canonical.Value) -> str:
    return "" if value is None else str(value)
