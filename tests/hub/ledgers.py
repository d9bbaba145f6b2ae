"""Databases for tests of the store: a fresh one on SQLite, and the server's where ECOHUB_TEST_POSTGRES names one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, text

from hub.store import Store, migrate
from tests.support import compiled
from tests.support.scratch import scratch

compiled.share()
POSTGRES = os.environ.get("ECOHUB_TEST_POSTGRES", "")
DIALECTS = ("sqlite", "postgresql") if POSTGRES else ("sqlite",)


def empty(url: str) -> None:
    """Remove everything from a server's database."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@cache
def migrated() -> Path:
    """A SQLite file with the hub's schema, to be copied."""
    made = scratch("schema") / "hub.db"
    migrate(f"sqlite:///{made}")
    return made


def lay(folder: Path) -> None:
    """Put such a file where a hub's folder has its own: what migrates it finds nothing left to do."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated(), folder / "hub.db")


@contextmanager
def database(dialect: str, folder: Path) -> Iterator[Store]:
    """An empty database with the hub's schema; the named server's is emptied before."""
    url = POSTGRES if dialect == "postgresql" else f"sqlite:///{folder}/hub.db"
    if dialect == "postgresql":
        empty(url)
        migrate(url)
    else:
        lay(folder)
    store = Store(url)
    try:
        yield store
    finally:
        store.close()
