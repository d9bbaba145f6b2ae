"""Drafts of agreements: what finance gave, completed with defaults; no I/O. The hub and every node check the result."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from hub import times
from hub.drafts import DraftIncomplete, plain
from hub.records import Head

Entropy = Callable[[int], bytes]

EXPIRES_DAYS = 14
NONCE_BYTES = 32  # the referrer's name on the chain is salted with it: it must not be guessable
DEFAULTS: Head = {
    "kind": "agreement",
    "version": 1,
    "currency": "CNY",
    "time_zone": "Asia/Shanghai",
    "attribution_days": 90,
    "purpose": "referral revenue share",
}
RULE_KIND = "percent_of_base"
MONTHS_FROM_REFERRAL = 1  # of a rule that prices referred clients' events
DATES = ("valid_from", "valid_until", "effective_from")
AMENDMENT_FIXED = (
    "parties",
    "payer",
    "referrer",
    "currency",
    "time_zone",
    "valid_from",
    "nonce",
    "settlement",
    "amends",
)
AMENDMENT_OWN = ("expires", "disclosure", "amends", "effective_from")
NEEDED = ("title", "valid_from", "rules")


def agreement(given: Mapping[str, Any], contract: Mapping[str, Any], now: datetime, entropy: Entropy) -> dict[str, Any]:
    """The body of an agreement. `contract`: chain_id, contract and window_seconds, as the hub's command gives them.

    Given are "payer", "referrer" (or "parties"), "title", "valid_from" and "rules", each rule with id, event and what
    its kind needs; and of the optional fields what the agreement has. Raises DraftIncomplete.
    """
    body = {**DEFAULTS, **given}
    missing = [name for name in NEEDED if not body.get(name)]
    if "parties" not in body:
        missing += [name for name in ("payer", "referrer") if not body.get(name)]
        body["parties"] = [{"partner": body.pop(role, ""), "role": role} for role in ("payer", "referrer")]
    if missing:
        raise DraftIncomplete(why=f"missing: {', '.join(missing)}")
    rules = body["rules"]
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        raise DraftIncomplete(why="rules are tables with id, event and what their kind needs")
    body["rules"] = [_rule(rule) for rule in rules]
    body.setdefault("valid_until", None)
    body = dict(plain(_written(body)))
    body.setdefault("settlement", {name: contract[name] for name in ("chain_id", "contract", "window_seconds")})
    body.setdefault("expires", times.iso(now + timedelta(days=EXPIRES_DAYS)))
    body.setdefault("nonce", entropy(NONCE_BYTES).hex())
    body.setdefault("disclosure", disclosure(body))
    return body


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    referred: Head = {"months_from_referral": MONTHS_FROM_REFERRAL} if given.get("referred", True) else {}
    return {"kind": RULE_KIND, **referred, **given}


def _written(body: Mapping[str, Any]) -> dict[str, Any]:
    """Dates as text: TOML has dates of its own."""
    dated = {name: body[name].isoformat() for name in DATES if isinstance(body.get(name), date)}
    if isinstance(body.get("fx"), list):
        dated["fx"] = [
            {name: item.isoformat() if isinstance(item, date) else item for name, item in rate.items()}
            if isinstance(rate, Mapping)
            else rate
            for rate in body["fx"]
        ]
    return {**body, **dated}


def amendment(
    latest: Mapping[str, Any], digest: str, given: Mapping[str, Any], now: datetime, entropy: Entropy
) -> dict[str, Any]:
    """The body of the version after `latest`, whose digest is `digest`: what is given, the rest as it was.

    Given is "effective_from" and whatever changes. Whom the agreement binds, its currency, time zone, first day and
    contract are not amended. Raises DraftIncomplete.
    """
    if fixed := sorted(set(given) & {*AMENDMENT_FIXED}):
        raise DraftIncomplete(why=f"not amended: {', '.join(fixed)}; propose a new agreement")
    if not given.get("effective_from"):
        raise DraftIncomplete(why="missing: effective_from, the date from which the new version prices events")
    kept = {name: value for name, value in latest.items() if name not in AMENDMENT_OWN}
    body = agreement({**kept, "version": latest["version"] + 1, **given}, latest["settlement"], now, entropy)
    return {**body, "amends": digest}


def disclosure(body: Mapping[str, Any]) -> list[str]:
    """Who learns what under an agreement."""
    names = {party["role"]: party["partner"] for party in body["parties"]}
    payer, referrer = names.get("payer", "the payer"), names.get("referrer", "the referrer")
    kinds = (rule.get(name) for rule in body["rules"] for name in ("event", "redeem_event"))
    events = ", ".join(str(kind) for kind in kinds if kind is not None)
    return [
        f"{payer} and the hub learn which aligned clients {referrer} referred, by token, and when.",
        f"{referrer} and the hub learn times and bases of the {events} events of these clients, by token.",
        "The chain shows salted commitments, line counts, periods and signatures; no amount and no name.",
        "A regulator who examines the evidence sees tokens, bases and amounts; no client id.",
    ]
