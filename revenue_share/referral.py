"""Referrals, revenue events, the two reports that carry them, and the verdicts that an event can have.

A verdict is a value with a reason code that callers inspect. A reversal is an event of its own with a negative base,
under the same windows as any other event of its kind: it lowers the statement's total and is marked COUNTED_REVERSAL.
An event that names another one (`reverses`) takes back what that one earned: TAKEN_BACK. Where a token was referred
twice the earliest referral counts, so that referring again never lengthens a window.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from privacy import canonical
from privacy.errors import Failure
from privacy.ids import ClientToken, Digest, Period, parse_client_token, parse_digest, parse_period
from revenue_share import facts, periods
from revenue_share.errors import ReportInvalid
from revenue_share.facts import Fact, Facts
from revenue_share.money import AMOUNT_FEN_MAX

REPORT_ROWS_MAX = 1000  # rows of one signed report: it then fits the 256 KiB head of a message

NO_CLIENT = ClientToken("0" * 32)  # of events that no referred client stands behind: traffic, a pool, a service
_EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KIND = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Verdict(Enum):
    """What became of one event, or of a referral without any."""

    COUNTED = "COUNTED"
    COUNTED_REVERSAL = "COUNTED_REVERSAL"
    NO_EVENT = "NO_EVENT"
    UNKNOWN_TOKEN = "UNKNOWN_TOKEN"  # noqa: S105 - a reason code
    DUPLICATE_EVENT = "DUPLICATE_EVENT"
    WRONG_KIND = "WRONG_KIND"
    OUTSIDE_PERIOD = "OUTSIDE_PERIOD"
    OUTSIDE_VALIDITY = "OUTSIDE_VALIDITY"
    BEFORE_REFERRAL = "BEFORE_REFERRAL"
    AFTER_WINDOW = "AFTER_WINDOW"
    AFTER_RUN_OFF = "AFTER_RUN_OFF"
    OTHER_REFERRER = "OTHER_REFERRER"
    SELF_REFERRAL = "SELF_REFERRAL"
    FACTS_WRONG = "FACTS_WRONG"
    BASE_SIGN = "BASE_SIGN"
    RATE_MISSING = "RATE_MISSING"
    SHARE_TOO_LARGE = "SHARE_TOO_LARGE"
    TAKEN_BACK = "TAKEN_BACK"
    ORIGINAL_UNKNOWN = "ORIGINAL_UNKNOWN"
    ORIGINAL_SPENT = "ORIGINAL_SPENT"
    TAKEN_BACK_LATE = "TAKEN_BACK_LATE"
    REASON_NOT_AGREED = "REASON_NOT_AGREED"
    REDEEMED = "REDEEMED"
    POINTS_SHORT = "POINTS_SHORT"
    ADJUSTMENT = "ADJUSTMENT"  # agreed by both parties for a line of an earlier statement
    POINTS_EXPIRED = "POINTS_EXPIRED"
    LAST_BALANCE = "LAST_BALANCE"  # of no event: the agreement is over, what is left is paid below the minimum

    @property
    def counts(self) -> bool:
        return self in _COUNTING


# a tuple, which compares by identity: an enumeration's member has a slow hash
_COUNTING = (Verdict.COUNTED, Verdict.COUNTED_REVERSAL, Verdict.TAKEN_BACK, Verdict.REDEEMED, Verdict.POINTS_EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """A client introduced by the referrer, under a job-scoped token, at an instant of whole seconds."""

    token: ClientToken
    time: datetime

    def to_value(self) -> dict[str, canonical.Value]:
        return {"token": self.token, "time": periods.time_text(self.time)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueEvent:
    """Income of the payer from a client: `base_minor` in minor units of the agreement's currency; negative reverses.

    `facts` is what a rule asks for besides (`facts.FACTS`); an event without facts has the value it always had.
    """

    id: str
    token: ClientToken
    kind: str
    time: datetime
    base_minor: int
    facts: Facts = ()

    def fact(self, name: str) -> Fact | None:
        """The fact of this name, if the event has it."""
        return next((value for known, value in self.facts if known == name), None)

    def to_value(self) -> dict[str, canonical.Value]:
        value: dict[str, canonical.Value] = {
            "id": self.id,
            "token": self.token,
            "kind": self.kind,
            "time": periods.time_text(self.time),
            "base_minor": self.base_minor,
        }
        return value | {"facts": dict(self.facts)} if self.facts else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralReport:
    """What the referrer's node signs (document kind "referrals"). The tokens are those of the match job `alignment`."""

    agreement: Digest
    alignment: Digest
    referrals: tuple[Referral, ...]

    def to_body(self) -> dict[str, canonical.Value]:
        rows: list[canonical.Value] = [referral.to_value() for referral in self.referrals]
        return {"agreement": self.agreement, "alignment": self.alignment, "referrals": rows}

    @classmethod
    def from_body(cls, body: Mapping[str, canonical.Value]) -> "ReferralReport":
        """Raises ReportInvalid naming the first wrong field."""
        _keys(body, {"agreement", "alignment", "referrals"}, "referrals", "report")
        rows = _rows(body["referrals"], "referrals")
        referrals = tuple(_referral(row, f"referrals[{i}]") for i, row in enumerate(rows))
        if len({referral.token for referral in referrals}) != len(referrals):
            raise ReportInvalid(report="referrals", field="referrals", why="a token stands twice")
        return cls(
            agreement=_digest(body, "agreement", "referrals"),
            alignment=_digest(body, "alignment", "referrals"),
            referrals=referrals,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """What the payer's node signs (document kind "events"): events of one period, bases in the named currency."""

    agreement: Digest
    period: Period
    currency: str
    events: tuple[RevenueEvent, ...]

    def to_body(self) -> dict[str, canonical.Value]:
        events: list[canonical.Value] = [event.to_value() for event in self.events]
        return {"agreement": self.agreement, "period": self.period, "currency": self.currency, "events": events}

    @classmethod
    def from_body(cls, body: Mapping[str, canonical.Value]) -> "EventReport":
        """Raises ReportInvalid naming the first wrong field."""
        _keys(body, {"agreement", "period", "currency", "events"}, "events", "report")
        events = tuple(_event(row, f"events[{i}]") for i, row in enumerate(_rows(body["events"], "events")))
        if len({event.id for event in events}) != len(events):
            raise ReportInvalid(report="events", field="events", why="an event id stands twice")
        try:
            period = parse_period(body["period"])
        except Failure as error:
            raise ReportInvalid(report="events", field="period", why=error.message()) from None
        if not isinstance(body["currency"], str):
            raise ReportInvalid(report="events", field="currency", why="a currency code is expected")
        agreement = _digest(body, "agreement", "events")
        return cls(agreement=agreement, period=period, currency=body["currency"], events=events)


def read_event(row: canonical.Value) -> RevenueEvent:
    """One event of a file that is no signed report, by the same checks. Raises ReportInvalid."""
    if not isinstance(row, dict):
        raise ReportInvalid(report="events", field="event", why="each row is an object")
    return _event(row, f"event {str(row.get('id'))[:40]}")


def first_referrals(referrals: Iterable[Referral]) -> dict[ClientToken, Referral]:
    """The earliest referral of each token, by token."""
    first: dict[ClientToken, Referral] = {}
    for referral in referrals:
        known = first.get(referral.token)
        if known is None or referral.time < known.time:
            first[referral.token] = referral
    return first


def _referral(row: Mapping[str, canonical.Value], field: str) -> Referral:
    _keys(row, {"token", "time"}, "referrals", field)
    return Referral(token=_token(row, "referrals", field), time=_time(row, "referrals", field))


def _event(row: Mapping[str, canonical.Value], field: str) -> RevenueEvent:
    _keys(row, {"id", "token", "kind", "time", "base_minor"} | ({"facts"} & set(row)), "events", field)
    for name, pattern in (("id", _EVENT_ID), ("kind", _KIND)):
        if not isinstance(row[name], str) or not pattern.fullmatch(str(row[name])):
            raise ReportInvalid(report="events", field=f"{field}.{name}", why="1-64 letters, digits or . _ - expected")
    base = row["base_minor"]
    if type(base) is not int or abs(base) > AMOUNT_FEN_MAX:
        raise ReportInvalid(report="events", field=f"{field}.base_minor", why=f"within ±{AMOUNT_FEN_MAX} is expected")
    return RevenueEvent(
        id=str(row["id"]),
        token=_token(row, "events", field),
        kind=str(row["kind"]),
        time=_time(row, "events", field),
        base_minor=base,
        facts=_facts(row, field),
    )


def _facts(row: Mapping[str, canonical.Value], field: str) -> Facts:
    if "facts" not in row:
        return ()
    try:
        return facts.read(row["facts"])
    except ValueError as error:
        raise ReportInvalid(report="events", field=field, why=str(error)) from None


def _rows(value: canonical.Value, report: str) -> list[dict[str, canonical.Value]]:
    if not isinstance(value, list) or not 1 <= len(value) <= REPORT_ROWS_MAX:
        raise ReportInvalid(report=report, field=report, why=f"a list of 1 to {REPORT_ROWS_MAX} rows is expected")
    rows = [row for row in value if isinstance(row, dict)]
    if len(rows) != len(value):
        raise ReportInvalid(report=report, field=report, why="each row is an object")
    return rows


def _keys(value: Mapping[str, canonical.Value], keys: set[str], report: str, field: str) -> None:
    if set(value) != keys:
        raise ReportInvalid(report=report, field=field, why=f"exactly {', '.join(sorted(keys))} are expected")


def _digest(body: Mapping[str, canonical.Value], field: str, report: str) -> Digest:
    try:
        return parse_digest(body[field])
    except Failure as error:
        raise ReportInvalid(report=report, field=field, why=error.message()) from None


def _token(row: Mapping[str, canonical.Value], report: str, field: str) -> ClientToken:
    try:
        return parse_client_token(row["token"])
    except Failure as error:
        raise ReportInvalid(report=report, field=f"{field}.token", why=error.message()) from None


def _time(row: Mapping[str, canonical.Value], report: str, field: str) -> datetime:
    try:
        return periods.parse_time(row["time"])
    except ValueError as error:
        raise ReportInvalid(report=report, field=f"{field}.time", why=str(error)) from None
