"""An agreement version: who pays whom, by which rules, valid when, settled where.

The document both parties approve is the only source; `Agreement.from_body` checks every field of it once. Its digest is
the digest of the signed document, so a statement that names the digest names exactly these terms. The fields are
declared (`BODY`): `agreement_schema` says the same declarations as JSON Schema. A body without the optional fields is
what it always was, with the digest it always had.

The windows are half open, [referral, end): an event at the very instant of the end is outside. An event counts when it
lies in both the attribution window (`attribution_days` calendar days) and the rule's own window (`months_from_referral`
calendar months), and the referral was made on a date of [valid_from, valid_until], both included, all by the wall clock
of the agreement's time zone. Where `exit` is given, events count until its run-off after `valid_until` is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId
from revenue_share import money, periods, rules
from revenue_share.agreement_fields import BODY
from revenue_share.errors import AgreementInvalid
from revenue_share.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side: its Ed25519 signing and X25519 sealing public keys (32 bytes) and its chain address."""

    partner: PartnerId
    role: str  # "payer" or "referrer"
    signing: bytes
    sealing: bytes
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Units of the agreement's currency for one unit of another, each from a date on (its zone's calendar)."""

    currency: str
    days: tuple[date, ...]  # ascending
    rates: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """`withholding` is kept back of the amount without VAT; `vat` is added to it, or is contained in it."""

    withholding: Fraction  # 0: none
    vat: Fraction  # 0: none
    vat_included: bool


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
    rules: tuple[Rule, ...]
    chain_id: int
    contract: str
    window_seconds: int
    nonce: str
    amends: Digest | None  # the version before it; None for the first
    effective_from: date | None  # from this date on events are priced by it; None for the first
    minimum_payout_minor: int  # a smaller balance is carried forward
    tax: Tax
    fx: tuple[Rates, ...]
    run_off_months: int | None  # None: events of earlier referrals count as long as their windows last
    late_days: int  # so many days before a period its events may still be booked in it
    credit: str  # "first", "last" or "shared": whose a client of several referrers is
    priority: int  # of this referrer's claims; a lower number goes before a higher one

    @property
    def parties(self) -> tuple[Party, Party]:
        return (self.payer, self.referrer)

    def party(self, partner: str) -> Party | None:
        """The party of this partner id, if it is one."""
        return next((party for party in self.parties if party.partner == partner), None)

    def rule_for(self, event_kind: str) -> Rule | None:
        """The one rule that prices this kind of event, if any."""
        return next((rule for rule in self.rules if rule.prices(event_kind)), None)

    def rule(self, name: str) -> Rule | None:
        """The rule of this id, if there is one."""
        return next((rule for rule in self.rules if rule.id == name), None)

    def covers(self, referral_time: datetime) -> bool:
        """Whether a referral made then falls on a date on which the agreement is valid."""
        day = referral_time.astimezone(self.zone).date()
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)

    def window_end(self, rule: Rule, referral_time: datetime) -> datetime:
        """First instant at which an event of a referred client no longer counts under this rule."""
        assert rule.months_from_referral is not None, "a rule without referrals has no window"
        by_rule = periods.add_months(referral_time, rule.months_from_referral, self.zone)
        return min(by_rule, periods.add_days(referral_time, self.attribution_days, self.zone))

    def run_off_end(self) -> datetime | None:
        """First instant after the run-off; None where the agreement is open or has no `exit`."""
        if self.valid_until is None or self.run_off_months is None:
            return None
        after = periods.day_start(self.valid_until + timedelta(days=1), self.zone)
        return periods.add_months(after, self.run_off_months, self.zone)

    def rates(self, currency: str) -> Rates | None:
        """The rates of a foreign currency, if the agreement has them."""
        return next((rates for rates in self.fx if rates.currency == currency), None)

    @classmethod
    def from_body(cls, body: Mapping[str, canonical.Value]) -> "Agreement":
        """The agreement of a document's body.

        Raises AgreementInvalid naming the first wrong field, RuleKindUnknown for a rule this version can't compute.
        """
        known = {*BODY.needed, *BODY.optional}
        unknown, missing = set(body) - known, set(BODY.needed) - set(body)
        if unknown or missing:
            raise AgreementInvalid(field=", ".join(sorted(unknown or missing)), why="unknown" if unknown else "missing")
        read = {name: {**BODY.needed, **BODY.optional}[name].read(body[name], name) for name in sorted(body)}
        payer, referrer = _parties(read["parties"])
        _check_dates(read)
        tax, exit_, attribution = read.get("tax", {}), read.get("exit", {}), read.get("attribution", {})
        return cls(
            digest=Digest(canonical.digest("ecohub/agreement/v1", dict(body)).hex()),
            **{name: read[name] for name in _AS_READ},
            payer=payer,
            referrer=referrer,
            currency=_currency(read["currency"], "currency"),
            zone=_zone(read["time_zone"]),
            rules=_rules(read["rules"]),
            chain_id=read["settlement"]["chain_id"],
            contract=read["settlement"]["contract"],
            window_seconds=read["settlement"]["window_seconds"],
            amends=read.get("amends"),
            effective_from=read.get("effective_from"),
            minimum_payout_minor=read.get("minimum_payout_minor", 0),
            tax=Tax(
                withholding=tax.get("withholding", Fraction(0)),
                vat=tax.get("vat", Fraction(0)),
                vat_included=tax.get("vat_included", False),
            ),
            fx=_fx(read.get("fx", ()), read["currency"]),
            run_off_months=exit_.get("run_off_months"),
            late_days=read.get("late_days", 0),
            credit=attribution.get("credit", "first"),
            priority=attribution.get("priority", 0),
        )


_AS_READ = ("version", "title", "valid_from", "valid_until", "attribution_days", "nonce")


def _parties(read: tuple[dict[str, Any], ...]) -> tuple[Party, Party]:
    parties = [
        Party(
            partner=PartnerId(one["partner"]),
            role=one["role"],
            signing=bytes.fromhex(one["signing"]),
            sealing=bytes.fromhex(one["sealing"]),
            chain=one["chain"],
        )
        for one in read
    ]
    by_role = {party.role: party for party in parties}
    if set(by_role) != {"payer", "referrer"}:
        raise AgreementInvalid(field="parties", why="exactly one payer and one referrer are expected")
    for field in ("partner", "signing", "sealing", "chain"):
        if getattr(parties[0], field) == getattr(parties[1], field):
            raise AgreementInvalid(field=f"parties.{field}", why="both parties have the same")
    return by_role["payer"], by_role["referrer"]


def _rules(made: tuple[Rule, ...]) -> tuple[Rule, ...]:
    ids = [rule.id for rule in made]
    events = [kind for rule in made for kind in (rule.event, getattr(rule.kind, "redeem_event", None)) if kind]
    for name, values in (("id", ids), ("event", events)):
        if len(set(values)) != len(values):
            raise AgreementInvalid(
                field=f"rules.{name}", why="two rules have the same; each event has one rule at most"
            )
    return made


def _check_dates(read: Mapping[str, Any]) -> None:
    if read["valid_until"] is not None and read["valid_until"] < read["valid_from"]:
        raise AgreementInvalid(field="valid_until", why="it is before valid_from")
    if ("amends" in read) != ("effective_from" in read):
        missing = "amends" if "effective_from" in read else "effective_from"
        raise AgreementInvalid(field=missing, why="amends and effective_from go together")


def _fx(read: tuple[dict[str, Any], ...], own: str) -> tuple[Rates, ...]:
    dated: dict[str, dict[date, Fraction]] = {}
    for place, one in enumerate(read):
        currency = _currency(one["currency"], f"fx[{place}].currency")
        if currency == own:
            raise AgreementInvalid(field=f"fx[{place}].currency", why="it is the agreement's own")
        if one["from"] in dated.setdefault(currency, {}):
            raise AgreementInvalid(field=f"fx[{place}].from", why="the currency has two rates from this date")
        dated[currency][one["from"]] = one["rate"]
    return tuple(
        Rates(currency=currency, days=tuple(sorted(days)), rates=tuple(days[day] for day in sorted(days)))
        for currency, days in sorted(dated.items())
    )


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder name gives an OSError
        raise AgreementInvalid(field="time_zone", why="an IANA name such as Asia/Shanghai is expected") from None


def _currency(value: str, field: str) -> str:
    try:
        money.decimals(value)
    except Failure as error:
        raise AgreementInvalid(field=field, why=error.message()) from None
    return value


def agreement_schema() -> dict[str, canonical.Value]:
    """JSON Schema (draft 2020-12) of an agreement's body, from the declarations that `from_body` reads by."""
    made = BODY.schema()
    head: dict[str, canonical.Value] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ecohub agreement",
        "$defs": {"rule": rules.schema()},
    }
    return head | made
