"""Whose is a client that several referrers of one payer claim: by priority, then first, last or shared.

The payer alone knows all claims on a client. On an event it names the others' as the fact `rivals`: instants, with a
priority where it is not 0, and no names, since a referrer is not told who its rivals are. A claim stands where it was
made at or before the event and its attribution days are not over. Of those that stand the lowest priority number wins;
among these the agreement says: the `first`, the `last`, or all `shared` in equal parts. Claims of the very same instant
share.
"""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction

from privacy.ids import ClientToken
from revenue_share import periods
from revenue_share.agreement import Agreement
from revenue_share.facts import RIVALS_MAX
from revenue_share.referral import RevenueEvent


def claims(text: str) -> tuple[tuple[datetime, int], ...]:
    """(instant, priority) of each rival claim of a checked fact. Raises ValueError for an instant that is none."""
    found = []
    for part in text.split(" "):
        instant, _, priority = part.partition("/")
        found.append((periods.parse_time(instant), int(priority or 0)))
    return tuple(found)


def rivals(others: Iterable[tuple[datetime, int]]) -> str:
    """The fact `rivals` of other referrers' claims, for the payer who reports. At most RIVALS_MAX, the latest first."""
    listed = sorted(others, reverse=True)[:RIVALS_MAX]
    return " ".join(periods.time_text(time) + (f"/{priority}" if priority else "") for time, priority in listed)


def credit(version: Agreement, referred: datetime, event: RevenueEvent) -> Fraction:
    """The part of an event's share that the agreement's referrer has: 1 without rivals, 0 where another one has it."""
    named = event.fact("rivals")
    if named is None:
        return Fraction(1)
    own = (referred, version.priority)
    standing = [own] + [
        (time, priority)
        for time, priority in claims(str(named))
        if time <= event.time < periods.add_days(time, version.attribution_days, version.zone)
    ]
    top = min(priority for _, priority in standing)
    times = [time for time, priority in standing if priority == top]
    if version.priority != top:
        return Fraction(0)
    if version.credit == "shared":
        return Fraction(1, len(times))
    best = min(times) if version.credit == "first" else max(times)
    return Fraction(1, times.count(best)) if referred == best else Fraction(0)


def refers_itself(event: RevenueEvent) -> bool:
    """Whether the client whom the event's client introduced is that client."""
    friend = event.fact("friend")
    return friend is not None and ClientToken(str(friend)) == event.token
