"""An agreement version: who pays whom, by which rules, valid when, settled where.

The document both parties approve is the only source; `Agreement.from_body` checks every field of it once. Its digest is
the digest of the signed document, so a statement that names the digest names exactly these terms.

The windows are half open, [referral, end): an event at the very instant of the end is outside. An event counts when it
lies in both the attribution window (`attribution_days` calendar days) and the rule's own window (`months_from_referral`
calendar months), and the referral was made on a date of [valid_from, valid_until], both included, all by the wall clock
of the agreement's time zone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast
from zoneinfo import ZoneInfo

from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest, MalformedIdentifier, PartnerId, parse_digest, parse_partner_id
from revenue_share import money, periods
from revenue_share.errors import AgreementInvalid, RatioMalformed, RuleKindUnknown

PERCENT_OF_BASE = "percent_of_base"
RULES_MAX = 64
WINDOW_SECONDS_MAX = 366 * 86400
ATTRIBUTION_DAYS_MAX = 3660
MONTHS_MAX = 120

_KEYS = {
    *("kind", "version", "title", "parties", "currency", "time_zone", "valid_from", "valid_until", "attribution_days"),
    *("rules", "settlement", "purpose", "expires", "nonce", "disclosure"),
}
_OPTIONAL = {"amends", "effective_from"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEY = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NONCE = re.compile(r"[0-9a-f]{32,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side: its Ed25519 signing and X25519 sealing public keys (32 bytes) and its chain address."""

    partner: PartnerId
    role: str  # "payer" or "referrer"
    signing: bytes
    sealing: bytes
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentOfBase:
    """`rate` of the base of each event of kind `event` within `months_from_referral` calendar months."""

    id: str
    event: str
    rate: money.Ratio  # 0 < rate <= 1
    months_from_referral: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A checked agreement version. Made by `from_body` only."""

    digest: Digest
    version: int
    title: str
    payer: Party
    referrer: Party
    currency: str
    zone: ZoneInfo
    valid_from: date
    valid_until: date | None
    attribution_days: int
    rules: tuple[PercentOfBase, ...]
    chain_id: int
    contract: str
    window_seconds: int
    nonce: str
    amends: Digest | None  # the version before it; None for the first
    effective_from: date | None  # from this date on events are priced by it; None for the first

    @property
    def parties(self) -> tuple[Party, Party]:
        return (self.payer, self.referrer)

    def party(self, partner: str) -> Party | None:
        """The party of this partner id, if it is one."""
        return next((party for party in self.parties if party.partner == partner), None)

    def rule_for(self, event_kind: str) -> PercentOfBase | None:
        """The one rule that prices this kind of event, if any."""
        return next((rule for rule in self.rules if rule.event == event_kind), None)

    def covers(self, referral_time: datetime) -> bool:
        """Whether a referral made then falls on a date on which the agreement is valid."""
        day = referral_time.astimezone(self.zone).date()
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)

    def window_end(self, rule: PercentOfBase, referral_time: datetime) -> datetime:
        """First instant at which an event no longer counts under this rule."""
        by_rule = periods.add_months(referral_time, rule.months_from_referral, self.zone)
        return min(by_rule, periods.add_days(referral_time, self.attribution_days, self.zone))

    @classmethod
    def from_body(cls, body: Mapping[str, canonical.Value]) -> "Agreement":
        """The agreement of a document's body.

        Raises AgreementInvalid naming the first wrong field, RuleKindUnknown for a rule this version can't compute.
        """
        unknown, missing = set(body) - _KEYS - _OPTIONAL, _KEYS - set(body)
        if unknown or missing:
            raise AgreementInvalid(field=", ".join(sorted(unknown or missing)), why="unknown" if unknown else "missing")
        if body["kind"] != "agreement":
            raise AgreementInvalid(field="kind", why='"agreement" is expected')
        for name in ("title", "purpose", "expires"):
            _text(body, name)
        if not isinstance(body["disclosure"], list) or any(not isinstance(text, str) for text in body["disclosure"]):
            raise AgreementInvalid(field="disclosure", why="a list of sentences is expected")
        payer, referrer = _parties(body["parties"])
        valid_from, valid_until = _validity(body)
        amends, effective_from = _amendment(body)
        settlement = _object(body["settlement"], "settlement", {"chain_id", "contract", "window_seconds"})
        return cls(
            digest=Digest(canonical.digest("ecohub/agreement/v1", dict(body)).hex()),
            version=_whole(body["version"], "version", 1, 10**6),
            title=_text(body, "title"),
            payer=payer,
            referrer=referrer,
            currency=_currency(body["currency"]),
            zone=_zone(body["time_zone"]),
            valid_from=valid_from,
            valid_until=valid_until,
            attribution_days=_whole(body["attribution_days"], "attribution_days", 1, ATTRIBUTION_DAYS_MAX),
            rules=_rules(body["rules"]),
            chain_id=_whole(settlement["chain_id"], "settlement.chain_id", 1, canonical.INTEGER_MAX),
            contract=_match(settlement["contract"], "settlement.contract", _ADDRESS, "a 0x address"),
            window_seconds=_whole(settlement["window_seconds"], "settlement.window_seconds", 1, WINDOW_SECONDS_MAX),
            nonce=_match(body["nonce"], "nonce", _NONCE, "32-128 hex digits"),
            amends=amends,
            effective_from=effective_from,
        )


def _parties(value: canonical.Value) -> tuple[Party, Party]:
    if not isinstance(value, list) or len(value) != 2:
        raise AgreementInvalid(field="parties", why="exactly one payer and one referrer are expected")
    parties = [_party(item, f"parties[{i}]") for i, item in enumerate(value)]
    by_role = {party.role: party for party in parties}
    if set(by_role) != {"payer", "referrer"}:
        raise AgreementInvalid(field="parties", why="exactly one payer and one referrer are expected")
    for field in ("partner", "signing", "sealing", "chain"):
        if getattr(parties[0], field) == getattr(parties[1], field):
            raise AgreementInvalid(field=f"parties.{field}", why="both parties have the same")
    return by_role["payer"], by_role["referrer"]


def _party(value: canonical.Value, field: str) -> Party:
    fields = _object(value, field, {"partner", "role", "signing", "sealing", "chain"})
    try:
        partner = parse_partner_id(fields["partner"])
    except MalformedIdentifier as error:
        raise AgreementInvalid(field=f"{field}.partner", why=error.message()) from None
    if fields["role"] not in ("payer", "referrer"):
        raise AgreementInvalid(field=f"{field}.role", why="payer or referrer is expected")
    return Party(
        partner=partner,
        role=str(fields["role"]),
        signing=bytes.fromhex(_match(fields["signing"], f"{field}.signing", _KEY, "64 hex digits")),
        sealing=bytes.fromhex(_match(fields["sealing"], f"{field}.sealing", _KEY, "64 hex digits")),
        chain=_match(fields["chain"], f"{field}.chain", _ADDRESS, "a 0x address"),
    )


def _rules(value: canonical.Value) -> tuple[PercentOfBase, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= RULES_MAX:
        raise AgreementInvalid(field="rules", why=f"1 to {RULES_MAX} rules are expected")
    rules = tuple(_rule(item, f"rules[{i}]") for i, item in enumerate(value))
    for name in ("id", "event"):
        if len({getattr(rule, name) for rule in rules}) != len(rules):
            raise AgreementInvalid(
                field=f"rules.{name}", why="two rules have the same; each event has one rule at most"
            )
    return rules


def _rule(value: canonical.Value, field: str) -> PercentOfBase:
    if not isinstance(value, dict) or "kind" not in value:
        raise AgreementInvalid(field=field, why="an object with a kind is expected")
    if value["kind"] != PERCENT_OF_BASE:
        raise RuleKindUnknown(rule=str(value.get("id"))[:64], kind=str(value["kind"])[:64], known=PERCENT_OF_BASE)
    fields = _object(value, field, {"id", "kind", "event", "rate", "months_from_referral"})
    try:
        rate = money.Ratio.from_text(cast(str, fields["rate"]))
    except RatioMalformed as error:
        raise AgreementInvalid(field=f"{field}.rate", why=error.message()) from None
    if not 0 < rate.fraction <= 1:
        raise AgreementInvalid(field=f"{field}.rate", why="more than 0 and at most 1/1 is expected")
    return PercentOfBase(
        id=_match(fields["id"], f"{field}.id", _NAME, "1-64 of a-z 0-9 . _ -"),
        event=_match(fields["event"], f"{field}.event", _NAME, "1-64 of a-z 0-9 . _ -"),
        rate=rate,
        months_from_referral=_whole(fields["months_from_referral"], f"{field}.months_from_referral", 1, MONTHS_MAX),
    )


def _validity(body: Mapping[str, canonical.Value]) -> tuple[date, date | None]:
    days: list[date | None] = []
    for name in ("valid_from", "valid_until"):
        if name == "valid_until" and body[name] is None:
            days.append(None)
            continue
        try:
            days.append(periods.parse_date(body[name]))
        except ValueError as error:
            raise AgreementInvalid(field=name, why=str(error)) from None
    start, end = days
    assert start is not None
    if end is not None and end < start:
        raise AgreementInvalid(field="valid_until", why="it is before valid_from")
    return start, end


def _amendment(body: Mapping[str, canonical.Value]) -> tuple[Digest | None, date | None]:
    named = _OPTIONAL & set(body)
    if not named:
        return None, None
    if named != _OPTIONAL:
        raise AgreementInvalid(field=", ".join(_OPTIONAL - named), why="amends and effective_from go together")
    try:
        return parse_digest(body["amends"]), periods.parse_date(body["effective_from"])
    except Failure as error:
        raise AgreementInvalid(field="amends", why=error.message()) from None
    except ValueError as error:
        raise AgreementInvalid(field="effective_from", why=str(error)) from None


def _zone(value: canonical.Value) -> ZoneInfo:
    try:
        return ZoneInfo(str(value))
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder name gives an OSError
        raise AgreementInvalid(field="time_zone", why="an IANA name such as Asia/Shanghai is expected") from None


def _currency(value: canonical.Value) -> str:
    try:
        money.decimals(str(value))
    except Failure as error:
        raise AgreementInvalid(field="currency", why=error.message()) from None
    return str(value)


def _object(value: canonical.Value, field: str, keys: set[str]) -> dict[str, canonical.Value]:
    if not isinstance(value, dict) or set(value) != keys:
        raise AgreementInvalid(field=field, why=f"an object of exactly {', '.join(sorted(keys))} is expected")
    return value


def _whole(value: canonical.Value, field: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise AgreementInvalid(field=field, why=f"a whole number from {least} to {most} is expected")
    return value


def _match(value: canonical.Value, field: str, pattern: re.Pattern[str], form: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise AgreementInvalid(field=field, why=f"{form} is expected")
    return value


def _text(body: Mapping[str, canonical.Value], field: str) -> str:
    value = body[field]
    if not isinstance(value, str) or not 1 <= len(value) <= 2000:
        raise AgreementInvalid(field=field, why="a text of 1-2000 characters is expected")
    return value
