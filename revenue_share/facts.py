"""The facts a revenue event may carry besides its base: small named integers and texts, checked once at the edge.

A rule kind declares which of them it needs and which it takes (`rules.KINDS`); here is what each name means and which
values it may have. A name outside this table is refused with the report that carries it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from privacy import canonical
from revenue_share import periods
from revenue_share.fields import Form, Whole
from revenue_share.money import AMOUNT_FEN_MAX, DECIMALS

Fact: TypeAlias = int | str
Facts: TypeAlias = tuple[tuple[str, Fact], ...]  # ascending by name, none twice

PPM = 1_000_000
RIVALS_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """One to `most` instants, each perhaps with a priority: "2026-10-05T06:00:00Z 2026-10-06T06:00:00Z/2"."""

    most: int

    def fault(self, value: object) -> str:
        """Why a value is none; empty where it is one."""
        parts = value.split(" ") if isinstance(value, str) else [""]
        try:
            for part in parts:
                instant, slash, priority = part.partition("/")
                periods.parse_time(instant)
                if slash and not re.fullmatch(r"[1-9][0-9]{0,2}", priority):
                    raise ValueError
        except ValueError:
            return "instants, each perhaps with /priority, are expected"
        return "" if len(parts) <= self.most else f"at most {self.most} instants are expected"


FACTS: dict[str, Whole | Form | Instants] = {
    "completion_ppm": Whole(least=0, most=PPM),  # how much of a course or contract the client has completed
    "count": Whole(least=1, most=10**9),  # how many things of one kind the event stands for; 1 where absent
    "currency": Form(pattern="|".join(sorted(DECIMALS)), form="a known currency"),  # of the base; else the agreement's
    "friend": Form(pattern=r"[0-9a-f]{32}", form="a client token"),  # the client whom the event's client introduced
    "item": Form(pattern=r"[a-z0-9][a-z0-9._-]{0,63}", form="1-64 of a-z 0-9 . _ -"),  # the course or contract
    "level_minor": Whole(least=0, most=AMOUNT_FEN_MAX),  # the client's assets (AUM) at the event, in minor units
    "points": Whole(least=1, most=10**12),  # redeemed by the event
    "reason": Form(pattern=r"[a-z0-9][a-z0-9._-]{0,63}", form="1-64 of a-z 0-9 . _ -"),  # of taking an event back
    "receipt": Form(pattern=r"[0-9a-f]{64}", form="64 hex digits"),  # of a run's contributions, by digest
    "reverses": Form(pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", form="an event id"),  # the event it takes back
    # other referrers' claims on the same client, known to the payer: instants, each with "/priority" where not 0
    "rivals": Instants(most=RIVALS_MAX),
    "scale": Whole(least=0, most=6),  # decimals of the base beyond the minor unit: 12345 with scale 1 is 1234.5
    "score_ppm": Whole(least=0, most=10 * PPM),  # the measured effect of a service
    "weight_ppm": Whole(least=0, most=PPM),  # the partner's part of a pool, from the receipt
}


def read(value: canonical.Value) -> Facts:
    """The facts of a report's row. Raises ValueError naming the first wrong one."""
    if not isinstance(value, dict) or not value:
        raise ValueError("facts: an object of at least one fact is expected")
    for name in sorted(value):
        if name not in FACTS:
            raise ValueError(f"facts.{name[:40]}: unknown")
        if why := FACTS[name].fault(value[name]):
            raise ValueError(f"facts.{name}: {why}")
    return of({name: fact for name, fact in value.items() if isinstance(fact, int | str)})


def of(values: Mapping[str, Fact]) -> Facts:
    """Facts in their one order."""
    return tuple(sorted(values.items()))
