"""SQL statements are compiled once in a process, not once more for the small database of every test.

SQLAlchemy keeps what it compiled by engine and by the engine's own dialect object. Here all engines on SQLite share one
cache, and two dialects of one class are the same key in it. The statements and what they do are the product's own.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

STATEMENTS_MAX = 5_000
_shared: LRUCache[Any, Any] = LRUCache(STATEMENTS_MAX)
_begin = Engine.__init__


def share() -> None:
    """From now on, in this process."""
    Engine.__init__ = _sharing  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.__eq__ = lambda one, other: type(one) is type(other)  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.__hash__ = lambda one: hash(type(one))  # type: ignore[method-assign]


def _sharing(engine: Engine, *arguments: Any, **named: Any) -> None:
    _begin(engine, *arguments, **named)
    if type(engine.dialect) is SQLiteDialect_pysqlite:
        engine._compiled_cache = _shared
