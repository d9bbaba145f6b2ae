"""What the repositories of one transaction share: its connection, and an ORM session on it where one is asked for.

The tables that every message of a run touches are read and written by plain statements on the connection, which cost a
fraction of the ORM's; a session is made only where a repository wants rows as objects. Repositories flush what they
write, so both see one state.
"""

from functools import cached_property

from sqlalchemy import Connection
from sqlalchemy.orm import Session


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
