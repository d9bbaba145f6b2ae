"""Instants and calendar months of an agreement's time zone.

Instants are aware UTC datetimes of whole seconds, written "2026-10-05T06:00:00Z". Calendar rules (which month an event
falls in, when "one month from the referral" ends) are applied to the wall clock of the agreement's zone.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from privacy.ids import Period, parse_period

_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")
_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")


def parse_time(text: object) -> datetime:
    """The instant of "2026-10-05T06:00:00Z". Raises ValueError for any other form or a date that does not exist."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("an instant such as 2026-10-05T06:00:00Z is expected")
    return datetime.fromisoformat(text)


@lru_cache(maxsize=1024)  # a line says an instant several times, and a client's lines the same referral
def time_text(time: datetime) -> str:
    """The one written form of an instant of whole seconds."""
    assert time.tzinfo is not None and time.microsecond == 0, "an instant is aware and has whole seconds"
    return time.astimezone(UTC).isoformat()[:19] + "Z"


def parse_date(text: object) -> date:
    """The date of "2026-10-05". Raises ValueError for any other form or a date that does not exist."""
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise ValueError("a date such as 2026-10-05 is expected")
    return date.fromisoformat(text)


def period_bounds(period: Period, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of the month and first instant after it, in UTC."""
    year, month = (int(part) for part in parse_period(period).split("-"))
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return _utc(datetime(year, month, 1, tzinfo=zone)), _utc(datetime(after[0], after[1], 1, tzinfo=zone))


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """First instant of a date of the zone's calendar, in UTC."""
    return _utc(datetime(day.year, day.month, day.day, tzinfo=zone))


def add_months(time: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The same wall-clock time `months` later, in UTC; a day the month lacks becomes its last (31 Jan -> 28 Feb)."""
    local = time.astimezone(zone)
    index = local.year * 12 + local.month - 1 + months
    year, month = divmod(index, 12)
    day = min(local.day, _last_day(year, month + 1))
    return _utc(local.replace(year=year, month=month + 1, day=day))


def add_days(time: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same wall-clock time `days` calendar days later, in UTC."""
    return _utc(time.astimezone(zone) + timedelta(days=days))


@lru_cache(maxsize=1024)
def local_text(time: datetime, zone: ZoneInfo) -> str:
    """Wall clock with its offset for sentences: "2026-10-05 14:00:00 +08:00"."""
    text = time.astimezone(zone).isoformat(" ", "seconds")
    return f"{text[:19]} {text[19:]}"


def _last_day(year: int, month: int) -> int:
    after = date(year + 1, 1, 1) if month == 12 else date(year, month + 1, 1)
    return (after - timedelta(days=1)).day


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)
