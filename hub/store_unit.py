"""What the repositories of one transaction share: its connection, and an ORM session on it where one is asked for.

The tables that every message of a run touches are read and written by plain statements on the connection, which cost a
fraction of the ORM's; a session is made only where a repository wants rows as objects. Repositories flush what they
write, so both see one state.
"""

from functools import cached_property
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from hub.records import Head
from privacy import canonical

BEGINNING_MIN = 8  # digits of an id that people may cut short


class Unit:
    """One transaction that somebody else begins and ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def session(self) -> Session:
        return Session(self.connection, expire_on_commit=False)

    def flush(self) -> None:
        """What the session still holds goes to the database."""
        if "session" in self.__dict__:
            self.session.flush()

    def close(self) -> None:
        if "session" in self.__dict__:
            self.session.close()


class Repository:
    """A part of the database, in one transaction."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._connection = unit.connection

    @property
    def _session(self) -> Session:
        return self._unit.session


def next_number(session: Session, table: Any) -> int:
    """The number of a table's next row."""
    return int(session.scalars(select(func.coalesce(func.max(table.number), 0))).one()) + 1


def begins(session: Session, column: Any, beginning: str) -> Any:
    """The row whose column begins so; None where it is none or several, and for a beginning of few digits."""
    if len(beginning) < BEGINNING_MIN:
        return None
    query = select(column.class_).where(column.startswith(beginning, autoescape=True)).limit(2)
    found = session.scalars(query).all()
    return found[0] if len(found) == 1 else None


def to_text(value: canonical.Value) -> str:
    """A value as a column keeps it."""
    return canonical.encode(value).decode()


def to_head(text: str) -> Head:
    """What a column keeps of a head."""
    value = canonical.decode(text.encode())
    assert isinstance(value, dict)
    return value
