"""When an agreement is over: from which instant on no event can count or be taken back under it any more.

For each rule of each version, as long as that version prices events:

    counts    before the first instant after `valid_until`; of referred clients until the windows of the last referral
              end that can be made by then; neither after the run-off, where the agreement has an `exit`
    back      an event of the last such instant until its clawback's window ends, where the rule has one

The latest of these is the end. A month is over once it books nothing of before: it begins `late_days` or more after
the end. An agreement without `valid_until` is never over.
"""

from datetime import datetime, timedelta

from privacy.ids import Period
from revenue_share import periods
from revenue_share.agreement import Agreement
from revenue_share.qualification import booking_start
from revenue_share.rules import Rule
from revenue_share.terms import Terms

_SECOND = timedelta(seconds=1)  # instants are whole seconds


def end(terms: Terms, period: Period) -> datetime | None:
    """First instant at which no event counts or is taken back, by the versions in force until the period's end.

    None where there is no such instant: the agreement is open.
    """
    after = periods.period_bounds(period, terms.zone)[1]
    known = [pair for pair in zip(terms.versions, terms.starts, strict=True) if pair[1] < after]
    nexts = [start for _, start in known[1:]]
    ends: list[datetime] = []
    for (version, start), next_start in zip(known, [*nexts, None], strict=True):
        for rule in version.rules:
            until = _counts_until(version, rule, next_start)
            if until is None:
                return None
            if until > start:
                ends.append(_back_until(version, rule, until))
    return max(ends)


def over(terms: Terms, period: Period) -> bool:
    """Whether no event that counts, or takes back what counted, can be booked in this period or a later one."""
    found = end(terms, period)
    begin = periods.period_bounds(period, terms.zone)[0]
    return found is not None and booking_start(terms.closing(period), begin) >= found


def _counts_until(version: Agreement, rule: Rule, next_start: datetime | None) -> datetime | None:
    """First instant at which the version prices no event by this rule any more; None where it always does."""
    bounds = [version.run_off_end(), next_start]
    if version.valid_until is not None:
        after = periods.day_start(version.valid_until + timedelta(days=1), version.zone)
        bounds.append(version.window_end(rule, after - _SECOND) if rule.referred else after)
    return min((bound for bound in bounds if bound is not None), default=None)


def _back_until(version: Agreement, rule: Rule, until: datetime) -> datetime:
    """First instant at which nothing that counted before `until` can be taken back."""
    if rule.clawback is None:
        return until
    return max(until, periods.add_days(until - _SECOND, rule.clawback.window_days, version.zone))
