"""The fields of an agreement's body, declared once: `Agreement.from_body` reads by them, the JSON Schema says them.

Optional fields came later; a body without them stays valid and keeps its digest.
"""

from typing import Any

from privacy import canonical
from revenue_share import rules
from revenue_share.fields import Choice, Day, Flag, Form, Items, Perhaps, Rate, Schema, Table, Text, Whole
from revenue_share.money import AMOUNT_FEN_MAX, DECIMALS

RULES_MAX = 64
RATES_MAX = 5000
WINDOW_SECONDS_MAX = 366 * 86400
ATTRIBUTION_DAYS_MAX = 3660
RUN_OFF_MONTHS_MAX = 120
LATE_DAYS_MAX = 366
PRIORITY_MAX = 999
FX_MOST = 10**6

_DIGEST = Form(pattern=r"[0-9a-f]{64}", form="64 hex digits")
_ADDRESS = Form(pattern=r"0x[0-9a-fA-F]{40}", form="a 0x address")
_CURRENCY = Choice(words=tuple(sorted(DECIMALS)))
_PARTY = Table(
    needed={
        "partner": Form(pattern=r"[a-z][a-z0-9-]{1,31}", form="a partner id of 2-32 of a-z, 0-9 and -"),
        "role": Choice(words=("payer", "referrer")),
        "signing": _DIGEST,
        "sealing": _DIGEST,
        "chain": _ADDRESS,
    }
)


class _Rule:
    """One rule, by its kind (`rules.read`)."""

    def read(self, value: canonical.Value, name: str) -> Any:
        return rules.read(value, name)

    def schema(self) -> Schema:
        return {"$ref": "#/$defs/rule"}


BODY = Table(
    needed={
        "kind": Choice(words=("agreement",)),
        "version": Whole(least=1, most=10**6),
        "title": Text(),
        "parties": Items(of=_PARTY, least=2, most=2, what="parties: one payer and one referrer"),
        "currency": _CURRENCY,
        "time_zone": Text(most=64),
        "valid_from": Day(),
        "valid_until": Perhaps(of=Day()),
        "attribution_days": Whole(least=1, most=ATTRIBUTION_DAYS_MAX),
        "rules": Items(of=_Rule(), least=1, most=RULES_MAX, what="rules"),
        "settlement": Table(
            needed={
                "chain_id": Whole(least=1, most=canonical.INTEGER_MAX),
                "contract": _ADDRESS,
                "window_seconds": Whole(least=1, most=WINDOW_SECONDS_MAX),
            }
        ),
        "purpose": Text(),
        "expires": Text(),
        "nonce": Form(pattern=r"[0-9a-f]{32,128}", form="32-128 hex digits"),
        "disclosure": Items(of=Text(least=0, most=10**6), least=0, most=10**6, what="sentences"),
    },
    optional={
        "amends": _DIGEST,
        "effective_from": Day(),
        "minimum_payout_minor": Whole(least=0, most=AMOUNT_FEN_MAX),
        "tax": Table(optional={"withholding": Rate(), "vat": Rate(), "vat_included": Flag()}, least=1),
        "fx": Items(
            of=Table(needed={"currency": _CURRENCY, "from": Day(), "rate": Rate(most=FX_MOST)}),
            least=1,
            most=RATES_MAX,
            what="rates",
        ),
        "exit": Table(needed={"run_off_months": Whole(least=0, most=RUN_OFF_MONTHS_MAX)}),
        "late_days": Whole(least=0, most=LATE_DAYS_MAX),
        "attribution": Table(
            needed={"credit": Choice(words=("first", "last", "shared"))},
            optional={"priority": Whole(least=0, most=PRIORITY_MAX)},
        ),
    },
)
