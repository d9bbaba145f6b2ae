"""Instants as text: ISO 8601 with offset, whole seconds, UTC. One form, so that text sorts as time does."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from ecowire.status import MalformedMessage

Clock: TypeAlias = Callable[[], datetime]
Entropy: TypeAlias = Callable[[int], bytes]


def to_text(now: datetime) -> str:
    """ "2026-10-01T00:00:00+00:00" for an aware instant."""
    assert now.tzinfo is not None, "an instant without a time zone"
    return now.astimezone(UTC).isoformat(timespec="seconds")


def parse(value: object, what: str) -> datetime:
    """The aware instant of ISO 8601 text with an offset. Raises MalformedMessage for anything else."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise MalformedMessage(why=f"{what} is not a time with an offset")
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # "9999-12-31T23:59:59-14:00" has no form in UTC
        raise MalformedMessage(why=f"{what} is out of range") from None
