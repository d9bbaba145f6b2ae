"""Which events count: the verdict on one event by the version of the terms in force at its instant.

Nothing here raises because an event does not qualify, and nothing depends on other events: duplicates, points and
reversing events are judged in `pricing`, which knows what stands besides.
"""

from datetime import datetime

from revenue_share import attribution, currencies, periods
from revenue_share.agreement import Agreement
from revenue_share.referral import Referral, RevenueEvent, Verdict
from revenue_share.rules import Rule


class Windows:
    """Whether a version covers a referral and when a rule's window of it ends, once for each client.

    Events come by client: what was found for one is forgotten with the next.
    """

    def __init__(self) -> None:
        self._referral: Referral | None = None
        self._found: dict[tuple[str, str], tuple[bool, datetime]] = {}

    def of(self, version: Agreement, rule: Rule, referral: Referral) -> tuple[bool, datetime]:
        """(covered, first instant at which an event no longer counts)."""
        if referral is not self._referral:
            self._referral, self._found = referral, {}
        key = (version.digest, rule.id)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = version.covers(referral.time), version.window_end(rule, referral.time)
        return found


def booking_start(version: Agreement, start: datetime) -> datetime:
    """First instant of which events are booked in a period that begins at `start`: late ones too."""
    return periods.add_days(start, -version.late_days, version.zone) if version.late_days else start


def qualify(
    version: Agreement,
    rule: Rule | None,
    referral: Referral | None,
    event: RevenueEvent,
    bounds: tuple[datetime, datetime],
    windows: Windows,
) -> Verdict:
    """The verdict on one event that is no duplicate and reverses none.

    version: in force at the event; rule: its rule for this kind; bounds: the first instant that is booked in the period
    and the first one after it.
    """
    referred = rule is None or rule.referred
    if referred and referral is None:
        return Verdict.UNKNOWN_TOKEN
    if rule is None:
        return Verdict.WRONG_KIND
    if not bounds[0] <= event.time < bounds[1]:
        return Verdict.OUTSIDE_PERIOD
    if not referred:
        if not version.covers(event.time):
            return Verdict.OUTSIDE_VALIDITY
    elif referral is not None:
        covered, end = windows.of(version, rule, referral)
        if not covered:
            return Verdict.OUTSIDE_VALIDITY
        if event.time < referral.time:
            return Verdict.BEFORE_REFERRAL
        if event.time >= end:
            return Verdict.AFTER_WINDOW
    return _by_facts(version, rule, referral, event)


def _by_facts(version: Agreement, rule: Rule, referral: Referral | None, event: RevenueEvent) -> Verdict:
    run_off = version.run_off_end() if version.run_off_months is not None else None
    if run_off is not None and event.time >= run_off:
        return Verdict.AFTER_RUN_OFF
    if (event.facts or rule.kind.needs or event.kind != rule.event) and rule.facts_fault(event):
        return Verdict.FACTS_WRONG
    if event.base_minor < 0 and not rule.kind.SIGNED:
        return Verdict.BASE_SIGN
    if event.facts:
        if attribution.refers_itself(event):
            return Verdict.SELF_REFERRAL
        if currencies.rate(version, event) is None:
            return Verdict.RATE_MISSING
        if referral is not None and attribution.credit(version, referral.time, event) == 0:
            return Verdict.OTHER_REFERRER
    return Verdict.COUNTED_REVERSAL if event.base_minor < 0 else Verdict.COUNTED
