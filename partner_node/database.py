"""The node's SQLite file: one transaction a use case, every commit on disk before it returns.

WAL with synchronous=FULL survives `kill -9` and power loss. Deleted session rows held secrets: secure_delete overwrites
them in the database file, and after a transaction that asked for it (`forget`) the write-ahead log, which still holds
the pages as they were, is emptied; the worker does so when its replies are on their way. Writers take the lock at BEGIN
IMMEDIATE, so none fails half way for want of it.

Connections stay open and are used again. A transaction is begun and committed on the driver's own connection, `raw`,
which takes the few statements that every message needs; the ORM joins it where a repository wants it, and costs nothing
where none does.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, create_engine, event, inspect, select, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from partner_node.errors import StoreOtherVersion
from partner_node.tables import (
    SCHEMA_VERSION,
    Base,
    CountedRow,
    CountReleaseRow,
    LabelsRow,
    MappingRow,
    ReleaseRow,
    ResultFileRow,
    RoundKeyRow,
    Schema,
    SharedRow,
)
from partner_node.tables_labels import LabelDeliveryRow, LabelFileRow, LabelRefusalRow, OptOutRow
from partner_node.tables_matching import EpochMasksRow, EpochRow, MatchAlarmRow, MatchEntryRow, MatchRefusalRow
from partner_node.tables_moments import MomentColumnRow, MomentValuesRow
from partner_node.tables_releases import ModelStepRow
from partner_node.tables_scores import ScoreAskRow, ScoreBookingRow, ScoreGivenRow, ScoreSplitBookingRow, ScoreSplitRow
from partner_node.tables_settlement import AdjustmentRow, DisputeRow, PositionRow

T = TypeVar("T")
BUSY_MILLISECONDS = 10_000
CACHE_KIBIBYTES = 32 << 10
LOG_BYTES = 64 << 20
PAGE_BYTES = 16 << 10  # what `tables.RoundKeyRow` relies on; a match's bodies of megabytes are written in fewer steps
FORGET, RAW = "forget", "raw"
PRAGMAS = (
    f"page_size={PAGE_BYTES}",  # of a new file
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "temp_store=MEMORY",  # a statement's own journal holds pages as they were
    f"busy_timeout={BUSY_MILLISECONDS}",
    # an answer of a match may have 13 MB: its pages must not spill, and those that are free again before the log is
    # moved into the file are never moved
    f"cache_size=-{CACHE_KIBIBYTES}",
)
ADDED = {
    2: (RoundKeyRow, ReleaseRow),
    3: (ResultFileRow,),
    4: (MatchEntryRow, MatchAlarmRow, MatchRefusalRow),
    5: (SharedRow, CountedRow),
    6: (CountReleaseRow,),
    7: (LabelsRow,),
    8: (EpochRow, EpochMasksRow),
    9: (MappingRow,),
    10: (OptOutRow, LabelDeliveryRow, LabelRefusalRow, LabelFileRow),
    11: (ModelStepRow, ScoreAskRow, ScoreGivenRow, ScoreBookingRow),
    12: (ScoreSplitRow, ScoreSplitBookingRow),
    13: (
        PositionRow,
        DisputeRow,
        AdjustmentRow,
    ),
    14: (MomentValuesRow, MomentColumnRow),
}  # tables that each schema brought: steps only add


class Database:
    """The open database of one node process. `read` and `write` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open, create, or bring an older file to this schema. Raises StoreOtherVersion for a newer or unknown one."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
        event.listen(self._engine, "connect", _pragmas)
        self._idle: list[Connection] = []  # open, outside any transaction
        self._log_due = False
        self.write("create tables", self._create)

    def read(self, query: Callable[[Session], T]) -> T:
        """One consistent view. What `query` returns must be values, never rows."""
        with self._transaction("BEGIN", "read") as session:
            return query(session)

    def write(self, name: str, change: Callable[[Session], T], *, keep_log: bool = False) -> T:
        """One transaction, named for the log. It commits when `change` returns and leaves nothing when it raises.

        keep_log: where secrets were deleted, the caller empties the write-ahead log with `empty_due_log` soon after.
        """
        with self._transaction("BEGIN IMMEDIATE", name) as session:
            result = change(session)
            if session.in_transaction():
                session.commit()  # flushes, and commits what is begun on the connection
            if raw(session).in_transaction:
                raw(session).commit()
            if session.info.get(FORGET):
                self._log_due = True
        if not keep_log:
            self.empty_due_log()
        return result

    def empty_due_log(self) -> None:
        """Empty the write-ahead log if a committed transaction deleted secrets."""
        if self._log_due:
            self._log_due = False  # first: what another thread commits meanwhile is due again
            if not self.empty_log():
                self._log_due = True

    def empty_log(self) -> bool:
        """Move all pages into the database file and empty the write-ahead log; False where a reader was in the way.

        Called after secrets were deleted, and by the upkeep for what a reader held up.
        """
        with self._connection() as connection:
            busy, _, _ = _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """The connection used last, whose pages are in memory, or a new one: lists pop and append at one stroke."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    @contextmanager
    def _transaction(self, begin: str, name: str) -> Iterator[Session]:
        with self._connection() as connection:
            driver = _driver(connection)
            driver.execute(begin)
            try:
                with Session(connection, info={"name": name, RAW: driver}) as session:
                    yield session
            finally:
                if driver.in_transaction:
                    driver.rollback()

    @staticmethod
    def _create(session: Session) -> None:
        connection = session.connection()
        if not inspect(connection).has_table(Schema.__tablename__):
            Base.metadata.create_all(connection)
            session.add(Schema(id=1, version=SCHEMA_VERSION))
            return
        found = session.scalar(select(Schema.version).where(Schema.id == 1))
        if found is None or not 1 <= found <= SCHEMA_VERSION:
            raise StoreOtherVersion(found=str(found), needed=SCHEMA_VERSION)
        for version in range(found + 1, SCHEMA_VERSION + 1):
            for row in ADDED[version]:
                row.metadata.tables[row.__tablename__].create(connection)
        session.execute(update(Schema).where(Schema.id == 1).values(version=SCHEMA_VERSION))


def raw(session: Session) -> sqlite3.Connection:
    """The driver's connection of a running transaction, in which the session's own statements are too once flushed."""
    driver = session.info[RAW]
    assert isinstance(driver, sqlite3.Connection)
    return driver


def forget(session: Session) -> None:
    """What this transaction deletes is secret: no earlier page may outlive it."""
    session.info[FORGET] = True


def _pragmas(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()
    (page,) = connection.execute("PRAGMA page_size").fetchone()  # an older file keeps its own
    connection.execute(f"PRAGMA wal_autocheckpoint={LOG_BYTES // page}").close()


def _driver(connection: Connection) -> sqlite3.Connection:
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)
    return found
