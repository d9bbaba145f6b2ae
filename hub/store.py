"""The hub's database: one named transaction for each use case, retried where the database says "again".

`Store.run(name, fn)` gives `fn` a Transaction with repositories that return frozen values. The body may run up to
three times, so it does no network, no file and no clock; nothing it read may be believed before `run` returns.
Signals that the body leaves (a node has work, a job can advance) reach the listeners only after the commit.

SQLite: WAL, synchronous=FULL, foreign keys on, BEGIN IMMEDIATE for writers, and connections that stay out of the pool:
taking them from it for each of a round's twenty transactions cost a third of their time. PostgreSQL: SERIALIZABLE.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from hub.records import Content
from hub.store_evidence import EvidenceStore
from hub.store_jobs import JobStore
from hub.store_members import MemberStore
from hub.store_models import ModelStore
from hub.store_runs import RunStore
from hub.store_tasks import TaskStore
from hub.store_unit import Unit
from privacy.errors import Failure, Kind

T = TypeVar("T")
Signal = tuple[str, str]  # ("node", partner) or ("job", digest)

ATTEMPTS_MAX = 3
# answers of a match may have 13 MB: a transaction that writes some must not spill its pages, and pages that are free
# again before the log is moved into the file are never moved. One connection writes; those that read need no such room
CACHE_KIBIBYTES = {False: 64 << 10, True: 2 << 10}  # by whether it only reads
PAGE_BYTES = 32 << 10  # of a new file: a match's bodies of megabytes are written in an eighth of the steps
LOG_BYTES = 64 << 20
BUSY_MILLISECONDS = 5_000
READING = "ecohub_reading"
# 40001 serialization failure, 40P01 deadlock; 23505 because two serializable writers that both found a row missing
# may see the unique violation before the serialization failure (PostgreSQL 17 manual, section 13.5)
RETRIED_STATES = ("40001", "40P01", "23505")


class StoreBusy(Failure):
    code = "STORE_BUSY"
    kind = Kind.UNAVAILABLE
    en = "the hub's database stayed locked during {name}; nothing was changed, try again"
    zh = "枢纽数据库在 {name} 期间持续被锁，未作任何更改，请重试"


class StoreFull(Failure):
    code = "STORE_FULL"
    kind = Kind.UNAVAILABLE
    en = "the hub's disk is full; nothing was changed, free space and try again"
    zh = "枢纽磁盘已满，未作任何更改，请清理空间后重试"


class StoreDamaged(Failure):
    code = "STORE_DAMAGED"
    kind = Kind.INTEGRITY
    en = "the hub's database is damaged: {why}; stop the hub and restore the last backup"
    zh = "枢纽数据库已损坏：{why}；请停止枢纽并恢复最近备份"


class StoreOutdated(Failure):
    code = "STORE_OUTDATED"
    kind = Kind.UNAVAILABLE
    en = "the database has schema {found}, this program needs {needed}: run `ecohub hub migrate`"
    zh = "数据库架构为 {found}，本程序需要 {needed}：请运行 `ecohub hub migrate`"


class Transaction:
    """One transaction's repositories. `session` is for the settlement repository, which lives beside these."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.members = MemberStore(unit)
        self.jobs = JobStore(unit)
        self.tasks = TaskStore(unit)
        self.runs = RunStore(unit)
        self.models = ModelStore(unit)
        self.evidence = EvidenceStore(unit)
        self.signals: list[Signal] = []

    @property
    def session(self) -> Session:
        return self._unit.session

    def signal(self, what: str, whom: str) -> None:
        """Tell the listeners after the commit: ("node", partner) has work, ("job", digest) can advance."""
        if (what, whom) not in self.signals:
            self.signals.append((what, whom))

    def settle(self, what: str, whom: str) -> None:
        """What such a signal would have asked for is done in this transaction."""
        if (what, whom) in self.signals:
            self.signals.remove((what, whom))


class Store:
    """The database of one hub. Threads share it; each `run` has its own connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        # what is on its way to several nodes: whoever sends it finds the one copy here while somebody holds it
        self.contents: WeakValueDictionary[str, Content] = WeakValueDictionary()
        self._listeners: list[Callable[[Signal], None]] = []
        # SQLite has one writer; threads that wait for it here go on at once, where its own waiting sleeps in steps
        self._in_file = self.engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager[object] = threading.Lock() if self._in_file else nullcontext()
        # connections to the file, open and outside any transaction, by whether they only read
        self._idle: dict[bool, list[Connection]] = {False: [], True: []}

    def subscribe(self, listener: Callable[[Signal], None]) -> None:
        """Call `listener` with every signal of every committed transaction, in the committing thread."""
        self._listeners.append(listener)

    def run(self, name: str, fn: Callable[[Transaction], T]) -> T:
        """One transaction: commits when `fn` returns, rolls back when it raises.

        Raises what `fn` raises; StoreBusy after three attempts, StoreFull, StoreDamaged.
        """
        result, signals = self._attempt(name, fn, reading=False)
        for signal in signals:
            for listener in self._listeners:
                listener(signal)
        return result

    def read(self, name: str, fn: Callable[[Transaction], T]) -> T:
        """One reading transaction: it sees one state of the database and is rolled back."""
        return self._attempt(name, fn, reading=True)[0]

    def dry_run(self, name: str, fn: Callable[[Transaction], T]) -> T:
        """The real transaction, rolled back at the end: what would happen."""
        return self._attempt(name, fn, reading=False, keep=False)[0]

    def check(self) -> None:
        """Fail at start-up rather than later: StoreOutdated, StoreDamaged."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
                if found != "ok":
                    raise StoreDamaged(why=str(found)[:200])
            found, needed = current_revision(connection), head_revision()
        if found != needed:
            raise StoreOutdated(found=found or "none", needed=needed)

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
        self.engine.dispose()

    def _attempt(
        self, name: str, fn: Callable[[Transaction], T], *, reading: bool, keep: bool = True
    ) -> tuple[T, list[Signal]]:
        for attempt in range(ATTEMPTS_MAX):
            try:
                with nullcontext() if reading else self._turn, self._connection(reading) as connection:
                    return _once(connection, fn, commit=keep and not reading)
            except (DBAPIError, sqlite3.Error) as error:
                failure = _translate(error, name)
                if failure is None:
                    raise
                if not isinstance(failure, StoreBusy) or attempt + 1 == ATTEMPTS_MAX:
                    raise failure from error
            time.sleep(0.02 * 3**attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def _connection(self, reading: bool) -> Iterator[Connection]:
        """For one transaction. To a file: the one used last, as it keeps pages and the last large value it wrote.
        Lists pop and append at one stroke."""
        if not self._in_file:
            with self.engine.connect() as connection:
                yield connection
            return
        try:
            connection = self._idle[reading].pop()
        except IndexError:
            connection = self.engine.connect()
            connection.info[READING] = reading
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA cache_size=-{CACHE_KIBIBYTES[reading]}")
        try:
            yield connection
        except (DBAPIError, sqlite3.Error):
            connection.close()  # whatever state it is in: the pool resets it
            raise
        finally:
            if not connection.closed:
                self._idle[reading].append(connection)


def _once(connection: Connection, fn: Callable[[Transaction], T], *, commit: bool) -> tuple[T, list[Signal]]:
    with connection.begin() as begun, closing(Unit(connection)) as unit:  # begun: a writer holds the lock
        tx = Transaction(unit)
        result = fn(tx)
        unit.flush()
        if not commit:
            begun.rollback()
        return result, tx.signals


def _translate(error: DBAPIError | sqlite3.Error, name: str) -> Failure | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    if getattr(origin, "sqlstate", None) in RETRIED_STATES:
        return StoreBusy(name=name)
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(name=name)
    if code == sqlite3.SQLITE_FULL:
        return StoreFull()
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(why=type(origin).__name__)
    return None


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, isolation_level="SERIALIZABLE", pool_size=10, max_overflow=40, pool_pre_ping=True)
    engine = create_engine(url, pool_size=10, max_overflow=40)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions: the listener below does
        for pragma in (
            f"busy_timeout={BUSY_MILLISECONDS}",
            f"page_size={PAGE_BYTES}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        (page,) = connection.execute("PRAGMA page_size").fetchone()  # an older file keeps its own
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_BYTES // page}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # a writer that began as a reader can't wait for the lock, it fails at once: so writers take it first
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN" if connection.info.get(READING, False) else "BEGIN IMMEDIATE")

    return engine


def migrate(url: str) -> None:
    """Bring the database to the newest schema. Safe to repeat."""
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            command.upgrade(_alembic(connection), "head")
    finally:
        engine.dispose()


def head_revision() -> str:
    """The schema revision this program needs."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_alembic(None)).get_current_head()
    assert head is not None
    return head


def current_revision(connection: Connection) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _alembic(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
