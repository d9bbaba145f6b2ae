"""Instants as text: ISO 8601 in UTC with milliseconds and "Z", the one form the hub writes into documents."""

from datetime import UTC, datetime

from ecowire.status import MalformedMessage


def iso(now: datetime) -> str:
    """The text of an aware instant."""
    assert now.tzinfo is not None, "an instant without a time zone"
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: object) -> datetime:
    """The aware instant of an ISO 8601 text with an offset. Raises MalformedMessage for anything else."""
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) and len(text) <= 40 else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise MalformedMessage(why="a time with its offset in ISO 8601 is expected")
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # "9999-12-31T23:59:59-14:00" has no form in UTC
        raise MalformedMessage(why="a time with its offset in ISO 8601 is expected") from None
