"""Builders of agreement bodies, referrals and events for tests."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from privacy import canonical
from privacy.ids import ClientToken, PartnerId, Period
from privacy.seal import SealingKey, SigningKey
from revenue_share import allocation, facts
from revenue_share.agreement import Agreement
from revenue_share.allocation import AccrualLine
from revenue_share.facts import Fact
from revenue_share.periods import parse_time
from revenue_share.position import Position
from revenue_share.referral import Referral, RevenueEvent
from revenue_share.statement import Salts
from revenue_share.terms import Terms
from tests.support.entropy import SeededEntropy

PAYER = PartnerId("broker")
REFERRER = PartnerId("platform-a")
OCTOBER = Period("2026-10")


def signing_key(partner: str) -> SigningKey:
    return SigningKey(SeededEntropy(f"signing/{partner}".encode())(32))


def sealing_key(partner: str) -> SealingKey:
    return SealingKey(SeededEntropy(f"sealing/{partner}".encode())(32))


def party_value(partner: str, role: str, chain: str) -> dict[str, canonical.Value]:
    keys = {"signing": signing_key(partner).public.hex(), "sealing": sealing_key(partner).public.hex()}
    return {"partner": partner, "role": role, **keys, "chain": chain}


def agreement_body(**changes: Any) -> dict[str, canonical.Value]:
    """The body of "5 % of first-month commission" between the broker and a platform."""
    body: dict[str, canonical.Value] = {
        "kind": "agreement",
        "version": 1,
        "title": "5 % of first-month commission",
        "parties": [
            party_value(PAYER, "payer", "0x" + "11" * 20),
            party_value(REFERRER, "referrer", "0x" + "22" * 20),
        ],
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "valid_from": "2026-01-01",
        "valid_until": "2026-12-31",
        "attribution_days": 90,
        "rules": [
            {
                "id": "first-month-commission",
                "kind": "percent_of_base",
                "event": "commission",
                "rate": "1/20",
                "months_from_referral": 1,
            }
        ],
        "settlement": {"chain_id": 20260, "contract": "0x" + "33" * 20, "window_seconds": 259200},
        "purpose": "referral revenue share",
        "expires": "2026-12-31T00:00:00Z",
        "nonce": "ab" * 32,
        "disclosure": ["the referrer learns the commission of the clients it referred"],
    }
    return body | changes


def agreement(**changes: Any) -> Agreement:
    return Agreement.from_body(agreement_body(**changes))


def token(number: int) -> ClientToken:
    return ClientToken(f"{number:032x}")


def referral(number: int, time: str = "2026-10-01T01:00:00Z") -> Referral:
    return Referral(token=token(number), time=parse_time(time))


def event(
    event_id: str,
    number: int,
    base_minor: int,
    time: str = "2026-10-05T06:00:00Z",
    kind: str = "commission",
    **given: Fact,
) -> RevenueEvent:
    """An event of a client; number 0 is no client (`referral.NO_CLIENT`). given: its facts."""
    return RevenueEvent(
        id=event_id,
        token=token(number),
        kind=kind,
        time=parse_time(time),
        base_minor=base_minor,
        facts=facts.of(given),
    )


def rule(kind: str, event_kind: str, **fields: Any) -> dict[str, canonical.Value]:
    """A rule of an agreement's body for twelve months from the referral, or for no referral at all."""
    referred: dict[str, canonical.Value] = {"months_from_referral": 12} if fields.get("referred", True) else {}
    return {"id": f"{event_kind}-rule", "kind": kind, "event": event_kind, **referred, **fields}


def terms(*rules: dict[str, canonical.Value], **changes: Any) -> Terms:
    """Terms of one version with these rules, open, with a year of attribution."""
    open_ = {"rules": [*rules], "attribution_days": 366, "valid_until": None}
    return Terms.of(agreement(**{**open_, **changes}))


def amended(before: Terms, **changes: Any) -> Terms:
    """The terms with one more version, which repeats the root but for the changes; changes names effective_from."""
    number = len(before.versions) + 1
    given = {"attribution_days": 366, "valid_until": None, "amends": before.latest.digest, "version": number}
    body = agreement_body(**given | changes)
    return Terms.of(*before.versions, Agreement.from_body(body))


class Months:
    """Periods allocated one after the other, each from the position that the one before handed on."""

    def __init__(self, terms: Terms, referrals: Iterable[Referral]) -> None:
        self.terms, self.referrals = terms, list(referrals)
        self.position = Position.empty()

    def close(self, period: str, *events: RevenueEvent) -> tuple[AccrualLine, ...]:
        """The lines of a period; the position moves on, over its stored form."""
        made = allocation.allocate(self.terms, self.referrals, events, Period(period), self.position)
        self.payout = made.payout
        self.position = Position.from_value(canonical.decode(canonical.encode(made.closing.to_value())))
        assert self.position == made.closing and self.position.digest == made.closing.digest
        lines = tuple(made.lines)
        for line in lines:  # both sentences are complete, whatever the verdict
            assert not set("{}") & set(line.reason_en + line.reason_zh), line
            assert any("一" <= letter <= "鿿" for letter in line.reason_zh), line
        return lines

    def amounts(self, period: str, *events: RevenueEvent) -> dict[str, int]:
        """Amount by event id."""
        return {line.event: line.amount_minor for line in self.close(period, *events) if line.event}

    def verdicts(self, period: str, *events: RevenueEvent) -> dict[str, str]:
        """Verdict by event id."""
        return {line.event: line.verdict.value for line in self.close(period, *events) if line.event}


def instant(text: str) -> datetime:
    return parse_time(text)


def allocate(
    terms: Agreement, referrals: Iterable[Referral], events: Iterable[RevenueEvent], period: Period
) -> tuple[AccrualLine, ...]:
    """The lines of an agreement's first period under its first version."""
    return tuple(allocation.allocate(Terms.of(terms), referrals, events, period, Position.empty()).lines)


def salts(count: int, seed: bytes = b"salts") -> Salts:
    entropy = SeededEntropy(seed)
    return Salts(lines=tuple(entropy(32) for _ in range(count)), total=entropy(32))
